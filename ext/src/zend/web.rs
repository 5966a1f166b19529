//! The unsafe side of the web modes: `web.c` with a safe face, and what it calls back. The invariants are those of
//! [`super`].

use super::Outcome;
use crate::role::{web, web_unit, web_variables};
use ext_php_rs::types::Zval;
use rr_wire::log::Level;
use std::ffi::{CStr, c_char, c_int};

/// What PHP knows of a request before its script runs; `shim.h` has the same layout.
#[repr(C)]
struct RawRequest {
    texts: [*const c_char; 7],
    content_length: i64,
    root: usize,
    protocol: c_int,
}

/// A part of a multipart form; `shim.h` has the same layout.
#[repr(C)]
pub(crate) struct RawPart {
    name: *const c_char,
    value: *const c_char,
    mime: *const c_char,
    path: *const c_char,
    lengths: [usize; 4],
    size: u64,
    error: c_int,
    is_file: bool,
}

unsafe extern "C" {
    safe fn rr_web_reads_forms() -> bool;
    safe fn rr_web_logs_to_file() -> bool;
    safe fn rr_interrupt_class();
    safe fn rr_interrupt_was_ttl() -> bool;
    safe fn rr_interrupt_was_limit() -> bool;
    safe fn rr_worker_functions();
    safe fn rr_web_name(frankenphp: bool);
    safe fn rr_web_ini_path() -> *const c_char;
    safe fn rr_web_ini_scanned() -> *const c_char;
    fn rr_web_directive(
        name: *const c_char,
        name_length: usize,
        value: *const c_char,
        length: usize,
        last: bool,
    ) -> bool;
    safe fn rr_web_leave_script();
    safe fn rr_web_script_begins();
    safe fn rr_web_script_ends() -> c_int;
    safe fn rr_web_settle_in(living: bool, forget: bool, script: bool);
    safe fn rr_web_serve_calls();
    fn rr_web_begin(request: *const RawRequest) -> bool;
    fn rr_web_enter(path: *const c_char);
    fn rr_web_include(path: *const c_char) -> c_int;
    fn rr_web_execute(path: *const c_char) -> c_int;
    safe fn rr_web_has_around(after: bool) -> bool;
    safe fn rr_web_include_around(after: bool) -> c_int;
    safe fn rr_web_was_compiled() -> bool;
    safe fn rr_web_user() -> *const c_char;
    safe fn rr_web_status(status: c_int);
    safe fn rr_web_end(broken: bool) -> bool;
    fn rr_web_header_variable(
        array: *mut Zval,
        name: *const c_char,
        name_length: usize,
        value: *const c_char,
        length: usize,
    );
    fn rr_web_other_variable(
        array: *mut Zval,
        name: *const c_char,
        name_length: usize,
        value: *const c_char,
        length: usize,
    );
    fn rr_web_variable(
        array: *mut Zval,
        name: *const c_char,
        name_length: usize,
        value: *const c_char,
        length: usize,
    );
}

/// The texts of a request as PHP wants them; they stay where they are until the request is over.
#[derive(Debug)]
pub(crate) struct Texts<'a> {
    pub(crate) method: &'a CStr,
    pub(crate) query: &'a CStr,
    pub(crate) uri: &'a CStr,
    pub(crate) content_type: Option<&'a CStr>,
    pub(crate) cookie: Option<&'a CStr>,
    pub(crate) authorization: Option<&'a CStr>,
    pub(crate) path: &'a CStr,
    pub(crate) content_length: i64,
    /// Bytes of `path` that are the document root.
    pub(crate) root: usize,
    pub(crate) protocol: i32,
}

/// Declares `RoadRunner\TimeoutError`. Module start-up only.
pub(crate) fn timeout_class() {
    rr_interrupt_class();
}

/// Whether PHP reads forms at all (`enable_post_data_reading`).
pub(crate) fn reads_forms() -> bool {
    rr_web_reads_forms()
}

/// Whether the user's PHP logs errors to a file (`log_errors` and `error_log`).
pub(crate) fn logs_to_file() -> bool {
    rr_web_logs_to_file()
}

/// Whether `exec_ttl` has ended the running request.
pub(crate) fn was_ttl() -> bool {
    rr_interrupt_was_ttl()
}

