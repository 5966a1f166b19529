/* Development mode: errors taken apart, dumps, and what a request leaves behind. No PHP code runs in here. */

#include "shim.h"

#include "php.h"
#include "php_output.h"
#include "zend_enum.h"
#include "zend_exceptions.h"
#include "zend_ini.h"
#include "zend_smart_str.h"
#include "ext/standard/basic_functions.h"

#include <locale.h>
#include <sys/time.h>

/* In ext/src/zend/dev.rs. */
extern void rr_dev_error(void *report, const char *const texts[4], const size_t lengths[4], uint32_t line);
extern void rr_dev_frame(void *report, const char *file, size_t file_length, uint32_t line, const char *call, size_t length);
extern void *rr_dev_thrown(void);
extern void rr_dev_keep(void *report);
extern void rr_dev_fact(void *facts, const char *name, size_t name_length, const char *value, size_t length);
extern void rr_dev_dump(const char *text, size_t length, const char *file, size_t file_length, uint32_t line);

/* More than this of anything is not shown. */
#define MAX_ERRORS 8
#define MAX_FRAMES 100
#define MAX_ARGUMENTS 8
#define MAX_DEPTH 6
#define MAX_ITEMS 100
#define MAX_TEXT 2000
#define MAX_DUMP (64 * 1024)

/* -- errors ------------------------------------------------------------------------------------------------------- */

static zval *property(zend_object *object, zend_class_entry *base, const char *name, zval *room)
{
	zval *value = zend_read_property(base, object, name, strlen(name), true, room);
	ZVAL_DEREF(value);
	return value;
}

static void argument(smart_str *into, zval *value)
{
	ZVAL_DEREF(value);
	switch (Z_TYPE_P(value)) {
		case IS_NULL:
		case IS_UNDEF:
			smart_str_appends(into, "null");
			break;
		case IS_FALSE:
			smart_str_appends(into, "false");
			break;
		case IS_TRUE:
			smart_str_appends(into, "true");
			break;
		case IS_LONG:
			smart_str_append_long(into, Z_LVAL_P(value));
			break;
		case IS_DOUBLE:
			smart_str_append_double(into, Z_DVAL_P(value), (int) EG(precision), false);
			break;
		case IS_STRING:
			smart_str_appendc(into, '\'');
			smart_str_appendl(into, Z_STRVAL_P(value), MIN(Z_STRLEN_P(value), 30));
			smart_str_appends(into, Z_STRLEN_P(value) > 30 ? "…'" : "'");
			break;
		case IS_ARRAY:
			smart_str_append_printf(into, "array(%u)", zend_hash_num_elements(Z_ARRVAL_P(value)));
			break;
		case IS_OBJECT:
			smart_str_append(into, Z_OBJCE_P(value)->name);
			break;
		default:
			smart_str_appends(into, "resource");
	}
}

static void frames(void *report, zval *trace)
{
	zval *frame;
	int count = 0;
	if (Z_TYPE_P(trace) != IS_ARRAY) {
		return;
	}
	ZEND_HASH_FOREACH_VAL(Z_ARRVAL_P(trace), frame) {
		ZVAL_DEREF(frame);
		if (Z_TYPE_P(frame) != IS_ARRAY || ++count > MAX_FRAMES) {
			break;
		}
		HashTable *table = Z_ARRVAL_P(frame);
		zval *file = zend_hash_str_find(table, "file", 4), *line = zend_hash_str_find(table, "line", 4);
		zval *arguments = zend_hash_str_find(table, "args", 4);
		smart_str call = {0};
		for (int part = 0; part < 3; part++) {
			static const char *const names[] = {"class", "type", "function"};
			zval *text = zend_hash_str_find(table, names[part], strlen(names[part]));
			if (text && Z_TYPE_P(text) == IS_STRING) {
				/* An anonymous class has a NUL in its name. */
				smart_str_appendl(&call, Z_STRVAL_P(text), strnlen(Z_STRVAL_P(text), Z_STRLEN_P(text)));
			}
		}
		smart_str_appendc(&call, '(');
		if (arguments && Z_TYPE_P(arguments) == IS_ARRAY) {
			zval *value;
			int number = 0;
			ZEND_HASH_FOREACH_VAL(Z_ARRVAL_P(arguments), value) {
				if (number) {
					smart_str_appends(&call, ", ");
				}
				if (++number > MAX_ARGUMENTS) {
					smart_str_appends(&call, "…");
					break;
				}
				argument(&call, value);
			} ZEND_HASH_FOREACH_END();
		}
		smart_str_appendc(&call, ')');
		smart_str_0(&call);
		bool has_file = file && Z_TYPE_P(file) == IS_STRING;
		rr_dev_frame(report, has_file ? Z_STRVAL_P(file) : "", has_file ? Z_STRLEN_P(file) : 0,
			line && Z_TYPE_P(line) == IS_LONG ? (uint32_t) Z_LVAL_P(line) : 0, ZSTR_VAL(call.s), ZSTR_LEN(call.s));
		smart_str_free(&call);
	} ZEND_HASH_FOREACH_END();
}

