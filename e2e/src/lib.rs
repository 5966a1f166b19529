//! What the end-to-end tests share: a real `php` with the real extension, a raw HTTP client, and a check after
//! every test that nothing was left behind. Knows the server only from outside: its command line, its sockets,
//! its log and `/proc`.

mod certificates;
mod client;
pub mod cluster;
mod collector;
pub mod command;
pub mod compare;
mod curl;
mod daemon;
mod fpm;
pub mod goridge;
pub mod linear;
mod load;
mod logs;
mod options;
mod proc;
pub mod rr;
mod server;

pub use certificates::certificates;
pub use client::{Client, Response};
pub use collector::{Collector, text};
pub use curl::{curl, try_curl};
pub use daemon::{Daemon, free_port};
pub use fpm::{Fpm, program};
pub use goridge::Goridge;
pub use load::{Load, Tally};
pub use logs::Logs;
pub use options::Options;
pub use proc::{
    Process, descendants, descriptors, environment_has, is_alive, kill, limit_of_descriptors, peak_memory,
    private_memory, reset_peak, resident_memory, status_field,
};
pub use rr::Rr;
pub use server::{Finished, Server};

use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How long anything that should happen at once may take on a busy machine.
pub const SOON: Duration = Duration::from_secs(20);

/// Polls `look` until it gives something, for at most `patience`.
pub fn until<T>(patience: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(value) = look() {
            return Some(value);
        }
        if Instant::now() >= deadline {
            return None;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Polls `look` until it is true; fails the test with `what` when it does not become true.
#[track_caller]
pub fn eventually(what: &str, mut look: impl FnMut() -> bool) {
    assert!(until(SOON, || look().then_some(())).is_some(), "did not happen in {SOON:?}: {what}");
}

/// [`eventually`] for tests with a runtime, whose other tasks go on meanwhile.
pub async fn soon(what: &str, mut look: impl FnMut() -> bool) {
    let deadline = Instant::now() + SOON;
    while !look() {
        assert!(Instant::now() < deadline, "did not happen in {SOON:?}: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Lowers the number of processes that burn the processor at a time: tests that put load on a server hold this.
pub fn heavy() -> std::sync::MutexGuard<'static, ()> {
    static ONE: std::sync::Mutex<()> = std::sync::Mutex::new(());
    ONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// A time of PHP's `hrtime()`, to 10 ms.
#[must_use]
pub fn clock() -> Duration {
    let uptime = std::fs::read_to_string("/proc/uptime").expect("a clock");
    let seconds = uptime.split(' ').next().and_then(|text| text.parse().ok());
    Duration::from_secs_f64(seconds.expect("seconds"))
}

/// The root of the repository.
#[must_use]
pub fn workspace() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("the workspace")
}

/// The extension under test: `RR_EXTENSION`, or what `cargo build` makes.
#[must_use]
pub fn extension() -> PathBuf {
    let path = std::env::var_os("RR_EXTENSION")
        .map_or_else(|| workspace().join("target/debug/libroadrunner.so"), PathBuf::from);
    assert!(path.exists(), "{} is missing; run `cargo build` first, or set RR_EXTENSION", path.display());
    path
}

/// The PHP under test: `RR_PHP`, or the one in the path.
#[must_use]
pub fn php() -> PathBuf {
    std::env::var_os("RR_PHP").map_or_else(|| "php".into(), PathBuf::from)
}

/// Whether the tests run as root, which some need.
#[must_use]
pub fn is_root() -> bool {
    status_field(std::process::id(), "Uid:").is_some_and(|uids| uids.starts_with("0\t"))
}

/// Says why a test is not run.
pub fn skip(why: &str) {
    eprintln!("skipped: {why}");
}
