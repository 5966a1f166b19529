//! The `rr` command line (rows CLI-01…13): flags, folders and files as RoadRunner has them, and the commands that ask a
//! running server over its RPC. What serves is told to the caller, who knows PHP; nothing here does.
#![forbid(unsafe_code)]

mod args;
mod client;
mod commands;
mod dotenv;
mod live;
mod place;
mod table;

pub use args::{Command, Flags, Invocation};
pub use dotenv::fuzz as fuzz_dotenv;
pub use place::Place;

use std::io::Write;

pub use rr_wire::COMPATIBLE;

/// What a start with settings in a folder would fail for, and what should be known beside.
pub type Problems = fn(&rr_config::Config, &std::path::Path) -> (Vec<String>, Vec<String>);

/// What the caller knows.
#[derive(Debug, Clone)]
pub struct Host {
    /// Looks at settings as a start would.
    pub problems: Problems,
    /// PHP's version.
    pub php: String,
    /// The launcher that was called.
    pub launcher: String,
    /// When this program was built.
    pub built: &'static str,
    /// This process belongs to a server that runs: it goes where that has gone.
    pub assigned: bool,
}

/// What is left to do.
#[derive(Debug)]
pub enum Next {
    /// Nothing: the exit code.
    Exit(i32),
    /// Serve.
    Serve(Box<Place>),
}

/// Does what the arguments say, the zeroth of which is not among them. `set_env` sets a variable of this process.
#[must_use]
pub fn run(arguments: &[String], host: &Host, set_env: &mut dyn FnMut(&str, &str)) -> Next {
    let invocation = match args::parse(arguments) {
        Ok(invocation) => invocation,
        Err(error) => return failed(&error),
    };
    match commands::run(invocation, host, set_env) {
        Ok(next) => next,
        Err(error) => failed(&error),
    }
}

fn failed(error: &str) -> Next {
    // A reader that has gone away needs no answer.
    let _ = writeln!(std::io::stderr(), "rr: {error}");
    Next::Exit(1)
}
