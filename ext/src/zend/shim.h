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

/* What a chunk of an iterable response is given to; false stops the iteration. */
typedef bool (*rr_chunk_fn)(void *context, const char *bytes, size_t length);

#endif
