//! The room for unsafe code of the extension: the shim's functions with safe faces.
//!
//! Invariants that the SAFETY notes cite:
//! - **Z1** PHP runs on one thread, the one that loaded the extension; all of `ext/` runs there;
//! - **Z2** the shim is compiled against the headers of the PHP that loads the extension, so layouts agree;
//! - **Z3** pointers into PHP memory are used before the next call into PHP;
//! - **Z4** PHP code runs only inside the shim's `zend_try`, so no bailout crosses a Rust frame that owns something.
#![allow(unsafe_code, reason = "one of the three rooms for unsafe code, see ARCHITECTURE.md")]

pub(crate) mod counter;
pub(crate) mod dev;
pub(crate) mod embedded;
pub(crate) mod relay;
pub(crate) mod values;
pub(crate) mod vitals;
pub(crate) mod web;

use ext_php_rs::types::{ZendStr, Zval};
use ext_php_rs::zend::ClassEntry;
use rr_os::process::Fork;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::io;
use std::os::fd::OwnedFd;
use std::ptr::NonNull;

#[repr(C)]
struct RawCallable {
    _private: [u8; 0],
}

type ChunkFn = unsafe extern "C" fn(*mut c_void, *const c_char, usize) -> bool;

unsafe extern "C" {
    safe fn rr_is_zts() -> bool;
    safe fn rr_php_version() -> *const c_char;
    safe fn rr_sapi_name() -> *const c_char;
    safe fn rr_has_opcache() -> bool;
    safe fn rr_extension_dir() -> *const c_char;
    safe fn rr_script_path() -> *const c_char;
    safe fn rr_exit_script(status: c_int);
    safe fn rr_fail_script();
    safe fn rr_freeze() -> usize;
    safe fn rr_become_worker(idle: bool);
    safe fn rr_worker_started();
    safe fn rr_worker_stops();
    safe fn rr_report_exception() -> bool;
    safe fn rr_handle_exception() -> c_int;
    safe fn rr_log_exception() -> bool;
    fn rr_forget_exception(class: *mut ClassEntry) -> c_int;
    safe fn rr_end_request(broken: bool) -> bool;
    fn rr_register_exception(name: *const c_char, length: usize, parent: *mut ClassEntry) -> *mut ClassEntry;
    fn rr_callable_new(callable: *const Zval) -> *mut RawCallable;
    safe fn rr_memory_limit() -> usize;
    fn rr_free(value: *mut Zval) -> bool;
    fn rr_to_string(value: *const Zval, outcome: *mut c_int) -> *mut ZendStr;
    fn rr_callable_free(callable: *mut RawCallable);
    fn rr_call(callable: *mut RawCallable, count: u32, arguments: *mut Zval, result: *mut Zval) -> c_int;
    fn rr_exception_text() -> *mut ZendStr;
    fn rr_last_error() -> *const ZendStr;
    fn rr_guarded(run: unsafe extern "C" fn(*mut c_void), context: *mut c_void) -> bool;
    fn rr_parse_query(query: *const c_char, length: usize, result: *mut Zval);
    fn rr_form_part(part: *mut web::RawPart, first: bool, fields: *mut Zval, files: *mut Zval);
    fn rr_print(function: *const Zval) -> c_int;
    fn rr_each_chunk(iterable: *const Zval, events: bool, give: ChunkFn, context: *mut c_void) -> c_int;
}

/// How a call into PHP ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Normally.
    Returned,
    /// An exception is pending.
    Threw,
    /// `exit` or `die`.
    Exited,
    /// A fatal error: this process must end soon.
    Bailed,
}

impl Outcome {
    const fn from_raw(raw: c_int) -> Self {
        match raw {
            0 => Self::Returned,
            1 => Self::Threw,
            2 => Self::Exited,
            _ => Self::Bailed,
        }
    }
}

fn text(pointer: *const c_char) -> Option<String> {
    // SAFETY: the shim gives NULL or a NUL-terminated string that lives at least until the next call (Z3).
    (!pointer.is_null()).then(|| unsafe { CStr::from_ptr(pointer) }.to_string_lossy().into_owned())
}

pub(crate) fn is_zts() -> bool {
    rr_is_zts()
}

pub(crate) fn php_version() -> String {
    text(rr_php_version()).unwrap_or_default()
}

