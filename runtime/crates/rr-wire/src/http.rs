//! HTTP contexts of native workers: the head of a request and of a response in one flat block each, so that
//! the reader can hand out slices without decoding what nobody asks for. Little endian, no padding.
//!
//! ```text
//! request:  u8 version (10, 11, 20, 30)  u8 flags (1 https, 2 form)  u16 headers  u16 remote port  u16 server port
//!           u16 method  u16 remote  u16 server  u32 target  u32 authority  u32 script  u32 path info
//!           | method remote server target authority script path-info | (u16 name, u32 value) × headers
//!           | name value name value …
//! response: u16 status  u16 headers | (u16 name, u32 value) × headers | name value name value …
//! ```
//! A response's head with status 0, in the last frame of a stream, is its trailers.
//! Foreign clients get the JSON or protobuf contexts of rows HTTP-01…04 instead.

use thiserror::Error;

/// The name of what is no header: the path of a file that the master sends as the body.
pub const FILE: &[u8] = b":file";

const REQUEST_FIXED: usize = 30;
const HTTPS: u8 = 1;
const FORM: u8 = 2;
/// Fields before the header table: three with short lengths, four with long ones.
const FIELDS: usize = 7;
const RESPONSE_FIXED: usize = 4;
const PAIR: usize = 6;

/// A header by which a worker of the web modes marks an answer whose body is not the app's. The master takes it away.
pub const FAILED: &str = "rr-failed";

/// Why a block is not a context of this module.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ContextError {
    /// A length points past the end.
    #[error("the {what} context ends early: {have} bytes, {need} declared")]
    Short {
        /// "request" or "response".
        what: &'static str,
        /// Bytes there are.
        have: usize,
        /// Bytes its lengths add up to.
        need: usize,
    },
    /// Bytes are left over.
    #[error("the {what} context has {extra} bytes too many")]
    Long {
        /// "request" or "response".
        what: &'static str,
        /// How many.
        extra: usize,
    },
    /// A name, value or header count that the lengths of the format cannot express.
    #[error("{0} is too long for a context")]
    TooLong(&'static str),
}

/// What [`encode_request`] writes.
#[derive(Debug, Clone, Copy)]
pub struct RequestHead<'a> {
    /// 10, 11 or 20.
    pub version: u8,
    /// Whether the client's connection is TLS.
    pub https: bool,
    /// The body is a block of [`crate::form`]: the server has parsed a multipart body.
    pub form: bool,
    /// The peer's port; 0 for a unix socket.
    pub remote_port: u16,
    /// The port of the listener; 0 for a unix socket.
    pub server_port: u16,
    /// `GET`, `POST`, …
    pub method: &'a [u8],
    /// The peer's address without a port (HTTP-05); empty for a unix socket.
    pub remote: &'a [u8],
    /// The address that the client has connected to, without a port; empty for a unix socket.
    pub server: &'a [u8],
    /// The request target in origin form, query included.
    pub target: &'a [u8],
    /// `Host`, or the authority of an absolute target.
    pub authority: &'a [u8],
    /// The script below the document root that answers, with a leading `/`; empty where scripts are not chosen by path.
    pub script: &'a [u8],
    /// What follows the script in the path, decoded.
    pub path_info: &'a [u8],
}

