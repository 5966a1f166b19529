//! `Request::server()`: what `$_SERVER` would hold of a request, with the names that php-fpm shows.

use super::Text;
use ext_php_rs::boxed::ZBox;
use ext_php_rs::error::Result;
use ext_php_rs::types::ZendHashTable;
use rr_wire::http::RequestView;
use std::time::{SystemTime, UNIX_EPOCH};

/// The array of a request that came in at `now`.
pub(crate) fn of(view: &RequestView<'_>, now: SystemTime) -> Result<ZBox<ZendHashTable>> {
    let mut all = ZendHashTable::with_capacity(40);
    let target = view.target();
    let query = target.iter().position(|byte| *byte == b'?').map_or(&b""[..], |mark| &target[mark + 1..]);
    let authority = view.authority();
    let host = match authority.iter().rposition(|byte| *byte == b':') {
        Some(colon) if authority[colon + 1..].iter().all(u8::is_ascii_digit) => &authority[..colon],
        _ => authority,
    };
    let port = |port: u16| if port == 0 { String::new() } else { port.to_string() };
    let protocol = match view.version() {
        10 => "HTTP/1.0",
        20 => "HTTP/2.0",
        30 => "HTTP/3.0",
        _ => "HTTP/1.1",
    };
    let (mut kind, mut length) = (&b""[..], &b""[..]);
    for (name, value) in view.headers() {
        match name {
            b"content-type" => kind = value,
            b"content-length" => length = value,
            _ => {}
        }
    }
    let mut set = |name: &str, value: &[u8]| all.insert(name, Text::new(value));
    set("REQUEST_METHOD", view.method())?;
    set("REQUEST_URI", target)?;
    set("QUERY_STRING", query)?;
    set("CONTENT_TYPE", kind)?;
    set("CONTENT_LENGTH", length)?;
    set("SERVER_PROTOCOL", protocol.as_bytes())?;
    set("GATEWAY_INTERFACE", b"CGI/1.1")?;
    set("SERVER_SOFTWARE", concat!("roadrunner/", env!("CARGO_PKG_VERSION")).as_bytes())?;
    set("REMOTE_ADDR", view.remote())?;
    set("REMOTE_PORT", port(view.remote_port()).as_bytes())?;
    set("SERVER_ADDR", view.server())?;
    set("SERVER_PORT", port(view.server_port()).as_bytes())?;
    set("SERVER_NAME", host)?;
    set("REQUEST_SCHEME", if view.https() { b"https" } else { b"http" })?;
    if view.https() {
        set("HTTPS", b"on")?;
    }
    let mut key = String::with_capacity(32);
    for (name, value) in view.headers() {
        // An underscore would pass for a hyphen; `Proxy` would pass for the proxy of PHP's own requests.
        if name.contains(&b'_') || name == b"proxy" {
            continue;
        }
        key.clear();
        key.push_str("HTTP_");
        let upper = |byte: &u8| if *byte == b'-' { '_' } else { char::from(byte.to_ascii_uppercase()) };
        key.extend(name.iter().map(upper));
        match all.get(key.as_str()).and_then(|value| value.zend_str()) {
            Some(before) => {
                let joined = [before.as_bytes(), b", ", value].concat();
                all.insert(key.as_str(), Text::new(joined))?;
            }
            None => all.insert(key.as_str(), Text::new(value))?,
        }
    }
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    all.insert("REQUEST_TIME_FLOAT", since.as_secs_f64())?;
    all.insert("REQUEST_TIME", i64::try_from(since.as_secs()).unwrap_or(i64::MAX))?;
    Ok(all)
}
