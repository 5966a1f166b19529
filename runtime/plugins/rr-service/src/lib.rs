//! Programs that run beside the workers (rows SV-01…07, R-70…R-74): started from the config, over RPC or from PHP,
//! watched, started again, their output logged, and ended with the server and with all they have started themselves.
//!
//! Each process is a task (`process.rs`), `services.rs` has the list, `launch.rs` turns a command into a running
//! program. Who reaps the master's children is the runtime's business: it gives an [`Exits`].
#![forbid(unsafe_code)]

pub mod command;
mod launch;
mod methods;
mod output;
mod plugin;
mod process;
mod services;

pub use launch::{Exits, Launcher};
pub use plugin::ServicePlugin;
pub use services::{MAX_PROCESSES, Services, Settings};
