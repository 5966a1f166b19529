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

/* What a look may find room for. */
typedef struct {
	zend_string *text;
	char word[8];
	uint32_t kind;
} rr_place;

const void *rr_kv_this(zend_object *object);
bool rr_kv_read(const void *table, const char *key, size_t length, rr_place *place);

static zif_handler slow_get;

enum { KIND_INT = 1, KIND_FLOAT = 2, KIND_BOOL = 3, KIND_NULL = 4, KIND_STRING = 5 };

/* Room for a value of this kind and length; NULL: it is none that is read the short way. */
char *rr_kv_room(rr_place *place, uint32_t kind, size_t length)
{
	place->kind = kind;
	switch (kind) {
		case KIND_STRING:
			place->text = zend_string_alloc(length, 0);
			ZSTR_VAL(place->text)[length] = '\0';
			return ZSTR_VAL(place->text);
		case KIND_INT:
		case KIND_FLOAT:
			return length == 8 ? place->word : NULL;
		case KIND_BOOL:
			return length == 1 ? place->word : NULL;
		default:
			return NULL;
	}
}

/* The table of the object asked last: loops ask one again and again. Objects are made by open() only, which forgets it. */
static zend_object *last_object;
static const void *last_table;

void rr_kv_forget(void)
{
	last_object = NULL;
}

/* KeyValue::get(): plain values straight from shared memory; everything else the long way. */
static void fast_get(INTERNAL_FUNCTION_PARAMETERS)
{
	zval *key = ZEND_CALL_ARG(execute_data, 1);
	zend_object *self = Z_OBJ_P(ZEND_THIS);
	rr_place place;
	place.text = NULL;

	if (UNEXPECTED(ZEND_NUM_ARGS() < 1 || ZEND_NUM_ARGS() > 2 || Z_TYPE_P(key) != IS_STRING)) {
		goto slow;
	}
	if (self != last_object) {
		last_table = rr_kv_this(self);
		last_object = last_table ? self : NULL;
	}
	if (UNEXPECTED(!last_object || !rr_kv_read(last_table, Z_STRVAL_P(key), Z_STRLEN_P(key), &place))) {
		if (place.text) {
			zend_string_efree(place.text);
		}
		goto slow;
	}
	switch (place.kind) {
		case KIND_STRING:
			RETURN_STR(place.text);
		case KIND_INT: {
			int64_t number;
			memcpy(&number, place.word, sizeof number);
			RETURN_LONG(number);
		}
		case KIND_FLOAT: {
			double number;
			memcpy(&number, place.word, sizeof number);
			RETURN_DOUBLE(number);
		}
		default:
			RETURN_BOOL(place.word[0] != 0);
	}
slow:
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