/// Appends a request context to `into`. `headers` is asked for twice and gives the same both times.
///
/// # Errors
/// A field is longer than the format can say; nothing usable was appended then.
pub fn encode_request<'h, I>(
    into: &mut Vec<u8>,
    head: &RequestHead<'_>,
    headers: impl Fn() -> I,
) -> Result<(), ContextError>
where
    I: Iterator<Item = (&'h [u8], &'h [u8])>,
{
    let count = headers().count();
    into.push(head.version);
    into.push(if head.https { HTTPS } else { 0 } | if head.form { FORM } else { 0 });
    into.extend_from_slice(&short(count, "the number of headers")?);
    into.extend_from_slice(&head.remote_port.to_le_bytes());
    into.extend_from_slice(&head.server_port.to_le_bytes());
    into.extend_from_slice(&short(head.method.len(), "the method")?);
    into.extend_from_slice(&short(head.remote.len(), "the remote address")?);
    into.extend_from_slice(&short(head.server.len(), "the server's address")?);
    into.extend_from_slice(&long(head.target.len(), "the target")?);
    into.extend_from_slice(&long(head.authority.len(), "the authority")?);
    into.extend_from_slice(&long(head.script.len(), "the script's path")?);
    into.extend_from_slice(&long(head.path_info.len(), "the path info")?);
    let texts =
        [head.method, head.remote, head.server, head.target, head.authority, head.script, head.path_info];
    for part in texts {
        into.extend_from_slice(part);
    }
    encode_headers(into, headers)
}

/// Appends a response context to `into`. `headers` is asked for twice and gives the same both times.
///
/// # Errors
/// A field is longer than the format can say; nothing usable was appended then.
pub fn encode_response<'h, I>(
    into: &mut Vec<u8>,
    status: u16,
    headers: impl Fn() -> I,
) -> Result<(), ContextError>
where
    I: Iterator<Item = (&'h [u8], &'h [u8])>,
{
    into.extend_from_slice(&status.to_le_bytes());
    into.extend_from_slice(&short(headers().count(), "the number of headers")?);
    encode_headers(into, headers)
}

fn encode_headers<'h, I>(into: &mut Vec<u8>, headers: impl Fn() -> I) -> Result<(), ContextError>
where
    I: Iterator<Item = (&'h [u8], &'h [u8])>,
{
    for (name, value) in headers() {
        into.extend_from_slice(&short(name.len(), "a header name")?);
        into.extend_from_slice(&long(value.len(), "a header value")?);
    }
    for (name, value) in headers() {
        into.extend_from_slice(name);
        into.extend_from_slice(value);
    }
    Ok(())
}

fn short(length: usize, what: &'static str) -> Result<[u8; 2], ContextError> {
    u16::try_from(length).map(u16::to_le_bytes).map_err(|_| ContextError::TooLong(what))
}

fn long(length: usize, what: &'static str) -> Result<[u8; 4], ContextError> {
    u32::try_from(length).map(u32::to_le_bytes).map_err(|_| ContextError::TooLong(what))
}

fn u16_at(bytes: &[u8], at: usize) -> usize {
    usize::from(u16::from_le_bytes([bytes[at], bytes[at + 1]]))
}

fn u32_at(bytes: &[u8], at: usize) -> usize {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]) as usize
}

/// Checks that the header table at `table` and what it declares fill `bytes` exactly.
fn check_headers(
    what: &'static str,
    bytes: &[u8],
    count: usize,
    table: usize,
) -> Result<usize, ContextError> {
    let text = table + count * PAIR;
    if bytes.len() < text {
        return Err(ContextError::Short { what, have: bytes.len(), need: text });
    }
    let need = (0..count).fold(text, |sum, index| {
        let at = table + index * PAIR;
        sum + u16_at(bytes, at) + u32_at(bytes, at + 2)
    });
    match need.cmp(&bytes.len()) {
        std::cmp::Ordering::Greater => Err(ContextError::Short { what, have: bytes.len(), need }),
        std::cmp::Ordering::Less => Err(ContextError::Long { what, extra: bytes.len() - need }),
        std::cmp::Ordering::Equal => Ok(text),
    }
}

/// Iterates over the headers of a checked context.
#[derive(Debug, Clone)]
pub struct Headers<'a> {
    bytes: &'a [u8],
    entry: usize,
    text: usize,
    left: usize,
}

impl<'a> Iterator for Headers<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let (name, value) = (u16_at(self.bytes, self.entry), u32_at(self.bytes, self.entry + 2));
        let item = (
            &self.bytes[self.text..self.text + name],
            &self.bytes[self.text + name..self.text + name + value],
        );
        self.entry += PAIR;
        self.text += name + value;
        Some(item)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

