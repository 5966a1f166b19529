//! Foreign programs that end with this process, and all of their children too, even if it is killed: a small process
//! of its own, the sentry, has a list of process groups and the reading end of a pipe. The end of the last writer is the
//! end of the groups. `PR_SET_PDEATHSIG` would reach the first process of each only, is lost when a program changes its
//! user, and is bound to a thread.
//!
//! A new program enters itself into the list, between fork and exec: there is no moment at which it runs unwatched.
//! Whatever runs in the children here before `exec` makes system calls only, since the parent has threads (**O4**: no
//! allocation, no lock, no destructor between fork and exec).

use crate::user::Identity;
use std::collections::BTreeSet;
use std::ffi::{CStr, CString};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Groups that a sentry can watch.
pub const CAPACITY: usize = 4096;

/// A foreign program.
#[derive(Debug)]
pub struct Foreign<'a> {
    /// The executable.
    pub path: &'a CStr,
    /// All arguments, the zeroth included.
    pub args: &'a [CString],
    /// The whole environment, `NAME=value` each.
    pub env: &'a [CString],
    /// The directory it starts in.
    pub cwd: &'a CStr,
    /// Whom it runs as; `None`: as this process.
    pub user: Option<&'a Identity>,
    /// Its stdin; `None`: empty.
    pub input: Option<BorrowedFd<'a>>,
    /// Where its stdout goes.
    pub output: BorrowedFd<'a>,
    /// Where its stderr goes; `None`: where its stdout goes.
    pub errors: Option<BorrowedFd<'a>>,
}

/// The sentry, as the process that started it sees it. When this is dropped, all groups in its list end.
#[derive(Debug)]
pub struct Sentry {
    list: std::fs::File,
}

/// The same descriptor with a number above those of the standard streams, which may be closed.
fn park(descriptor: impl AsFd) -> io::Result<OwnedFd> {
    Ok(rustix::io::fcntl_dupfd_cloexec(descriptor, 3)?)
}

impl Sentry {
    /// Starts a sentry.
    ///
    /// # Errors
    /// A limit of processes or descriptors.
    pub fn start() -> io::Result<Self> {
        let (reader, list) = std::io::pipe()?;
        let (reader, list) = (park(reader)?, park(list)?);
        // A sentry that somebody has stopped must not stop the server.
        rustix::io::ioctl_fionbio(&list, true)?;
        let null = park(std::fs::File::open("/dev/null")?)?;
        // SAFETY: the child runs `watch` only, which is made of system calls and does not return (O4).
        match unsafe { libc::fork() } {
            -1 => Err(io::Error::last_os_error()),
            0 => watch(reader.as_raw_fd(), null.as_raw_fd()),
            _ => Ok(Self { list: list.into() }),
        }
    }

    /// Whether it watches: nobody has killed it.
    #[must_use]
    pub fn lives(&self) -> bool {
        let mut poll = [rustix::event::PollFd::new(&self.list, rustix::event::PollFlags::empty())];
        let now = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
        rustix::event::poll(&mut poll, Some(&now)).is_ok() && poll[0].revents().is_empty()
    }

    /// Puts a group into the list that is not in it because another sentry had it.
    ///
    /// # Errors
    /// The sentry is gone.
    pub fn add(&self, group: u32) -> io::Result<()> {
        (&self.list).write_all(&group.to_ne_bytes())
    }

    /// Takes a group off the list: its processes are gone, and another may get its number.
    pub fn remove(&self, group: u32) {
        let _ = (&self.list).write_all(&(group.cast_signed().wrapping_neg()).to_ne_bytes());
    }

