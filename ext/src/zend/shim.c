/* Calls into PHP and the SAPI that need macros. PHP code runs only inside zend_try here. */

#include "shim.h"

#include "php.h"
#include "SAPI.h"
#include "php_main.h"
#include "php_output.h"
#include "php_variables.h"
#include "zend_exceptions.h"
#include "zend_extensions.h"
#include "zend_gc.h"
#include "zend_interfaces.h"
#include "zend_smart_str.h"
#include "ext/spl/spl_exceptions.h"
#include "ext/standard/basic_functions.h"
#include "ext/standard/php_random.h"
#if PHP_VERSION_ID >= 80200
# include "ext/random/php_random.h"
#endif

/* In ext/src/role/hooks.rs. */
extern bool rr_on_output(const char *bytes, size_t length);
extern bool rr_on_flush(void);
extern void rr_on_log(const char *message, int severity);

/* In interrupt.c. */
extern void rr_interrupt_listen(void);
extern void rr_interrupt_limit(void);
extern void rr_interrupt_forget(void);

/* In form.c and events.c. */
extern void rr_form_forget(void);
extern zend_string *rr_event_text(zval *event);

#ifdef ZEND_HAS_OOM
/* Appended to the executor globals in a point release: an older PHP of the same minor has no such field. */
extern ZEND_API void ZEND_FASTCALL zend_handle_delayed_oom(void) __attribute__((weak));
#endif

bool rr_is_zts(void)
{
#ifdef ZTS
	return true;
#else
	return false;
#endif
}

const char *rr_php_version(void)
{
	return PHP_VERSION;
}

const char *rr_sapi_name(void)
{
	return sapi_module.name;
}

bool rr_has_opcache(void)
{
	return zend_get_extension("Zend OPcache") != NULL;
}

const char *rr_extension_dir(void)
{
	return PG(extension_dir);
}

/* The script's path, NULL for php -r and the like. */
const char *rr_script_path(void)
{
	return SG(request_info).path_translated;
}

/* Ends the running script as exit(status) would. */
void rr_exit_script(int status)
{
	EG(exit_status) = status;
	if (!EG(exception)) {
		zend_throw_unwind_exit();
	}
}

/* A fatal error was met below a script that must not see it. */
static bool failed_within;

void rr_fail_script(void)
{
	failed_within = true;
	rr_exit_script(255);
}

static void set_ini(const char *name, size_t length, const char *value)
{
	zend_string *key = zend_string_init(name, length, 1);
	zend_alter_ini_entry_chars(key, value, strlen(value), ZEND_INI_SYSTEM, ZEND_INI_STAGE_RUNTIME);
	zend_string_release(key);
}

/* -- exceptions --------------------------------------------------------------------------------------------- */

/* Plain internal classes: file, line, trace and the constructor are those of every PHP exception. */
zend_class_entry *rr_register_exception(const char *name, size_t length, zend_class_entry *parent)
{
	zend_class_entry declared;
	INIT_CLASS_ENTRY_EX(declared, name, length, NULL);
	return zend_register_internal_class_ex(&declared, parent ? parent : spl_ce_RuntimeException);
}

/* -- the zygote ---------------------------------------------------------------------------------------------- */

bool rr_report_exception(void);

/* Makes the heap small and still before it is shared: garbage collected, caches given back, buffers flushed. */
size_t rr_freeze(void)
{
	zend_try {
		php_output_end_all();
		zend_gc_collect_cycles();
	} zend_end_try();
	/* What a destructor threw must not be pending in every fork. */
	rr_report_exception();
	zend_mm_gc(zend_mm_get_heap());
	fflush(NULL);
	return zend_memory_usage(0);
}

/* -- the worker ---------------------------------------------------------------------------------------------- */

/* Nobody reads what a body prints: the script ends, as with php-fpm, unless it said otherwise. */
static void on_aborted(void)
{
	PG(connection_status) = PHP_CONNECTION_ABORTED;
	if (!PG(ignore_user_abort) && !EG(exception) && EG(current_execute_data)) {
		/* As exit(): no frame is skipped, so the worker lives. */
		php_output_set_status(PHP_OUTPUT_DISABLED);
		zend_throw_unwind_exit();
	}
}

