//! Starting a program from a threaded process: `posix_spawn`, with descriptors put at agreed numbers.

use std::ffi::{CStr, CString, OsStr};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// What to start.
#[derive(Debug)]
pub struct Program<'a> {
    /// The executable.
    pub path: &'a Path,
    /// All arguments, the zeroth included.
    pub args: &'a [CString],
    /// The whole environment, `NAME=value` each.
    pub env: &'a [CString],
    /// The directory it starts in; `None` for the caller's.
    pub cwd: Option<&'a CStr>,
    /// Descriptors the program gets: `descriptors[n]` becomes number `n`; all others are closed.
    pub descriptors: &'a [BorrowedFd<'a>],
}

struct Actions(libc::posix_spawn_file_actions_t);

impl Actions {
    fn new() -> io::Result<Self> {
        let mut actions = std::mem::MaybeUninit::uninit();
        // SAFETY: init writes a valid object into memory of its size (O1).
        check(unsafe { libc::posix_spawn_file_actions_init(actions.as_mut_ptr()) })?;
        // SAFETY: initialised by the call above.
        Ok(Self(unsafe { actions.assume_init() }))
    }
}

impl Drop for Actions {
    fn drop(&mut self) {
        // SAFETY: initialised in `new` and destroyed once.
        unsafe { libc::posix_spawn_file_actions_destroy(&raw mut self.0) };
    }
}

struct Attributes(libc::posix_spawnattr_t);

impl Attributes {
    /// Own process group, all signals at their default and unblocked, not the [`patience`](crate::patience) of the caller.
    fn new() -> io::Result<Self> {
        let mut attributes = std::mem::MaybeUninit::uninit();
        // SAFETY: init writes a valid object into memory of its size (O1).
        check(unsafe { libc::posix_spawnattr_init(attributes.as_mut_ptr()) })?;
        // SAFETY: initialised by the call above.
        let mut this = Self(unsafe { attributes.assume_init() });
        let mut flags =
            libc::POSIX_SPAWN_SETPGROUP | libc::POSIX_SPAWN_SETSIGDEF | libc::POSIX_SPAWN_SETSIGMASK;
        if crate::patience::is_chosen() {
            flags |= libc::POSIX_SPAWN_SETSCHEDULER;
            let none = libc::sched_param { sched_priority: 0 };
            // SAFETY: initialised attributes and a parameter that outlives the call (O1).
            check(unsafe { libc::posix_spawnattr_setschedparam(&raw mut this.0, &raw const none) })?;
            // SAFETY: initialised attributes (O1).
            check(unsafe { libc::posix_spawnattr_setschedpolicy(&raw mut this.0, libc::SCHED_OTHER) })?;
        }
        let flags = libc::c_short::try_from(flags).map_err(io::Error::other)?;
        // SAFETY: initialised attributes (O1).
        check(unsafe { libc::posix_spawnattr_setflags(&raw mut this.0, flags) })?;
        // SAFETY: as above; 0 means a new group.
        check(unsafe { libc::posix_spawnattr_setpgroup(&raw mut this.0, 0) })?;
        let mut set = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
        // SAFETY: room for a signal set (O1).
        unsafe { libc::sigfillset(set.as_mut_ptr()) };
        // SAFETY: both are initialised (O1).
        check(unsafe { libc::posix_spawnattr_setsigdefault(&raw mut this.0, set.as_ptr()) })?;
        // SAFETY: room for a signal set (O1).
        unsafe { libc::sigemptyset(set.as_mut_ptr()) };
        // SAFETY: both are initialised (O1).
        check(unsafe { libc::posix_spawnattr_setsigmask(&raw mut this.0, set.as_ptr()) })?;
        Ok(this)
    }
}

impl Drop for Attributes {
    fn drop(&mut self) {
        // SAFETY: initialised in `new` and destroyed once.
        unsafe { libc::posix_spawnattr_destroy(&raw mut self.0) };
    }
}

