//! The worker's session, where the engine's hooks and the API find it.

use crate::api::server::wrong_role;
use ext_php_rs::prelude::*;
use rr_worker::Session;
use std::cell::RefCell;

thread_local! {
    static SESSION: RefCell<Option<Session>> = const { RefCell::new(None) };
}

/// Makes `session` this worker's.
pub(crate) fn install(session: Session) {
    SESSION.with(|slot| slot.replace(Some(session)));
}

/// Uses the session. No PHP code and no PHP allocation may happen inside: a bailout would leave it borrowed.
///
/// # Errors
/// There is none: this process is not a worker.
pub(crate) fn with<T>(work: impl FnOnce(&mut Session) -> T) -> PhpResult<T> {
    try_with(work).ok_or_else(|| wrong_role("this works inside a worker only, while the server runs"))
}

/// Whether this process is a worker.
pub(crate) fn is_there() -> bool {
    SESSION.with(|slot| slot.try_borrow().is_ok_and(|session| session.is_some()))
}

/// Uses the session if there is one and nobody uses it now.
pub(crate) fn try_with<T>(work: impl FnOnce(&mut Session) -> T) -> Option<T> {
    SESSION.with(|slot| slot.try_borrow_mut().ok()?.as_mut().map(work))
}
