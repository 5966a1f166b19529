//! `RoadRunner\Response`: status, headers and a body, written to the channel without a copy in between.

use super::Text;
use super::exceptions::{self, Cause};
use crate::zend::embedded::is_a;
use ext_php_rs::boxed::ZBox;
use ext_php_rs::prelude::*;
use ext_php_rs::types::{ZendClassObject, ZendHashTable, Zval};
use rr_wire::http::encode_response;

/// An HTTP response.
///
/// The body is a string, something with `__toString()`, or an iterable of strings: a generator streams each piece
/// as it is made. A Closure is called and prints the body; `flush()` sends what is there.
#[php_class]
#[php(name = "RoadRunner\\Response")]
pub struct Response {
    status: u16,
    /// PHP array: name → value or list of values.
    headers: Zval,
    body: Zval,
}

#[php_impl]
impl Response {
    /// A response.
    ///
    /// @param string|\Stringable|iterable<string>|\Closure $body
    /// @param array<string, string|int|list<string>> $headers
    /// @throws Exception the status is not from 200 to 599, or the body is of another type
    #[php(defaults(status = 200))]
    #[php(optional = "body")]
    pub fn __construct(body: Option<&Zval>, status: i64, headers: Option<&Zval>) -> PhpResult<Self> {
        let body = body.map_or_else(Zval::new, Zval::shallow_clone);
        check_body(&body)?;
        let headers = match headers {
            None => Zval::new_array(),
            Some(headers) if headers.is_null() => Zval::new_array(),
            Some(headers) if headers.is_array() => headers.shallow_clone(),
            Some(_) => return Err(wrong("the headers of a response are an array: name => value".to_owned())),
        };
        Ok(Self { status: check_status(status)?, headers, body })
    }

    /// The status code.
    pub fn status(&self) -> i64 {
        i64::from(self.status)
    }

    /// Sets the status code.
    pub fn set_status(
        self_: &mut ZendClassObject<Response>,
        status: i64,
    ) -> PhpResult<&mut ZendClassObject<Response>> {
        self_.status = check_status(status)?;
        Ok(self_)
    }

    /// The headers as they were given.
    ///
    /// @return array<string, string|int|list<string>>
    pub fn headers(&self) -> PhpResult<ZBox<ZendHashTable>> {
        let headers = self.headers.array().ok_or_else(|| wrong("the headers are no array".to_owned()))?;
        Ok(headers.to_owned())
    }

    /// Sets a header, in place of one with exactly this name.
    ///
    /// @param string|int|list<string> $value
    pub fn set_header<'a>(
        self_: &'a mut ZendClassObject<Response>,
        name: &str,
        value: &Zval,
    ) -> PhpResult<&'a mut ZendClassObject<Response>> {
        let mut headers = self_.headers.array().map_or_else(ZendHashTable::new, ToOwned::to_owned);
        headers.insert(name, value.shallow_clone())?;
        self_.headers.set_hashtable(headers);
        Ok(self_)
    }

    /// Sets the body.
    ///
    /// @param string|\Stringable|iterable<string>|\Closure $body
    pub fn set_body<'a>(
        self_: &'a mut ZendClassObject<Response>,
        body: &Zval,
    ) -> PhpResult<&'a mut ZendClassObject<Response>> {
        check_body(body)?;
        self_.body = body.shallow_clone();
        Ok(self_)
    }

    /// The body, if it is a string.
    pub fn body(&self) -> Option<Text> {
        self.body.zend_str().map(Text::new_from)
    }
}

impl Text {
    fn new_from(text: &ext_php_rs::types::ZendStr) -> Self {
        Self::new(text.as_bytes())
    }
}

fn wrong(text: String) -> PhpException {
    exceptions::of(Cause::Other, text)
}

fn check_status(status: i64) -> PhpResult<u16> {
    u16::try_from(status)
        .ok()
        .filter(|status| (200..=599).contains(status))
        .ok_or_else(|| wrong(format!("a response with status {status}: expected 200 to 599")))
}

