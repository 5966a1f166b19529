//! Key-value storages (rows KV-, R-40…R-46): the memory driver, whose values workers read in shared memory without
//! asking, drivers that keep them elsewhere, and the methods that workers and clients of RoadRunner's RPC call.
#![forbid(unsafe_code)]

pub mod bolt;
mod driver;
mod foreign;
pub mod memcached;
mod memory;
mod methods;
mod native;
mod php;
pub mod redis;
#[cfg(test)]
mod simulation;
mod storage;
mod turns;
mod when;

pub use driver::{Done, Driver, Item, List};
pub use memory::{Memory, Settings};
pub use rr_shm::store::Eviction;
pub use storage::{Storage, Storages};

use thiserror::Error;

/// Why an operation was not done.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum KvError {
    /// There is no room.
    #[error("{0}")]
    Full(#[from] rr_shm::store::Full),
    /// A key is empty or blank.
    #[error("key can't be empty string")]
    EmptyKey,
    /// A key is too long.
    #[error("a key of {0} bytes; the longest is {max}", max = rr_shm::store::MAX_KEY)]
    LongKey(usize),
    /// The value is no whole number.
    #[error("the value of {0:?} is no int and cannot be incremented")]
    NotANumber(String),
    /// The sum does not fit.
    #[error("the value of {0:?} would be too large for an int")]
    Overflow(String),
    /// What keeps the items has failed.
    #[error("{0}")]
    Storage(String),
}
