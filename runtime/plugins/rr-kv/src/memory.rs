//! The memory driver. The clock is given with every operation; [`Memory::now`] is what the server gives.

use crate::KvError;
use parking_lot::Mutex;
use rr_shm::store::{Eviction, MAX_KEY, Store};
use rr_shm::table::Files;
use rr_wire::kv::kind;
use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::Arc;
use tokio::sync::{Notify, oneshot};

/// How a storage is.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Bytes of all keys and values.
    pub limit: usize,
    /// What leaves when there is no room.
    pub eviction: Eviction,
}

/// A value, as it is passed around.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// See [`kind`].
    pub kind: u32,
    /// The value.
    pub value: Vec<u8>,
    /// Milliseconds left; 0: for ever.
    pub ttl: u64,
}

/// What comes of asking to compute a value.
#[derive(Debug)]
pub(crate) enum Turn {
    /// It is there.
    Found(Item),
    /// The caller is to compute it; the number is for its answer.
    Compute(u64),
}

/// Somebody computes a value.
#[derive(Debug)]
struct Computing {
    number: u64,
    /// The worker that does.
    worker: u64,
    until: u64,
    waiting: VecDeque<(u64, oneshot::Sender<Turn>)>,
}

#[derive(Debug)]
struct State {
    store: Store,
    computing: HashMap<Vec<u8>, Computing>,
    next: u64,
}

/// A storage in memory.
#[derive(Debug)]
pub struct Memory {
    state: Mutex<State>,
    files: Files,
    /// A deadline came that is before all others.
    sooner: Notify,
}

/// Entries that are swept at a time, so that others get their turn.
const SWEEP: usize = 1000;
/// Workers that wait for one value at a time.
const MAX_WAITING: usize = 10_000;

fn end(ttl: u64, now: u64) -> u64 {
    if ttl == 0 { 0 } else { now.saturating_add(ttl) }
}

fn check(key: &[u8]) -> Result<(), KvError> {
    match key.len() {
        length if length > MAX_KEY => Err(KvError::LongKey(length)),
        _ if key.trim_ascii().is_empty() => Err(KvError::EmptyKey),
        _ => Ok(()),
    }
}

impl State {
    fn get(&self, key: &[u8], now: u64) -> Option<Item> {
        let entry = self.store.get(key, now)?;
        let ttl = if entry.expires == 0 { 0 } else { entry.expires - now };
        Some(Item { kind: entry.kind, value: entry.value.to_vec(), ttl })
    }

    fn is_fresh(item: &Item, now: u64) -> bool {
        let stale = item.kind & kind::STALE != 0;
        let after = item.value.first_chunk::<8>().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        !stale || now < after
    }
}

impl Memory {
    /// Makes a storage.
    ///
    /// # Errors
    /// Out of memory or descriptors.
    pub fn create(settings: Settings, seeds: [u64; 4]) -> io::Result<Self> {
        let (store, files) = Store::create(settings.limit, settings.eviction, seeds)?;
        let state = State { store, computing: HashMap::new(), next: 1 };
        Ok(Self { state: Mutex::new(state), files, sooner: Notify::new() })
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
        if let Some(computing) = state.computing.remove(key) {
            let item = Item { kind, value: value.to_vec(), ttl };
            for (_, waiting) in computing.waiting {
                let _ = waiting.send(Turn::Found(item.clone()));
            }
        }
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
        let shown = || String::from_utf8_lossy(key).into_owned();
        let mut state = self.state.lock();
        let (old, expires) = match state.store.get(key, now) {
            None => (0, end(ttl, now)),
            Some(entry) => {
                let number = match (entry.kind, <[u8; 8]>::try_from(entry.value)) {
                    (kind::INT, Ok(bytes)) => Some(i64::from_le_bytes(bytes)),
                    (kind::BYTES | kind::STRING | kind::SERIALIZED, _) => crate::php::number(entry.value),
                    _ => None,
                };
                (number.ok_or_else(|| KvError::NotANumber(shown()))?, entry.expires)
            }
        };
        let sum = old.checked_add(by).ok_or_else(|| KvError::Overflow(shown()))?;
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
    ) -> Result<Result<Turn, oneshot::Receiver<Turn>>, KvError> {
        check(key)?;
        let mut state = self.state.lock();
        let item = state.get(key, now);
        if let Some(item) = item.as_ref().filter(|item| State::is_fresh(item, now)) {
            return Ok(Ok(Turn::Found(item.clone())));
        }
        let number = state.next;
        match state.computing.get_mut(key).filter(|computing| computing.until > now) {
            Some(computing) => match item.filter(|_| stale) {
                Some(item) => Ok(Ok(Turn::Found(item))),
                // Too many: this one computes as well.
                None if computing.waiting.len() >= MAX_WAITING => Ok(Ok(Turn::Compute(0))),
                None => {
                    let (sender, receiver) = oneshot::channel();
                    computing.waiting.push_back((worker, sender));
                    Ok(Err(receiver))
                }
            },
            None => {
                state.next += 1;
                // Whoever waited for one that came to no end waits for this one.
                let waiting = state.computing.remove(key).map(|before| before.waiting).unwrap_or_default();
                let until = now.saturating_add(patience);
                state.computing.insert(key.to_vec(), Computing { number, worker, until, waiting });
                drop(state);
                self.sooner.notify_one();
                Ok(Ok(Turn::Compute(number)))
            }
        }
    }

    /// The caller that was to compute a value has failed: the next one is to.
    pub(crate) fn give_up(&self, key: &[u8], number: u64, patience: u64, now: u64) {
        let mut state = self.state.lock();
        if state.computing.get(key).is_some_and(|computing| computing.number == number) {
            pass_on(&mut state, key, patience, now);
        }
    }

    /// A worker has ended: what it was to compute, others are to.
    pub fn worker_gone(&self, worker: u64, now: u64) {
        let mut state = self.state.lock();
        let theirs = state.computing.iter().filter(|(_, computing)| computing.worker == worker);
        let keys: Vec<_> = theirs.map(|(key, _)| key.clone()).collect();
        for key in keys {
            pass_on(&mut state, &key, DEFAULT_PATIENCE, now);
        }
    }

    /// Removes what has ended; when to look again.
    pub(crate) fn sweep(&self, now: u64) -> Option<u64> {
        let mut state = self.state.lock();
        let more = state.store.sweep(now, SWEEP);
        let late = state.computing.iter().filter(|(_, computing)| computing.until <= now);
        let late: Vec<_> = late.map(|(key, _)| key.clone()).collect();
        for key in late {
            pass_on(&mut state, &key, DEFAULT_PATIENCE, now);
        }
        if more {
            return Some(now);
        }
        let computing = state.computing.values().map(|computing| computing.until).min();
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

/// Milliseconds that who takes over has for computing.
const DEFAULT_PATIENCE: u64 = 30_000;

/// Gives the task of computing a value to the first that waits for it.
fn pass_on(state: &mut State, key: &[u8], patience: u64, now: u64) {
    let Some(mut computing) = state.computing.remove(key) else { return };
    let number = state.next;
    state.next += 1;
    while let Some((worker, waiting)) = computing.waiting.pop_front() {
        if waiting.send(Turn::Compute(number)).is_ok() {
            computing = Computing { number, worker, until: now.saturating_add(patience), ..computing };
            state.computing.insert(key.to_vec(), computing);
            return;
        }
    }
}
