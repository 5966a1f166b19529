/* The functions that workers have beside the classes, and what PHP calls itself in the web modes. */

#include "shim.h"

#include "php.h"
#include "SAPI.h"
#include "php_main.h"
#include "php_output.h"
#include "zend_exceptions.h"
#include "ext/json/php_json.h"
#include "zend_smart_str.h"

/* In ext/src/zend/web.rs. */
extern int rr_web_handle(zval *callable);
extern void rr_web_request_headers(zval *array);
extern bool rr_web_hint(zval *headers, int status);
extern bool rr_serve_finish(void);

/* Levels as rr_wire::log has them. */
enum {LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR};
extern void rr_web_note(int level, const char *text, size_t length, const char *context, size_t context_length);

/* In web.c and events.c. */
extern void rr_web_script_asks(void);
extern void rr_web_script_runs(void);
extern bool rr_web_installed;
extern bool rr_web_finish_request(void);
extern zend_string *rr_event_text(zval *event);

ZEND_BEGIN_ARG_WITH_RETURN_TYPE_INFO_EX(arginfo_none_bool, 0, 0, _IS_BOOL, 0)
ZEND_END_ARG_INFO()
ZEND_BEGIN_ARG_WITH_RETURN_TYPE_INFO_EX(arginfo_none_array, 0, 0, IS_ARRAY, 0)
ZEND_END_ARG_INFO()
ZEND_BEGIN_ARG_WITH_RETURN_TYPE_INFO_EX(arginfo_handle, 0, 1, _IS_BOOL, 0)
	ZEND_ARG_TYPE_INFO(0, callback, IS_CALLABLE, 0)
ZEND_END_ARG_INFO()

ZEND_BEGIN_ARG_WITH_RETURN_TYPE_INFO_EX(arginfo_hints, 0, 1, _IS_BOOL, 0)
	ZEND_ARG_TYPE_INFO(0, headers, IS_ARRAY, 0)
ZEND_END_ARG_INFO()
ZEND_BEGIN_ARG_WITH_RETURN_TYPE_INFO_EX(arginfo_file, 0, 1, _IS_BOOL, 0)
	ZEND_ARG_TYPE_INFO(0, path, IS_STRING, 0)
ZEND_END_ARG_INFO()
ZEND_BEGIN_ARG_WITH_RETURN_TYPE_INFO_EX(arginfo_event, 0, 1, _IS_BOOL, 0)
	ZEND_ARG_TYPE_INFO(0, event, IS_MIXED, 0)
ZEND_END_ARG_INFO()

static ZEND_FUNCTION(rr_handle_request)
{
	zend_fcall_info info;
	zend_fcall_info_cache cache;
	ZEND_PARSE_PARAMETERS_START(1, 1)
		Z_PARAM_FUNC(info, cache)
	ZEND_PARSE_PARAMETERS_END();
	zend_release_fcall_info_cache(&cache);
	/* The loop's own frames stay while requests come and go. */
	zend_execute_data *frame = EG(current_execute_data);
	rr_web_script_asks();
	int turn = rr_web_handle(&info.function_name);
	EG(current_execute_data) = frame;
	if (turn < 0) {
		EG(exit_status) = 255;
		if (!EG(exception)) {
			zend_throw_unwind_exit();
		}
		return;
	}
	if (!turn) {
		rr_web_script_runs();
	}
	RETURN_BOOL(turn);
}

static ZEND_FUNCTION(rr_finish_request)
{
	ZEND_PARSE_PARAMETERS_NONE();
	RETURN_BOOL(rr_web_installed ? rr_web_finish_request() : rr_serve_finish());
}

static ZEND_FUNCTION(rr_early_hints)
{
	zval *headers;
	ZEND_PARSE_PARAMETERS_START(1, 1)
		Z_PARAM_ARRAY(headers)
	ZEND_PARSE_PARAMETERS_END();
	RETURN_BOOL(SG(server_context) && !SG(headers_sent) && rr_web_hint(headers, 103));
}

