//! Files of the document root and of workers, sent in pieces, whole or in parts (RFC 9110, 14).

use crate::body::Body;
use crate::conditions::{self, Validators, Verdict};
use crate::ranges::{self, Part, Wanted};
use crate::respond;
use http::header::{
    ACCEPT_RANGES, ALLOW, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderValue, LAST_MODIFIED,
    RANGE,
};
use http::request::Parts;
use http::{HeaderMap, Method, Response, StatusCode};
use std::collections::VecDeque;
use std::fs::{File, Metadata};
use std::hash::{BuildHasher, RandomState};
use std::os::unix::fs::FileExt;
use std::time::{Duration, UNIX_EPOCH};

/// Bytes that are read at a time.
const PIECE: u64 = 64 * 1024;

/// A file on its way to a client.
#[derive(Debug)]
pub(crate) struct Source {
    file: File,
    segments: VecDeque<Segment>,
    left: u64,
}

/// What is sent next.
#[derive(Debug)]
enum Segment {
    Text(String),
    /// Bytes of the file.
    Bytes {
        from: u64,
        length: u64,
    },
}

impl Segment {
    fn length(&self) -> u64 {
        match self {
            Self::Text(text) => text.len() as u64,
            Self::Bytes { length, .. } => *length,
        }
    }
}

impl Source {
    fn new(file: File, segments: impl Into<VecDeque<Segment>>) -> Self {
        let segments = segments.into();
        let left = segments.iter().map(Segment::length).sum();
        Self { file, segments, left }
    }

    fn part(file: File, from: u64, length: u64) -> Self {
        Self::new(file, [Segment::Bytes { from, length }])
    }

    /// The next piece; empty at the end.
    ///
    /// # Errors
    /// The file is shorter than it was, or cannot be read.
    pub(crate) fn read(mut self) -> std::io::Result<(Self, Vec<u8>)> {
        let mut piece = Vec::new();
        while let Some(room) = PIECE.checked_sub(piece.len() as u64).filter(|room| *room > 0) {
            match self.segments.pop_front() {
                None => break,
                Some(Segment::Text(text)) => piece.extend_from_slice(text.as_bytes()),
                Some(Segment::Bytes { from, length }) => {
                    let taken = length.min(room);
                    let begin = piece.len();
                    piece.resize(begin + usize::try_from(taken).unwrap_or(0), 0);
                    self.file.read_exact_at(&mut piece[begin..], from)?;
                    if taken < length {
                        let rest = Segment::Bytes { from: from + taken, length: length - taken };
                        self.segments.push_front(rest);
                    }
                }
            }
        }
        self.left = self.left.saturating_sub(piece.len() as u64);
        Ok((self, piece))
    }

    pub(crate) fn left(&self) -> u64 {
        self.left
    }
}

/// Which requests get a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Methods {
    /// GET and HEAD, as a file has no other.
    Read,
    /// Whatever its app has made of it.
    Any,
}

/// What an app has said of its file; the rest is found out.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Said<'a> {
    pub(crate) kind: Option<&'a HeaderValue>,
    pub(crate) tag: Option<&'a HeaderValue>,
    pub(crate) modified: Option<&'a HeaderValue>,
}

/// A file as the body of a response that is no 200: all of it.
pub(crate) fn whole(
    file: File,
    meta: &Metadata,
    name: &str,
    said: Said<'_>,
    status: StatusCode,
) -> Response<Body> {
    let mut response = Response::new(Body::file(Source::part(file, 0, meta.len())));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, content_type(name, said));
    response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(meta.len()));
    response
}

fn content_type(name: &str, said: Said<'_>) -> HeaderValue {
    if let Some(kind) = said.kind {
        return kind.clone();
    }
    let kind = mime_guess::from_path(name).first_or_octet_stream();
    let charset = kind.type_() == "text" || kind.subtype() == "javascript" || kind.subtype() == "json";
    value(&if charset { format!("{kind}; charset=utf-8") } else { kind.to_string() })
}

fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static(""))
}

