/* Forms that the master has parsed, as PHP's own parser would leave them: in $_POST and $_FILES, or in arrays of the
 * handler mode. */

#include "shim.h"

#include "php.h"
#include "SAPI.h"
#include "php_ini.h"
#include "php_variables.h"
#include "rfc1867.h"

/* In ext/src/zend/web.rs. */
extern bool rr_web_is_form(void);
extern bool rr_web_next_part(rr_part *part);

static void add_upload(const char *name, size_t length, const char *index, size_t index_length, const char *key, zval *value)
{
	/* `f[a][b]` becomes `f[key][a][b]`, as PHP names them. */
	char *full;
	size_t key_length = strlen(key);
	full = emalloc(length + index_length + key_length + 3);
	memcpy(full, name, length);
	full[length] = '[';
	memcpy(full + length + 1, key, key_length);
	full[length + 1 + key_length] = ']';
	memcpy(full + length + 2 + key_length, index, index_length);
	full[length + 2 + key_length + index_length] = 0;
	php_register_variable_ex(full, value, &PG(http_globals)[TRACK_VARS_FILES]);
	efree(full);
}

/* The errors of $_FILES that are decided here. */
enum {UPLOAD_INI_SIZE = 1, UPLOAD_FORM_SIZE = 2, UPLOAD_NO_FILE = 4, UPLOAD_GARBLED = 255};

static void release_name(zval *name)
{
	zend_string_release((zend_string *) Z_PTR_P(name));
}

/* Tells those who watch uploads, such as the session with its upload progress, what PHP's own parser would. Here all has
 * come by then. */
static void *watcher;

static size_t processed(void)
{
	return (size_t) SG(request_info).content_length;
}

static bool tell(unsigned int event, void *data)
{
	return !php_rfc1867_callback || php_rfc1867_callback(event, data, &watcher) != FAILURE;
}

static void tell_start(void)
{
	multipart_event_start event = {processed()};
	watcher = NULL;
	tell(MULTIPART_EVENT_START, &event);
}

static void tell_end(void)
{
	multipart_event_end event = {processed()};
	tell(MULTIPART_EVENT_END, &event);
}

/* False: the file is not wanted. */
static bool tell_file(rr_part *part)
{
	if (!php_rfc1867_callback) {
		return true;
	}
	char *name = estrndup(part->name, part->name_length), *file = estrndup(part->value, part->value_length), *given = file;
	multipart_event_file_start start = {processed(), name, &file};
	bool wanted = tell(MULTIPART_EVENT_FILE_START, &start);
	if (wanted && part->error == 0 && part->size > 0) {
		size_t length = part->size;
		multipart_event_file_data data = {processed(), 0, "", length, &length};
		wanted = tell(MULTIPART_EVENT_FILE_DATA, &data);
	}
	multipart_event_file_end end = {processed(), (char *) (part->path_length ? part->path : NULL), part->error};
	wanted = tell(MULTIPART_EVENT_FILE_END, &end) && wanted;
	if (file != given) {
		efree(file);
	}
	efree(given);
	efree(name);
	return wanted;
}

/* What a request's forms may have, counted down. */
typedef struct {
	zend_long files, fields, parts, most_parts;
} rr_form_left;

static rr_form_left left_of(void)
{
	zend_long fields = PG(max_input_vars), files = PG(file_uploads) ? INI_INT("max_file_uploads") : 0;
	zend_long parts = -1;
	/* Not in every release of PHP 8.2. */
	if (zend_hash_str_exists(EG(ini_directives), ZEND_STRL("max_multipart_body_parts"))) {
		parts = INI_INT("max_multipart_body_parts");
	}
	parts = parts < 0 ? fields + files : parts;
	rr_form_left left = {files, fields, parts, parts};
	return left;
}

