//! The unsafe side of development mode: `dev.c` with a safe face. The invariants are those of [`super`].

use crate::role::dev;
use rr_wire::report::{Error, Frame, Report};
use std::ffi::{c_char, c_void};

unsafe extern "C" {
    safe fn rr_dev_register();
    safe fn rr_dev_has_handler(fatal: bool) -> bool;
    safe fn rr_dev_memory() -> usize;
    fn rr_dev_exception(report: *mut c_void) -> bool;
    fn rr_dev_last_error(report: *mut c_void) -> bool;
    fn rr_dev_state(facts: *mut c_void);
}

/// Adds `rr_dump()` and `dump()`. Module start-up only.
pub(crate) fn register() {
    rr_dev_register();
}

/// Whether the app answers for its errors itself; `fatal`: for those that are no exceptions.
pub(crate) fn has_handler(fatal: bool) -> bool {
    rr_dev_has_handler(fatal)
}

/// Bytes of PHP's memory in use.
pub(crate) fn memory() -> usize {
    rr_dev_memory()
}

/// The pending exception.
pub(crate) fn exception() -> Option<Report> {
    let mut report = Report::default();
    // SAFETY: the callbacks below take the report back as what it is; it outlives the call (Z2).
    unsafe { rr_dev_exception((&raw mut report).cast()) }.then_some(report)
}

/// The last PHP error.
pub(crate) fn last_error() -> Option<Report> {
    let mut report = Report::default();
    // SAFETY: as above.
    unsafe { rr_dev_last_error((&raw mut report).cast()) }.then_some(report)
}

/// What requests change: names with values.
pub(crate) fn state() -> Vec<(String, String)> {
    let mut facts: Vec<(String, String)> = Vec::new();
    // SAFETY: the callback below takes the list back as what it is; it outlives the call (Z2).
    unsafe { rr_dev_state((&raw mut facts).cast()) };
    facts
}

/// # Safety
/// `bytes` is valid for `length`.
unsafe fn text(bytes: *const c_char, length: usize) -> String {
    if length == 0 {
        return String::new();
    }
    // SAFETY: the caller's promise.
    let bytes = unsafe { std::slice::from_raw_parts(bytes.cast::<u8>(), length) };
    String::from_utf8_lossy(bytes).into_owned()
}

/// # Safety
/// `report` is the one given to the function that calls this; the texts are valid for their lengths.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn rr_dev_error(
    report: *mut c_void,
    texts: *const [*const c_char; 4],
    lengths: *const [usize; 4],
    line: u32,
) {
    // SAFETY: the report of the frame that called into C, used by nobody else meanwhile.
    let report = unsafe { &mut *report.cast::<Report>() };
    // SAFETY: arrays on the stack of the C function, alive until this returns.
    let texts = unsafe { *texts };
    // SAFETY: as above.
    let lengths = unsafe { *lengths };
    // SAFETY: PHP's texts, valid until this returns (Z3).
    let [class, message, code, file] =
        [0, 1, 2, 3].map(|index| unsafe { text(texts[index], lengths[index]) });
    report.errors.push(Error { class, message, code, file, line, frames: Vec::new() });
}

/// # Safety
/// As [`rr_dev_error`].
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn rr_dev_frame(
    report: *mut c_void,
    file: *const c_char,
    file_length: usize,
    line: u32,
    call: *const c_char,
    length: usize,
) {
    // SAFETY: as above.
    let report = unsafe { &mut *report.cast::<Report>() };
    // SAFETY: as above.
    let file = unsafe { text(file, file_length) };
    // SAFETY: as above.
    let call = unsafe { text(call, length) };
    if let Some(error) = report.errors.last_mut() {
        error.frames.push(Frame { file, line, call });
    }
}

/// An empty report for the exception that is thrown.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn rr_dev_thrown() -> *mut c_void {
    Box::into_raw(Box::<Report>::default()).cast()
}

/// The report is filled.
///
/// # Safety
/// `report` is from `rr_dev_thrown` and given back once.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn rr_dev_keep(report: *mut c_void) {
    // SAFETY: the caller's promise.
    let report = unsafe { Box::from_raw(report.cast::<Report>()) };
    let _ = std::panic::catch_unwind(|| dev::thrown(*report));
}

/// # Safety
/// `facts` is the list given to `rr_dev_state`; the texts are valid for their lengths.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn rr_dev_fact(
    facts: *mut c_void,
    name: *const c_char,
    name_length: usize,
    value: *const c_char,
    length: usize,
) {
    // SAFETY: the list of the frame that called into C, used by nobody else meanwhile.
    let facts = unsafe { &mut *facts.cast::<Vec<(String, String)>>() };
    // SAFETY: texts of C or PHP, valid until this returns (Z3).
    let name = unsafe { text(name, name_length) };
    // SAFETY: as above.
    let value = unsafe { text(value, length) };
    facts.push((name, value));
}

/// # Safety
/// The texts are valid for their lengths.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn rr_dev_dump(
    dump: *const c_char,
    length: usize,
    file: *const c_char,
    file_length: usize,
    line: u32,
) {
    // SAFETY: texts of C or PHP, valid until this returns (Z3).
    let dump = unsafe { text(dump, length) };
    // SAFETY: as above.
    let file = unsafe { text(file, file_length) };
    let _ = std::panic::catch_unwind(|| dev::dumped(&dump, &file, line));
}
