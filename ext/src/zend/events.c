/* Server-sent events (WHATWG HTML, 9.2): from a PHP value to the lines of a text/event-stream. */

#include "shim.h"

#include "php.h"
#include "zend_exceptions.h"
#include "zend_smart_str.h"
#include "ext/json/php_json.h"

/* A field with a line for each line of its text. */
static void append_field(smart_str *into, const char *name, const char *text, size_t length)
{
	const char *end = text + length;
	for (;;) {
		const char *stop = text;
		while (stop < end && *stop != '\n' && *stop != '\r') {
			stop++;
		}
		smart_str_appends(into, name);
		smart_str_appendl(into, ": ", 2);
		smart_str_appendl(into, text, stop - text);
		smart_str_appendc(into, '\n');
		if (stop == end) {
			return;
		}
		text = stop + (*stop == '\r' && stop + 1 < end && stop[1] == '\n' ? 2 : 1);
	}
}

/* Whether a value has become text; else an exception is pending. */
static bool append_value(smart_str *into, const char *name, zval *value, bool one_line)
{
	ZVAL_DEREF(value);
	if (Z_TYPE_P(value) == IS_ARRAY || (Z_TYPE_P(value) == IS_OBJECT && !Z_OBJCE_P(value)->__tostring)) {
		smart_str json = {0};
		if (php_json_encode(&json, value, PHP_JSON_UNESCAPED_SLASHES | PHP_JSON_UNESCAPED_UNICODE) != SUCCESS || !json.s) {
			smart_str_free(&json);
			if (!EG(exception)) {
				zend_throw_exception(NULL, "the data of an event cannot be JSON", 0);
			}
			return false;
		}
		append_field(into, name, ZSTR_VAL(json.s), ZSTR_LEN(json.s));
		smart_str_free(&json);
		return true;
	}
	zend_string *text = zval_try_get_string(value);
	if (!text) {
		return false;
	}
	size_t length = ZSTR_LEN(text);
	if (one_line) {
		length = strcspn(ZSTR_VAL(text), "\r\n");
	}
	append_field(into, name, ZSTR_VAL(text), length);
	zend_string_release(text);
	return true;
}

/* An event as its lines, the empty one behind it included; NULL with an exception pending. Owned by the caller. */
zend_string *rr_event_text(zval *event)
{
	static const struct {
		const char *key, *field;
		bool one_line;
	} fields[] = {{"comment", "", false}, {"event", "event", true}, {"id", "id", true}, {"retry", "retry", true}, {"data", "data", false}};
	smart_str text = {0};
	bool fine = true;
	ZVAL_DEREF(event);
	if (Z_TYPE_P(event) != IS_ARRAY) {
		fine = append_value(&text, "data", event, false);
	} else {
		for (size_t i = 0; fine && i < sizeof(fields) / sizeof(*fields); i++) {
			zval *value = zend_hash_str_find_deref(Z_ARRVAL_P(event), fields[i].key, strlen(fields[i].key));
			if (value && Z_TYPE_P(value) != IS_NULL) {
				fine = append_value(&text, fields[i].field, value, fields[i].one_line);
			}
		}
	}
	if (!fine) {
		smart_str_free(&text);
		return NULL;
	}
	smart_str_appendc(&text, '\n');
	smart_str_0(&text);
	return text.s;
}
