//! Requests of the web modes: PHP sees superglobals, and what it prints is the response. Between `zend::web`, which
//! calls in here while a request runs, and the worker's session.

use crate::api::response;
use crate::role::{dev, hooks, leaks, session, vitals, worker};
use crate::zend::web::{self, Texts, Variables};
use crate::zend::{self, Callable, Outcome};
use ext_php_rs::types::{ZendHashTable, Zval};
use rr_wire::form::{Part, Parts};
use rr_wire::http::{FAILED, RequestView, encode_response};
use rr_wire::log::Level;
use rr_worker::{Event, Session, SessionError, Unit};
use std::cell::{Cell, RefCell};
use std::ffi::{CString, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// Output is sent when there is this much of it.
const PIECE: usize = 32 * 1024;
/// Bodies longer than this may not fit one frame; then the master needs to be told their length.
const STATED: usize = 1024;

/// What a web worker runs for each request.
pub(crate) enum Served<'a> {
    /// A function.
    Callable(&'a Callable),
    /// The file that the server has chosen, or the front controller.
    File,
}

/// Where the app's files are.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// The document root.
    pub(crate) root: PathBuf,
    /// The script when the server has chosen none: the path below the root, with a leading `/`.
    pub(crate) script: String,
    /// PHP's own request startup and shutdown around each request.
    pub(crate) classic: bool,
    /// Apps of FrankenPHP's worker API shall find themselves in one.
    pub(crate) frankenphp: bool,
}

/// The texts that PHP holds pointers to while a request runs.
#[derive(Debug, Default)]
struct Held {
    method: CString,
    query: CString,
    uri: CString,
    content_type: Option<CString>,
    cookie: Option<CString>,
    authorization: Option<CString>,
    path: CString,
    root: usize,
}

#[derive(Debug, Default)]
struct State {
    payload: Vec<u8>,
    context: usize,
    /// Bytes of the inline body that PHP has read.
    taken: usize,
    more: bool,
    content_length: Option<usize>,
    /// The parts of a form; read once.
    form: Option<Vec<u8>>,
    form_at: usize,
    headers: Vec<(Vec<u8>, Vec<u8>)>,
    status: Option<u16>,
    body: Vec<u8>,
    head_sent: bool,
    /// The response is complete.
    finished: bool,
    /// The script failed: a stream that has begun is broken off.
    failed: Option<String>,
    /// Development mode: what to say instead of it, and whether also in place of what the script has printed.
    report: Option<(String, bool)>,
    open: bool,
}

thread_local! {
    static STATE: RefCell<State> = RefCell::default();
    static STOPPED: Cell<bool> = const { Cell::new(false) };
    static SERVED: Cell<u64> = const { Cell::new(0) };
    static GREETED: Cell<bool> = const { Cell::new(false) };
    static PLACE: RefCell<Option<Rc<Place>>> = const { RefCell::new(None) };
}

fn with<T>(work: impl FnOnce(&mut State) -> T) -> Option<T> {
    STATE.with(|state| state.try_borrow_mut().ok().map(|mut state| work(&mut state)))
}

/// Serves until told to stop. Returns the exit code.
pub(crate) fn serve(served: &Served<'_>, place: Place, app: &Zval) -> i32 {
    let classic = place.classic;
    PLACE.with(|slot| slot.replace(Some(Rc::new(place))));
    loop {
        let Some(mut held) = next() else { return 0 };
        let sound = run(&mut held, served, classic, Some(app));
        hooks::flush_output();
        if !sound {
            return 255;
        }
    }
}

/// One turn of `rr_handle_request()`: `None` when the worker should end.
pub(crate) fn handle(callable: &Callable) -> Option<bool> {
    // What the script has printed is not the request's.
    hooks::flush_output();
    // Now that the script has booted the worker is ready.
    if !GREETED.with(|greeted| greeted.replace(true)) && worker::hello().is_err() {
        return None;
    }
    let mut held = next()?;
    let sound = run(&mut held, &Served::Callable(callable), false, None);
    hooks::flush_output();
    Some(sound)
}

