//! The table, and what of it is lent: a worker that takes the same exclusive lock again and again gets a lease of it, a
//! line in its own segment by which it takes the lock and gives it back without a message. Whatever anybody else does
//! with that name recalls the lease first, so that the table decides about it as about any other.
//!
//! What a worker has written into a line is looked at once, when the lease has ended. It says how long the worker holds
//! the lock and by which token; one that lies has asked for another ttl, or has lost its lock.

use crate::{Grant, LockError, Micros, Outcome, Owner, Request, Table};
use rr_shm::leases::{Hold, LEASES, Leases, Recalled};
use rr_wire::lock::Lease;
use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::ops::Range;
use std::sync::Arc;

/// Tokens of a lease: so many locks cost one message.
pub(crate) const TOKENS: u64 = 4096;

/// Leases of all workers.
const MOST: usize = 4096;

/// Names of which it is known who had them last.
const HABITS: usize = 1024;

const NANOS: u64 = 1000;

/// A worker, by the numbers of its pool and its own.
type Worker = (u32, u64);

/// A lease that a worker has.
#[derive(Debug)]
struct Lent {
    name: Arc<str>,
    worker: Worker,
    leases: Leases,
    slot: usize,
    tokens: Range<u64>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Lending {
    pub(crate) table: Table,
    /// What the monotonic clock was when the table's began, in nanoseconds.
    origin: u64,
    first_token: u64,
    /// By tag, which grows: the oldest first. The indices below have the same leases.
    lent: BTreeMap<u64, Lent>,
    by_name: HashMap<Arc<str>, u64>,
    /// By the first of its tokens.
    by_token: BTreeMap<u64, u64>,
    by_worker: HashMap<Worker, [Option<u64>; LEASES]>,
    next_tag: u64,
    /// Who asked for a name last, by its hash: only who comes again gets a lease. Names that share a place get none.
    habits: Box<[Option<(u64, Worker)>]>,
    hasher: RandomState,
}

impl Lending {
    pub(crate) fn new(table: Table, origin: u64) -> Self {
        Self {
            origin,
            first_token: table.next_token(),
            table,
            lent: BTreeMap::new(),
            by_name: HashMap::new(),
            by_token: BTreeMap::new(),
            by_worker: HashMap::new(),
            next_tag: 1,
            habits: vec![None; HABITS].into_boxed_slice(),
            hasher: RandomState::new(),
        }
    }

    /// See [`Table::acquire`]. A worker that can have leases says where, and may get the lock by one.
    pub(crate) fn acquire(
        &mut self,
        now: Micros,
        request: &Request<'_>,
        leases: Option<&Leases>,
    ) -> Result<(Outcome, Option<Lease>), LockError> {
        self.recall(now, request.resource);
        if !self.table.has_room_beside(self.lent.len()) {
            // They count, and those that are idle need not.
            while let Some((&tag, _)) = self.lent.first_key_value() {
                self.end(now, tag);
            }
        }
        let outcome = self.table.acquire(now, request)?;
        let leases = leases.filter(|_| !request.shared && !request.keep && request.id.is_none());
        let borrower = leases.zip(request.owner.map(|owner| (owner.pool, owner.worker)));
        let again = self.comes_again(request.resource, borrower.map(|(_, worker)| worker));
        let lease = match (outcome, borrower) {
            (Outcome::Granted(grant), Some((leases, worker))) if again => {
                self.lend(now, grant, worker, leases)
            }
            _ => None,
        };
        Ok((outcome, lease))
    }

    /// Ends the lease of a name before somebody does something with it.
    pub(crate) fn recall(&mut self, now: Micros, name: &str) {
        if let Some(&tag) = self.by_name.get(name) {
            self.end(now, tag);
        }
    }

    /// The same with the lease that has a token.
    pub(crate) fn recall_token(&mut self, now: Micros, token: u64) {
        if let Some((_, &tag)) = self.by_token.range(..=token).next_back()
            && self.lent.get(&tag).is_some_and(|lent| lent.tokens.contains(&token))
        {
            self.end(now, tag);
        }
    }

    /// See [`Table::end_worker`]; its leases end with it.
    pub(crate) fn end_worker(&mut self, now: Micros, pool: u32, worker: u64) -> usize {
        let tags = self.by_worker.get(&(pool, worker)).copied().unwrap_or([None; LEASES]);
        tags.into_iter().flatten().for_each(|tag| self.end(now, tag));
        self.table.end_worker(now, pool, worker)
    }

