//! A hash table in shared memory: the master writes, workers read without asking it. Buckets hold the heads of chains of
//! nodes; each bucket has a sequence lock. Workers map the table read-only, so that nothing they do can harm it; the
//! kernel refuses them anything else.
//!
//! ```text
//! page: header | buckets: sequence u32, head u32 | arena in units of 16 bytes: node, key, value | …
//! ```

use crate::Shared;
use crate::seqlock;
use rr_os::memory::{Mapping, Part, page_size};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering, fence};

/// Bytes of a unit of the arena.
pub(crate) const UNIT: usize = 16;
/// No node.
pub(crate) const NONE: u32 = 0;
/// Looks at a bucket that changes before a reader asks the master instead.
const LOOKS: u32 = 10_000;
/// Nodes of a chain between two looks at the bucket's sequence: a chain that changes under a reader may go in circles.
const STRIDE: u32 = 64;
/// The first word of a table.
const MAGIC: u64 = 0x5252_5441_424c_0001;

/// The first page.
#[repr(C)]
struct Header {
    magic: AtomicU64,
    buckets: AtomicU64,
    units: AtomicU64,
    seeds: [AtomicU64; 4],
}

#[repr(C)]
pub(crate) struct Bucket {
    pub(crate) sequence: AtomicU32,
    pub(crate) head: AtomicU32,
}

/// In front of a key and a value.
#[repr(C)]
pub(crate) struct Node {
    pub(crate) next: AtomicU32,
    pub(crate) kind: AtomicU32,
    pub(crate) hash: AtomicU64,
    /// Milliseconds of the monotonic clock when it ends; 0: never.
    pub(crate) expires: AtomicU64,
    pub(crate) key: AtomicU32,
    pub(crate) value: AtomicU32,
    /// Neighbours by age, for the writer.
    pub(crate) older: AtomicU32,
    pub(crate) newer: AtomicU32,
}

pub(crate) const NODE: usize = size_of::<Node>();

// SAFETY: repr(C), only atomics, valid for any bytes (S4).
unsafe impl Shared for Header {}
// SAFETY: as above.
unsafe impl Shared for Bucket {}
// SAFETY: as above.
unsafe impl Shared for Node {}

const _: () = assert!(NODE == 40 && align_of::<Node>() <= 8);

/// Keys begin behind the node, values at the next multiple of 8 behind the key.
pub(crate) const fn value_at(key: usize) -> usize {
    NODE + key.next_multiple_of(8)
}

/// Units of a node with its key and value.
pub(crate) fn units(key: usize, value: usize) -> Option<u32> {
    let bytes = value_at(key).checked_add(value.checked_next_multiple_of(8)?)?;
    u32::try_from(bytes.div_ceil(UNIT)).ok()
}

/// The descriptors of a table, for the processes that read it.
#[derive(Debug)]
pub struct Files {
    /// The table; can be mapped for reading only.
    pub table: OwnedFd,
    /// A byte per bucket, set by who has read there, for the choice of what leaves first.
    pub touched: OwnedFd,
}

/// The mapped memory.
pub(crate) struct Memory {
    mapping: Mapping,
    _touched: Mapping,
    /// Into the mappings: looked up once, because a reader needs all three each time.
    buckets: NonNull<Bucket>,
    arena: NonNull<u8>,
    marks: NonNull<AtomicU8>,
    mask: u64,
    units: u32,
    hasher: ahash::RandomState,
}

// SAFETY: the addresses lead into the mappings beside them (S1), which can be used from any thread.
unsafe impl Send for Memory {}
// SAFETY: what is behind them is atomics, or bytes under the rules of S3.
unsafe impl Sync for Memory {}

impl std::fmt::Debug for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Memory").field("mask", &self.mask).field("units", &self.units).finish()
    }
}

fn parts(buckets: usize, units: u32) -> [Part; 3] {
    let page = page_size();
    let table = (buckets * size_of::<Bucket>()).next_multiple_of(page);
    let arena = (units as usize * UNIT).next_multiple_of(page);
    [
        Part { offset: 0, length: page, twice: false },
        Part { offset: page, length: table, twice: false },
        Part { offset: page + table, length: arena, twice: false },
    ]
}

