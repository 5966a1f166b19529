//! A pipe that ends a process when the other end is closed, whatever that process is doing: the kernel sends
//! it SIGKILL on hang-up (`F_SETSIG`, `O_ASYNC`). Unlike `PR_SET_PDEATHSIG` it is bound to the master and not to
//! the parent, so workers outlive their zygote but never the master.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

/// The master's end and the process's end; both close-on-exec.
///
/// # Errors
/// Out of descriptors.
pub fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let (reader, writer) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
    Ok((writer, reader))
}

/// Ties this process to the master that holds the other end. Call it after a change of user: the kernel checks
/// the sender's credentials as they are now.
///
/// # Errors
/// The descriptor is not a pipe; or the master is gone already (`BrokenPipe`).
pub fn hold(end: &OwnedFd) -> io::Result<()> {
    let raw = end.as_raw_fd();
    // SAFETY: no arguments, cannot fail.
    let pid = unsafe { libc::getpid() };
    // SAFETY: `raw` is open for the whole call; F_SETOWN takes a pid.
    check(unsafe { libc::fcntl(raw, libc::F_SETOWN, pid) })?;
    // SAFETY: as above; F_SETSIG takes a signal number.
    check(unsafe { libc::fcntl(raw, F_SETSIG, libc::SIGKILL) })?;
    let flags = rustix::fs::fcntl_getfl(end)?;
    rustix::fs::fcntl_setfl(
        end,
        flags | rustix::fs::OFlags::from_bits_retain(libc::O_ASYNC.cast_unsigned()),
    )?;
    // The other end may have been closed before the signal was armed.
    let mut poll = [rustix::event::PollFd::new(end, rustix::event::PollFlags::IN)];
    rustix::event::poll(&mut poll, Some(&rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 }))?;
    if poll[0].revents().contains(rustix::event::PollFlags::HUP) {
        return Err(io::Error::new(io::ErrorKind::BrokenPipe, "the master is gone"));
    }
    Ok(())
}

/// Not in the libc crate for all targets.
const F_SETSIG: libc::c_int = 10;

fn check(result: libc::c_int) -> io::Result<()> {
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Whether the other end of a pipe or socket is closed.
#[must_use]
pub fn is_cut(end: &impl AsFd) -> bool {
    let mut poll = [rustix::event::PollFd::new(end, rustix::event::PollFlags::IN)];
    let polled = rustix::event::poll(&mut poll, Some(&rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 }));
    polled.is_ok() && poll[0].revents().contains(rustix::event::PollFlags::HUP)
}
