//! A folder whose files clients may ask for: opened so that nothing outside of it is reached, and the paths into it.

use parking_lot::Mutex;
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat, openat2};
use std::fs::{File, Metadata};
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a root, or a script, is used before it is looked up again: a release behind a symlink may have been
/// switched.
pub(crate) const FRESH: Duration = Duration::from_secs(1);

/// A folder, opened anew every now and then.
#[derive(Debug)]
pub(crate) struct Root {
    path: PathBuf,
    /// Follows symbolic links that lead out of it.
    symlinks: bool,
    open: Mutex<Option<(Instant, Arc<OwnedFd>)>>,
}

impl Root {
    pub(crate) fn new(path: &str, symlinks: bool) -> Self {
        let root = Self { path: PathBuf::from(path), symlinks, open: Mutex::new(None) };
        // From the start, so that a descriptor more is no leak later.
        let _ = root.folder();
        root
    }

    /// The folder; `None`: it is not there now.
    pub(crate) fn folder(&self) -> Option<Arc<OwnedFd>> {
        let mut open = self.open.lock();
        if let Some((since, folder)) = &*open
            && since.elapsed() < FRESH
        {
            return Some(Arc::clone(folder));
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = Arc::new(openat(CWD, &self.path, flags, Mode::empty()).ok()?);
        *open = Some((Instant::now(), Arc::clone(&folder)));
        Some(folder)
    }

    /// Opens what is below the folder. The kernel sees to it that nothing outside is reached, symlinks included.
    pub(crate) fn open(&self, folder: &OwnedFd, path: &str, flags: OFlags) -> Option<(File, Metadata)> {
        let path = if path.is_empty() { "." } else { path };
        // A pipe must not be waited for; with PATH nothing is opened, and the kernel wants no other flags.
        let more = if flags.contains(OFlags::PATH) { OFlags::empty() } else { OFlags::NONBLOCK };
        let flags = flags | OFlags::CLOEXEC | more;
        let resolve = match self.symlinks {
            true => ResolveFlags::NO_MAGICLINKS,
            false => ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS,
        };
        let file = File::from(openat2(folder.as_fd(), path, flags, Mode::empty(), resolve).ok()?);
        let meta = file.metadata().ok()?;
        Some((file, meta))
    }
}

/// Code is run or not there; its text is never sent.
pub(crate) fn is_code(path: &str) -> bool {
    let lower = path.to_ascii_lowercase();
    [".php", ".phtml", ".phar", ".phps", ".inc"].iter().any(|end| lower.ends_with(end))
}

/// A path, decoded once. `None`: it has a NUL, is no UTF-8, or a `%` is not followed by two digits.
pub(crate) fn decode(path: &str) -> Option<String> {
    let bytes = path.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        if *byte == b'%' {
            let digit = |at: usize| char::from(*bytes.get(at)?).to_digit(16);
            let value = digit(at + 1)? * 16 + digit(at + 2)?;
            decoded.push(u8::try_from(value).ok()?);
            at += 3;
        } else {
            decoded.push(*byte);
            at += 1;
        }
    }
    String::from_utf8(decoded).ok().filter(|text| !text.contains('\0'))
}

/// The segments of a path, decoded once and without `.` and `..`. `None`: it cannot be decoded, or climbs out.
pub(crate) fn segments(path: &str) -> Option<Vec<String>> {
    let text = decode(path)?;
    let mut segments = Vec::new();
    for segment in text.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop()?;
            }
            other => segments.push(other.to_owned()),
        }
    }
    Some(segments)
}