static ZEND_FUNCTION(rr_send_file)
{
	zend_string *path;
	char resolved[MAXPATHLEN];
	ZEND_PARSE_PARAMETERS_START(1, 1)
		Z_PARAM_PATH_STR(path)
	ZEND_PARSE_PARAMETERS_END();
	if (!SG(server_context) || SG(headers_sent) || !expand_filepath(ZSTR_VAL(path), resolved)) {
		RETURN_FALSE;
	}
	if (php_check_open_basedir(resolved)) {
		RETURN_FALSE;
	}
	zend_string *line = zend_string_concat2("X-Sendfile: ", sizeof("X-Sendfile: ") - 1, resolved, strlen(resolved));
	sapi_header_line header = {ZSTR_VAL(line), (uint32_t) ZSTR_LEN(line), 0};
	RETVAL_BOOL(sapi_header_op(SAPI_HEADER_REPLACE, &header) == SUCCESS);
	zend_string_release(line);
}

static ZEND_FUNCTION(rr_send_event)
{
	zval *event;
	ZEND_PARSE_PARAMETERS_START(1, 1)
		Z_PARAM_ZVAL(event)
	ZEND_PARSE_PARAMETERS_END();
	if (!SG(server_context)) {
		RETURN_FALSE;
	}
	zend_string *text = rr_event_text(event);
	if (!text) {
		RETURN_THROWS();
	}
	if (!SG(headers_sent)) {
		static const char *const lines[] = {"Content-Type: text/event-stream", "Cache-Control: no-cache", "X-Accel-Buffering: no"};
		for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
			sapi_header_line header = {(char *) lines[i], (uint32_t) strlen(lines[i]), 0};
			sapi_header_op(SAPI_HEADER_REPLACE, &header);
		}
	}
	/* An event that waits in a buffer is none. */
	php_output_end_all();
	php_output_write(ZSTR_VAL(text), ZSTR_LEN(text));
	zend_string_release(text);
	if (!EG(exception)) {
		sapi_flush();
	}
	RETURN_BOOL(PG(connection_status) == PHP_CONNECTION_NORMAL);
}

static ZEND_FUNCTION(getallheaders)
{
	ZEND_PARSE_PARAMETERS_NONE();
	array_init(return_value);
	rr_web_request_headers(return_value);
}

/* -- the names of FrankenPHP's worker API ----------------------------------------------------------------------------- */

ZEND_BEGIN_ARG_WITH_RETURN_TYPE_INFO_EX(arginfo_headers_send, 0, 0, IS_LONG, 0)
	ZEND_ARG_TYPE_INFO_WITH_DEFAULT_VALUE(0, status, IS_LONG, 0, "200")
ZEND_END_ARG_INFO()
ZEND_BEGIN_ARG_WITH_RETURN_TYPE_MASK_EX(arginfo_response_headers, 0, 0, MAY_BE_ARRAY | MAY_BE_BOOL)
ZEND_END_ARG_INFO()
ZEND_BEGIN_ARG_WITH_RETURN_TYPE_INFO_EX(arginfo_log, 0, 1, IS_VOID, 0)
	ZEND_ARG_TYPE_INFO(0, message, IS_STRING, 0)
	ZEND_ARG_TYPE_INFO_WITH_DEFAULT_VALUE(0, level, IS_LONG, 0, "0")
	ZEND_ARG_TYPE_INFO_WITH_DEFAULT_VALUE(0, context, IS_ARRAY, 0, "[]")
ZEND_END_ARG_INFO()

