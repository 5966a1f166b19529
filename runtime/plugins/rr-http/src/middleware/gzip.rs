//! `gzip` (HS-09): which responses are compressed for which clients. Pure, but for handing a body over to
//! `compress.rs`.

use super::compress::Encoders;
use crate::body::Body;
use bytes::Bytes;
use http::header::{
    ACCEPT_ENCODING, ACCEPT_RANGES, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE,
    CONTENT_TYPE, ETAG, HeaderValue, VARY,
};
use http::request::Parts;
use http::{HeaderMap, Method, Response, StatusCode};
use http_body::Body as _;
use std::sync::Arc;

/// Shorter bodies fit a packet as they are.
const SHORTEST: u64 = 1024;

/// The encoders that responses share.
#[derive(Debug, Default)]
pub(crate) struct Gzip {
    encoders: Arc<Encoders>,
}

/// What a request says of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wish {
    /// The client takes it.
    pub(crate) gzip: bool,
    /// There will be no body.
    pub(crate) head: bool,
}

impl Wish {
    pub(crate) fn of(parts: &Parts) -> Self {
        let lists = parts.headers.get_all(ACCEPT_ENCODING);
        let lists = lists.iter().filter_map(|list| list.to_str().ok());
        Self { gzip: accepts(lists), head: parts.method == Method::HEAD }
    }
}

/// A quality in thousandths (RFC 9110, 12.4.2); `None`: it is malformed.
fn quality(text: &str) -> Option<u32> {
    let (whole, rest) = text.split_once('.').unwrap_or((text, ""));
    if rest.len() > 3 || !rest.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let digits = rest.bytes().chain(std::iter::repeat(b'0')).take(3);
    let thousandths = digits.fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0'));
    match (whole, thousandths) {
        ("0", thousandths) => Some(thousandths),
        ("1", 0) => Some(1000),
        _ => None,
    }
}

/// Whether `Accept-Encoding` (RFC 9110, 12.5.3) takes gzip and does not like the body as it is better.
fn accepts<'a>(lists: impl Iterator<Item = &'a str>) -> bool {
    let (mut gzip, mut any, mut identity) = (None, None, None);
    for coding in lists.flat_map(|list| list.split(',')) {
        let mut parameters = coding.split(';').map(|part| part.trim_matches([' ', '\t']));
        let name = parameters.next().unwrap_or_default();
        let weight = parameters.find_map(|part| part.strip_prefix("q=").or(part.strip_prefix("Q=")));
        // What is malformed is not asked for.
        let weight = weight.map_or(1000, |weight| quality(weight).unwrap_or(0));
        let slot = if name.eq_ignore_ascii_case("gzip") || name.eq_ignore_ascii_case("x-gzip") {
            &mut gzip
        } else if name.eq_ignore_ascii_case("identity") {
            &mut identity
        } else if name == "*" {
            &mut any
        } else {
            continue;
        };
        *slot = Some(weight.max(slot.unwrap_or(0)));
    }
    let weight = gzip.or(any).unwrap_or(0);
    weight > 0 && weight >= identity.unwrap_or(0)
}

/// Whether bodies of a type become shorter.
fn is_compressible(kind: &[u8]) -> bool {
    let end = kind.iter().position(|byte| *byte == b';').unwrap_or(kind.len());
    let kind = kind[..end].trim_ascii();
    let is = |whole: &str| kind.eq_ignore_ascii_case(whole.as_bytes());
    let starts =
        |with: &str| kind.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with.as_bytes()));
    let ends = |with: &str| {
        let from = kind.len().checked_sub(with.len());
        from.is_some_and(|from| kind[from..].eq_ignore_ascii_case(with.as_bytes()))
    };
    const WHOLE: [&str; 22] = [
        "application/json",
        "application/javascript",
        "application/x-javascript",
        "application/ecmascript",
        "application/xml",
        "application/xml-dtd",
        "application/wasm",
        "application/graphql",
        "application/ndjson",
        "application/x-ndjson",
        "application/jsonl",
        "application/manifest",
        "application/rtf",
        "application/sql",
        "application/yaml",
        "application/x-yaml",
        "application/toml",
        "application/vnd.ms-fontobject",
        "application/x-www-form-urlencoded",
        "image/bmp",
        "image/x-icon",
        "image/vnd.microsoft.icon",
    ];
    starts("text/")
        || WHOLE.iter().any(|whole| is(whole))
        || ["+json", "+xml", "+text", "+yaml"].iter().any(|end| ends(end))
        || ["font/ttf", "font/otf", "font/collection", "application/x-font-ttf"].iter().any(|whole| is(whole))
}

