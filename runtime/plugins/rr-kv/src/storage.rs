//! The storages by name, and what they have beyond their drivers: values that one caller computes while others wait.

use crate::KvError;
use crate::driver::{self, Done, Driver, Item, List};
use crate::memory::Memory;
use crate::turns::{Turn, Turns, is_fresh};
use parking_lot::Mutex;
use rr_wire::kv::Item as Entry;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, oneshot};

/// A storage.
#[derive(Debug, Clone)]
pub enum Storage {
    /// In shared memory, which workers read without asking.
    Memory(Arc<Memory>),
    /// Elsewhere: workers ask for everything.
    Other(Arc<Other>),
}

/// A storage that is not shared memory.
#[derive(Debug)]
pub struct Other {
    driver: Arc<dyn Driver>,
    turns: Mutex<Turns>,
    sooner: Notify,
}

/// What becomes of asking to compute a value.
pub(crate) enum Task {
    Now(Result<Turn, KvError>),
    Waits(oneshot::Receiver<Turn>),
    Later(rr_pool::BoxFuture<Result<Turn, KvError>>),
}

impl Storage {
    /// Around a driver.
    #[must_use]
    pub fn other(driver: Arc<dyn Driver>) -> Self {
        Self::Other(Arc::new(Other { driver, turns: Mutex::default(), sooner: Notify::new() }))
    }

    /// Its driver.
    #[must_use]
    pub fn driver(&self) -> &dyn Driver {
        match self {
            Self::Memory(memory) => &**memory,
            Self::Other(other) => &*other.driver,
        }
    }

    /// The shared memory, where it is that.
    #[must_use]
    pub fn memory(&self) -> Option<&Memory> {
        match self {
            Self::Memory(memory) => Some(memory),
            Self::Other(_) => None,
        }
    }

    /// Sets keys, and gives the values to those who wait for them.
    pub(crate) fn set(&self, entries: &[Entry<'_>]) -> Done<()> {
        let Self::Other(other) = self else { return self.driver().set(entries) };
        if let Err(error) = entries.iter().try_for_each(|entry| driver::check(entry.key)) {
            return Done::Now(Err(error));
        }
        let turns = other.turns.lock();
        let awaited: List<_> = match turns.is_empty() {
            true => List::new(),
            false => entries.iter().filter(|entry| turns.has(entry.key)).map(owned).collect(),
        };
        drop(turns);
        let done = other.driver.set(entries);
        if awaited.is_empty() {
            return done;
        }
        let other = Arc::clone(other);
        done.map(move |()| {
            let mut turns = other.turns.lock();
            for (key, item) in awaited {
                turns.settle(&key, || item);
            }
        })
    }

    /// See [`Memory::compute`].
    pub(crate) fn compute(&self, worker: u64, key: &[u8], patience: u64, stale: bool) -> Task {
        match self {
            Self::Memory(memory) => match memory.compute(worker, key, patience, stale, Memory::now()) {
                Ok(Ok(turn)) => Task::Now(Ok(turn)),
                Ok(Err(waiting)) => Task::Waits(waiting),
                Err(error) => Task::Now(Err(error)),
            },
            Self::Other(other) => match driver::check(key) {
                Ok(()) => {
                    let key = key.to_vec();
                    Task::Later(Box::pin(Arc::clone(other).compute(worker, key, patience, stale)))
                }
                Err(error) => Task::Now(Err(error)),
            },
        }
    }

    /// See [`Memory::give_up`].
    pub(crate) fn give_up(&self, key: &[u8], number: u64, patience: u64) {
        match self {
            Self::Memory(memory) => memory.give_up(key, number, patience, Memory::now()),
            Self::Other(other) => other.turns.lock().give_up(key, number, patience, Memory::now()),
        }
    }

    /// See [`Memory::worker_gone`].
    pub(crate) fn worker_gone(&self, worker: u64) {
        match self {
            Self::Memory(memory) => memory.worker_gone(worker, Memory::now()),
            Self::Other(other) => other.turns.lock().worker_gone(worker, Memory::now()),
        }
    }

    /// Looks after what ends, for as long as the server runs.
    pub async fn run(self) {
        match self {
            Self::Memory(memory) => memory.run().await,
            Self::Other(other) => other.run().await,
        }
    }
}

fn owned(entry: &Entry<'_>) -> (Vec<u8>, Item) {
    (entry.key.to_vec(), Item { kind: entry.kind, value: entry.value.to_vec(), ttl: entry.ttl })
}

impl Other {
    /// Marks of stale values are on the wall clock here: they outlive the machine, or are another's.
    async fn compute(
        self: Arc<Self>,
        worker: u64,
        key: Vec<u8>,
        patience: u64,
        stale: bool,
    ) -> Result<Turn, KvError> {
        let item = self.fetch(&key).await?;
        if let Some(item) = item.as_ref().filter(|item| is_fresh(item, driver::wall_ms())) {
            return Ok(Turn::Found(item.clone()));
        }
        let asked = self.turns.lock().ask(worker, &key, patience, item.filter(|_| stale), Memory::now());
        let number = match asked {
            Ok(Turn::Compute(number)) => number,
            Ok(found) => return Ok(found),
            // The storage was cleared, or nobody is left who computes: the caller may.
            Err(waiting) => return Ok(waiting.await.unwrap_or(Turn::Compute(0))),
        };
        self.sooner.notify_one();
        // Somebody may have set it since it was looked for.
        let again = self.fetch(&key).await;
        match again {
            Ok(Some(item)) if is_fresh(&item, driver::wall_ms()) => {
                self.turns.lock().settle(&key, || item.clone());
                Ok(Turn::Found(item))
            }
            _ => Ok(Turn::Compute(number)),
        }
    }

    async fn fetch(&self, key: &[u8]) -> Result<Option<Item>, KvError> {
        Ok(self.driver.get(&[key]).wait().await?.pop().flatten())
    }

    async fn run(self: Arc<Self>) {
        loop {
            let sooner = self.sooner.notified();
            let now = Memory::now();
            let next = self.turns.lock().sweep(now);
            match next {
                None => sooner.await,
                Some(at) => {
                    let wait = Duration::from_millis(at.saturating_sub(now).max(50));
                    let _ = tokio::time::timeout(wait, sooner).await;
                }
            }
        }
    }
}

/// The storages of the config, by name.
#[derive(Debug, Clone, Default)]
pub struct Storages {
    by_name: Arc<BTreeMap<String, Storage>>,
}

impl Storages {
    /// From the storages.
    pub fn new(storages: impl IntoIterator<Item = (String, Storage)>) -> Self {
        Self { by_name: Arc::new(storages.into_iter().collect()) }
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Storage)> {
        self.by_name.iter().map(|(name, storage)| (name.as_str(), storage))
    }

    pub(crate) fn find(&self, name: &[u8]) -> Result<&Storage, String> {
        let name = String::from_utf8_lossy(name);
        self.by_name.get(&*name).ok_or_else(|| format!("no such storage: {name}"))
    }
}