static size_t on_write(const char *bytes, size_t length)
{
	if (!rr_on_output(bytes, length)) {
		on_aborted();
	}
	return length;
}

static void on_flush(void *context)
{
	(void) context;
	if (!rr_on_flush()) {
		on_aborted();
	}
}

static void on_log(const char *message, int severity)
{
	rr_on_log(message, severity);
}

static HashTable *worker_shutdown_functions;
static int worker_output_level;

/* Takes this process over after a fork: what siblings must not share is made anew. `idle`: no request of PHP's is
 * under way. */
void rr_become_worker(bool idle)
{
#if PHP_VERSION_ID >= 80200
	RANDOM_G(combined_lcg_seeded) = false;
	RANDOM_G(mt19937_seeded) = false;
#else
	BG(mt_rand_is_seeded) = 0;
	LCG(seeded) = 0;
#endif
	rr_interrupt_listen();
	if (idle) {
		return;
	}
	/* Those of the zygote are the master's to run, and it does. */
	php_free_shutdown_functions();
	php_output_discard_all();
	sapi_module.ub_write = on_write;
	sapi_module.flush = on_flush;
	sapi_module.log_message = on_log;
	PG(connection_status) = PHP_CONNECTION_NORMAL;
	/* No time limit, but PHP's handler for the signal of one, for set_time_limit(). */
	zend_set_timeout(0, 1);
	rr_interrupt_limit();
	/* Errors go to the log, never into a response. The web modes have settings of their own by now. */
	if (strcmp(sapi_module.name, "fpm-fcgi") != 0) {
		set_ini("display_errors", sizeof("display_errors") - 1, "0");
		set_ini("log_errors", sizeof("log_errors") - 1, "1");
		set_ini("html_errors", sizeof("html_errors") - 1, "0");
	}
	php_output_set_implicit_flush(0);
	SG(global_request_time) = 0;
#if PHP_VERSION_ID >= 80200
	zend_memory_reset_peak_usage();
#endif
}

/* Shutdown functions that the worker's start registered run at its end, not after the first request. */
void rr_worker_started(void)
{
	worker_shutdown_functions = BG(user_shutdown_function_names);
	BG(user_shutdown_function_names) = NULL;
	worker_output_level = php_output_get_level();
}

/* Where the engine stands: a bailout leaves it in frames that are gone. */
typedef struct {
	zend_execute_data *execute_data;
	zend_vm_stack stack;
	zval *top, *end;
} engine_frame;

static engine_frame engine_frame_here(void)
{
	engine_frame frame = {EG(current_execute_data), EG(vm_stack), EG(vm_stack_top), EG(vm_stack_end)};
	return frame;
}

static void engine_frame_restore(const engine_frame *frame)
{
	EG(current_execute_data) = frame->execute_data;
	EG(vm_stack) = frame->stack;
	EG(vm_stack_top) = frame->top;
	EG(vm_stack_end) = frame->end;
	CG(unclean_shutdown) = 0;
	gc_protect(0);
}

/* -- calls ------------------------------------------------------------------------------------------------------ */

typedef struct {
	zend_fcall_info info;
	zend_fcall_info_cache cache;
	zval callable;
} rr_callable;

/* A callable that is looked up once; NULL when it is none. */
rr_callable *rr_callable_new(zval *callable)
{
	rr_callable *made = pemalloc(sizeof(*made), 1);
	ZVAL_COPY(&made->callable, callable);
	if (zend_fcall_info_init(&made->callable, 0, &made->info, &made->cache, NULL, NULL) != SUCCESS) {
		zval_ptr_dtor(&made->callable);
		pefree(made, 1);
		return NULL;
	}
	return made;
}

void rr_callable_free(rr_callable *callable)
{
	zval_ptr_dtor(&callable->callable);
	pefree(callable, 1);
}

