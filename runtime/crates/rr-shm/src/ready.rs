//! A bit per worker that says "look at my rings", with a summary above so that looking is cheap when nobody does.

use crate::sync::{AtomicU64, Ordering, fence};

/// Whether some bit is set.
pub(crate) fn any(summary: &[AtomicU64]) -> bool {
    summary.iter().any(|word| word.load(Ordering::Relaxed) != 0)
}

/// Takes all bits and hands their numbers to `look`, who finds what was published before the bit was set.
pub(crate) fn drain(summary: &[AtomicU64], ready: &[AtomicU64], mut look: impl FnMut(usize)) {
    for (index, summary) in summary.iter().enumerate() {
        if summary.load(Ordering::Relaxed) == 0 {
            continue;
        }
        for word in bits(summary.swap(0, Ordering::Acquire)) {
            let word = index * 64 + word;
            // The page is the workers': a summary bit beyond the words is one of their jokes.
            let Some(bits_of_word) = ready.get(word) else { continue };
            let taken = bits_of_word.swap(0, Ordering::Acquire);
            // SYNC POINT: pairs with the fence in `mark`: a worker that found its bit still set is one whose
            // frames we see now.
            fence(Ordering::SeqCst);
            for bit in bits(taken) {
                look(word * 64 + bit);
            }
        }
    }
}

/// Sets the bit of `slot`. To be called after publishing.
pub(crate) fn mark(summary: &[AtomicU64], ready: &[AtomicU64], slot: usize) {
    let (word, bit) = (slot / 64, 1 << (slot % 64));
    // SYNC POINT: pairs with the fence in `drain`: either we see that the master has taken our bit, or it will see
    // what we published when it takes it.
    fence(Ordering::SeqCst);
    if ready[word].load(Ordering::Relaxed) & bit == 0 {
        ready[word].fetch_or(bit, Ordering::Release);
        summary[word / 64].fetch_or(1 << (word % 64), Ordering::Release);
    }
}

fn bits(mut word: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let bit = (word != 0).then(|| word.trailing_zeros() as usize)?;
        word &= word - 1;
        Some(bit)
    })
}

/// `RUSTFLAGS="--cfg loom" cargo test -p rr-shm --release --lib`
#[cfg(all(test, loom))]
mod loom_tests {
    use super::*;
    use crate::sleep;
    use crate::sync::{AtomicU32, Parking, model};
    use loom::sync::Arc;

    #[derive(Default)]
    struct Page {
        sleeps: AtomicU32,
        summary: [AtomicU64; 1],
        ready: [AtomicU64; 1],
        /// Frames published by the workers in slots 0 and 1.
        published: [AtomicU32; 2],
        parking: Parking,
    }

    impl Page {
        fn publish(&self, slot: usize) {
            self.published[slot].fetch_add(1, Ordering::Release);
            mark(&self.summary, &self.ready, slot);
            if sleep::should_ring(&self.sleeps, sleep::DATA) {
                self.parking.unpark();
            }
        }

        /// The master, until it has seen `expected`: if a frame could be missed, it would sleep for ever, and loom
        /// would find the deadlock.
        fn run_until(&self, expected: [u32; 2]) {
            let mut seen = [0, 0];
            while seen != expected {
                drain(&self.summary, &self.ready, |slot| {
                    seen[slot] = self.published[slot].load(Ordering::Acquire);
                });
                if seen != expected && sleep::announce(&self.sleeps, sleep::DATA, || !any(&self.summary)) {
                    self.parking.park();
                    sleep::awake(&self.sleeps);
                }
            }
        }
    }

    #[test]
    fn what_one_worker_publishes_is_always_seen() {
        model(|| {
            let page = Arc::new(Page::default());
            let other = Arc::clone(&page);
            let worker = loom::thread::spawn(move || (0..2).for_each(|_| other.publish(0)));
            page.run_until([2, 0]);
            worker.join().expect("worker");
        });
    }

    #[test]
    fn two_workers_do_not_hide_each_other() {
        model(|| {
            let page = Arc::new(Page::default());
            let workers = [0, 1].map(|slot| {
                let page = Arc::clone(&page);
                loom::thread::spawn(move || page.publish(slot))
            });
            page.run_until([1, 1]);
            workers.into_iter().for_each(|worker| worker.join().expect("worker"));
        });
    }
}
