//! `compare`: measures our server beside raw hyper and nginx + php-fpm on this machine and prints ratios.
//!
//! Owns the order of the parts and the end: whatever was started is stopped here, also after an error or Ctrl-C.
//! Knows nothing of the server's inside; it sees processes, sockets and `/proc`.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "a report on stdout is what this program is for")]

mod cpu;
mod http;
mod keeper;
mod machine;
mod nginx;
mod options;
mod parts;
mod peer;
mod proc;
mod stats;
mod wrk;

use std::process::ExitCode;
use std::sync::mpsc;

use tokio::signal::unix::{SignalKind, signal};

use crate::keeper::Keeper;
use crate::options::{Options, Part};

/// Whatever went wrong, in words for the person who reads the report.
type Error = Box<dyn std::error::Error + Send + Sync>;
type Result<T> = std::result::Result<T, Error>;

fn main() -> ExitCode {
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(Some(options)) => options,
        Ok(None) => {
            println!("{}", options::USAGE);
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("compare: {error}\n{}", options::USAGE);
            return ExitCode::from(2);
        }
    };
    match measure(options) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("compare: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Measures on a thread of its own while this one waits for its end or a signal.
fn measure(options: Options) -> Result<ExitCode> {
    let keeper = Keeper::new()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (finished, end) = tokio::sync::oneshot::channel();
    // The thread must outlive its report: what it started dies with it (`Keeper::command`).
    let (release, released) = mpsc::channel::<()>();
    let bench = {
        let keeper = keeper.clone();
        std::thread::Builder::new().name("bench".into()).spawn(move || {
            let failures = run(&keeper, &options);
            let _ = finished.send(failures);
            let _ = released.recv();
        })?
    };
    let failures = runtime.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut hangup = signal(SignalKind::hangup())?;
        Ok::<_, Error>(tokio::select! {
            failures = end => failures.ok(),
            _ = interrupt.recv() => None,
            _ = terminate.recv() => None,
            _ = hangup.recv() => None,
        })
    });
    keeper.close();
    let Some(failures) = failures? else {
        eprintln!("compare: interrupted, everything stopped");
        std::process::exit(130);
    };
    drop(release);
    let _ = bench.join();
    Ok(if failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs the parts asked for; one that fails says so and does not keep the others from running.
fn run(keeper: &Keeper, options: &Options) -> usize {
    println!("{}", machine::describe(options));
    let mut failures = 0;
    for &part in &options.parts {
        let result = match part {
            Part::Throughput(case) => parts::throughput::run(keeper, options, case),
            Part::Web => parts::throughput::web(keeper, options),
            Part::Slim => parts::throughput::slim(keeper, options),
            _ if !options.with_ours() && part != Part::Idle => {
                println!("\n{}: skipped, it measures `ours` only", part.name());
                Ok(())
            }
            Part::Replace => parts::replace::run(keeper, options),
            Part::Pss => parts::pss::run(keeper, options),
            Part::Idle => parts::idle::run(keeper, options),
            Part::Reload => parts::reload::run(keeper, options),
        };
        if keeper.closed() {
            break;
        }
        if let Err(error) = result {
            failures += 1;
            println!("\n{}: FAILED: {error}", part.name());
        }
    }
    failures
}