/* Calls with each header of the response, name and value apart. */
static void each_header(void (*take)(zval *array, const char *name, size_t length, const char *value, size_t value_length), zval *array)
{
	zend_llist_position position;
	sapi_header_struct *header = zend_llist_get_first_ex(&SG(sapi_headers).headers, &position);
	for (; header; header = zend_llist_get_next_ex(&SG(sapi_headers).headers, &position)) {
		const char *colon = memchr(header->header, ':', header->header_len);
		size_t length = colon ? (size_t) (colon - header->header) : 0, at = length + 1;
		while (length > 0 && (header->header[length - 1] == ' ' || header->header[length - 1] == '\t')) {
			length--;
		}
		while (at < header->header_len && (header->header[at] == ' ' || header->header[at] == '\t')) {
			at++;
		}
		if (length > 0) {
			take(array, header->header, length, header->header + at, header->header_len - at);
		}
	}
}

static void take_last(zval *array, const char *name, size_t length, const char *value, size_t value_length)
{
	add_assoc_stringl_ex(array, name, length, value, value_length);
}

/* As rr_early_hints() wants them; those that say how long the response is are not of an interim one. */
static void take_all(zval *array, const char *name, size_t length, const char *value, size_t value_length)
{
	static const char *const left_out[] = {"Content-Length", "Transfer-Encoding", "Trailer", "X-Sendfile"};
	for (size_t i = 0; i < sizeof(left_out) / sizeof(*left_out); i++) {
		if (zend_binary_strcasecmp(name, length, left_out[i], strlen(left_out[i])) == 0) {
			return;
		}
	}
	zval *values = zend_hash_str_find(Z_ARRVAL_P(array), name, length);
	if (!values) {
		zval list;
		array_init(&list);
		values = zend_hash_str_update(Z_ARRVAL_P(array), name, length, &list);
	}
	add_next_index_stringl(values, value, value_length);
}

static ZEND_FUNCTION(frankenphp_response_headers)
{
	ZEND_PARSE_PARAMETERS_NONE();
	array_init(return_value);
	each_header(take_last, return_value);
}

/* Sends an interim response with the headers so far, or the headers of the final one. What it returns is what PHP's own
 * parts return: 1 for an interim response that was sent, 0 for a final one. */
static ZEND_FUNCTION(headers_send)
{
	zend_long status = 200;
	ZEND_PARSE_PARAMETERS_START(0, 1)
		Z_PARAM_OPTIONAL
		Z_PARAM_LONG(status)
	ZEND_PARSE_PARAMETERS_END();
	if (!SG(server_context)) {
		RETURN_LONG(SAPI_HEADER_SEND_FAILED);
	}
	if (status >= 100 && status < 200) {
		zval headers;
		/* 100 and 101 are the server's own. */
		if (SG(headers_sent) || status < 102) {
			RETURN_LONG(SAPI_HEADER_SEND_FAILED);
		}
		array_init(&headers);
		each_header(take_all, &headers);
		RETVAL_LONG(rr_web_hint(&headers, (int) status) ? SAPI_HEADER_SENT_SUCCESSFULLY : SAPI_HEADER_SEND_FAILED);
		zval_ptr_dtor(&headers);
		return;
	}
	if (!SG(headers_sent)) {
		SG(sapi_headers).http_response_code = (int) status;
	}
	RETURN_LONG(sapi_send_headers());
}

static ZEND_FUNCTION(frankenphp_log)
{
	zend_string *message;
	zend_long level = 0;
	zval *context = NULL;
	smart_str json = {0};
	ZEND_PARSE_PARAMETERS_START(1, 3)
		Z_PARAM_STR(message)
		Z_PARAM_OPTIONAL
		Z_PARAM_LONG(level)
		Z_PARAM_ARRAY(context)
	ZEND_PARSE_PARAMETERS_END();
	if (context && zend_hash_num_elements(Z_ARRVAL_P(context))) {
		/* A value that is none of JSON's is not worth a message that is lost. */
		php_json_encode(&json, context, PHP_JSON_PARTIAL_OUTPUT_ON_ERROR | PHP_JSON_INVALID_UTF8_SUBSTITUTE
			| PHP_JSON_UNESCAPED_SLASHES | PHP_JSON_UNESCAPED_UNICODE);
		smart_str_0(&json);
	}
	int is = level < 0 ? LOG_LEVEL_DEBUG : level < 4 ? LOG_LEVEL_INFO : level < 8 ? LOG_LEVEL_WARN : LOG_LEVEL_ERROR;
	rr_web_note(is, ZSTR_VAL(message), ZSTR_LEN(message), json.s ? ZSTR_VAL(json.s) : "", json.s ? ZSTR_LEN(json.s) : 0);
	smart_str_free(&json);
}

