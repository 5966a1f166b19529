//! What a server of locks has to do, and how it tells those who wait.

use crate::Micros;
use parking_lot::Mutex;
use rr_pool::BoxFuture;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use thiserror::Error;
use tokio::sync::Notify;

/// What a server has not done.
#[derive(Debug, Clone, Error)]
#[error("{text}")]
pub struct Failure {
    /// What happened.
    pub text: String,
    /// It may have been done all the same.
    pub unknown: bool,
}

/// Asks for a lock, once.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// What to lock.
    pub resource: Arc<str>,
    /// Names this request on all servers and for ever. Asking twice is as good as once.
    pub ticket: Arc<str>,
    /// See [`crate::Request::id`].
    pub id: Option<Arc<str>>,
    /// Together with other shared ones, or alone.
    pub shared: bool,
    /// How long the lock lasts.
    pub ttl: Micros,
    /// How long the request keeps its place in the queue unless it is renewed by asking again; 0: it does not queue.
    pub stay: Micros,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attempted {
    /// It is held, with this fencing token: greater than that of every grant of this resource before, and no other
    /// grant's.
    Granted(u64),
    /// It is taken; to be asked again when told, or after so long if that is known.
    Taken(Option<Micros>),
}

/// Which locks of a resource.
#[derive(Debug, Clone)]
pub enum Which {
    /// That of a request, and its place in the queue.
    Ticket(Arc<str>),
    /// Those of an id; only the latest is released.
    Id(Arc<str>),
    /// Everybody's.
    All,
}

/// A server that keeps locks. It serves a resource's requests in the order in which they came, readers next to each other
/// together, and calls [`Hub::wake`] for who is next when something has become free.
pub trait Backend: Send + Sync + fmt::Debug + 'static {
    /// Takes a lock, or a place in the queue.
    fn attempt(&self, attempt: &Attempt) -> BoxFuture<Result<Attempted, Failure>>;
    /// Gives locks back; whether there was one.
    fn release(&self, resource: &Arc<str>, which: Which) -> BoxFuture<Result<bool, Failure>>;
    /// Has locks last `ttl` from now; whether there was one.
    fn extend(&self, resource: &Arc<str>, which: Which, ttl: Micros) -> BoxFuture<Result<bool, Failure>>;
    /// How much longer the one that lasts longest is held; `None`: there is none.
    fn remaining(&self, resource: &Arc<str>, which: Which) -> BoxFuture<Result<Option<Micros>, Failure>>;
    /// Listens for what becomes free, until that fails.
    fn listen(&self, hub: Arc<Hub>) -> BoxFuture<Failure>;
}

/// Those who wait, by their tickets.
#[derive(Debug, Default)]
pub struct Hub(Mutex<HashMap<Arc<str>, Arc<Notify>>>);

impl Hub {
    /// Has this one ask again.
    pub fn wake(&self, ticket: &str) {
        if let Some(waiting) = self.0.lock().get(ticket) {
            waiting.notify_one();
        }
    }

    /// Has all ask again: nobody knows what was missed.
    pub fn wake_all(&self) {
        self.0.lock().values().for_each(|waiting| waiting.notify_one());
    }

    /// Whether nobody waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.lock().is_empty()
    }

    pub(super) fn enter(&self, ticket: &Arc<str>) -> Arc<Notify> {
        let waiting = Arc::new(Notify::new());
        self.0.lock().insert(Arc::clone(ticket), Arc::clone(&waiting));
        waiting
    }

    pub(super) fn leave(&self, ticket: &str) {
        self.0.lock().remove(ticket);
    }
}