/// Whether a response may be sent compressed to those who want it. `length`: of its body, if that is known.
fn may(status: StatusCode, headers: &HeaderMap, length: Option<u64>) -> bool {
    let bodiless = status.is_informational()
        || [StatusCode::NO_CONTENT, StatusCode::RESET_CONTENT, StatusCode::PARTIAL_CONTENT].contains(&status);
    let as_it_is = headers.contains_key(CONTENT_ENCODING) || headers.contains_key(CONTENT_RANGE);
    let fixed = headers.get_all(CACHE_CONTROL).iter().any(|value| {
        let mut parts = value.as_bytes().split(|byte| *byte == b',');
        parts.any(|part| part.trim_ascii().eq_ignore_ascii_case(b"no-transform"))
    });
    !bodiless
        && !as_it_is
        && !fixed
        && length.is_none_or(|length| length >= SHORTEST)
        && headers.get(CONTENT_TYPE).is_some_and(|kind| is_compressible(kind.as_bytes()))
}

/// Caches must ask for both kinds of response.
fn vary(headers: &mut HeaderMap) {
    let said = headers.get_all(VARY).iter().any(|value| {
        let mut names = value.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
        names.any(|name| name == b"*" || name.eq_ignore_ascii_case(b"accept-encoding"))
    });
    if !said {
        headers.append(VARY, HeaderValue::from_static("Accept-Encoding"));
    }
}

/// A strong tag stands for the same bytes, which these are not.
fn weaken(headers: &mut HeaderMap) {
    if let Some(tag) = headers.get(ETAG)
        && !tag.as_bytes().starts_with(b"W/")
        && let Ok(weak) = HeaderValue::from_bytes(&[b"W/", tag.as_bytes()].concat())
    {
        headers.insert(ETAG, weak);
    }
}

