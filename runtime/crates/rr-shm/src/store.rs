//! The writing end of a [`crate::table`]: allocation, eviction, expiry. Everything it knows of nodes it has written
//! itself, and nobody else can write them.

use crate::arena::Arena;
use crate::seqlock;
use crate::table::{Files, Memory, NODE, NONE, Node, UNIT, before_reuse, units, value_at};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// The longest key, in bytes.
pub const MAX_KEY: usize = 64 * 1024;

/// What leaves when there is no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Eviction {
    /// What was not read for a while.
    Lru,
    /// What was written first.
    Fifo,
    /// Nothing: there is no room.
    None,
}

/// There is no room for a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Full {
    /// It is larger than what a value may be here.
    #[error("a key or value of {size} bytes is larger than a storage of {limit} bytes can hold")]
    TooLarge {
        /// Bytes of the key and the value.
        size: usize,
        /// Bytes of the storage.
        limit: usize,
    },
    /// Nothing may leave for it.
    #[error("the storage is full ({limit} bytes)")]
    NoRoom {
        /// Bytes of the storage.
        limit: usize,
    },
}

/// An entry, as the writer sees it.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    /// What kind of value it is, in the owner's terms.
    pub kind: u32,
    /// The value.
    pub value: &'a [u8],
    /// Milliseconds of the monotonic clock when it ends; 0: never.
    pub expires: u64,
}

/// The writing end.
pub struct Store {
    memory: Arc<Memory>,
    arena: Arena,
    limit: usize,
    eviction: Eviction,
    oldest: u32,
    newest: u32,
    count: usize,
    used: usize,
    evicted: u64,
    /// Entries that end, soonest first; those that are not there any more are found out when their time comes.
    deadlines: BinaryHeap<Reverse<(u64, u32)>>,
    /// Entries that end.
    mortal: usize,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("count", &self.count).field("used", &self.used).finish_non_exhaustive()
    }
}

