/* PHP's web side in a worker: superglobals, headers, output, uploads and sessions of one request at a time, either
 * in a living script (globals) or with PHP's own request startup and shutdown around a file (classic). */

#include "shim.h"

#include <ctype.h>
#include <locale.h>
#include <sys/stat.h>
#include <unistd.h>

#include "php.h"
#include "SAPI.h"
#include "php_ini.h"
#include "php_main.h"
#include "php_output.h"
#include "php_variables.h"
#include "rfc1867.h"
#include "zend_exceptions.h"
#include "zend_smart_str.h"
#include "ext/standard/basic_functions.h"
#include "ext/standard/file.h"
#include "ext/standard/head.h"
#include "ext/standard/php_filestat.h"
#include "ext/standard/php_string.h"

/* In ext/src/zend/web.rs. */
extern size_t rr_web_read(char *buffer, size_t length);
extern void rr_web_header(const char *name, size_t name_length, const char *value, size_t value_length);
extern void rr_web_head(int status);
extern bool rr_web_output(const char *bytes, size_t length);
extern bool rr_web_flush(void);
extern bool rr_web_finish(bool goes_on);
extern void rr_on_log(const char *message, int severity);

extern void rr_web_script_variables(zval *array);

/* In form.c. */
extern void rr_form_install(void);

/* In variables.c. */
extern void rr_web_fill_server(zval *array);

/* In scripts.c. */
extern void rr_scripts_hide_server(bool script);
extern void rr_scripts_end(void);

/* In folder.c. */
extern void rr_note_calls(const char *name, zif_handler *own, zif_handler noted);
extern void rr_folder_watch(void);
extern void rr_folder_enter(const char *path, size_t length);
extern bool rr_folder_was_left(void);

/* In interrupt.c. */
extern void rr_interrupt_limit(void);
extern void rr_interrupt_begin(zend_long seconds);
extern void rr_interrupt_end(void);
extern void rr_interrupt_forget(void);

/* In shim.c. */
extern int rr_settle(void);
extern bool rr_had_oom(void);
extern void rr_clear_oom(void);
extern bool rr_report_exception(void);

/* -- the SAPI ---------------------------------------------------------------------------------------------------- */

/* The client has gone away: as php-fpm, the script ends unless it said otherwise. */
static void web_aborted(void)
{
	PG(connection_status) = PHP_CONNECTION_ABORTED;
	if (!PG(ignore_user_abort) && !EG(exception) && EG(current_execute_data)) {
		/* As exit(): no frame is skipped, so the worker lives. */
		php_output_set_status(PHP_OUTPUT_DISABLED);
		zend_throw_unwind_exit();
	}
}

static size_t web_write(const char *bytes, size_t length)
{
	if (!rr_web_output(bytes, length)) {
		web_aborted();
	}
	return length;
}

static void web_flush(void *context)
{
	(void) context;
	if (!SG(headers_sent)) {
		sapi_send_headers();
		SG(headers_sent) = 1;
	}
	if (!rr_web_flush()) {
		web_aborted();
	}
}

static int web_send_headers(sapi_headers_struct *headers)
{
	int status = headers->http_response_code ? headers->http_response_code : 200;
	zend_llist_position position;
	sapi_header_struct *header = zend_llist_get_first_ex(&headers->headers, &position);
	for (; header; header = zend_llist_get_next_ex(&headers->headers, &position)) {
		const char *colon = memchr(header->header, ':', header->header_len);
		if (!colon) {
			continue;
		}
		size_t name = colon - header->header, at = name + 1;
		while (at < header->header_len && header->header[at] == ' ') {
			at++;
		}
		if (name == 6 && zend_binary_strcasecmp(header->header, 6, "Status", 6) == 0) {
			int wanted = atoi(header->header + at);
			status = wanted >= 200 && wanted <= 599 ? wanted : status;
			continue;
		}
		rr_web_header(header->header, name, header->header + at, header->header_len - at);
	}
	rr_web_head(status);
	return SAPI_HEADER_SENT_SUCCESSFULLY;
}

/* -- .user.ini --------------------------------------------------------------------------------------------------------- */

typedef struct {
	time_t expires;
	HashTable settings;
} user_settings;

static HashTable *user_cache;
static size_t web_root;

