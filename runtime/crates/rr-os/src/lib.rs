//! Safe faces of the Linux calls this project stands on: fork, pidfd, descriptor passing, sealed memory,
//! futexes, signals, users. Knows nothing of frames, pools or PHP.
//!
//! This is one of the three rooms where `unsafe` lives. Invariants that the SAFETY notes cite:
//! - **O1** every raw pointer handed to the kernel outlives the call and points at memory of the stated length;
//! - **O2** a [`memory::Mapping`] owns its whole address range from `new` to `drop`, and nobody else unmaps it;
//! - **O3** [`process::fork`] runs in a process with one thread, checked by its caller with [`proc::threads`];
//! - **O4** a child that [`sentry`] forks from a process with threads makes system calls only until it execs or ends.
#![allow(unsafe_code, reason = "one of the three rooms for unsafe code, see ARCHITECTURE.md")]

pub mod activation;
pub mod futex;
pub mod lifeline;
pub mod memory;
pub mod message;
pub mod notify;
pub mod original;
pub mod patience;
pub mod proc;
pub mod process;
pub mod sentry;
pub mod signal;
pub mod spawn;
pub mod time;
pub mod user;

pub use std::io::{Error, Result};
