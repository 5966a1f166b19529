//! Requests in a worker: from the channel to PHP and back, whatever PHP does.

use crate::api::exceptions::{self, Cause, of_session};
use crate::api::request::Request;
use crate::api::response::Parts;
use crate::api::worker::Worker;
use crate::role::printed::{self, Printed};
use crate::role::{hooks, session};
use crate::zend::embedded::is_a;
use crate::zend::{self, Callable, Outcome};
use ext_php_rs::convert::IntoZval;
use ext_php_rs::prelude::*;
use ext_php_rs::types::{ZendClassObject, Zval};
use rr_wire::log::Level;
use rr_worker::{Event, SessionError};
use std::cell::Cell;

/// What the exit code of a worker means: in order, or not.
const DONE: i32 = 0;
const BROKEN: i32 = 255;

thread_local! {
    /// A fatal error was survived inside a loop that PHP controls: no more requests.
    static PHP_BROKEN: Cell<bool> = const { Cell::new(false) };
    static STOPPED: Cell<bool> = const { Cell::new(false) };
    static SEEN: Cell<u64> = const { Cell::new(0) };
}

/// How a response could not be sent.
enum Failure {
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

fn receive() -> Result<Option<Request>, SessionError> {
    loop {
        let event = session::try_with(rr_worker::Session::receive).unwrap_or(Ok(Event::Stop))?;
        match event {
            Event::Stop => {
                STOPPED.with(|stopped| stopped.set(true));
                return Ok(None);
            }
            Event::Unit(unit) => {
                SEEN.with(|seen| seen.set(seen.get() + 1));
                if let Some(request) = Request::new(unit) {
                    return Ok(Some(request));
                }
                send_error("the server sent a request that cannot be read");
            }
        }
    }
}

/// Handler mode: one call per request. Returns the exit code.
pub(crate) fn handler(handler: &Callable, app: &Zval) -> i32 {
    loop {
        let request = match receive() {
            Ok(Some(request)) => request,
            Ok(None) => return DONE,
            Err(error) => return broken_channel(&error),
        };
        let Ok(request) = ZendClassObject::new(request).into_zval(false) else { return BROKEN };
        let mut arguments = [request, app.shallow_clone()];
        let (outcome, value) = handler.call(&mut arguments);
        let sound = match outcome {
            Outcome::Returned => finish(send(&value)),
            other => settle(other),
        };
        let [request, app] = arguments;
        // Destructors are PHP code.
        let freed = [value, request, app].map(zend::free).iter().all(|freed| *freed);
        hooks::flush_output();
        if !zend::end_request(!(sound && freed)) {
            return BROKEN;
        }
    }
}

/// Loop mode: PHP asks for requests itself. Returns the exit code.
pub(crate) fn run_loop(body: &Callable, app: &Zval) -> i32 {
    loop {
        let before = SEEN.with(Cell::get);
        let Ok(worker) = ZendClassObject::new(Worker).into_zval(false) else { return BROKEN };
        let (outcome, _) = body.call(&mut [worker, app.shallow_clone()]);
        let sound = match outcome {
            Outcome::Returned => {
                unanswered();
                true
            }
            other => settle(other),
        };
        hooks::flush_output();
        if !zend::end_request(!sound) || PHP_BROKEN.with(Cell::get) {
            return BROKEN;
        }
        if STOPPED.with(Cell::get) || outcome == Outcome::Returned {
            return DONE;
        }
        // exit() and exceptions end the request and not the worker, unless it does not even get to one.
        if SEEN.with(Cell::get) == before {
            hooks::write(Level::Error, b"the loop ended before it received a request");
            return BROKEN;
        }
    }
}

fn broken_channel(error: &SessionError) -> i32 {
    eprintln!("roadrunner: {error}");
    BROKEN
}

/// `Worker::receive()`.
pub(crate) fn next() -> PhpResult<Option<Request>> {
    session::with(|_| ())?;
    unanswered();
    hooks::flush_output();
    if !zend::end_request(false) || PHP_BROKEN.with(Cell::get) {
        PHP_BROKEN.with(|broken| broken.set(true));
        return Err(exceptions::of(Cause::Channel, "PHP is broken after a fatal error; the worker ends"));
    }
    receive().map_err(|error| of_session(&error))
}

/// `Worker::respond()`.
pub(crate) fn respond(value: &Zval) -> PhpResult<()> {
    session::with(|_| ())?;
    match send(value) {
        Ok(()) => Ok(()),
        // The exception is pending; PHP goes on with it.
        Err(Failure::Threw) => Ok(()),
        Err(Failure::Exited(head)) => {
            end_stream(&head);
            zend::exit_script(0);
            Ok(())
        }
        Err(Failure::Bailed) => {
            PHP_BROKEN.with(|broken| broken.set(true));
            send_error(&zend::last_error().unwrap_or_else(|| "a fatal error".to_owned()));
            Err(exceptions::of(Cause::Channel, "a fatal error in the body of a response; the worker ends"))
        }
        Err(Failure::Value(text)) => Err(exceptions::of(Cause::Other, text)),
        Err(Failure::Session(error)) => {
            if matches!(error, SessionError::Cancelled) {
                let _ = session::try_with(rr_worker::Session::end_cancelled);
            }
            Err(of_session(&error))
        }
    }
}

/// `Worker::fail()`.
pub(crate) fn fail(message: &str) -> PhpResult<()> {
    session::with(|session| session.fail(message))?.map_err(|error| of_session(&error))
}

/// A request that PHP has let go without an answer.
fn unanswered() {
    if session::try_with(|session| session.is_open()).unwrap_or(false) {
        hooks::write(Level::Error, b"a request was not answered");
        send_error("the app did not answer the request");
    }
}

/// Ends a request that did not return. `false`: the worker must end.
fn settle(outcome: Outcome) -> bool {
    match outcome {
        Outcome::Returned => true,
        Outcome::Exited => {
            if session::try_with(|session| session.is_open()).unwrap_or(false) {
                hooks::write(
                    Level::Info,
                    b"exit() was called before there was a response: an empty one is sent",
                );
                let mut head = Vec::new();
                let empty = Zval::null();
                let parts = Parts { status: 200, headers: None, body: &empty };
                if parts.encode(&mut head, Some(0)).is_ok() {
                    let _ = session::try_with(|session| session.reply(&head, b"", false));
                }
            }
            true
        }
        Outcome::Threw => {
            let text = zend::exception_text().unwrap_or_default();
            // The log line carries the request's number as long as the unit is open.
            let sound = zend::report_exception();
            send_error(&text);
            sound
        }
        Outcome::Bailed => {
            send_error(&zend::last_error().unwrap_or_else(|| "a fatal error".to_owned()));
            false
        }
    }
}

/// Makes of a failed send what the client and the log can use. `false`: the worker must end.
fn finish(sent: Result<(), Failure>) -> bool {
    match sent {
        Ok(()) => true,
        Err(Failure::Value(text)) => {
            hooks::write(Level::Error, text.as_bytes());
            send_error(&text);
            true
        }
        Err(Failure::Threw) => settle(Outcome::Threw),
        Err(Failure::Bailed) => settle(Outcome::Bailed),
        // What was sent so far is all; the stream ends here.
        Err(Failure::Exited(head)) => {
            end_stream(&head);
            true
        }
        Err(Failure::Session(SessionError::Cancelled)) => {
            let _ = session::try_with(rr_worker::Session::end_cancelled);
            true
        }
        Err(Failure::Session(error)) => {
            hooks::write(Level::Error, error.to_string().as_bytes());
            send_error(&error.to_string());
            matches!(error, SessionError::TooLarge { .. })
        }
    }
}

/// Ends a stream that `exit()` has ended; one that had not begun is an empty response.
fn end_stream(head: &[u8]) {
    let _ = session::try_with(|session| match session.reply(head, b"", false) {
        Err(SessionError::Cancelled) => session.end_cancelled(),
        other => other,
    });
}

fn send_error(text: &str) {
    let result = session::try_with(|session| match session.fail(text) {
        Err(SessionError::Cancelled) => session.end_cancelled(),
        other => other,
    });
    // Without a unit it was answered before.
    let _ = result;
}

/// Sends what PHP returned.
fn send(value: &Zval) -> Result<(), Failure> {
    let parts = Parts::of(value).ok_or_else(|| {
        let text = "the handler must return RoadRunner\\Response, a string or null";
        Failure::Value(format!("{text}; it returned {}", type_name(value)))
    })?;
    let body = parts.body;
    if body.is_array() || body.is_traversable() {
        return send_stream(&parts);
    }
    if is_a(body, "Closure") {
        return send_printed(&parts);
    }
    let owned: Vec<u8>;
    let bytes: &[u8] = if let Some(text) = body.zend_str() {
        text.as_bytes()
    } else if body.is_null() {
        b""
    } else {
        owned = zend::to_bytes(body).map_err(|outcome| match outcome {
            Outcome::Threw => Failure::Threw,
            Outcome::Exited => Failure::Exited(Vec::new()),
            Outcome::Returned | Outcome::Bailed => Failure::Bailed,
        })?;
        &owned
    };
    let mut head = Vec::with_capacity(256);
    parts.encode(&mut head, (bytes.len() > STATED).then_some(bytes.len())).map_err(Failure::Value)?;
    session::try_with(|session| session.reply(&head, bytes, false))
        .unwrap_or(Ok(()))
        .map_err(Failure::Session)
}

/// Bodies longer than this may not fit one frame; then the master needs to be told their length.
const STATED: usize = 1024;

fn send_stream(parts: &Parts<'_>) -> Result<(), Failure> {
    let mut head = Vec::with_capacity(256);
    parts.encode(&mut head, None).map_err(Failure::Value)?;
    let mut failed = None;
    let outcome = zend::each_chunk(parts.body, |chunk| {
        let context = std::mem::take(&mut head);
        if chunk.is_empty() && context.is_empty() {
            return true;
        }
        match session::try_with(|session| session.reply(&context, chunk, true)).unwrap_or(Ok(())) {
            Ok(()) => true,
            Err(error) => {
                failed = Some(error);
                false
            }
        }
    });
    match (failed, outcome) {
        (Some(error), _) => Err(Failure::Session(error)),
        (None, Outcome::Threw) => Err(Failure::Threw),
        (None, Outcome::Exited) => Err(Failure::Exited(head)),
        (None, Outcome::Bailed) => Err(Failure::Bailed),
        (None, Outcome::Returned) => {
            let context = std::mem::take(&mut head);
            session::try_with(|session| session.reply(&context, b"", false))
                .unwrap_or(Ok(()))
                .map_err(Failure::Session)
        }
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