pub(crate) fn sapi_name() -> String {
    text(rr_sapi_name()).unwrap_or_default()
}

pub(crate) fn has_opcache() -> bool {
    rr_has_opcache()
}

pub(crate) fn extension_dir() -> String {
    text(rr_extension_dir()).unwrap_or_default()
}

pub(crate) fn script_path() -> Option<String> {
    text(rr_script_path())
}

/// Ends the running script as `exit($status)` would.
pub(crate) fn exit_script(status: i32) {
    rr_exit_script(status);
}

/// Passes a fatal error on that a call inside the running script has met: the script ends as by `exit()`, and whoever
/// called it is told that PHP is broken.
pub(crate) fn fail_script() {
    rr_fail_script();
}

/// Makes the heap small and still; returns the bytes in use.
pub(crate) fn freeze() -> usize {
    rr_freeze()
}

/// Takes this process over after a fork; `idle`: no request of PHP's is under way.
pub(crate) fn become_worker(idle: bool) {
    rr_become_worker(idle);
}

pub(crate) fn worker_started() {
    rr_worker_started();
}

pub(crate) fn worker_stops() {
    rr_worker_stops();
}

/// Ends the pending exception in the app's handler or in the log; `false`: PHP is broken.
pub(crate) fn report_exception() -> bool {
    rr_report_exception()
}

/// What the app's handler has made of an exception that nobody caught.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Nothing: there is no handler, or it threw itself.
    Pending,
    /// A response like any other.
    Handled,
    /// That, and it has ended the script by `exit`.
    Left,
    /// A fatal error.
    Broken,
}

/// Gives the pending exception to the app's handler.
pub(crate) fn handle_exception() -> Ending {
    match rr_handle_exception() {
        0 => Ending::Pending,
        1 => Ending::Handled,
        2 => Ending::Left,
        _ => Ending::Broken,
    }
}

/// Ends the pending exception in the log; `false`: PHP is broken.
pub(crate) fn log_exception() -> bool {
    rr_log_exception()
}

/// Forgets the pending exception if it is a `class`: `None` if it is not, `false` when PHP is broken.
pub(crate) fn forget_exception(class: &'static ClassEntry) -> Option<bool> {
    // SAFETY: a class that PHP has registered lives as long as PHP; it is only compared (Z2).
    match unsafe { rr_forget_exception(std::ptr::from_ref(class).cast_mut()) } {
        0 => None,
        forgotten => Some(forgotten == 1),
    }
}

/// Ends a request; `false`: the process must end.
pub(crate) fn end_request(broken: bool) -> bool {
    rr_end_request(broken)
}

/// Declares an exception class; its parent is `RuntimeException` unless there is another. Module start-up only.
pub(crate) fn register_exception(
    name: &'static str,
    parent: Option<&'static ClassEntry>,
) -> Option<&'static ClassEntry> {
    let parent = parent.map_or(std::ptr::null_mut(), |parent| std::ptr::from_ref(parent).cast_mut());
    // SAFETY: the name is valid for its length and copied; the parent is NULL or a registered class (Z2).
    let class = unsafe { rr_register_exception(name.as_ptr().cast(), name.len(), parent) };
    // SAFETY: NULL or a class that lives as long as the process.
    unsafe { class.as_ref() }
}

/// A PHP callable, looked up once.
#[derive(Debug)]
pub(crate) struct Callable(NonNull<RawCallable>);

impl Callable {
    /// `None` when the value cannot be called.
    pub(crate) fn new(value: &Zval) -> Option<Self> {
        // SAFETY: a valid zval; the shim takes its own reference (Z2).
        NonNull::new(unsafe { rr_callable_new(value) }).map(Self)
    }

    /// Calls it. The value is of use only if it returned.
    pub(crate) fn call(&self, arguments: &mut [Zval]) -> (Outcome, Zval) {
        let mut result = Zval::new();
        let count = u32::try_from(arguments.len()).unwrap_or(0);
        // SAFETY: a live callable, `count` valid zvals that outlive the call, room for a result (Z2, Z4).
        let outcome = unsafe { rr_call(self.0.as_ptr(), count, arguments.as_mut_ptr(), &raw mut result) };
        (Outcome::from_raw(outcome), result)
    }
}

