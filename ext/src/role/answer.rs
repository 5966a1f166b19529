//! Answers of the handler modes: from what PHP returns, or writes piece by piece, to the channel.

use crate::api::exceptions::{self, Cause, of_session};
use crate::api::response::{self, Parts, Response};
use crate::role::printed::{self, Printed};
use crate::role::session;
use crate::zend::embedded::is_a;
use crate::zend::{self, Outcome};
use ext_php_rs::prelude::*;
use ext_php_rs::types::{ZendHashTable, ZendStr, Zval};
use rr_worker::SessionError;
use std::cell::Cell;

thread_local! {
    /// The unit whose head was sent piece by piece, and the one whose response was ended so; 0: none.
    static BEGUN: Cell<u32> = const { Cell::new(0) };
    static ENDED: Cell<u32> = const { Cell::new(0) };
}

/// A written response is sent when there is so much of it.
pub(crate) const PIECE: usize = 32 * 1024;

/// How a response could not be sent.
pub(crate) enum Failure {
    /// The value is no response; the text says why.
    Value(String),
    /// PHP threw while it made the body.
    Threw,
    /// PHP exited while it made the body; the head, if it was not sent yet.
    Exited(Vec<u8>),
    /// PHP is broken.
    Bailed,
    /// The channel.
    Session(SessionError),
}

/// Whether the running request's response is on its way piece by piece.
pub(crate) fn has_begun() -> bool {
    let begun =
        |session: &mut rr_worker::Session| session.is_open() && BEGUN.with(Cell::get) == session.unit();
    session::try_with(begun).unwrap_or(false)
}

/// A handler that has ended its response itself has gone on until now.
pub(crate) fn end_of_ended() {
    let _ = session::try_with(|session| {
        let ended = session.unit() != 0 && ENDED.with(Cell::get) == session.unit();
        if ended && session.is_open() { session.end_cancelled() } else { Ok(()) }
    });
}

/// Ends a stream that `exit()` has ended; one that had not begun is an empty response.
pub(crate) fn end_stream(head: &[u8]) {
    let _ = session::try_with(|session| match session.reply(head, b"", false) {
        Err(SessionError::Cancelled) => session.end_cancelled(),
        other => other,
    });
}

/// Answers with an error; without a unit it was answered before.
pub(crate) fn send_error(text: &str) {
    let result = session::try_with(|session| match session.fail(text) {
        Err(SessionError::Cancelled) => session.end_cancelled(),
        other => other,
    });
    let _ = result;
}

/// Sends what PHP returned.
pub(crate) fn send(value: &mut Zval) -> Result<(), Failure> {
    let unit = session::try_with(|session| session.unit()).unwrap_or(0);
    if unit != 0 && ENDED.with(Cell::get) == unit {
        return Ok(());
    }
    let begun = unit != 0 && BEGUN.with(Cell::get) == unit;
    if let Some(response) = response::of(value) {
        let written = response.take_written();
        if begun && response.unit() != unit {
            return Err(Failure::Value("the handler has begun another response than it returned".to_owned()));
        }
        if begun || !written.is_empty() || Parts::of_response(response).has_trailers() {
            let sent = send_rest(response, &written, false);
            // An app may return the same object for the next request.
            response.set_unit(0);
            return sent;
        }
    } else if begun {
        // A response that was begun and is not returned ends where it is.
        let sent = session::try_with(|session| session.reply(b"", b"", false)).unwrap_or(Ok(()));
        return sent.map_err(Failure::Session);
    }
    let parts = Parts::of(value).ok_or_else(|| {
        let text = "the handler must return RoadRunner\\Response, a string or null";
        Failure::Value(format!("{text}; it returned {}", type_name(value)))
    })?;
    let body = parts.body;
    if is_a(body, "Closure") {
        return send_printed(&parts);
    }
    if is_stream(body) {
        let mut head = Vec::with_capacity(256);
        parts.encode(&mut head, None).map_err(Failure::Value)?;
        let events = parts.events;
        send_stream(body, events, head, &[])
    } else {
        let owned = text_of(body)?;
        let bytes = body.zend_str().map_or(&owned[..], ZendStr::as_bytes);
        let mut head = Vec::with_capacity(256);
        let length = (bytes.len() > STATED && !parts.is_file()).then_some(bytes.len());
        parts.encode(&mut head, length).map_err(Failure::Value)?;
        session::try_with(|session| session.reply(&head, bytes, false))
            .unwrap_or(Ok(()))
            .map_err(Failure::Session)
    }
}

