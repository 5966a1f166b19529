//! The segment of one worker: a header page, four rings, its cells and leases, and the two ends that the master
//! and the worker hold. Every access to the mapping is in this file.

use crate::cells::{self, Cells, Words};
use crate::claims;
pub use crate::claims::MAX_UNITS;
use crate::frames::{self, Frame};
use crate::leases::{Leases, Lines};
use crate::ring::{Consumer, Place, Positions, Producer};
pub use crate::scribble::scribble;
use crate::sync::{AtomicU32, AtomicU64, Ordering};
use crate::{Corrupt, Shared, sleep};
use rr_os::memory::{Mapping, Part};
use rr_wire::Header;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::Arc;

/// Bytes of a work ring where the config says nothing.
pub const DEFAULT_RING: usize = if cfg!(feature = "tiny") { 4096 } else { 256 * 1024 };

/// The unit of a wait that no cancellation ends.
pub const NOBODY: u32 = 0;

/// Which conversation a frame belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// Units of work and their replies.
    Work,
    /// RPC from PHP and the replies to it; logs.
    Call,
}

#[derive(Debug, Default)]
#[repr(C, align(64))]
struct Word(AtomicU32);

/// The first page of a segment.
#[repr(C)]
struct Page {
    rings: [Positions; 4],
    /// The worker sleeps, and why (`sleep`); also the futex it sleeps on.
    worker_sleeps: Word,
    /// The master waits for room in a ring towards the worker.
    master_waits: Word,
    /// The unit whose client has gone away.
    cancelled: Word,
    /// `sequence << 2 | state` of the units the worker holds, by `sequence % MAX_UNITS`.
    claims: [AtomicU64; MAX_UNITS],
}

// SAFETY: repr(C), only atomics, valid for any bytes (S4).
unsafe impl Shared for Page {}

const _: () = assert!(size_of::<Page>() <= 4096 && align_of::<Page>() <= 4096);

/// Indices of the rings in `Page::rings` and, plus one, of the parts of the mapping.
const WORK: usize = 0;
const REPLIES: usize = 1;
const CALLS: usize = 2;
const ANSWERS: usize = 3;
const CELLS: usize = 5;
const LEASES: usize = 6;

fn parts(ring: usize) -> Vec<Part> {
    let page = rr_os::memory::page_size();
    let calls = (ring / 4).max(page);
    let mut offset = page;
    let mut parts = vec![Part { offset: 0, length: page, twice: false }];
    for length in [ring, ring, calls, calls] {
        parts.push(Part { offset, length, twice: true });
        offset += length;
    }
    parts.push(Part { offset, length: cells::BYTES, twice: false });
    parts.push(Part { offset: offset + cells::BYTES, length: page, twice: false });
    parts
}

/// Whether `size` can be a ring: a power of two of at least one page and at most 1 GiB.
#[must_use]
pub fn is_ring_size(size: usize) -> bool {
    size.is_power_of_two() && size >= rr_os::memory::page_size() && size <= 1 << 30
}

/// The mapped memory, from either end.
pub(crate) struct Segment {
    mapping: Mapping,
    parts: Vec<Part>,
}

