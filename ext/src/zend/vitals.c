/* What metrics say of PHP in a worker: memory, garbage collection, OPcache. */

#include "shim.h"

#include "php.h"
#include "zend_exceptions.h"
#include "zend_gc.h"

/* In the order of rr_wire::vitals, from MEMORY on. */
void rr_vitals(double *values)
{
	zend_gc_status gc;

	zend_gc_get_status(&gc);
	values[0] = (double) zend_memory_usage(0);
	values[1] = (double) zend_memory_peak_usage(0);
	values[2] = (double) gc.runs;
	values[3] = (double) gc.collected;
}

static double number(zval *array, const char *group, size_t group_length, const char *name, size_t length)
{
	zval *part = zend_hash_str_find(Z_ARRVAL_P(array), group, group_length);

	if (!part || Z_TYPE_P(part) != IS_ARRAY) {
		return 0;
	}
	part = zend_hash_str_find(Z_ARRVAL_P(part), name, length);
	return part ? zval_get_double(part) : 0;
}

#define STATISTIC(name) number(&status, ZEND_STRL("opcache_statistics"), ZEND_STRL(name))
#define MEMORY(name) number(&status, ZEND_STRL("memory_usage"), ZEND_STRL(name))

/* In the order of rr_wire::vitals, from OPCACHE_HITS on; false: there is none, or it does not say. Inside of a request
 * only, with no exception pending. */
bool rr_opcache(double *values)
{
	zend_function *function = zend_hash_str_find_ptr(CG(function_table), ZEND_STRL("opcache_get_status"));
	volatile bool told = false;
	volatile int reporting = EG(error_reporting);
	zval status, scripts;

	if (!function || EG(exception)) {
		return false;
	}
	ZVAL_UNDEF(&status);
	ZVAL_FALSE(&scripts);
	/* opcache.restrict_api would warn. */
	EG(error_reporting) = 0;
	zend_try {
		zend_call_known_function(function, NULL, NULL, &status, 1, &scripts, NULL);
		if (Z_TYPE(status) == IS_ARRAY) {
			values[0] = STATISTIC("hits");
			values[1] = STATISTIC("misses");
			values[2] = MEMORY("used_memory");
			values[3] = MEMORY("free_memory");
			values[4] = MEMORY("wasted_memory");
			values[5] = STATISTIC("num_cached_scripts");
			values[6] = STATISTIC("oom_restarts") + STATISTIC("hash_restarts") + STATISTIC("manual_restarts");
			told = true;
		}
		zval_ptr_dtor(&status);
	} zend_catch {
		told = false;
	} zend_end_try();
	EG(error_reporting) = reporting;
	if (EG(exception)) {
		zend_clear_exception();
	}
	return told;
}
