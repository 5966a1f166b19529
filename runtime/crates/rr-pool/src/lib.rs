//! A pool of workers: who runs which unit of work, who waits, who is replaced. Knows channels, not processes: how
//! a worker comes to be is behind [`Spawn`], how it ends behind [`Process`].
//!
//! The decisions are in `core` under one lock, with the time passed in, so that tests drive them by
//! hand; the shell around them spawns tasks and sleeps.
#![forbid(unsafe_code)]

mod calls;
mod core;
mod dispatch;
mod error;
mod lifecycle;
mod limits;
mod pool;
mod replies;
mod shard;
mod spawn;
mod state;
mod supervise;
mod unit;

pub use calls::{Answer, Caller, Calls};
pub use error::{ExecError, Fault};
pub use limits::{Dynamic, Limits};
pub use pool::Pool;
pub use shard::{Readable, Shard};
pub use spawn::{BoxFuture, Ended, Interrupt, Process, Spawn, Spawned, StartError, WorkerInfo};
pub use state::{State, StateCell};
pub use unit::{BodySender, Exchange, ReplyFrame, Request, SendError, Trace};

#[cfg(test)]
mod tests;
