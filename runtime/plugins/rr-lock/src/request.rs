//! What is asked of the table, and what comes of it.

use thiserror::Error;

/// Microseconds: a span, or a time since the table's clock began.
pub type Micros = u64;

/// A unit of work of a worker. What it holds and waits for ends with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Owner {
    /// The number of the worker's pool.
    pub pool: u32,
    /// The worker's number in its pool.
    pub worker: u64,
    /// The unit; 0: the worker itself, outside any.
    pub unit: u64,
}

/// Asks for a lock.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// What to lock.
    pub resource: &'a str,
    /// The name to release it by (RPC). `None`: it is known by its token only.
    pub id: Option<&'a str>,
    /// Together with other shared ones, or alone.
    pub shared: bool,
    /// It expires so long after it was granted.
    pub ttl: Micros,
    /// How long to wait for it; 0: not at all.
    pub wait: Micros,
    /// With whom it ends. `None`: with its ttl.
    pub owner: Option<Owner>,
    /// Only the waiting ends with the owner; the lock stays until its ttl.
    pub keep: bool,
}

impl Request<'_> {
    /// With whom the lock ends once it is held.
    pub(crate) fn holder(&self) -> Option<Owner> {
        self.owner.filter(|_| !self.keep)
    }
}

/// A lock that was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grant {
    /// The fencing token: greater than that of every grant of the resource before.
    pub token: u64,
    /// When it expires.
    pub expires: Micros,
}

/// What came of a request at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is held.
    Granted(Grant),
    /// An [`Event`] with this ticket will tell.
    Waiting(u64),
    /// It is taken, and the request does not wait.
    Refused,
}

/// What came of a request that waited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    /// The request's ticket.
    pub ticket: u64,
    /// `None`: it has waited long enough, or its owner has ended.
    pub grant: Option<Grant>,
}

/// Bounds, so that no client can have the master grow without end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Locks held and waited for at any time.
    pub locks: usize,
    /// Of those, requests that wait.
    pub waiters: usize,
    /// Bytes of a resource or an id.
    pub name: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { locks: 100_000, waiters: 10_000, name: 1024 }
    }
}

/// Why a request was not even considered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum LockError {
    /// [`Limits::locks`].
    #[error("lock: {0} locks are held or waited for, which is the most (lock.max_locks)")]
    TooMany(usize),
    /// [`Limits::waiters`].
    #[error("lock: {0} requests wait for a lock, which is the most (lock.max_waiters)")]
    TooManyWait(usize),
    /// [`Limits::name`].
    #[error("lock: a name of {length} bytes; it may have {limit}")]
    Name {
        /// Of the resource or the id.
        length: usize,
        /// The most.
        limit: usize,
    },
}