/// A request context, checked once.
#[derive(Debug, Clone, Copy)]
pub struct RequestView<'a> {
    bytes: &'a [u8],
}

impl<'a> RequestView<'a> {
    /// Checks every length of `bytes`.
    ///
    /// # Errors
    /// A length does not fit.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ContextError> {
        let what = "request";
        if bytes.len() < REQUEST_FIXED {
            return Err(ContextError::Short { what, have: bytes.len(), need: REQUEST_FIXED });
        }
        let view = Self { bytes };
        let table = view.at(FIELDS);
        if bytes.len() < table {
            return Err(ContextError::Short { what, have: bytes.len(), need: table });
        }
        check_headers(what, bytes, u16_at(bytes, 2), table)?;
        Ok(view)
    }

    /// Trusts a context that [`RequestView::parse`] accepted before.
    #[must_use]
    pub const fn trusted(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// Method, remote address, server's address, target, authority, script and path info, in one go.
    #[must_use]
    pub fn fields(&self) -> [&'a [u8]; FIELDS] {
        let mut at = REQUEST_FIXED;
        std::array::from_fn(|index| {
            let length = match index {
                0..3 => u16_at(self.bytes, 8 + 2 * index),
                _ => u32_at(self.bytes, 14 + 4 * (index - 3)),
            };
            at += length;
            &self.bytes[at - length..at]
        })
    }

    /// Where field `index` (in the order of the layout) starts; the header table is number [`FIELDS`].
    fn at(&self, index: usize) -> usize {
        let long = |nth: usize| u32_at(self.bytes, 14 + 4 * nth);
        let lengths: [usize; FIELDS] = [
            u16_at(self.bytes, 8),
            u16_at(self.bytes, 10),
            u16_at(self.bytes, 12),
            long(0),
            long(1),
            long(2),
            long(3),
        ];
        REQUEST_FIXED + lengths[..index].iter().sum::<usize>()
    }

    fn field(&self, index: usize) -> &'a [u8] {
        &self.bytes[self.at(index)..self.at(index + 1)]
    }

    /// 10, 11 or 20.
    #[must_use]
    pub fn version(&self) -> u8 {
        self.bytes[0]
    }

    /// Whether the client's connection is TLS.
    #[must_use]
    pub fn https(&self) -> bool {
        self.bytes[1] & HTTPS != 0
    }

    /// Whether the body is a block of [`crate::form`].
    #[must_use]
    pub fn form(&self) -> bool {
        self.bytes[1] & FORM != 0
    }

    /// The peer's port.
    #[must_use]
    pub fn remote_port(&self) -> u16 {
        u16::from_le_bytes([self.bytes[4], self.bytes[5]])
    }

    /// The listener's port.
    #[must_use]
    pub fn server_port(&self) -> u16 {
        u16::from_le_bytes([self.bytes[6], self.bytes[7]])
    }

    /// The method.
    #[must_use]
    pub fn method(&self) -> &'a [u8] {
        self.field(0)
    }

    /// The peer's address.
    #[must_use]
    pub fn remote(&self) -> &'a [u8] {
        self.field(1)
    }

    /// The listener's address.
    #[must_use]
    pub fn server(&self) -> &'a [u8] {
        self.field(2)
    }

    /// The target, query included.
    #[must_use]
    pub fn target(&self) -> &'a [u8] {
        self.field(3)
    }

    /// Host and port.
    #[must_use]
    pub fn authority(&self) -> &'a [u8] {
        self.field(4)
    }

    /// The script below the document root; empty where scripts are not chosen by path.
    #[must_use]
    pub fn script(&self) -> &'a [u8] {
        self.field(5)
    }

    /// What follows the script in the path.
    #[must_use]
    pub fn path_info(&self) -> &'a [u8] {
        self.field(6)
    }

    /// The headers in the order of the wire.
    #[must_use]
    pub fn headers(&self) -> Headers<'a> {
        let count = u16_at(self.bytes, 2);
        let entry = self.at(FIELDS);
        Headers { bytes: self.bytes, entry, text: entry + count * PAIR, left: count }
    }
}