fn whole(length: usize) -> Part {
    Part { offset: 0, length: length.next_multiple_of(page_size()), twice: false }
}

impl Memory {
    /// Makes a table with `units` of 16 bytes for nodes.
    pub(crate) fn create(buckets: usize, units: u32, seeds: [u64; 4]) -> io::Result<(Self, Files)> {
        let parts = parts(buckets, units);
        let size = parts.iter().map(|part| part.length).sum();
        let table = rr_os::memory::unsealed("roadrunner-kv", size)?;
        let mapping = Mapping::new(&table, &parts)?;
        // From here on nobody can map it for writing, and this mapping stays as it is.
        rr_os::memory::seal_writes(&table)?;
        let touched = rr_os::memory::sealed("roadrunner-kv-use", whole(buckets).length)?;
        let marks = Mapping::new(&touched, &[whole(buckets)])?;
        let memory = Self::of(mapping, marks, buckets as u64, units, seeds);
        let header = memory.header();
        for (word, seed) in header.seeds.iter().zip(seeds) {
            word.store(seed, Ordering::Relaxed);
        }
        header.buckets.store(buckets as u64, Ordering::Relaxed);
        header.units.store(u64::from(units), Ordering::Relaxed);
        header.magic.store(MAGIC, Ordering::Release);
        Ok((memory, Files { table, touched }))
    }

    fn attach(table: &impl AsFd, touched: &impl AsFd) -> io::Result<Self> {
        let wrong = |text: &str| io::Error::new(io::ErrorKind::InvalidData, text.to_owned());
        let first = Mapping::read_only(table, &[whole(1)])?;
        // SAFETY: a page of a mapping that lives to the end of this function (S1), any bytes are a `Header` (S4).
        let header = unsafe { first.part(0).cast::<Header>().as_ref() };
        if header.magic.load(Ordering::Acquire) != MAGIC {
            return Err(wrong("no table of this version"));
        }
        let buckets = header.buckets.load(Ordering::Relaxed);
        let units = u32::try_from(header.units.load(Ordering::Relaxed)).map_err(io::Error::other)?;
        let seeds = [0, 1, 2, 3].map(|at: usize| header.seeds[at].load(Ordering::Relaxed));
        let count = usize::try_from(buckets).map_err(io::Error::other)?;
        if !count.is_power_of_two() || count > 1 << 30 {
            return Err(wrong("a table with an odd number of buckets"));
        }
        // Checks that the file is as large as that.
        let mapping = Mapping::read_only(table, &parts(count, units))?;
        let marks = Mapping::new(touched, &[whole(count)])?;
        Ok(Self::of(mapping, marks, buckets, units, seeds))
    }

    fn of(mapping: Mapping, touched: Mapping, buckets: u64, units: u32, seeds: [u64; 4]) -> Self {
        let [a, b, c, d] = seeds;
        let hasher = ahash::RandomState::with_seeds(a, b, c, d);
        Self {
            buckets: mapping.part(1).cast(),
            arena: mapping.part(2),
            marks: touched.part(0).cast(),
            mapping,
            _touched: touched,
            mask: buckets - 1,
            units,
            hasher,
        }
    }

    fn header(&self) -> &Header {
        // SAFETY: part 0 is a page of the mapping that `self` owns (S1), and any bytes are a `Header` (S4).
        unsafe { self.mapping.part(0).cast::<Header>().as_ref() }
    }

    /// Bytes of the arena.
    pub(crate) fn arena(&self) -> usize {
        self.units as usize * UNIT
    }

    /// The unit at an address inside the arena.
    pub(crate) fn unit_of(&self, at: NonNull<u8>) -> Option<u32> {
        let start = self.arena.as_ptr() as usize;
        u32::try_from((at.as_ptr() as usize).checked_sub(start)? / UNIT).ok()
    }

    pub(crate) fn buckets(&self) -> u64 {
        self.mask + 1
    }

    #[inline]
    pub(crate) fn hash(&self, key: &[u8]) -> u64 {
        self.hasher.hash_one(key)
    }

    #[inline]
    pub(crate) fn index(&self, hash: u64) -> u64 {
        hash & self.mask
    }

