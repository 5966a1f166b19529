//! What this server has on another one: its locks and its requests that wait, by token, ticket and owner. Pure.

use crate::{Limits, LockError, Owner};
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// A lock of a worker.
#[derive(Debug, Clone)]
pub(super) struct Hold {
    pub(super) resource: Arc<str>,
    pub(super) ticket: Arc<str>,
    pub(super) owner: Option<Owner>,
    /// When its ttl is over.
    pub(super) ends: Instant,
    /// It is prolonged for as long as this server lives, so that it ends soon after it.
    pub(super) leased: bool,
}

/// A request that is on its way or waits.
#[derive(Debug)]
struct Waiter {
    owner: Option<Owner>,
    wake: Arc<Notify>,
    /// Its owner has ended.
    over: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Entry {
    Hold(u64),
    Waiter(u64),
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Books {
    next: u64,
    holds: HashMap<u64, Hold>,
    waiters: HashMap<u64, Waiter>,
    /// By pool and worker: units and what they have.
    owned: HashMap<(u32, u64), BTreeSet<(u64, Entry)>>,
    /// What could not be given back yet.
    pub(super) owed: VecDeque<(Arc<str>, Arc<str>)>,
}

impl Books {
    /// The number of a request that begins.
    pub(super) fn open(
        &mut self,
        limits: &Limits,
        owner: Option<Owner>,
        wake: &Arc<Notify>,
    ) -> Result<u64, LockError> {
        if self.holds.len() + self.waiters.len() >= limits.locks {
            self.sweep(Instant::now());
        }
        if self.holds.len() + self.waiters.len() >= limits.locks {
            return Err(LockError::TooMany(limits.locks));
        }
        if self.waiters.len() >= limits.waiters {
            return Err(LockError::TooManyWait(limits.waiters));
        }
        let number = self.next;
        self.next += 1;
        self.waiters.insert(number, Waiter { owner, wake: Arc::clone(wake), over: false });
        self.track(owner, Entry::Waiter(number));
        Ok(number)
    }

    /// The number of the next request.
    pub(super) const fn next(&self) -> u64 {
        self.next
    }

    /// Whether its owner has ended.
    pub(super) fn is_over(&self, number: u64) -> bool {
        self.waiters.get(&number).is_none_or(|waiter| waiter.over)
    }

    /// The request has ended. `false`: its owner has.
    pub(super) fn close(&mut self, number: u64) -> bool {
        let Some(waiter) = self.waiters.remove(&number) else { return false };
        self.untrack(waiter.owner, Entry::Waiter(number));
        !waiter.over
    }

    pub(super) fn keep(&mut self, token: u64, hold: Hold) {
        self.track(hold.owner, Entry::Hold(token));
        self.holds.insert(token, hold);
    }

    /// Locks that workers hold, and requests that wait.
    pub(super) fn counts(&self) -> (usize, usize) {
        (self.holds.len(), self.waiters.len())
    }

    pub(super) fn hold(&self, token: u64) -> Option<&Hold> {
        self.holds.get(&token)
    }

    pub(super) fn hold_mut(&mut self, token: u64) -> Option<&mut Hold> {
        self.holds.get_mut(&token)
    }

    pub(super) fn forget(&mut self, token: u64) -> Option<Hold> {
        let hold = self.holds.remove(&token)?;
        self.untrack(hold.owner, Entry::Hold(token));
        Some(hold)
    }

    /// Locks that are to be prolonged, with what their ttl leaves them.
    pub(super) fn leased(&self, now: Instant) -> Vec<(u64, Arc<str>, Arc<str>, Duration)> {
        let leased = self.holds.iter().filter(|(_, hold)| hold.leased && hold.ends > now);
        let parts = |(token, hold): (&u64, &Hold)| {
            (*token, Arc::clone(&hold.resource), Arc::clone(&hold.ticket), hold.ends - now)
        };
        leased.map(parts).collect()
    }

    /// Forgets locks whose ttl is over.
    pub(super) fn sweep(&mut self, now: Instant) {
        let over: Vec<u64> =
            self.holds.iter().filter(|(_, hold)| hold.ends <= now).map(|(token, _)| *token).collect();
        over.into_iter().for_each(|token| drop(self.forget(token)));
    }

    /// All locks that end with their owners.
    pub(super) fn all(&mut self) -> Vec<Hold> {
        let tokens: Vec<u64> =
            self.holds.iter().filter(|(_, hold)| hold.leased).map(|(token, _)| *token).collect();
        tokens.into_iter().filter_map(|token| self.forget(token)).collect()
    }

    /// Ends what a worker has of some units: those who wait are told, the locks are given.
    pub(super) fn end(&mut self, pool: u32, worker: u64, which: impl Fn(u64) -> bool) -> Vec<Hold> {
        let Some(owned) = self.owned.get(&(pool, worker)) else { return Vec::new() };
        let ended: Vec<Entry> =
            owned.iter().filter(|(unit, _)| which(*unit)).map(|(_, entry)| *entry).collect();
        let mut holds = Vec::new();
        for entry in ended {
            match entry {
                Entry::Hold(token) => holds.extend(self.forget(token)),
                Entry::Waiter(number) => {
                    if let Some(waiter) = self.waiters.get_mut(&number) {
                        waiter.over = true;
                        waiter.wake.notify_one();
                    }
                }
            }
        }
        holds
    }

    /// Notes what is to be given back once the server answers. `false`: there is too much of that.
    pub(super) fn owe(&mut self, limits: &Limits, resource: &Arc<str>, ticket: &Arc<str>) -> bool {
        let room = self.owed.len() < limits.waiters;
        if room {
            self.owed.push_back((Arc::clone(resource), Arc::clone(ticket)));
        }
        room
    }

    fn track(&mut self, owner: Option<Owner>, entry: Entry) {
        if let Some(owner) = owner {
            self.owned.entry((owner.pool, owner.worker)).or_default().insert((owner.unit, entry));
        }
    }

    fn untrack(&mut self, owner: Option<Owner>, entry: Entry) {
        let Some(owner) = owner else { return };
        let key = (owner.pool, owner.worker);
        if let Some(entries) = self.owned.get_mut(&key) {
            entries.remove(&(owner.unit, entry));
            if entries.is_empty() {
                self.owned.remove(&key);
            }
        }
    }
}