bool rr_had_oom(void)
{
#ifdef ZEND_HAS_OOM
	return zend_handle_delayed_oom && EG(delayed_oom).state != ZEND_OOM_STATE_NONE;
#else
	return false;
#endif
}

void rr_clear_oom(void)
{
#ifdef ZEND_HAS_OOM
	if (rr_had_oom()) {
		if (EG(delayed_oom).message) {
			zend_string_release(EG(delayed_oom).message);
		}
		if (EG(delayed_oom).filename) {
			zend_string_release(EG(delayed_oom).filename);
		}
		memset(&EG(delayed_oom), 0, sizeof(EG(delayed_oom)));
	}
#endif
}

static bool is_exit(const zend_object *exception)
{
	return zend_is_unwind_exit(exception) || zend_is_graceful_exit(exception);
}

/* Classifies what is in EG(exception); exit() is taken out of it. */
int rr_settle(void)
{
	int outcome = RR_RETURNED;
	if (rr_had_oom() || failed_within) {
		outcome = RR_BAILED;
	}
	if (EG(exception)) {
		if (is_exit(EG(exception))) {
			OBJ_RELEASE(EG(exception));
			EG(exception) = NULL;
			EG(opline_before_exception) = NULL;
			outcome = outcome == RR_BAILED ? RR_BAILED : RR_EXITED;
		} else if (outcome != RR_BAILED) {
			outcome = RR_THREW;
		}
	}
	return outcome;
}

/* Calls PHP. The result is owned by the caller, and undefined unless RR_RETURNED. */
int rr_call(rr_callable *callable, uint32_t count, zval *arguments, zval *result)
{
	volatile int outcome = RR_RETURNED;
	engine_frame frame = engine_frame_here();

	ZVAL_UNDEF(result);
	zend_try {
		callable->info.retval = result;
		callable->info.params = arguments;
		callable->info.param_count = count;
		zend_call_function(&callable->info, &callable->cache);
		outcome = rr_settle();
	} zend_catch {
		outcome = RR_BAILED;
		engine_frame_restore(&frame);
	} zend_end_try();
	if (outcome != RR_RETURNED && !Z_ISUNDEF_P(result) && outcome != RR_BAILED) {
		zval_ptr_dtor(result);
		ZVAL_UNDEF(result);
	}
	return outcome;
}

/* Calls a function for what it prints, output buffers included. */
int rr_print(zval *function)
{
	volatile int outcome = RR_BAILED;
	int level = php_output_get_level();
	rr_callable *callable = rr_callable_new(function);
	zval result;
	if (!callable) {
		return RR_RETURNED;
	}
	outcome = rr_call(callable, 0, NULL, &result);
	if (outcome == RR_RETURNED) {
		zval_ptr_dtor(&result);
	}
	engine_frame frame = engine_frame_here();
	zend_try {
		while (php_output_get_level() > level) {
			/* What an exception has interrupted is no part of a body. */
			if ((outcome == RR_RETURNED || outcome == RR_EXITED ? php_output_end() : php_output_discard()) != SUCCESS) {
				break;
			}
		}
		if (outcome == RR_RETURNED) {
			outcome = rr_settle();
		}
	} zend_catch {
		outcome = RR_BAILED;
		engine_frame_restore(&frame);
	} zend_end_try();
	php_output_set_status(0);
	rr_callable_free(callable);
	return outcome;
}

/* The pending exception as text, its trace included; NULL when there is none. Owned by the caller. */
zend_string *rr_exception_text(void)
{
	zend_string *volatile text = NULL;
	zend_object *volatile pending = EG(exception);
	if (!pending) {
		return NULL;
	}
	GC_ADDREF(pending);
	zend_clear_exception();
	zend_try {
		zval exception;
		ZVAL_OBJ(&exception, pending);
		text = zval_try_get_string(&exception);
		if (EG(exception)) {
			zend_clear_exception();
		}
	} zend_end_try();
	EG(exception) = NULL;
	if (EG(current_execute_data)) {
		zend_throw_exception_internal(pending);
	} else {
		/* Without a frame to unwind that would be the end of the process. */
		EG(exception) = pending;
	}
	return text;
}

