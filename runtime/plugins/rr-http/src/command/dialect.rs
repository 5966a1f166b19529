//! What both dialects say, and which one a worker has answered in.

use super::gather::Gathered;
use super::{json, proto};
use crate::middleware::Remote;
use crate::service::Client;
use crate::uploads::Stored;
use bytes::Bytes;
use http::header::{COOKIE, HOST, TRAILER, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, Version};
use rr_config::Codec;
use rr_pool::ReplyFrame;
use rr_wire::{Flags, cookie, http as wire};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

/// A request on its way to a command worker.
pub(super) struct Context<'a> {
    pub(super) parts: &'a http::request::Parts,
    pub(super) client: &'a Client,
    pub(super) payload: &'a Payload,
}

/// What a worker gets of a body.
pub(super) struct Payload {
    /// The body is JSON of a form.
    pub(super) parsed: bool,
    pub(super) body: Gathered,
    /// JSON of the files of a form.
    pub(super) uploads: Option<Bytes>,
    pub(super) stored: Option<Stored>,
}

impl Context<'_> {
    /// HTTP-05.
    pub(super) fn protocol(&self) -> &'static str {
        match self.parts.version {
            Version::HTTP_10 => "HTTP/1.0",
            Version::HTTP_2 => "HTTP/2.0",
            Version::HTTP_3 => "HTTP/3.0",
            _ => "HTTP/1.1",
        }
    }

    /// HTTP-05: the client's address, without a port.
    pub(super) fn remote(&self) -> &str {
        match self.parts.extensions.get::<Remote>() {
            Some(Remote(remote)) => remote,
            None => &self.client.remote,
        }
    }

    /// HTTP-05: always with scheme and host.
    pub(super) fn uri(&self) -> String {
        let uri = &self.parts.uri;
        if uri.authority().is_some() {
            return uri.to_string();
        }
        let host = self.parts.headers.get(HOST).map_or(&b""[..], http::HeaderValue::as_bytes);
        let target = uri.path_and_query().map_or("/", |target| target.as_str());
        format!("{}://{}{target}", self.client.scheme(), String::from_utf8_lossy(host))
    }

    /// HTTP-05.
    pub(super) fn query(&self) -> &str {
        self.parts.uri.query().unwrap_or_default()
    }

    /// HTTP-06: names as Go writes them, without `Host` and what a body in chunks had, which is whole by now.
    pub(super) fn headers(&self) -> impl Iterator<Item = (String, Vec<&[u8]>)> {
        let headers: &HeaderMap = &self.parts.headers;
        let gone = [HOST, TRANSFER_ENCODING, TRAILER];
        headers.keys().filter(move |name| !gone.contains(name)).map(|name| {
            let values = headers.get_all(name).iter().map(http::HeaderValue::as_bytes).collect();
            (canonical(name), values)
        })
    }

    /// HTTP-07.
    pub(super) fn cookies(&self) -> BTreeMap<Cow<'_, str>, String> {
        cookies(self.parts.headers.get_all(COOKIE).iter().map(http::HeaderValue::as_bytes))
    }
}

/// HTTP-07: the last of a name wins, quotes around a value are none of it, and what cannot be text is no cookie.
fn cookies<'a>(lines: impl Iterator<Item = &'a [u8]>) -> BTreeMap<Cow<'a, str>, String> {
    let inner = |value: &'a [u8]| {
        value.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or(value)
    };
    lines
        .flat_map(cookie::raw)
        .filter_map(|(name, value)| {
            let value = String::from_utf8(cookie::decode(inner(value))).ok()?;
            Some((String::from_utf8_lossy(name), value))
        })
        .collect()
}

/// `X-Foo-Bar`.
fn canonical(name: &HeaderName) -> String {
    let mut start = true;
    let letter = |char: char| {
        let char = if std::mem::replace(&mut start, char == '-') { char.to_ascii_uppercase() } else { char };
        start |= char == '-';
        char
    };
    name.as_str().chars().map(letter).collect()
}

/// The head of a response, as a worker has written it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: i64,
    pub(super) headers: Vec<(String, Vec<u8>)>,
}

/// Which dialect workers want, as far as they have said.
#[derive(Debug, Default)]
pub(crate) struct Dialect(AtomicBool);

impl Dialect {
    /// The one to write the next request in.
    pub(super) fn of(&self, configured: Codec) -> Codec {
        match configured {
            Codec::Auto if self.0.load(Ordering::Relaxed) => Codec::Protobuf,
            Codec::Auto => Codec::Json,
            given => given,
        }
    }

    /// Notes what a worker has answered in. Clients answer in what they were asked; one that does not insists.
    pub(crate) fn heard(&self, frame: &ReplyFrame) {
        if !frame.context.is_empty() {
            let protobuf = frame.codec.has(Flags::PROTO);
            if self.0.load(Ordering::Relaxed) != protobuf {
                self.0.store(protobuf, Ordering::Relaxed);
            }
        }
    }
}

