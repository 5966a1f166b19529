//! Sleeping on a word of shared memory, and waking who sleeps there.

use rustix::thread::futex::{self, Flags, Timespec};
use std::io;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

/// Sleeps while `word` holds `value`. Returns on a wake, on another value, on a signal and at the time limit;
/// the caller looks at its condition again in every case.
pub fn wait(word: &AtomicU32, value: u32, limit: Option<Duration>) {
    let limit = limit.map(|limit| Timespec {
        tv_sec: i64::try_from(limit.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(limit.subsec_nanos()),
    });
    // EAGAIN, EINTR and ETIMEDOUT all mean "look again".
    let _ = futex::wait(word, Flags::empty(), value, limit.as_ref());
}

/// Wakes one sleeper on `word`, in whatever process it is.
///
/// # Errors
/// What the kernel says; never because nobody sleeps.
pub fn wake(word: &AtomicU32) -> io::Result<()> {
    futex::wake(word, Flags::empty(), 1)?;
    Ok(())
}
