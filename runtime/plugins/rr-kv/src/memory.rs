//! The memory driver. The clock is given with every operation; [`Memory::now`] is what the server gives.

use crate::KvError;
use crate::driver::{self, Done, Driver, Item, List, check};
use crate::turns::{Asked, Turn, Turns, is_fresh};
use parking_lot::Mutex;
use rr_shm::store::{Eviction, Store};
use rr_shm::table::Files;
use rr_wire::kv::{Item as Entry, kind};
use std::io;
use std::sync::Arc;
use tokio::sync::Notify;

/// How a storage is.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Bytes of all keys and values.
    pub limit: usize,
    /// What leaves when there is no room.
    pub eviction: Eviction,
}

#[derive(Debug)]
struct State {
    store: Store,
    turns: Turns,
}

/// A storage in memory.
#[derive(Debug)]
pub struct Memory {
    state: Mutex<State>,
    files: Files,
    limit: usize,
    /// A deadline came that is before all others.
    sooner: Notify,
}

/// Entries that are swept at a time, so that others get their turn.
const SWEEP: usize = 1000;

fn end(ttl: u64, now: u64) -> u64 {
    if ttl == 0 { 0 } else { now.saturating_add(ttl) }
}

impl State {
    fn get(&self, key: &[u8], now: u64) -> Option<Item> {
        let entry = self.store.get(key, now)?;
        let ttl = if entry.expires == 0 { 0 } else { entry.expires - now };
        Some(Item { kind: entry.kind, value: entry.value.to_vec(), ttl })
    }
}

impl Memory {
    /// Makes a storage.
    ///
    /// # Errors
    /// Out of memory or descriptors.
    pub fn create(settings: Settings, seeds: [u64; 4]) -> io::Result<Self> {
        let (store, files) = Store::create(settings.limit, settings.eviction, seeds)?;
        let state = State { store, turns: Turns::default() };
        Ok(Self { state: Mutex::new(state), files, limit: settings.limit, sooner: Notify::new() })
    }

    /// Bytes that keys and values may take.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// What readers map.
    #[must_use]
    pub fn files(&self) -> &Files {
        &self.files
    }

