//! `RoadRunner\Response`: status, headers and a body, written to the channel without a copy in between.

use super::Text;
use super::exceptions::{self, Cause};
use crate::role::answer;
use crate::zend;
use crate::zend::embedded::is_a;
use ext_php_rs::boxed::ZBox;
use ext_php_rs::prelude::*;
use ext_php_rs::types::{ZendClassObject, ZendHashTable, Zval};
use rr_wire::http::{FILE, encode_response};
use std::ffi::OsStr;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// An HTTP response.
///
/// The body is a string, something with `__toString()`, an iterable of strings (a generator streams each piece as it is
/// made), a stream resource, a Closure that prints (`flush()` sends what is there), or an `SplFileInfo`, whose file the
/// server sends by itself.
///
/// `write()` and `flush()` send a response piece by piece from inside the handler, which returns it in the end.
#[php_class]
#[php(name = "RoadRunner\\Response")]
pub struct Response {
    status: u16,
    /// PHP array: name → value or list of values.
    headers: Zval,
    body: Zval,
    /// Written and not sent.
    written: Vec<u8>,
    /// The file that is the body.
    file: Option<Vec<u8>>,
    /// Headers behind the body.
    trailers: Vec<(String, Vec<u8>)>,
    /// The items of the body are events of a `text/event-stream`.
    events: bool,
    /// The unit that it is being sent to; 0 before.
    unit: u32,
}

#[php_impl]
impl Response {
    /// A response.
    ///
    /// @param string|\Stringable|iterable<string>|resource|\SplFileInfo|\Closure|null $body
    /// @param array<string, string|int|list<string>> $headers
    /// @throws Exception the status is not from 200 to 599, or the body is of another type
    #[php(defaults(status = 200))]
    #[php(optional = "body")]
    pub fn __construct(body: Option<&Zval>, status: i64, headers: Option<&Zval>) -> PhpResult<Self> {
        let headers = match headers {
            None => Zval::new_array(),
            Some(headers) if headers.is_null() => Zval::new_array(),
            Some(headers) if headers.is_array() => headers.shallow_clone(),
            Some(_) => return Err(wrong("the headers of a response are an array: name => value".to_owned())),
        };
        let mut response = Self {
            status: check_status(status)?,
            headers,
            body: Zval::new(),
            written: Vec::new(),
            file: None,
            trailers: Vec::new(),
            events: false,
            unit: 0,
        };
        if let Some(body) = body {
            response.take_body(body)?;
        }
        Ok(response)
    }

    /// A stream of server-sent events (`text/event-stream`). Each item is a string, the event's data, or an array of
    /// `data`, `event`, `id`, `retry` (milliseconds) and `comment`; an array as data becomes JSON.
    ///
    /// @param iterable<string|array<string, mixed>> $events
    /// @param array<string, string|int|list<string>> $headers
    /// @throws Exception
    pub fn events(events: &Zval, headers: Option<&Zval>) -> PhpResult<Self> {
        let mut response = Self::__construct(None, 200, headers)?;
        if !events.is_array() && !events.is_traversable() {
            return Err(wrong("the events of a response are an iterable".to_owned()));
        }
        response.body = events.shallow_clone();
        response.events = true;
        Ok(response)
    }

