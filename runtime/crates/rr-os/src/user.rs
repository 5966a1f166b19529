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

fn check(result: libc::c_int) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

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