/* Whether a part is taken; says so once when a limit of PHP's is met. */
static bool is_taken(const rr_part *part, rr_form_left *left)
{
	if (part->error == UPLOAD_GARBLED) {
		zend_error(E_WARNING, "File Upload Mime headers garbled");
		return false;
	}
	if (left->parts-- <= 0) {
		if (left->parts == -1) {
			php_error_docref(NULL, E_WARNING, "Multipart body parts limit exceeded " ZEND_LONG_FMT ". To increase the limit change max_multipart_body_parts in php.ini.", left->most_parts);
		}
		return false;
	}
	if (!part->is_file) {
		if (left->fields-- > 0) {
			return true;
		}
		if (left->fields == -1) {
			php_error_docref(NULL, E_WARNING, "Input variables exceeded " ZEND_LONG_FMT ". To increase the limit change max_input_vars in php.ini.", PG(max_input_vars));
		}
		return false;
	}
	if (!PG(file_uploads)) {
		return false;
	}
	if (left->files <= 0) {
		if (left->files == 0) {
			left->files = -1;
			zend_error(E_WARNING, "Maximum number of allowable file uploads has been exceeded");
		}
		return false;
	}
	/* Where no file was chosen none is counted. */
	if (part->error != UPLOAD_NO_FILE) {
		left->files--;
	}
	return true;
}

/* Decides what the file is, and notes one that is there as an upload of this request. */
static void judge_file(rr_part *part)
{
	zend_long limit = PG(upload_max_filesize);
	/* Of both limits php.ini's comes first. */
	if ((part->error == 0 || part->error == UPLOAD_FORM_SIZE) && limit > 0 && (zend_long) part->size > limit) {
		part->error = UPLOAD_INI_SIZE;
	}
	if (part->error != 0) {
		part->path_length = 0;
		part->size = 0;
		return;
	}
	if (!SG(rfc1867_uploaded_files)) {
		ALLOC_HASHTABLE(SG(rfc1867_uploaded_files));
		zend_hash_init(SG(rfc1867_uploaded_files), 8, NULL, release_name, 0);
	}
	zend_string *known = zend_string_init(part->path, part->path_length, 0);
	if (!zend_hash_add_ptr(SG(rfc1867_uploaded_files), known, known)) {
		zend_string_release(known);
	}
}

/* The name without its folders. Browsers of old gave paths of Windows. */
static void short_name(const rr_part *part, zval *into)
{
	const char *start = part->value, *end = part->value + part->value_length;
	for (const char *at = start; at < end; at++) {
		if (*at == '/' || *at == '\\') {
			start = at + 1;
		}
	}
	ZVAL_STRINGL(into, start, end - start);
}

static void add_file(rr_part *part)
{
	judge_file(part);
	const char *name = part->name;
	const char *bracket = memchr(name, '[', part->name_length);
	size_t base = bracket ? (size_t) (bracket - name) : part->name_length;
	const char *index = name + base;
	size_t index_length = part->name_length - base;
	zval value;
	short_name(part, &value);
	add_upload(name, base, index, index_length, "name", &value);
	ZVAL_STRINGL(&value, part->value, part->value_length);
	add_upload(name, base, index, index_length, "full_path", &value);
	if (part->error == 0) {
		ZVAL_STRINGL(&value, part->mime, part->mime_length);
	} else {
		ZVAL_EMPTY_STRING(&value);
	}
	add_upload(name, base, index, index_length, "type", &value);
	ZVAL_STRINGL(&value, part->path_length ? part->path : "", part->path_length);
	add_upload(name, base, index, index_length, "tmp_name", &value);
	ZVAL_LONG(&value, part->error);
	add_upload(name, base, index, index_length, "error", &value);
	ZVAL_LONG(&value, (zend_long) part->size);
	add_upload(name, base, index, index_length, "size", &value);
}

static bool tell_field(char *name, char **value, size_t *length)
{
	size_t given = *length;
	multipart_event_formdata event = {processed(), name, value, given, length};
	return tell(MULTIPART_EVENT_FORMDATA, &event);
}

