//! What a new worker does before it runs PHP code.

use crate::message::Start;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// What a notice tells a worker, in the lowest 8 bits of its number; the unit's sequence is above them.
pub const CANCELLED: u64 = 1;
/// See [`CANCELLED`].
pub const TIMEOUT: u64 = 2;

/// A worker's descriptors, in the order in which they travel.
#[derive(Debug)]
pub struct Descriptors {
    /// Its segment.
    pub segment: OwnedFd,
    /// The shard page.
    pub shard: OwnedFd,
    /// The shard's doorbell.
    pub doorbell: OwnedFd,
    /// Ends the worker with the master.
    pub lifeline: OwnedFd,
    /// Where its stdout and stderr go.
    pub output: OwnedFd,
}

impl Descriptors {
    /// How many.
    pub const COUNT: usize = 5;

    /// Puts received descriptors in their places.
    ///
    /// # Errors
    /// Their number is wrong.
    pub fn from_received(descriptors: Vec<OwnedFd>) -> io::Result<Self> {
        let count = descriptors.len();
        let [segment, shard, doorbell, lifeline, output] = <[OwnedFd; Self::COUNT]>::try_from(descriptors)
            .map_err(|_| {
                io::Error::new(io::ErrorKind::InvalidData, format!("a worker with {count} descriptors"))
            })?;
        Ok(Self { segment, shard, doorbell, lifeline, output })
    }

    /// The descriptors for sending.
    #[must_use]
    pub fn borrow(&self) -> [BorrowedFd<'_>; Self::COUNT] {
        [&self.segment, &self.shard, &self.doorbell, &self.lifeline, &self.output].map(OwnedFd::as_fd)
    }
}

/// A worker that is about to be.
#[derive(Debug)]
pub struct NewWorker {
    /// What it is.
    pub start: Start,
    /// What it holds.
    pub descriptors: Descriptors,
}

/// Puts this process in order: signals, standard streams, name, and the lifeline, last, so that a worker whose
/// master has just died ends here.
///
/// # Errors
/// The master is gone, or a descriptor is not what it should be.
pub fn settle(worker: &NewWorker) -> io::Result<()> {
    rr_os::signal::prepare_child()?;
    rr_os::process::set_name(c"rr-worker");
    rustix::stdio::dup2_stdout(&worker.descriptors.output)?;
    rustix::stdio::dup2_stderr(&worker.descriptors.output)?;
    rr_os::lifeline::hold(&worker.descriptors.lifeline)
}