impl Store {
    /// Makes a table for `limit` bytes of keys and values with their nodes, and gives the descriptors for its readers.
    ///
    /// # Errors
    /// Out of memory or descriptors.
    pub fn create(limit: usize, eviction: Eviction, seeds: [u64; 4]) -> io::Result<(Self, Files)> {
        let units = u32::try_from(limit.div_ceil(UNIT) + 64)
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "a storage is 64 GiB at most"))?;
        let buckets = (limit / 256).next_power_of_two().clamp(1 << 10, 1 << 26);
        let (memory, files) = Memory::create(buckets, units, seeds)?;
        let memory = Arc::new(memory);
        let store = Self {
            arena: Arena::new(Arc::clone(&memory)),
            memory,
            limit,
            eviction,
            oldest: NONE,
            newest: NONE,
            count: 0,
            used: 0,
            evicted: 0,
            deadlines: BinaryHeap::new(),
            mortal: 0,
        };
        Ok((store, files))
    }

    /// Entries, those that have ended and were not swept included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Bytes that entries take.
    #[must_use]
    pub fn used(&self) -> usize {
        self.used
    }

    /// Entries that had to leave for others.
    #[must_use]
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    fn node(&self, unit: u32) -> &Node {
        match self.memory.node(unit) {
            Some(node) => node,
            // Units come from the allocator and from links that this end has written.
            None => unreachable!("node {unit} of a table is outside of it"),
        }
    }

    fn find(&self, hash: u64, key: &[u8]) -> Option<u32> {
        let mut unit = get(&self.memory.bucket(self.memory.index(hash)).head);
        while unit != NONE {
            let node = self.node(unit);
            if node.hash.load(Ordering::Relaxed) == hash
                && get(&node.key) as usize == key.len()
                && self.memory.has_key(unit, key)
            {
                return Some(unit);
            }
            unit = get(&node.next);
        }
        None
    }

    /// The entry of a key that has not ended.
    #[must_use]
    pub fn get(&self, key: &[u8], now: u64) -> Option<Entry<'_>> {
        let unit = self.find(self.memory.hash(key), key)?;
        let entry = self.entry(unit);
        (entry.expires == 0 || entry.expires > now).then_some(entry)
    }

    fn entry(&self, unit: u32) -> Entry<'_> {
        let node = self.node(unit);
        let (key, length) = (get(&node.key) as usize, get(&node.value) as usize);
        let value = match self.memory.bytes(unit, value_at(key), length) {
            // SAFETY: inside the arena (checked); only this end writes it, which needs `&mut self`.
            Some(start) => unsafe { std::slice::from_raw_parts(start.as_ptr(), length) },
            None => &[],
        };
        Entry { kind: get(&node.kind), value, expires: node.expires.load(Ordering::Relaxed) }
    }

    /// Sets a key. What was there before is gone only if there is room.
    ///
    /// # Errors
    /// There is no room.
    pub fn set(&mut self, key: &[u8], kind: u32, value: &[u8], expires: u64) -> Result<(), Full> {
        let too_large = Full::TooLarge { size: key.len().saturating_add(value.len()), limit: self.limit };
        let size = units(key.len(), value.len()).filter(|_| key.len() <= MAX_KEY).ok_or(too_large)?;
        if size as usize * UNIT > self.limit {
            return Err(too_large);
        }
        let hash = self.memory.hash(key);
        let unit = self.allocate(size, hash, key)?;
        // Others may still read what was here.
        before_reuse();
        let node = self.node(unit);
        node.hash.store(hash, Ordering::Relaxed);
        node.expires.store(expires, Ordering::Relaxed);
        put(&node.key, u32::try_from(key.len()).unwrap_or(0));
        put(&node.value, u32::try_from(value.len()).unwrap_or(0));
        put(&node.kind, kind);
        self.memory.put_bytes(unit, NODE, key);
        self.memory.put_bytes(unit, value_at(key.len()), value);
        let old = self.find(hash, key);
        let index = self.memory.index(hash);
        // One change for both, so that no reader finds the key gone.
        {
            let bucket = self.memory.bucket(index);
            let head = get(&bucket.head);
            seqlock::open(&bucket.sequence);
            put(&node.next, head);
            put(&bucket.head, unit);
            if let Some(old) = old {
                self.unlink(index, old);
            }
            seqlock::close(&bucket.sequence);
        }
        if let Some(old) = old {
            self.free(old);
        }
        self.append(unit);
        self.count += 1;
        self.used += size as usize * UNIT;
        self.mortal += usize::from(expires != 0);
        self.note(expires, unit);
        Ok(())
    }

    /// Room for `size` units; older entries leave for it, the key's own first.
    fn allocate(&mut self, size: u32, hash: u64, key: &[u8]) -> Result<u32, Full> {
        // Every entry twice: once for its mark, once to leave.
        let mut turns = 2 * self.count + 1;
        loop {
            if let Some(unit) = self.arena.allocate(size) {
                return Ok(unit);
            }
            if self.eviction == Eviction::None {
                // The value that it replaces may leave, if it is enough.
                let old = self.find(hash, key).ok_or(Full::NoRoom { limit: self.limit })?;
                let node = self.node(old);
                let had = units(get(&node.key) as usize, get(&node.value) as usize).unwrap_or(0);
                if had < size {
                    return Err(Full::NoRoom { limit: self.limit });
                }
                self.remove(old);
                continue;
            }
            let oldest = self.oldest;
            if oldest == NONE || turns == 0 {
                return Err(Full::NoRoom { limit: self.limit });
            }
            turns -= 1;
            let mark = self.memory.mark(self.memory.index(self.node(oldest).hash.load(Ordering::Relaxed)));
            if self.eviction == Eviction::Lru && turns > self.count && mark.swap(0, Ordering::Relaxed) != 0 {
                self.detach(oldest);
                self.append(oldest);
                continue;
            }
            self.remove(oldest);
            self.evicted += 1;
        }
    }

    /// Gives a key another end; `false`: it is not there.
    pub fn expire(&mut self, key: &[u8], expires: u64, now: u64) -> bool {
        let hash = self.memory.hash(key);
        let Some(unit) = self.find(hash, key) else { return false };
        let before = self.node(unit).expires.load(Ordering::Relaxed);
        if before != 0 && before <= now {
            return false;
        }
        let bucket = self.memory.bucket(self.memory.index(hash));
        seqlock::open(&bucket.sequence);
        self.node(unit).expires.store(expires, Ordering::Relaxed);
        seqlock::close(&bucket.sequence);
        self.mortal = self.mortal + usize::from(expires != 0) - usize::from(before != 0);
        self.note(expires, unit);
        true
    }

    /// Removes a key; `false`: it was not there, or had ended.
    pub fn delete(&mut self, key: &[u8], now: u64) -> bool {
        let Some(unit) = self.find(self.memory.hash(key), key) else { return false };
        let expires = self.node(unit).expires.load(Ordering::Relaxed);
        self.remove(unit);
        expires == 0 || expires > now
    }

    /// Removes everything.
    pub fn clear(&mut self) {
        for index in 0..self.memory.buckets() {
            let bucket = self.memory.bucket(index);
            if get(&bucket.head) != NONE {
                seqlock::open(&bucket.sequence);
                put(&bucket.head, NONE);
                seqlock::close(&bucket.sequence);
            }
        }
        self.arena.reset();
        (self.oldest, self.newest, self.count, self.used, self.mortal) = (NONE, NONE, 0, 0, 0);
        self.deadlines.clear();
    }

    /// When the next entry ends, in milliseconds of the monotonic clock.
    #[must_use]
    pub fn next_deadline(&self) -> Option<u64> {
        self.deadlines.peek().map(|Reverse((deadline, _))| *deadline)
    }

    /// Removes up to `most` entries that have ended; says whether there are more.
    pub fn sweep(&mut self, now: u64, most: usize) -> bool {
        for _ in 0..most {
            match self.deadlines.peek() {
                Some(Reverse((deadline, unit))) if *deadline <= now => {
                    let (deadline, unit) = (*deadline, *unit);
                    self.deadlines.pop();
                    if self.is_entry(unit, deadline) {
                        self.remove(unit);
                    }
                }
                _ => return false,
            }
        }
        true
    }

    /// Whether an entry that ends at `deadline` is still at `unit`: it may be free, or the middle of another.
    fn is_entry(&self, unit: u32, deadline: u64) -> bool {
        let Some(node) = self.memory.node(unit) else { return false };
        if node.expires.load(Ordering::Relaxed) != deadline {
            return false;
        }
        let index = self.memory.index(node.hash.load(Ordering::Relaxed));
        let mut at = get(&self.memory.bucket(index).head);
        while at != NONE && at != unit {
            at = get(&self.node(at).next);
        }
        at == unit
    }

    fn note(&mut self, expires: u64, unit: u32) {
        if expires == 0 {
            return;
        }
        self.deadlines.push(Reverse((expires, unit)));
        // Entries that were replaced before their time leave theirs behind.
        if self.deadlines.len() > 2 * self.mortal + 1024 {
            let all = std::mem::take(&mut self.deadlines).into_vec();
            let live = all.into_iter().filter(|Reverse((deadline, unit))| self.is_entry(*unit, *deadline));
            let mut live: Vec<_> = live.collect();
            live.sort_unstable();
            live.dedup();
            self.deadlines = live.into();
        }
    }

    fn remove(&mut self, unit: u32) {
        let index = self.memory.index(self.node(unit).hash.load(Ordering::Relaxed));
        let bucket = self.memory.bucket(index);
        seqlock::open(&bucket.sequence);
        self.unlink(index, unit);
        seqlock::close(&bucket.sequence);
        self.free(unit);
    }

    /// Takes a node out of its chain.
    fn unlink(&self, index: u64, unit: u32) {
        let next = get(&self.node(unit).next);
        let mut link = &self.memory.bucket(index).head;
        loop {
            match get(link) {
                at if at == unit => return put(link, next),
                NONE => return,
                at => link = &self.node(at).next,
            }
        }
    }

    /// Gives the memory of a node that no chain has back.
    fn free(&mut self, unit: u32) {
        self.detach(unit);
        let node = self.node(unit);
        let size = units(get(&node.key) as usize, get(&node.value) as usize).unwrap_or(0);
        let mortal = node.expires.load(Ordering::Relaxed) != 0;
        self.arena.free(unit);
        self.count -= 1;
        self.used -= size as usize * UNIT;
        self.mortal -= usize::from(mortal);
    }

    fn append(&mut self, unit: u32) {
        let newest = self.newest;
        let node = self.node(unit);
        put(&node.older, newest);
        put(&node.newer, NONE);
        match newest {
            NONE => self.oldest = unit,
            newest => put(&self.node(newest).newer, unit),
        }
        self.newest = unit;
    }

    fn detach(&mut self, unit: u32) {
        let node = self.node(unit);
        let (older, newer) = (get(&node.older), get(&node.newer));
        match older {
            NONE => self.oldest = newer,
            older => put(&self.node(older).newer, newer),
        }
        match newer {
            NONE => self.newest = older,
            newer => put(&self.node(newer).older, older),
        }
    }
}

