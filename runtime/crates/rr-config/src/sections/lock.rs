//! `lock`: the locks of workers and RPC clients. RoadRunner has no such section.

use crate::decode::section;
use crate::kinds::{Flag, Number};

section! {
    /// Locks. They are there without the section, too.
    Lock {
        /// Ours: locks that a worker takes natively stay until their ttl, as RoadRunner's, instead of ending with
        /// the request or the worker.
        keep_until_ttl: bool = false => Flag;
        /// Ours: most locks that are held or waited for.
        max_locks: usize = 100_000 => Number::within(1, 10_000_000).or_default();
        /// Ours: most requests that wait for a lock.
        max_waiters: usize = 10_000 => Number::within(1, 1_000_000).or_default();
    }
}