impl Gzip {
    /// Compresses a response for a client that wants it so.
    pub(crate) fn leave(&self, wish: Wish, response: &mut Response<Body>) {
        if response.status() == StatusCode::NOT_MODIFIED {
            vary(response.headers_mut());
            if wish.gzip {
                weaken(response.headers_mut());
            }
            return;
        }
        let length = response.body().size_hint().exact();
        // The answer to HEAD has no body where that to GET would have one.
        if !may(response.status(), response.headers(), length.filter(|_| !wish.head)) {
            return;
        }
        vary(response.headers_mut());
        if !wish.gzip || wish.head {
            return;
        }
        // As it is, it is right as well.
        let Some(encoder) = self.encoders.take() else { return };
        let body = std::mem::replace(response.body_mut(), Body::full(Bytes::new()));
        *response.body_mut() = body.compressed(encoder);
        let headers = response.headers_mut();
        headers.remove(CONTENT_LENGTH);
        headers.remove(ACCEPT_RANGES);
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        weaken(headers);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// HS-09.
    #[test]
    fn clients_say_what_they_take() {
        for (lists, want) in [
            (&[][..], false),
            (&[""], false),
            (&["gzip"], true),
            (&["GZIP"], true),
            (&["x-gzip"], true),
            (&["br, gzip;q=0.5"], true),
            (&["br", "gzip"], true),
            (&["gzip;q=0"], false),
            (&["gzip; q=0.000"], false),
            (&["gzip;q=0.001"], true),
            (&["gzip;q=1.000"], true),
            (&["gzip;q=1.5"], false),
            (&["gzip;q=x"], false),
            (&["gzip;q=0.1234"], false),
            (&["*"], true),
            (&["*;q=0"], false),
            (&["gzip;q=0, *"], false),
            (&["*;q=0, gzip"], true),
            (&["identity"], false),
            (&["identity, gzip;q=0.5"], false),
            (&["identity;q=0.5, gzip"], true),
            (&["gzipped, br"], false),
            (&[";;;,,,;q=1"], false),
        ] {
            assert_eq!(accepts(lists.iter().copied()), want, "{lists:?}");
        }
        assert!(accepts([&*"br;q=0.1,".repeat(100_000), "gzip"].into_iter()));
    }

    /// HS-09.
    #[test]
    fn texts_are_worth_it_and_pictures_are_not() {
        for (kind, want) in [
            ("text/html; charset=utf-8", true),
            ("TEXT/CSS", true),
            ("text/event-stream", true),
            ("application/json", true),
            ("application/problem+json; x=y", true),
            ("image/svg+xml", true),
            ("application/wasm", true),
            ("font/ttf", true),
            ("font/woff2", false),
            ("image/png", false),
            ("video/mp4", false),
            ("application/zip", false),
            ("application/octet-stream", false),
            ("", false),
            ("text", false),
        ] {
            assert_eq!(is_compressible(kind.as_bytes()), want, "{kind}");
        }
    }

    fn response(status: u16, fields: &[(&str, &str)], length: usize) -> Response<Body> {
        let mut response = Response::builder().status(status).header("content-type", "text/plain");
        for (name, value) in fields {
            response = response.header(*name, *value);
        }
        response.body(Body::full(Bytes::from(vec![b'a'; length]))).expect("a response")
    }

    fn left(status: u16, fields: &[(&str, &str)], length: usize, wish: Wish) -> HeaderMap {
        let mut response = response(status, fields, length);
        Gzip::default().leave(wish, &mut response);
        response.headers().clone()
    }

    const YES: Wish = Wish { gzip: true, head: false };

    /// HS-09.
    #[test]
    fn what_is_compressed_says_so() {
        let fields =
            [("etag", "\"a\""), ("content-length", "2000"), ("accept-ranges", "bytes"), ("vary", "Cookie")];
        let headers = left(200, &fields, 2000, YES);
        assert_eq!(headers[CONTENT_ENCODING], "gzip");
        assert_eq!(headers[ETAG], "W/\"a\"");
        assert!(!headers.contains_key(CONTENT_LENGTH) && !headers.contains_key(ACCEPT_RANGES));
        assert_eq!(headers.get_all(VARY).iter().collect::<Vec<_>>(), ["Cookie", "Accept-Encoding"]);
        let twice = left(200, &[("vary", "Origin, accept-encoding")], 2000, YES);
        assert_eq!(twice.get_all(VARY).iter().count(), 1);
        let plain = left(200, &fields, 2000, Wish { gzip: false, head: false });
        assert!(!plain.contains_key(CONTENT_ENCODING) && plain[ETAG] == "\"a\"");
        assert_eq!(plain.get_all(VARY).iter().count(), 2, "caches must know");
    }

    /// HS-09.
    #[test]
    fn some_responses_stay_as_they_are() {
        for (status, fields, length) in [
            (200, &[][..], 1023),
            (204, &[], 2000),
            (206, &[("content-range", "bytes 0-1/2")], 2000),
            (200, &[("content-encoding", "br")], 2000),
            (200, &[("cache-control", "private, No-Transform")], 2000),
        ] {
            let headers = left(status, fields, length, YES);
            let ours = headers.get(CONTENT_ENCODING).is_some_and(|coding| coding == "gzip");
            assert!(!ours && !headers.contains_key(VARY), "{status} {fields:?} {headers:?}");
        }
        let unchanged = left(304, &[("etag", "\"a\"")], 0, YES);
        assert!(unchanged[ETAG] == "W/\"a\"" && unchanged[VARY] == "Accept-Encoding");
        let head = left(200, &[("content-length", "2000")], 0, Wish { gzip: true, head: true });
        assert!(!head.contains_key(CONTENT_ENCODING) && head[CONTENT_LENGTH] == "2000");
        assert_eq!(head[VARY], "Accept-Encoding");
    }
}
