//! Locks that workers and RPC clients share: exclusive and shared, fair, with fencing tokens. Rows R-50…55 and
//! LK-01…07 of the compatibility contract.
//!
//! [`Table`] decides, without threads or clocks: time goes in, what happened comes out. [`Locks`] lets tasks wait. With
//! another driver the locks are on another server ([`foreign`]).
#![forbid(unsafe_code)]

mod driver;
#[cfg(feature = "etcd")]
pub mod etcd;
pub mod foreign;
mod lending;
mod locks;
#[cfg(feature = "postgres")]
pub mod postgres;
#[cfg(feature = "redis")]
pub mod redis;
mod request;
mod service;
mod table;
#[cfg(test)]
mod tests;

pub use driver::{Done, Driver};
pub use locks::{Acquired, Locks, Pending};
pub use request::{Event, Grant, Limits, LockError, Micros, Outcome, Owner, Request};
pub use service::{LockPlugin, limits, memory, register};
pub use table::Table;

/// LK-01: what a `ttl` of 0 stands for, in microseconds.
pub const LONGEST: Micros = rr_wire::lock::LONGEST;

/// LK-01: what a `wait` of 0 stands for over RPC, in microseconds.
pub const SHORTEST_WAIT: Micros = 1_000;