/// Runs a script that calls `rr_handle_request()`. Returns the exit code: a script that ends takes its worker along,
/// because PHP cannot declare its functions a second time.
pub(crate) fn run_script(path: &Path, place: Place) -> i32 {
    PLACE.with(|slot| slot.replace(Some(Rc::new(place))));
    let Ok(path) = CString::new(path.as_os_str().as_bytes()) else { return 255 };
    hooks::explained();
    web::script_begins();
    let outcome = web::include(&path);
    if outcome == Outcome::Threw {
        zend::report_exception();
    }
    let code = web::script_ends();
    hooks::flush_output();
    if matches!(outcome, Outcome::Threw | Outcome::Bailed) {
        return 255;
    }
    let stopped = STOPPED.with(Cell::get);
    if !stopped && SERVED.with(Cell::get) == 0 {
        hooks::write(Level::Error, b"the script ended before it handled a request");
        return 255;
    }
    if stopped { 0 } else { code }
}

fn next() -> Option<Held> {
    loop {
        match session::try_with(Session::receive)? {
            Ok(Event::Stop) => {
                STOPPED.with(|stopped| stopped.set(true));
                return None;
            }
            Ok(Event::Unit(unit)) => match accepted(unit) {
                Some(held) => {
                    SERVED.with(|served| served.set(served.get() + 1));
                    return Some(held);
                }
                None => {
                    let text = "the server sent a request that cannot be read";
                    let _ = session::try_with(|session| session.fail(text));
                }
            },
            Err(error) => {
                eprintln!("roadrunner: {error}");
                return None;
            }
        }
    }
}

fn accepted(unit: Unit) -> Option<Held> {
    leaks::begin(&unit);
    accept(unit)
}

/// Prepares the state for a unit.
fn accept(unit: Unit) -> Option<Held> {
    let Unit { payload, context, more, .. } = unit;
    let place = PLACE.with(|place| place.borrow().clone())?;
    let view = RequestView::parse(payload.get(..context)?).ok()?;
    let text = |bytes: &[u8]| CString::new(bytes).ok();
    let joined = |name: &str, between: &[u8]| {
        let mut values = view.headers().filter(|(key, _)| *key == name.as_bytes()).map(|(_, value)| value);
        let mut all = values.next()?.to_vec();
        for value in values {
            all.extend_from_slice(between);
            all.extend_from_slice(value);
        }
        CString::new(all).ok()
    };
    let [method, _, _, target, _, script, _] = view.fields();
    let (_, query) = split(target);
    let script = match script {
        b"" => place.script.as_bytes(),
        script => script,
    };
    let path = [place.root.as_os_str().as_bytes(), script].concat();
    let stated = joined("content-length", b",").and_then(|length| length.to_str().ok()?.parse().ok());
    let held = Held {
        method: text(method)?,
        query: text(query)?,
        uri: text(target)?,
        content_type: joined("content-type", b","),
        cookie: joined("cookie", b"; "),
        authorization: joined("authorization", b","),
        path: text(&path)?,
        root: place.root.as_os_str().len(),
    };
    let content_length = stated.or((!more && payload.len() > context).then(|| payload.len() - context));
    // What the last request has made room for is used again.
    let (mut headers, mut body) =
        with(|state| (std::mem::take(&mut state.headers), std::mem::take(&mut state.body)))?;
    headers.clear();
    body.clear();
    let state =
        State { context, more, content_length, payload, headers, body, open: true, ..State::default() };
    STATE.with(|slot| slot.replace(state));
    Some(held)
}

