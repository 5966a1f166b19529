//! How workers come to be and end, as far as a pool knows.

use crate::State;
use rr_channel::AnyChannel;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// A future that owns itself.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A worker process, as far as a pool touches it.
pub trait Process: Send + Sync + std::fmt::Debug {
    /// Ends it at once.
    fn kill(&self);

    /// Has it look up from the unit it knows by `sequence`; one that runs another does not care.
    fn interrupt(&self, sequence: u32, why: Interrupt);
}

/// Why a worker shall look up from what it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interrupt {
    /// The client has gone away.
    Cancelled,
    /// `exec_ttl` is over.
    Timeout,
}

/// How a worker ends that has gone of its own accord.
pub(crate) const LEFT: &str = "exit code 0";

/// How a worker ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// "exit code 255", "signal 11 (SIGSEGV)".
    pub exit: String,
    /// The last lines it wrote to stderr.
    pub last_words: String,
}

/// A new worker.
pub struct Spawned {
    /// Its process id.
    pub pid: u32,
    /// Its channel.
    pub channel: AnyChannel,
    /// Its process.
    pub process: Arc<dyn Process>,
    /// Resolves when it has ended.
    pub ended: BoxFuture<Ended>,
}

/// Makes workers of one generation.
pub trait Spawn: Send + Sync {
    /// Makes worker number `worker` with bit `slot`.
    fn spawn(&self, worker: u64, slot: usize) -> BoxFuture<Result<Spawned, String>>;
    /// The generation.
    fn generation(&self) -> u32;
}

/// A worker in a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerInfo {
    /// Number.
    pub id: u64,
    /// Process id.
    pub pid: u32,
    /// Generation.
    pub generation: u32,
    /// State.
    pub state: State,
    /// Units answered.
    pub served: u64,
    /// Age.
    pub age: Duration,
    /// How long the running unit has been running.
    pub busy_for: Option<Duration>,
    /// Units it has.
    pub held: usize,
}

/// Why a pool did not start, or a reload did not happen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// Workers die before they are ready.
    #[error("no worker could be started: {0}")]
    Boot(String),
    /// The server stops.
    #[error("the server is shutting down")]
    Stopped,
}