static void give_error(void *report, const char *class, size_t class_length, zval *message, zval *code, zval *file, uint32_t line)
{
	char number[32] = "";
	if (code && Z_TYPE_P(code) == IS_LONG && Z_LVAL_P(code) != 0) {
		snprintf(number, sizeof(number), ZEND_LONG_FMT, Z_LVAL_P(code));
	}
	bool text_code = code && Z_TYPE_P(code) == IS_STRING;
	bool has_message = Z_TYPE_P(message) == IS_STRING, has_file = Z_TYPE_P(file) == IS_STRING;
	const char *const texts[4] = {
		class, has_message ? Z_STRVAL_P(message) : "", text_code ? Z_STRVAL_P(code) : number, has_file ? Z_STRVAL_P(file) : "",
	};
	const size_t lengths[4] = {
		class_length, has_message ? Z_STRLEN_P(message) : 0, text_code ? Z_STRLEN_P(code) : strlen(number),
		has_file ? Z_STRLEN_P(file) : 0,
	};
	rr_dev_error(report, texts, lengths, line);
}

/* An exception and those that led to it. No __get: the properties are declared. */
static void take_apart(void *report, zend_object *error)
{
	int count = 0;
	while (error && count++ < MAX_ERRORS) {
		zval rooms[6];
		zend_class_entry *base = zend_get_exception_base(error);
		if (!base || !instanceof_function(error->ce, zend_ce_throwable)) {
			break;
		}
		zval *line = property(error, base, "line", &rooms[0]);
		size_t name = strnlen(ZSTR_VAL(error->ce->name), ZSTR_LEN(error->ce->name));
		give_error(report, ZSTR_VAL(error->ce->name), name, property(error, base, "message", &rooms[1]),
			property(error, base, "code", &rooms[2]), property(error, base, "file", &rooms[3]),
			Z_TYPE_P(line) == IS_LONG ? (uint32_t) Z_LVAL_P(line) : 0);
		frames(report, property(error, base, "trace", &rooms[4]));
		zval *previous = property(error, base, "previous", &rooms[5]);
		error = Z_TYPE_P(previous) == IS_OBJECT ? Z_OBJ_P(previous) : NULL;
	}
}

/* The pending exception and those that led to it. False: there is none. */
bool rr_dev_exception(void *report)
{
	if (!EG(exception)) {
		return false;
	}
	take_apart(report, EG(exception));
	return true;
}

static void (*next_hook)(zend_object *exception);

/* PHP ends an exception that nobody catches in a main script by itself, and only its text is left. */
static void thrown(zend_object *exception)
{
	if (exception && !zend_is_unwind_exit(exception) && !zend_is_graceful_exit(exception)) {
		void *report = rr_dev_thrown();
		if (report) {
			take_apart(report, exception);
			rr_dev_keep(report);
		}
	}
	if (next_hook) {
		next_hook(exception);
	}
}

/* The last PHP error. False: there is none. */
bool rr_dev_last_error(void *report)
{
	if (!PG(last_error_message)) {
		return false;
	}
	const char *class;
	switch (PG(last_error_type) & E_ALL) {
		case E_PARSE: class = "Parse error"; break;
		case E_COMPILE_ERROR: class = "Compile error"; break;
		case E_CORE_ERROR: class = "Core error"; break;
		case E_USER_ERROR: class = "User error"; break;
		case E_RECOVERABLE_ERROR: class = "Recoverable error"; break;
		default: class = "Fatal error";
	}
	zval message, file;
	ZVAL_STR(&message, PG(last_error_message));
	if (PG(last_error_file)) {
		ZVAL_STR(&file, PG(last_error_file));
	} else {
		ZVAL_NULL(&file);
	}
	give_error(report, class, strlen(class), &message, NULL, &file, PG(last_error_lineno) > 0 ? (uint32_t) PG(last_error_lineno) : 0);
	return true;
}

/* Whether the app answers for its own errors: with an exception handler, or for fatal ones with a shutdown function. */
bool rr_dev_has_handler(bool fatal)
{
	return fatal ? BG(user_shutdown_function_names) != NULL : Z_TYPE(EG(user_exception_handler)) != IS_UNDEF;
}

/* -- dumps -------------------------------------------------------------------------------------------------------- */

static void newline(smart_str *into, int depth)
{
	smart_str_appendc(into, '\n');
	while (depth-- > 0) {
		smart_str_appends(into, "  ");
	}
}

static void dump(smart_str *into, zval *value, int depth);

