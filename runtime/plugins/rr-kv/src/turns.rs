//! Who computes which value, and who waits for it. Knows no storage; the clock is given with every operation.

use crate::driver::Item;
use rr_wire::kv::kind;
use std::collections::{HashMap, VecDeque};
use tokio::sync::oneshot;

/// What comes of asking to compute a value.
#[derive(Debug)]
pub(crate) enum Turn {
    /// It is there.
    Found(Item),
    /// The caller is to compute it; the number is for its answer.
    Compute(u64),
}

/// A turn at once, or when whoever computes has come to an end.
pub(crate) type Asked = Result<Turn, oneshot::Receiver<Turn>>;

/// Somebody computes a value.
#[derive(Debug)]
struct Computing {
    number: u64,
    /// The worker that does.
    worker: u64,
    until: u64,
    waiting: VecDeque<(u64, oneshot::Sender<Turn>)>,
}

/// Values that are computed, by key.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    computing: HashMap<Vec<u8>, Computing>,
    next: u64,
}

/// Workers that wait for one value at a time.
const MAX_WAITING: usize = 10_000;
/// Milliseconds that who takes over has for computing.
const DEFAULT_PATIENCE: u64 = 30_000;

/// Whether a value need not be computed anew; `now` is on the clock of its mark.
pub(crate) fn is_fresh(item: &Item, now: u64) -> bool {
    let stale = item.kind & kind::STALE != 0;
    let after = item.value.first_chunk::<8>().map_or(0, |bytes| u64::from_le_bytes(*bytes));
    !stale || now < after
}

impl Turns {
    /// Asks for a value that is not there or stale: a stale one if `stale`, or a turn to compute it within `patience`
    /// milliseconds.
    pub(crate) fn ask(
        &mut self,
        worker: u64,
        key: &[u8],
        patience: u64,
        stale: Option<Item>,
        now: u64,
    ) -> Asked {
        match self.computing.get_mut(key).filter(|computing| computing.until > now) {
            Some(computing) => match stale {
                Some(item) => Ok(Turn::Found(item)),
                // Too many: this one computes as well.
                None if computing.waiting.len() >= MAX_WAITING => Ok(Turn::Compute(0)),
                None => {
                    let (sender, receiver) = oneshot::channel();
                    computing.waiting.push_back((worker, sender));
                    Err(receiver)
                }
            },
            None => {
                let number = self.number();
                // Whoever waited for one that came to no end waits for this one.
                let waiting = self.computing.remove(key).map(|before| before.waiting).unwrap_or_default();
                let until = now.saturating_add(patience);
                self.computing.insert(key.to_vec(), Computing { number, worker, until, waiting });
                Ok(Turn::Compute(number))
            }
        }
    }

    fn number(&mut self) -> u64 {
        // 0 stands for none.
        self.next += 1;
        self.next
    }

    /// Whether nobody computes anything.
    pub(crate) fn is_empty(&self) -> bool {
        self.computing.is_empty()
    }

    /// Whether somebody computes this.
    pub(crate) fn has(&self, key: &[u8]) -> bool {
        self.computing.contains_key(key)
    }

    /// A value is there: those who wait have it.
    pub(crate) fn settle(&mut self, key: &[u8], item: impl FnOnce() -> Item) {
        if let Some(computing) = self.computing.remove(key) {
            let item = item();
            for (_, waiting) in computing.waiting {
                let _ = waiting.send(Turn::Found(item.clone()));
            }
        }
    }

    /// The caller that was to compute a value has failed: the next one is to.
    pub(crate) fn give_up(&mut self, key: &[u8], number: u64, patience: u64, now: u64) {
        if self.computing.get(key).is_some_and(|computing| computing.number == number) {
            self.pass_on(key, patience, now);
        }
    }

    /// A worker has ended: what it was to compute, others are to.
    pub(crate) fn worker_gone(&mut self, worker: u64, now: u64) {
        let theirs = self.computing.iter().filter(|(_, computing)| computing.worker == worker);
        let keys: Vec<_> = theirs.map(|(key, _)| key.clone()).collect();
        for key in keys {
            self.pass_on(&key, DEFAULT_PATIENCE, now);
        }
    }

    /// Passes on what takes too long; when to look again.
    pub(crate) fn sweep(&mut self, now: u64) -> Option<u64> {
        let late = self.computing.iter().filter(|(_, computing)| computing.until <= now);
        let late: Vec<_> = late.map(|(key, _)| key.clone()).collect();
        for key in late {
            self.pass_on(&key, DEFAULT_PATIENCE, now);
        }
        self.computing.values().map(|computing| computing.until).min()
    }

    /// Gives the task of computing a value to the first that waits for it.
    fn pass_on(&mut self, key: &[u8], patience: u64, now: u64) {
        let Some(mut computing) = self.computing.remove(key) else { return };
        let number = self.number();
        while let Some((worker, waiting)) = computing.waiting.pop_front() {
            if waiting.send(Turn::Compute(number)).is_ok() {
                computing = Computing { number, worker, until: now.saturating_add(patience), ..computing };
                self.computing.insert(key.to_vec(), computing);
                return;
            }
        }
    }
}
