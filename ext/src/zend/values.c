/* Arrays with keys of any bytes, and what is looked up a million times a second. */
#include "php.h"
#include "shim.h"

typedef void (*rr_entry_fn)(void *context, const char *key, size_t length, zval *value);

/* Gives each entry; numbers are keys in digits. */
void rr_each_entry(HashTable *array, rr_entry_fn give, void *context)
{
	zend_ulong number;
	zend_string *key;
	zval *value;

	ZEND_HASH_FOREACH_KEY_VAL(array, number, key, value) {
		ZVAL_DEREF(value);
		if (key) {
			give(context, ZSTR_VAL(key), ZSTR_LEN(key), value);
		} else {
			char digits[MAX_LENGTH_OF_LONG + 1];
			int length = snprintf(digits, sizeof digits, ZEND_LONG_FMT, (zend_long) number);
			give(context, digits, (size_t) length, value);
		}
	} ZEND_HASH_FOREACH_END();
}

/* Sets an entry as PHP code would: digits are numbers. Takes the value over. */
void rr_array_set(HashTable *array, const char *key, size_t length, zval *value)
{
	/* PHP looks at the first byte before it looks at the length, and an empty slice of Rust points nowhere. */
	zend_symtable_str_update(array, length ? key : "", length, value);
}

/* Where a value is; see `Located` in values.rs. */
typedef struct {
	const void *reader;
	uint64_t found[6];
	size_t length;
	uint32_t kind;
} rr_located;

const void *rr_kv_this(zend_object *object);
bool rr_kv_locate(const void *self, const char *key, size_t length, rr_located *located);
bool rr_kv_copy(const rr_located *located, char *into);

static zif_handler slow_get;

enum { KIND_INT = 1, KIND_FLOAT = 2, KIND_BOOL = 3, KIND_NULL = 4, KIND_STRING = 5 };

/* KeyValue::get(): plain values straight from shared memory; everything else the long way. */
static void fast_get(INTERNAL_FUNCTION_PARAMETERS)
{
	zval *key = ZEND_NUM_ARGS() >= 1 && ZEND_NUM_ARGS() <= 2 ? ZEND_CALL_ARG(execute_data, 1) : NULL;
	const void *self;
	rr_located located;
	union {
		char bytes[8];
		int64_t number;
		double real;
	} word;

	if (UNEXPECTED(!key || Z_TYPE_P(key) != IS_STRING || !(self = rr_kv_this(Z_OBJ_P(ZEND_THIS))))) {
		slow_get(INTERNAL_FUNCTION_PARAM_PASSTHRU);
		return;
	}
	if (!rr_kv_locate(self, Z_STRVAL_P(key), Z_STRLEN_P(key), &located)) {
		slow_get(INTERNAL_FUNCTION_PARAM_PASSTHRU);
		return;
	}
	switch (located.kind) {
		case KIND_STRING: {
			zend_string *text = zend_string_alloc(located.length, 0);
			if (EXPECTED(rr_kv_copy(&located, ZSTR_VAL(text)))) {
				ZSTR_VAL(text)[located.length] = '\0';
				RETURN_STR(text);
			}
			zend_string_efree(text);
			break;
		}
		case KIND_INT:
			if (located.length == 8 && rr_kv_copy(&located, word.bytes)) {
				RETURN_LONG(word.number);
			}
			break;
		case KIND_FLOAT:
			if (located.length == 8 && rr_kv_copy(&located, word.bytes)) {
				RETURN_DOUBLE(word.real);
			}
			break;
		case KIND_BOOL:
			if (located.length == 1 && rr_kv_copy(&located, word.bytes)) {
				RETURN_BOOL(word.bytes[0] != 0);
			}
			break;
		default:
			break;
	}
	slow_get(INTERNAL_FUNCTION_PARAM_PASSTHRU);
}

/* Puts the short way in front of KeyValue::get(); at module start-up. */
void rr_kv_hurry(zend_class_entry *class)
{
	zend_function *get = zend_hash_str_find_ptr(&class->function_table, "get", sizeof "get" - 1);
	if (get && get->type == ZEND_INTERNAL_FUNCTION) {
		slow_get = get->internal_function.handler;
		get->internal_function.handler = fast_get;
	}
}
