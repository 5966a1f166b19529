//! Moves bytes between command workers and their channels: over the pipes of a child, or over a socket that it has
//! connected to. Knows frames by `rr_wire::relay` and channels by `rr_channel::relay`; starts no process.
#![forbid(unsafe_code)]

mod listener;
mod pump;

pub use listener::{Greeted, Relay, Waiting};
pub use pump::{Pump, Worker};
