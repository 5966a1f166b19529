/* $_SERVER: some forty variables per request, whose names are made once, and whose values seldom change. */

#include "shim.h"

#include <ctype.h>

#include "php.h"

/* In ext/src/zend/web.rs. */
extern void rr_web_variables(zval *array);
/* In web.c: a living worker's memory outlives a request. */
extern bool rr_web_lives(void);

/* Names that are remembered: clients may send any, and each one stays for good. */
#define MOST_NAMES 256
/* Longest header whose name is remembered, `HTTP_` included. */
#define LONGEST 128

typedef struct {
	/* As it came, and the key in $_SERVER. */
	size_t length;
	const char *name;
	zend_string *key;
	/* The request that has had it last. */
	uint64_t request;
} known_name;

static HashTable *names;

/* Longest value that is kept. */
#define LONGEST_KEPT 512

/* Requests resemble each other: what was the n-th name is so again, and often its value too. */
typedef struct {
	known_name *known;
	zend_string *value;
} place;

static place order[64];
static size_t turn;
static uint64_t request;

/* The n-th variable's place; without a known name: it is not remembered and will not be. */
static place *remembered(const char *name, size_t length, bool header)
{
	if (!names) {
		names = malloc(sizeof(*names));
		zend_hash_init(names, MOST_NAMES, NULL, NULL, 1);
	}
	place *expected = &order[turn++ % (sizeof(order) / sizeof(*order))];
	if (expected->known && expected->known->length == length && memcmp(expected->known->name, name, length) == 0) {
		return expected;
	}
	expected->known = zend_hash_str_find_ptr(names, name, length);
	if (expected->known) {
		return expected;
	}
	if (zend_hash_num_elements(names) >= MOST_NAMES || length + 5 > LONGEST) {
		return expected;
	}
	size_t prefix = header ? 5 : 0;
	zend_string *key = zend_string_alloc(length + prefix, 1);
	memcpy(ZSTR_VAL(key), "HTTP_", prefix);
	for (size_t i = 0; i < length; i++) {
		char letter = name[i];
		ZSTR_VAL(key)[prefix + i] = !header ? letter : letter == '-' ? '_' : toupper((unsigned char) letter);
	}
	ZSTR_VAL(key)[length + prefix] = 0;
	zend_string_hash_val(key);
	/* It lives as long as the process, and nobody counts who uses it. */
	GC_ADD_FLAGS(key, IS_STR_INTERNED | IS_STR_PERMANENT);
	char *copy = malloc(length + 1);
	memcpy(copy, name, length);
	copy[length] = 0;
	expected->known = malloc(sizeof(*expected->known));
	*expected->known = (known_name) {length, copy, key, 0};
	zend_hash_str_add_ptr(names, name, length, expected->known);
	return expected;
}

/* The value: the last request's if it is the same and this process's memory outlives requests. */
static void fill(zval *text, place *at, const char *value, size_t length)
{
	if (at->value && ZSTR_LEN(at->value) == length && memcmp(ZSTR_VAL(at->value), value, length) == 0) {
		ZVAL_STR_COPY(text, at->value);
		return;
	}
	ZVAL_STRINGL_FAST(text, value, length);
	if (rr_web_lives() && length <= LONGEST_KEPT && Z_REFCOUNTED_P(text)) {
		zend_string *old = at->value;
		at->value = zend_string_copy(Z_STR_P(text));
		if (old) {
			zend_string_release(old);
		}
	}
}

/* Whether this request has had a variable of that name; from now on it has. */
static bool again(known_name *known)
{
	bool had = known->request == request;
	known->request = request;
	return had;
}

/* The array may have names that are not remembered. */
static bool foreign;

/* One variable of $_SERVER, or of another array of texts. */
void rr_web_variable(zval *array, const char *name, size_t name_length, const char *value, size_t length)
{
	zval text;
	place *at = remembered(name, name_length, false);
	fill(&text, at, value, length);
	if (!at->known) {
		zend_hash_str_update(Z_ARRVAL_P(array), name, name_length, &text);
	} else if (foreign || again(at->known)) {
		zend_hash_update(Z_ARRVAL_P(array), at->known->key, &text);
	} else {
		zend_hash_add_new(Z_ARRVAL_P(array), at->known->key, &text);
	}
}

/* One whose name is not worth remembering, or might be that of a header or of another variable. */
void rr_web_other_variable(zval *array, const char *name, size_t name_length, const char *value, size_t length)
{
	zval text;
	foreign = true;
	ZVAL_STRINGL_FAST(&text, value, length);
	zend_hash_str_update(Z_ARRVAL_P(array), name, name_length, &text);
}

static zend_string *header_key(const char *name, size_t length)
{
	zend_string *key = zend_string_alloc(length + 5, 0);
	memcpy(ZSTR_VAL(key), "HTTP_", 5);
	for (size_t i = 0; i < length; i++) {
		ZSTR_VAL(key)[5 + i] = name[i] == '-' ? '_' : toupper((unsigned char) name[i]);
	}
	ZSTR_VAL(key)[length + 5] = 0;
	return key;
}

/* A header of the request in $_SERVER; its name is in lower case. What comes twice is joined, as nginx does. */
void rr_web_header_variable(zval *array, const char *name, size_t name_length, const char *value, size_t length)
{
	zval text;
	place *at = remembered(name, name_length, true);
	if (at->known && !foreign && !again(at->known)) {
		fill(&text, at, value, length);
		zend_hash_add_new(Z_ARRVAL_P(array), at->known->key, &text);
		return;
	}
	zend_string *key = at->known ? at->known->key : header_key(name, name_length);
	zval *known = zend_hash_find(Z_ARRVAL_P(array), key);
	if (known && Z_TYPE_P(known) == IS_STRING) {
		const char *between = name_length == 6 && memcmp(name, "cookie", 6) == 0 ? "; " : ", ";
		zend_string *joined = zend_string_concat3(Z_STRVAL_P(known), Z_STRLEN_P(known), between, 2, value, length);
		zval_ptr_dtor_str(known);
		ZVAL_STR(known, joined);
	} else {
		ZVAL_STRINGL_FAST(&text, value, length);
		zend_hash_update(Z_ARRVAL_P(array), key, &text);
	}
	zend_string_release(key);
}

/* Fills $_SERVER, at once as large as it will be. */
void rr_web_fill_server(zval *array)
{
	zend_hash_extend(Z_ARRVAL_P(array), 64, 0);
	turn = 0;
	request++;
	foreign = zend_hash_num_elements(Z_ARRVAL_P(array)) > 0;
	rr_web_variables(array);
}
