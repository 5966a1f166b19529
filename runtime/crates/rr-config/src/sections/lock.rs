//! `lock`: the locks of workers and RPC clients. RoadRunner has no such section.

use crate::decode::section;
use crate::kinds::{Checked, Choice, Flag, Maybe, Nested, Number, Text, Time};
use crate::sections::redis::{ClientTls, Redis, Servers};
use std::time::Duration;

/// Where the locks are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockDriver {
    /// In this server.
    Memory,
    /// On Redis servers.
    Redis,
    /// On etcd servers.
    Etcd,
    /// In a PostgreSQL database.
    Postgres,
}

const DRIVERS: Choice<LockDriver> = Choice(
    &[
        ("memory", LockDriver::Memory),
        ("redis", LockDriver::Redis),
        ("etcd", LockDriver::Etcd),
        ("postgres", LockDriver::Postgres),
    ],
    &[],
);

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
        lease: Duration = Duration::from_secs(30) => Time { min: Duration::from_secs(1), ..Time::OR_DEFAULT };
        /// Ours: the Redis servers of driver `redis`.
        redis: Redis = Redis::default() => Nested;
        /// Ours: the etcd servers of driver `etcd`.
        etcd: Etcd = Etcd::default() => Nested;
        /// Ours: the database of driver `postgres`.
        postgres: Postgres = Postgres::default() => Nested;
        /// Ours: locks that a worker takes natively stay until their ttl, as RoadRunner's, instead of ending with
        /// the request or the worker.
        keep_until_ttl: bool = false => Flag;
        /// Ours: most locks that are held or waited for.
        max_locks: usize = 100_000 => Number::within(1, 10_000_000).or_default();
        /// Ours: most requests that wait for a lock.
        max_waiters: usize = 10_000 => Number::within(1, 1_000_000).or_default();
    }
}

section! {
    /// A PostgreSQL database, 11 or newer.
    Postgres {
        /// Ours: `postgres://user:password@host:port/database?sslmode=require`, or `host=... user=... dbname=...`.
        dsn: String = "postgres://postgres@127.0.0.1:5432/postgres".into() => Text;
        /// Ours: how long connecting may take.
        dial_timeout: Duration = Duration::from_secs(5) => Time { min: Duration::from_millis(1), ..Time::OR_DEFAULT };
        /// Ours: how long an answer may take.
        read_timeout: Duration = Duration::from_secs(3) => Time { min: Duration::from_millis(1), ..Time::OR_DEFAULT };
        /// Ours: files for TLS, which `sslmode` asks for.
        tls: ClientTls = ClientTls::default() => Nested;
    }
}

section! {
    /// etcd servers, 3.4 or newer.
    Etcd {
        /// Ours: some members, `host:port`.
        endpoints: Vec<String> = vec!["127.0.0.1:2379".into()] => Servers;
        /// Ours: how long connecting may take.
        dial_timeout: Duration = Duration::from_secs(5) => Time { min: Duration::from_millis(1), ..Time::OR_DEFAULT };
        /// Ours: how long an answer may take, together with `dial_timeout`.
        read_timeout: Duration = Duration::from_secs(3) => Time { min: Duration::from_millis(1), ..Time::OR_DEFAULT };
        /// Ours: TLS.
        tls: Option<ClientTls> = None => Maybe;
    }
}
