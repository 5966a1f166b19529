//! A lease: one exclusive lock that a worker takes and gives back by itself, until the master recalls it. Who has the
//! lease is decided by one word, `tag << 2 | state`: every change of it is a compare-and-swap of the worker or a swap of
//! the master, so that one of the two wins and both know which.
//!
//! ```text
//!            grant (master)
//!   none ───────────────────▶ HELD ◀──────┐
//!    ▲                         │ unlock    │ lock (worker)
//!    │ recall (master)         ▼           │
//!    └──────────────────────  IDLE ────────┘
//! ```
//! A tag is never used twice, so what a worker remembers of an earlier lease of this line fits nothing.

use crate::Shared;
use crate::sync::{AtomicU64, Ordering};

const NONE: u64 = 0;
const IDLE: u64 = 1;
const HELD: u64 = 2;

const fn word(tag: u64, state: u64) -> u64 {
    tag << 2 | state
}

/// What a worker says of a lock it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hold {
    /// When it expires, in nanoseconds of the monotonic clock.
    pub deadline: u64,
    /// Its fencing token.
    pub token: u64,
}

/// What the master finds when it recalls a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recalled {
    /// Nobody held the lock.
    Idle,
    /// The worker holds it, and learns of the recall when it gives it back. These are its words, whatever they are.
    Held(Hold),
    /// The worker has written something that no worker writes.
    Broken,
}

/// One lease. In a line of the cache of its own.
#[derive(Debug, Default)]
#[repr(C, align(64))]
pub(crate) struct Line {
    word: AtomicU64,
    /// Written by the master before it grants, by the worker before it locks; read by the master after it has recalled.
    deadline: AtomicU64,
    token: AtomicU64,
}

// SAFETY: repr(C), only atomics, valid for any bytes (S4).
unsafe impl Shared for Line {}

impl Line {
    fn say(&self, hold: Hold) {
        self.deadline.store(hold.deadline, Ordering::Relaxed);
        self.token.store(hold.token, Ordering::Relaxed);
    }

    /// Master: the worker has the lease, and holds the lock. To be called before the worker is told.
    pub(crate) fn grant(&self, tag: u64, hold: Hold) {
        self.say(hold);
        // ORDER: pairs with `recall`; the worker learns of it by a frame.
        self.word.swap(word(tag, HELD), Ordering::Release);
    }

    /// Master: takes the lease back, whatever its state. One step, so that no worker can keep the master busy.
    pub(crate) fn recall(&self, tag: u64) -> Recalled {
        // ORDER: pairs with `lock` for what it says, and with `unlock` for what was done under the lock.
        match self.word.swap(NONE, Ordering::AcqRel) {
            found if found == word(tag, IDLE) => Recalled::Idle,
            found if found == word(tag, HELD) => Recalled::Held(Hold {
                deadline: self.deadline.load(Ordering::Relaxed),
                token: self.token.load(Ordering::Relaxed),
            }),
            _ => Recalled::Broken,
        }
    }