/* Gives the pending exception to the app's handler, as PHP does; another may be pending then. exit() breaks nothing,
 * although PHP leaves the outermost function by a bailout: its frame is gone in order, and there is no new error. */
static int ask_handler(void)
{
	zend_object *volatile asked = EG(exception);
	zend_string *volatile last = PG(last_error_message);
	volatile int ending = RR_HANDLED;
	zval handler, argument, result;
	EG(exception) = NULL;
	if (last) {
		zend_string_addref(last);
	}
	ZVAL_COPY_VALUE(&handler, &EG(user_exception_handler));
	zend_stack_push(&EG(user_exception_handlers), &handler);
	ZVAL_UNDEF(&EG(user_exception_handler));
	ZVAL_OBJ(&argument, asked);
	zend_try {
		if (call_user_function(NULL, NULL, &handler, &result, 1, &argument) == SUCCESS) {
			zval_ptr_dtor(&result);
		}
	} zend_catch {
		ending = PG(last_error_message) == last && !rr_had_oom() ? RR_LEFT : RR_BROKEN;
		if (ending == RR_LEFT) {
			CG(unclean_shutdown) = 0;
			gc_protect(0);
		}
	} zend_end_try();
	if (last) {
		zend_string_release(last);
	}
	if (ending != RR_BROKEN) {
		OBJ_RELEASE(asked);
	}
	zval *kept = zend_stack_top(&EG(user_exception_handlers));
	if (Z_TYPE(EG(user_exception_handler)) == IS_UNDEF && kept) {
		ZVAL_COPY_VALUE(&EG(user_exception_handler), kept);
		zend_stack_del_top(&EG(user_exception_handlers));
	}
	return ending;
}

/* Gives the pending exception to the app's exception handler, if there is one. */
int rr_handle_exception(void)
{
	volatile int ending = RR_HANDLED;
	if (!EG(exception)) {
		return RR_HANDLED;
	}
	zend_try {
		if (Z_TYPE(EG(user_exception_handler)) != IS_UNDEF && !is_exit(EG(exception))) {
			ending = ask_handler();
		}
		if (EG(exception) && is_exit(EG(exception))) {
			OBJ_RELEASE(EG(exception));
			EG(exception) = NULL;
			ending = RR_LEFT;
		} else if (EG(exception)) {
			ending = RR_PENDING;
		}
	} zend_catch {
		ending = RR_BROKEN;
	} zend_end_try();
	if (ending == RR_BROKEN || rr_had_oom()) {
		EG(exception) = NULL;
		return RR_BROKEN;
	}
	return ending;
}

/* Ends the pending exception in the error log. False: PHP is broken. */
bool rr_log_exception(void)
{
	volatile bool sound = true;
	zend_object *pending = EG(exception);
	if (!pending) {
		return true;
	}
	zend_try {
		GC_ADDREF(pending);
		zend_clear_exception();
		/* E_DONT_BAIL: it is a fatal error to the log and to nobody else. */
		(void) zend_exception_error(pending, E_ERROR | E_DONT_BAIL);
	} zend_catch {
		sound = false;
	} zend_end_try();
	EG(exception) = NULL;
	return sound && !rr_had_oom();
}

/* Forgets the pending exception if it is of this class: 0 it is not, 1 it is forgotten, 2 PHP is broken. */
int rr_forget_exception(zend_class_entry *class)
{
	volatile int forgotten = 1;
	if (!EG(exception) || !instanceof_function(EG(exception)->ce, class)) {
		return 0;
	}
	zend_try {
		/* Destructors of what its trace holds are PHP code. */
		zend_clear_exception();
	} zend_catch {
		forgotten = 2;
	} zend_end_try();
	EG(exception) = NULL;
	return rr_had_oom() ? 2 : forgotten;
}

/* Ends the pending exception: the app's exception handler gets it, else the error log. False: PHP is broken. */
bool rr_report_exception(void)
{
	int ending = rr_handle_exception();
	return ending == RR_PENDING ? rr_log_exception() : ending != RR_BROKEN;
}

