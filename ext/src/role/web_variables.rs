//! What a web request's script finds of its request: `$_SERVER` and the headers.

use crate::role::web_plan::Place;
use crate::role::web_unit;
use crate::zend::web::{self, Variables};
use rr_wire::http::RequestView;
use std::cell::RefCell;
use std::os::unix::ffi::OsStrExt;
use std::rc::Rc;

thread_local! {
    static PLACE: RefCell<Option<Rc<Place>>> = const { RefCell::new(None) };
}

/// In a worker, once: where its files are.
pub(crate) fn settle(mut place: Place) {
    place.owner = ["USER", "HOME"].map(std::env::var_os);
    PLACE.with(|slot| slot.replace(Some(Rc::new(place))));
}

/// Where they are.
pub(crate) fn place() -> Option<Rc<Place>> {
    PLACE.with(|place| place.borrow().clone())
}

/// A target's path and query.
pub(crate) fn split(target: &[u8]) -> (&[u8], &[u8]) {
    match target.iter().position(|byte| *byte == b'?') {
        Some(mark) => (&target[..mark], &target[mark + 1..]),
        None => (target, b""),
    }
}

/// `$_SERVER`, with the keys and values of php-fpm behind nginx.
pub(crate) fn variables(server: &mut Variables) {
    if let Some(place) = place() {
        web_unit::lend(|context, length| set_all(server, &place, context, length));
    }
}

fn set_all(server: &mut Variables, place: &Place, context: &[u8], length: Option<usize>) {
    let view = RequestView::trusted(context);
    let [method, remote, address, target, authority, script, path_info] = view.fields();
    let (path, query) = split(target);
    let script = match script {
        b"" => place.script.as_bytes(),
        script => script,
    };
    let root = place.root.as_os_str().as_bytes();
    let host = match authority.iter().rposition(|byte| *byte == b':') {
        Some(colon) if authority[colon + 1..].iter().all(u8::is_ascii_digit) => &authority[..colon],
        _ => authority,
    };
    let port = |port: u16| if port == 0 { String::new() } else { port.to_string() };
    let protocol: &[u8] = match view.version() {
        10 => b"HTTP/1.0",
        20 => b"HTTP/2.0",
        30 => b"HTTP/3.0",
        _ => b"HTTP/1.1",
    };
    if place.frankenphp {
        // The environment too, but nothing that would pass for a header.
        for (name, value) in std::env::vars_os() {
            if !name.as_bytes().starts_with(b"HTTP_") {
                server.other(name.as_bytes(), value.as_bytes());
            }
        }
    }
    for (name, value) in [&b"USER"[..], b"HOME"].into_iter().zip(&place.owner) {
        if let Some(value) = value {
            server.set(name, value.as_bytes());
        }
    }
    let (mut content_type, mut stated) = (&b""[..], &b""[..]);
    for (name, value) in view.headers() {
        match name {
            b"content-type" => content_type = value,
            b"content-length" => stated = value,
            _ => {}
        }
    }
    server.set(b"SCRIPT_NAME", script);
    server.set(b"REQUEST_URI", target);
    server.set(b"QUERY_STRING", query);
    server.set(b"REQUEST_METHOD", method);
    server.set(b"SERVER_PROTOCOL", protocol);
    server.set(b"GATEWAY_INTERFACE", b"CGI/1.1");
    server.set(b"REMOTE_PORT", port(view.remote_port()).as_bytes());
    server.set(b"SCRIPT_FILENAME", &[root, script].concat());
    server.set(b"SERVER_SOFTWARE", concat!("roadrunner/", env!("CARGO_PKG_VERSION")).as_bytes());
    server.set(b"SERVER_ADDR", address);
    server.set(b"SERVER_PORT", port(view.server_port()).as_bytes());
    server.set(b"SERVER_NAME", host);
    server.set(b"REMOTE_ADDR", remote);
    server.set(b"REQUEST_SCHEME", if view.https() { b"https" } else { b"http" });
    if view.https() {
        server.set(b"HTTPS", b"on");
    }
    server.set(b"REDIRECT_STATUS", b"200");
    server.set(b"DOCUMENT_ROOT", root);
    server.set(b"DOCUMENT_URI", script);
    server.set(b"CONTENT_TYPE", content_type);
    match length {
        Some(length) => server.set(b"CONTENT_LENGTH", length.to_string().as_bytes()),
        None => server.set(b"CONTENT_LENGTH", stated),
    }
    server.set(b"PATH_INFO", path_info);
    server.set(b"REMOTE_USER", web::user().unwrap_or_default().as_bytes());
    for (name, value) in view.headers() {
        // An underscore would pass for a hyphen; `Proxy` would pass for the proxy of PHP's own requests.
        if !name.contains(&b'_') && name != b"proxy" {
            server.header(name, value);
        }
    }
    server.set(b"FCGI_ROLE", b"RESPONDER");
    if place.frankenphp {
        server.set(b"FRANKENPHP_WORKER", b"1");
    }
    let itself = [script, path_info].concat();
    server.set(b"PHP_SELF", if script.is_empty() { path } else { &itself });
}

/// `$_SERVER` of a worker script before its first request: that of a request of nobody's for the script.
pub(crate) fn script_variables(server: &mut Variables) {
    let Some(place) = place() else { return };
    let (root, script) = (place.root.as_os_str().as_bytes(), place.script.as_bytes());
    for (name, value) in [
        ("REQUEST_METHOD", &b"GET"[..]),
        ("REQUEST_URI", script),
        ("QUERY_STRING", b""),
        ("SERVER_PROTOCOL", b"HTTP/1.1"),
        ("GATEWAY_INTERFACE", b"CGI/1.1"),
        ("REMOTE_ADDR", b""),
        ("REMOTE_PORT", b""),
        ("SERVER_NAME", b""),
        ("SERVER_PORT", b""),
        ("REQUEST_SCHEME", b"http"),
        ("SCRIPT_NAME", script),
        ("SCRIPT_FILENAME", &[root, script].concat()),
        ("PHP_SELF", script),
        ("DOCUMENT_ROOT", root),
        ("DOCUMENT_URI", script),
    ] {
        server.other(name.as_bytes(), value);
    }
}

/// The headers of the running request, names as PHP's own servers give them.
pub(crate) fn request_headers() -> Vec<(String, Vec<u8>)> {
    web_unit::look(|view| view.headers().map(|(name, value)| (canonical(name), value.to_vec())).collect())
        .unwrap_or_default()
}

fn canonical(name: &[u8]) -> String {
    let mut first = true;
    String::from_utf8_lossy(name)
        .chars()
        .map(|letter| {
            let shown = if first { letter.to_ascii_uppercase() } else { letter };
            first = letter == '-';
            shown
        })
        .collect()
}
