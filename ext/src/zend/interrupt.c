/* How a script learns, between two of its instructions, that its client has gone away or that its time is over. */

#include "shim.h"

#include <signal.h>
#include <sys/time.h>

#include "php.h"
#include "SAPI.h"
#include "zend_exceptions.h"
#include "zend_signal.h"

/* In ext/src/zend/web.rs. */
extern uint32_t rr_current_unit(void);

/* In web.c. */
extern bool rr_web_installed;

/* As rr_process::worker has them. */
enum {NOTICE_CANCELLED = 1, NOTICE_TIMEOUT = 2};

/* Processor time that a script has after `max_execution_time` has interrupted it. */
#define GRACE_SECONDS 2

/* Set by signal handlers, taken by the interrupt function. A notice has the unit's number above its lowest 8 bits. */
static uint64_t cancelled, timed_out;
static bool limit_met;
/* Of the running request. */
static bool limit_thrown, ttl_thrown;

static zend_class_entry *timeout_error;
static void (*next_interrupt)(zend_execute_data *);

static void look_up(void)
{
	zend_atomic_bool_store_ex(&EG(vm_interrupt), true);
}

static void on_notice(int signal, siginfo_t *info, void *context)
{
	(void) signal;
	(void) context;
	/* Others may send this signal for reasons of their own. */
	if (info->si_code != SI_QUEUE) {
		return;
	}
	uint64_t notice = (uint64_t) (uintptr_t) info->si_value.sival_ptr;
	uint64_t *place = (notice & 0xff) == NOTICE_TIMEOUT ? &timed_out : &cancelled;
	__atomic_store_n(place, notice, __ATOMIC_RELAXED);
	look_up();
}

/* A timer that ticks with every second of the processor's time, and what it has ticked in this request. */
static bool ticking;
static zend_long ticks;
/* PHP's own timer has met the limit: it does not tick on. */
static bool once;

/* In place of PHP's handler for the signal of max_execution_time. */
static void on_limit(int signal)
{
	struct itimerval timer = {0};
	(void) signal;
	getitimer(ITIMER_PROF, &timer);
	once = timer.it_interval.tv_sec == 0;
	if (!once) {
		/* Ours; set_time_limit() makes one that does not repeat. */
		zend_long limit = EG(timeout_seconds);
		ticks++;
		if (limit <= 0 || ticks <= limit || (limit_thrown && ticks <= limit + GRACE_SECONDS)) {
			return;
		}
	}
	if (limit_thrown) {
		/* It goes on after all: PHP's fatal error. */
		zend_atomic_bool_store_ex(&EG(timed_out), true);
	} else {
		__atomic_store_n(&limit_met, true, __ATOMIC_RELAXED);
	}
	look_up();
}

static bool is_now(uint64_t *place)
{
	uint64_t notice = __atomic_exchange_n(place, 0, __ATOMIC_RELAXED);
	return notice != 0 && (notice >> 8) == rr_current_unit();
}

static void interrupt(zend_execute_data *frame)
{
	if (is_now(&cancelled) && rr_web_installed) {
		/* As with php-fpm the script ends at its next output, unless it has said otherwise. */
		PG(connection_status) |= PHP_CONNECTION_ABORTED;
	}
	if (is_now(&timed_out) && !EG(exception)) {
		ttl_thrown = true;
		zend_throw_exception(timeout_error, "the request has run for longer than exec_ttl", 0);
	}
	if (__atomic_exchange_n(&limit_met, false, __ATOMIC_RELAXED) && !EG(exception)) {
		zend_long seconds = EG(timeout_seconds);
		limit_thrown = true;
		if (once) {
			struct itimerval grace = {{0, 0}, {GRACE_SECONDS, 0}};
			setitimer(ITIMER_PROF, &grace, NULL);
			ticking = false;
		}
		zend_throw_exception_ex(timeout_error, 0, "Maximum execution time of " ZEND_LONG_FMT " second%s exceeded", seconds, seconds == 1 ? "" : "s");
	}
	if (next_interrupt) {
		next_interrupt(frame);
	}
}

/* Module start-up. */
void rr_interrupt_class(void)
{
	zend_class_entry declared;
	INIT_CLASS_ENTRY(declared, "RoadRunner\\TimeoutError", NULL);
	timeout_error = zend_register_internal_class_ex(&declared, zend_ce_error);
}

/* In a worker: listens for notices. */
void rr_interrupt_listen(void)
{
	struct sigaction action = {0};
	if (next_interrupt != interrupt && zend_interrupt_function != interrupt) {
		next_interrupt = zend_interrupt_function;
		zend_interrupt_function = interrupt;
	}
	action.sa_sigaction = on_notice;
	/* Not SA_RESTART: what the script waits for ends. A fiber's stack may be small. */
	action.sa_flags = SA_SIGINFO | SA_ONSTACK;
	sigemptyset(&action.sa_mask);
	sigaction(SIGURG, &action, NULL);
}

/* In a living worker, behind whatever sets PHP's own handler: max_execution_time interrupts first. */
void rr_interrupt_limit(void)
{
#ifdef ZEND_SIGNALS
	zend_signal(SIGPROF, on_limit);
#else
	signal(SIGPROF, on_limit);
#endif
}

/* A living worker's request begins, with this limit: one timer serves all requests, because a system call for each costs
 * more than a second that a script may get on top. */
void rr_interrupt_begin(zend_long seconds)
{
	EG(timeout_seconds) = seconds;
	ticks = 0;
	if (seconds > 0 && !ticking) {
		struct itimerval every = {{1, 0}, {1, 0}};
		setitimer(ITIMER_PROF, &every, NULL);
		ticking = true;
	}
}

/* A living worker's request ends: a limit that its script has set has put PHP's timer in the place of ours. */
void rr_interrupt_end(void)
{
	if (limit_thrown || (EG(modified_ini_directives) && zend_hash_str_exists(EG(modified_ini_directives), ZEND_STRL("max_execution_time")))) {
		ticking = false;
	}
}

/* A request begins: what was for the one before is not for it. */
void rr_interrupt_forget(void)
{
	__atomic_store_n(&limit_met, false, __ATOMIC_RELAXED);
	limit_thrown = ttl_thrown = false;
}

/* Whether the running request was ended by exec_ttl. */
bool rr_interrupt_was_ttl(void)
{
	return ttl_thrown;
}

/* Whether the running request was ended by a limit of its time. */
bool rr_interrupt_was_limit(void)
{
	return ttl_thrown || limit_thrown;
}
