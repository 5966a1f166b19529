//! Shared memory between the master and its workers: one sealed `segment::Segment` per worker with four rings
//! of goridge frames, and one [`shard::ShardPage`] per Tokio shard with a doorbell and a ready bitmap.
//! Knows nothing of processes, pools or PHP. The layout is drawn in `docs/channel.md`.
//!
//! This is one of the three rooms where `unsafe` lives. Invariants that the SAFETY notes cite:
//! - **S1** a pointer into a segment is used only while an `Arc` of its mapping is held beside it;
//! - **S2** every position handed to a [`ring::Place`] is below its capacity and every length at most the
//!   capacity, so that an access stays inside the double mapping;
//! - **S3** bytes of a ring between `read` and `written` belong to the consumer, the others to the producer.
//!   A broken peer can violate S3; then bytes are garbage, never addresses: whoever reads them copies first,
//!   checks the copy and never looks again;
//! - **S4** what is placed in shared memory implements [`Shared`].
#![allow(unsafe_code, reason = "one of the three rooms for unsafe code, see ARCHITECTURE.md")]

#[cfg(not(loom))]
mod arena;
#[cfg(not(loom))]
pub mod cells;
mod claims;
mod lease;
#[cfg(not(loom))]
pub mod leases;
mod ready;
pub mod ring;
#[cfg(not(loom))]
mod scribble;
mod seqlock;
pub mod sleep;
mod sync;

#[cfg(not(loom))]
pub mod frames;
#[cfg(not(loom))]
pub mod segment;
#[cfg(not(loom))]
pub mod shard;
#[cfg(not(loom))]
pub mod store;
#[cfg(not(loom))]
pub mod table;

/// What may live in memory that another process writes: fixed layout, no pointers, every bit pattern valid.
///
/// # Safety
/// The type is `repr(C)`, holds only atomics or arrays of them, and is valid for any bytes.
pub unsafe trait Shared {}

/// The peer has put something into shared memory that this side's own bookkeeping rules out. The channel is of
/// no use any more; the worker behind it has to go.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Corrupt {
    /// A position moved backwards or past the other side's.
    #[error("the {which} position of a ring is {found}, expected {low} to {high}")]
    Position {
        /// `written` or `read`.
        which: &'static str,
        /// What the memory holds.
        found: u64,
        /// The smallest possible value.
        low: u64,
        /// The largest possible value.
        high: u64,
    },
    /// A frame header that is none.
    #[error("a frame in shared memory: {0}")]
    Frame(#[from] rr_wire::FrameError),
    /// A frame longer than what was published.
    #[error("a frame of {declared} bytes where {available} were published")]
    Length {
        /// Header and payload as declared.
        declared: usize,
        /// Bytes there are.
        available: usize,
    },
}