static void free_user_settings(zval *entry)
{
	user_settings *settings = Z_PTR_P(entry);
	zend_hash_destroy(&settings->settings);
	free(settings);
}

/* The settings of one folder's file, read again when user_ini.cache_ttl is over. */
static void apply_folder(const char *folder, size_t length)
{
	time_t now = time(NULL);
	user_settings *settings = zend_hash_str_find_ptr(user_cache, folder, length);
	if (settings && settings->expires < now) {
		zend_hash_str_del(user_cache, folder, length);
		settings = NULL;
	}
	if (!settings) {
		char *copy = estrndup(folder, length);
		settings = malloc(sizeof(*settings));
		settings->expires = now + PG(user_ini_cache_ttl);
		zend_hash_init(&settings->settings, 8, NULL, config_zval_dtor, 1);
		php_parse_user_ini_file(copy, PG(user_ini_filename), &settings->settings);
		efree(copy);
		zend_hash_str_add_ptr(user_cache, folder, length, settings);
	}
	php_ini_activate_config(&settings->settings, PHP_INI_PERDIR, PHP_INI_STAGE_HTACCESS);
}

/* Those of all folders from the document root down to the script's, as php-fpm applies them. */
static int web_activate(void)
{
	const char *path = SG(request_info).path_translated;
	if (!path || !PG(user_ini_filename) || !*PG(user_ini_filename)) {
		return SUCCESS;
	}
	if (!user_cache) {
		user_cache = malloc(sizeof(*user_cache));
		zend_hash_init(user_cache, 8, NULL, free_user_settings, 1);
	}
	for (const char *end = path + web_root; end && *end == '/'; end = strchr(end + 1, '/')) {
		apply_folder(path, end - path);
	}
	return SUCCESS;
}

static size_t web_read_post(char *buffer, size_t length)
{
	return rr_web_read(buffer, length);
}

static const char *web_cookie;

static char *web_read_cookies(void)
{
	return (char *) web_cookie;
}

/* getenv() of a variable of the request, as with CGI: those of $_SERVER that are no work of PHP's. */
static char *web_getenv(const char *name, size_t length)
{
	if (!SG(server_context) || strncmp(name, "PHP_", 4) == 0) {
		return NULL;
	}
	zend_is_auto_global(ZSTR_KNOWN(ZEND_STR_AUTOGLOBAL_SERVER));
	zval *server = &PG(http_globals)[TRACK_VARS_SERVER];
	zval *value = Z_TYPE_P(server) == IS_ARRAY ? zend_hash_str_find(Z_ARRVAL_P(server), name, length) : NULL;
	return value && Z_TYPE_P(value) == IS_STRING ? Z_STRVAL_P(value) : NULL;
}

static void web_log(const char *message, int severity)
{
	rr_on_log(message, severity);
}

/* The user of the request's credentials; NULL without them. */
const char *rr_web_user(void)
{
	return SG(request_info).auth_user;
}

/* -- the take-over --------------------------------------------------------------------------------------------------- */

/* PHP's web side is taken over; else this is a process of the handler modes. */
bool rr_web_installed;

static char *copy_persistent(const char *text)
{
	return text ? strdup(text) : NULL;
}

/* -- settings -------------------------------------------------------------------------------------------------------- */

/* Sets a directive for good, as php-fpm does for its pools. `final`: scripts cannot change it. False: unknown. */
bool rr_web_directive(const char *name, size_t name_length, const char *value, size_t length, bool final)
{
	zend_ini_entry *entry = zend_hash_str_find_ptr(EG(ini_directives), name, name_length);
	if (!entry) {
		return false;
	}
	zend_string *copy = zend_string_init(value, length, 1);
	if (entry->on_modify
		&& entry->on_modify(entry, copy, entry->mh_arg1, entry->mh_arg2, entry->mh_arg3, PHP_INI_STAGE_ACTIVATE) != SUCCESS) {
		zend_string_release(copy);
		return false;
	}
	if (entry->modified) {
		zend_hash_str_del(EG(modified_ini_directives), name, name_length);
		entry->modified = 0;
	}
	entry->value = copy;
	if (final) {
		entry->modifiable = ZEND_INI_SYSTEM;
	}
	return true;
}