/* The message of the last error, for a debug page; NULL when there is none. */
zend_string *rr_last_error(void)
{
	return PG(last_error_message);
}

/* Shutdown functions and leftovers of one request. False: this process must end. */
bool rr_end_request(bool broken)
{
	volatile bool sound = !broken;
	if (BG(user_shutdown_function_names)) {
		engine_frame frame = engine_frame_here();
		rr_clear_oom();
		/* It catches bailouts itself; this is how it shows. */
		CG(unclean_shutdown) = 0;
		zend_try {
			php_call_shutdown_functions();
		} zend_catch {
			sound = false;
		} zend_end_try();
		if (CG(unclean_shutdown)) {
			sound = false;
			engine_frame_restore(&frame);
		}
		if (rr_settle() == RR_THREW) {
			sound = rr_report_exception() && sound;
		}
		zend_try {
			php_free_shutdown_functions();
		} zend_end_try();
	}
	if (php_output_get_level() > worker_output_level) {
		zend_try {
			while (php_output_get_level() > worker_output_level && php_output_end() == SUCCESS);
		} zend_catch {
			sound = false;
		} zend_end_try();
		if (rr_settle() == RR_THREW) {
			sound = rr_report_exception() && sound;
		}
	}
	/* What destructors threw since the answer belongs to this request and to no other. */
	if (rr_settle() == RR_THREW) {
		sound = rr_report_exception() && sound;
	}
	if (rr_had_oom()) {
		sound = false;
		rr_clear_oom();
	}
	rr_form_forget();
	rr_interrupt_forget();
	if (EG(timeout_seconds)) {
		/* set_time_limit() was for this request. */
		set_ini("max_execution_time", sizeof("max_execution_time") - 1, "0");
	}
	EG(exit_status) = 0;
	PG(connection_status) = PHP_CONNECTION_NORMAL;
	/* header() and sessions leave headers, output says that they were sent: neither is the next request's. */
	SG(headers_sent) = 0;
	if (zend_llist_count(&SG(sapi_headers).headers)) {
		zend_llist_clean(&SG(sapi_headers).headers);
	}
	if (PG(last_error_message)) {
		zend_string_release(PG(last_error_message));
		PG(last_error_message) = NULL;
		if (PG(last_error_file)) {
			zend_string_release(PG(last_error_file));
			PG(last_error_file) = NULL;
		}
	}
	return sound;
}

/* What the worker's start registered, at its end. */
void rr_worker_stops(void)
{
	BG(user_shutdown_function_names) = worker_shutdown_functions;
	worker_shutdown_functions = NULL;
	zend_try {
		php_call_shutdown_functions();
	} zend_end_try();
	if (rr_settle() == RR_THREW) {
		rr_report_exception();
	}
	zend_try {
		php_output_end_all();
	} zend_end_try();
}

/* Runs a function in the outermost frame of a process: no bailout may jump into an inherited one. */
bool rr_guarded(void (*run)(void *), void *context)
{
	volatile bool sound = true;
	JMP_BUF *inherited = EG(bailout);
	EG(bailout) = NULL;
	zend_try {
		run(context);
	} zend_catch {
		sound = false;
	} zend_end_try();
	EG(bailout) = inherited;
	return sound;
}

/* Frees a value, whose destructor may be PHP code. False: this process must end. */
bool rr_free(zval *value)
{
	volatile bool sound = true;
	zend_try {
		zval_ptr_dtor(value);
	} zend_catch {
		sound = false;
		CG(unclean_shutdown) = 0;
	} zend_end_try();
	ZVAL_UNDEF(value);
	return sound;
}

/* A value as text, NULL unless RR_RETURNED. Owned by the caller. */
zend_string *rr_to_string(zval *value, int *outcome)
{
	zend_string *volatile text = NULL;
	volatile int how = RR_RETURNED;
	engine_frame frame = engine_frame_here();
	zend_try {
		text = zval_try_get_string(value);
		how = rr_settle();
	} zend_catch {
		how = RR_BAILED;
		engine_frame_restore(&frame);
	} zend_end_try();
	*outcome = how;
	return how == RR_RETURNED ? text : NULL;
}