#define ALIAS(name, of, arginfo) ZEND_RAW_FENTRY(name, ZEND_FN(of), arginfo, 0)
static const zend_function_entry web_functions[] = {
	ALIAS("rr_handle_request", rr_handle_request, arginfo_handle)
	ALIAS("rr_early_hints", rr_early_hints, arginfo_hints)
	ALIAS("rr_send_file", rr_send_file, arginfo_file)
	ALIAS("rr_send_event", rr_send_event, arginfo_event)
	ALIAS("fastcgi_finish_request", rr_finish_request, arginfo_none_bool)
	ALIAS("getallheaders", getallheaders, arginfo_none_array)
	ALIAS("apache_request_headers", getallheaders, arginfo_none_array)
	ZEND_FE_END
};

/* Those of all modes. */
static const zend_function_entry worker_functions[] = {
	ALIAS("rr_finish_request", rr_finish_request, arginfo_none_bool)
	ZEND_FE_END
};

static const zend_function_entry frankenphp_functions[] = {
	ALIAS("frankenphp_handle_request", rr_handle_request, arginfo_handle)
	ALIAS("frankenphp_finish_request", rr_finish_request, arginfo_none_bool)
	ALIAS("frankenphp_request_headers", getallheaders, arginfo_none_array)
	ALIAS("frankenphp_response_headers", frankenphp_response_headers, arginfo_response_headers)
	ALIAS("apache_response_headers", frankenphp_response_headers, arginfo_response_headers)
	ALIAS("headers_send", headers_send, arginfo_headers_send)
	ALIAS("frankenphp_log", frankenphp_log, arginfo_log)
	ZEND_FE_END
};

static const struct {
	const char *name;
	zend_long value;
} frankenphp_levels[] = {
	{"FRANKENPHP_LOG_LEVEL_DEBUG", -4},
	{"FRANKENPHP_LOG_LEVEL_INFO", 0},
	{"FRANKENPHP_LOG_LEVEL_WARN", 4},
	{"FRANKENPHP_LOG_LEVEL_ERROR", 8},
};

static void frankenphp_register(void)
{
	int module = EG(current_module) ? EG(current_module)->module_number : 0;
	zend_register_functions(NULL, frankenphp_functions, NULL, MODULE_PERSISTENT);
	for (size_t i = 0; i < sizeof(frankenphp_levels) / sizeof(*frankenphp_levels); i++) {
		const char *name = frankenphp_levels[i].name;
		zend_register_long_constant(name, strlen(name), frankenphp_levels[i].value, CONST_PERSISTENT, module);
	}
}

/* At module start-up of a process that workers are made of. */
void rr_worker_functions(void)
{
	zend_register_functions(NULL, worker_functions, NULL, MODULE_PERSISTENT);
}

/* At module start-up of a process that will serve the web: what php-fpm calls itself, and its functions. */
void rr_web_name(bool frankenphp)
{
	zend_register_functions(NULL, web_functions, NULL, MODULE_PERSISTENT);
	if (frankenphp) {
		frankenphp_register();
	}
	zval *name = zend_hash_str_find(EG(zend_constants), "PHP_SAPI", sizeof("PHP_SAPI") - 1);
	sapi_module.name = "fpm-fcgi";
	if (name) {
		zend_constant *constant = Z_PTR_P(name);
		ZVAL_NEW_STR(&constant->value, zend_string_init_interned("fpm-fcgi", sizeof("fpm-fcgi") - 1, 1));
	}
}
