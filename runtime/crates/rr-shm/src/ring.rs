//! A byte ring with one producer and one consumer who do not trust each other. Each side keeps its own position
//! privately and publishes a copy; what the other side published is checked against it at every look.

use crate::Corrupt;
use crate::sync::{AtomicU64, Ordering};

/// A published position, alone on its cache line. Counts bytes since the ring was made and never wraps.
#[derive(Debug, Default)]
#[repr(C, align(64))]
pub struct Position(AtomicU64);

/// The two positions of a ring.
#[derive(Debug, Default)]
#[repr(C)]
pub struct Positions {
    /// Stored by the producer.
    pub written: Position,
    /// Stored by the consumer.
    pub read: Position,
}

// SAFETY: repr(C), two aligned atomics, valid for any bytes (S4).
unsafe impl crate::Shared for Positions {}

/// Where the bytes and positions of a ring are.
pub trait Place {
    /// The published positions.
    fn positions(&self) -> &Positions;
    /// Bytes of the ring; a power of two.
    fn capacity(&self) -> usize;
    /// Copies `bytes` to position `at` (below the capacity), wrapping around.
    fn copy_in(&self, at: usize, bytes: &[u8]);
    /// Copies `length` bytes from position `at` (below the capacity) to the end of `into`, wrapping around.
    fn copy_out(&self, at: usize, length: usize, into: &mut Vec<u8>);
}

/// The writing end.
#[derive(Debug)]
pub struct Producer<P> {
    place: P,
    written: u64,
    read: u64,
}

impl<P: Place> Producer<P> {
    /// The writing end of a fresh ring.
    pub fn new(place: P) -> Self {
        Self { place, written: 0, read: 0 }
    }

    /// Bytes of the ring.
    pub fn capacity(&self) -> usize {
        self.place.capacity()
    }

    /// Bytes that can be written now, at least. Looks at the other side only when `wanted` is not known to fit.
    ///
    /// # Errors
    /// The consumer's position is impossible.
    pub fn free(&mut self, wanted: usize) -> Result<usize, Corrupt> {
        let room = |this: &Self| this.capacity() - usize::try_from(this.written - this.read).unwrap_or(0);
        if room(self) < wanted {
            // ORDER: pairs with the store in `Consumer::advance`; its reads of our bytes happened before.
            let read = self.place.positions().read.0.load(Ordering::Acquire);
            if read < self.read || read > self.written {
                return Err(Corrupt::Position {
                    which: "read",
                    found: read,
                    low: self.read,
                    high: self.written,
                });
            }
            self.read = read;
        }
        Ok(room(self))
    }

    /// Writes `parts` one behind the other and publishes them together, or writes nothing and returns `false`.
    ///
    /// # Errors
    /// The consumer's position is impossible.
    pub fn push(&mut self, parts: &[&[u8]]) -> Result<bool, Corrupt> {
        let total: usize = parts.iter().map(|part| part.len()).sum();
        if self.free(total)? < total {
            return Ok(false);
        }
        let mask = self.capacity() as u64 - 1;
        let mut at = self.written;
        for part in parts {
            self.place.copy_in(usize::try_from(at & mask).unwrap_or(0), part);
            at += part.len() as u64;
        }
        self.written = at;
        // ORDER: pairs with the load in `Consumer::available`; the bytes above are visible with the position.
        self.place.positions().written.0.store(at, Ordering::Release);
        Ok(true)
    }
}

/// The reading end.
#[derive(Debug)]
pub struct Consumer<P> {
    place: P,
    read: u64,
    written: u64,
}

impl<P: Place> Consumer<P> {
    /// The reading end of a fresh ring.
    pub fn new(place: P) -> Self {
        Self { place, read: 0, written: 0 }
    }

    /// Bytes of the ring.
    pub fn capacity(&self) -> usize {
        self.place.capacity()
    }