/* Whether PHP reads forms at all (enable_post_data_reading). */
bool rr_web_reads_forms(void)
{
	return zend_ini_long("enable_post_data_reading", sizeof("enable_post_data_reading") - 1, 0) != 0;
}

/* Whether the user's PHP logs errors to a file of its own. */
bool rr_web_logs_to_file(void)
{
	const char *file = zend_ini_string("error_log", sizeof("error_log") - 1, 0);
	return zend_ini_long("log_errors", sizeof("log_errors") - 1, 0) != 0 && file != NULL && *file != '\0';
}

static void web_install(void)
{
	rr_web_installed = true;
	sapi_module.ub_write = web_write;
	sapi_module.flush = web_flush;
	sapi_module.header_handler = NULL;
	sapi_module.send_headers = web_send_headers;
	sapi_module.send_header = NULL;
	sapi_module.read_post = web_read_post;
	sapi_module.read_cookies = web_read_cookies;
	sapi_module.register_server_variables = rr_web_fill_server;
	sapi_module.log_message = web_log;
	sapi_module.getenv = web_getenv;
	sapi_module.activate = NULL;
	sapi_module.deactivate = NULL;
	sapi_module.phpinfo_as_text = 0;
	rr_form_install();
}

/* Of main/php_ini.c, in no header. */
extern PHPAPI char *php_ini_opened_path;
extern PHPAPI char *php_ini_scanned_files;

/* The files PHP has its settings from, between newlines and commas; NULL without one. */
const char *rr_web_ini_path(void)
{
	return php_ini_opened_path;
}

const char *rr_web_ini_scanned(void)
{
	return php_ini_scanned_files;
}

/* In the zygote of a classic pool: ends the request that the server's script ran in. */
void rr_web_leave_script(void)
{
	php_free_shutdown_functions();
	zend_objects_store_mark_destructed(&EG(objects_store));
	EG(current_execute_data) = NULL;
	web_install();
	SG(headers_sent) = 1;
	SG(request_info).no_headers = 1;
	php_request_shutdown(NULL);
	SG(server_context) = NULL;
}

typedef struct {
	zval handler;
	int depth;
} handler_state;

static struct {
	handler_state error, exception;
	int reporting;
	char *locale;
	char cwd[MAXPATHLEN];
	mode_t mask;
	zend_string *timezone;
	uint32_t globals;
	HashTable *names;
	bool living, forget;
} baseline;

static zend_string *timezone_now(void)
{
	static zend_function *get;
	zval result;
	if (!get) {
		get = zend_hash_str_find_ptr(CG(function_table), "date_default_timezone_get", sizeof("date_default_timezone_get") - 1);
		if (!get) {
			return NULL;
		}
	}
	zend_call_known_function(get, NULL, NULL, &result, 0, NULL, NULL);
	if (Z_TYPE(result) == IS_STRING) {
		return Z_STR(result);
	}
	zval_ptr_dtor(&result);
	return NULL;
}

static zend_module_entry *session_module, *filter_module, *zlib_module;
static zif_handler own_timezone_set;
static bool timezone_was_set;

static ZEND_NAMED_FUNCTION(noted_timezone_set)
{
	timezone_was_set = true;
	own_timezone_set(INTERNAL_FUNCTION_PARAM_PASSTHRU);
}

/* A worker script runs here. */
static bool scripted;

/* Between requests PHP's output is the log's, and nobody asks for headers. */
static void web_between(void)
{
	SG(headers_sent) = 1;
	SG(request_info).no_headers = 1;
	/* Without it ob_start() would write to what is not there. Only a worker script does anything between requests. */
	if (scripted) {
		php_output_activate();
	}
}