fn run(held: &mut Held, served: &Served<'_>, classic: bool, app: Option<&Zval>) -> bool {
    let content_length = with(|state| state.content_length).flatten();
    let protocol = with(|state| match state.view().version() {
        10 => 1000,
        20 => 2000,
        _ => 1001,
    });
    let texts = Texts {
        method: &held.method,
        query: &held.query,
        uri: &held.uri,
        content_type: held.content_type.as_deref(),
        cookie: held.cookie.as_deref(),
        authorization: held.authorization.as_deref(),
        path: &held.path,
        content_length: content_length.and_then(|length| i64::try_from(length).ok()).unwrap_or(0),
        root: held.root,
        protocol: protocol.unwrap_or(1001),
    };
    let mut sound = web::begin(&texts);
    if sound {
        let outcome = match served {
            Served::Callable(callable) => {
                let mut arguments: Vec<Zval> = app.map(Zval::shallow_clone).into_iter().collect();
                let (outcome, value) = callable.call(&mut arguments);
                match zend::free(value) && arguments.into_iter().all(zend::free) {
                    true => outcome,
                    false => Outcome::Bailed,
                }
            }
            Served::File if classic => web::execute(&held.path),
            Served::File => web::include(&held.path),
        };
        sound = settle(outcome, classic);
    } else {
        failed("the request could not be started");
    }
    if sound {
        vitals::tell();
    }
    let ended = web::end(!sound);
    close();
    if !classic {
        leaks::check();
    }
    ended && (sound || classic)
}

/// Notes how the script ended. `false`: PHP is broken.
fn settle(outcome: Outcome, classic: bool) -> bool {
    match outcome {
        Outcome::Returned | Outcome::Exited => true,
        Outcome::Threw => {
            let text = zend::exception_text().unwrap_or_default();
            note(dev::exception(), false);
            if !web::headers_sent() {
                web::status(if web::was_ttl() { 504 } else { 500 });
            }
            // An exception handler of the app may make the response itself.
            let sound = zend::report_exception();
            failed(&text);
            sound
        }
        Outcome::Bailed => {
            let text = zend::last_error().unwrap_or_else(|| "a fatal error".to_owned());
            note(dev::last_error(), true);
            if !web::headers_sent() {
                web::status(if web::was_ttl() { 504 } else { 500 });
            }
            failed(&text);
            classic
        }
    }
}

/// Notes a report of development mode. It takes the place of half a page, unless the app has a handler that may have
/// made a whole one.
fn note(report: Option<String>, fatal: bool) {
    if let Some(report) = report {
        let alone = !zend::dev::has_handler(fatal);
        with(|state| state.report = Some((report, alone)));
    }
}

fn failed(text: &str) {
    with(|state| state.failed = Some(text.to_owned()));
}

/// Ends the unit, whatever became of the response.
fn close() {
    finish(End::Request);
    with(|state| {
        state.open = false;
        state.payload = Vec::new();
        state.body.shrink_to(PIECE);
    });
    let _ = session::try_with(|session| if session.is_open() { session.end_cancelled() } else { Ok(()) });
}

/// What ends with what is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// Nothing.
    Open,
    /// The response; the script goes on.
    Response,
    /// The request.
    Request,
}

impl State {
    fn view(&self) -> RequestView<'_> {
        RequestView::trusted(&self.payload[..self.context])
    }

    /// Sends what there is; `false`: nobody reads it.
    fn send(&mut self, end: End) -> bool {
        let last = end != End::Open;
        let mut head = Vec::new();
        if !self.head_sent {
            let status = self.status.unwrap_or(500);
            let sized = self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(b"content-length"));
            if last && !sized && self.body.len() > STATED {
                self.headers.push((b"Content-Length".to_vec(), self.body.len().to_string().into_bytes()));
            }
            let headers = &self.headers;
            let encoded = encode_response(&mut head, status, || {
                headers.iter().map(|(name, value)| (&name[..], &value[..]))
            });
            if let Err(error) = encoded {
                hooks::write(Level::Error, error.to_string().as_bytes());
                return true;
            }
            self.head_sent = true;
        }
        let body = std::mem::take(&mut self.body);
        let sent = session::try_with(|session| match end {
            End::Open => session.reply(&head, &body, true),
            End::Response => session.finish(&head, &body),
            End::Request => session.reply(&head, &body, false),
        });
        self.body = body;
        self.body.clear();
        match sent {
            None | Some(Ok(())) => true,
            Some(Err(SessionError::Cancelled | SessionError::NoUnit)) => false,
            Some(Err(error)) => {
                hooks::write(Level::Error, error.to_string().as_bytes());
                false
            }
        }
    }
}