    /// A response whose body is a file, sent by the server with its type, `ETag` and ranges. The worker's user must be
    /// able to read it.
    ///
    /// @param array<string, string|int|list<string>> $headers
    /// @throws Exception the path is empty
    pub fn file(path: &Zval, headers: Option<&Zval>) -> PhpResult<Self> {
        let mut response = Self::__construct(None, 200, headers)?;
        response.set_file(path)?;
        Ok(response)
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

    /// Sets a header that follows the body of a chunked response. Its name must be known before the first piece is
    /// sent, its value before the last. Clients get it if they have said `TE: trailers`.
    ///
    /// @throws Exception
    pub fn set_trailer<'a>(
        self_: &'a mut ZendClassObject<Response>,
        name: &str,
        value: &str,
    ) -> PhpResult<&'a mut ZendClassObject<Response>> {
        if !is_token(name.as_bytes()) || !is_value(value.as_bytes()) {
            return Err(wrong(format!("a trailer named {name:?}, or its value, is no header")));
        }
        let begun = self_.unit != 0;
        let known = self_.trailers.iter_mut().find(|(have, _)| have.eq_ignore_ascii_case(name));
        match known {
            Some((_, have)) => *have = value.as_bytes().to_vec(),
            None if begun => {
                return Err(wrong(format!("trailer {name:?} comes too late: the response has begun")));
            }
            None => self_.trailers.push((name.to_owned(), value.as_bytes().to_vec())),
        }
        Ok(self_)
    }

    /// Sets the body.
    ///
    /// @param string|\Stringable|iterable<string>|resource|\SplFileInfo|\Closure|null $body
    pub fn set_body<'a>(
        self_: &'a mut ZendClassObject<Response>,
        body: &Zval,
    ) -> PhpResult<&'a mut ZendClassObject<Response>> {
        self_.take_body(body)?;
        Ok(self_)
    }

    /// The body, if it is a string.
    pub fn body(&self) -> Option<Text> {
        self.body.zend_str().map(Text::new_from)
    }

    /// Sends a file as the body: see `file()`.
    ///
    /// @throws Exception
    pub fn send_file<'a>(
        self_: &'a mut ZendClassObject<Response>,
        path: &Zval,
    ) -> PhpResult<&'a mut ZendClassObject<Response>> {
        self_.set_file(path)?;
        Ok(self_)
    }

    /// Writes a piece of the body, which stands before the one given to the constructor. It is sent with the next
    /// `flush()`, or when there is much of it.
    ///
    /// @throws ClientGoneException nobody reads it
    /// @throws RoleException outside of a request
    pub fn write<'a>(
        self_: &'a mut ZendClassObject<Response>,
        piece: &Zval,
    ) -> PhpResult<&'a mut ZendClassObject<Response>> {
        match piece.zend_str() {
            Some(text) => self_.written.extend_from_slice(text.as_bytes()),
            None if piece.is_scalar() => {
                let text = zend::to_bytes(piece).unwrap_or_default();
                self_.written.extend_from_slice(&text);
            }
            None => return Err(wrong("a piece of a response is a string".to_owned())),
        }
        if self_.written.len() >= answer::PIECE {
            answer::flush(self_)?;
        }
        Ok(self_)
    }

    /// Sends what there is: the head, if it is not on its way, and what was written.
    ///
    /// @throws ClientGoneException nobody reads it
    /// @throws RoleException outside of a request
    pub fn flush(self_: &mut ZendClassObject<Response>) -> PhpResult<&mut ZendClassObject<Response>> {
        answer::flush(self_)?;
        Ok(self_)
    }

    /// Sends the rest and ends the response; the handler goes on. What it returns then is not sent.
    ///
    /// @throws ClientGoneException nobody reads it
    /// @throws RoleException outside of a request
    pub fn end(self_: &mut ZendClassObject<Response>) -> PhpResult<()> {
        answer::end(self_)
    }

    /// Sends a 103 before the response: `['Link' => ['</app.css>; rel=preload; as=style']]`.
    ///
    /// @param array<string, string|list<string>> $headers
    /// @throws ClientGoneException nobody reads it
    /// @throws RoleException outside of a request, or the response has begun
    pub fn early_hints<'a>(
        self_: &'a mut ZendClassObject<Response>,
        headers: &Zval,
    ) -> PhpResult<&'a mut ZendClassObject<Response>> {
        let hints = headers.array().ok_or_else(|| wrong("early hints are an array of headers".to_owned()))?;
        answer::early_hints(hints)?;
        Ok(self_)
    }
}

impl Response {
    fn take_body(&mut self, body: &Zval) -> PhpResult<()> {
        if is_a(body, "SplFileInfo") {
            return self.set_file(body);
        }
        check_body(body)?;
        self.body = body.shallow_clone();
        self.file = None;
        Ok(())
    }

    fn set_file(&mut self, path: &Zval) -> PhpResult<()> {
        let text = match path.zend_str() {
            Some(text) => text.as_bytes().to_vec(),
            None if path.is_object() => {
                zend::to_bytes(path).map_err(|_| wrong("a file without a path".to_owned()))?
            }
            None => return Err(wrong("a file is a path or an SplFileInfo".to_owned())),
        };
        if text.is_empty() || !is_value(&text) {
            return Err(wrong("the path of a file is empty, or has a line break or NUL in it".to_owned()));
        }
        // The server may be somewhere else.
        let path = std::path::absolute(OsStr::from_bytes(&text)).map_err(|error| wrong(error.to_string()))?;
        self.file = Some(path.into_os_string().into_vec());
        self.body = Zval::new();
        Ok(())
    }

    pub(crate) fn body_value(&self) -> &Zval {
        &self.body
    }

