//! The safe face of `values.c`: arrays with keys of any bytes, and the short way of `KeyValue::get()`.

use ext_php_rs::types::{ZendHashTable, ZendObject, Zval};
use ext_php_rs::zend::ClassEntry;
use rr_worker::table::Reader;
use std::ffi::{c_char, c_void};
use std::sync::OnceLock;

type EntryFn = unsafe extern "C" fn(*mut c_void, *const c_char, usize, *mut Zval);

unsafe extern "C" {
    fn rr_each_entry(array: *const ZendHashTable, give: EntryFn, context: *mut c_void);
    fn rr_array_set(array: *mut ZendHashTable, key: *const c_char, length: usize, value: *mut Zval);
    fn rr_kv_hurry(class: *mut ClassEntry);
    fn rr_kv_room(place: *mut c_void, kind: u32, length: usize) -> *mut c_char;
    safe fn rr_kv_forget();
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

/// Puts the short way in front of `KeyValue::get()`, once. To be called before each object of the class is made.
pub(crate) fn hurry(class: &'static ClassEntry, this: This) {
    rr_kv_forget();
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

/// Reads a key's value into what `rr_kv_room` makes of `place`; `false`: the long way must do it.
///
/// # Safety
/// What `rr_kv_this` gave, a key of `length` bytes, a place for `rr_kv_room`.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn rr_kv_read(
    table: *const Reader,
    key: *const c_char,
    length: usize,
    place: *mut c_void,
) -> bool {
    // SAFETY: what `rr_kv_this` gave, which lives as long as the process.
    let table = unsafe { &*table };
    // SAFETY: the bytes of a PHP string that the caller holds.
    let key = unsafe { std::slice::from_raw_parts(key.cast::<u8>(), length) };
    table.read_into(key, rr_os::time::monotonic_ms, |kind, length| {
        // SAFETY: the caller's place.
        let room = unsafe { rr_kv_room(place, kind, length) };
        // SAFETY: NULL, or room for `length` bytes that is the caller's until the call is over; they are written before
        // anybody reads them.
        (!room.is_null()).then(|| unsafe { std::slice::from_raw_parts_mut(room.cast::<u8>(), length) })
    })
}