impl Drop for Callable {
    fn drop(&mut self) {
        // SAFETY: made by rr_callable_new and freed once.
        unsafe { rr_callable_free(self.0.as_ptr()) };
    }
}

/// The pending exception with its trace.
pub(crate) fn exception_text() -> Option<String> {
    // SAFETY: gives NULL or a string this side owns one reference of.
    let text = NonNull::new(unsafe { rr_exception_text() })?;
    // SAFETY: not NULL, a valid zend_string.
    let string = unsafe { text.as_ref() };
    let copy = String::from_utf8_lossy(string.as_bytes()).into_owned();
    // SAFETY: the reference is this side's; dropping the box gives it back.
    drop(unsafe { ext_php_rs::boxed::ZBox::from_raw(text.as_ptr()) });
    Some(copy)
}

/// Frees a value, whose destructor may be PHP code; `false`: the process must end.
pub(crate) fn free(value: Zval) -> bool {
    let mut value = std::mem::ManuallyDrop::new(value);
    // SAFETY: a valid zval, which the shim frees and empties; it is not dropped a second time (Z4).
    unsafe { rr_free(&raw mut *value) }
}

/// A value as bytes: `__toString()` may run.
pub(crate) fn to_bytes(value: &Zval) -> Result<Vec<u8>, Outcome> {
    let mut outcome = 0;
    // SAFETY: a valid zval and room for the outcome (Z2, Z4).
    let text = unsafe { rr_to_string(value, &raw mut outcome) };
    let Some(text) = NonNull::new(text) else { return Err(Outcome::from_raw(outcome)) };
    // SAFETY: not NULL, a valid zend_string.
    let bytes = unsafe { text.as_ref() }.as_bytes().to_vec();
    // SAFETY: the reference is this side's; dropping the box gives it back.
    drop(unsafe { ext_php_rs::boxed::ZBox::from_raw(text.as_ptr()) });
    Ok(bytes)
}

/// Bytes that PHP code may use; `None`: no limit.
pub(crate) fn memory_limit() -> Option<usize> {
    Some(rr_memory_limit()).filter(|limit| *limit > 0)
}

/// The message of the last PHP error.
pub(crate) fn last_error() -> Option<String> {
    // SAFETY: no arguments; gives NULL or a borrowed string.
    let text = unsafe { rr_last_error() };
    // SAFETY: NULL or valid, and copied at once (Z3).
    let text = unsafe { text.as_ref() }?;
    Some(String::from_utf8_lossy(text.as_bytes()).into_owned())
}

/// Parses a query string as `parse_str()` does.
pub(crate) fn parse_query(query: &[u8]) -> Zval {
    let mut result = Zval::new();
    // SAFETY: the bytes are valid for their length and copied; `result` has room for a value (Z2).
    unsafe { rr_parse_query(query.as_ptr().cast(), query.len(), &raw mut result) };
    result
}

/// The fields and files of a form that the server has parsed, under the names that PHP gives them; the leaves of the
/// files are arrays.
pub(crate) fn form(block: &[u8]) -> (Zval, Zval) {
    let (mut fields, mut files) = (Zval::new_array(), Zval::new_array());
    for (index, part) in rr_wire::form::Parts::new(block).map_while(Result::ok).enumerate() {
        let mut raw = web::RawPart::of(&part);
        // SAFETY: the texts point into `block`, which outlives the call; both values are arrays of this side's own
        // (Z2).
        unsafe { rr_form_part(&raw mut raw, index == 0, &raw mut fields, &raw mut files) };
    }
    (fields, files)
}

/// Gives each value of an array or Traversable (as bytes, or as an event), or the pieces of a stream, to `give`, which
/// says whether to go on.
pub(crate) fn each_chunk(iterable: &Zval, events: bool, mut give: impl FnMut(&[u8]) -> bool) -> Outcome {
    /// # Safety
    /// `context` is a live `F`, `bytes` is valid for `length`.
    unsafe extern "C" fn trampoline<F: FnMut(&[u8]) -> bool>(
        context: *mut c_void,
        bytes: *const c_char,
        length: usize,
    ) -> bool {
        // SAFETY: `context` is the closure of the frame below, alive during the iteration and used by nobody else.
        let give = unsafe { &mut *context.cast::<F>() };
        // SAFETY: PHP's string, valid for its length until this call returns (Z3); never NULL.
        let bytes = unsafe { std::slice::from_raw_parts(bytes.cast::<u8>(), length) };
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| give(bytes))).unwrap_or(false)
    }
    fn trampoline_of<F: FnMut(&[u8]) -> bool>(_: &F) -> ChunkFn {
        trampoline::<F>
    }
    let call = trampoline_of(&give);
    // SAFETY: a valid zval; `give` outlives the call (Z2, Z4).
    Outcome::from_raw(unsafe { rr_each_chunk(iterable, events, call, (&raw mut give).cast()) })
}