    /// Starts a program in a group of its own that ends with this process. Returns its process id, which is the group's.
    ///
    /// # Errors
    /// What the system says to `exec` and what comes before it, or a limit.
    pub fn spawn(&self, program: &Foreign<'_>) -> io::Result<u32> {
        let (mut failure, report) = std::io::pipe()?;
        let (report, output) = (park(report)?, park(program.output)?);
        let input = match program.input {
            Some(input) => park(input)?,
            None => park(std::fs::File::open("/dev/null")?)?,
        };
        let errors = program.errors.map(park).transpose()?;
        let pointers = |list: &[CString]| -> Vec<*const libc::c_char> {
            list.iter().map(|text| text.as_ptr()).chain([std::ptr::null()]).collect()
        };
        let (args, env) = (pointers(program.args), pointers(program.env));
        let child = Child {
            program,
            args: &args,
            env: &env,
            input: input.as_fd(),
            output: output.as_fd(),
            errors: errors.as_ref().unwrap_or(&output).as_fd(),
            list: self.list.as_fd(),
            report: report.as_raw_fd(),
        };
        // SAFETY: the child runs `Child::run` only, which is made of system calls and does not return (O4).
        let pid = match unsafe { libc::fork() } {
            -1 => return Err(io::Error::last_os_error()),
            0 => child.run(),
            pid => pid.cast_unsigned(),
        };
        drop(report);
        let mut number = [0; 4];
        // Nothing comes when the program runs: the pipe has closed itself.
        match failure.read_exact(&mut number) {
            Ok(()) => Err(io::Error::from_raw_os_error(i32::from_ne_bytes(number))),
            Err(_) => Ok(pid),
        }
    }
}

/// A sentry that is replaced when somebody has ended it, and the groups it has.
#[derive(Debug)]
pub struct Keeper(Mutex<(Sentry, BTreeSet<u32>)>);

impl Keeper {
    /// Starts the first one; best before there is much memory.
    ///
    /// # Errors
    /// A limit of processes or descriptors.
    pub fn start() -> io::Result<Self> {
        Ok(Self(Mutex::new((Sentry::start()?, BTreeSet::new()))))
    }

    fn lock(&self) -> MutexGuard<'_, (Sentry, BTreeSet<u32>)> {
        // Nothing in here panics half way.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a program in a group of its own, see [`Sentry::spawn`]. `true`: the sentry was gone, another has taken over.
    ///
    /// # Errors
    /// As there.
    pub fn spawn(&self, program: &Foreign<'_>) -> io::Result<(u32, bool)> {
        let (sentry, groups) = &mut *self.lock();
        let replaced = !sentry.lives();
        if replaced {
            let next = Sentry::start()?;
            for group in groups.iter() {
                next.add(*group)?;
            }
            *sentry = next;
        }
        let pid = sentry.spawn(program)?;
        groups.insert(pid);
        Ok((pid, replaced))
    }

    /// The first process of a group has ended: so do the others.
    pub fn finish(&self, group: u32) {
        // An error means that there are none.
        let _ = signal_group(group, 9);
        let (sentry, groups) = &mut *self.lock();
        groups.remove(&group);
        sentry.remove(group);
    }
}

/// Sends a signal to all processes of a group.
///
/// # Errors
/// There is none, or they belong to somebody else.
pub fn signal_group(group: u32, signal: i32) -> io::Result<()> {
    let Some(group) = i32::try_from(group).ok().filter(|group| *group > 1) else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a process group"));
    };
    // SAFETY: plain integers; a group above 1 is no special number.
    match unsafe { libc::kill(-group, signal) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// What the child needs between fork and exec.
struct Child<'a> {
    program: &'a Foreign<'a>,
    args: &'a [*const libc::c_char],
    env: &'a [*const libc::c_char],
    input: BorrowedFd<'a>,
    output: BorrowedFd<'a>,
    errors: BorrowedFd<'a>,
    list: BorrowedFd<'a>,
    report: RawFd,
}

