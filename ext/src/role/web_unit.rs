//! The unit that a web worker runs: its body on the way to PHP, its response on the way back. Between `zend::web`, which
//! calls in here while a request runs, and the worker's session.

use crate::api::response;
use crate::role::{hooks, session};
use crate::zend;
use ext_php_rs::types::{ZendHashTable, Zval};
use rr_wire::form::{Part, Parts};
use rr_wire::http::{FAILED, RequestView, encode_response};
use rr_wire::log::Level;
use rr_worker::{Session, SessionError};
use std::cell::RefCell;

/// Output is sent when there is this much of it.
const PIECE: usize = 32 * 1024;
/// Bodies longer than this may not fit one frame; then the master needs to be told their length.
const STATED: usize = 1024;

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
    headers: Fields,
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

/// Headers in the order in which they came.
#[derive(Debug, Default)]
struct Fields {
    /// Names and values, one after the other.
    bytes: Vec<u8>,
    /// Where each name ends, and its value.
    ends: Vec<(usize, usize)>,
}

impl Fields {
    fn push(&mut self, name: &[u8], value: &[u8]) {
        self.bytes.extend_from_slice(name);
        let name = self.bytes.len();
        self.bytes.extend_from_slice(value);
        self.ends.push((name, self.bytes.len()));
    }

    fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> + Clone {
        let begins = std::iter::once(0).chain(self.ends.iter().map(|(_, end)| *end));
        let ends = begins.zip(&self.ends);
        ends.map(|(begin, &(name, end))| (&self.bytes[begin..name], &self.bytes[name..end]))
    }

    fn remove(&mut self, name: &str) {
        let mut rest = Self::default();
        for (key, value) in self.iter().filter(|(key, _)| !key.eq_ignore_ascii_case(name.as_bytes())) {
            rest.push(key, value);
        }
        *self = rest;
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }
}

thread_local! {
    static STATE: RefCell<State> = RefCell::default();
}

fn with<T>(work: impl FnOnce(&mut State) -> T) -> Option<T> {
    STATE.with(|state| state.try_borrow_mut().ok().map(|mut state| work(&mut state)))
}

/// A unit begins.
pub(crate) fn open(payload: Vec<u8>, context: usize, more: bool, content_length: Option<usize>) {
    // What the last request has made room for is used again.
    let (mut headers, mut body) =
        with(|state| (std::mem::take(&mut state.headers), std::mem::take(&mut state.body)))
            .unwrap_or_default();
    headers.clear();
    body.clear();
    let state =
        State { context, more, content_length, payload, headers, body, open: true, ..State::default() };
    STATE.with(|slot| slot.replace(state));
}

/// Bytes of the body, where that is known.
pub(crate) fn content_length() -> Option<usize> {
    with(|state| state.content_length).flatten()
}

/// The request's protocol, as PHP counts them.
pub(crate) fn protocol() -> i32 {
    with(|state| match state.view().version() {
        10 => 1000,
        20 => 2000,
        _ => 1001,
    })
    .unwrap_or(1001)
}

/// Gives the request's context and the length of its body; PHP may allocate meanwhile.
pub(crate) fn lend(work: impl FnOnce(&[u8], Option<usize>)) {
    // Taken out, because PHP allocates.
    let Some((payload, context, length)) =
        with(|state| (std::mem::take(&mut state.payload), state.context, state.content_length))
    else {
        return;
    };
    work(&payload[..context], length);
    with(|state| state.payload = payload);
}

/// Gives the running request; `None` without one.
pub(crate) fn look<T>(work: impl FnOnce(RequestView<'_>) -> T) -> Option<T> {
    with(|state| state.open.then(|| work(state.view()))).flatten()
}

/// Notes a report of development mode. It takes the place of half a page, unless the app has a handler that may have
/// made a whole one.
pub(crate) fn note(report: Option<String>, fatal: bool) {
    if let Some(report) = report {
        let alone = !zend::dev::has_handler(fatal);
        with(|state| state.report = Some((report, alone)));
    }
}

pub(crate) fn failed(text: &str) {
    with(|state| state.failed = Some(text.to_owned()));
}

/// Ends the unit, whatever became of the response.
pub(crate) fn close() {
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
                self.headers.push(b"Content-Length", self.body.len().to_string().as_bytes());
            }
            let encoded = encode_response(&mut head, status, || self.headers.iter());
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

/// The request body as PHP may read it, `room` bytes in pieces unless it ends. As with PHP's own parser there is nothing
/// left of a form.
pub(crate) fn read(room: usize, put: impl FnMut(&[u8])) -> usize {
    if is_form() { 0 } else { pull(room, put) }
}

/// The body, whatever it is: `room` bytes of it in pieces unless it ends.
fn pull(room: usize, mut put: impl FnMut(&[u8])) -> usize {
    let mut filled = 0;
    while filled < room {
        let taken = with(|state| {
            let rest = &state.payload[state.context + state.taken..];
            let count = rest.len().min(room - filled);
            put(&rest[..count]);
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
    with(|state| state.headers.push(name, value));
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
        _ if !state.head_sent
            && state.report.as_ref().is_some_and(|(_, alone)| *alone || state.body.is_empty()) =>
        {
            state.body.clear();
            state.report.take().map(|(report, _)| report)
        }
        text => {
            let status = *state.status.get_or_insert(500);
            if text.is_some() && state.body.is_empty() && status >= 500 {
                state.headers.remove("content-type");
                state.headers.push(b"Content-Type", b"text/plain; charset=utf-8");
                state.headers.push(FAILED.as_bytes(), b"");
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
        pull(usize::MAX, |piece| block.extend_from_slice(piece));
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