/// Whether `exec_ttl` or `max_execution_time` has.
pub(crate) fn was_limit() -> bool {
    rr_interrupt_was_limit()
}

/// Adds the functions of workers. Module start-up only.
pub(crate) fn worker_functions() {
    rr_worker_functions();
}

/// Calls this PHP what php-fpm calls itself and adds its functions. Module start-up only.
pub(crate) fn name(frankenphp: bool) {
    rr_web_name(frankenphp);
}

/// The files that PHP has its settings from, in the order in which they were read.
pub(crate) fn ini_files() -> Vec<String> {
    let scanned = super::text(rr_web_ini_scanned()).unwrap_or_default();
    let scanned = scanned.split(',').map(|path| path.trim().to_owned()).filter(|path| !path.is_empty());
    super::text(rr_web_ini_path()).into_iter().chain(scanned).collect()
}

/// Sets a PHP directive for good; `last`: scripts cannot change it. `false`: PHP does not know or take it.
pub(crate) fn directive(name: &str, value: &str, last: bool) -> bool {
    let (name, value) = (name.as_bytes(), value.as_bytes());
    // SAFETY: both are valid for their lengths and copied (Z2).
    unsafe { rr_web_directive(name.as_ptr().cast(), name.len(), value.as_ptr().cast(), value.len(), last) }
}

/// Ends the request of the server's own script, in a zygote that never goes back to it.
pub(crate) fn leave_script() {
    rr_web_leave_script();
}

/// A worker script begins.
pub(crate) fn script_begins() {
    rr_web_script_begins();
}

/// A worker script has ended: runs what it has left for that. Returns its exit code.
pub(crate) fn script_ends() -> i32 {
    rr_web_script_ends()
}

/// Takes PHP's web side over, in a worker; `forget`: the global scope belongs to each request.
pub(crate) fn settle_in(living: bool, forget: bool, script: bool) {
    rr_web_settle_in(living, forget, script);
}

/// In a living worker: its requests are calls of a function.
pub(crate) fn serve_calls() {
    rr_web_serve_calls();
}

/// Begins a request; `false`: the worker must end.
///
/// The texts must stay until [`end`]: [`crate::role::web`] keeps them.
pub(crate) fn begin(texts: &Texts<'_>) -> bool {
    let optional = |text: Option<&CStr>| text.map_or(std::ptr::null(), CStr::as_ptr);
    let raw = RawRequest {
        texts: [
            texts.method.as_ptr(),
            texts.query.as_ptr(),
            texts.uri.as_ptr(),
            optional(texts.content_type),
            optional(texts.cookie),
            optional(texts.authorization),
            texts.path.as_ptr(),
        ],
        content_length: texts.content_length,
        root: texts.root,
        protocol: texts.protocol,
    };
    // SAFETY: NUL-terminated texts that role::web keeps until the request is over (Z2, Z4).
    unsafe { rr_web_begin(&raw const raw) }
}

/// Goes to the folder of a file that is to be run.
pub(crate) fn enter(path: &CStr) {
    // SAFETY: NUL-terminated; copied (Z2).
    unsafe { rr_web_enter(path.as_ptr()) };
}

/// Runs a file in the global scope of a living worker.
pub(crate) fn include(path: &CStr) -> Outcome {
    // SAFETY: NUL-terminated; copied by PHP (Z4).
    Outcome::from_raw(unsafe { rr_web_include(path.as_ptr()) })
}

/// Runs `auto_prepend_file`, or `auto_append_file`, in the global scope of a living worker. `None`: there is none.
pub(crate) fn include_around(after: bool) -> Option<Outcome> {
    rr_web_has_around(after).then(|| Outcome::from_raw(rr_web_include_around(after)))
}

/// Whether the last file that was to be run could be read and compiled.
pub(crate) fn was_compiled() -> bool {
    rr_web_was_compiled()
}

/// Runs a file as the main script of a classic request.
pub(crate) fn execute(path: &CStr) -> Outcome {
    // SAFETY: NUL-terminated; copied by PHP (Z4).
    Outcome::from_raw(unsafe { rr_web_execute(path.as_ptr()) })
}