    /// Master: takes the lease back if nobody holds the lock.
    pub(crate) fn recall_idle(&self, tag: u64) -> bool {
        // ORDER: as `recall`.
        self.word.compare_exchange(word(tag, IDLE), NONE, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// Worker: takes the lock; `false`: it holds it already, or has no lease any more.
    #[inline]
    pub(crate) fn lock(&self, tag: u64, hold: Hold) -> bool {
        // What is said must not overwrite what belongs to another lease of this line. The master grants one only while
        // the worker waits for its answer, so the line can lose the lease after this look and not get another.
        if self.word.load(Ordering::Relaxed) != word(tag, IDLE) {
            return false;
        }
        self.say(hold);
        // ORDER: pairs with `recall`.
        let (idle, held) = (word(tag, IDLE), word(tag, HELD));
        self.word.compare_exchange(idle, held, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// Worker: gives the lock back; `false`: the lease was recalled, and the master has the lock in its table.
    #[inline]
    pub(crate) fn unlock(&self, tag: u64) -> bool {
        // ORDER: pairs with `recall`.
        let (held, idle) = (word(tag, HELD), word(tag, IDLE));
        self.word.compare_exchange(held, idle, Ordering::Release, Ordering::Relaxed).is_ok()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const HOLD: Hold = Hold { deadline: 5, token: 7 };

    #[test]
    fn a_lease_goes_back_and_forth_and_ends_once() {
        let line = Line::default();
        assert!(!line.lock(1, HOLD) && !line.unlock(1), "there is none");
        line.grant(1, HOLD);
        assert!(!line.recall_idle(1) && !line.lock(1, HOLD), "it is held");
        assert!(line.unlock(1) && !line.unlock(1));
        assert!(line.lock(1, Hold { token: 8, ..HOLD }));
        assert_eq!(line.recall(1), Recalled::Held(Hold { token: 8, ..HOLD }));
        assert!(!line.unlock(1) && !line.lock(1, HOLD));
        line.grant(2, HOLD);
        assert!(line.unlock(2) && line.recall_idle(2));
        assert_eq!(line.recall(2), Recalled::Broken);
    }

    #[test]
    fn what_is_remembered_of_an_earlier_lease_fits_nothing() {
        let line = Line::default();
        line.grant(1, HOLD);
        assert!(line.unlock(1) && line.recall_idle(1));
        line.grant(2, HOLD);
        assert!(!line.unlock(1) && !line.lock(1, Hold { deadline: 0, token: 0 }));
        assert!(line.unlock(2) && !line.lock(1, Hold { deadline: 0, token: 0 }));
        assert!(line.lock(2, HOLD));
        assert_eq!(line.recall(2), Recalled::Held(HOLD));
    }

    #[test]
    fn a_worker_that_scribbles_is_found_out() {
        for scribble in [0, 3, 1, 2, word(2, HELD), word(1, 3), u64::MAX] {
            let line = Line::default();
            line.grant(1, HOLD);
            line.word.store(scribble, Ordering::Relaxed);
            assert_eq!(line.recall(1), Recalled::Broken, "{scribble}");
        }
    }
}

/// `RUSTFLAGS="--cfg loom" cargo test -p rr-shm --release --lib`
#[cfg(all(test, loom))]
mod models {
    use super::*;
    use crate::sync::{AtomicU32, model};
    use loom::cell::UnsafeCell;
    use loom::sync::Arc;

    /// A lease, and what the lock protects: loom ends the run if two are at it.
    struct Guarded {
        line: Line,
        protected: UnsafeCell<u32>,
        /// Tokens that the worker has given back by a message.
        returned: AtomicU32,
    }

    // SAFETY: the cell is what the lock protects; that it does is what is checked here.
    unsafe impl Sync for Guarded {}

    fn guarded() -> Arc<Guarded> {
        let line = Line::default();
        line.grant(1, Hold { deadline: 1, token: 1 });
        let returned = AtomicU32::new(0);
        Arc::new(Guarded { line, protected: UnsafeCell::new(0), returned })
    }

    fn inside(guarded: &Guarded) {
        // SAFETY: loom checks that nobody else is inside.
        guarded.protected.with_mut(|value| unsafe { *value += 1 });
    }

    /// Gives the lock back, by a message to the master once the lease is gone. Whether it is still there.
    fn give_back(guarded: &Guarded, token: u32) -> bool {
        let kept = guarded.line.unlock(1);
        if !kept {
            guarded.returned.store(token, Ordering::Release);
        }
        kept
    }

    #[test]
    fn a_recall_finds_the_lock_free_or_its_holder_and_never_both() {
        model(|| {
            let guarded = guarded();
            let other = Arc::clone(&guarded);
            let worker = loom::thread::spawn(move || {
                // Holds the lock by the grant, then takes it twice more if it can.
                for token in 1..4_u32 {
                    inside(&other);
                    if !give_back(&other, token) {
                        return Some(token);
                    }
                    let (deadline, token) = (u64::from(token) + 1, u64::from(token) + 1);
                    if !other.line.lock(1, Hold { deadline, token }) {
                        return None;
                    }
                }
                // It still holds the lock.
                Some(4)
            });
            let found = guarded.line.recall(1);
            let granted = match found {
                // Another has it at once.
                Recalled::Idle => true,
                Recalled::Held(hold) => {
                    // The words of one hold.
                    assert_eq!(hold.deadline, hold.token);
                    u64::from(guarded.returned.load(Ordering::Acquire)) == hold.token
                }
                Recalled::Broken => panic!("nobody scribbles"),
            };
            if granted {
                inside(&guarded);
            }
            let held = worker.join().expect("the worker");
            match found {
                Recalled::Held(hold) => assert_eq!(held.map(u64::from), Some(hold.token), "a hold was lost"),
                _ => assert_eq!(held, None, "two hold it"),
            }
        });
    }

    #[test]
    fn an_idle_lease_is_taken_or_locked() {
        model(|| {
            let guarded = guarded();
            assert!(guarded.line.unlock(1));
            let other = Arc::clone(&guarded);
            let worker = loom::thread::spawn(move || {
                let locked = other.line.lock(1, Hold { deadline: 2, token: 2 });
                if locked {
                    inside(&other);
                }
                locked
            });
            let taken = guarded.line.recall_idle(1);
            if taken {
                inside(&guarded);
            }
            assert_ne!(worker.join().expect("the worker"), taken);
        });
    }

    /// The line is granted anew; the worker learns of it by a message and still remembers the lease before.
    #[test]
    fn a_line_that_is_granted_anew_is_not_mistaken() {
        model(|| {
            let guarded = guarded();
            assert!(guarded.line.unlock(1));
            let other = Arc::clone(&guarded);
            let worker = loom::thread::spawn(move || {
                let locked = other.line.lock(1, Hold { deadline: 2, token: 2 });
                if locked {
                    other.line.unlock(1);
                }
                // Asks the master, and waits for the answer.
                other.returned.store(1, Ordering::Release);
                while other.returned.load(Ordering::Acquire) != 2 {
                    loom::thread::yield_now();
                }
                assert!(!other.line.lock(1, Hold { deadline: 3, token: 3 }), "a lease that is gone");
                assert!(!other.line.unlock(1));
            });
            guarded.line.recall(1);
            while guarded.returned.load(Ordering::Acquire) != 1 {
                loom::thread::yield_now();
            }
            let hold = Hold { deadline: 9, token: 9 };
            guarded.line.grant(2, hold);
            guarded.returned.store(2, Ordering::Release);
            worker.join().expect("the worker");
            assert_eq!(guarded.line.recall(2), Recalled::Held(hold));
        });
    }
}
