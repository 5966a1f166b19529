//! `cargo xtask …`: the checks no ready-made tool does, and the files that are made from the code.
//!
//! Owns the command line and nothing else; each command is a module. Must not know what any of the checked crates does.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "what was found and written is said on stdout")]

mod docs;
mod generated;
mod repo;
mod schema;
mod stubs;
mod tidy;

use std::process::ExitCode;

/// A failure as the user reads it.
type Result<T> = std::result::Result<T, String>;

const USAGE: &str = "usage: cargo xtask <command>

  tidy             checks layers, unsafe, file heads, sizes and words
  stubs [--check]  writes stubs/roadrunner.stub.php, or tells whether it is up to date
  docs [--check]   writes docs/config.md, or tells whether it is up to date
  schema [--check] writes schema/roadrunner.schema.json, or tells whether it is up to date";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let result = match args[..] {
        ["tidy"] => tidy::run(),
        ["stubs"] => stubs::run(generated::Mode::Write),
        ["stubs", "--check"] => stubs::run(generated::Mode::Check),
        ["docs"] => docs::run(generated::Mode::Write),
        ["docs", "--check"] => docs::run(generated::Mode::Check),
        ["schema"] => schema::run(generated::Mode::Write),
        ["schema", "--check"] => schema::run(generated::Mode::Check),
        _ => Err(USAGE.to_owned()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            eprintln!("{text}");
            ExitCode::FAILURE
        }
    }
}