/// The user of the request's credentials.
pub(crate) fn user() -> Option<String> {
    super::text(rr_web_user())
}

/// Sets the status of a response whose headers are not on their way.
pub(crate) fn status(status: u16) {
    rr_web_status(c_int::from(status));
}

/// Ends a request; `false`: the worker must end.
pub(crate) fn end(broken: bool) -> bool {
    rr_web_end(broken)
}

/// `$_SERVER`, while PHP fills it.
pub(crate) struct Variables(*mut Zval);

impl Variables {
    /// Adds a header of the request, as `HTTP_NAME`.
    pub(crate) fn header(&mut self, name: &[u8], value: &[u8]) {
        // SAFETY: as in `set`.
        unsafe {
            rr_web_header_variable(
                self.0,
                name.as_ptr().cast(),
                name.len(),
                value.as_ptr().cast(),
                value.len(),
            );
        }
    }

    /// Adds a variable whose name may be anything.
    pub(crate) fn other(&mut self, name: &[u8], value: &[u8]) {
        // SAFETY: as in `set`.
        unsafe {
            rr_web_other_variable(
                self.0,
                name.as_ptr().cast(),
                name.len(),
                value.as_ptr().cast(),
                value.len(),
            );
        }
    }

    /// Adds a variable.
    pub(crate) fn set(&mut self, name: &[u8], value: &[u8]) {
        // SAFETY: the array PHP has given to rr_web_variables; texts valid for their lengths and copied (Z2, Z3).
        unsafe {
            rr_web_variable(self.0, name.as_ptr().cast(), name.len(), value.as_ptr().cast(), value.len());
        }
    }
}

fn caught<T>(fallback: T, work: impl FnOnce() -> T) -> T {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).unwrap_or(fallback)
}

/// # Safety
/// `bytes` is valid for `length` and outlives the result.
unsafe fn slice<'a>(bytes: *const c_char, length: usize) -> &'a [u8] {
    if length == 0 {
        return &[];
    }
    // SAFETY: the caller's promise.
    unsafe { std::slice::from_raw_parts(bytes.cast::<u8>(), length) }
}

/// The next bytes of the request body.
///
/// # Safety
/// `buffer` has room for `length` bytes.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn rr_web_read(buffer: *mut c_char, length: usize) -> usize {
    let mut filled = 0;
    let put = |piece: &[u8]| {
        // SAFETY: all pieces together are at most `length` bytes, for which there is room.
        let into = unsafe { buffer.cast::<u8>().add(filled) };
        // SAFETY: the same, and nothing of ours is in PHP's buffer.
        unsafe { std::ptr::copy_nonoverlapping(piece.as_ptr(), into, piece.len()) };
        filled += piece.len();
    };
    caught(0, || web_unit::read(length, put))
}

/// A header of the response.
///
/// # Safety
/// Both texts are valid for their lengths.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn rr_web_header(
    name: *const c_char,
    name_length: usize,
    value: *const c_char,
    value_length: usize,
) {
    // SAFETY: PHP's texts, valid until this call returns (Z3).
    let name = unsafe { slice(name, name_length) };
    // SAFETY: as above.
    let value = unsafe { slice(value, value_length) };
    caught((), || web_unit::header(name, value));
}

/// The headers are complete.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn rr_web_head(status: c_int) {
    caught((), || web_unit::head(u16::try_from(status).unwrap_or(500)));
}

/// A piece of the body; `false`: nobody reads it.
///
/// # Safety
/// `bytes` is valid for `length`.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn rr_web_output(bytes: *const c_char, length: usize) -> bool {
    // SAFETY: PHP's buffer, valid until this call returns (Z3).
    let bytes = unsafe { slice(bytes, length) };
    caught(true, || web_unit::output(bytes))
}

/// Sends what is there; `false`: nobody reads it.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn rr_web_flush() -> bool {
    caught(true, web_unit::flush)
}

/// The response is complete; `goes_on`: the script is not. `false`: it was before.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn rr_web_finish(goes_on: bool) -> bool {
    caught(false, || web_unit::finish(if goes_on { web_unit::End::Response } else { web_unit::End::Request }))
}

/// Fills `$_SERVER`.
///
/// # Safety
/// `array` is a PHP array.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn rr_web_variables(array: *mut Zval) {
    caught((), || web_variables::variables(&mut Variables(array)));
}

