//! The safe face of `counter.c`, and what it asks.

use crate::api::metrics::Counter;
use ext_php_rs::types::{ZendClassObject, ZendObject};

unsafe extern "C" {
    safe fn rr_counter_install();
}

/// Gives `RoadRunner\Counter::inc()` its short way; more than once does nothing.
pub(crate) fn install() {
    rr_counter_install();
}

/// Adds to a counter that has its cell; `false`: it has none now, and nothing was done.
///
/// # Safety
/// `counter` is an object that lives until this returns.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn rr_counter_add(counter: *const ZendObject, by: f64) -> bool {
    // SAFETY: `$this` of the method that runs, which its caller holds (Z3).
    let counter = unsafe { counter.as_ref() }.and_then(ZendClassObject::<Counter>::from_zend_obj);
    // Nothing in here panics: a load, a comparison and a store.
    counter.and_then(|counter| counter.obj.as_ref()).is_some_and(|counter| counter.add(by))
}