static void dump_text(smart_str *into, const char *text, size_t length)
{
	smart_str_appendc(into, '"');
	smart_str_appendl(into, text, MIN(length, MAX_TEXT));
	smart_str_appendc(into, '"');
	if (length > MAX_TEXT) {
		smart_str_append_printf(into, "… (%zu bytes)", length);
	}
}

static void dump_key(smart_str *into, zend_string *key, zend_ulong index, bool object)
{
	if (!key) {
		smart_str_append_printf(into, ZEND_ULONG_FMT, index);
		return;
	}
	if (!object) {
		dump_text(into, ZSTR_VAL(key), ZSTR_LEN(key));
		return;
	}
	const char *class, *name;
	size_t length;
	if (zend_unmangle_property_name_ex(key, &class, &name, &length) != SUCCESS) {
		name = ZSTR_VAL(key);
		length = ZSTR_LEN(key);
		class = NULL;
	}
	smart_str_appendc(into, !class ? '+' : *class == '*' ? '#' : '-');
	smart_str_appendl(into, name, length);
}

static void dump_items(smart_str *into, HashTable *table, int depth, bool object)
{
	zend_string *key;
	zend_ulong index;
	zval *item;
	uint32_t count = 0;
	ZEND_HASH_FOREACH_KEY_VAL_IND(table, index, key, item) {
		if (Z_TYPE_P(item) == IS_UNDEF) {
			continue;
		}
		newline(into, depth + 1);
		if (++count > MAX_ITEMS || (into->s && ZSTR_LEN(into->s) > MAX_DUMP)) {
			smart_str_appends(into, "…");
			break;
		}
		dump_key(into, key, index, object);
		smart_str_appends(into, object ? ": " : " => ");
		dump(into, item, depth + 1);
	} ZEND_HASH_FOREACH_END();
	if (count) {
		newline(into, depth);
	}
}

static void dump_object(smart_str *into, zend_object *object, int depth)
{
	zend_string *name = object->ce->name;
	smart_str_appendl(into, ZSTR_VAL(name), strnlen(ZSTR_VAL(name), ZSTR_LEN(name)));
	if (object->ce->ce_flags & ZEND_ACC_ENUM) {
		smart_str_appends(into, "::");
		smart_str_append(into, Z_STR_P(zend_enum_fetch_case_name(object)));
		return;
	}
	smart_str_append_printf(into, " {#%u", object->handle);
	if (depth >= MAX_DEPTH || GC_IS_RECURSIVE(object)) {
		smart_str_appends(into, " …}");
		return;
	}
	/* Not __debugInfo(): that is PHP code. */
	HashTable *table = object->handlers->get_properties(object);
	if (table) {
		GC_PROTECT_RECURSION(object);
		dump_items(into, table, depth, true);
		GC_UNPROTECT_RECURSION(object);
	}
	smart_str_appendc(into, '}');
}

static void dump(smart_str *into, zval *value, int depth)
{
	ZVAL_DEREF(value);
	switch (Z_TYPE_P(value)) {
		case IS_STRING:
			dump_text(into, Z_STRVAL_P(value), Z_STRLEN_P(value));
			break;
		case IS_DOUBLE:
			smart_str_append_double(into, Z_DVAL_P(value), 17, true);
			break;
		case IS_RESOURCE: {
			const char *type = zend_rsrc_list_get_rsrc_type(Z_RES_P(value));
			smart_str_append_printf(into, "resource(%s) #" ZEND_LONG_FMT, type ? type : "closed", (zend_long) Z_RES_HANDLE_P(value));
			break;
		}
		case IS_OBJECT:
			dump_object(into, Z_OBJ_P(value), depth);
			break;
		case IS_ARRAY: {
			HashTable *table = Z_ARRVAL_P(value);
			smart_str_append_printf(into, "array:%u [", zend_hash_num_elements(table));
			bool guarded = !(GC_FLAGS(table) & GC_IMMUTABLE);
			if (depth >= MAX_DEPTH || (guarded && GC_IS_RECURSIVE(table))) {
				smart_str_appends(into, " …");
			} else {
				if (guarded) {
					GC_PROTECT_RECURSION(table);
				}
				dump_items(into, table, depth, false);
				if (guarded) {
					GC_UNPROTECT_RECURSION(table);
				}
			}
			smart_str_appendc(into, ']');
			break;
		}
		default:
			argument(into, value);
	}
}

ZEND_BEGIN_ARG_INFO_EX(arginfo_dump, 0, 0, 0)
	ZEND_ARG_VARIADIC_TYPE_INFO(0, values, IS_MIXED, 0)
ZEND_END_ARG_INFO()