/// Starts `program` in its own process group and returns its process id.
///
/// # Errors
/// The executable cannot be run, a process limit, out of memory or descriptors.
pub fn spawn(program: &Program<'_>) -> io::Result<u32> {
    let path = c_string(program.path.as_os_str())?;
    let mut actions = Actions::new()?;
    // First away from the low numbers, then into place: a source may sit where a target goes.
    let base = i32::try_from(program.descriptors.len()).map_err(io::Error::other)?;
    let mut parked = Vec::with_capacity(program.descriptors.len());
    for descriptor in program.descriptors {
        parked.push(rustix::io::fcntl_dupfd_cloexec(descriptor, base)?);
    }
    for (target, source) in parked.iter().enumerate() {
        let target = i32::try_from(target).map_err(io::Error::other)?;
        // SAFETY: initialised actions (O1); both numbers are plain integers.
        check(unsafe {
            libc::posix_spawn_file_actions_adddup2(&raw mut actions.0, source.as_raw_fd(), target)
        })?;
    }
    // SAFETY: as above.
    check(unsafe { libc::posix_spawn_file_actions_addclosefrom_np(&raw mut actions.0, base) })?;
    if let Some(cwd) = program.cwd {
        // SAFETY: initialised actions; the path is NUL-terminated and copied by the call (O1).
        check(unsafe { libc::posix_spawn_file_actions_addchdir_np(&raw mut actions.0, cwd.as_ptr()) })?;
    }
    let attributes = Attributes::new()?;
    let (args, env) = (pointers(program.args), pointers(program.env));
    let mut pid: libc::pid_t = 0;
    // SAFETY: path, args and env are NUL-terminated strings in NULL-terminated arrays that outlive the call (O1);
    // actions and attributes are initialised.
    check(unsafe {
        libc::posix_spawn(
            &raw mut pid,
            path.as_ptr(),
            &raw const actions.0,
            &raw const attributes.0,
            args.as_ptr(),
            env.as_ptr(),
        )
    })?;
    Ok(pid.cast_unsigned())
}

fn pointers(strings: &[CString]) -> Vec<*mut libc::c_char> {
    strings.iter().map(|string| string.as_ptr().cast_mut()).chain([std::ptr::null_mut()]).collect()
}

/// A string for the kernel.
///
/// # Errors
/// It contains a NUL.
pub fn c_string(text: &OsStr) -> io::Result<CString> {
    CString::new(text.as_bytes())
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "a NUL in an argument"))
}

fn check(error: libc::c_int) -> io::Result<()> {
    if error == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(error)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::os::fd::AsFd;

    #[test]
    fn descriptors_land_at_their_numbers_and_the_rest_is_closed() {
        let (mut reader, writer) = std::io::pipe().expect("pipe");
        let null = std::fs::File::open("/dev/null").expect("null");
        let text = |s: &str| CString::new(s).expect("text");
        let args = [text("sh"), text("-c"), text("echo $X >&3; set -- /proc/$$/fd/*; echo $# >&3")];
        let descriptors = [null.as_fd(), null.as_fd(), null.as_fd(), writer.as_fd()];
        let env = [text("X=value"), text("PATH=/usr/bin:/bin")];
        let program = Program {
            path: Path::new("/bin/sh"),
            args: &args,
            env: &env,
            cwd: Some(c"/"),
            descriptors: &descriptors,
        };
        let pid = spawn(&program).expect("spawns");
        drop(writer);
        let mut output = String::new();
        reader.read_to_string(&mut output).expect("reads");
        let count: usize = output.lines().nth(1).expect("count").trim().parse().expect("number");
        assert!(output.starts_with("value\n") && count <= 5, "{output}");
        let fd = crate::process::pidfd(pid).expect("pidfd");
        while crate::process::reap(&fd).expect("reap").is_none() {
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_missing_program_is_an_error() {
        let program =
            Program { path: Path::new("/nonexistent/php"), args: &[], env: &[], cwd: None, descriptors: &[] };
        assert_eq!(spawn(&program).expect_err("fails").kind(), io::ErrorKind::NotFound);
    }
}
