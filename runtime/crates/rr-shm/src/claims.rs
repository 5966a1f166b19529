//! Who has a unit that was written into a ring: the worker, once it starts it, or the master again, once it takes
//! it back. Never both.

use crate::sync::{AtomicU64, Ordering};

/// Units a worker can hold: the one it runs and those queued behind it.
pub const MAX_UNITS: usize = 64;

const QUEUED: u64 = 0;
const STARTED: u64 = 1;
const REVOKED: u64 = 2;

const fn claim(sequence: u32, state: u64) -> u64 {
    (sequence as u64) << 2 | state
}

/// The word of unit `sequence` among `sequence << 2 | state`.
fn word(claims: &[AtomicU64], sequence: u32) -> &AtomicU64 {
    &claims[sequence as usize % claims.len()]
}

/// Offers unit `sequence`; to be called before its frame is sent.
pub(crate) fn offer(claims: &[AtomicU64], sequence: u32) {
    // ORDER: made visible by the release store of the frame's position.
    word(claims, sequence).store(claim(sequence, QUEUED), Ordering::Relaxed);
}

/// Starts unit `sequence`; `false` when the master has taken it back.
pub(crate) fn start(claims: &[AtomicU64], sequence: u32) -> bool {
    // ORDER: pairs with `revoke`; one of the two wins.
    decide(word(claims, sequence), sequence, STARTED)
}

/// Takes unit `sequence` back; `false` when the worker has started it.
pub(crate) fn revoke(claims: &[AtomicU64], sequence: u32) -> bool {
    // ORDER: pairs with `start`; one of the two wins.
    decide(word(claims, sequence), sequence, REVOKED)
}

fn decide(word: &AtomicU64, sequence: u32, state: u64) -> bool {
    let (queued, decided) = (claim(sequence, QUEUED), claim(sequence, state));
    word.compare_exchange(queued, decided, Ordering::AcqRel, Ordering::Relaxed).is_ok()
}

/// `RUSTFLAGS="--cfg loom" cargo test -p rr-shm --release --lib`
#[cfg(all(test, loom))]
mod loom_tests {
    use super::*;
    use crate::sync::model;
    use loom::sync::Arc;

    /// Two units whose claims share a word, one after the other; the second is offered when the first is settled.
    /// In every interleaving each has exactly one owner, and the worker never starts the one that is not there.
    #[test]
    fn start_or_revoke_exactly_one_wins() {
        model(|| {
            let claims = Arc::new([AtomicU64::new(0)]);
            offer(&*claims, 1);
            let other = Arc::clone(&claims);
            let worker = loom::thread::spawn(move || [1, 2].map(|sequence| start(&*other, sequence)));
            let first = revoke(&*claims, 1);
            offer(&*claims, 2);
            let second = revoke(&*claims, 2);
            let started = worker.join().expect("worker");
            if first {
                assert!(!started[0], "both have unit 1");
            }
            assert!(!(second && started[1]), "both have unit 2");
            assert!(second || started[1], "nobody has unit 2");
        });
    }

    #[test]
    fn a_unit_that_is_offered_has_one_owner() {
        model(|| {
            let claims = Arc::new([AtomicU64::new(0)]);
            offer(&*claims, 1);
            let other = Arc::clone(&claims);
            let worker = loom::thread::spawn(move || start(&*other, 1));
            let revoked = revoke(&*claims, 1);
            assert_ne!(worker.join().expect("worker"), revoked);
        });
    }
}