    /// Whether `worker` asked for this name last too.
    fn comes_again(&mut self, name: &str, worker: Option<Worker>) -> bool {
        let hash = self.hasher.hash_one(name);
        let at = usize::try_from(hash % HABITS as u64).unwrap_or(0);
        let habit = worker.map(|worker| (hash, worker));
        habit.is_some() & (std::mem::replace(&mut self.habits[at], habit) == habit)
    }

    /// Lends the lock that was just granted.
    fn lend(&mut self, now: Micros, grant: Grant, worker: Worker, leases: &Leases) -> Option<Lease> {
        let Grant { token, expires } = grant;
        // The next server begins with the nanosecond it starts in: tokens must not grow faster than the clock.
        let elapsed = now.saturating_mul(NANOS);
        if token.checked_add(TOKENS)? > self.first_token.saturating_add(elapsed) {
            return None;
        }
        if !self.table.has_room_beside(self.lent.len()) {
            return None;
        }
        if self.lent.len() >= MOST {
            let oldest: Vec<u64> = self.lent.keys().take(LEASES).copied().collect();
            oldest.into_iter().find(|tag| self.end_idle(*tag))?;
        }
        let slot = self.free_slot(worker)?;
        let number = u32::try_from(slot).ok()?;
        let (name, tokens) = self.table.lend(token, TOKENS)?;
        let tag = self.next_tag;
        self.next_tag += 1;
        let deadline = self.origin.saturating_add(expires.saturating_mul(NANOS));
        leases.grant(slot, tag, Hold { deadline, token });
        self.by_name.insert(Arc::clone(&name), tag);
        self.by_token.insert(token, tag);
        self.by_worker.entry(worker).or_insert([None; LEASES])[slot] = Some(tag);
        let until = tokens.end;
        self.lent.insert(tag, Lent { name, worker, leases: leases.clone(), slot, tokens });
        Some(Lease { slot: number, tag, until })
    }

    /// A line of the worker without a lease, if need be that of its oldest idle one.
    fn free_slot(&mut self, worker: Worker) -> Option<usize> {
        let Some(tags) = self.by_worker.get(&worker) else { return Some(0) };
        if let Some(free) = tags.iter().position(Option::is_none) {
            return Some(free);
        }
        let mut oldest: Vec<(u64, usize)> =
            tags.iter().enumerate().filter_map(|(slot, tag)| Some(((*tag)?, slot))).collect();
        oldest.sort_unstable();
        oldest.into_iter().find(|(tag, _)| self.end_idle(*tag)).map(|(_, slot)| slot)
    }

    /// Ends a lease if nobody holds the lock.
    fn end_idle(&mut self, tag: u64) -> bool {
        let idle = self.lent.get(&tag).is_some_and(|lent| lent.leases.recall_idle(lent.slot, tag));
        if idle {
            self.forget(tag);
        }
        idle
    }

    /// Ends a lease. If the worker holds the lock, it is in the table now, and the worker's until it says so: which of
    /// its units it belongs to only the worker knows, and gives it back in time.
    fn end(&mut self, now: Micros, tag: u64) {
        let Some(lent) = self.forget(tag) else { return };
        let Recalled::Held(hold) = lent.leases.recall(lent.slot, tag) else { return };
        if !lent.tokens.contains(&hold.token) {
            return;
        }
        let expires = hold.deadline.saturating_sub(self.origin).div_ceil(NANOS);
        let owner = Owner { pool: lent.worker.0, worker: lent.worker.1, unit: 0 };
        self.table.adopt(now, lent.name, hold.token, expires, owner);
    }

    /// Whether nothing is lent, in any of the indices.
    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.lent.is_empty()
            && self.by_name.is_empty()
            && self.by_token.is_empty()
            && self.by_worker.is_empty()
    }

    fn forget(&mut self, tag: u64) -> Option<Lent> {
        let lent = self.lent.remove(&tag)?;
        self.by_name.remove(&lent.name);
        self.by_token.remove(&lent.tokens.start);
        if let Some(tags) = self.by_worker.get_mut(&lent.worker) {
            tags[lent.slot] = None;
            if tags.iter().all(Option::is_none) {
                self.by_worker.remove(&lent.worker);
            }
        }
        Some(lent)
    }
}
