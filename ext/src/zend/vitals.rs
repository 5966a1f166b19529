//! The safe face of `vitals.c`.

unsafe extern "C" {
    fn rr_vitals(values: *mut f64);
    fn rr_opcache(values: *mut f64) -> bool;
}

/// Bytes in use, most so far, runs of the garbage collector, cycles it has collected.
pub(crate) fn vitals() -> [f64; 4] {
    let mut values = [0.0; 4];
    // SAFETY: the shim writes four numbers.
    unsafe { rr_vitals(values.as_mut_ptr()) };
    values
}

/// Hits, misses, bytes used, free and wasted, scripts, restarts; `None`: there is no OPcache that would say. Inside of
/// a request only.
pub(crate) fn opcache() -> Option<[f64; 7]> {
    let mut values = [0.0; 7];
    // SAFETY: the shim writes seven numbers, and calls PHP inside of zend_try (Z1).
    let told = unsafe { rr_opcache(values.as_mut_ptr()) };
    told.then_some(values)
}
