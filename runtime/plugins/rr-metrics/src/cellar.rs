//! Where the cells of all workers are added up. A worker may use only the cells it was granted; those of a worker
//! that has ended are kept as numbers. Knows nothing of collectors.

use rr_shm::cells::{CELLS, Cells, EPOCH};
use rr_wire::vitals::{GC_COLLECTED, GC_RUNS, RESERVED};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// A worker: its pool, and its number there.
pub(crate) type WorkerId = (Arc<str>, u64);

/// The cells of all workers.
#[derive(Debug)]
pub(crate) struct Cellar {
    /// The first cell that no series has. Cells are never given to another series: a worker may still count for the
    /// one it knew.
    next: usize,
    /// What workers that have ended have counted, by cell.
    retired: Vec<f64>,
    workers: HashMap<WorkerId, Worker>,
    epoch: u64,
    /// Numbers that were none.
    garbage: u64,
}

#[derive(Debug)]
struct Worker {
    cells: Cells,
    /// How many cells it was granted, by the first of them.
    granted: BTreeMap<usize, usize>,
    /// It was found with garbage; once is enough to say so.
    broken: bool,
}

impl Worker {
    /// Adds what it has counted to `sums`; `true` when that was garbage for the first time.
    fn count(&mut self, sums: &mut [f64]) -> bool {
        let mut broken = false;
        for (first, length) in &self.granted {
            for (offset, sum) in sums.iter_mut().skip(*first).take(*length).enumerate() {
                let number = self.cells.number(first + offset);
                // Of itself finite, and finite together with the others.
                let total = *sum + number;
                if total.is_finite() {
                    *sum = total;
                } else {
                    broken = true;
                }
            }
        }
        broken && !std::mem::replace(&mut self.broken, true)
    }
}

impl Cellar {
    pub(crate) fn new() -> Self {
        // No session has seen epoch 0, which fresh memory holds.
        Self { next: RESERVED, retired: vec![0.0; RESERVED], workers: HashMap::new(), epoch: 1, garbage: 0 }
    }

    /// Cells for a new series; `None` when they are used up.
    pub(crate) fn assign(&mut self, count: usize) -> Option<usize> {
        let first = self.next;
        let end = first.checked_add(count).filter(|end| *end <= CELLS)?;
        self.next = end;
        self.retired.resize(end, 0.0);
        Some(first)
    }

    /// A worker has begun.
    pub(crate) fn attach(&mut self, worker: WorkerId, cells: Cells) {
        cells.store(EPOCH, self.epoch);
        self.workers.insert(
            worker,
            Worker { cells, granted: BTreeMap::from([(GC_RUNS, 1), (GC_COLLECTED, 1)]), broken: false },
        );
    }

    /// A worker has ended: nobody writes its cells any more. Its numbers are kept, once.
    pub(crate) fn retire(&mut self, worker: &WorkerId) {
        if let Some(mut worker) = self.workers.remove(worker) {
            self.garbage += u64::from(worker.count(&mut self.retired));
        }
    }

    /// Lets a worker count in these cells; `false` for one that is not there.
    pub(crate) fn grant(&mut self, worker: &WorkerId, first: usize, count: usize) -> bool {
        let Some(worker) = self.workers.get_mut(worker) else { return false };
        worker.granted.insert(first, count);
        true
    }

    /// Has all workers ask anew what they may count in.
    pub(crate) fn invalidate(&mut self) {
        self.epoch += 1;
        for worker in self.workers.values() {
            worker.cells.store(EPOCH, self.epoch);
        }
    }

    /// What all workers together have counted, by cell.
    pub(crate) fn totals(&mut self) -> Vec<f64> {
        let mut sums = self.retired.clone();
        for worker in self.workers.values_mut() {
            self.garbage += u64::from(worker.count(&mut sums));
        }
        sums
    }

    /// The cells of the workers that are there.
    pub(crate) fn living(&self) -> Vec<(WorkerId, Cells)> {
        self.workers.iter().map(|(id, worker)| (id.clone(), worker.cells.clone())).collect()
    }

    /// Workers whose cells held what is no number.
    pub(crate) const fn garbage(&self) -> u64 {
        self.garbage
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rr_shm::segment::{self, WorkerEnd};

    fn id(number: u64) -> WorkerId {
        ("http".into(), number)
    }

    fn worker(cellar: &mut Cellar, number: u64) -> WorkerEnd {
        let (master, file) = segment::create(4096).expect("creates");
        cellar.attach(id(number), master.cells());
        segment::attach(&file, 4096).expect("attaches")
    }

    #[test]
    fn a_workers_numbers_survive_it_and_are_counted_once() {
        let mut cellar = Cellar::new();
        let (one, two) = (worker(&mut cellar, 1), worker(&mut cellar, 2));
        let first = cellar.assign(1).expect("room");
        assert!(
            cellar.grant(&id(1), first, 1)
                && cellar.grant(&id(2), first, 1)
                && cellar.grant(&id(2), first, 1)
        );
        one.cells().add(first, 3.0);
        two.cells().add(first, 4.0);
        assert_eq!(cellar.totals()[first], 7.0);
        drop(one);
        cellar.retire(&id(1));
        cellar.retire(&id(1));
        assert_eq!(cellar.totals()[first], 7.0);
        two.cells().add(first, 1.0);
        assert_eq!(cellar.totals()[first], 8.0);
    }

    #[test]
    fn garbage_and_cells_that_were_not_granted_count_nothing() {
        let mut cellar = Cellar::new();
        let (good, bad) = (worker(&mut cellar, 1), worker(&mut cellar, 2));
        let first = cellar.assign(3).expect("room");
        cellar.grant(&id(1), first, 1);
        cellar.grant(&id(2), first, 2);
        good.cells().add(first, 5.0);
        for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            bad.cells().store(first, number.to_bits());
            bad.cells().store(first + 1, f64::MAX.to_bits());
            bad.cells().store(first + 2, 9.0_f64.to_bits());
            assert_eq!(cellar.totals()[first..], [5.0, f64::MAX, 0.0]);
        }
        cellar.retire(&id(2));
        assert_eq!((cellar.totals()[first], cellar.garbage()), (5.0, 1));
    }

    #[test]
    fn cells_run_out_and_a_changed_epoch_reaches_everybody() {
        let mut cellar = Cellar::new();
        let one = worker(&mut cellar, 1);
        let before = one.cells().load(EPOCH);
        cellar.invalidate();
        assert_ne!(one.cells().load(EPOCH), before);
        assert_eq!(worker(&mut cellar, 2).cells().load(EPOCH), one.cells().load(EPOCH));
        assert_eq!(cellar.assign(CELLS - RESERVED), Some(RESERVED));
        assert_eq!((cellar.assign(1), cellar.grant(&id(9), 1, 1)), (None, false));
    }
}
