//! Driver `boltdb`: a file that outlives the server (KV-07). The format is redb's and not bbolt's. One thread writes, and
//! what has come while it waited for the disk is committed together; one thread reads. A write is answered when it is on
//! the disk.

mod file;
#[cfg(test)]
mod tests;

use crate::KvError;
use crate::driver::{self, Done, Driver, Item, List, wall_ms};
use file::{Change, File, Tables};
use rr_wire::kv::{Item as Entry, kind};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// How a file is.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where it is.
    pub file: PathBuf,
    /// Its mode, if it is made.
    pub mode: u32,
    /// Time between sweeps of what has ended. Nobody sees what has ended in between; it only takes room.
    pub interval: Duration,
}

/// A storage in a file. Dropping it waits for what was asked before.
#[derive(Debug)]
pub struct Bolt {
    /// `None` once it is dropped.
    lines: Option<Lines>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// To the thread that writes, and to the one that reads.
type Lines = (Sender<Box<dyn Change>>, Sender<Read>);
type Read = Box<dyn FnOnce(&File) + Send>;

/// Changes that are committed together.
const BATCH: usize = 1000;
/// Values that are swept at a time.
const SWEEP: usize = 1000;

/// A change with its answer.
struct Op<T, F> {
    run: F,
    result: Result<T, KvError>,
    reply: oneshot::Sender<Result<T, KvError>>,
}

impl<T, F> Change for Op<T, F>
where
    T: Send,
    F: FnMut(&mut Tables<'_>) -> Result<Result<T, KvError>, redb::Error> + Send,
{
    fn run(&mut self, tables: &mut Tables<'_>) -> Result<(), redb::Error> {
        self.result = (self.run)(tables)?;
        Ok(())
    }

    fn finish(self: Box<Self>, committed: Result<(), KvError>) {
        // Who asked may have gone.
        let _ = self.reply.send(committed.and(self.result));
    }
}

/// The answer of a thread.
fn answer<T: Send + 'static>(receiver: oneshot::Receiver<Result<T, KvError>>) -> Done<T> {
    Done::later(async move { receiver.await.unwrap_or_else(|_| Err(gone())) })
}

fn gone() -> KvError {
    KvError::Storage("boltdb: the storage's thread has ended; restart the server".to_owned())
}

fn end(ttl: u64) -> u64 {
    if ttl == 0 { 0 } else { wall_ms().saturating_add(ttl) }
}

impl Bolt {
    /// Opens the file, or makes it.
    ///
    /// # Errors
    /// It cannot be opened, is in use, damaged or of another format; or there is no thread to be had.
    pub fn open(name: &str, settings: Settings) -> Result<Self, KvError> {
        let interval = settings.interval;
        let file = Arc::new(File::open(settings)?);
        tracing::info!(
            target: "kv", storage = name, file = %file.path().display(),
            "driver boltdb: a file in redb's format, which RoadRunner cannot read"
        );
        let (writes, written) = channel();
        let (reads, asked) = channel::<Read>();
        let reader = Arc::clone(&file);
        let thread = |kind: &str| std::thread::Builder::new().name(format!("kv-{kind}-{name}"));
        let failed = |error| KvError::Storage(format!("boltdb: a thread for storage {name:?}: {error}"));
        let threads = vec![
            thread("write").spawn(move || write(&file, &written, interval)).map_err(failed)?,
            thread("read").spawn(move || asked.iter().for_each(|read| read(&reader))).map_err(failed)?,
        ];
        Ok(Self { lines: Some((writes, reads)), threads: Mutex::new(threads) })
    }

    fn change<T: Send + 'static>(
        &self,
        run: impl FnMut(&mut Tables<'_>) -> Result<Result<T, KvError>, redb::Error> + Send + 'static,
    ) -> Done<T> {
        let (reply, receiver) = oneshot::channel();
        if let Some((writes, _)) = &self.lines {
            let _ = writes.send(Box::new(Op { run, result: Err(gone()), reply }));
        }
        answer(receiver)
    }
}

impl Drop for Bolt {
    fn drop(&mut self) {
        self.lines = None;
        for thread in self.threads.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner).drain(..) {
            let _ = thread.join();
        }
    }
}

