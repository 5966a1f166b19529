//! One Tokio shard: its doorbell page, and whose rings are behind which bit.

use parking_lot::Mutex;
use rr_shm::shard::{MAX_SLOTS, ShardPage};
use std::io;
use std::sync::Arc;
use std::task::Waker;

/// Who looks after a slot.
pub trait Readable: Send + Sync {
    /// The worker in `slot` has published something, or may have.
    fn readable(&self, slot: usize);

    /// Rings the workers that were given something since the last time.
    fn flush(&self);
}

#[derive(Default)]
struct Slots {
    owners: Vec<Option<Arc<dyn Readable>>>,
    free: Vec<usize>,
}

/// Bells that are rung together: a worker that is woken once finds all that this turn of the runtime has for it.
#[derive(Default)]
struct Deferred {
    /// Wakes the task that calls [`Shard::flush`]; without one, bells ring at once.
    reactor: Option<Waker>,
    owners: Vec<Arc<dyn Readable>>,
}

/// A shard.
pub struct Shard {
    page: ShardPage,
    slots: Mutex<Slots>,
    deferred: Mutex<Deferred>,
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
        Ok(Self { page: ShardPage::create()?, slots: Mutex::default(), deferred: Mutex::default() })
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

    /// Installs the task that flushes; it runs after the tasks that are ready when it is woken.
    pub fn set_reactor(&self, waker: &Waker) {
        self.deferred.lock().reactor.get_or_insert_with(|| waker.clone());
    }

    /// Wakes the reactor's task, if there is one.
    pub fn wake_reactor(&self) {
        if let Some(reactor) = &self.deferred.lock().reactor {
            reactor.wake_by_ref();
        }
    }

    /// Has `owner` flushed soon; `false` when there is nobody to do it.
    pub(crate) fn defer(&self, owner: impl FnOnce() -> Arc<dyn Readable>) -> bool {
        let mut deferred = self.deferred.lock();
        let Some(reactor) = &deferred.reactor else { return false };
        reactor.wake_by_ref();
        deferred.owners.push(owner());
        true
    }

    /// Rings what was put off.
    pub fn flush(&self) {
        let owners = std::mem::take(&mut self.deferred.lock().owners);
        owners.iter().for_each(|owner| owner.flush());
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

    /// Looks at the worker in `slot`, which has no bit to set: something of it has come another way.
    pub fn look(&self, slot: usize) {
        let owner = self.slots.lock().owners.get(slot).cloned().flatten();
        if let Some(owner) = owner {
            owner.readable(slot);
        }
    }
}