impl Segment {
    fn map(file: &impl AsFd, ring: usize) -> io::Result<Arc<Self>> {
        if !is_ring_size(ring) {
            let text = format!("a ring of {ring} bytes: expected a power of two from one page to 1 GiB");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        let parts = parts(ring);
        Ok(Arc::new(Self { mapping: Mapping::new(file, &parts)?, parts }))
    }

    fn page(&self) -> &Page {
        // SAFETY: part 0 is a page of the mapping that `self` owns (S1), large and aligned enough for `Page`
        // (checked at compile time), and any bytes are a valid `Page` (S4).
        unsafe { self.mapping.part(0).cast::<Page>().as_ref() }
    }

    pub(crate) fn words(&self) -> &Words {
        // SAFETY: the part is as long as `Words` (`parts`), on a page boundary, in the mapping that `self` owns
        // (S1), and any bytes are valid `Words` (S4).
        unsafe { self.mapping.part(CELLS).cast::<Words>().as_ref() }
    }

    pub(crate) fn lines(&self) -> &Lines {
        // SAFETY: the part is a page, large and aligned enough for `Lines` (checked at compile time), in the mapping
        // that `self` owns (S1), and any bytes are valid `Lines` (S4).
        unsafe { self.mapping.part(LEASES).cast::<Lines>().as_ref() }
    }

    fn ring(self: &Arc<Self>, index: usize) -> Bytes {
        let (bytes, capacity) = (self.mapping.part(index + 1), self.parts[index + 1].length);
        Bytes { segment: Arc::clone(self), index, bytes, capacity }
    }
}

/// One ring of a segment.
struct Bytes {
    segment: Arc<Segment>,
    index: usize,
    bytes: NonNull<u8>,
    capacity: usize,
}

// SAFETY: `bytes` points into the mapping of `segment`, which is held (S1) and can be used from any thread; a
// `Bytes` is owned by one producer or consumer.
unsafe impl Send for Bytes {}

impl Place for Bytes {
    fn positions(&self) -> &Positions {
        &self.segment.page().rings[self.index]
    }

    fn capacity(&self) -> usize {
        self.capacity
    }

    fn copy_in(&self, at: usize, bytes: &[u8]) {
        assert!(at < self.capacity && bytes.len() <= self.capacity, "a write outside a ring");
        // SAFETY: `at` is inside the mapping (S2, asserted).
        let target = unsafe { self.bytes.add(at) };
        // SAFETY: the ring is mapped twice in a row, so `at..at + length` is mapped (S2, asserted); the bytes
        // are ours to write (S3) and do not overlap the caller's slice, which is ordinary memory.
        unsafe { target.as_ptr().copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
    }

    fn copy_out(&self, at: usize, length: usize, into: &mut Vec<u8>) {
        assert!(at < self.capacity && length <= self.capacity, "a read outside a ring");
        into.reserve(length);
        let old = into.len();
        // SAFETY: `at` is inside the mapping (S2, asserted).
        let source = unsafe { self.bytes.add(at) };
        // SAFETY: `reserve` made room behind `old`.
        let target = unsafe { into.as_mut_ptr().add(old) };
        // SAFETY: `at..at + length` is mapped (S2, asserted) and readable; a peer that writes meanwhile makes
        // the copy garbage, which is checked after (S3).
        unsafe { target.copy_from_nonoverlapping(source.as_ptr(), length) };
        // SAFETY: `length` bytes behind `old` were just written.
        unsafe { into.set_len(old + length) };
    }
}

/// The master's end. Nothing here blocks.
pub struct MasterEnd {
    segment: Arc<Segment>,
    work: Producer<Bytes>,
    replies: Consumer<Bytes>,
    calls: Consumer<Bytes>,
    answers: Producer<Bytes>,
}

impl std::fmt::Debug for MasterEnd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MasterEnd").finish_non_exhaustive()
    }
}

/// Makes a segment with work rings of `ring` bytes; returns the master's end and the memory for the worker.
///
/// # Errors
/// A bad size, or out of memory, descriptors or mappings.
pub fn create(ring: usize) -> io::Result<(MasterEnd, OwnedFd)> {
    let size = parts(ring).iter().map(|part| part.length).sum();
    let file = rr_os::memory::sealed("roadrunner-worker", size)?;
    let segment = Segment::map(&file, ring)?;
    let end = MasterEnd {
        work: Producer::new(segment.ring(WORK)),
        replies: Consumer::new(segment.ring(REPLIES)),
        calls: Consumer::new(segment.ring(CALLS)),
        answers: Producer::new(segment.ring(ANSWERS)),
        segment,
    };
    Ok((end, file))
}

impl MasterEnd {
    /// The worker's cells.
    #[must_use]
    pub fn cells(&self) -> Cells {
        Cells::of(Arc::clone(&self.segment))
    }

