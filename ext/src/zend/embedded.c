/* PHP source inside the extension: a class of it is compiled when it is first asked for. */

#include "shim.h"

#include "php.h"
#include "zend_compile.h"
#include "zend_exceptions.h"
#include "zend_execute.h"

/* In ext/src/zend/embedded.rs: false when there is no such class. */
extern bool rr_embedded_find(const char *name, size_t length, rr_embedded *found);

static zend_class_entry *(*next_autoload)(zend_string *name, zend_string *lc_name);

static bool has(const char *name, size_t length)
{
	zend_string *text = zend_string_init(name, length, 0);
	bool found = zend_lookup_class(text) != NULL;
	zend_string_release(text);
	return found && !EG(exception);
}

/* Whether the code has what it is built upon; throws where not. */
static bool satisfied(zend_string *name, const rr_embedded *code)
{
	for (size_t at = 0; at < code->needs_count; at++) {
		const rr_need *need = &code->needs[at];
		if (!has(need->name, need->name_length)) {
			if (!EG(exception)) {
				zend_throw_error(NULL, "%s needs %.*s, which is in the Composer package %.*s: composer require %.*s",
					ZSTR_VAL(name), (int) need->name_length, need->name, (int) need->package_length, need->package,
					(int) need->package_length, need->package);
			}
			return false;
		}
	}
	return true;
}

static void run(const rr_embedded *code)
{
	zend_string *source = zend_string_init(code->source, code->source_length, 0);
	zend_string *file = zend_string_init(code->file, code->file_length, 0);
	uint32_t options = CG(compiler_options);
	CG(compiler_options) = ZEND_COMPILE_DEFAULT;
	zend_op_array *ops = zend_compile_string(source, ZSTR_VAL(file), ZEND_COMPILE_POSITION_AT_OPEN_TAG);
	CG(compiler_options) = options;
	if (ops) {
		zval result;
		ZVAL_UNDEF(&result);
		/* It declares and does nothing else. */
		ops->scope = NULL;
		zend_execute(ops, &result);
		zval_ptr_dtor(&result);
		zend_destroy_static_vars(ops);
		destroy_op_array(ops);
		efree_size(ops, sizeof(zend_op_array));
	}
	zend_string_release(source);
	zend_string_release(file);
}

static zend_class_entry *autoload(zend_string *name, zend_string *lc_name)
{
	rr_embedded code;
	if (rr_embedded_find(ZSTR_VAL(lc_name), ZSTR_LEN(lc_name), &code)) {
		if (!satisfied(name, &code)) {
			return NULL;
		}
		/* What it needs may have loaded it. */
		zend_class_entry *class = zend_hash_find_ptr(EG(class_table), lc_name);
		if (!class) {
			run(&code);
			class = zend_hash_find_ptr(EG(class_table), lc_name);
		}
		return class;
	}
	return next_autoload ? next_autoload(name, lc_name) : NULL;
}

/* Module start-up: Zend asks here first. SPL is there already, as it is part of PHP. */
void rr_embedded_install(void)
{
	next_autoload = zend_autoload;
	zend_autoload = autoload;
}

/* Whether there is such a class, loading it if need be; what that threw is pending. */
bool rr_declared(const char *name, size_t length)
{
	volatile bool found = false;
	zend_try {
		found = has(name, length);
	} zend_end_try();
	return found;
}

/* Whether an object is of a class that may not be there. */
bool rr_is_a(zval *value, const char *name, size_t length)
{
	if (Z_TYPE_P(value) != IS_OBJECT) {
		return false;
	}
	zend_string *text = zend_string_init(name, length, 0);
	/* One that was never loaded has no objects. */
	zend_class_entry *class = zend_lookup_class_ex(text, NULL, ZEND_FETCH_CLASS_NO_AUTOLOAD);
	zend_string_release(text);
	return class && instanceof_function(Z_OBJCE_P(value), class);
}