/// Fills `$_SERVER` of a worker script.
///
/// # Safety
/// `array` is a PHP array.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn rr_web_script_variables(array: *mut Zval) {
    caught((), || web_variables::script_variables(&mut Variables(array)));
}

/// Whether the master has parsed the request's form.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn rr_web_is_form() -> bool {
    caught(false, web_unit::is_form)
}

impl RawPart {
    /// Its texts point into those of `part`.
    pub(super) fn of(part: &rr_wire::form::Part<'_>) -> Self {
        let text = |bytes: &[u8]| bytes.as_ptr().cast::<c_char>();
        match *part {
            rr_wire::form::Part::Field { name, value } => RawPart {
                name: text(name),
                value: text(value),
                mime: std::ptr::null(),
                path: std::ptr::null(),
                lengths: [name.len(), value.len(), 0, 0],
                size: 0,
                error: 0,
                is_file: false,
            },
            rr_wire::form::Part::File(file) => RawPart {
                name: text(file.name),
                value: text(file.file_name),
                mime: text(file.mime),
                path: text(file.path),
                lengths: [file.name.len(), file.file_name.len(), file.mime.len(), file.path.len()],
                size: file.size,
                error: c_int::from(file.error),
                is_file: true,
            },
        }
    }
}

/// The next part of a form; `false`: there is none.
///
/// # Safety
/// `part` has room for a part.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn rr_web_next_part(part: *mut RawPart) -> bool {
    let found = caught(None, || web_unit::next_part(RawPart::of));
    let Some(raw) = found else { return false };
    // SAFETY: room for a part; the texts point into the form that role::web_unit keeps until the request is over.
    unsafe { part.write(raw) };
    true
}

/// One turn of a script's loop: 1 go on, 0 stop, -1 PHP is broken.
///
/// # Safety
/// `callable` is a PHP value that can be called.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn rr_web_handle(callable: *const Zval) -> c_int {
    caught(-1, || {
        // SAFETY: the argument of the PHP function, alive until that returns.
        let value = unsafe { &*callable };
        let Some(callable) = super::Callable::new(value) else { return -1 };
        match web::handle(&callable) {
            None => 0,
            Some(true) => 1,
            Some(false) => -1,
        }
    })
}

/// Fills an array with the request's headers.
///
/// # Safety
/// `array` is a PHP array.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn rr_web_request_headers(array: *mut Zval) {
    caught((), || {
        let mut variables = Variables(array);
        for (name, value) in web_variables::request_headers() {
            variables.set(name.as_bytes(), &value);
        }
    });
}

/// `rr_finish_request()` in the handler modes.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn rr_serve_finish() -> bool {
    caught(false, crate::role::answer::finish_request)
}

/// Sends an interim response; `false`: these are no headers, or nobody reads them.
///
/// # Safety
/// `headers` is a PHP array.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn rr_web_hint(headers: *const Zval, status: c_int) -> bool {
    caught(false, || {
        // SAFETY: the argument of the PHP function, alive until that returns.
        let headers = unsafe { &*headers };
        let status = u16::try_from(status).unwrap_or(103);
        headers.array().is_some_and(|headers| web_unit::interim(status, headers))
    })
}

/// Logs a message, and what belongs to it as JSON.
///
/// # Safety
/// Both texts are valid for their lengths.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn rr_web_note(
    level: c_int,
    text: *const c_char,
    length: usize,
    context: *const c_char,
    context_length: usize,
) {
    // SAFETY: PHP's texts, valid until this call returns (Z3).
    let text = unsafe { slice(text, length) };
    // SAFETY: as above.
    let context = unsafe { slice(context, context_length) };
    let level = match level {
        0 => Level::Debug,
        1 => Level::Info,
        2 => Level::Warn,
        _ => Level::Error,
    };
    caught((), || crate::role::hooks::write_with(level, text, context));
}

/// The number of the running unit; 0 without one.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn rr_current_unit() -> u32 {
    caught(0, || {
        let open = |session: &mut rr_worker::Session| if session.is_open() { session.unit() } else { 0 };
        crate::role::session::try_with(open).unwrap_or(0)
    })
}
