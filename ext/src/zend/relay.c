/* A command worker that was forked: its script runs as with php's command line, and STDIN and STDOUT are its relay in
 * shared memory (`rr_worker::Port`). What it prints goes to the log. */

#include "shim.h"

#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "php.h"
#include "SAPI.h"
#include "php_main.h"
#include "php_network.h"
#include "php_output.h"
#include "php_variables.h"
#include "zend_constants.h"
#include "ext/standard/basic_functions.h"

/* In ext/src/zend/relay.rs. */
extern ssize_t rr_relay_read(char *buffer, size_t length, bool wait, bool *end);
extern bool rr_relay_write(const char *bytes, size_t length);
extern bool rr_relay_ready(void);

/* Whether STDIN waits for what is not there. */
static bool waits = true;
/* Readable and writable at any time; readable in a moment. */
static int always = -1, soon = -1;

/* How long stream_select() on STDIN takes a relay that has nothing for silent: who waits for longer finds out by
 * reading, which waits. */
#define MOMENT 5000000

static ssize_t relay_read(php_stream *stream, char *buffer, size_t length)
{
	bool end = false;
	ssize_t count = rr_relay_read(buffer, length, waits, &end);
	if (end) {
		stream->eof = 1;
	}
	return count;
}

static ssize_t relay_write(php_stream *stream, const char *bytes, size_t length)
{
	(void) stream;
	return rr_relay_write(bytes, length) ? (ssize_t) length : -1;
}

static int relay_flush(php_stream *stream)
{
	(void) stream;
	return 0;
}

static int relay_close(php_stream *stream, int close_handle)
{
	(void) stream;
	(void) close_handle;
	return 0;
}

static int relay_descriptor(bool reads)
{
	if (always < 0) {
		always = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
	}
	if (!reads || rr_relay_ready()) {
		return always;
	}
	if (soon < 0) {
		soon = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	}
	struct itimerspec moment = {{0, 0}, {0, MOMENT}};
	timerfd_settime(soon, 0, &moment, NULL);
	return soon;
}

static int relay_cast(php_stream *stream, int as, void **result)
{
	if (as != PHP_STREAM_AS_FD_FOR_SELECT && as != PHP_STREAM_AS_FD) {
		return FAILURE;
	}
	if (result) {
		*(php_socket_t *) result = relay_descriptor(stream->mode[0] == 'r');
	}
	return SUCCESS;
}

static int relay_option(php_stream *stream, int option, int value, void *more)
{
	(void) more;
	if (option == PHP_STREAM_OPTION_BLOCKING && stream->mode[0] == 'r') {
		int before = waits;
		waits = value;
		return before;
	}
	return PHP_STREAM_OPTION_RETURN_NOTIMPL;
}

static const php_stream_ops relay_ops = {
	relay_write, relay_read, relay_close, relay_flush, "roadrunner", NULL, relay_cast, NULL, relay_option,
};

static void constant(const char *name, size_t length, php_stream *stream)
{
	zend_constant constant;
	if (!stream) {
		return;
	}
	/* The script ends with its process. */
	stream->flags |= PHP_STREAM_FLAG_NO_CLOSE;
	php_stream_to_zval(stream, &constant.value);
	Z_ADDREF(constant.value);
	ZEND_CONSTANT_SET_FLAGS(&constant, 0, 0);
	constant.name = zend_string_init_interned(name, length, 0);
	zend_register_constant(&constant);
}

static php_stream *relay_open(const char *mode)
{
	php_stream *stream = php_stream_alloc(&relay_ops, NULL, NULL, mode);
	if (stream) {
		/* A read gets what it asks for, and a header is never cut. */
		stream->flags |= PHP_STREAM_FLAG_NO_BUFFER;
	}
	return stream;
}

static const char *script;

/* $_SERVER, as php's command line fills it. */
static void command_variables(zval *array)
{
	static const char *const names[] = {"PHP_SELF", "SCRIPT_NAME", "SCRIPT_FILENAME", "PATH_TRANSLATED"};
	size_t length = strlen(script);
	php_import_environment_variables(array);
	for (size_t index = 0; index < sizeof(names) / sizeof(*names); index++) {
		php_register_variable_safe(names[index], script, length, array);
	}
	php_register_variable_safe("DOCUMENT_ROOT", "", 0, array);
}

/* In the zygote of a pool of commands: ends the request that the server's script ran in. */
void rr_command_leave_script(void)
{
	php_free_shutdown_functions();
	zend_objects_store_mark_destructed(&EG(objects_store));
	EG(current_execute_data) = NULL;
	php_output_discard_all();
	SG(headers_sent) = 1;
	SG(request_info).no_headers = 1;
	php_request_shutdown(NULL);
	SG(server_context) = NULL;
}

/* Runs the script to its end. Returns its exit code. */
int rr_command_run(const char *path, int argc, char **argv)
{
	volatile int status = 255;
	zend_file_handle file;
	script = path;
	sapi_module.register_server_variables = command_variables;
	SG(options) |= SAPI_OPTION_NO_CHDIR;
	SG(request_info).argc = argc;
	SG(request_info).argv = argv;
	SG(request_info).path_translated = (char *) path;
	SG(request_info).no_headers = 0;
	SG(headers_sent) = 0;
	SG(global_request_time) = 0;
	zend_try {
		if (php_request_startup() == SUCCESS) {
			SG(request_info).no_headers = 0;
			SG(headers_sent) = 0;
			PG(during_request_startup) = 0;
			EG(exit_status) = 0;
			zend_register_bool_constant(ZEND_STRL("PHP_CLI_PROCESS_TITLE"), true, 0, 0);
			zend_is_auto_global(ZSTR_KNOWN(ZEND_STR_AUTOGLOBAL_SERVER));
			constant(ZEND_STRL("STDIN"), relay_open("rb"));
			constant(ZEND_STRL("STDOUT"), relay_open("wb"));
			constant(ZEND_STRL("STDERR"), php_stream_open_wrapper_ex("php://stderr", "wb", 0, NULL, NULL));
			zend_stream_init_filename(&file, path);
			file.primary_script = 1;
			/* The first line may be for the shell. */
			CG(skip_shebang) = 1;
			php_execute_script(&file);
			status = EG(exit_status);
			zend_destroy_file_handle(&file);
		}
	} zend_catch {
		status = EG(exit_status) ? EG(exit_status) : 255;
	} zend_end_try();
	zend_try {
		php_request_shutdown(NULL);
	} zend_end_try();
	return status;
}
