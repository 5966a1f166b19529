//! The cells of a worker: numbers that it counts up and the master reads, without a message between them. Which
//! number is at which index is agreed elsewhere; here they are words. The drawing is in `docs/channel.md`.
//!
//! Only the worker writes its cells, all but [`EPOCH`], so a load and a store make an addition. The master believes
//! nothing of what it reads: a cell is a number, whatever is in it.

use crate::segment::Segment;
use crate::sync::{AtomicU64, Ordering};
use crate::{Shared, segment};
use std::sync::Arc;

/// Cells of a worker: 512 KiB of addresses, of which it costs the pages that are used.
pub const CELLS: usize = 65_536;

/// The cell that the master writes: it changes when what the others mean has changed, so that a worker asks anew.
pub const EPOCH: usize = 0;

/// Bytes of all cells of a worker; whole pages.
pub(crate) const BYTES: usize = CELLS * size_of::<AtomicU64>();

/// All of them.
#[repr(C)]
pub(crate) struct Words([AtomicU64; CELLS]);

// SAFETY: repr(C), only atomics, valid for any bytes (S4).
unsafe impl Shared for Words {}

const _: () = assert!(size_of::<Words>() == BYTES && BYTES.is_multiple_of(64 << 10));

/// The cells of one worker, from either end. They stay mapped as long as this lives, whatever the worker does.
#[derive(Clone)]
pub struct Cells(Arc<Segment>);

impl std::fmt::Debug for Cells {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Cells").finish_non_exhaustive()
    }
}

impl Cells {
    pub(crate) const fn of(segment: Arc<segment::Segment>) -> Self {
        Self(segment)
    }

    /// What cell `index` holds; 0 for one that does not exist.
    #[must_use]
    #[inline]
    pub fn load(&self, index: usize) -> u64 {
        // ORDER: relaxed; a cell stands for itself, nothing else is published by it.
        self.0.words().0.get(index).map_or(0, |cell| cell.load(Ordering::Relaxed))
    }

    /// Sets cell `index`; one that does not exist is ignored.
    #[inline]
    pub fn store(&self, index: usize, value: u64) {
        if let Some(cell) = self.0.words().0.get(index) {
            cell.store(value, Ordering::Relaxed);
        }
    }

    /// Adds to the floating point number in cell `index`. For its only writer: two would lose additions.
    #[inline]
    pub fn add(&self, index: usize, value: f64) {
        if let Some(cell) = self.0.words().0.get(index) {
            let sum = f64::from_bits(cell.load(Ordering::Relaxed)) + value;
            cell.store(sum.to_bits(), Ordering::Relaxed);
        }
    }

    /// The floating point number in cell `index`, whatever its worker has put there.
    #[must_use]
    pub fn number(&self, index: usize) -> f64 {
        f64::from_bits(self.load(index))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_worker_adds_the_master_reads_even_after_the_worker() {
        let (master, file) = segment::create(4096).expect("creates");
        let worker = segment::attach(&file, 4096).expect("attaches");
        let (seen, own) = (master.cells(), worker.cells());
        for _ in 0..1000 {
            own.add(7, 0.5);
        }
        own.add(CELLS - 1, 3.0);
        own.add(CELLS, 1.0);
        drop((own, worker));
        assert_eq!((seen.number(7), seen.number(CELLS - 1), seen.load(CELLS)), (500.0, 3.0, 0));
    }

    #[test]
    fn the_masters_epoch_reaches_the_worker() {
        let (master, file) = segment::create(4096).expect("creates");
        let worker = segment::attach(&file, 4096).expect("attaches");
        master.cells().store(EPOCH, 5);
        assert_eq!(worker.cells().load(EPOCH), 5);
    }
}
