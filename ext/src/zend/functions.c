/* The functions that workers have beside the classes, and what PHP calls itself in the web modes. */

#include "shim.h"

#include "php.h"
#include "SAPI.h"
#include "php_main.h"
#include "php_output.h"
#include "zend_exceptions.h"

/* In ext/src/zend/web.rs. */
extern int rr_web_handle(zval *callable);
extern void rr_web_request_headers(zval *array);
extern bool rr_web_hint(zval *headers);
extern bool rr_serve_finish(void);

/* In web.c and events.c. */
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
	int turn = rr_web_handle(&info.function_name);
	EG(current_execute_data) = frame;
	if (turn < 0) {
		EG(exit_status) = 255;
		if (!EG(exception)) {
			zend_throw_unwind_exit();
		}
		return;
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
	RETURN_BOOL(SG(server_context) && !SG(headers_sent) && rr_web_hint(headers));
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

/* The names of FrankenPHP's worker API. */
static const zend_function_entry frankenphp_functions[] = {
	ALIAS("frankenphp_handle_request", rr_handle_request, arginfo_handle)
	ALIAS("frankenphp_finish_request", rr_finish_request, arginfo_none_bool)
	ALIAS("frankenphp_request_headers", getallheaders, arginfo_none_array)
	ZEND_FE_END
};

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
		zend_register_functions(NULL, frankenphp_functions, NULL, MODULE_PERSISTENT);
	}
	zval *name = zend_hash_str_find(EG(zend_constants), "PHP_SAPI", sizeof("PHP_SAPI") - 1);
	sapi_module.name = "fpm-fcgi";
	if (name) {
		zend_constant *constant = Z_PTR_P(name);
		ZVAL_NEW_STR(&constant->value, zend_string_init_interned("fpm-fcgi", sizeof("fpm-fcgi") - 1, 1));
	}
}