ZEND_FUNCTION(rr_dump)
{
	zval *values;
	int count;
	ZEND_PARSE_PARAMETERS_START(0, -1)
		Z_PARAM_VARIADIC('*', values, count)
	ZEND_PARSE_PARAMETERS_END();
	zend_string *file = zend_get_executed_filename_ex();
	uint32_t line = zend_get_executed_lineno();
	for (int index = 0; index < count; index++) {
		smart_str text = {0};
		dump(&text, &values[index], 0);
		smart_str_0(&text);
		if (text.s) {
			rr_dev_dump(ZSTR_VAL(text.s), ZSTR_LEN(text.s), file ? ZSTR_VAL(file) : "", file ? ZSTR_LEN(file) : 0, line);
		}
		smart_str_free(&text);
	}
	/* As Symfony's dump(), so that it can stand inside of an expression. */
	if (count == 1) {
		RETURN_COPY_DEREF(&values[0]);
	}
	array_init_size(return_value, (uint32_t) count);
	for (int index = 0; index < count; index++) {
		Z_TRY_ADDREF(values[index]);
		add_next_index_zval(return_value, &values[index]);
	}
}

static const zend_function_entry dev_functions[] = {
	ZEND_RAW_FENTRY("rr_dump", ZEND_FN(rr_dump), arginfo_dump, 0)
	ZEND_FE_END
};

/* Composer's dump() is declared only when there is none. */
static const zend_function_entry dev_alias[] = {
	ZEND_RAW_FENTRY("dump", ZEND_FN(rr_dump), arginfo_dump, 0)
	ZEND_FE_END
};

/* At module start-up. */
void rr_dev_register(void)
{
	next_hook = zend_throw_exception_hook;
	zend_throw_exception_hook = thrown;
	zend_register_functions(NULL, dev_functions, NULL, MODULE_PERSISTENT);
	if (!zend_hash_str_exists(CG(function_table), "dump", sizeof("dump") - 1)) {
		zend_register_functions(NULL, dev_alias, NULL, MODULE_PERSISTENT);
	}
}

/* -- what is left behind -------------------------------------------------------------------------------------- */

static void fact(void *facts, const char *name, const char *value)
{
	rr_dev_fact(facts, name, strlen(name), value, strlen(value));
}

static void handler(void *facts, const char *name, zval *callable)
{
	if (Z_TYPE_P(callable) == IS_UNDEF) {
		return;
	}
	zend_string *text = zend_get_callable_name(callable);
	rr_dev_fact(facts, name, strlen(name), ZSTR_VAL(text), ZSTR_LEN(text));
	zend_string_release(text);
}

/* The state of the engine that requests change. */
void rr_dev_state(void *facts)
{
	zend_string *key;
	zend_ini_entry *entry;
	if (EG(modified_ini_directives)) {
		ZEND_HASH_FOREACH_STR_KEY_PTR(EG(modified_ini_directives), key, entry) {
			smart_str name = {0};
			smart_str_appends(&name, "setting ");
			smart_str_append(&name, key);
			smart_str_0(&name);
			const char *value = entry->value ? ZSTR_VAL(entry->value) : "";
			rr_dev_fact(facts, ZSTR_VAL(name.s), ZSTR_LEN(name.s), value, strlen(value));
			smart_str_free(&name);
		} ZEND_HASH_FOREACH_END();
	}
	ZEND_HASH_FOREACH_STR_KEY(&EG(symbol_table), key) {
		if (key && !zend_is_auto_global(key)) {
			smart_str name = {0};
			smart_str_appends(&name, "global variable $");
			smart_str_append(&name, key);
			smart_str_0(&name);
			rr_dev_fact(facts, ZSTR_VAL(name.s), ZSTR_LEN(name.s), "", 0);
			smart_str_free(&name);
		}
	} ZEND_HASH_FOREACH_END();
	handler(facts, "error handler", &EG(user_error_handler));
	handler(facts, "exception handler", &EG(user_exception_handler));
	char number[32];
	snprintf(number, sizeof(number), "%d", php_output_get_level());
	fact(facts, "output buffers", number);
	const char *locale = setlocale(LC_ALL, NULL);
	fact(facts, "locale", locale ? locale : "");
	struct itimerval timer;
	bool armed = getitimer(ITIMER_REAL, &timer) == 0 && (timer.it_value.tv_sec || timer.it_value.tv_usec);
	fact(facts, "timer (alarm)", armed ? "armed" : "none");
	zval function, zone;
	ZVAL_STRING(&function, "date_default_timezone_get");
	ZVAL_UNDEF(&zone);
	if (call_user_function(NULL, NULL, &function, &zone, 0, NULL) == SUCCESS && Z_TYPE(zone) == IS_STRING) {
		fact(facts, "time zone", Z_STRVAL(zone));
	}
	zval_ptr_dtor(&zone);
	zval_ptr_dtor(&function);
}

size_t rr_dev_memory(void)
{
	return zend_memory_usage(0);
}