fn get(word: &AtomicU32) -> u32 {
    word.load(Ordering::Relaxed)
}

fn put(word: &AtomicU32, value: u32) {
    word.store(value, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::Reader;
    use proptest::prelude::*;
    use std::collections::HashMap;

    const SEEDS: [u64; 4] = [1, 2, 3, 4];

    fn read(reader: &Reader, key: &[u8], now: u64) -> Option<Vec<u8>> {
        let found = reader.find(key, || now).expect("not busy")?;
        let mut value = vec![0; found.length];
        assert!(reader.copy(&found, &mut value), "nobody writes");
        Some(value)
    }

    fn both(limit: usize, eviction: Eviction) -> (Store, Reader) {
        let (store, files) = Store::create(limit, eviction, SEEDS).expect("a table");
        let reader = Reader::attach(&files.table, &files.touched).expect("maps");
        (store, reader)
    }

    #[test]
    fn what_is_set_is_read() {
        let (mut store, reader) = both(1 << 20, Eviction::None);
        for (key, value) in [("a", "one"), ("", "no key"), ("b", ""), ("key of 8", "12345678"), ("a", "two")]
        {
            store.set(key.as_bytes(), 7, value.as_bytes(), 0).expect("room");
            assert_eq!(read(&reader, key.as_bytes(), 0).as_deref(), Some(value.as_bytes()), "{key}");
        }
        assert_eq!((store.len(), read(&reader, b"c", 0)), (4, None));
        assert!(store.delete(b"a", 0) && !store.delete(b"a", 0));
        assert_eq!(read(&reader, b"a", 0), None);
        let large = vec![7; 1 << 19];
        store.set(b"large", 0, &large, 0).expect("room");
        assert_eq!(read(&reader, b"large", 0), Some(large));
        store.clear();
        assert_eq!((store.len(), store.used(), read(&reader, b"large", 0)), (0, 0, None));
    }

    #[test]
    fn entries_end_to_the_millisecond() {
        let (mut store, reader) = both(1 << 20, Eviction::None);
        store.set(b"k", 0, b"v", 1000).expect("room");
        assert_eq!(read(&reader, b"k", 999).as_deref(), Some(&b"v"[..]));
        assert_eq!((read(&reader, b"k", 1000), store.get(b"k", 1000).is_none()), (None, true));
        assert!(!store.expire(b"k", 2000, 1000), "it is over");
        store.set(b"k", 0, b"v", 3000).expect("room");
        assert!(store.expire(b"k", 2000, 1000));
        assert_eq!(store.next_deadline(), Some(1000), "of the first one, which is not there any more");
        assert!(!store.sweep(1999, 100) && store.len() == 1);
        assert!(!store.sweep(2000, 100) && store.is_empty());
        store.set(b"k", 0, b"v", 0).expect("room");
        assert!(!store.sweep(u64::MAX, 100) && store.len() == 1);
    }

    #[test]
    fn a_full_storage_says_so_or_lets_the_oldest_go() {
        let value = [0; 1000];
        let (mut store, _) = both(64 << 10, Eviction::None);
        let fitted = (0_u32..).take_while(|n| store.set(&n.to_le_bytes(), 0, &value, 0).is_ok()).count();
        assert!((55..64).contains(&fitted), "{fitted}");
        assert_eq!(store.set(b"x", 0, &value, 0), Err(Full::NoRoom { limit: 64 << 10 }));
        store.set(&0_u32.to_le_bytes(), 0, &value, 0).expect("in place of its own");
        assert!(matches!(store.set(b"x", 0, &[0; 65 << 10], 0), Err(Full::TooLarge { .. })));

        let (mut store, reader) = both(64 << 10, Eviction::Lru);
        for n in 0_u32..1000 {
            store.set(&n.to_le_bytes(), 0, &value, 0).expect("others leave");
            assert!(read(&reader, &0_u32.to_le_bytes(), 0).is_some(), "what is read stays, {n}");
        }
        assert!(store.evicted() > 900 && read(&reader, &1_u32.to_le_bytes(), 0).is_none());

        let (mut store, reader) = both(64 << 10, Eviction::Fifo);
        for n in 0_u32..1000 {
            store.set(&n.to_le_bytes(), 0, &value, 0).expect("others leave");
            let _ = read(&reader, &0_u32.to_le_bytes(), 0);
        }
        assert!(read(&reader, &0_u32.to_le_bytes(), 0).is_none());
    }

    #[test]
    fn entries_that_are_replaced_leave_no_deadlines_behind() {
        let (mut store, _) = both(1 << 20, Eviction::None);
        for n in 0..100_000 {
            store.set(b"k", 0, b"v", 1000 + n).expect("room");
        }
        assert!(store.deadlines.len() < 2000, "{}", store.deadlines.len());
    }

    #[test]
    fn a_table_cannot_be_mapped_for_writing_and_junk_is_no_table() {
        let (_store, files) = Store::create(1 << 16, Eviction::None, SEEDS).expect("a table");
        let part = rr_os::memory::Part { offset: 0, length: 4096, twice: false };
        assert!(rr_os::memory::Mapping::new(&files.table, &[part]).is_err(), "sealed");
        let junk = rr_os::memory::sealed("junk", 4096).expect("memory");
        assert!(Reader::attach(&junk, &files.touched).is_err());
    }

    /// Readers never see half of a value, whatever the writer does; every value says what it is.
    #[test]
    fn a_million_reads_beside_a_writer_are_whole() {
        let (mut store, files) = Store::create(256 << 10, Eviction::Lru, SEEDS).expect("a table");
        let stop = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            let (stop, files) = (&stop, &files);
            for seed in 0..2_u64 {
                scope.spawn(move || {
                    let reader = Reader::attach(&files.table, &files.touched).expect("maps");
                    let (mut random, mut hits) = (seed, 0);
                    for _ in 0..500_000 {
                        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                        let key = (random >> 33) % 600;
                        let Ok(Some(found)) = reader.find(&key.to_le_bytes(), || 0) else { continue };
                        let mut value = vec![0; found.length];
                        if reader.copy(&found, &mut value) {
                            hits += 1;
                            let (name, rest) = value.split_at(8);
                            assert_eq!(name, key.to_le_bytes(), "another key's value");
                            assert!(rest.iter().all(|byte| *byte == rest[0]), "half of a value");
                        }
                    }
                    stop.store(true, Ordering::Relaxed);
                    assert!(hits > 1000, "{hits}");
                });
            }
            let mut round = 0_u64;
            while !stop.load(Ordering::Relaxed) {
                round = round.wrapping_mul(2_862_933_555_777_941_757).wrapping_add(3);
                let key = (round >> 40) % 600;
                let mut value = key.to_le_bytes().to_vec();
                value.resize(9 + (round >> 20) as usize % 900, round.to_le_bytes()[7]);
                match round % 16 {
                    0 => _ = store.delete(&key.to_le_bytes(), 0),
                    _ => store.set(&key.to_le_bytes(), 0, &value, 0).expect("others leave"),
                }
            }
        });
    }

    #[derive(Debug, Clone)]
    enum Step {
        Set(u8, u16, u64),
        Delete(u8),
        Expire(u8, u64),
        Sweep,
        Clear,
        Pass(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            8 => (0..40_u8, 0..2000_u16, prop_oneof![Just(0), 1..200_u64]).prop_map(|(k, v, t)| Step::Set(k, v, t)),
            3 => (0..40_u8).prop_map(Step::Delete),
            2 => (0..40_u8, prop_oneof![Just(0), 1..200_u64]).prop_map(|(k, t)| Step::Expire(k, t)),
            2 => Just(Step::Sweep),
            1 => Just(Step::Clear),
            3 => (1..100_u64).prop_map(Step::Pass),
        ]
    }

    proptest! {
        /// The store against a map that knows when things end.
        #[test]
        fn a_store_is_a_map(steps in proptest::collection::vec(step(), 1..300)) {
            let (mut store, reader) = both(1 << 20, Eviction::None);
            let mut model: HashMap<u8, (Vec<u8>, u64)> = HashMap::new();
            let mut now = 1_u64;
            let end = |now: u64, ttl: u64| if ttl == 0 { 0 } else { now + ttl };
            for step in steps {
                match step {
                    Step::Set(key, length, ttl) => {
                        let value = vec![key; usize::from(length)];
                        store.set(&[key], 1, &value, end(now, ttl)).expect("room");
                        model.insert(key, (value, end(now, ttl)));
                    }
                    Step::Delete(key) => {
                        prop_assert_eq!(store.delete(&[key], now), model.remove(&key).is_some());
                    }
                    Step::Expire(key, ttl) => {
                        let there = store.expire(&[key], end(now, ttl), now);
                        let entry = model.get_mut(&key);
                        prop_assert_eq!(there, entry.is_some());
                        if let Some(entry) = entry {
                            entry.1 = end(now, ttl);
                        }
                    }
                    Step::Sweep => while store.sweep(now, 8) {},
                    Step::Clear => {
                        store.clear();
                        model.clear();
                    }
                    Step::Pass(by) => now += by,
                }
                model.retain(|_, (_, expires)| *expires == 0 || *expires > now);
                for key in 0..40_u8 {
                    let wanted = model.get(&key).map(|(value, _)| value.clone());
                    prop_assert_eq!(store.get(&[key], now).map(|entry| entry.value.to_vec()), wanted.clone());
                    prop_assert_eq!(read(&reader, &[key], now), wanted);
                }
                prop_assert!(store.len() >= model.len());
            }
            store.sweep(u64::MAX, usize::MAX);
            store.clear();
            prop_assert_eq!((store.used(), store.len()), (0, 0));
            // All of the arena is free again.
            store.set(b"all", 0, &vec![0; (1 << 20) - 4096], 0).expect("room");
        }
    }
}
