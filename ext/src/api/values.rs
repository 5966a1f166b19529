//! PHP values as bytes with a kind, and back. Numbers, bools and strings are what they are; everything else is what
//! igbinary makes of it where that is loaded, else `serialize()`.

use super::Text;
use super::exceptions::{Cause, of};
use crate::zend::{Callable, Outcome, exit_script};
use ext_php_rs::convert::IntoZval;
use ext_php_rs::prelude::*;
use ext_php_rs::types::Zval;
use rr_wire::kv::kind;
use std::borrow::Cow;
use std::cell::OnceCell;

/// Functions that are looked up once per process.
#[derive(Default)]
struct Functions {
    serialize: OnceCell<Option<Callable>>,
    unserialize: OnceCell<Option<Callable>>,
    pack: OnceCell<Option<Callable>>,
    unpack: OnceCell<Option<Callable>>,
}

thread_local! {
    static FUNCTIONS: Functions = Functions::default();
}

fn function(name: &str) -> Option<Callable> {
    let mut zval = Zval::new();
    zval.set_string(name, false).ok()?;
    Callable::new(&zval)
}

/// How strings and everything that is no number become bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Serializer {
    /// igbinary where it is loaded, else PHP's.
    Native,
    /// PHP's `serialize()`.
    Php,
    /// None: strings only.
    Raw,
}

/// A value ready to be sent.
pub(crate) struct Packed<'a> {
    pub(crate) kind: u32,
    pub(crate) bytes: Cow<'a, [u8]>,
}

/// What a call into PHP has given; `None`: PHP unwinds.
fn settled(outcome: Outcome, value: Zval) -> PhpResult<Option<Zval>> {
    match outcome {
        Outcome::Returned => Ok(Some(value)),
        Outcome::Threw => Ok(None),
        Outcome::Exited => {
            exit_script(0);
            Ok(None)
        }
        Outcome::Bailed => Err(of(Cause::KeyValue, "PHP failed while it converted a value")),
    }
}

/// A value as bytes; `None`: an exception is pending.
pub(crate) fn pack(value: &Zval, serializer: Serializer) -> PhpResult<Option<Packed<'_>>> {
    let value = value.dereference();
    let packed = |kind, bytes: Vec<u8>| Ok(Some(Packed { kind, bytes: Cow::Owned(bytes) }));
    if let Some(text) = value.zend_str() {
        let kind = if serializer == Serializer::Raw { kind::BYTES } else { kind::STRING };
        return Ok(Some(Packed { kind, bytes: Cow::Borrowed(text.as_bytes()) }));
    }
    if serializer == Serializer::Raw {
        let kind = value.get_type();
        return Err(of(Cause::KeyValue, format!("a storage opened as raw takes strings; this is {kind}")));
    }
    if let Some(number) = value.long() {
        return packed(kind::INT, number.to_le_bytes().to_vec());
    }
    if let Some(number) = value.double() {
        return packed(kind::FLOAT, number.to_le_bytes().to_vec());
    }
    if let Some(flag) = value.bool() {
        return packed(kind::BOOL, vec![u8::from(flag)]);
    }
    if value.is_null() {
        return packed(kind::NULL, Vec::new());
    }
    FUNCTIONS.with(|functions| {
        let native = serializer == Serializer::Native;
        let pack = functions.pack.get_or_init(|| function("igbinary_serialize")).as_ref().filter(|_| native);
        let plain = functions.serialize.get_or_init(|| function("serialize")).as_ref();
        let (kind, callable) = match (pack, plain) {
            (Some(pack), _) => (kind::IGBINARY, pack),
            (None, Some(plain)) => (kind::SERIALIZED, plain),
            (None, None) => return Err(of(Cause::KeyValue, "serialize() is disabled")),
        };
        let (outcome, text) = callable.call(&mut [value.shallow_clone()]);
        let Some(text) = settled(outcome, text)? else { return Ok(None) };
        match text.zend_str() {
            Some(text) => packed(kind, text.as_bytes().to_vec()),
            None => Err(of(Cause::KeyValue, "a value that cannot be serialized")),
        }
    })
}

fn text(bytes: &[u8]) -> PhpResult<Zval> {
    let mut zval = Zval::new();
    Text::new(bytes).set_zval(&mut zval, false).map_err(|error| of(Cause::KeyValue, error.to_string()))?;
    Ok(zval)
}

/// The value of a stale item, and the millisecond after which it is.
pub(crate) fn fresh_until(kind: u32, bytes: &[u8]) -> (u32, u64, &[u8]) {
    match bytes.split_first_chunk::<8>() {
        Some((until, rest)) if kind & kind::STALE != 0 => {
            (kind & !kind::STALE, u64::from_le_bytes(*until), rest)
        }
        _ => (kind, u64::MAX, bytes),
    }
}

/// Bytes as a value; null with a pending exception where PHP could not read them.
pub(crate) fn unpack(kind: u32, bytes: &[u8], serializer: Serializer) -> PhpResult<Zval> {
    let (kind, _, bytes) = fresh_until(kind, bytes);
    let mut zval = Zval::new();
    let word = bytes.first_chunk::<8>().copied().unwrap_or_default();
    match kind {
        kind::INT => zval.set_long(i64::from_le_bytes(word)),
        kind::FLOAT => zval.set_double(f64::from_le_bytes(word)),
        kind::BOOL => zval.set_bool(bytes.first().is_some_and(|byte| *byte != 0)),
        kind::NULL => zval.set_null(),
        kind::STRING => return text(bytes),
        kind::BYTES if serializer == Serializer::Raw => return text(bytes),
        kind::BYTES if !is_serialized(bytes) && !bytes.starts_with(IGBINARY_2) => return text(bytes),
        _ => {
            return FUNCTIONS.with(|functions| {
                let callable = match kind {
                    kind::BYTES if bytes.starts_with(IGBINARY_2) => {
                        functions.unpack.get_or_init(|| function("igbinary_unserialize"))
                    }
                    kind::IGBINARY => functions.unpack.get_or_init(|| function("igbinary_unserialize")),
                    _ => functions.unserialize.get_or_init(|| function("unserialize")),
                };
                let Some(callable) = callable else {
                    return Err(of(Cause::KeyValue, "a value of igbinary, which is not loaded here"));
                };
                let (outcome, value) = callable.call(&mut [text(bytes)?]);
                Ok(settled(outcome, value)?.unwrap_or_else(Zval::null))
            });
        }
    }
    Ok(zval)
}

/// How a value of igbinary begins: the version of its format.
const IGBINARY_2: &[u8] = &[0, 0, 0, 2];

/// Whether bytes that somebody else has stored look like what `serialize()` gives, as clients of RoadRunner's RPC store.
fn is_serialized(bytes: &[u8]) -> bool {
    match bytes {
        b"N;" => true,
        [b'b' | b'i' | b'd', b':', .., b';'] | [b's', b':', .., b'"', b';'] => true,
        [b'a' | b'O' | b'E' | b'C', b':', digit, .., b'}' | b';'] => digit.is_ascii_digit(),
        _ => false,
    }
}
