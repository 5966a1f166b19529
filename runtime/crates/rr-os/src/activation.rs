//! Sockets that a service manager has opened for us (`LISTEN_FDS`, `sd_listen_fds(3)`).

use std::os::fd::{FromRawFd, OwnedFd, RawFd};

const FIRST: RawFd = 3;

/// The listening sockets meant for this process, in order; close-on-exec from now on. Takes them once: later
/// calls return nothing.
#[must_use]
pub fn sockets() -> Vec<OwnedFd> {
    static TAKEN: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(false);
    let for_us = std::env::var("LISTEN_PID").is_ok_and(|pid| pid == std::process::id().to_string());
    if !for_us || TAKEN.swap(true, std::sync::atomic::Ordering::Relaxed) {
        return Vec::new();
    }
    let count = std::env::var("LISTEN_FDS").ok().and_then(|count| count.parse::<RawFd>().ok()).unwrap_or(0);
    (FIRST..FIRST.saturating_add(count.min(64)))
        .filter(|fd| std::path::Path::new(&format!("/proc/self/fd/{fd}")).exists())
        .map(|fd| {
            // SAFETY: the manager passed this open descriptor to this process (LISTEN_PID), and TAKEN makes sure
            // that it is owned once.
            let fd = unsafe { OwnedFd::from_raw_fd(fd) };
            let _ = rustix::io::fcntl_setfd(&fd, rustix::io::FdFlags::CLOEXEC);
            fd
        })
        .collect()
}