impl Child<'_> {
    fn run(&self) -> ! {
        let error = self.exec();
        // SAFETY: `error` is valid for its length, the descriptor is open (O1).
        unsafe { libc::write(self.report, (&raw const error).cast(), 4) };
        crate::process::exit_now(127)
    }

    /// Becomes the program; returns the error number if that fails.
    fn exec(&self) -> i32 {
        // SAFETY: no arguments.
        let own = unsafe { libc::getpid() };
        // SAFETY: plain integers; a fresh child can always found a group.
        unsafe { libc::setpgid(0, 0) };
        // SAFETY: `own` is valid for its length, the descriptor is open (O1).
        if unsafe { libc::write(self.list.as_raw_fd(), (&raw const own).cast(), 4) } != 4 {
            return libc::EPIPE;
        }
        let error = self.prepare().map_or_else(errno, |()| {
            // SAFETY: NUL-terminated strings in NULL-terminated arrays that live in the caller (O1).
            unsafe { libc::execve(self.program.path.as_ptr(), self.args.as_ptr(), self.env.as_ptr()) };
            errno(())
        });
        let off = own.wrapping_neg();
        // SAFETY: as above.
        unsafe { libc::write(self.list.as_raw_fd(), (&raw const off).cast(), 4) };
        error
    }

    fn prepare(&self) -> Result<(), ()> {
        crate::patience::end();
        for (from, to) in [(self.input, 0), (self.output, 1), (self.errors, 2)] {
            // SAFETY: plain integers. The sources are no standard streams, see `park`.
            done(unsafe { libc::dup2(from.as_raw_fd(), to) }.into())?;
        }
        // SAFETY: plain integers. All others close at `exec`, until which the list and the report are needed.
        done(unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, CLOEXEC) })?;
        if let Some(user) = self.program.user {
            // The C library's functions would speak to threads that this process does not have.
            // SAFETY: `groups` is valid for its length (O1).
            done(unsafe { libc::syscall(libc::SYS_setgroups, user.groups.len(), user.groups.as_ptr()) })?;
            // SAFETY: plain integers.
            done(unsafe { libc::syscall(libc::SYS_setresgid, user.gid, user.gid, user.gid) })?;
            // SAFETY: plain integers.
            done(unsafe { libc::syscall(libc::SYS_setresuid, user.uid, user.uid, user.uid) })?;
        }
        // SAFETY: a NUL-terminated string (O1).
        done(unsafe { libc::chdir(self.program.cwd.as_ptr()) }.into())?;
        for signal in 1..=64 {
            // SAFETY: plain values; those that cannot be changed are at their default.
            unsafe { libc::signal(signal, libc::SIG_DFL) };
        }
        let none = 0_u64;
        // SAFETY: the kernel's signal set has 8 bytes (O1); the old one is not asked for.
        done(unsafe {
            libc::syscall(
                libc::SYS_rt_sigprocmask,
                libc::SIG_SETMASK,
                &raw const none,
                std::ptr::null::<u64>(),
                8,
            )
        })
    }
}

/// `CLOSE_RANGE_CLOEXEC`.
const CLOEXEC: libc::c_uint = 4;

fn done(result: libc::c_long) -> Result<(), ()> {
    if result < 0 { Err(()) } else { Ok(()) }
}

fn errno(_: ()) -> i32 {
    // Reads this thread's number, no more.
    io::Error::last_os_error().raw_os_error().unwrap_or(0)
}

/// The sentry's life. System calls only (O4).
fn watch(list: RawFd, null: RawFd) -> ! {
    crate::patience::end();
    // SAFETY: no pointers. Away from the terminal, whose signals mean the server.
    unsafe { libc::setsid() };
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGQUIT, libc::SIGPIPE, libc::SIGUSR1] {
        // SAFETY: plain values; it ends by the pipe alone.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
    // SAFETY: a NUL-terminated name (O1).
    unsafe { libc::prctl(libc::PR_SET_NAME, c"rr-sentry".as_ptr()) };
    // Out of the way of the standard streams, then into place.
    // SAFETY: plain integers; a failure leaves -1, with which the loop below ends at once.
    let parked = unsafe { libc::fcntl(list, libc::F_DUPFD, 4) };
    for to in 0..3 {
        // SAFETY: plain integers.
        unsafe { libc::dup2(null, to) };
    }
    // SAFETY: plain integers.
    let list = unsafe { libc::dup2(parked, 3) };
    // SAFETY: plain integers. Nothing of the server stays open here, the writing end of the list least of all.
    unsafe { libc::syscall(libc::SYS_close_range, 4, libc::c_uint::MAX, 0) };
    let mut groups = [0_i32; CAPACITY];
    loop {
        let mut entry = 0_i32;
        // SAFETY: `entry` has room for four bytes (O1). Entries are written whole, so they are read whole.
        match unsafe { libc::read(list, (&raw mut entry).cast(), 4) } {
            4 => note(&mut groups, entry),
            -1 if errno(()) == libc::EINTR => {}
            _ => break,
        }
    }
    for group in groups {
        if group > 1 {
            // SAFETY: plain integers; a group that its server has not taken off the list.
            unsafe { libc::kill(-group, libc::SIGKILL) };
        }
    }
    crate::process::exit_now(0)
}

