//! `pool`: how many workers, how long each lives, how long each may take. Used by every plugin that has
//! workers.

use std::time::Duration;

use crate::decode::section;
use crate::kinds::{Checked, Clamped, Command, Flag, Maybe, Nested, Number, Size, Time};

/// More workers than this is a slip of the keyboard: each is a process.
pub const MAX_WORKERS: u64 = 16_384;

section! {
    /// A pool of workers.
    Pool {
        /// Worker processes; 0 is one per CPU.
        num_workers: usize = 0 => Number::within(0, MAX_WORKERS);
        /// Requests a worker serves before it is replaced; 0 is no limit.
        max_jobs: u64 = 0 => Number::ANY;
        /// Requests that may wait for a worker; more are refused. 0 is no limit.
        max_queue_size: usize = 0 => Number::ANY;
        /// How long a request may wait for a worker, and a worker may take to start.
        allocate_timeout: Duration = Duration::from_secs(60) => Time::OR_DEFAULT;
        /// How long workers may take to stop before they are killed.
        destroy_timeout: Duration = Duration::from_secs(60) => Time::OR_DEFAULT;
        /// How long busy workers may go on when the pool is reset.
        reset_timeout: Duration = Duration::from_secs(60) => Time::OR_DEFAULT;
        /// How long a worker may go on sending a reply nobody waits for any more.
        stream_timeout: Duration = Duration::from_secs(60) => Time::OR_DEFAULT;
        /// A fresh worker for every request, started when that comes, and errors in the answer; for development. `num_workers`,
        /// `max_jobs` and `max_queue_size` have no effect then.
        debug: bool = false => Flag;
        /// Command of this pool's workers; `server.command` unless given.
        command: Vec<String> = Vec::new() => Command;
        /// Limits of time and memory that workers are watched for.
        supervisor: Supervisor = Supervisor::default() => Nested;
        /// Adds workers while requests wait, and removes them afterwards.
        dynamic_allocator: Option<DynamicAllocator> = None => Maybe;
        /// Ours: bytes of each ring between master and worker; a power of two from 4KB to 64MB.
        ring_size: usize = 256 << 10 => RING;
        /// Ours: requests a busy worker may hold beyond the one it runs.
        prefetch: usize = 8 => Number::within(0, 15);
        /// Ours: how long an idle side looks for work before it sleeps; 0 is off.
        spin: Duration = Duration::ZERO => Time::ANY;
    }
}

const RING: Checked<Size, usize> = Checked(
    Size { unit: 1, min: 4 << 10, max: 64 << 20, zero_default: true },
    |size| size.is_power_of_two(),
    "a power of two such as \"256KB\"",
);

impl Pool {
    /// How many workers to start: `num_workers`, or one per CPU this process may use.
    pub fn workers(&self) -> usize {
        match self.num_workers {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            workers => workers,
        }
    }
}

section! {
    /// Limits of time and memory that workers are watched for.
    Supervisor {
        /// How often workers are looked at.
        watch_tick: Duration = Duration::from_secs(5) => Time::OR_DEFAULT;
        /// How long a worker lives; 0 is no limit.
        ttl: Duration = Duration::ZERO => Time::ANY;
        /// How long a worker that was used once may be idle; 0 is no limit.
        idle_ttl: Duration = Duration::ZERO => Time::ANY;
        /// How long one request may take before it is ended; 0 is no limit.
        exec_ttl: Duration = Duration::ZERO => Time::ANY;
        /// Ours: at `exec_ttl` the script gets a `RoadRunner\TimeoutError`, so that it ends in order and its worker lives;
        /// one that still runs after this is killed with its worker. 0: it is killed at once, as in RoadRunner.
        exec_grace: Duration = Duration::from_secs(1) => Time::ANY;
        /// Resident memory in MB at which a worker is replaced; 0 is no limit.
        max_worker_memory: u64 = 0 => Number::ANY;
    }
}

section! {
    /// Adds workers while requests wait, and removes them afterwards.
    DynamicAllocator {
        /// Workers that may be added.
        max_workers: usize = 10 => ADDED;
        /// Workers added at once.
        spawn_rate: usize = 5 => ADDED;
        /// How long added workers stay without being needed.
        idle_timeout: Duration = Duration::from_secs(60) => IDLE;
        /// Ours: how long a request waits before a worker is added.
        grow_after: Duration = Duration::from_millis(20) => Time::ANY;
    }
}

const IDLE: Clamped<Time, Duration> = Clamped(Time::OR_DEFAULT, Duration::from_secs(1), Duration::MAX);
const ADDED: Clamped<Number, usize> = Clamped(Number::ANY.or_default(), 1, 100);