    /// What was written and not sent.
    pub(crate) fn take_written(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.written)
    }

    /// The unit that it is being sent to; 0 before.
    pub(crate) fn unit(&self) -> u32 {
        self.unit
    }

    pub(crate) fn set_unit(&mut self, unit: u32) {
        self.unit = unit;
    }

    /// The context of the last frame: headers behind the body, if there are any.
    ///
    /// # Errors
    /// They do not fit.
    pub(crate) fn encode_trailers(&self, into: &mut Vec<u8>) -> Result<(), String> {
        if self.trailers.is_empty() {
            return Ok(());
        }
        let pairs = || self.trailers.iter().map(|(name, value)| (name.as_bytes(), &value[..]));
        encode_response(into, 0, pairs).map_err(|error| error.to_string())
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
    let fits = match body.object() {
        Some(_) => body.is_traversable() || is_a(body, "Closure") || is_a(body, "Stringable"),
        None => body.is_null() || body.is_scalar() || body.is_array() || body.is_resource(),
    };
    if !fits {
        let text = "the body of a response is a string, a Stringable, an iterable of strings, a stream, a Closure \
                    that prints or an SplFileInfo";
        return Err(wrong(text.to_owned()));
    }
    Ok(())
}

/// The response that a handler returned, if it is one.
pub(crate) fn of(value: &mut Zval) -> Option<&mut ZendClassObject<Response>> {
    ZendClassObject::<Response>::from_zend_obj_mut(value.object_mut()?)
}

/// The parts of a response, for whoever sends it.
pub(crate) struct Parts<'a> {
    pub(crate) status: u16,
    pub(crate) headers: Option<&'a ZendHashTable>,
    pub(crate) body: &'a Zval,
    pub(crate) events: bool,
    file: Option<&'a [u8]>,
    trailers: &'a [(String, Vec<u8>)],
}

impl<'a> Parts<'a> {
    /// Of what a handler returned: a `Response`, a string, or nothing. `None`: something else.
    pub(crate) fn of(value: &'a Zval) -> Option<Self> {
        if let Some(response) = value.object().and_then(ZendClassObject::<Response>::from_zend_obj) {
            return Some(Self::of_response(response));
        }
        let plain = value.is_string() || value.is_null();
        let status = if value.is_null() { 204 } else { 200 };
        plain.then_some(Self { status, ..Self::empty(value) })
    }

    /// A 200 without headers.
    pub(crate) const fn empty(body: &'a Zval) -> Self {
        Self { status: 200, headers: None, body, events: false, file: None, trailers: &[] }
    }

    pub(crate) fn of_response(response: &'a Response) -> Self {
        let Response { status, headers, body, events, file, trailers, .. } = response;
        Self {
            status: *status,
            headers: headers.array(),
            body,
            events: *events,
            file: file.as_deref(),
            trailers,
        }
    }

    /// A head without a body (1xx).
    pub(crate) fn interim(status: u16, headers: &'a ZendHashTable, body: &'a Zval) -> Self {
        Self { status, headers: Some(headers), ..Self::empty(body) }
    }

    pub(crate) fn is_file(&self) -> bool {
        self.file.is_some()
    }

    pub(crate) fn has_trailers(&self) -> bool {
        !self.trailers.is_empty()
    }

    /// Encodes the head into `into`. `length` is added as Content-Length unless the app gave one.
    ///
    /// # Errors
    /// A name or value that is no header.
    pub(crate) fn encode(&self, into: &mut Vec<u8>, length: Option<usize>) -> Result<(), String> {
        let mut flat: Vec<(&[u8], std::borrow::Cow<'_, [u8]>)> = Vec::with_capacity(8);
        // The server knows the type and length of a file.
        let mut typed = matches!(self.status, 100..=199 | 204 | 304) || self.file.is_some();
        let mut sized = length.is_none() || self.has_trailers();
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
                if !is_value(&bytes) {
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
        if self.events {
            let own: [(&[u8], &[u8]); 2] = [(b"cache-control", b"no-cache"), (b"x-accel-buffering", b"no")];
            for (name, value) in own {
                if !flat.iter().any(|(have, _)| have.eq_ignore_ascii_case(name)) {
                    flat.push((name, value.into()));
                }
            }
            if !typed {
                flat.push((b"content-type", b"text/event-stream"[..].into()));
            }
        } else if !typed {
            flat.push((b"content-type", b"text/html; charset=UTF-8"[..].into()));
        }
        let names: Vec<&str> = self.trailers.iter().map(|(name, _)| name.as_str()).collect();
        let names = names.join(", ");
        if self.has_trailers() {
            flat.push((b"trailer", names.as_bytes().into()));
        }
        if let Some(file) = self.file {
            flat.push((FILE, file.into()));
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

/// RFC 9110, 5.5: no line breaks, no NUL.
fn is_value(value: &[u8]) -> bool {
    !value.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0))
}