/// Gives the head of a command worker's reply the form that native workers use (HTTP-02…04): either dialect is read,
/// whatever the request was written in.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn native(frame: ReplyFrame) -> Result<ReplyFrame, String> {
    let answer = if frame.context.is_empty() {
        // A worker that speaks below HTTP: RoadRunner sends its body.
        Answer { status: 200, headers: Vec::new() }
    } else if frame.codec.has(Flags::PROTO) {
        proto::response(&frame.context)?
    } else {
        json::response(&frame.context)?
    };
    let status = u16::try_from(answer.status)
        .map_err(|_| format!("unknown status code from worker: {}", answer.status))?;
    // By this name the extension names files; from a program it would be a way around `sendfile` (HS-07).
    if answer.headers.iter().any(|(name, _)| name.as_bytes() == wire::FILE) {
        return Err(format!("a header named {:?}", String::from_utf8_lossy(wire::FILE)));
    }
    let mut context = Vec::with_capacity(frame.context.len());
    // Nor may a program call its own answer the server's.
    let own = |name: &str| name.eq_ignore_ascii_case(wire::FAILED);
    let headers = || {
        let others = answer.headers.iter().filter(|(name, _)| !own(name));
        others.map(|(name, value)| (name.as_bytes(), &value[..]))
    };
    wire::encode_response(&mut context, status, headers).map_err(|error| error.to_string())?;
    Ok(ReplyFrame { context: context.into(), ..frame })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn http_06_names_are_written_as_go_writes_them() {
        for (name, written) in
            [("x-foo-bar", "X-Foo-Bar"), ("etag", "Etag"), ("a--b", "A--B"), ("x-1a", "X-1a")]
        {
            assert_eq!(canonical(&HeaderName::from_static(name)), written);
        }
    }

    #[test]
    fn http_07_cookies_are_those_that_go_reads_and_more() {
        let lines: [&[u8]; 3] =
            [b"a=1; b=\"q q\"; c=x%20y+z; d; =e; a=2", b"f=a=b; g=\"; h=100%", b"i=%ff; j={\"k\":1}"];
        let found: Vec<(String, String)> =
            cookies(lines.into_iter()).into_iter().map(|(name, value)| (name.into_owned(), value)).collect();
        let expected = [
            ("a", "2"),
            ("b", "q q"),
            ("c", "x y z"),
            ("d", ""),
            ("f", "a=b"),
            ("g", "\""),
            ("h", "100%"),
            ("j", "{\"k\":1}"),
        ];
        assert_eq!(found, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    fn frame(codec: Flags, context: &'static [u8]) -> ReplyFrame {
        ReplyFrame { codec, context: context.into(), body: Bytes::new(), more: false }
    }

    fn read(codec: Flags, context: &'static [u8]) -> Result<(u16, Vec<(String, String)>), String> {
        let frame = native(frame(codec, context))?;
        let view = wire::ResponseView::parse(&frame.context).map_err(|error| error.to_string())?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok((view.status(), view.headers().map(|(name, value)| (text(name), text(value))).collect()))
    }

    #[test]
    fn http_04_a_worker_that_insists_gets_what_it_answers_in() {
        let dialect = Dialect::default();
        assert_eq!(dialect.of(Codec::Auto), Codec::Json);
        dialect.heard(&frame(Flags::PROTO, b"\x08\xc8\x01"));
        assert_eq!((dialect.of(Codec::Auto), dialect.of(Codec::Json)), (Codec::Protobuf, Codec::Json));
        dialect.heard(&frame(Flags::PROTO, b""));
        dialect.heard(&frame(Flags::default(), b"{}"));
        assert_eq!((dialect.of(Codec::Auto), dialect.of(Codec::Protobuf)), (Codec::Json, Codec::Protobuf));
    }

    /// HS-07.
    #[test]
    fn a_file_is_not_named_as_the_extension_does() {
        let error = Err("a header named \":file\"".to_owned());
        assert_eq!(read(Flags::JSON, br#"{"headers":{":file":["/etc/hostname"]}}"#), error);
        let proto = b"\x08\xc8\x01\x12\x0e\x0a\x05:file\x12\x05\x0a\x03/x/";
        assert_eq!(read(Flags::PROTO, proto), error);
        // A header of ours that means the server's own answer is left out.
        let answer = br#"{"status":500,"headers":{"RR-Failed":["1"],"X-A":["1"]}}"#;
        assert_eq!(read(Flags::JSON, answer), Ok((500, vec![("X-A".to_owned(), "1".to_owned())])));
    }

    #[test]
    fn http_02_to_04_either_dialect_is_read() {
        let json = br#"{"status":201,"headers":{"X-A":["1","2"]}}"#;
        let expected =
            Ok((201, vec![("X-A".to_owned(), "1".to_owned()), ("X-A".to_owned(), "2".to_owned())]));
        assert_eq!(read(Flags::JSON, json), expected);
        assert_eq!(read(Flags::default(), json), expected, "clients before 3.5");
        let proto = b"\x08\xc9\x01\x12\x0d\x0a\x03X-A\x12\x06\x0a\x011\x0a\x012";
        assert_eq!(read(Flags::PROTO, proto), expected);
        assert_eq!(read(Flags::JSON, b""), Ok((200, Vec::new())));
        assert!(read(Flags::JSON, b"{").is_err() && read(Flags::PROTO, b"\xff").is_err());
        let error = read(Flags::JSON, br#"{"status":-3,"headers":{}}"#).expect_err("no status");
        assert_eq!(error, "unknown status code from worker: -3");
    }
}