/* The state that each request of a living worker finds: what it is now. */
static void web_note_baseline(void)
{
	/* What the boot has set is what every request finds. */
	if (EG(modified_ini_directives)) {
		zend_ini_entry *entry;
		ZEND_HASH_MAP_FOREACH_PTR(EG(modified_ini_directives), entry) {
			entry->orig_value = NULL;
			entry->modified = 0;
			entry->modifiable = entry->orig_modifiable;
			if (!(GC_FLAGS(entry->value) & GC_PERSISTENT)) {
				entry->value = zend_string_dup(entry->value, 1);
			}
		} ZEND_HASH_FOREACH_END();
		zend_hash_destroy(EG(modified_ini_directives));
		FREE_HASHTABLE(EG(modified_ini_directives));
		EG(modified_ini_directives) = NULL;
	}
	zval_ptr_dtor(&baseline.error.handler);
	ZVAL_COPY(&baseline.error.handler, &EG(user_error_handler));
	baseline.error.depth = zend_stack_count(&EG(user_error_handlers));
	zval_ptr_dtor(&baseline.exception.handler);
	ZVAL_COPY(&baseline.exception.handler, &EG(user_exception_handler));
	baseline.exception.depth = zend_stack_count(&EG(user_exception_handlers));
	baseline.reporting = EG(user_error_handler_error_reporting);
	free(baseline.locale);
	baseline.locale = copy_persistent(setlocale(LC_ALL, NULL));
	if (baseline.timezone) {
		zend_string_release(baseline.timezone);
	}
	baseline.timezone = timezone_now();
	timezone_was_set = false;
	if (!getcwd(baseline.cwd, sizeof(baseline.cwd))) {
		baseline.cwd[0] = 0;
	}
	baseline.mask = umask(0);
	umask(baseline.mask);
	BG(umask) = -1;
}

/* Shutdown functions of a worker script: they are for its end, not for that of a request. */
static HashTable *script_shutdown;

/* A worker script goes on between requests. */
void rr_web_script_runs(void)
{
	web_between();
}

/* A worker script begins. It finds itself in a request of nobody's, as apps that ask whether they are on the command line
 * expect. */
void rr_web_script_begins(void)
{
	zval *server = zend_hash_find(&EG(symbol_table), ZSTR_KNOWN(ZEND_STR_AUTOGLOBAL_SERVER));
	web_between();
	if (server && Z_TYPE_P(server) == IS_ARRAY) {
		SEPARATE_ARRAY(server);
		rr_web_script_variables(server);
	}
}

/* A worker script asks for a request. What it has set up until the first is what every one finds. */
void rr_web_script_asks(void)
{
	static bool booted;
	/* What it has printed is for the log. */
	php_output_end_all();
	php_output_deactivate();
	if (booted) {
		return;
	}
	booted = true;
	web_note_baseline();
	/* A limit that it has set is there for each request. */
	rr_interrupt_limit();
	script_shutdown = BG(user_shutdown_function_names);
	BG(user_shutdown_function_names) = NULL;
}

static void script_shutdown_functions(void)
{
	HashTable *functions = script_shutdown;
	if (functions && !BG(user_shutdown_function_names)) {
		script_shutdown = NULL;
		BG(user_shutdown_function_names) = functions;
		php_call_shutdown_functions();
		php_free_shutdown_functions();
	}
}

/* A worker script has ended. Returns its exit code. */
int rr_web_script_ends(void)
{
	volatile int code = EG(exit_status);
	zend_try {
		php_call_shutdown_functions();
		php_free_shutdown_functions();
		script_shutdown_functions();
		php_output_end_all();
	} zend_catch {
		code = 255;
		EG(current_execute_data) = NULL;
	} zend_end_try();
	if (rr_settle() == RR_THREW) {
		rr_report_exception();
		code = 255;
	}
	return code;
}

static zend_execute_data *server_frame;

bool rr_web_lives(void)
{
	return baseline.living;
}

/* In a worker whose requests are calls: without a frame that they come from, PHP takes an exception, and exit() too, for
 * the end of the process. It is that of Server::run(), which this process is in. */
void rr_web_serve_calls(void)
{
	EG(current_execute_data) = server_frame;
}