/// The thread that writes.
fn write(file: &File, changes: &Receiver<Box<dyn Change>>, interval: Duration) {
    let mut next = Instant::now() + interval;
    loop {
        let first = match changes.recv_timeout(next.saturating_duration_since(Instant::now())) {
            Ok(first) => Some(first),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        // What came while the disk was waited for.
        let batch: Vec<_> = first.into_iter().chain(changes.try_iter()).take(BATCH).collect();
        if !batch.is_empty() {
            file.write(batch);
        }
        if Instant::now() >= next {
            let (reply, mut swept) = oneshot::channel();
            let run = |tables: &mut Tables<'_>| Ok(Ok(tables.sweep(SWEEP)?));
            file.write(vec![Box::new(Op { run, result: Err(gone()), reply })]);
            next = match swept.try_recv() {
                // There are more, after those who wait.
                Ok(Ok(SWEEP)) => Instant::now(),
                Ok(Err(error)) => {
                    tracing::error!(target: "kv", "what has ended cannot be removed: {error}");
                    Instant::now() + interval
                }
                _ => Instant::now() + interval,
            };
        }
    }
}

fn owned(keys: &[&[u8]]) -> Vec<Vec<u8>> {
    keys.iter().map(|key| key.to_vec()).collect()
}

impl Driver for Bolt {
    fn name(&self) -> &'static str {
        "boltdb_driver"
    }

    fn get(&self, keys: &[&[u8]]) -> Done<List<Option<Item>>> {
        let (reply, receiver) = oneshot::channel();
        let keys = owned(keys);
        if let Some((_, reads)) = &self.lines {
            let _ = reads.send(Box::new(move |file| {
                let _ = reply.send(file.read(&keys));
            }));
        }
        answer(receiver).map(|found| found.into_iter().map(|stored| stored.map(file::Stored::item)).collect())
    }

    fn set(&self, entries: &[Entry<'_>]) -> Done<()> {
        let owned =
            |entry: &Entry<'_>| (entry.key.to_vec(), entry.kind, end(entry.ttl), entry.value.to_vec());
        let entries: Vec<_> = entries.iter().map(owned).collect();
        self.change(move |tables| {
            for (key, kind, end, value) in &entries {
                tables.set(key, *kind, *end, value)?;
            }
            Ok(Ok(()))
        })
    }

    fn expire(&self, keys: &[(&[u8], u64)]) -> Done<u32> {
        let keys: Vec<_> = keys.iter().map(|(key, ttl)| (key.to_vec(), end(*ttl))).collect();
        self.change(move |tables| {
            let mut count = 0;
            for (key, end) in &keys {
                if let Some(stored) = tables.get(key)? {
                    tables.set(key, stored.kind, *end, &stored.value)?;
                    count += 1;
                }
            }
            Ok(Ok(count))
        })
    }

    fn delete(&self, keys: &[&[u8]]) -> Done<u32> {
        let keys = owned(keys);
        self.change(move |tables| {
            let mut count = 0;
            for key in &keys {
                count += u32::from(tables.remove(key)?);
            }
            Ok(Ok(count))
        })
    }

    fn clear(&self) -> Done<()> {
        self.change(|tables| Ok(Ok(tables.clear()?)))
    }

    fn increment(&self, key: &[u8], by: i64, ttl: u64) -> Done<i64> {
        let (key, fresh) = (key.to_vec(), end(ttl));
        self.change(move |tables| {
            let (old, end) = match tables.get(&key)? {
                None => (Ok(0), fresh),
                Some(stored) => (driver::number(&key, stored.kind, &stored.value), stored.end),
            };
            match old.and_then(|old| driver::sum(&key, old, by)) {
                Err(error) => Ok(Err(error)),
                Ok(sum) => {
                    tables.set(&key, kind::INT, end, &sum.to_le_bytes())?;
                    Ok(Ok(sum))
                }
            }
        })
    }

    fn compare_and_set(&self, expected: Option<(u32, &[u8])>, entry: &Entry<'_>) -> Done<bool> {
        let expected = expected.map(|(kind, value)| (kind, value.to_vec()));
        let (key, kind, value, end) = (entry.key.to_vec(), entry.kind, entry.value.to_vec(), end(entry.ttl));
        self.change(move |tables| {
            if tables.get(&key)?.map(|stored| (stored.kind, stored.value)) != expected {
                return Ok(Ok(false));
            }
            tables.set(&key, kind, end, &value)?;
            Ok(Ok(true))
        })
    }
}
