//! Forking, watching and ending processes.

use rustix::process::{Pid, PidfdFlags, Signal, WaitId, WaitIdOptions};
use std::fmt;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// `exit(code)`.
    Code(i32),
    /// Ended by a signal.
    Signal(i32),
    /// Ended, and nobody could ask how.
    Unknown,
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal(signal) => write!(f, "signal {signal} ({})", crate::signal::name(signal)),
            Self::Unknown => f.write_str("unknown exit status"),
        }
    }
}

/// Which side of a fork the caller is on.
#[derive(Debug)]
pub enum Fork {
    /// The new process.
    Child,
    /// The old one, with a descriptor that names the new one for ever.
    Parent {
        /// The child's process id.
        pid: u32,
        /// Readable once the child has ended.
        pidfd: OwnedFd,
    },
}

/// Forks.
///
/// # Safety
/// The process has one thread (O3); the child must leave through [`exit_now`] and not return into frames whose
/// state the parent goes on using, such as a borrowed socket.
///
/// # Errors
/// `EAGAIN` at a process limit, `ENOMEM`, or out of descriptors for the pidfd (the child is ended then).
pub unsafe fn fork() -> io::Result<Fork> {
    // SAFETY: passed on to the caller (O3).
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(Fork::Child),
        pid => {
            let child = Pid::from_raw(pid).ok_or_else(|| io::Error::other("fork gave pid 0"))?;
            match rustix::process::pidfd_open(child, PidfdFlags::empty()) {
                Ok(pidfd) => Ok(Fork::Parent { pid: pid.cast_unsigned(), pidfd }),
                Err(error) => {
                    let _ = rustix::process::kill_process(child, Signal::KILL);
                    let _ = rustix::process::waitid(WaitId::Pid(child), WaitIdOptions::EXITED);
                    Err(error.into())
                }
            }
        }
    }
}

/// Takes over descriptor `number`, which whoever started this process put there; close-on-exec from now on.
///
/// # Safety
/// Nothing else in this process owns that number: it is called once per number, before any other code runs.
///
/// # Errors
/// It is not open.
pub unsafe fn inherited(number: i32) -> io::Result<OwnedFd> {
    use std::os::fd::{BorrowedFd, FromRawFd};
    // SAFETY: borrowed for the length of the check only; a number that is not open is an error of the call.
    let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
    rustix::io::fcntl_setfd(borrowed, rustix::io::FdFlags::CLOEXEC)?;
    // SAFETY: open, as the call above has shown, and owned by nobody else (the caller's promise).
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Ends this process at once: no destructors, no `atexit`, no PHP shutdown.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: `_exit` takes any code and does not return.
    unsafe { libc::_exit(code) }
}

/// A descriptor for process `pid`, which must be an unreaped child of the caller for the pid to be its own.
///
/// # Errors
/// No such process, or out of descriptors.
pub fn pidfd(pid: u32) -> io::Result<OwnedFd> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "not a process id"))?;
    Ok(rustix::process::pidfd_open(pid, PidfdFlags::empty())?)
}

/// Sends a signal to the process behind `pidfd`, never to a later one with the same number.
///
/// # Errors
/// The process has ended, or belongs to somebody else.
pub fn kill(pidfd: &impl AsFd, signal: i32) -> io::Result<()> {
    let signal = Signal::from_named_raw(signal)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "not a signal"))?;
    Ok(rustix::process::pidfd_send_signal(pidfd, signal)?)
}

/// Sends SIGURG, which nobody minds who has not asked for it, with a number (`si_value`) to the process behind `pidfd`.
/// It ends what that process waits for.
///
/// # Errors
/// The process has ended, or belongs to somebody else.
pub fn notice(pidfd: &impl AsFd, number: u64) -> io::Result<()> {
    /// The kernel's `siginfo_t` of a queued signal, 128 bytes.
    #[repr(C)]
    struct Queued {
        signo: i32,
        errno: i32,
        code: i32,
        _pad: i32,
        pid: u32,
        uid: u32,
        value: u64,
        _rest: [u8; 96],
    }
    const _: () = assert!(size_of::<Queued>() == size_of::<libc::siginfo_t>());
    let info = Queued {
        signo: libc::SIGURG,
        errno: 0,
        code: libc::SI_QUEUE,
        _pad: 0,
        pid: id(),
        uid: rustix::process::getuid().as_raw(),
        value: number,
        _rest: [0; 96],
    };
    let fd = std::os::fd::AsRawFd::as_raw_fd(&pidfd.as_fd());
    // SAFETY: `info` is a siginfo_t of a queued signal and valid for the call (O1).
    match unsafe { libc::syscall(libc::SYS_pidfd_send_signal, fd, libc::SIGURG, &raw const info, 0) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Reaps the child behind `pidfd` if it has ended; `None` while it runs.
///
/// # Errors
/// It is not a child of this process.
pub fn reap(pidfd: &impl AsFd) -> io::Result<Option<Exit>> {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
    let status = rustix::process::waitid(WaitId::PidFd(pidfd.as_fd()), options)?;
    Ok(status.map(|status| match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => Exit::Code(code),
        (None, Some(signal)) => Exit::Signal(signal),
        (None, None) => Exit::Unknown,
    }))
}

/// Reaps one ended child of this process, whichever; `None` when there is none.
#[must_use]
pub fn reap_any() -> Option<(u32, Exit)> {
    let (pid, status) = rustix::process::wait(rustix::process::WaitOptions::NOHANG).ok()??;
    let exit = match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => Exit::Code(code),
        (None, Some(signal)) => Exit::Signal(signal),
        (None, None) => Exit::Unknown,
    };
    Some((pid.as_raw_nonzero().get().cast_unsigned(), exit))
}

/// Makes this process the one that inherits its orphaned descendants.
///
/// # Errors
/// Never on Linux 3.4 or newer.
pub fn become_subreaper() -> io::Result<()> {
    Ok(rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?)
}

/// This process's id, asked anew (a fork changes it).
#[must_use]
pub fn id() -> u32 {
    rustix::process::getpid().as_raw_nonzero().get().cast_unsigned()
}

/// Names this process for `ps -o comm` and `top` (15 bytes are kept).
pub fn set_name(name: &std::ffi::CStr) {
    let _ = rustix::thread::set_name(name);
}

/// Raises the soft limit of open descriptors to the hard one; returns the limit in force.
#[must_use]
pub fn raise_descriptor_limit() -> u64 {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let _ = setrlimit(Resource::Nofile, raised);
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::zombie_processes, reason = "reaping it is what is tested")]
    fn a_childs_end_is_seen_and_told_apart() {
        let child = std::process::Command::new("sh").args(["-c", "exit 3"]).spawn().expect("sh");
        let fd = pidfd(child.id()).expect("pidfd");
        let exit = loop {
            let mut poll = [rustix::event::PollFd::new(&fd, rustix::event::PollFlags::IN)];
            rustix::event::poll(&mut poll, None).expect("poll");
            if let Some(exit) = reap(&fd).expect("reap") {
                break exit;
            }
        };
        assert_eq!(exit, Exit::Code(3));
        assert_eq!(Exit::Signal(9).to_string(), "signal 9 (SIGKILL)");
    }
}
