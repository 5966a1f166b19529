//! The sleep protocol: a side that is about to sleep says so, looks again, and only then sleeps; the other side
//! publishes, looks whether somebody sleeps, and rings only then. One of the two always sees the other.

use crate::sync::{AtomicU32, Ordering, fence, put};

/// The sleeper waits for bytes to read.
pub const DATA: u32 = 1;
/// The sleeper waits for room to write.
pub const SPACE: u32 = 2;

/// Says on `word` that this side sleeps for `reasons`, then asks `idle` once more. `true`: sleep now (and call
/// [`awake`] after). `false`: there is something to do, and the word is clear again.
pub fn announce(word: &AtomicU32, reasons: u32, idle: impl FnOnce() -> bool) -> bool {
    put(word, reasons);
    // SYNC POINT: pairs with the fence in `should_ring`. Either we see what was published, or the other side
    // sees the word.
    fence(Ordering::SeqCst);
    let sleep = idle();
    if !sleep {
        awake(word);
    }
    sleep
}

/// Takes the word back.
pub fn awake(word: &AtomicU32) {
    put(word, 0);
}

/// To be asked after publishing: whether the other side sleeps for `reason` and this caller is the one to ring.
pub fn should_ring(word: &AtomicU32, reason: u32) -> bool {
    // SYNC POINT: pairs with the fence in `announce`.
    fence(Ordering::SeqCst);
    word.load(Ordering::Relaxed) & reason != 0 && word.swap(0, Ordering::Relaxed) & reason != 0
}