static void add_field(const rr_part *part, zval *into)
{
	char *value = estrndup(part->value, part->value_length);
	char *name = estrndup(part->name, part->name_length);
	size_t length;
	if (!sapi_module.input_filter(PARSE_POST, name, &value, part->value_length, &length)) {
		/* The filter has registered it itself. */
		length = strlen(value);
		tell_field(name, &value, &length);
	} else if (tell_field(name, &value, &length)) {
		php_register_variable_safe(name, value, length, into);
	}
	efree(name);
	efree(value);
}

/* In handler mode: a part as a value of `fields`, or as a leaf of `files`. */
void rr_form_part(rr_part *part, bool first, zval *fields, zval *files)
{
	static rr_form_left left;
	if (first) {
		left = left_of();
	}
	if (!is_taken(part, &left)) {
		return;
	}
	if (!part->is_file) {
		char *name = estrndup(part->name, part->name_length);
		php_register_variable_safe((char *) name, (char *) part->value, part->value_length, fields);
		efree(name);
		return;
	}
	judge_file(part);
	zval leaf, name;
	array_init_size(&leaf, 8);
	short_name(part, &name);
	add_assoc_zval(&leaf, "name", &name);
	add_assoc_stringl(&leaf, "full_path", part->value, part->value_length);
	add_assoc_stringl(&leaf, "type", part->error ? "" : part->mime, part->error ? 0 : part->mime_length);
	add_assoc_stringl(&leaf, "tmp_name", part->path_length ? part->path : "", part->path_length);
	add_assoc_long(&leaf, "error", part->error);
	add_assoc_long(&leaf, "size", (zend_long) part->size);
	char *key = estrndup(part->name, part->name_length);
	php_register_variable_ex(key, &leaf, files);
	efree(key);
}

/* In handler mode, after a request: its uploads are none of the next one's. */
void rr_form_forget(void)
{
	if (SG(rfc1867_uploaded_files)) {
		destroy_uploaded_files_hash();
		SG(rfc1867_uploaded_files) = NULL;
	}
}

/* Registers the parts of a multipart form; takes the place of PHP's own parser. */
static void web_multipart(char *content_type, void *into)
{
	rr_part part;
	if (!rr_web_is_form()) {
		/* The master has left it as it is: PHP's own parser reads it from the channel. */
		rfc1867_post_handler(content_type, into);
		return;
	}
	if (SG(post_max_size) > 0 && SG(request_info).content_length > SG(post_max_size)) {
		sapi_module.sapi_error(E_WARNING, "POST Content-Length of " ZEND_LONG_FMT " bytes exceeds the limit of " ZEND_LONG_FMT " bytes", (zend_long) SG(request_info).content_length, SG(post_max_size));
		return;
	}
	if (Z_TYPE(PG(http_globals)[TRACK_VARS_FILES]) != IS_ARRAY) {
		array_init(&PG(http_globals)[TRACK_VARS_FILES]);
	}
	rr_form_left left = left_of();
	tell_start();
	while (rr_web_next_part(&part)) {
		if (!is_taken(&part, &left)) {
			continue;
		}
		if (!part.is_file) {
			add_field(&part, (zval *) into);
		} else if (tell_file(&part)) {
			add_file(&part);
		}
	}
	tell_end();
}

static const sapi_post_entry web_multipart_entry = {
	"multipart/form-data", sizeof("multipart/form-data") - 1, NULL, web_multipart
};

/* Takes the place of PHP's own parser, which would want the raw body. */
void rr_form_install(void)
{
	/* PHP refuses it while a script runs; the server's own goes on here for good. */
	zend_execute_data *frame = EG(current_execute_data);
	sapi_post_entry multipart = web_multipart_entry;
	EG(current_execute_data) = NULL;
	sapi_unregister_post_entry(&multipart);
	sapi_register_post_entry(&web_multipart_entry);
	EG(current_execute_data) = frame;
}