// -- what PHP calls ------------------------------------------------------------------------------------------------

/// The request body as PHP may read it; fills `into` unless the body ends. As with PHP's own parser there is nothing
/// left of a form.
pub(crate) fn read(into: &mut [u8]) -> usize {
    if is_form() { 0 } else { pull(into) }
}

/// The body, whatever it is; fills `into` unless it ends.
fn pull(into: &mut [u8]) -> usize {
    let mut filled = 0;
    while filled < into.len() {
        let taken = with(|state| {
            let rest = &state.payload[state.context + state.taken..];
            let count = rest.len().min(into.len() - filled);
            into[filled..filled + count].copy_from_slice(&rest[..count]);
            state.taken += count;
            (count, state.more)
        });
        let Some((count, more)) = taken else { break };
        filled += count;
        if count > 0 {
            continue;
        }
        if !more {
            break;
        }
        let piece = session::try_with(Session::read_body);
        let piece = match piece {
            Some(Ok(piece)) => piece,
            _ => None,
        };
        with(|state| match piece {
            Some(piece) => {
                state.payload.truncate(state.context);
                state.payload.extend_from_slice(&piece);
                state.taken = 0;
            }
            None => state.more = false,
        });
    }
    filled
}

/// A header of the response.
pub(crate) fn header(name: &[u8], value: &[u8]) {
    with(|state| state.headers.push((name.to_vec(), value.to_vec())));
}

/// The headers are complete.
pub(crate) fn head(status: u16) {
    with(|state| state.status = Some(status));
}

/// A piece of the body; `false`: nobody reads it.
pub(crate) fn output(bytes: &[u8]) -> bool {
    if !with(|state| state.open).unwrap_or(false) {
        hooks::output(bytes);
        return true;
    }
    with(|state| {
        // As php-fpm: what comes after fastcgi_finish_request() is for nobody.
        if state.finished {
            return true;
        }
        state.body.extend_from_slice(bytes);
        state.body.len() < PIECE || state.send(End::Open)
    })
    .unwrap_or(true)
}

/// Sends what is there; `false`: nobody reads it.
pub(crate) fn flush() -> bool {
    with(|state| {
        let nothing = state.head_sent && state.body.is_empty();
        !state.open || state.finished || nothing || state.send(End::Open)
    })
    .unwrap_or(true)
}

/// The response is complete. `false`: it was before.
pub(crate) fn finish(end: End) -> bool {
    let ends = with(|state| state.open && !std::mem::replace(&mut state.finished, true)).unwrap_or(false);
    if !ends {
        return false;
    }
    let broken = with(|state| match state.failed.take() {
        Some(text) if state.head_sent => Some(text),
        Some(_) if state.report.as_ref().is_some_and(|(_, alone)| *alone || state.body.is_empty()) => {
            state.body.clear();
            state.report.take().map(|(report, _)| report)
        }
        text => {
            let status = *state.status.get_or_insert(500);
            if text.is_some() && state.body.is_empty() && status >= 500 {
                state.headers.retain(|(name, _)| !name.eq_ignore_ascii_case(b"content-type"));
                state.headers.push((b"Content-Type".to_vec(), b"text/plain; charset=utf-8".to_vec()));
                state.headers.push((FAILED.as_bytes().to_vec(), Vec::new()));
                let text = if status == 504 { "Gateway Timeout\n" } else { "Internal Server Error\n" };
                state.body.extend_from_slice(text.as_bytes());
            }
            state.send(end);
            None
        }
    });
    if let Some(text) = broken.flatten() {
        // What was sent must not look like a whole response (HTTP-17).
        let _ = session::try_with(|session| session.fail(&text));
    }
    true
}

