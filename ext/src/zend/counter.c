/* The short way of RoadRunner\Counter::inc(): without the parsing of arguments that costs more than the count. */

#include "shim.h"

#include <float.h>

#include "php.h"

/* In counter.rs. */
extern bool rr_counter_add(zend_object *counter, double by);

static zif_handler whole_way;

/* inc() and inc(number) of a counter that has its cell; all else, and what is wrong, goes the whole way. */
static ZEND_NAMED_FUNCTION(short_way)
{
	double by = 1;
	bool fits = true;

	if (ZEND_NUM_ARGS() == 1) {
		zval *argument = ZEND_CALL_ARG(execute_data, 1);
		if (Z_TYPE_P(argument) == IS_LONG) {
			by = (double) Z_LVAL_P(argument);
		} else if (Z_TYPE_P(argument) == IS_DOUBLE) {
			by = Z_DVAL_P(argument);
		} else {
			fits = false;
		}
	} else {
		fits = ZEND_NUM_ARGS() == 0;
	}
	/* NAN is neither. */
	if (!fits || !(by >= 0 && by <= DBL_MAX) || !rr_counter_add(Z_OBJ_P(ZEND_THIS), by)) {
		whole_way(INTERNAL_FUNCTION_PARAM_PASSTHRU);
	}
}

/* Once per process; a fork has it. */
void rr_counter_install(void)
{
	zend_class_entry *class = zend_hash_str_find_ptr(CG(class_table), ZEND_STRL("roadrunner\\counter"));
	zend_function *inc = class ? zend_hash_str_find_ptr(&class->function_table, ZEND_STRL("inc")) : NULL;

	if (inc && inc->type == ZEND_INTERNAL_FUNCTION && !whole_way) {
		whole_way = inc->internal_function.handler;
		inc->internal_function.handler = short_way;
	}
}