fn check_body(body: &Zval) -> PhpResult<()> {
    let fits = body.is_null() || body.is_string() || body.is_scalar() || body.is_array() || body.is_object();
    let object = body.object().is_some();
    let known = || body.is_traversable() || is_a(body, "Closure") || body.object().is_some_and(has_to_string);
    if !fits || object && !known() {
        let text = "the body of a response is a string, a Stringable, an iterable of strings or a Closure that prints";
        return Err(wrong(text.to_owned()));
    }
    Ok(())
}

fn has_to_string(object: &ext_php_rs::types::ZendObject) -> bool {
    ext_php_rs::zend::ClassEntry::try_find("Stringable")
        .is_some_and(|stringable| object.instance_of(stringable))
}

/// The parts of a response, for whoever sends it.
pub(crate) struct Parts<'a> {
    pub(crate) status: u16,
    pub(crate) headers: Option<&'a ZendHashTable>,
    pub(crate) body: &'a Zval,
}

impl<'a> Parts<'a> {
    /// Of what a handler returned: a `Response`, a string, or nothing. `None`: something else.
    pub(crate) fn of(value: &'a Zval) -> Option<Self> {
        if let Some(response) = value.object().and_then(ZendClassObject::<Response>::from_zend_obj) {
            let Response { status, headers, body } = &**response;
            return Some(Self { status: *status, headers: headers.array(), body });
        }
        let plain = value.is_string() || value.is_null();
        plain.then_some(Self { status: if value.is_null() { 204 } else { 200 }, headers: None, body: value })
    }

    /// Encodes the head into `into`. `length` is added as Content-Length unless the app gave one.
    ///
    /// # Errors
    /// A name or value that is no header.
    pub(crate) fn encode(&self, into: &mut Vec<u8>, length: Option<usize>) -> Result<(), String> {
        let mut flat: Vec<(&[u8], std::borrow::Cow<'_, [u8]>)> = Vec::with_capacity(8);
        let mut typed = self.status == 204 || self.status == 304;
        let mut sized = length.is_none();
        let keys: Vec<(String, &Zval)> = self
            .headers
            .map(|headers| headers.iter().map(|(key, value)| (key.to_string(), value)).collect())
            .unwrap_or_default();
        for (name, value) in &keys {
            if !is_token(name.as_bytes()) {
                return Err(format!("a response header named {name:?}"));
            }
            typed |= name.eq_ignore_ascii_case("content-type");
            sized |= name.eq_ignore_ascii_case("content-length");
            let mut push = |value: &'a Zval| -> Result<(), String> {
                let bytes = match value.zend_str() {
                    Some(text) => std::borrow::Cow::Borrowed(text.as_bytes()),
                    // No objects: nothing of PHP runs while the head is made.
                    None if !value.is_scalar() => {
                        return Err(format!("the value of response header {name:?} is no string"));
                    }
                    None => crate::zend::to_bytes(value)
                        .map(std::borrow::Cow::Owned)
                        .map_err(|_| format!("the value of response header {name:?} is no string"))?,
                };
                if bytes.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
                    return Err(format!("a line break or NUL in the value of response header {name:?}"));
                }
                flat.push((name.as_bytes(), bytes));
                Ok(())
            };
            match value.array() {
                Some(list) => list.values().try_for_each(&mut push)?,
                None => push(value)?,
            }
        }
        let length = length.map(|length| length.to_string()).unwrap_or_default();
        if !sized {
            flat.push((b"content-length", length.as_bytes().into()));
        }
        if !typed {
            flat.push((b"content-type", b"text/html; charset=UTF-8"[..].into()));
        }
        encode_response(into, self.status, || flat.iter().map(|(name, value)| (*name, &**value)))
            .map_err(|error| error.to_string())
    }
}

/// RFC 9110, 5.6.2.
fn is_token(name: &[u8]) -> bool {
    let token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    !name.is_empty() && name.iter().all(token)
}
