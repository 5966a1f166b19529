//! A response body that a function prints: while it runs, `echo` goes to the client instead of the log, in pieces
//! that are sent when they are large or when PHP flushes.

use crate::role::session;
use crate::zend::{self, Outcome};
use ext_php_rs::types::Zval;
use rr_worker::SessionError;
use std::cell::RefCell;

/// A piece is sent when there is this much of it.
const PIECE: usize = 32 * 1024;

/// What there is of the body.
#[derive(Default)]
pub(crate) struct Printed {
    /// The head; empty once it was sent.
    pub(crate) head: Vec<u8>,
    /// What was printed and not sent.
    pub(crate) rest: Vec<u8>,
    /// Whether a piece was sent.
    pub(crate) began: bool,
    /// Why sending failed; nothing is sent after that.
    pub(crate) failed: Option<SessionError>,
}

thread_local! {
    static CURRENT: RefCell<Option<Printed>> = const { RefCell::new(None) };
}

impl Printed {
    fn send(&mut self) -> bool {
        if self.failed.is_none() && !(self.began && self.rest.is_empty()) {
            let sent = session::try_with(|session| session.reply(&self.head, &self.rest, true));
            self.failed = sent.unwrap_or(Ok(())).err();
            self.began = true;
            self.head.clear();
        }
        self.rest.clear();
        self.failed.is_none()
    }
}

/// Runs a function whose output is the body behind `head`.
pub(crate) fn run(function: &Zval, head: Vec<u8>) -> (Outcome, Printed) {
    CURRENT.with(|current| current.replace(Some(Printed { head, ..Printed::default() })));
    let outcome = zend::print(function);
    (outcome, CURRENT.with(RefCell::take).unwrap_or_default())
}

fn with<T>(act: impl FnOnce(&mut Printed) -> T) -> Option<T> {
    CURRENT.with(|current| current.try_borrow_mut().ok()?.as_mut().map(act))
}

/// `None`: no body is being printed; `Some(false)`: nobody reads it.
pub(crate) fn output(bytes: &[u8]) -> Option<bool> {
    with(|printed| {
        printed.rest.extend_from_slice(bytes);
        if printed.rest.len() >= PIECE { printed.send() } else { printed.failed.is_none() }
    })
}

/// `false`: nobody reads what is printed.
pub(crate) fn flush() -> bool {
    with(Printed::send).unwrap_or(true)
}
