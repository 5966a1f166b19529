/* The C side of ext/src/zend: everything that needs Zend or SAPI macros. */
#ifndef RR_SHIM_H
#define RR_SHIM_H

#include <stddef.h>
#include <stdint.h>
#include <stdbool.h>

/* How a call into PHP ended. */
enum rr_outcome {
	RR_RETURNED = 0,
	RR_THREW = 1,    /* EG(exception) is set */
	RR_EXITED = 2,   /* exit() or die() */
	RR_BAILED = 3    /* a fatal error; this process must end soon */
};

/* What the app's exception handler has made of an exception that nobody caught. */
enum rr_ending {
	RR_BROKEN = -1,  /* a fatal error; this process must end soon */
	RR_PENDING = 0,  /* nothing: there is no handler, or it threw itself */
	RR_HANDLED = 1,
	RR_LEFT = 2      /* handled, and the script ends there: exit() */
};

/* What a chunk of an iterable response is given to; false stops the iteration. */
typedef bool (*rr_chunk_fn)(void *context, const char *bytes, size_t length);

/* A request of the web modes; all texts end with NUL and live until the request is over. */
typedef struct {
	const char *method, *query, *uri, *content_type, *cookie, *authorization, *path;
	int64_t content_length;
	/* Bytes of `path` that are the document root. */
	size_t root;
	int protocol;
} rr_web_request;

/* A part of a multipart form; the texts live until the next part is asked for. */
typedef struct {
	const char *name, *value, *mime, *path;
	size_t name_length, value_length, mime_length, path_length;
	uint64_t size;
	int error;
	bool is_file;
} rr_part;

/* What embedded code is built upon, and the package that has it. */
typedef struct {
	const char *name, *package;
	size_t name_length, package_length;
} rr_need;

/* A PHP file inside the extension. */
typedef struct {
	const char *file, *source;
	size_t file_length, source_length;
	const rr_need *needs;
	size_t needs_count;
} rr_embedded;

#endif