/// Sends an interim response (1xx) before the response.
pub(crate) fn interim(status: u16, headers: &ZendHashTable) -> bool {
    let (mut head, none) = (Vec::new(), Zval::null());
    if let Err(text) = response::Parts::interim(status, headers, &none).encode(&mut head, None) {
        hooks::write(Level::Warn, format!("early hints: {text}").as_bytes());
        return false;
    }
    matches!(session::try_with(|session| session.reply(&head, b"", true)), Some(Ok(())))
}

/// Whether the body is a form that the master has parsed.
pub(crate) fn is_form() -> bool {
    with(|state| state.view().form()).unwrap_or(false)
}

/// The next part of a form.
pub(crate) fn next_part<T>(make: impl FnOnce(&Part<'_>) -> T) -> Option<T> {
    if with(|state| state.form.is_none())? {
        if !with(|state| state.view().form())? {
            return None;
        }
        let mut block = Vec::new();
        let mut piece = vec![0; PIECE];
        loop {
            let read = pull(&mut piece);
            block.extend_from_slice(&piece[..read]);
            if read < piece.len() {
                break;
            }
        }
        with(|state| state.form = Some(block));
    }
    with(|state| {
        let form = state.form.as_ref()?;
        let mut parts = Parts::new(form.get(state.form_at..)?);
        let made = match parts.next()? {
            Ok(part) => Some(make(&part)),
            Err(_) => None,
        };
        state.form_at += parts.position();
        made
    })
    .flatten()
}

fn split(target: &[u8]) -> (&[u8], &[u8]) {
    match target.iter().position(|byte| *byte == b'?') {
        Some(mark) => (&target[..mark], &target[mark + 1..]),
        None => (target, b""),
    }
}

/// `$_SERVER`, with the keys and values of php-fpm behind nginx.
pub(crate) fn variables(server: &mut Variables) {
    let Some(place) = PLACE.with(|place| place.borrow().clone()) else { return };
    // Taken out, because PHP allocates while variables are set.
    let Some((payload, context, length)) =
        with(|state| (std::mem::take(&mut state.payload), state.context, state.content_length))
    else {
        return;
    };
    set_all(server, &place, &payload[..context], length);
    with(|state| state.payload = payload);
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
    if let Some(user) = std::env::var_os("USER") {
        server.set(b"USER", user.as_bytes());
    }
    if let Some(home) = std::env::var_os("HOME") {
        server.set(b"HOME", home.as_bytes());
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
    let Some(place) = PLACE.with(|place| place.borrow().clone()) else { return };
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
        server.set(name.as_bytes(), value);
    }
}

/// The headers of the running request, names as PHP's own servers give them.
pub(crate) fn request_headers() -> Vec<(String, Vec<u8>)> {
    let headers = with(|state| {
        if !state.open {
            return Vec::new();
        }
        let view = state.view();
        view.headers().map(|(name, value)| (canonical(name), value.to_vec())).collect()
    });
    headers.unwrap_or_default()
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

/// An absolute path, with the symlinks it has.
pub(crate) fn absolute(path: &str) -> PathBuf {
    let joined = match std::env::var_os("PWD").map(PathBuf::from).filter(|here| same(here)) {
        Some(here) => here.join(path),
        None => std::path::absolute(path).unwrap_or_else(|_| PathBuf::from(path)),
    };
    let text = joined.as_os_str().as_bytes();
    let end = text.iter().rposition(|byte| *byte != b'/').map_or(0, |last| last + 1);
    PathBuf::from(OsStr::from_bytes(&text[..end]))
}

fn same(here: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let number = |path: &Path| path.metadata().map(|meta| (meta.dev(), meta.ino())).ok();
    here.is_absolute() && number(here).is_some() && number(here) == number(Path::new("."))
}
