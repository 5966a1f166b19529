//! One writer, many readers that look without stopping it: a reader that may have seen half of a change looks again.
//! The number is odd while the writer changes what it guards.

use crate::sync::{AtomicU32, Ordering, fence};

/// Before the writer changes what `sequence` guards.
pub(crate) fn open(sequence: &AtomicU32) {
    sequence.store(sequence.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
    // Whoever sees a change below sees the odd number too.
    fence(Ordering::Release);
}

/// After it.
pub(crate) fn close(sequence: &AtomicU32) {
    sequence.store(sequence.load(Ordering::Relaxed).wrapping_add(1), Ordering::Release);
}

/// Before a reader looks; `None` while a change is under way.
#[inline]
pub(crate) fn look(sequence: &AtomicU32) -> Option<u32> {
    let seen = sequence.load(Ordering::Acquire);
    (seen & 1 == 0).then_some(seen)
}

/// Whether what was read since [`look`] was whole.
#[inline]
pub(crate) fn was_still(sequence: &AtomicU32, seen: u32) -> bool {
    // What was read came from before this.
    fence(Ordering::Acquire);
    sequence.load(Ordering::Relaxed) == seen
}

#[cfg(all(test, loom))]
mod models {
    use super::*;
    use loom::sync::Arc;

    /// Two words that are to be equal.
    #[derive(Default)]
    struct Pair {
        sequence: AtomicU32,
        words: [AtomicU32; 2],
    }

    fn write(pair: &Pair, value: u32) {
        open(&pair.sequence);
        for word in &pair.words {
            word.store(value, Ordering::Relaxed);
        }
        close(&pair.sequence);
    }

    fn read(pair: &Pair) -> Option<[u32; 2]> {
        let seen = look(&pair.sequence)?;
        let words = [pair.words[0].load(Ordering::Relaxed), pair.words[1].load(Ordering::Relaxed)];
        was_still(&pair.sequence, seen).then_some(words)
    }

    #[test]
    fn a_reader_sees_all_of_a_change_or_nothing() {
        crate::sync::model(|| {
            let pair = Arc::new(Pair::default());
            let other = Arc::clone(&pair);
            let writer = loom::thread::spawn(move || {
                write(&other, 1);
                write(&other, 2);
            });
            if let Some([one, two]) = read(&pair) {
                assert_eq!(one, two, "half of a change");
            }
            writer.join().expect("the writer");
            assert_eq!(read(&pair), Some([2, 2]));
        });
    }

    /// Memory that is taken from one place and given to another, as a table does with nodes.
    #[test]
    fn what_was_unlinked_and_used_again_is_not_believed() {
        #[derive(Default)]
        struct Two {
            one: AtomicU32,
            two: AtomicU32,
            /// Where the node is linked: 1 is here.
            links: [AtomicU32; 2],
            node: AtomicU32,
        }
        crate::sync::model(|| {
            let table = Arc::new(Two::default());
            table.links[0].store(1, Ordering::Relaxed);
            table.node.store(10, Ordering::Relaxed);
            let other = Arc::clone(&table);
            let writer = loom::thread::spawn(move || {
                open(&other.one);
                other.links[0].store(0, Ordering::Relaxed);
                close(&other.one);
                // The node is free: it is written for another bucket, outside of any lock.
                fence(Ordering::Release);
                other.node.store(20, Ordering::Relaxed);
                open(&other.two);
                other.links[1].store(1, Ordering::Relaxed);
                close(&other.two);
            });
            if let Some(seen) = look(&table.one) {
                let linked = table.links[0].load(Ordering::Relaxed);
                let value = table.node.load(Ordering::Relaxed);
                if was_still(&table.one, seen) && linked == 1 {
                    assert_eq!(value, 10, "another bucket's node");
                }
            }
            writer.join().expect("the writer");
        });
    }
}
