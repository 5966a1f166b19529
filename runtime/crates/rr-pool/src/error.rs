//! Why a unit of work was not answered, and whose fault that is.

use std::time::Duration;

/// Who is to blame, for the plugin's choice of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// App code or its worker.
    Worker,
    /// The server: no capacity, shutting down.
    Us,
}

/// Why a unit of work was not answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExecError {
    /// POOL-03.
    #[error("max queue size reached: {0} requests wait for a worker")]
    QueueFull(usize),
    /// POOL-03.
    #[error("no free worker within allocate_timeout ({0:?})")]
    NoFreeWorker(Duration),
    /// POOL-05.
    #[error("the worker was killed: the request took longer than exec_ttl ({0:?})")]
    ExecTtl(Duration),
    /// The worker ended while it ran the unit.
    #[error("the worker died while it ran the request: {0}")]
    WorkerDied(String),
    /// The worker wrote something that is no answer.
    #[error("the worker broke the protocol: {0}")]
    Protocol(String),
    /// WRK-05: the app says that it failed; the worker is fine.
    #[error("{0}")]
    Soft(String),
    /// WRK-06: workers have asked to be replaced instead of answering, so often.
    #[error("the worker asked to be replaced instead of answering (for the {0}. time)")]
    Returned(u32),
    /// The pool does not take work any more.
    #[error("the server is shutting down")]
    Stopped,
    /// The head of the request does not fit the channel.
    #[error("a request head of {size} bytes; the channel takes {limit} (http.pool.ring_size)")]
    TooLarge {
        /// Bytes of context and inline body.
        size: usize,
        /// Bytes a frame can have.
        limit: usize,
    },
}

impl ExecError {
    /// Whose fault it is.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        match self {
            Self::ExecTtl(_)
            | Self::WorkerDied(_)
            | Self::Protocol(_)
            | Self::Soft(_)
            | Self::Returned(_) => Fault::Worker,
            Self::QueueFull(_) | Self::NoFreeWorker(_) | Self::Stopped | Self::TooLarge { .. } => Fault::Us,
        }
    }

    /// Whether the same unit may succeed if the client comes back: it was never started.
    #[must_use]
    pub const fn may_retry(&self) -> bool {
        matches!(self, Self::QueueFull(_) | Self::NoFreeWorker(_) | Self::Stopped)
    }
}