    #[inline]
    pub(crate) fn bucket(&self, index: u64) -> &Bucket {
        let at = usize::try_from(index & self.mask).unwrap_or(0);
        // SAFETY: the mask keeps it inside part 1, which `self` owns (S1, S2).
        let bucket = unsafe { self.buckets.add(at) };
        // SAFETY: as above, aligned, and any bytes are a `Bucket` (S4).
        unsafe { bucket.as_ref() }
    }

    /// `None`: not inside the arena.
    #[inline]
    pub(crate) fn node(&self, unit: u32) -> Option<&Node> {
        let fits = unit != NONE && u64::from(unit) + NODE.div_ceil(UNIT) as u64 <= u64::from(self.units);
        if !fits {
            return None;
        }
        // SAFETY: `unit` is inside part 2, which `self` owns (S1, S2).
        let node = unsafe { self.arena.add(unit as usize * UNIT).cast::<Node>() };
        // SAFETY: all of it is inside (checked), aligned to a unit, and any bytes are a `Node` (S4).
        Some(unsafe { node.as_ref() })
    }

    /// Where `length` bytes are, `offset` behind the start of `unit`; `None`: not inside the arena.
    #[inline]
    pub(crate) fn bytes(&self, unit: u32, offset: usize, length: usize) -> Option<NonNull<u8>> {
        let at = (unit as usize).checked_mul(UNIT)?.checked_add(offset)?;
        let fits = at.checked_add(length)? <= self.units as usize * UNIT;
        // SAFETY: inside part 2 (checked), which `self` owns (S1, S2).
        fits.then(|| unsafe { self.arena.add(at) })
    }

    /// Whether the key of `unit` is `key`. Its bytes may change meanwhile.
    #[inline]
    pub(crate) fn has_key(&self, unit: u32, key: &[u8]) -> bool {
        // Up to the next multiple of 8: the value begins there.
        let Some(start) = self.bytes(unit, NODE, key.len().next_multiple_of(8)) else { return false };
        let words = start.cast::<u64>();
        let read = |at: usize| {
            // SAFETY: inside the arena (checked above), aligned to 8 because units and nodes are.
            let word = unsafe { words.add(at) };
            // SAFETY: as above; a volatile read of memory that the writer may change gives some bytes (S3).
            unsafe { word.as_ptr().read_volatile() }
        };
        let (chunks, rest) = key.as_chunks::<8>();
        if !chunks.iter().enumerate().all(|(at, chunk)| read(at) == u64::from_ne_bytes(*chunk)) {
            return false;
        }
        if rest.is_empty() {
            return true;
        }
        // By hand: up to 7 bytes are not worth a call.
        let last = rest.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
        let mask = u64::MAX >> (64 - 8 * rest.len());
        u64::from_le(read(chunks.len())) & mask == last
    }

    /// Copies the value of `unit` out. Its bytes may change meanwhile.
    #[inline]
    pub(crate) fn copy_value(&self, unit: u32, key: usize, into: &mut [u8]) -> bool {
        let Some(start) = self.bytes(unit, value_at(key), into.len()) else { return false };
        // SAFETY: inside the arena (checked); the target is ordinary memory; a writer meanwhile makes the copy garbage,
        // which the caller checks for before it believes it (S3).
        unsafe { into.as_mut_ptr().copy_from_nonoverlapping(start.as_ptr(), into.len()) };
        true
    }

    /// Writes bytes; for the writer only.
    pub(crate) fn put_bytes(&self, unit: u32, offset: usize, bytes: &[u8]) {
        let Some(start) = self.bytes(unit, offset, bytes.len()) else { return };
        // SAFETY: inside the arena (checked), which only the writer writes, and only where no bucket leads (S3).
        unsafe { start.as_ptr().copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
    }

    #[inline]
    pub(crate) fn mark(&self, index: u64) -> &AtomicU8 {
        let at = usize::try_from(index & self.mask).unwrap_or(0);
        // SAFETY: the mask keeps it inside of the mapping, which `self` owns (S1, S2).
        let mark = unsafe { self.marks.add(at) };
        // SAFETY: as above; any byte is an `AtomicU8` (S4).
        unsafe { mark.as_ref() }
    }
}

/// What a reader has found.
#[derive(Debug, Clone, Copy)]
pub struct Found {
    /// What kind of value it is, in the owner's terms.
    pub kind: u32,
    /// Bytes of the value.
    pub length: usize,
    /// Milliseconds of the monotonic clock when it ends; 0: never.
    pub expires: u64,
    index: u64,
    seen: u32,
    unit: u32,
    key: usize,
}

/// A look that came to no end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Busy;

/// A worker's view of a table.
#[derive(Debug)]
pub struct Reader {
    memory: Memory,
}

impl Reader {
    /// Maps a table.
    ///
    /// # Errors
    /// The memory is no table, or cannot be mapped.
    pub fn attach(table: &impl AsFd, touched: &impl AsFd) -> io::Result<Self> {
        Ok(Self { memory: Memory::attach(table, touched)? })
    }

