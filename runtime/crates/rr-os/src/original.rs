//! Which process this is: the one that asked first, or a copy that was forked from it.

use std::io;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// Forks between the process that registered [`forked`] and this one.
static FORKS: AtomicU32 = AtomicU32::new(0);

/// A process, told from its later copies without a system call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Original(u32);

extern "C" fn forked() {
    FORKS.fetch_add(1, Ordering::Relaxed);
}

impl Original {
    /// This process.
    ///
    /// # Errors
    /// Out of memory.
    pub fn here() -> io::Result<Self> {
        static REGISTERED: OnceLock<i32> = OnceLock::new();
        // SAFETY: `forked` is a function for as long as the library is there, which unregisters it when it goes; it
        // touches one atomic and may run in any child.
        match REGISTERED.get_or_init(|| unsafe { libc::pthread_atfork(None, None, Some(forked)) }) {
            0 => Ok(Self(FORKS.load(Ordering::Relaxed))),
            error => Err(io::Error::from_raw_os_error(*error)),
        }
    }

    /// Whether this is still that process, and no copy.
    #[must_use]
    #[inline]
    pub fn is_here(self) -> bool {
        FORKS.load(Ordering::Relaxed) == self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_knows_that_it_is_one() {
        let original = Original::here().expect("registers");
        // SAFETY: the child makes one system call and leaves.
        match unsafe { libc::fork() } {
            // SAFETY: leaves at once.
            0 => unsafe { libc::_exit(i32::from(original.is_here())) },
            pid => {
                assert!(pid > 0, "forks");
                let mut status = -1;
                // SAFETY: `status` is there for the whole call (O1).
                unsafe { libc::waitpid(pid, &raw mut status, 0) };
                assert!(libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0, "{status}");
                assert!(original.is_here());
            }
        }
    }
}