/// Calls a function for what it prints.
pub(crate) fn print(function: &Zval) -> Outcome {
    // SAFETY: a valid zval (Z2, Z4).
    Outcome::from_raw(unsafe { rr_print(function) })
}

/// Runs `run` in the outermost frame of this process; `false` when a bailout ended it.
pub(crate) fn guarded(run: impl FnOnce()) -> bool {
    /// # Safety
    /// `context` is a live `Option<F>`.
    unsafe extern "C" fn trampoline<F: FnOnce()>(context: *mut c_void) {
        // SAFETY: `context` is the Option of the frame below, alive and used by nobody else.
        let slot = unsafe { &mut *context.cast::<Option<F>>() };
        if let Some(run) = slot.take() {
            // A panic must not cross into C; the hook has printed it.
            let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run));
        }
    }
    fn trampoline_of<F: FnOnce()>(_: &Option<F>) -> unsafe extern "C" fn(*mut c_void) {
        trampoline::<F>
    }
    let mut slot = Some(run);
    let call = trampoline_of(&slot);
    // SAFETY: `slot` outlives the call.
    unsafe { rr_guarded(call, (&raw mut slot).cast()) }
}

/// Forks. The zygote's loop has checked that there is one thread (O3 of rr-os), and the child leaves its frames
/// through `_exit` only (ext/src/role/worker.rs).
pub(crate) fn fork() -> io::Result<Fork> {
    // SAFETY: see above.
    unsafe { rr_os::process::fork() }
}

/// Takes over the descriptors that the master has put at `first` and behind.
pub(crate) fn inherited(first: i32, count: usize) -> io::Result<Vec<OwnedFd>> {
    let count = i32::try_from(count).map_err(io::Error::other)?;
    (first..first + count)
        .map(|number| {
            // SAFETY: called once, at module start-up, for numbers the master's assignment promises.
            unsafe { rr_os::process::inherited(number) }
        })
        .collect()
}

/// Takes a variable out of the environment, so that programs PHP starts do not see it.
pub(crate) fn take_env(name: &str) -> Option<String> {
    let value = std::env::var(name).ok()?;
    // SAFETY: module start-up, one thread (Z1).
    unsafe { std::env::remove_var(name) };
    Some(value)
}

/// Sets a variable of the environment, for PHP and the programs it starts.
pub(crate) fn set_env(name: &str, value: &str) {
    // SAFETY: module start-up or the zygote's, one thread (Z1).
    unsafe { std::env::set_var(name, value) };
}

/// A string of PHP's as a C string, for `exec`.
pub(crate) fn c_string(bytes: Vec<u8>) -> Option<CString> {
    CString::new(bytes).ok()
}

/// What PHP prints (`ub_write`); `false`: nobody reads it.
///
/// # Safety
/// `bytes` is valid for `length`.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn rr_on_output(bytes: *const c_char, length: usize) -> bool {
    if length == 0 {
        return true;
    }
    // SAFETY: PHP's buffer, valid for its length until this call returns (Z3).
    let bytes = unsafe { std::slice::from_raw_parts(bytes.cast::<u8>(), length) };
    std::panic::catch_unwind(|| crate::role::hooks::output(bytes)).unwrap_or(true)
}

/// PHP's `flush()`.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn rr_on_flush() -> bool {
    std::panic::catch_unwind(crate::role::hooks::flush).unwrap_or(true)
}

/// What PHP logs (`log_message`).
///
/// # Safety
/// `message` is NUL-terminated.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn rr_on_log(message: *const c_char, severity: c_int) {
    // SAFETY: PHP's string, valid until this call returns (Z3).
    let message = unsafe { CStr::from_ptr(message) }.to_bytes();
    let _ = std::panic::catch_unwind(|| crate::role::hooks::log(message, severity));
}