    /// Bytes that can be read now.
    ///
    /// # Errors
    /// The producer's position is impossible.
    pub fn available(&mut self) -> Result<usize, Corrupt> {
        // ORDER: pairs with the store in `Producer::push`.
        let written = self.place.positions().written.0.load(Ordering::Acquire);
        let high = self.read + self.capacity() as u64;
        if written < self.written || written > high {
            return Err(Corrupt::Position { which: "written", found: written, low: self.written, high });
        }
        self.written = written;
        Ok(usize::try_from(written - self.read).unwrap_or(0))
    }

    /// Copies `length` bytes that start `skip` bytes behind the reading position to the end of `into`. The
    /// caller has seen them [`Consumer::available`].
    pub fn peek(&self, skip: usize, length: usize, into: &mut Vec<u8>) {
        debug_assert!(skip + length <= self.capacity());
        let at = (self.read + skip as u64) & (self.capacity() as u64 - 1);
        self.place.copy_out(usize::try_from(at).unwrap_or(0), length, into);
    }

    /// Gives `length` bytes back to the producer.
    pub fn advance(&mut self, length: usize) {
        self.read += length as u64;
        // ORDER: pairs with the load in `Producer::free`; our copies of the bytes are done.
        self.place.positions().read.0.store(self.read, Ordering::Release);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::cell::RefCell;
    use std::collections::VecDeque;
    use std::rc::Rc;

    /// A ring in ordinary memory, for one thread.
    #[derive(Debug, Clone)]
    struct Heap(Rc<(Positions, RefCell<Vec<u8>>)>);

    impl Heap {
        fn new(capacity: usize) -> Self {
            Self(Rc::new((Positions::default(), RefCell::new(vec![0; capacity]))))
        }
    }

    impl Place for Heap {
        fn positions(&self) -> &Positions {
            &self.0.0
        }
        fn capacity(&self) -> usize {
            self.0.1.borrow().len()
        }
        fn copy_in(&self, at: usize, bytes: &[u8]) {
            let mut ring = self.0.1.borrow_mut();
            let capacity = ring.len();
            bytes.iter().enumerate().for_each(|(index, byte)| ring[(at + index) % capacity] = *byte);
        }
        fn copy_out(&self, at: usize, length: usize, into: &mut Vec<u8>) {
            let ring = self.0.1.borrow();
            into.extend((at..at + length).map(|index| ring[index % ring.len()]));
        }
    }

    proptest! {
        /// The ring is a queue of bytes, whatever the order of pushes and reads.
        #[test]
        fn a_ring_is_a_queue(steps in proptest::collection::vec((any::<bool>(), 0..20_usize), 1..200)) {
            let heap = Heap::new(16);
            let (mut producer, mut consumer) = (Producer::new(heap.clone()), Consumer::new(heap));
            let (mut model, mut next) = (VecDeque::new(), 0_u8);
            for (write, length) in steps {
                if write {
                    let bytes: Vec<u8> = (0..length).map(|_| { next = next.wrapping_add(1); next }).collect();
                    let (left, right) = bytes.split_at(length / 2);
                    let fits = model.len() + length <= 16;
                    prop_assert_eq!(producer.push(&[left, right]), Ok(fits));
                    if fits { model.extend(bytes) } else { next = next.wrapping_sub(length.to_le_bytes()[0]) }
                } else {
                    let available = consumer.available().expect("sound");
                    prop_assert_eq!(available, model.len());
                    let take = length.min(available);
                    let mut bytes = Vec::new();
                    consumer.peek(0, take, &mut bytes);
                    consumer.advance(take);
                    prop_assert_eq!(bytes, model.drain(..take).collect::<Vec<_>>());
                }
            }
        }

        /// Whatever the peer publishes, this side gets bytes inside the ring or an error.
        #[test]
        fn impossible_positions_are_errors(positions in proptest::collection::vec(any::<u64>(), 1..40)) {
            let heap = Heap::new(16);
            let (mut producer, mut consumer) = (Producer::new(heap.clone()), Consumer::new(heap.clone()));
            for position in positions {
                heap.positions().read.0.store(position, Ordering::Relaxed);
                if let Ok(free) = producer.free(16) { prop_assert!(free <= 16) }
                heap.positions().written.0.store(position, Ordering::Relaxed);
                if let Ok(available) = consumer.available() { prop_assert!(available <= 16) }
            }
        }
    }
}

/// `RUSTFLAGS="--cfg loom" cargo test -p rr-shm --release --lib`
#[cfg(all(test, loom))]
mod loom_tests {
    use super::*;
    use crate::sleep;
    use crate::sync::{AtomicU32, Parking, model};
    use loom::cell::UnsafeCell;
    use loom::sync::Arc;

