//! The user that app code runs as (`server.user`), with that user's groups (RoadRunner clears them, §5.12.13).

use std::ffi::CString;
use std::io;

/// Who to become.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// User id.
    pub uid: u32,
    /// Primary group id.
    pub gid: u32,
    /// All groups, the primary one included.
    pub groups: Vec<u32>,
    /// Home directory, for `HOME`.
    pub home: String,
}

/// Whom to become so that programs run as `user`; `None` is who this process is.
///
/// # Errors
/// There is no such user or group, or only root could become that one; the text says so.
pub fn other(user: &str, group: Option<&str>) -> Result<Option<Identity>, String> {
    let identity = lookup(user, group).map_err(|error| error.to_string())?;
    match current() {
        0 => Ok(Some(identity)),
        current if current == identity.uid => Ok(None),
        _ => {
            Err(format!("only root can run programs as \"{user}\"; start the server as root or as that user"))
        }
    }
}

/// Looks `user` up (a name or a number), with `group` instead of its primary group where given.
///
/// # Errors
/// `NotFound` for an unknown user or group.
pub fn lookup(user: &str, group: Option<&str>) -> io::Result<Identity> {
    let name = CString::new(user).map_err(|_| unknown("user", user))?;
    let mut buffer = vec![0 as libc::c_char; 16 * 1024];
    let mut entry = std::mem::MaybeUninit::<libc::passwd>::uninit();
    let mut found: *mut libc::passwd = std::ptr::null_mut();
    let result = if let Ok(uid) = user.parse::<u32>() {
        // SAFETY: entry, buffer and found are valid for the call (O1).
        unsafe {
            libc::getpwuid_r(uid, entry.as_mut_ptr(), buffer.as_mut_ptr(), buffer.len(), &raw mut found)
        }
    } else {
        // SAFETY: as above; `name` is NUL-terminated.
        unsafe {
            libc::getpwnam_r(
                name.as_ptr(),
                entry.as_mut_ptr(),
                buffer.as_mut_ptr(),
                buffer.len(),
                &raw mut found,
            )
        }
    };
    if result != 0 || found.is_null() {
        return Err(unknown("user", user));
    }
    // SAFETY: `found` is not null, so the call filled `entry`, whose strings live in `buffer`.
    let entry = unsafe { entry.assume_init() };
    // SAFETY: pw_dir is a NUL-terminated string in `buffer` (O1).
    let home = unsafe { std::ffi::CStr::from_ptr(entry.pw_dir) }.to_string_lossy().into_owned();
    let gid = match group {
        Some(group) => group_id(group)?,
        None => entry.pw_gid,
    };
    let mut groups = vec![0; 256];
    let mut count = 256;
    // SAFETY: `groups` has room for `count` ids; pw_name is NUL-terminated in `buffer` (O1).
    let listed = unsafe { libc::getgrouplist(entry.pw_name, gid, groups.as_mut_ptr(), &raw mut count) };
    if listed < 0 {
        return Err(io::Error::other(format!("user \"{user}\" has more than 256 groups")));
    }
    groups.truncate(usize::try_from(count).unwrap_or(0));
    Ok(Identity { uid: entry.pw_uid, gid, groups, home })
}

fn group_id(group: &str) -> io::Result<u32> {
    if let Ok(gid) = group.parse() {
        return Ok(gid);
    }
    let name = CString::new(group).map_err(|_| unknown("group", group))?;
    let mut buffer = vec![0 as libc::c_char; 64 * 1024];
    let mut entry = std::mem::MaybeUninit::<libc::group>::uninit();
    let mut found: *mut libc::group = std::ptr::null_mut();
    // SAFETY: entry, buffer and found are valid for the call, `name` is NUL-terminated (O1).
    let result = unsafe {
        libc::getgrnam_r(name.as_ptr(), entry.as_mut_ptr(), buffer.as_mut_ptr(), buffer.len(), &raw mut found)
    };
    if result != 0 || found.is_null() {
        return Err(unknown("group", group));
    }
    // SAFETY: `found` is not null, so the call filled `entry`.
    Ok(unsafe { entry.assume_init() }.gr_gid)
}