/* In a worker: the state that each request finds. `forget`: the global scope is the request's. */
void rr_web_settle_in(bool living, bool forget, bool script)
{
	web_install();
	scripted = script;
	baseline.living = living;
	baseline.forget = forget;
	if (!living) {
		sapi_module.activate = web_activate;
#ifdef ZEND_SIGNALS
		/* Seven system calls per request, for handlers that nobody but PHP sets here; php-fpm does the same. */
		SIGG(reset) = 0;
#endif
		/* The body is there, or has limits of its own: one timer less per request. */
		PG(max_input_time) = -1;
	}
	/* As php-fpm: a script runs in its folder. Here the worker goes there, and stays. */
	SG(options) |= SAPI_OPTION_NO_CHDIR;
	rr_folder_watch();
	if (!living) {
		return;
	}
	rr_note_calls("date_default_timezone_set", &own_timezone_set, noted_timezone_set);
	session_module = zend_hash_str_find_ptr(&module_registry, ZEND_STRL("session"));
	filter_module = zend_hash_str_find_ptr(&module_registry, ZEND_STRL("filter"));
	zlib_module = zend_hash_str_find_ptr(&module_registry, ZEND_STRL("zlib"));
	rr_scripts_hide_server(script);
	php_output_end_all();
	php_output_deactivate();
	SG(headers_sent) = 1;
	SG(request_info).no_headers = 1;
	sapi_deactivate();
	SG(request_info).argv0 = NULL;
	SG(request_info).argc = 0;
	SG(request_info).argv = NULL;
	/* The script of the server never goes on here. */
	server_frame = EG(current_execute_data);
	EG(current_execute_data) = NULL;
	/* PHP's handler for the signal of a time limit; each request sets its own. */
	zend_set_timeout(0, 1);
	rr_interrupt_limit();
	web_note_baseline();
	for (int i = 0; i < NUM_TRACK_VARS; i++) {
		zval_ptr_dtor_nogc(&PG(http_globals)[i]);
		ZVAL_UNDEF(&PG(http_globals)[i]);
	}
	ALLOC_HASHTABLE(baseline.names);
	zend_hash_init(baseline.names, 64, NULL, NULL, 0);
	zend_string *name;
	ZEND_HASH_FOREACH_STR_KEY(&EG(symbol_table), name) {
		if (name) {
			zend_hash_add_empty_element(baseline.names, name);
		}
	} ZEND_HASH_FOREACH_END();
}

/* -- a request --------------------------------------------------------------------------------------------------------- */

static void web_request_info(const rr_web_request *request)
{
	SG(server_context) = (void *) &baseline;
	SG(sapi_headers).http_response_code = 200;
	SG(request_info).request_method = request->method;
	SG(request_info).query_string = (char *) request->query;
	SG(request_info).request_uri = (char *) request->uri;
	SG(request_info).content_type = request->content_type;
	SG(request_info).content_length = request->content_length;
	SG(request_info).path_translated = (char *) request->path;
	SG(request_info).proto_num = request->protocol;
	SG(request_info).no_headers = 0;
	/* Those of the server's own script are no arguments of the request. */
	SG(request_info).argc = 0;
	SG(request_info).argv = NULL;
	web_cookie = request->cookie;
	web_root = request->root;
	EG(exit_status) = 0;
}

/* What PHP does for a module when a request begins, and when it is over. */
static void start_module(const zend_module_entry *module)
{
	if (module && module->request_startup_func) {
		module->request_startup_func(module->type, module->module_number);
	}
}

static void stop_module(const zend_module_entry *module)
{
	if (module && module->request_shutdown_func) {
		module->request_shutdown_func(module->type, module->module_number);
	}
}

/* Globals have been read into arrays of earlier requests; a living worker's code does not ask for them again. */
static void web_superglobals(void)
{
	static const char *const late[] = {"_REQUEST", "_ENV"};
	php_hash_environment();
	zend_is_auto_global(ZSTR_KNOWN(ZEND_STR_AUTOGLOBAL_SERVER));
	for (size_t i = 0; i < sizeof(late) / sizeof(*late); i++) {
		if (zend_hash_str_exists(&EG(symbol_table), late[i], strlen(late[i]))) {
			zend_is_auto_global_str(late[i], strlen(late[i]));
		}
	}
}

