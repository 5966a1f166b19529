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
mod tests;
