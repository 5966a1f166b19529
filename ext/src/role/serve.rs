//! Requests in a worker: from the channel to PHP, whatever PHP does.

use crate::api::exceptions::{self, Cause, of_session};
use crate::api::request::Request;
use crate::api::response::Parts;
use crate::api::worker::Worker;
use crate::role::answer::{self, Failure, end_of_ended, end_stream, send, send_error};
use crate::role::{dev, hooks, leaks, session, vitals};
use crate::zend::{self, Callable, Ending, Outcome};
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
                leaks::begin(&unit);
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
        let (outcome, mut value) = handler.call(&mut arguments);
        let sound = match outcome {
            Outcome::Returned => finish(send(&mut value)),
            other => settle(other),
        };
        end_of_ended();
        let [request, app] = arguments;
        // Destructors are PHP code.
        let freed = [value, request, app].map(zend::free).iter().all(|freed| *freed);
        hooks::flush_output();
        if sound && freed {
            vitals::tell();
        }
        if !zend::end_request(!(sound && freed)) {
            return BROKEN;
        }
        leaks::check();
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
    vitals::tell();
    if !zend::end_request(false) || PHP_BROKEN.with(Cell::get) {
        PHP_BROKEN.with(|broken| broken.set(true));
        return Err(exceptions::of(Cause::Channel, "PHP is broken after a fatal error; the worker ends"));
    }
    leaks::check();
    receive().map_err(|error| of_session(&error))
}

/// `Worker::respond()`.
pub(crate) fn respond(value: &Zval) -> PhpResult<()> {
    session::with(|_| ())?;
    let mut value = value.shallow_clone();
    match send(&mut value) {
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
            send_error(&last_error());
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
    end_of_ended();
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
            end_of_ended();
            if answer::has_begun() {
                end_stream(&[]);
            } else if session::try_with(|session| session.is_open()).unwrap_or(false) {
                hooks::write(
                    Level::Info,
                    b"exit() was called before there was a response: an empty one is sent",
                );
                let mut head = Vec::new();
                let empty = Zval::null();
                let parts = Parts::empty(&empty);
                if parts.encode(&mut head, Some(0)).is_ok() {
                    let _ = session::try_with(|session| session.reply(&head, b"", false));
                }
            }
            true
        }
        Outcome::Threw => {
            let text = dev::exception().or_else(zend::exception_text).unwrap_or_default();
            // The log line carries the request's number as long as the unit is open.
            let sound = match zend::handle_exception() {
                Ending::Pending => client_gone().unwrap_or_else(zend::log_exception),
                Ending::Handled | Ending::Left => true,
                Ending::Broken => false,
            };
            send_error(&text);
            sound
        }
        Outcome::Bailed => {
            send_error(&last_error());
            false
        }
    }
}

/// That a client goes away inside its request is no fault of an app that does not ask. `None`: it is something else.
fn client_gone() -> Option<bool> {
    let forgotten = exceptions::class(Cause::ClientGone).and_then(zend::forget_exception)?;
    hooks::write(Level::Info, b"the client has gone away inside of its request");
    Some(forgotten)
}

/// What PHP says of a fatal error.
fn last_error() -> String {
    dev::last_error().or_else(zend::last_error).unwrap_or_else(|| "a fatal error".to_owned())
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
