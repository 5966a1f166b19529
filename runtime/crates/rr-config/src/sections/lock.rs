//! `lock`: the locks of workers and RPC clients. RoadRunner has no such section.

use crate::decode::section;
use crate::kinds::{Checked, Choice, Flag, Nested, Number, Text, Time};
use crate::sections::redis::Redis;
use std::time::Duration;

/// Where the locks are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockDriver {
    /// In this server.
    Memory,
    /// On Redis servers.
    Redis,
}

const DRIVERS: Choice<LockDriver> =
    Choice(&[("memory", LockDriver::Memory), ("redis", LockDriver::Redis)], &[]);

#[expect(clippy::ptr_arg, reason = "`Checked` passes what the key holds")]
fn is_prefix(prefix: &String) -> bool {
    !prefix.is_empty() && !prefix.contains(['{', '}'])
}

section! {
    /// Locks. They are there without the section, too.
    Lock {
        /// Ours: where the locks are: in this server, or on servers that several of ours share.
        driver: LockDriver = LockDriver::Memory => DRIVERS;
        /// Ours: stands before all names on a server that is shared. Locks of one prefix are the same locks.
        prefix: String = "rr:lock:".into() => Checked(Text, is_prefix, "a text without braces");
        /// Ours: on a server that is shared, a worker's lock ends so long after our server has died or has lost it.
        lease: Duration = Duration::from_secs(30) => Time { min: Duration::from_secs(1), zero_default: true };
        /// Ours: the Redis servers of driver `redis`.
        redis: Redis = Redis::default() => Nested;
        /// Ours: locks that a worker takes natively stay until their ttl, as RoadRunner's, instead of ending with
        /// the request or the worker.
        keep_until_ttl: bool = false => Flag;
        /// Ours: most locks that are held or waited for.
        max_locks: usize = 100_000 => Number::within(1, 10_000_000).or_default();
        /// Ours: most requests that wait for a lock.
        max_waiters: usize = 10_000 => Number::within(1, 1_000_000).or_default();
    }
}