    /// Gives the value of a key to `room`, which makes room for it: its kind and length in, where it goes out; `None` there
    /// ends the look. `false`: there is no such key, or the long way has to be gone.
    ///
    /// What `room` has given may hold anything unless this returns `true`.
    #[inline]
    pub fn read_into<'a>(
        &self,
        key: &[u8],
        now: impl Fn() -> u64,
        room: impl FnOnce(u32, usize) -> Option<&'a mut [u8]>,
    ) -> bool {
        match self.find(key, now) {
            Ok(Some(found)) => room(found.kind, found.length).is_some_and(|into| self.copy(&found, into)),
            Ok(None) | Err(Busy) => false,
        }
    }

    /// Looks for a key. `now`: milliseconds of the monotonic clock, asked for only where the value ends some time.
    ///
    /// # Errors
    /// The bucket kept changing; the master knows better.
    pub fn find(&self, key: &[u8], now: impl Fn() -> u64) -> Result<Option<Found>, Busy> {
        let memory = &self.memory;
        let hash = memory.hash(key);
        let index = memory.index(hash);
        let bucket = memory.bucket(index);
        for _ in 0..LOOKS {
            let Some(seen) = seqlock::look(&bucket.sequence) else {
                std::hint::spin_loop();
                continue;
            };
            let found = self.walk(bucket, index, seen, hash, key);
            if !seqlock::was_still(&bucket.sequence, seen) {
                continue;
            }
            return Ok(found.filter(|found| found.expires == 0 || found.expires > now()));
        }
        Err(Busy)
    }

    #[inline]
    fn walk(&self, bucket: &Bucket, index: u64, seen: u32, hash: u64, key: &[u8]) -> Option<Found> {
        let memory = &self.memory;
        let mut unit = bucket.head.load(Ordering::Relaxed);
        let mut steps = 0;
        while let Some(node) = memory.node(unit) {
            let same = node.hash.load(Ordering::Relaxed) == hash
                && node.key.load(Ordering::Relaxed) as usize == key.len()
                && memory.has_key(unit, key);
            if same {
                return Some(Found {
                    kind: node.kind.load(Ordering::Relaxed),
                    length: node.value.load(Ordering::Relaxed) as usize,
                    expires: node.expires.load(Ordering::Relaxed),
                    index,
                    seen,
                    unit,
                    key: key.len(),
                });
            }
            unit = node.next.load(Ordering::Relaxed);
            steps += 1;
            if steps % STRIDE == 0 && !seqlock::was_still(&bucket.sequence, seen) {
                return None;
            }
        }
        None
    }

    /// Copies the value that was found into `into`, which has its length; `false`: it has changed since, and what is in
    /// `into` is of no use.
    #[inline]
    #[must_use]
    pub fn copy(&self, found: &Found, into: &mut [u8]) -> bool {
        let memory = &self.memory;
        let copied = into.len() == found.length && memory.copy_value(found.unit, found.key, into);
        if !copied || !seqlock::was_still(&memory.bucket(found.index).sequence, found.seen) {
            return false;
        }
        let mark = memory.mark(found.index);
        // A line that many processes write is slow for all of them.
        if mark.load(Ordering::Relaxed) == 0 {
            mark.store(1, Ordering::Relaxed);
        }
        true
    }
}

/// Orders what is written to free memory behind what has freed it.
pub(crate) fn before_reuse() {
    fence(Ordering::Release);
}