fn empty(status: StatusCode, headers: HeaderMap) -> Response<Body> {
    let mut response = Response::new(Body::full(bytes::Bytes::new()));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// The answer with a file.
pub(crate) fn respond(
    parts: &Parts,
    file: File,
    meta: &Metadata,
    name: &str,
    said: Said<'_>,
    methods: Methods,
) -> Response<Body> {
    if methods == Methods::Read && parts.method != Method::GET && parts.method != Method::HEAD {
        let mut response = respond::plain(StatusCode::METHOD_NOT_ALLOWED, "");
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    let size = meta.len();
    let modified = meta.modified().ok().filter(|time| *time >= UNIX_EPOCH);
    let since = modified.and_then(|time| time.duration_since(UNIX_EPOCH).ok()).unwrap_or(Duration::ZERO);
    let own_tag = || value(&format!("\"{:x}-{:x}-{:x}\"", since.as_secs(), since.subsec_nanos(), size));
    let tag = said.tag.cloned().unwrap_or_else(own_tag);
    let date = said.modified.cloned().or_else(|| modified.map(|time| value(&httpdate::fmt_http_date(time))));
    let known = Validators {
        tag: tag.to_str().unwrap_or_default(),
        date: date.as_ref().and_then(|date| date.to_str().ok()),
    };
    let verdict = conditions::judge(parts, known);
    if verdict == Verdict::Failed {
        return respond::plain(StatusCode::PRECONDITION_FAILED, "");
    }
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, content_type(name, said));
    headers.insert(ETAG, tag);
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    if let Some(date) = date {
        headers.insert(LAST_MODIFIED, date);
    }
    if verdict == Verdict::Unchanged {
        return empty(StatusCode::NOT_MODIFIED, headers);
    }
    let range = parts.headers.get(RANGE).filter(|_| verdict == Verdict::Send);
    let wanted =
        range.and_then(|range| range.to_str().ok()).map_or(Wanted::All, |range| ranges::parse(range, size));
    let (status, source) = match wanted {
        Wanted::All => (StatusCode::OK, Source::part(file, 0, size)),
        Wanted::Impossible => {
            headers.insert(CONTENT_RANGE, value(&format!("bytes */{size}")));
            return empty(StatusCode::RANGE_NOT_SATISFIABLE, headers);
        }
        Wanted::Parts(parts) => match parts[..] {
            [part] => {
                headers.insert(CONTENT_RANGE, value(&part.of(size)));
                (StatusCode::PARTIAL_CONTENT, Source::part(file, part.from, part.length()))
            }
            _ => several(file, size, &parts, &mut headers),
        },
    };
    let length = source.left();
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    if parts.method == Method::HEAD || length == 0 {
        return empty(status, headers);
    }
    let mut response = Response::new(Body::file(source));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// RFC 9110, 14.6. Parts that together are no shorter than the file are not worth it.
fn several(file: File, size: u64, parts: &[Part], headers: &mut HeaderMap) -> (StatusCode, Source) {
    // Nobody who makes the file can know it in advance.
    let random = || RandomState::new().hash_one(size);
    let boundary = format!("{:016x}{:016x}", random(), random());
    let kind = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes).map(String::from_utf8_lossy);
    let kind = kind.filter(|kind| !kind.is_empty());
    let kind = kind.map_or_else(String::new, |kind| format!("Content-Type: {kind}\r\n"));
    let mut segments = VecDeque::with_capacity(2 * parts.len() + 1);
    for part in parts {
        let range = part.of(size);
        let text = format!("\r\n--{boundary}\r\n{kind}Content-Range: {range}\r\n\r\n");
        segments.push_back(Segment::Text(text));
        segments.push_back(Segment::Bytes { from: part.from, length: part.length() });
    }
    segments.push_back(Segment::Text(format!("\r\n--{boundary}--\r\n")));
    if segments.iter().map(Segment::length).sum::<u64>() >= size {
        return (StatusCode::OK, Source::part(file, 0, size));
    }
    headers.insert(CONTENT_TYPE, value(&format!("multipart/byteranges; boundary={boundary}")));
    (StatusCode::PARTIAL_CONTENT, Source::new(file, segments))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;
    use std::io::Write;

    /// A file of digits, and the answer to a request for it.
    fn ask(size: usize, headers: &[(&str, &str)], said: Said<'_>) -> (Response<Body>, Option<File>) {
        let mut file = tempfile::tempfile().expect("a file");
        let content: Vec<u8> = (0..size).map(|at| b'0' + u8::try_from(at % 10).unwrap_or(0)).collect();
        file.write_all(&content).expect("content");
        let meta = file.metadata().expect("its size");
        let mut request = Request::get("/f.txt");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let parts = request.body(()).expect("a request").into_parts().0;
        let copy = file.try_clone().ok();
        (respond(&parts, file, &meta, "f.txt", said, Methods::Read), copy)
    }

    fn all(mut source: Source) -> (Vec<u8>, usize) {
        let (mut bytes, mut most) = (Vec::new(), 0);
        let stated = source.left();
        while source.left() > 0 {
            let (rest, piece) = source.read().expect("a piece");
            most = most.max(piece.len());
            bytes.extend_from_slice(&piece);
            source = rest;
        }
        assert_eq!(stated, bytes.len() as u64);
        (bytes, most)
    }

    #[test]
    fn several_parts_are_a_multipart_body_of_the_stated_length() {
        let (_, file) = ask(2000, &[], Said::default());
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        let parts = [Part { from: 0, to: 1 }, Part { from: 15, to: 18 }];
        let (status, source) = several(file.expect("a file"), 2000, &parts, &mut headers);
        assert_eq!(status, StatusCode::PARTIAL_CONTENT);
        let kind = headers[CONTENT_TYPE].to_str().expect("text");
        let boundary = kind.strip_prefix("multipart/byteranges; boundary=").expect("a boundary");
        let expected = format!(
            "\r\n--{boundary}\r\nContent-Type: text/plain\r\nContent-Range: bytes 0-1/2000\r\n\r\n01\
             \r\n--{boundary}\r\nContent-Type: text/plain\r\nContent-Range: bytes 15-18/2000\r\n\r\n5678\
             \r\n--{boundary}--\r\n"
        );
        assert_eq!(String::from_utf8_lossy(&all(source).0), expected);
    }

    #[test]
    fn large_parts_are_read_piece_by_piece() {
        let (_, file) = ask(1 << 20, &[], Said::default());
        let parts = [Part { from: 10, to: 400_009 }, Part { from: 500_000, to: 500_000 }];
        let (_, source) = several(file.expect("a file"), 1 << 20, &parts, &mut HeaderMap::new());
        let (bytes, most) = all(source);
        assert!(bytes.len() > 400_001 && most <= 65 * 1024, "{} {most}", bytes.len());
    }

    #[test]
    fn parts_that_are_not_shorter_than_the_file_are_the_file() {
        for (size, range, status, length) in [
            (2000, "bytes=0-1,100-101", StatusCode::PARTIAL_CONTENT, None),
            (2000, "bytes=0-1,2-9", StatusCode::PARTIAL_CONTENT, Some("10")),
            (2000, "bytes=0-1,100-", StatusCode::OK, Some("2000")),
            (200, "bytes=0-1,100-101", StatusCode::OK, Some("200")),
            (200, "bytes=0-1,300-", StatusCode::PARTIAL_CONTENT, Some("2")),
            (200, "bytes=200-,300-", StatusCode::RANGE_NOT_SATISFIABLE, None),
        ] {
            let (response, _) = ask(size, &[("range", range)], Said::default());
            assert_eq!(response.status(), status, "{range}");
            let stated = response.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok());
            assert!(length.is_none() || stated == length, "{range}: {stated:?}");
            assert_eq!(
                response.headers().contains_key(CONTENT_RANGE),
                length == Some("10") || length == Some("2") || status == 416,
                "{range}"
            );
        }
    }

    #[test]
    fn what_an_app_says_of_its_file_holds() {
        let (tag, kind) = (HeaderValue::from_static("\"own\""), HeaderValue::from_static("text/own"));
        let said = Said { tag: Some(&tag), kind: Some(&kind), modified: None };
        let status = |headers: &[(&str, &str)]| ask(2000, headers, said).0.status().as_u16();
        assert_eq!(status(&[("if-match", "\"own\"")]), 200);
        assert_eq!(status(&[("if-match", "\"other\"")]), 412);
        assert_eq!(status(&[("if-none-match", "\"own\"")]), 304);
        assert_eq!(status(&[("if-range", "\"own\""), ("range", "bytes=0-1")]), 206);
        let (response, _) = ask(2000, &[], said);
        assert_eq!(response.headers()[CONTENT_TYPE], "text/own");
        assert_eq!(response.headers()[ETAG], "\"own\"");
    }
}