fn is_stream(body: &Zval) -> bool {
    body.is_array() || body.is_traversable() || body.is_resource()
}

/// A body that is no string and no stream, as text.
fn text_of(body: &Zval) -> Result<Vec<u8>, Failure> {
    if body.is_null() || body.is_string() {
        return Ok(Vec::new());
    }
    zend::to_bytes(body).map_err(|outcome| match outcome {
        Outcome::Threw => Failure::Threw,
        Outcome::Exited => Failure::Exited(Vec::new()),
        Outcome::Returned | Outcome::Bailed => Failure::Bailed,
    })
}

/// Sends a response that was written piece by piece, from where it is. `goes_on`: the handler does.
fn send_rest(response: &mut Response, written: &[u8], goes_on: bool) -> Result<(), Failure> {
    let mut head = head_of(response)?;
    let body = response.body_value().shallow_clone();
    if is_a(&body, "Closure") {
        let text = "a body that a Closure prints cannot follow write() or have trailers";
        return Err(Failure::Value(text.to_owned()));
    }
    let mut trailers = Vec::new();
    if is_stream(&body) && !goes_on {
        if !written.is_empty() {
            let context = std::mem::take(&mut head);
            reply(&context, written, true)?;
        }
        return send_stream_of(&body, response, head);
    }
    response.encode_trailers(&mut trailers).map_err(Failure::Value)?;
    let owned = text_of(&body)?;
    let rest = body.zend_str().map_or(&owned[..], ZendStr::as_bytes);
    if !head.is_empty() || !written.is_empty() {
        // Trailers come with the last frame, which has no other context.
        let last = trailers.is_empty() && rest.is_empty() && !goes_on;
        reply(&head, written, !last)?;
        if last {
            return Ok(());
        }
    }
    if goes_on {
        if !trailers.is_empty() {
            reply(b"", rest, true)?;
            return finish_with(&trailers, b"");
        }
        return finish_with(b"", rest);
    }
    if trailers.is_empty() {
        return reply(b"", rest, false);
    }
    reply(b"", rest, true)?;
    reply(&trailers, b"", false)
}

fn send_stream_of(body: &Zval, response: &mut Response, head: Vec<u8>) -> Result<(), Failure> {
    let events = Parts::of_response(response).events;
    let mut trailers = Vec::new();
    if !Parts::of_response(response).has_trailers() {
        return send_stream(body, events, head, &trailers);
    }
    // Their values may be made while the body is.
    let mut head = head;
    stream(body, events, &mut head)?;
    response.encode_trailers(&mut trailers).map_err(Failure::Value)?;
    if !head.is_empty() {
        reply(&head, b"", true)?;
    }
    reply(&trailers, b"", false)
}

fn reply(context: &[u8], body: &[u8], more: bool) -> Result<(), Failure> {
    if more && context.is_empty() && body.is_empty() {
        return Ok(());
    }
    session::try_with(|session| session.reply(context, body, more))
        .unwrap_or(Ok(()))
        .map_err(Failure::Session)
}

fn finish_with(context: &[u8], body: &[u8]) -> Result<(), Failure> {
    session::try_with(|session| session.finish(context, body)).unwrap_or(Ok(())).map_err(Failure::Session)
}

/// The head of a response that is not on its way yet; empty when it is.
fn head_of(response: &mut Response) -> Result<Vec<u8>, Failure> {
    let unit = session::try_with(|session| session.unit()).unwrap_or(0);
    let mut head = Vec::new();
    if unit == 0 || response.unit() != unit {
        Parts::of_response(response).encode(&mut head, None).map_err(Failure::Value)?;
        response.set_unit(unit);
        BEGUN.with(|begun| begun.set(unit));
    }
    Ok(head)
}

fn open_unit() -> PhpResult<u32> {
    let unit = session::with(|session| if session.is_open() { session.unit() } else { 0 })?;
    if unit == 0 || ENDED.with(Cell::get) == unit {
        return Err(exceptions::of(Cause::Role, "there is no request to answer"));
    }
    Ok(unit)
}

fn thrown(failure: Failure) -> PhpException {
    match failure {
        Failure::Value(text) => exceptions::of(Cause::Other, text),
        Failure::Session(error) => of_session(&error),
        // What PHP has thrown is on its way already.
        Failure::Threw | Failure::Exited(_) | Failure::Bailed => {
            exceptions::of(Cause::Other, "the body of the response could not be made")
        }
    }
}

