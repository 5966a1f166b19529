//! The type of a body whose program names none, as RoadRunner's server says it: by the first bytes (WHATWG MIME Sniffing,
//! 6 and 7, of which Go's `net/http` has the part that servers need).

use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, StatusCode};

/// Bytes that are looked at.
const LOOK: usize = 512;

/// Tags that a page begins with.
const TAGS: [&[u8]; 17] = [
    b"<!DOCTYPE HTML",
    b"<HTML",
    b"<HEAD",
    b"<SCRIPT",
    b"<IFRAME",
    b"<H1",
    b"<DIV",
    b"<FONT",
    b"<TABLE",
    b"<A",
    b"<STYLE",
    b"<TITLE",
    b"<B",
    b"<BODY",
    b"<BR",
    b"<P",
    b"<!--",
];

/// First bytes, of which `?` is any.
const SIGNATURES: [(&[u8], &str); 32] = [
    (b"%PDF-", "application/pdf"),
    (b"%!PS-Adobe-", "application/postscript"),
    (b"\xfe\xff??", "text/plain; charset=utf-16be"),
    (b"\xff\xfe??", "text/plain; charset=utf-16le"),
    (b"\xef\xbb\xbf?", "text/plain; charset=utf-8"),
    (b"\0\0\x01\0", "image/x-icon"),
    (b"\0\0\x02\0", "image/x-icon"),
    (b"BM", "image/bmp"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"RIFF????WEBPVP", "image/webp"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"FORM????AIFF", "audio/aiff"),
    (b"ID3", "audio/mpeg"),
    (b"OggS\0", "application/ogg"),
    (b"MThd\0\0\0\x06", "audio/midi"),
    (b"RIFF????AVI ", "video/avi"),
    (b"RIFF????WAVE", "audio/wave"),
    (b"\x1a\x45\xdf\xa3", "video/webm"),
    (b"\0\x01\0\0", "font/ttf"),
    (b"OTTO", "font/otf"),
    (b"ttcf", "font/collection"),
    (b"wOFF", "font/woff"),
    (b"wOF2", "font/woff2"),
    (b"\x1f\x8b\x08", "application/x-gzip"),
    (b"PK\x03\x04", "application/zip"),
    (b"Rar!\x1a\x07\0", "application/x-rar-compressed"),
    (b"Rar!\x1a\x07\x01\0", "application/x-rar-compressed"),
    (b"\0asm", "application/wasm"),
    (b"????ftypmp4", "video/mp4"),
    (b"????ftypisom", "video/mp4"),
];

/// The type of what has none. `None`: it has one, or there is nothing to look at.
pub(crate) fn missing(headers: &HeaderMap, status: StatusCode, body: &[u8]) -> Option<HeaderValue> {
    let bodiless = status == StatusCode::NO_CONTENT || status == StatusCode::NOT_MODIFIED;
    if body.is_empty()
        || bodiless
        || headers.contains_key(CONTENT_TYPE)
        || headers.contains_key(CONTENT_ENCODING)
    {
        return None;
    }
    Some(HeaderValue::from_static(detect(body)))
}

fn detect(body: &[u8]) -> &'static str {
    let body = &body[..body.len().min(LOOK)];
    let blank = |byte: &u8| matches!(byte, b'\t' | b'\n' | 0x0c | b'\r' | b' ');
    let text = &body[body.iter().position(|byte| !blank(byte)).unwrap_or(body.len())..];
    let opens = |tag: &[u8]| {
        text.len() > tag.len()
            && text[..tag.len()].eq_ignore_ascii_case(tag)
            && matches!(text[tag.len()], b' ' | b'>')
    };
    if TAGS.iter().any(|tag| opens(tag)) {
        return "text/html; charset=utf-8";
    }
    if text.starts_with(b"<?xml") {
        return "text/xml; charset=utf-8";
    }
    let is = |signature: &[u8]| {
        body.len() >= signature.len()
            && body.iter().zip(signature).all(|(byte, wanted)| *wanted == b'?' || byte == wanted)
    };
    if let Some((_, kind)) = SIGNATURES.iter().find(|(signature, _)| is(signature)) {
        return kind;
    }
    let binary = |byte: &u8| matches!(byte, 0..=0x08 | 0x0b | 0x0e..=0x1a | 0x1c..=0x1f);
    if body.iter().any(binary) { "application/octet-stream" } else { "text/plain; charset=utf-8" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn http_14_the_first_bytes_say_the_type() {
        for (body, kind) in [
            (&b"<!doctype html><p>x"[..], "text/html; charset=utf-8"),
            (b" \r\n<html>", "text/html; charset=utf-8"),
            (b"<h1 class=a>x", "text/html; charset=utf-8"),
            (b"<!-- x", "text/html; charset=utf-8"),
            (b"<bold>", "text/plain; charset=utf-8"),
            (b"<b", "text/plain; charset=utf-8"),
            (b"\n<?xml version=\"1.0\"?>", "text/xml; charset=utf-8"),
            (b"{\"a\":1}", "text/plain; charset=utf-8"),
            (b"Hello \xc3\xa9\x1b[0m", "text/plain; charset=utf-8"),
            (b"\xef\xbb\xbfHi", "text/plain; charset=utf-8"),
            (b"GIF89a...", "image/gif"),
            (b"RIFF\x01\x02\x03\x04WEBPVP8 ", "image/webp"),
            (b"\x89PNG\r\n\x1a\n\0", "image/png"),
            (b"\0\0\0\x18ftypmp42", "video/mp4"),
            (b"PK\x03\x04..", "application/zip"),
            (b"a\0b", "application/octet-stream"),
            (b" ", "text/plain; charset=utf-8"),
        ] {
            assert_eq!(detect(body), kind, "{}", body.escape_ascii());
        }
        let long = [&[b' '; LOOK][..], b"\0"].concat();
        assert_eq!(detect(&long), "text/plain; charset=utf-8");
    }

    #[test]
    fn a_type_is_not_contradicted() {
        let none = HeaderMap::new();
        let some = |name, value| HeaderMap::from_iter([(name, HeaderValue::from_static(value))]);
        assert_eq!(missing(&none, StatusCode::OK, b"x").expect("a type"), "text/plain; charset=utf-8");
        assert_eq!(missing(&none, StatusCode::OK, b""), None);
        assert_eq!(missing(&none, StatusCode::NO_CONTENT, b"x"), None);
        assert_eq!(missing(&some(CONTENT_TYPE, "a/b"), StatusCode::OK, b"x"), None);
        assert_eq!(missing(&some(CONTENT_ENCODING, "br"), StatusCode::OK, b"x"), None);
    }
}