    /// The worker's leases.
    #[must_use]
    pub fn leases(&self) -> Leases {
        Leases::of(Arc::clone(&self.segment))
    }

    /// The largest payload of a frame on `lane`.
    #[must_use]
    pub fn max_payload(&self, lane: Lane) -> usize {
        frames::max_payload(self.ring(lane).capacity())
    }

    fn ring(&self, lane: Lane) -> &Producer<Bytes> {
        match lane {
            Lane::Work => &self.work,
            Lane::Call => &self.answers,
        }
    }

    /// Writes a frame, or returns `false` and has the worker ring when there may be room. Does not wake the
    /// worker: [`MasterEnd::ring_worker`] does, once for many frames.
    ///
    /// # Errors
    /// The worker has broken the ring.
    pub fn send(&mut self, lane: Lane, header: Header, parts: [&[u8]; 2]) -> Result<bool, Corrupt> {
        let ring = match lane {
            Lane::Work => &mut self.work,
            Lane::Call => &mut self.answers,
        };
        if frames::send(ring, header, parts)? {
            return Ok(true);
        }
        let waits = &self.segment.page().master_waits.0;
        let mut sent = Ok(false);
        sleep::announce(waits, sleep::SPACE, || {
            sent = frames::send(ring, header, parts);
            matches!(sent, Ok(false))
        });
        sent
    }

    /// Takes the next frame of `lane`. The room it took is the worker's again; [`MasterEnd::freed`] says so to
    /// a worker that waits for it.
    ///
    /// # Errors
    /// The worker has broken the ring.
    pub fn receive(&mut self, lane: Lane) -> Result<Option<Frame>, Corrupt> {
        match lane {
            Lane::Work => frames::receive(&mut self.replies),
            Lane::Call => frames::receive(&mut self.calls),
        }
    }

    /// Wakes the worker if it waits for room.
    pub fn freed(&self) {
        self.wake(sleep::SPACE);
    }

    /// Wakes the worker if it waits for frames.
    pub fn ring_worker(&self) {
        self.wake(sleep::DATA);
    }

    fn wake(&self, reason: u32) {
        let word = &self.segment.page().worker_sleeps.0;
        if sleep::should_ring(word, reason) {
            // Only a bad address fails, and this one is mapped.
            let _ = rr_os::futex::wake(word);
        }
    }

    /// Offers unit `sequence`; to be called before its frame is sent.
    pub fn offer(&self, sequence: u32) {
        claims::offer(&self.segment.page().claims, sequence);
    }

    /// Takes unit `sequence` back unless the worker has started it.
    #[must_use]
    pub fn revoke(&self, sequence: u32) -> bool {
        claims::revoke(&self.segment.page().claims, sequence)
    }

    /// Tells the worker that nobody waits for unit `sequence` any more, and wakes it if it waits for room.
    pub fn cancel(&self, sequence: u32) {
        self.segment.page().cancelled.0.store(sequence, Ordering::Release);
        self.wake(sleep::SPACE | sleep::DATA);
    }
}

/// The worker's end. Blocks where it says so.
pub struct WorkerEnd {
    segment: Arc<Segment>,
    work: Consumer<Bytes>,
    replies: Producer<Bytes>,
    calls: Producer<Bytes>,
    answers: Consumer<Bytes>,
}

impl std::fmt::Debug for WorkerEnd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WorkerEnd").finish_non_exhaustive()
    }
}

/// Maps a segment that [`create`] made with the same `ring`.
///
/// # Errors
/// A wrong size, or out of address space.
pub fn attach(file: &impl AsFd, ring: usize) -> io::Result<WorkerEnd> {
    let segment = Segment::map(file, ring)?;
    Ok(WorkerEnd {
        work: Consumer::new(segment.ring(WORK)),
        replies: Producer::new(segment.ring(REPLIES)),
        calls: Producer::new(segment.ring(CALLS)),
        answers: Consumer::new(segment.ring(ANSWERS)),
        segment,
    })
}

impl WorkerEnd {
    /// This worker's cells.
    #[must_use]
    pub fn cells(&self) -> Cells {
        Cells::of(Arc::clone(&self.segment))
    }