/* Bytes that PHP code may use; 0 is no limit. */
size_t rr_memory_limit(void)
{
	return PG(memory_limit) > 0 ? (size_t) PG(memory_limit) : 0;
}

/* -- values ----------------------------------------------------------------------------------------------------- */

/* Parses a query string as parse_str() does, into a new array. */
void rr_parse_query(const char *query, size_t length, zval *result)
{
	char *copy = estrndup(query, length);
	array_init(result);
	/* Takes the copy over. */
	sapi_module.treat_data(PARSE_STRING, copy, result);
}

static bool give_chunk(zval *value, bool events, rr_chunk_fn give, void *context)
{
	bool more = true;
	ZVAL_DEREF(value);
	if (events) {
		zend_string *text = rr_event_text(value);
		if (!text) {
			return false;
		}
		more = give(context, ZSTR_VAL(text), ZSTR_LEN(text));
		zend_string_release(text);
	} else if (Z_TYPE_P(value) == IS_STRING) {
		more = give(context, Z_STRVAL_P(value), Z_STRLEN_P(value));
	} else {
		zend_string *text = zval_try_get_string(value);
		if (!text) {
			return false;
		}
		more = give(context, ZSTR_VAL(text), ZSTR_LEN(text));
		zend_string_release(text);
	}
	return more && !EG(exception);
}

/* Bytes of a stream that are read at a time. */
#define STREAM_PIECE (32 * 1024)

static void read_stream(zval *resource, rr_chunk_fn give, void *context)
{
	php_stream *stream = zend_fetch_resource2(Z_RES_P(resource), NULL, php_file_le_stream(), php_file_le_pstream());
	if (!stream) {
		zend_throw_error(NULL, "the body of the response is a resource that is no open stream");
		return;
	}
	char *piece = emalloc(STREAM_PIECE);
	bool more = true;
	while (more && !EG(exception) && !php_stream_eof(stream)) {
		ssize_t length = php_stream_read(stream, piece, STREAM_PIECE);
		if (length < 0) {
			break;
		}
		more = length == 0 || give(context, piece, length);
	}
	efree(piece);
}

static void iterate(zval *iterable, bool events, rr_chunk_fn give, void *context)
{
	if (Z_TYPE_P(iterable) == IS_RESOURCE) {
		read_stream(iterable, give, context);
		return;
	}
	if (Z_TYPE_P(iterable) == IS_ARRAY) {
		zval *value;
		ZEND_HASH_FOREACH_VAL(Z_ARRVAL_P(iterable), value) {
			if (!give_chunk(value, events, give, context)) {
				break;
			}
		} ZEND_HASH_FOREACH_END();
		return;
	}
	zend_class_entry *ce = Z_OBJCE_P(iterable);
	zend_object_iterator *iterator = ce->get_iterator(ce, iterable, 0);
	if (!iterator || EG(exception)) {
		return;
	}
	if (iterator->funcs->rewind) {
		iterator->funcs->rewind(iterator);
	}
	while (!EG(exception) && iterator->funcs->valid(iterator) == SUCCESS && !EG(exception)) {
		zval *value = iterator->funcs->get_current_data(iterator);
		if (EG(exception) || !value || !give_chunk(value, events, give, context)) {
			break;
		}
		iterator->funcs->move_forward(iterator);
	}
	zend_iterator_dtor(iterator);
}

/* Gives every value of an array or Traversable as text, or as an event, or a stream piece by piece. */
int rr_each_chunk(zval *iterable, bool events, rr_chunk_fn give, void *context)
{
	volatile int outcome = RR_RETURNED;
	engine_frame frame = engine_frame_here();
	zend_try {
		iterate(iterable, events, give, context);
		outcome = rr_settle();
	} zend_catch {
		outcome = RR_BAILED;
		engine_frame_restore(&frame);
	} zend_end_try();
	return outcome;
}