    /// Milliseconds of the monotonic clock.
    #[must_use]
    pub fn now() -> u64 {
        rr_os::time::monotonic_ms()
    }

    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &[u8], now: u64) -> Option<Item> {
        self.state.lock().get(key, now)
    }

    /// Sets a key; `ttl` in milliseconds, 0: for ever.
    ///
    /// # Errors
    /// An empty key, or no room.
    pub fn set(&self, key: &[u8], kind: u32, value: &[u8], ttl: u64, now: u64) -> Result<(), KvError> {
        check(key)?;
        let mut state = self.state.lock();
        let first = state.store.next_deadline();
        state.store.set(key, kind, value, end(ttl, now))?;
        state.turns.settle(key, || Item { kind, value: value.to_vec(), ttl });
        let sooner = state.store.next_deadline() < first || first.is_none();
        drop(state);
        if sooner && ttl != 0 {
            self.sooner.notify_one();
        }
        Ok(())
    }

    /// Gives a key another end; `false`: it is not there. `ttl` 0: for ever.
    pub fn expire(&self, key: &[u8], ttl: u64, now: u64) -> bool {
        let there = self.state.lock().store.expire(key, end(ttl, now), now);
        self.sooner.notify_one();
        there
    }

    /// Removes a key; `false`: it was not there.
    pub fn delete(&self, key: &[u8], now: u64) -> bool {
        self.state.lock().store.delete(key, now)
    }

    /// Removes everything.
    pub fn clear(&self) {
        self.state.lock().store.clear();
    }

    /// Entries, bytes they take, and entries that had to leave for others.
    #[must_use]
    pub fn usage(&self) -> (usize, usize, u64) {
        let state = self.state.lock();
        (state.store.len(), state.store.used(), state.store.evicted())
    }

    /// Adds to a number and gives the sum; a key that is not there is 0 and lives for `ttl` from now on.
    ///
    /// # Errors
    /// The value is no int, or becomes too large for one.
    pub fn increment(&self, key: &[u8], by: i64, ttl: u64, now: u64) -> Result<i64, KvError> {
        check(key)?;
        let mut state = self.state.lock();
        let (old, expires) = match state.store.get(key, now) {
            None => (0, end(ttl, now)),
            Some(entry) => (driver::number(key, entry.kind, entry.value)?, entry.expires),
        };
        let sum = driver::sum(key, old, by)?;
        state.store.set(key, kind::INT, &sum.to_le_bytes(), expires)?;
        drop(state);
        if expires != 0 {
            self.sooner.notify_one();
        }
        Ok(sum)
    }

    /// Sets a key if its value is `expected` (`None`: it is not there).
    ///
    /// # Errors
    /// As with [`Memory::set`].
    pub fn compare_and_set(
        &self,
        key: &[u8],
        expected: Option<(u32, &[u8])>,
        item: (u32, &[u8]),
        ttl: u64,
        now: u64,
    ) -> Result<bool, KvError> {
        check(key)?;
        let mut state = self.state.lock();
        let found = state.store.get(key, now).map(|entry| (entry.kind, entry.value));
        if found != expected {
            return Ok(false);
        }
        state.store.set(key, item.0, item.1, end(ttl, now))?;
        drop(state);
        self.sooner.notify_one();
        Ok(true)
    }

    /// Asks for a value that is computed by one caller at a time: the value, or the task of computing it within
    /// `patience` milliseconds, at once or when the one who computes it has come to an end. `stale`: takes a stale value
    /// rather than wait.
    pub(crate) fn compute(
        &self,
        worker: u64,
        key: &[u8],
        patience: u64,
        stale: bool,
        now: u64,
    ) -> Result<Asked, KvError> {
        check(key)?;
        let mut state = self.state.lock();
        let item = state.get(key, now);
        if let Some(item) = item.as_ref().filter(|item| is_fresh(item, now)) {
            return Ok(Ok(Turn::Found(item.clone())));
        }
        let asked = state.turns.ask(worker, key, patience, item.filter(|_| stale), now);
        drop(state);
        if let Ok(Turn::Compute(_)) = asked {
            self.sooner.notify_one();
        }
        Ok(asked)
    }

    /// The caller that was to compute a value has failed: the next one is to.
    pub(crate) fn give_up(&self, key: &[u8], number: u64, patience: u64, now: u64) {
        self.state.lock().turns.give_up(key, number, patience, now);
    }

    /// A worker has ended: what it was to compute, others are to.
    pub fn worker_gone(&self, worker: u64, now: u64) {
        self.state.lock().turns.worker_gone(worker, now);
    }

    /// Removes what has ended; when to look again.
    pub(crate) fn sweep(&self, now: u64) -> Option<u64> {
        let mut state = self.state.lock();
        let more = state.store.sweep(now, SWEEP);
        let computing = state.turns.sweep(now);
        if more {
            return Some(now);
        }
        [state.store.next_deadline(), computing].into_iter().flatten().min()
    }

    /// Looks after what ends, for as long as the server runs.
    pub async fn run(self: Arc<Self>) {
        loop {
            let sooner = self.sooner.notified();
            let now = Self::now();
            match self.sweep(now) {
                None => sooner.await,
                Some(at) if at <= now => tokio::task::yield_now().await,
                Some(at) => {
                    // Nobody sees what has ended: its memory may stay a little longer, and many go at a time.
                    let wait = std::time::Duration::from_millis((at - now).max(50));
                    let _ = tokio::time::timeout(wait, sooner).await;
                }
            }
        }
    }
}

/// All of them at once.
impl Driver for Memory {
    fn name(&self) -> &'static str {
        "in_memory_plugin"
    }

    fn get(&self, keys: &[&[u8]]) -> Done<List<Option<Item>>> {
        let now = Self::now();
        Done::Now(Ok(keys.iter().map(|key| self.get(key, now)).collect()))
    }

    fn set(&self, entries: &[Entry<'_>]) -> Done<()> {
        let now = Self::now();
        let set = |entry: &Entry<'_>| self.set(entry.key, entry.kind, entry.value, entry.ttl, now);
        Done::Now(entries.iter().try_for_each(set))
    }

    fn expire(&self, keys: &[(&[u8], u64)]) -> Done<u32> {
        let now = Self::now();
        Done::Now(Ok(keys.iter().map(|(key, ttl)| u32::from(self.expire(key, *ttl, now))).sum()))
    }

    fn delete(&self, keys: &[&[u8]]) -> Done<u32> {
        let now = Self::now();
        Done::Now(Ok(keys.iter().map(|key| u32::from(self.delete(key, now))).sum()))
    }

    fn clear(&self) -> Done<()> {
        self.clear();
        Done::Now(Ok(()))
    }

    fn increment(&self, key: &[u8], by: i64, ttl: u64) -> Done<i64> {
        Done::Now(self.increment(key, by, ttl, Self::now()))
    }

    fn compare_and_set(&self, expected: Option<(u32, &[u8])>, entry: &Entry<'_>) -> Done<bool> {
        let item = (entry.kind, entry.value);
        Done::Now(self.compare_and_set(entry.key, expected, item, entry.ttl, Self::now()))
    }
}
