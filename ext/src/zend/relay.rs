//! The safe face of `relay.c`: the script of a command worker, and the port behind its STDIN and STDOUT.

use crate::role::command;
use std::ffi::{CStr, CString, c_char, c_int};

unsafe extern "C" {
    safe fn rr_command_leave_script();
    fn rr_command_run(path: *const c_char, argc: c_int, argv: *mut *mut c_char) -> c_int;
}

/// In the zygote of a pool of commands: ends the request that the server's script ran in.
pub(crate) fn leave_script() {
    rr_command_leave_script();
}

/// Runs a script with its arguments, the zeroth of which is its own name. Returns its exit code.
pub(crate) fn run(path: &CStr, arguments: Vec<CString>) -> i32 {
    let count = c_int::try_from(arguments.len()).unwrap_or(c_int::MAX);
    // PHP may keep them for as long as the process lives.
    let mut pointers: Vec<*mut c_char> = arguments.into_iter().map(CString::into_raw).collect();
    pointers.push(std::ptr::null_mut());
    let pointers = Box::leak(pointers.into_boxed_slice());
    // SAFETY: NUL-terminated strings in a NULL-terminated array, both of which are never freed; `path` outlives the
    // call (Z1: one thread).
    unsafe { rr_command_run(path.as_ptr(), count, pointers.as_mut_ptr()) }
}

/// `fread(STDIN)`. -1: the relay is broken.
///
/// # Safety
/// `buffer` has room for `length` bytes, `end` can be written; PHP's stream layer keeps both.
#[unsafe(no_mangle)]
unsafe extern "C" fn rr_relay_read(buffer: *mut c_char, length: usize, wait: bool, end: *mut bool) -> isize {
    if length == 0 {
        return 0;
    }
    // SAFETY: the caller's promise; initialised by being written before it is read (Z2).
    let into = unsafe { std::slice::from_raw_parts_mut(buffer.cast::<u8>(), length) };
    let (count, over) = command::read(into, wait);
    // SAFETY: as above.
    unsafe { *end = over };
    count.map_or(-1, |count| isize::try_from(count).unwrap_or(-1))
}

/// `fwrite(STDOUT)`. `false`: the relay is broken.
///
/// # Safety
/// `bytes` has `length` bytes; PHP's stream layer keeps that.
#[unsafe(no_mangle)]
unsafe extern "C" fn rr_relay_write(bytes: *const c_char, length: usize) -> bool {
    if length == 0 {
        return true;
    }
    // SAFETY: the caller's promise (Z2).
    command::write(unsafe { std::slice::from_raw_parts(bytes.cast::<u8>(), length) })
}

/// Whether a read would not wait.
#[unsafe(no_mangle)]
extern "C" fn rr_relay_ready() -> bool {
    command::is_ready()
}
