//! Files of the document root, sent in pieces: conditional requests and ranges (RFC 9110, 13 and 14).

use crate::body::Body;
use crate::respond;
use http::header::{
    ACCEPT_RANGES, ALLOW, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderName, HeaderValue,
    IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, LAST_MODIFIED, RANGE,
};
use http::request::Parts;
use http::{HeaderMap, Method, Response, StatusCode};
use std::fs::{File, Metadata};
use std::io::{Read, Seek, SeekFrom};
use std::time::{Duration, UNIX_EPOCH};

/// Bytes that are read at a time.
const PIECE: u64 = 64 * 1024;

/// A file on its way to a client.
#[derive(Debug)]
pub(crate) struct Source {
    file: File,
    left: u64,
}

impl Source {
    /// The next piece; `None` at the end.
    ///
    /// # Errors
    /// The file is shorter than it was, or cannot be read.
    pub(crate) fn read(mut self) -> std::io::Result<(Self, Vec<u8>)> {
        let length = self.left.min(PIECE);
        let mut piece = vec![0; usize::try_from(length).unwrap_or(0)];
        self.file.read_exact(&mut piece)?;
        self.left -= length;
        Ok((self, piece))
    }

    pub(crate) fn left(&self) -> u64 {
        self.left
    }
}

/// A range of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    All,
    Part { from: u64, to: u64 },
    Impossible,
}

/// RFC 9110, 14.2: one range of bytes; what is malformed, or several, is the whole.
fn range(text: &str, size: u64) -> Wanted {
    let Some(spec) = text.trim().strip_prefix("bytes=") else { return Wanted::All };
    let Some((first, last)) = spec.trim().split_once('-') else { return Wanted::All };
    let number = |text: &str| {
        (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()))
            .then(|| text.parse::<u64>().unwrap_or(u64::MAX))
    };
    match (first, last, number(first), number(last)) {
        ("", _, _, Some(0)) => Wanted::Impossible,
        ("", _, _, Some(count)) if size > 0 => {
            Wanted::Part { from: size.saturating_sub(count), to: size - 1 }
        }
        (_, "", Some(from), _) if from < size => Wanted::Part { from, to: size - 1 },
        (_, _, Some(from), Some(to)) if from <= to && from < size => {
            Wanted::Part { from, to: to.min(size - 1) }
        }
        (_, _, Some(from), Some(to)) if from > to => Wanted::All,
        (_, "", Some(_), _) | (_, _, Some(_), Some(_)) | ("", _, _, Some(_)) => Wanted::Impossible,
        _ => Wanted::All,
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

/// A file as the body of a response that is no 200: all of it.
pub(crate) fn whole(file: File, meta: &Metadata, name: &str, status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::file(Source { file, left: meta.len() }));
    *response.status_mut() = status;
    if let Ok(kind) = HeaderValue::from_str(&content_type(name)) {
        response.headers_mut().insert(CONTENT_TYPE, kind);
    }
    response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(meta.len()));
    response
}

fn content_type(name: &str) -> String {
    let kind = mime_guess::from_path(name).first_or_octet_stream();
    let charset = kind.type_() == "text" || kind.subtype() == "javascript" || kind.subtype() == "json";
    if charset { format!("{kind}; charset=utf-8") } else { kind.to_string() }
}

/// The answer with a file.
pub(crate) fn respond(
    parts: &Parts,
    mut file: File,
    meta: &Metadata,
    name: &str,
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
    let tag = format!("\"{:x}-{:x}-{:x}\"", since.as_secs(), since.subsec_nanos(), size);
    let mut headers = HeaderMap::new();
    let mut set = |name: HeaderName, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    };
    set(CONTENT_TYPE, &content_type(name));
    set(ETAG, &tag);
    set(ACCEPT_RANGES, "bytes");
    let date = modified.map(httpdate::fmt_http_date);
    if let Some(date) = &date {
        set(LAST_MODIFIED, date);
    }
    let text = |name: HeaderName| parts.headers.get(name).and_then(|value| value.to_str().ok());
    let unchanged = match text(IF_NONE_MATCH) {
        Some(tags) => tags.split(',').any(|have| {
            let have = have.trim();
            have == "*" || have.trim_start_matches("W/") == tag
        }),
        None => text(IF_MODIFIED_SINCE)
            .and_then(|date| httpdate::parse_http_date(date).ok())
            .and_then(|date| date.duration_since(UNIX_EPOCH).ok())
            .is_some_and(|date| since.as_secs() <= date.as_secs()),
    };
    let empty = |status: StatusCode, headers: HeaderMap| {
        let mut response = Response::new(Body::full(bytes::Bytes::new()));
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        response
    };
    if unchanged {
        return empty(StatusCode::NOT_MODIFIED, headers);
    }
    let same = text(IF_RANGE).is_none_or(|have| have == tag || date.as_deref() == Some(have));
    let wanted = match text(RANGE) {
        Some(wanted) if same && parts.method == Method::GET => range(wanted, size),
        _ => Wanted::All,
    };
    let (status, from, length) = match wanted {
        Wanted::All => (StatusCode::OK, 0, size),
        Wanted::Part { from, to } => {
            headers.insert(
                CONTENT_RANGE,
                HeaderValue::from_str(&format!("bytes {from}-{to}/{size}"))
                    .unwrap_or(HeaderValue::from_static("")),
            );
            (StatusCode::PARTIAL_CONTENT, from, to - from + 1)
        }
        Wanted::Impossible => {
            let unsatisfied = HeaderValue::from_str(&format!("bytes */{size}"));
            headers.insert(CONTENT_RANGE, unsatisfied.unwrap_or(HeaderValue::from_static("")));
            return empty(StatusCode::RANGE_NOT_SATISFIABLE, headers);
        }
    };
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    if parts.method == Method::HEAD || length == 0 {
        return empty(status, headers);
    }
    if from > 0 && file.seek(SeekFrom::Start(from)).is_err() {
        return respond::plain(StatusCode::INTERNAL_SERVER_ERROR, "");
    }
    let mut response = Response::new(Body::file(Source { file, left: length }));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// Feeds arbitrary bytes to the parser of ranges.
pub fn fuzz(data: &[u8]) {
    if let Wanted::Part { from, to } = range(&String::from_utf8_lossy(data), 1000) {
        assert!(from <= to && to < 1000);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_those_of_the_rfc() {
        let part = |from, to| Wanted::Part { from, to };
        for (text, wanted) in [
            ("bytes=0-0", part(0, 0)),
            ("bytes=5-", part(5, 99)),
            ("bytes=-10", part(90, 99)),
            ("bytes=-1000", part(0, 99)),
            ("bytes=50-1000", part(50, 99)),
            ("bytes=100-", Wanted::Impossible),
            ("bytes=100-200", Wanted::Impossible),
            ("bytes=-0", Wanted::Impossible),
            ("bytes=9-5", Wanted::All),
            ("bytes=0-1,5-6", Wanted::All),
            ("bytes=a-b", Wanted::All),
            ("lines=1-2", Wanted::All),
            ("bytes=99999999999999999999-", Wanted::Impossible),
        ] {
            assert_eq!(range(text, 100), wanted, "{text}");
        }
        assert_eq!(range("bytes=-5", 0), Wanted::Impossible);
    }

    proptest::proptest! {
        #[test]
        fn any_range_is_inside_of_the_file(data: Vec<u8>) {
            fuzz(&data);
        }
    }
}