/* Begins a request; false: the worker must end. */
bool rr_web_begin(const rr_web_request *request)
{
	volatile bool sound = true;
	rr_interrupt_forget();
	web_request_info(request);
	if (!baseline.living) {
		/* Before $_SERVER is made. */
		php_handle_auth_data(request->authorization);
		return php_request_startup() == SUCCESS;
	}
	zend_try {
		PG(header_is_being_sent) = 0;
		PG(connection_status) = PHP_CONNECTION_NORMAL;
		PG(during_request_startup) = 1;
		/* The session hears of an upload's progress only before the script can. */
		PG(modules_activated) = 0;
		php_output_activate();
		SG(request_info).no_headers = 0;
		sapi_activate();
		php_handle_auth_data(request->authorization);
		/* A warning of the body may have been shown. */
		if (PG(expose_php) && !SG(headers_sent)) {
			sapi_add_header(SAPI_PHP_VERSION_HEADER, sizeof(SAPI_PHP_VERSION_HEADER) - 1, 1);
		}
		if (PG(output_handler) && PG(output_handler)[0]) {
			zval handler;
			ZVAL_STRING(&handler, PG(output_handler));
			php_output_start_user(&handler, 0, PHP_OUTPUT_HANDLER_STDFLAGS);
			zval_ptr_dtor(&handler);
		} else if (PG(output_buffering)) {
			php_output_start_user(NULL, PG(output_buffering) > 1 ? PG(output_buffering) : 0, PHP_OUTPUT_HANDLER_STDFLAGS);
		} else if (PG(implicit_flush)) {
			php_output_set_implicit_flush(1);
		}
		web_superglobals();
		/* What the client takes, and the buffer of zlib.output_compression. */
		start_module(zlib_module);
		PG(modules_activated) = 1;
		PG(during_request_startup) = 0;
		rr_interrupt_begin(INI_INT("max_execution_time"));
	} zend_catch {
		sound = false;
	} zend_end_try();
	SG(sapi_started) = 1;
	if (rr_settle() == RR_THREW) {
		rr_report_exception();
	}
	return sound;
}

void rr_web_status(int status)
{
	/* As PHP: an error that the script has named stays. */
	if (!SG(headers_sent) && (SG(sapi_headers).http_response_code < 400 || status == 504)) {
		SG(sapi_headers).http_response_code = status;
	}
}

static void restore_handler(zval *current, zend_stack *stack, const handler_state *state)
{
	while (zend_stack_count(stack) > state->depth) {
		zval_ptr_dtor((zval *) zend_stack_top(stack));
		zend_stack_del_top(stack);
	}
	if (Z_TYPE_P(current) != Z_TYPE(state->handler)
		|| (Z_REFCOUNTED_P(current) && Z_COUNTED_P(current) != Z_COUNTED(state->handler))) {
		zval old;
		ZVAL_COPY_VALUE(&old, current);
		ZVAL_COPY(current, &state->handler);
		zval_ptr_dtor(&old);
	}
}

/* What output_add_rewrite_var(), or a session without cookies, adds to links and forms. */
static void forget_rewriting(url_adapt_state_ex_t *state)
{
	if (state->active) {
		smart_str_free(&state->result);
		smart_str_free(&state->buf);
		smart_str_free(&state->tag);
		smart_str_free(&state->arg);
		smart_str_free(&state->form_app);
		smart_str_free(&state->url_app);
		state->active = state->tag_type = state->attr_type = 0;
	}
}

/* What the request has changed and the next one must not find. */
static void web_restore(void)
{
	forget_rewriting(&BG(url_adapt_output_ex));
	forget_rewriting(&BG(url_adapt_session_ex));
	rr_interrupt_end();
	if (EG(modified_ini_directives)) {
		zend_ini_deactivate();
	}
	restore_handler(&EG(user_error_handler), &EG(user_error_handlers), &baseline.error);
	restore_handler(&EG(user_exception_handler), &EG(user_exception_handlers), &baseline.exception);
	EG(user_error_handler_error_reporting) = baseline.reporting;
	if (BG(locale_changed)) {
		if (baseline.locale) {
			setlocale(LC_ALL, baseline.locale);
		}
		zend_update_current_locale();
		BG(locale_changed) = 0;
	}
	zend_string *zone = timezone_was_set ? timezone_now() : NULL;
	timezone_was_set = false;
	if (zone && baseline.timezone && !zend_string_equals(zone, baseline.timezone)) {
		zval function, argument, result;
		ZVAL_STRING(&function, "date_default_timezone_set");
		ZVAL_STR(&argument, baseline.timezone);
		call_user_function(NULL, NULL, &function, &result, 1, &argument);
		zval_ptr_dtor(&result);
		zval_ptr_dtor(&function);
	}
	if (zone) {
		zend_string_release(zone);
	}
	/* A file of the last request may be there no more. */
	php_clear_stat_cache(0, NULL, 0);
	/* A file is run in its folder anyway. */
	if (!baseline.forget && baseline.cwd[0] && rr_folder_was_left()) {
		rr_folder_enter(baseline.cwd, strlen(baseline.cwd));
	}
	/* Set by PHP's umask() only. */
	if (BG(umask) != -1) {
		umask(baseline.mask);
		BG(umask) = -1;
	}
}

