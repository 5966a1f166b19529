//! The page that all workers of one Tokio shard share with the master: one doorbell, and a bit per worker that
//! says "look at my rings". It holds hints only: a worker that writes garbage here makes the master look in vain,
//! or look late (it looks at every ring from time to time anyway), and reaches nobody's data.

use crate::sync::{AtomicU32, AtomicU64};
use crate::{Shared, ready, sleep};
use rr_os::memory::{Mapping, Part};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Workers a shard can have.
pub const MAX_SLOTS: usize = WORDS * 64;
const WORDS: usize = 256;

#[repr(C, align(64))]
struct Flag(AtomicU32);

#[repr(C)]
struct Page {
    master_sleeps: Flag,
    /// Bit n: word n of `ready` may be other than zero.
    summary: [AtomicU64; WORDS / 64],
    ready: [AtomicU64; WORDS],
}

// SAFETY: repr(C), only atomics, valid for any bytes (S4).
unsafe impl Shared for Page {}

const _: () = assert!(size_of::<Page>() <= 4096);

/// The mapped page.
#[derive(Debug)]
struct Mapped(Mapping);

impl Mapped {
    fn new(file: &impl AsFd) -> io::Result<Self> {
        let length = rr_os::memory::page_size();
        Ok(Self(Mapping::new(file, &[Part { offset: 0, length, twice: false }])?))
    }

    fn page(&self) -> &Page {
        // SAFETY: a whole page that `self` owns (S1), large enough for `Page` (checked at compile time), and any
        // bytes are a valid `Page` (S4).
        unsafe { self.0.part(0).cast::<Page>().as_ref() }
    }
}

/// The master's side.
#[derive(Debug)]
pub struct ShardPage {
    page: Mapped,
    memory: OwnedFd,
    doorbell: OwnedFd,
}

impl ShardPage {
    /// Makes the page and its doorbell.
    ///
    /// # Errors
    /// Out of memory or descriptors.
    pub fn create() -> io::Result<Self> {
        use rustix::event::{EventfdFlags, eventfd};
        let memory = rr_os::memory::sealed("roadrunner-shard", rr_os::memory::page_size())?;
        let doorbell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self { page: Mapped::new(&memory)?, memory, doorbell })
    }

    /// The memory, for a worker.
    #[must_use]
    pub fn memory(&self) -> BorrowedFd<'_> {
        self.memory.as_fd()
    }

    /// The doorbell. The master watches it edge-triggered and never reads it.
    #[must_use]
    pub fn doorbell(&self) -> BorrowedFd<'_> {
        self.doorbell.as_fd()
    }

    /// Whether some bit is set.
    #[must_use]
    pub fn any_ready(&self) -> bool {
        ready::any(&self.page.page().summary)
    }

    /// Takes all bits and hands their numbers to `look`, who finds what was published before the bit was set.
    pub fn drain(&self, look: impl FnMut(usize)) {
        let page = self.page.page();
        ready::drain(&page.summary, &page.ready, look);
    }

    /// Says that the master is about to sleep; `false` when a bit is set, and then it must not.
    #[must_use]
    pub fn sleep(&self) -> bool {
        sleep::announce(&self.page.page().master_sleeps.0, sleep::DATA, || !self.any_ready())
    }

    /// The master is awake: workers need not ring.
    pub fn awake(&self) {
        sleep::awake(&self.page.page().master_sleeps.0);
    }
}

/// A worker's side.
#[derive(Debug)]
pub struct Bell {
    page: Mapped,
    doorbell: OwnedFd,
    slot: usize,
}

impl Bell {
    /// Maps the page for the worker in `slot`.
    ///
    /// # Errors
    /// Out of address space, or a slot of [`MAX_SLOTS`] or more.
    pub fn attach(memory: &impl AsFd, doorbell: OwnedFd, slot: usize) -> io::Result<Self> {
        if slot >= MAX_SLOTS {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "no such slot in the shard page"));
        }
        Ok(Self { page: Mapped::new(memory)?, doorbell, slot })
    }

    /// Tells the master that something was published; rings only if it sleeps.
    pub fn ring(&self) {
        let page = self.page.page();
        ready::mark(&page.summary, &page.ready, self.slot);
        if sleep::should_ring(&page.master_sleeps.0, sleep::DATA) {
            // A full counter means that the bell is ringing already.
            let _ = rustix::io::write(&self.doorbell, &1_u64.to_ne_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bell(shard: &ShardPage, slot: usize) -> Bell {
        let doorbell = shard.doorbell().try_clone_to_owned().expect("dup");
        Bell::attach(&shard.memory(), doorbell, slot).expect("attaches")
    }

    fn drained(shard: &ShardPage) -> Vec<usize> {
        let mut slots = Vec::new();
        shard.drain(|slot| slots.push(slot));
        slots
    }

    #[test]
    fn bits_arrive_once_and_the_bell_rings_for_a_sleeper_only() {
        let shard = ShardPage::create().expect("creates");
        let rang = |shard: &ShardPage| rustix::io::read(shard.doorbell(), &mut [0; 8]).is_ok();
        let (low, high) = (bell(&shard, 3), bell(&shard, MAX_SLOTS - 1));
        low.ring();
        high.ring();
        low.ring();
        assert!(!rang(&shard), "the master is awake");
        assert!(!shard.sleep(), "there is something to do");
        assert_eq!(drained(&shard), [3, MAX_SLOTS - 1]);
        assert!(shard.sleep() && drained(&shard).is_empty());
        low.ring();
        assert!(rang(&shard) && !rang(&shard));
        assert_eq!(drained(&shard), [3]);
    }
}
