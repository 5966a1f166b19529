//! Signal dispositions of the zygote and of workers.

use std::io;

/// Signals that a terminal or a service manager sends to a whole group: the master decides what they mean, so
/// the zygote and the workers only note them.
const GROUP_SIGNALS: [libc::c_int; 4] = [libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGQUIT];

/// What a child may have inherited handlers for and must not keep.
const RESET: [libc::c_int; 9] = [
    libc::SIGALRM,
    libc::SIGVTALRM,
    libc::SIGPROF,
    libc::SIGCHLD,
    libc::SIGUSR1,
    libc::SIGUSR2,
    libc::SIGCONT,
    libc::SIGTTIN,
    libc::SIGTTOU,
];

extern "C" fn noted(_signal: libc::c_int) {}

/// Puts the signals of a zygote or worker in order: group signals are noted only (with a handler and not
/// ignored, because programs that PHP starts would inherit the ignoring), the rest is at its default, nothing is
/// blocked, no timer runs.
///
/// # Errors
/// Never for these signals.
pub fn prepare_child() -> io::Result<()> {
    for signal in GROUP_SIGNALS {
        set(signal, noted as *const () as libc::sighandler_t)?;
    }
    for signal in RESET {
        set(signal, libc::SIG_DFL)?;
    }
    set(libc::SIGPIPE, libc::SIG_IGN)?;
    for timer in [libc::ITIMER_REAL, libc::ITIMER_VIRTUAL, libc::ITIMER_PROF] {
        let off = libc::itimerval {
            it_interval: libc::timeval { tv_sec: 0, tv_usec: 0 },
            it_value: libc::timeval { tv_sec: 0, tv_usec: 0 },
        };
        // SAFETY: `off` is a valid timer value (O1); the old value is not asked for.
        unsafe { libc::setitimer(timer.cast_unsigned() as _, &raw const off, std::ptr::null_mut()) };
    }
    unblock_all()
}

/// Takes the signals that the master listens to away from whoever handled them before. Tokio calls an earlier
/// handler after its own, and PHP's would end the process.
///
/// # Errors
/// Never for these signals.
pub fn prepare_master() -> io::Result<()> {
    for signal in GROUP_SIGNALS.into_iter().chain([libc::SIGUSR1, libc::SIGUSR2, libc::SIGCHLD]) {
        set(signal, libc::SIG_DFL)?;
    }
    set(libc::SIGPIPE, libc::SIG_IGN)?;
    unblock_all()
}

fn unblock_all() -> io::Result<()> {
    let mut none = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: `none` has room for a signal set (O1).
    unsafe { libc::sigemptyset(none.as_mut_ptr()) };
    // SAFETY: `none` was initialised by sigemptyset (O1).
    match unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, none.as_ptr(), std::ptr::null_mut()) } {
        0 => Ok(()),
        error => Err(io::Error::from_raw_os_error(error)),
    }
}

fn set(signal: libc::c_int, handler: libc::sighandler_t) -> io::Result<()> {
    // SAFETY: all-zero is a valid sigaction: default handler, empty mask, no flags. No SA_RESTART: a sleeping
    // worker shall look at its channel again.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handler;
    // SAFETY: `action` is valid (O1), the old action is not asked for; `noted` is async-signal-safe, it does
    // nothing.
    match unsafe { libc::sigaction(signal, &raw const action, std::ptr::null_mut()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// The name of a signal, for messages.
#[must_use]
pub fn name(signal: i32) -> &'static str {
    match signal {
        libc::SIGABRT => "SIGABRT",
        libc::SIGALRM => "SIGALRM",
        libc::SIGBUS => "SIGBUS",
        libc::SIGFPE => "SIGFPE",
        libc::SIGHUP => "SIGHUP",
        libc::SIGILL => "SIGILL",
        libc::SIGINT => "SIGINT",
        libc::SIGKILL => "SIGKILL",
        libc::SIGPIPE => "SIGPIPE",
        libc::SIGPROF => "SIGPROF",
        libc::SIGQUIT => "SIGQUIT",
        libc::SIGSEGV => "SIGSEGV",
        libc::SIGSYS => "SIGSYS",
        libc::SIGTERM => "SIGTERM",
        libc::SIGTRAP => "SIGTRAP",
        libc::SIGXCPU => "SIGXCPU",
        libc::SIGXFSZ => "SIGXFSZ",
        _ => "unnamed",
    }
}
