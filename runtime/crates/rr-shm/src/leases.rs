//! The leases of one worker, from either end; what a lease is says `lease`. The drawing is in `docs/channel.md`.

use crate::Shared;
use crate::lease::Line;
pub use crate::lease::{Hold, Recalled};
use crate::segment::Segment;
use std::sync::Arc;

/// Leases a worker can have.
pub const LEASES: usize = 32;

/// All of them.
#[repr(C)]
pub(crate) struct Lines([Line; LEASES]);

// SAFETY: repr(C), only what is `Shared` (S4).
unsafe impl Shared for Lines {}

const _: () = assert!(size_of::<Lines>() <= 4096 && align_of::<Lines>() <= 4096);

/// The leases of one worker. They stay mapped as long as this lives, whatever the worker does.
#[derive(Clone)]
pub struct Leases(Arc<Segment>);

impl std::fmt::Debug for Leases {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Leases").finish_non_exhaustive()
    }
}

impl Leases {
    pub(crate) const fn of(segment: Arc<Segment>) -> Self {
        Self(segment)
    }

    #[inline]
    fn line(&self, slot: usize) -> Option<&Line> {
        self.0.lines().0.get(slot)
    }

    /// Master: grants lease `tag` in `slot`, with the lock held; before the worker is told. `tag` is below 2^62 and was
    /// never used. A slot that does not exist is ignored.
    pub fn grant(&self, slot: usize, tag: u64, hold: Hold) {
        if let Some(line) = self.line(slot) {
            line.grant(tag, hold);
        }
    }

    /// Master: takes lease `tag` back.
    #[must_use]
    pub fn recall(&self, slot: usize, tag: u64) -> Recalled {
        self.line(slot).map_or(Recalled::Broken, |line| line.recall(tag))
    }

    /// Master: takes lease `tag` back if the lock is not held.
    #[must_use]
    pub fn recall_idle(&self, slot: usize, tag: u64) -> bool {
        self.line(slot).is_some_and(|line| line.recall_idle(tag))
    }

    /// Worker: takes the lock of lease `tag`. `false`: it is held, or the lease is gone.
    #[must_use]
    #[inline]
    pub fn lock(&self, slot: usize, tag: u64, hold: Hold) -> bool {
        self.line(slot).is_some_and(|line| line.lock(tag, hold))
    }

    /// Worker: gives the lock of lease `tag` back. `false`: the lease is gone, and the master has the lock.
    #[must_use]
    #[inline]
    pub fn unlock(&self, slot: usize, tag: u64) -> bool {
        self.line(slot).is_some_and(|line| line.unlock(tag))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment;

    #[test]
    fn both_ends_see_the_same_leases_and_none_beyond() {
        let (master, file) = segment::create(4096).expect("creates");
        let worker = segment::attach(&file, 4096).expect("attaches");
        let (master, own) = (master.leases(), worker.leases());
        let hold = Hold { deadline: 1, token: 2 };
        for slot in 0..LEASES {
            master.grant(slot, slot as u64 + 1, hold);
        }
        // The cells are behind nothing that was written.
        assert_eq!(worker.cells().load(crate::cells::CELLS - 1), 0);
        for slot in 0..LEASES {
            assert!(own.unlock(slot, slot as u64 + 1));
        }
        assert!(own.lock(3, 4, Hold { deadline: 5, token: 6 }));
        drop((own, worker));
        assert_eq!(master.recall(3, 4), Recalled::Held(Hold { deadline: 5, token: 6 }));
        assert!(master.recall_idle(LEASES - 1, LEASES as u64));
        master.grant(LEASES, 99, hold);
        assert_eq!(master.recall(LEASES, 99), Recalled::Broken);
    }
}