/// A positive entry is a group, a negative one the end of it.
fn note(groups: &mut [i32; CAPACITY], entry: i32) {
    let (wanted, value) = if entry > 0 { (0, entry) } else { (entry.wrapping_neg(), 0) };
    for group in groups {
        if *group == wanted {
            *group = value;
            return;
        }
    }
}

/// The pipe for the output of a program: the end to read is close-on-exec and does not block.
///
/// # Errors
/// Out of descriptors.
pub fn output() -> io::Result<(OwnedFd, OwnedFd)> {
    let (reader, writer) = std::io::pipe()?;
    let reader = OwnedFd::from(reader);
    rustix::io::ioctl_fionbio(&reader, true)?;
    Ok((reader, writer.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> CString {
        CString::new(text).expect("text")
    }

    fn start(sentry: &Sentry, script: &str) -> (u32, std::fs::File) {
        let (mut reader, writer) = std::io::pipe().expect("pipe");
        let args = [text("sh"), text("-c"), text(script)];
        let env = [text("PATH=/usr/bin:/bin")];
        let program = Foreign {
            path: c"/bin/sh",
            args: &args,
            env: &env,
            cwd: c"/",
            user: None,
            input: None,
            output: writer.as_fd(),
            errors: None,
        };
        let pid = sentry.spawn(&program).expect("spawns");
        drop(writer);
        let mut byte = [0];
        reader.read_exact(&mut byte).expect("it is up");
        (pid, std::fs::File::from(OwnedFd::from(reader)))
    }

    #[test]
    fn a_group_ends_with_its_sentry_grandchildren_and_all() {
        let sentry = Sentry::start().expect("a sentry");
        assert!(sentry.lives());
        let (_, mut output) = start(&sentry, "trap '' INT TERM; sleep 1000 & echo; ls /proc/$$/fd; wait");
        drop(sentry);
        // Both the shell and what it has started have held the pipe.
        let mut rest = String::new();
        output.read_to_string(&mut rest).expect("reads");
        assert!(rest.lines().filter(|line| !line.is_empty()).count() <= 4, "descriptors: {rest}");
    }

    #[test]
    fn what_cannot_be_started_says_why_and_is_not_watched() {
        let sentry = Sentry::start().expect("a sentry");
        let null = std::fs::File::open("/dev/null").expect("null");
        let spawn = |path: &CStr, cwd: &CStr| {
            let args = [path.to_owned()];
            sentry.spawn(&Foreign {
                path,
                args: &args,
                env: &[],
                cwd,
                user: None,
                input: None,
                output: null.as_fd(),
                errors: None,
            })
        };
        assert_eq!(spawn(c"/nonexistent", c"/").expect_err("none").kind(), io::ErrorKind::NotFound);
        assert_eq!(spawn(c"/etc/passwd", c"/").expect_err("no").kind(), io::ErrorKind::PermissionDenied);
        assert_eq!(spawn(c"/bin/true", c"/nonexistent").expect_err("no").kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn the_list_keeps_what_is_not_taken_off() {
        let mut groups = [0; CAPACITY];
        for entry in [5, 6, 7, -6, 8, -9] {
            note(&mut groups, entry);
        }
        assert_eq!(groups[..4], [5, 8, 7, 0]);
    }
}
