//! The safe face of `values.c`: arrays with keys of any bytes, and the short way of `KeyValue::get()`.

use ext_php_rs::types::{ZendHashTable, ZendObject, Zval};
use ext_php_rs::zend::ClassEntry;
use rr_worker::table::{Found, Reader};
use std::ffi::{c_char, c_void};
use std::sync::OnceLock;

type EntryFn = unsafe extern "C" fn(*mut c_void, *const c_char, usize, *mut Zval);

unsafe extern "C" {
    fn rr_each_entry(array: *const ZendHashTable, give: EntryFn, context: *mut c_void);
    fn rr_array_set(array: *mut ZendHashTable, key: *const c_char, length: usize, value: *mut Zval);
    fn rr_kv_hurry(class: *mut ClassEntry);
}

/// Hands an entry to the closure behind `context`.
///
/// # Safety
/// `context` is an `F`; key and value live as long as the call.
unsafe extern "C" fn give<F: FnMut(&[u8], &Zval)>(
    context: *mut c_void,
    key: *const c_char,
    length: usize,
    value: *mut Zval,
) {
    // SAFETY: `each_entry` passes its closure as the context, for the time of the call.
    let run = unsafe { &mut *context.cast::<F>() };
    // SAFETY: the shim gives a key of this length that lives as long as the call (Z3).
    let key = unsafe { std::slice::from_raw_parts(key.cast::<u8>(), length) };
    // SAFETY: the shim gives a value of the array, which lives as long as the call (Z2).
    run(key, unsafe { &*value });
}

/// Gives each entry with its key as PHP shows it. `run` must not run PHP code.
pub(crate) fn each_entry<F: FnMut(&[u8], &Zval)>(array: &ZendHashTable, mut run: F) {
    // SAFETY: a live array; the closure lives until the call is over (Z2).
    unsafe { rr_each_entry(array, give::<F>, (&raw mut run).cast()) };
}

/// Sets an entry as PHP code would: digits are a number.
pub(crate) fn insert(array: &mut ZendHashTable, key: &[u8], value: Zval) {
    let mut value = std::mem::ManuallyDrop::new(value);
    // SAFETY: a live array; the value is taken over by it and not dropped here (Z2).
    unsafe { rr_array_set(array, key.as_ptr().cast(), key.len(), &raw mut *value) };
}

/// Tells which table an object of the class reads.
type This = fn(&ZendObject) -> Option<&'static Reader>;

static THIS: OnceLock<This> = OnceLock::new();

/// Puts the short way in front of `KeyValue::get()`. Does so once.
pub(crate) fn hurry(class: &'static ClassEntry, this: This) {
    if THIS.set(this).is_ok() {
        // SAFETY: a registered class; one thread, and a handler that is running stays valid (Z1).
        unsafe { rr_kv_hurry(std::ptr::from_ref(class).cast_mut()) };
    }
}

/// The table of an object; NULL: the long way says why.
///
/// # Safety
/// A live object.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn rr_kv_this(object: *const ZendObject) -> *const Reader {
    // SAFETY: the object whose method runs (Z2).
    let object = unsafe { &*object };
    THIS.get().and_then(|this| this(object)).map_or(std::ptr::null(), std::ptr::from_ref)
}

/// Where a value is, for C.
#[repr(C)]
pub(crate) struct Located {
    reader: *const Reader,
    found: [u64; 6],
    length: usize,
    kind: u32,
}

const _: () = assert!(size_of::<Found>() <= size_of::<[u64; 6]>() && align_of::<Found>() <= 8);

/// Looks for a key; `false`: the long way must do it.
///
/// # Safety
/// What `rr_kv_this` gave, a key of `length` bytes, room for a `Located`.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn rr_kv_locate(
    reader: *const Reader,
    key: *const c_char,
    length: usize,
    located: *mut Located,
) -> bool {
    // SAFETY: what `rr_kv_this` gave, which lives as long as the process.
    let reader = unsafe { &*reader };
    // SAFETY: the bytes of a PHP string that the caller holds.
    let key = unsafe { std::slice::from_raw_parts(key.cast::<u8>(), length) };
    let Ok(Some(found)) = reader.find(key, rr_os::time::monotonic_ms) else { return false };
    // SAFETY: the caller's own memory, for one `Located`.
    let located = unsafe { &mut *located };
    (located.reader, located.length, located.kind) = (reader, found.length, found.kind);
    // SAFETY: `found` has room and alignment for a `Found` (checked at compile time), which needs no drop.
    unsafe { located.found.as_mut_ptr().cast::<Found>().write(found) };
    true
}

/// Copies what was found; `false`: it has changed.
///
/// # Safety
/// What `rr_kv_locate` has filled, and room for its `length`.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn rr_kv_copy(located: *const Located, into: *mut c_char) -> bool {
    // SAFETY: filled by `rr_kv_locate`.
    let located = unsafe { &*located };
    // SAFETY: as above.
    let found = unsafe { &*located.found.as_ptr().cast::<Found>() };
    // SAFETY: the caller has made room for `length` bytes; they are written before they are read.
    let into = unsafe { std::slice::from_raw_parts_mut(into.cast::<u8>(), located.length) };
    // SAFETY: as in `rr_kv_locate`.
    unsafe { &*located.reader }.copy(found, into)
}