/* Variables that a file has left in the global scope. */
static void web_forget_variables(void)
{
	zend_string *name;
	HashTable *table = &EG(symbol_table);
	if (!baseline.forget || zend_hash_num_elements(table) <= zend_hash_num_elements(baseline.names)) {
		return;
	}
	zend_string **gone = safe_emalloc(zend_hash_num_elements(table), sizeof(*gone), 0);
	uint32_t count = 0;
	ZEND_HASH_FOREACH_STR_KEY(table, name) {
		if (name && !zend_hash_exists(baseline.names, name) && !zend_is_auto_global(name)) {
			gone[count++] = zend_string_copy(name);
		}
	} ZEND_HASH_FOREACH_END();
	while (count > 0) {
		name = gone[--count];
		zend_hash_del_ind(table, name);
		zend_string_release(name);
	}
	efree(gone);
}

#define GUARDED(...) \
	zend_try { \
		__VA_ARGS__; \
	} zend_catch { \
		sound = false; \
		CG(unclean_shutdown) = 0; \
		EG(current_execute_data) = NULL; \
	} zend_end_try(); \
	if (rr_settle() == RR_THREW) { \
		sound = rr_report_exception() && sound; \
	}

/* Ends a request: shutdown functions, output, headers, then what the next one must not see. False: the worker must
 * end. */
bool rr_web_end(bool broken)
{
	volatile bool sound = !broken;
	if (!baseline.living) {
		php_request_shutdown(NULL);
		SG(server_context) = NULL;
		rr_web_finish(false);
		rr_clear_oom();
		return true;
	}
	rr_clear_oom();
	CG(unclean_shutdown) = 0;
	GUARDED(php_call_shutdown_functions())
	if (CG(unclean_shutdown)) {
		sound = false;
		CG(unclean_shutdown) = 0;
		EG(current_execute_data) = NULL;
	}
	GUARDED(php_free_shutdown_functions())
	if (!sound) {
		/* The worker script goes no further. */
		GUARDED(script_shutdown_functions())
	}
	GUARDED(php_output_end_all())
	GUARDED(if (!SG(headers_sent)) { php_header(); })
	rr_web_finish(false);
	GUARDED(stop_module(zlib_module); stop_module(session_module); start_module(session_module))
	GUARDED(zend_hash_str_del(&EG(symbol_table), "_SESSION", sizeof("_SESSION") - 1))
	GUARDED(stop_module(filter_module); start_module(filter_module))
	GUARDED(php_output_deactivate())
	GUARDED(
		php_stream *body = SG(request_info).request_body;
		sapi_deactivate();
		if (body) { php_stream_close(body); }
	)
	GUARDED(for (int i = 0; i < NUM_TRACK_VARS; i++) {
		zval_ptr_dtor_nogc(&PG(http_globals)[i]);
		ZVAL_UNDEF(&PG(http_globals)[i]);
	})
	GUARDED(web_forget_variables())
	rr_scripts_end();
	GUARDED(web_restore())
	if (rr_had_oom()) {
		sound = false;
		rr_clear_oom();
	}
	if (PG(last_error_message)) {
		zend_string_release(PG(last_error_message));
		PG(last_error_message) = NULL;
	}
	if (PG(last_error_file)) {
		zend_string_release(PG(last_error_file));
		PG(last_error_file) = NULL;
	}
	memset(&SG(request_info), 0, sizeof(SG(request_info)));
	SG(server_context) = NULL;
	SG(sapi_started) = 0;
	SG(global_request_time) = 0;
	web_cookie = NULL;
	EG(exit_status) = 0;
	PG(connection_status) = PHP_CONNECTION_NORMAL;
	web_between();
	return sound;
}

/* Sends all output and ends the response; the script goes on. False: it was over before. */
bool rr_web_finish_request(void)
{
	if (!SG(server_context)) {
		return false;
	}
	php_output_end_all();
	if (!SG(headers_sent)) {
		php_header();
	}
	return rr_web_finish(true);
}
