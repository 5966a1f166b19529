//! What a pool may and must do (rows POOL-01…16).

use std::time::Duration;

/// Growth beyond `num_workers`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dynamic {
    /// Workers on top of `num_workers`.
    pub max_workers: usize,
    /// Workers started at once.
    pub spawn_rate: usize,
    /// They go when nobody had to wait for this long.
    pub idle_timeout: Duration,
    /// They come when a unit has waited for this long (RoadRunner waits for all of `allocate_timeout`, POOL-09).
    pub grow_after: Duration,
}

/// The limits of a pool. Zero durations and counts mean "no limit" where that makes sense.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Workers.
    pub num_workers: usize,
    /// Units a worker runs before it is replaced, plus up to 14 % at random (POOL-04).
    pub max_jobs: u64,
    /// Units that may wait.
    pub max_queue_size: usize,
    /// How long a unit may wait, and a worker may take to boot.
    pub allocate_timeout: Duration,
    /// How long a worker may take to leave when told to.
    pub destroy_timeout: Duration,
    /// How long a unit may go on in a worker that a reload replaces.
    pub reset_timeout: Duration,
    /// How long a worker may go on writing to a client that has gone away.
    pub stream_timeout: Duration,
    /// A fresh worker for each unit (POOL-13).
    pub debug: bool,
    /// Age at which a worker is replaced.
    pub ttl: Duration,
    /// Idle time after which a worker that has worked is replaced.
    pub idle_ttl: Duration,
    /// How long a unit may run before it is interrupted and its worker is killed.
    pub exec_ttl: Duration,
    /// How long a unit that was interrupted may take to end. Zero: it is not interrupted.
    pub exec_grace: Duration,
    /// Growth.
    pub dynamic: Option<Dynamic>,
    /// Units a fast worker holds beyond the one it runs.
    pub prefetch: usize,
}

impl Default for Limits {
    fn default() -> Self {
        let minute = Duration::from_secs(60);
        Self {
            num_workers: 1,
            max_jobs: 0,
            max_queue_size: 0,
            allocate_timeout: minute,
            destroy_timeout: minute,
            reset_timeout: minute,
            stream_timeout: minute,
            debug: false,
            ttl: Duration::ZERO,
            idle_ttl: Duration::ZERO,
            exec_ttl: Duration::ZERO,
            exec_grace: Duration::ZERO,
            dynamic: None,
            prefetch: 1,
        }
    }
}
