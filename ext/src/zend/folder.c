/* The working directory of web requests: two system calls per request, unless somebody remembers where the worker is. */

#include "shim.h"

#include <time.h>
#include <unistd.h>

#include "php.h"
#include "php_main.h"

/* Where the worker was taken to, when, and whether a script has gone elsewhere since. */
static char folder[MAXPATHLEN];
static time_t entered;
static bool moved = true;

static zif_handler own_chdir, own_chroot;

static ZEND_NAMED_FUNCTION(noted_chdir)
{
	moved = true;
	own_chdir(INTERNAL_FUNCTION_PARAM_PASSTHRU);
}

static ZEND_NAMED_FUNCTION(noted_chroot)
{
	moved = true;
	own_chroot(INTERNAL_FUNCTION_PARAM_PASSTHRU);
}

/* Puts a handler in front of a function's own, so that it is known that a script has called it. */
void rr_note_calls(const char *name, zif_handler *own, zif_handler noted)
{
	zend_function *function = zend_hash_str_find_ptr(CG(function_table), name, strlen(name));
	if (function && function->type == ZEND_INTERNAL_FUNCTION && function->internal_function.handler != noted) {
		*own = function->internal_function.handler;
		function->internal_function.handler = noted;
	}
}

/* Once in a worker: scripts that leave are noticed. */
void rr_folder_watch(void)
{
	rr_note_calls("chdir", &own_chdir, noted_chdir);
	rr_note_calls("chroot", &own_chroot, noted_chroot);
}

/* Goes to a folder unless the worker is there. Once a second it goes anyway: another may stand under the name by now. */
void rr_folder_enter(const char *path, size_t length)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	if (!moved && now.tv_sec == entered && memcmp(folder, path, length) == 0 && folder[length] == 0) {
		return;
	}
	if (length >= sizeof(folder)) {
		return;
	}
	memcpy(folder, path, length);
	folder[length] = 0;
	moved = chdir(folder) != 0;
	entered = now.tv_sec;
}

/* Whether a script has left the folder it was run in. */
bool rr_folder_was_left(void)
{
	return moved;
}
