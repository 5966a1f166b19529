/* The files that a request runs, and what they must not see of the server's own script. */

#include "shim.h"

#include "php.h"
#include "SAPI.h"
#include "php_main.h"
#include "zend_constants.h"

/* In folder.c. */
extern void rr_folder_enter(const char *path, size_t length);

/* In shim.c. */
extern int rr_settle(void);

/* -- the server's script ------------------------------------------------------------------------------------------- */

/* Takes a constant of the command line out of sight. It stays in the table, under no name: code that has run already
 * knows its address, and the number of constants is what PHP remembers of those that it did not find. */
static void hide_constant(const char *name, const char *instead)
{
	HashTable *table = EG(zend_constants);
	zend_constant *constant = zend_hash_str_find_ptr(table, name, strlen(name));
	if (!constant || ZEND_CONSTANT_MODULE_NUMBER(constant) == PHP_USER_CONSTANT) {
		return;
	}
	dtor_func_t destructor = table->pDestructor;
	table->pDestructor = NULL;
	zend_hash_str_del(table, name, strlen(name));
	table->pDestructor = destructor;
	zend_hash_str_add_ptr(table, instead, strlen(name) + 1, constant);
	if (constant->name) {
		zend_string_release(constant->name);
		constant->name = NULL;
	}
}

/* In a living worker: apps take a PHP that has STDIN, or arguments, for one of the command line. A worker script is
 * written for a server and reports to STDERR what stops it. */
void rr_scripts_hide_server(bool script)
{
	hide_constant("STDIN", "\0STDIN");
	hide_constant("STDOUT", "\0STDOUT");
	if (!script) {
		hide_constant("STDERR", "\0STDERR");
	}
	zend_hash_del(&EG(symbol_table), ZSTR_KNOWN(ZEND_STR_ARGV));
	zend_hash_del(&EG(symbol_table), ZSTR_KNOWN(ZEND_STR_ARGC));
	char own[MAXPATHLEN];
	if (SG(request_info).path_translated && VCWD_REALPATH(SG(request_info).path_translated, own)) {
		zend_hash_str_del(&EG(included_files), own, strlen(own));
	}
}

/* -- files ----------------------------------------------------------------------------------------------------------- */

/* Those that the running request was to run, unless code has included them before: require_once of another request
 * means that they run. What is included by code stays, because what it has declared does. */
static zend_string *own_files[3];
static unsigned own_count;

/* A file is compiled; there were so many before. The opcode cache may have added it itself. */
static void note_included(zend_string *path, uint32_t before)
{
	HashTable *files = &EG(included_files);
	if (path) {
		zend_hash_add_empty_element(files, path);
	}
	/* A worker's script is no request's file. */
	if (SG(server_context) && zend_hash_num_elements(files) == before + 1 && own_count < sizeof(own_files) / sizeof(*own_files)) {
		zend_string *added;
		HashPosition last;
		zend_hash_internal_pointer_end_ex(files, &last);
		if (zend_hash_get_current_key_ex(files, &added, NULL, &last) == HASH_KEY_IS_STRING) {
			own_files[own_count++] = zend_string_copy(added);
		}
	}
}

/* The request is over. */
void rr_scripts_end(void)
{
	while (own_count > 0) {
		zend_string *path = own_files[--own_count];
		zend_hash_del(&EG(included_files), path);
		zend_string_release(path);
	}
}

/* Goes to the folder of a file that is to be run. */
void rr_web_enter(const char *path)
{
	const char *slash = strrchr(path, '/');
	if (slash) {
		rr_folder_enter(path, slash > path ? slash - path : 1);
	}
}

/* False: the last file that was to be run could not be read, or not compiled. */
static bool compiled = true;

bool rr_web_was_compiled(void)
{
	return compiled;
}

static int include_handle(zend_file_handle *file)
{
	volatile int outcome = RR_RETURNED;
	compiled = false;
	uint32_t included = zend_hash_num_elements(&EG(included_files));
	zend_try {
		zend_op_array *code = zend_compile_file(file, ZEND_REQUIRE);
		note_included(file->opened_path, included);
		if (code) {
			zval result;
			ZVAL_UNDEF(&result);
			compiled = true;
			zend_execute(code, &result);
			zval_ptr_dtor(&result);
			zend_destroy_static_vars(code);
			destroy_op_array(code);
			efree_size(code, sizeof(zend_op_array));
		}
		outcome = rr_settle();
	} zend_catch {
		outcome = RR_BAILED;
		EG(current_execute_data) = NULL;
		CG(unclean_shutdown) = 0;
		gc_protect(0);
	} zend_end_try();
	zend_destroy_file_handle(file);
	return outcome;
}

/* Runs a file in the global scope of a living worker. */
int rr_web_include(const char *path)
{
	zend_file_handle file;
	zend_stream_init_filename(&file, path);
	file.primary_script = 1;
	return include_handle(&file);
}

static const char *around(bool after)
{
	const char *name = after ? PG(auto_append_file) : PG(auto_prepend_file);
	return name && *name ? name : NULL;
}

/* Whether auto_prepend_file, or auto_append_file, names a file. */
bool rr_web_has_around(bool after)
{
	return around(after) != NULL;
}

/* Runs it in the global scope of a living worker; it is looked up along include_path. */
int rr_web_include_around(bool after)
{
	zend_file_handle file;
	zend_stream_init_filename(&file, around(after));
	return include_handle(&file);
}

/* Runs a file as the main script of a classic request. */
int rr_web_execute(const char *path)
{
	volatile int outcome = RR_RETURNED;
	zend_file_handle file;
	zend_stream_init_filename(&file, path);
	file.primary_script = 1;
	rr_web_enter(path);
	zend_try {
		php_execute_script(&file);
	} zend_catch {
		outcome = RR_BAILED;
	} zend_end_try();
	zend_destroy_file_handle(&file);
	/* exit(255) is no error. */
	if (EG(exit_status) == 255 && PG(last_error_message)
		&& (PG(last_error_type) & (E_ERROR | E_PARSE | E_CORE_ERROR | E_COMPILE_ERROR | E_USER_ERROR | E_RECOVERABLE_ERROR))) {
		outcome = RR_BAILED;
	}
	return outcome;
}