fn unknown(what: &str, name: &str) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("unknown {what} \"{name}\""))
}

/// The effective user id of this process.
#[must_use]
pub fn current() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Becomes `identity`, for good: groups, then group, then user, in all three kinds of id.
///
/// # Errors
/// This process is not root (and not that user already).
pub fn become_user(identity: &Identity) -> io::Result<()> {
    // SAFETY: `groups` is valid for its length (O1).
    check(unsafe { libc::setgroups(identity.groups.len(), identity.groups.as_ptr()) })?;
    // SAFETY: plain integers.
    check(unsafe { libc::setresgid(identity.gid, identity.gid, identity.gid) })?;
    // SAFETY: plain integers.
    check(unsafe { libc::setresuid(identity.uid, identity.uid, identity.uid) })
}

/// Opens a file for reading with the rights of `identity`, which needs root; with those of this process where there is
/// none. The calling thread has the other rights meanwhile and nobody else does; one that does not get its own back
/// ends the process. A pipe is not waited for.
///
/// # Errors
/// What the system says: not found, not allowed.
pub fn open_as(identity: Option<&Identity>, path: &std::path::Path) -> io::Result<std::fs::File> {
    use rustix::fs::{CWD, Mode, OFlags};
    let open = || {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        Ok(std::fs::File::from(rustix::fs::openat(CWD, path, flags, Mode::empty())?))
    };
    let Some(identity) = identity else { return open() };
    let own = rustix::process::getgroups()?.iter().map(|group| group.as_raw()).collect::<Vec<_>>();
    let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let opened = file_rights(identity.uid, identity.gid, &identity.groups).and_then(|()| open());
    if file_rights(uid, gid, &own).is_err() {
        std::process::abort();
    }
    opened
}

/// Sets what file access of the calling thread is judged by. The C library's functions would change all threads.
fn file_rights(uid: u32, gid: u32, groups: &[u32]) -> io::Result<()> {
    // As root again first: only root may change groups. SAFETY: plain integers.
    unsafe { libc::syscall(libc::SYS_setfsuid, 0) };
    // SAFETY: `groups` is valid for its length (O1).
    check(unsafe { libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr()) } as libc::c_int)?;
    // SAFETY: plain integers.
    unsafe { libc::syscall(libc::SYS_setfsgid, gid) };
    // SAFETY: plain integers.
    unsafe { libc::syscall(libc::SYS_setfsuid, uid) };
    // These two give the ids of before, whether they took effect or not; what is none changes nothing.
    // SAFETY: plain integers.
    let now = (unsafe { libc::syscall(libc::SYS_setfsuid, u32::MAX) }, unsafe {
        libc::syscall(libc::SYS_setfsgid, u32::MAX)
    });
    if now == (i64::from(uid), i64::from(gid)) { Ok(()) } else { Err(io::ErrorKind::PermissionDenied.into()) }
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_opened_with_the_rights_of_another() {
        if current() != 0 {
            return;
        }
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("secret");
        std::fs::write(&path, "x").expect("a file");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(&path, mode).expect("its mode");
        let nobody = lookup("nobody", None).expect("nobody");
        let error = open_as(Some(&nobody), &path).expect_err("not allowed");
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
        assert!(open_as(None, &path).is_ok());
        assert!(open_as(Some(&nobody), std::path::Path::new("/etc/hostname")).is_ok());
        // Its own rights are back.
        assert!(std::fs::File::open(&path).is_ok());
    }

    #[test]
    fn users_are_found_by_name_and_number_and_unknown_ones_named() {
        let by_name = lookup("root", None).expect("root");
        assert_eq!((by_name.uid, by_name.gid), (0, 0));
        assert_eq!(lookup("0", None).expect("0"), by_name);
        assert_eq!(lookup("root", Some("daemon")).expect("group").gid, 1);
        let error = lookup("no-such-user", None).expect_err("unknown");
        assert_eq!(error.to_string(), "unknown user \"no-such-user\"");
        assert!(lookup("root", Some("no-such-group")).is_err());
    }
}