/// `Response::flush()`.
pub(crate) fn flush(response: &mut Response) -> PhpResult<()> {
    let unit = open_unit()?;
    if BEGUN.with(Cell::get) == unit && response.unit() != unit {
        return Err(exceptions::of(Cause::Role, "another response to this request has begun"));
    }
    let written = response.take_written();
    let head = head_of(response).map_err(thrown)?;
    reply(&head, &written, true).map_err(thrown)
}

/// `Response::end()`.
pub(crate) fn end(response: &mut Response) -> PhpResult<()> {
    let unit = open_unit()?;
    if is_stream(response.body_value()) {
        let text = "end() sends a body that is a string; return a response whose body is a stream";
        return Err(exceptions::of(Cause::Other, text));
    }
    let written = response.take_written();
    let sent = send_rest(response, &written, true).map_err(thrown);
    ENDED.with(|ended| ended.set(unit));
    sent
}

/// `rr_finish_request()` in handler mode: ends a response that has begun. `false`: none has.
pub(crate) fn finish_request() -> bool {
    let Ok(unit) = open_unit() else { return false };
    if BEGUN.with(Cell::get) != unit {
        return false;
    }
    ENDED.with(|ended| ended.set(unit));
    finish_with(b"", b"").is_ok()
}

/// `Response::earlyHints()`.
pub(crate) fn early_hints(headers: &ZendHashTable) -> PhpResult<()> {
    let unit = open_unit()?;
    if BEGUN.with(Cell::get) == unit {
        return Err(exceptions::of(Cause::Role, "the response has begun: it is too late for early hints"));
    }
    let mut head = Vec::new();
    let none = Zval::null();
    Parts::interim(103, headers, &none)
        .encode(&mut head, None)
        .map_err(|text| exceptions::of(Cause::Other, text))?;
    reply(&head, b"", true).map_err(thrown)
}

/// Bodies longer than this may not fit one frame; then the master needs to be told their length.
const STATED: usize = 1024;

/// Sends a body piece by piece, `head` with the first and `last` as the context of the last frame.
fn send_stream(body: &Zval, events: bool, mut head: Vec<u8>, last: &[u8]) -> Result<(), Failure> {
    stream(body, events, &mut head)?;
    let context = if last.is_empty() { std::mem::take(&mut head) } else { last.to_vec() };
    reply(&context, b"", false)
}

/// Sends the pieces of a body. What is left in `head` was not sent.
fn stream(body: &Zval, events: bool, head: &mut Vec<u8>) -> Result<(), Failure> {
    if events {
        // A client learns that it is connected before there is an event.
        let context = std::mem::take(head);
        reply(&context, b"", true)?;
    }
    let mut failed = None;
    let outcome = zend::each_chunk(body, events, |chunk| {
        let context = std::mem::take(head);
        match reply(&context, chunk, true) {
            Ok(()) => true,
            Err(error) => {
                failed = Some(error);
                false
            }
        }
    });
    match (failed, outcome) {
        (Some(error), _) => Err(error),
        (None, Outcome::Threw) => Err(Failure::Threw),
        (None, Outcome::Exited) => Err(Failure::Exited(std::mem::take(head))),
        (None, Outcome::Bailed) => Err(Failure::Bailed),
        (None, Outcome::Returned) => Ok(()),
    }
}

fn send_printed(parts: &Parts<'_>) -> Result<(), Failure> {
    let mut head = Vec::with_capacity(256);
    parts.encode(&mut head, None).map_err(Failure::Value)?;
    let (outcome, Printed { mut head, rest, began, failed }) = printed::run(parts.body, head);
    if let Some(error) = failed {
        return Err(Failure::Session(error));
    }
    match outcome {
        // A response that had not begun is an error's as a whole.
        Outcome::Threw => return Err(Failure::Threw),
        Outcome::Bailed => return Err(Failure::Bailed),
        // What was printed until then is all.
        Outcome::Exited | Outcome::Returned => {}
    }
    if !began && rest.len() > STATED {
        head.clear();
        parts.encode(&mut head, Some(rest.len())).map_err(Failure::Value)?;
    }
    session::try_with(|session| session.reply(&head, &rest, false))
        .unwrap_or(Ok(()))
        .map_err(Failure::Session)
}

fn type_name(value: &Zval) -> String {
    match value.object().and_then(|object| object.get_class_name().ok()) {
        Some(class) => class,
        None => value.get_type().to_string(),
    }
}
