//! One Tokio shard: its doorbell page, and whose rings are behind which bit.

use parking_lot::Mutex;
use rr_shm::shard::{MAX_SLOTS, ShardPage};
use std::io;
use std::sync::Arc;

/// Who looks after a slot.
pub trait Readable: Send + Sync {
    /// The worker in `slot` has published something, or may have.
    fn readable(&self, slot: usize);
}

#[derive(Default)]
struct Slots {
    owners: Vec<Option<Arc<dyn Readable>>>,
    free: Vec<usize>,
}

/// A shard.
pub struct Shard {
    page: ShardPage,
    slots: Mutex<Slots>,
}

impl std::fmt::Debug for Shard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shard").finish_non_exhaustive()
    }
}

impl Shard {
    /// A shard without workers.
    ///
    /// # Errors
    /// Out of memory or descriptors.
    pub fn create() -> io::Result<Self> {
        Ok(Self { page: ShardPage::create()?, slots: Mutex::default() })
    }

    /// The page that workers map.
    #[must_use]
    pub const fn page(&self) -> &ShardPage {
        &self.page
    }

    /// Gives `owner` a slot; `None` when all [`MAX_SLOTS`] are taken.
    pub fn take(&self, owner: Arc<dyn Readable>) -> Option<usize> {
        let mut slots = self.slots.lock();
        if let Some(slot) = slots.free.pop() {
            slots.owners[slot] = Some(owner);
            return Some(slot);
        }
        let slot = slots.owners.len();
        (slot < MAX_SLOTS).then(|| {
            slots.owners.push(Some(owner));
            slot
        })
    }

    /// Takes a slot back.
    pub fn release(&self, slot: usize) {
        let mut slots = self.slots.lock();
        slots.owners[slot] = None;
        slots.free.push(slot);
    }

    /// Looks at every worker that has set its bit. Cheap when none has.
    pub fn drain(&self) {
        if self.page.any_ready() {
            self.page.drain(|slot| self.look(slot));
        }
    }

    /// Looks at every worker: the bits are hints from processes that may be broken.
    pub fn sweep(&self) {
        let count = self.slots.lock().owners.len();
        (0..count).for_each(|slot| self.look(slot));
    }

    fn look(&self, slot: usize) {
        let owner = self.slots.lock().owners.get(slot).cloned().flatten();
        if let Some(owner) = owner {
            owner.readable(slot);
        }
    }
}