/// A response context, checked once.
#[derive(Debug, Clone, Copy)]
pub struct ResponseView<'a> {
    bytes: &'a [u8],
}

impl<'a> ResponseView<'a> {
    /// Checks every length of `bytes`.
    ///
    /// # Errors
    /// A length does not fit.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ContextError> {
        if bytes.len() < RESPONSE_FIXED {
            return Err(ContextError::Short { what: "response", have: bytes.len(), need: RESPONSE_FIXED });
        }
        check_headers("response", bytes, u16_at(bytes, 2), RESPONSE_FIXED)?;
        Ok(Self { bytes })
    }

    /// The status code as the worker gave it.
    #[must_use]
    pub fn status(&self) -> u16 {
        u16::from_le_bytes([self.bytes[0], self.bytes[1]])
    }

    /// The headers in the worker's order.
    #[must_use]
    pub fn headers(&self) -> Headers<'a> {
        let count = u16_at(self.bytes, 2);
        Headers { bytes: self.bytes, entry: RESPONSE_FIXED, text: RESPONSE_FIXED + count * PAIR, left: count }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

    fn pairs(headers: &Pairs) -> impl Iterator<Item = (&[u8], &[u8])> + Clone {
        headers.iter().map(|(name, value)| (&name[..], &value[..]))
    }

    proptest! {
        #[test]
        fn requests_survive_the_round_trip(
            method in "[A-Z]{1,9}", target: Vec<u8>, authority: Vec<u8>, remote: Vec<u8>,
            headers: Pairs, https: bool,
        ) {
            let head = RequestHead { version: 11, https, form: !https, remote_port: 1234, server_port: 80,
                method: method.as_bytes(), remote: &remote, server: b"::1", target: &target,
                authority: &authority, script: &target, path_info: &authority };
            let mut bytes = Vec::new();
            encode_request(&mut bytes, &head, || pairs(&headers)).expect("encodes");
            let view = RequestView::parse(&bytes).expect("parses");
            prop_assert_eq!(view.method(), method.as_bytes());
            prop_assert_eq!(view.remote(), &remote[..]);
            prop_assert_eq!(view.target(), &target[..]);
            prop_assert_eq!(view.authority(), &authority[..]);
            prop_assert_eq!((view.https(), view.form()), (https, !https));
            prop_assert_eq!((view.remote_port(), view.server_port()), (1234, 80));
            prop_assert_eq!((view.server(), view.script()), (&b"::1"[..], &target[..]));
            prop_assert_eq!(view.path_info(), &authority[..]);
            let fields = [view.method(), view.remote(), view.server(), view.target(), view.authority(), view.script(),
                view.path_info()];
            prop_assert_eq!(view.fields(), fields);
            prop_assert!(view.headers().eq(pairs(&headers)));
            for cut in 0..bytes.len() {
                prop_assert!(RequestView::parse(&bytes[..cut]).is_err());
            }
        }

        #[test]
        fn responses_survive_the_round_trip(status: u16, headers: Pairs) {
            let mut bytes = Vec::new();
            encode_response(&mut bytes, status, || pairs(&headers)).expect("encodes");
            let view = ResponseView::parse(&bytes).expect("parses");
            prop_assert_eq!(view.status(), status);
            prop_assert!(view.headers().eq(pairs(&headers)));
            bytes.push(0);
            prop_assert!(ResponseView::parse(&bytes).is_err());
        }
    }

    #[test]
    fn too_many_headers_are_refused() {
        let headers: Pairs = vec![(vec![b'a'], vec![]); 70_000];
        let result = encode_response(&mut Vec::new(), 200, || pairs(&headers));
        assert_eq!(result, Err(ContextError::TooLong("the number of headers")));
    }
}