    const CAPACITY: usize = 2;

    struct Model {
        positions: Positions,
        bytes: [UnsafeCell<u8>; CAPACITY],
        sleeping: AtomicU32,
        parking: Parking,
    }

    #[derive(Clone)]
    struct Heap(Arc<Model>);

    impl Heap {
        fn new() -> Self {
            Self(Arc::new(Model {
                positions: Positions::default(),
                bytes: [UnsafeCell::new(0), UnsafeCell::new(0)],
                sleeping: AtomicU32::new(0),
                parking: Parking::default(),
            }))
        }
    }

    impl Place for Heap {
        fn positions(&self) -> &Positions {
            &self.0.positions
        }
        fn capacity(&self) -> usize {
            CAPACITY
        }
        fn copy_in(&self, at: usize, bytes: &[u8]) {
            for (index, byte) in bytes.iter().enumerate() {
                // SAFETY: loom checks that nobody else accesses the cell (S3).
                self.0.bytes[(at + index) % CAPACITY].with_mut(|cell| unsafe { *cell = *byte });
            }
        }
        fn copy_out(&self, at: usize, length: usize, into: &mut Vec<u8>) {
            for index in at..at + length {
                // SAFETY: loom checks that nobody writes the cell (S3).
                into.push(self.0.bytes[index % CAPACITY].with(|cell| unsafe { *cell }));
            }
        }
    }

    /// Three bytes through a ring of two, no byte torn or lost, in every interleaving.
    #[test]
    fn bytes_arrive_in_order() {
        model(|| {
            let heap = Heap::new();
            let mut producer = Producer::new(heap.clone());
            let writer = loom::thread::spawn(move || {
                for byte in 1..=3_u8 {
                    while !producer.push(&[&[byte]]).expect("sound") {
                        loom::thread::yield_now();
                    }
                }
            });
            let mut consumer = Consumer::new(heap);
            let mut seen = Vec::new();
            while seen.len() < 3 {
                let available = consumer.available().expect("sound");
                if available == 0 {
                    loom::thread::yield_now();
                }
                consumer.peek(0, available, &mut seen);
                consumer.advance(available);
            }
            writer.join().expect("writer");
            assert_eq!(seen, [1, 2, 3]);
        });
    }

    /// A consumer that sleeps when the ring is empty is always woken: if a wake-up could be lost, loom would
    /// find the deadlock.
    #[test]
    fn no_wake_up_is_lost() {
        model(|| {
            let heap = Heap::new();
            let mut producer = Producer::new(heap.clone());
            let bell = heap.clone();
            let writer = loom::thread::spawn(move || {
                for byte in 1..=2_u8 {
                    assert!(producer.push(&[&[byte]]).expect("sound"));
                    if sleep::should_ring(&bell.0.sleeping, sleep::DATA) {
                        bell.0.parking.unpark();
                    }
                }
            });
            let mut consumer = Consumer::new(heap.clone());
            let mut seen = 0;
            while seen < 2 {
                let available = consumer.available().expect("sound");
                if available > 0 {
                    consumer.advance(available);
                    seen += available;
                } else if sleep::announce(&heap.0.sleeping, sleep::DATA, || {
                    consumer.available().expect("sound") == 0
                }) {
                    heap.0.parking.park();
                    sleep::awake(&heap.0.sleeping);
                }
            }
            writer.join().expect("writer");
        });
    }
}