    /// This worker's leases.
    #[must_use]
    pub fn leases(&self) -> Leases {
        Leases::of(Arc::clone(&self.segment))
    }

    /// The largest payload of a frame on `lane`.
    #[must_use]
    pub fn max_payload(&self, lane: Lane) -> usize {
        frames::max_payload(self.ring(lane).capacity())
    }

    /// The size of pieces for a long body on `lane`.
    #[must_use]
    pub fn piece(&self, lane: Lane) -> usize {
        frames::piece(self.ring(lane).capacity())
    }

    fn ring(&self, lane: Lane) -> &Producer<Bytes> {
        match lane {
            Lane::Work => &self.replies,
            Lane::Call => &self.calls,
        }
    }

    /// Writes a frame or returns `false`.
    ///
    /// # Errors
    /// The ring is broken.
    pub fn send(&mut self, lane: Lane, header: Header, parts: [&[u8]; 2]) -> Result<bool, Corrupt> {
        match lane {
            Lane::Work => frames::send(&mut self.replies, header, parts),
            Lane::Call => frames::send(&mut self.calls, header, parts),
        }
    }

    /// Takes the next frame of `lane`.
    ///
    /// # Errors
    /// The ring is broken.
    pub fn receive(&mut self, lane: Lane) -> Result<Option<Frame>, Corrupt> {
        match lane {
            Lane::Work => frames::receive(&mut self.work),
            Lane::Call => frames::receive(&mut self.answers),
        }
    }

    /// Whether the master waits for room that this side has just made; asking clears it.
    #[must_use]
    pub fn master_waits(&self) -> bool {
        sleep::should_ring(&self.segment.page().master_waits.0, sleep::SPACE)
    }

    /// Sleeps until the master rings for one of `reasons`, unless a frame or room for `wanted` bytes on `lane`
    /// is there, or `unit` has been cancelled. May return early.
    ///
    /// # Errors
    /// The ring is broken.
    pub fn wait(&mut self, lane: Lane, reasons: u32, wanted: usize, unit: u32) -> Result<(), Corrupt> {
        let word = &self.segment.page().worker_sleeps.0;
        let (consumer, producer) = match lane {
            Lane::Work => (&mut self.work, &mut self.replies),
            Lane::Call => (&mut self.answers, &mut self.calls),
        };
        // A cancel that came after the caller has looked must not be slept over.
        let gone = &self.segment.page().cancelled.0;
        let cancelled = || unit != NOBODY && gone.load(Ordering::Acquire) == unit;
        let mut seen = Ok(());
        let sleeps = sleep::announce(word, reasons, || {
            let idle = (|| {
                let data = reasons & sleep::DATA != 0 && consumer.available()? > 0;
                let space = reasons & sleep::SPACE != 0 && producer.free(wanted)? >= wanted;
                Ok(!data && !space && !cancelled())
            })();
            idle.unwrap_or_else(|error| {
                seen = Err(error);
                false
            })
        });
        if sleeps {
            rr_os::futex::wait(word, reasons, None);
            sleep::awake(word);
        }
        seen
    }

    /// Whether a frame is there on `lane`, for spinning.
    ///
    /// # Errors
    /// The ring is broken.
    pub fn has_frame(&mut self, lane: Lane) -> Result<bool, Corrupt> {
        let ring = match lane {
            Lane::Work => &mut self.work,
            Lane::Call => &mut self.answers,
        };
        Ok(ring.available()? > 0)
    }

    /// Starts unit `sequence`; `false` when the master has taken it back.
    #[must_use]
    pub fn start(&self, sequence: u32) -> bool {
        claims::start(&self.segment.page().claims, sequence)
    }

    /// Whether nobody waits for unit `sequence` any more.
    #[must_use]
    pub fn is_cancelled(&self, sequence: u32) -> bool {
        self.segment.page().cancelled.0.load(Ordering::Acquire) == sequence
    }
}

#[cfg(test)]
mod tests;
