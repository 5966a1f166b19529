//! The worker's side of locks: asked of the master, but for those of which it has a lease. Those it takes and gives back
//! itself, see `rr_shm::leases`, until the master recalls the lease; then the lock that it holds is the master's again.

use crate::{Session, SessionError};
use ahash::{HashMap, RandomState};
use rr_os::original::Original;
use rr_shm::leases::{Hold, LEASES, Leases};
use rr_wire::lock::{Acquire, LONGEST, Lease, Obtained};
use std::sync::Arc;

const ACQUIRE: &str = "lock.acquire";
const RELEASE: &str = "lock.release";

/// A lock that this process has obtained. It is given back by [`Session::unlock`] or [`Session::drop_lock`], or ends.
#[derive(Debug)]
pub struct Lock {
    name: Arc<str>,
    token: u64,
    /// By which lease it is held.
    slot: Option<usize>,
}

impl Lock {
    /// What is locked.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The fencing token.
    #[must_use]
    pub const fn token(&self) -> u64 {
        self.token
    }
}

/// A lease, as its worker knows it.
#[derive(Debug)]
struct Known {
    name: Arc<str>,
    tag: u64,
    /// The next token, and where they end.
    next: u64,
    until: u64,
    held: Option<Held>,
}

/// A lock that is held by a lease.
#[derive(Debug, Clone, Copy)]
struct Held {
    token: u64,
    deadline: u64,
    /// It ends with the unit.
    unit: bool,
}

/// What became of a lock that was given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Back {
    /// It is free; `true`: it had not expired.
    Free(bool),
    /// The lease is gone, the master has the lock.
    Recalled,
    /// It is not held by a lease.
    Unknown,
}

/// The leases of this worker.
#[derive(Debug)]
pub(crate) struct Keeper {
    leases: Leases,
    original: Original,
    known: [Option<Known>; LEASES],
    by_name: HashMap<Arc<str>, usize>,
    /// Locks that end with the unit and are held by a lease, as far as is known here.
    of_unit: usize,
    /// The same where the lease is known to be gone: tokens. The master has these locks and does not know the unit.
    recalled: Vec<u64>,
}

impl Keeper {
    pub(crate) fn new(leases: Leases) -> std::io::Result<Self> {
        Ok(Self {
            leases,
            original: Original::here()?,
            known: [const { None }; LEASES],
            // There are so few that nobody can do harm by knowing how they are hashed.
            by_name: HashMap::with_hasher(RandomState::with_seeds(1, 2, 3, 4)),
            of_unit: 0,
            recalled: Vec::new(),
        })
    }

    /// Takes a lock by its lease; `None`: ask the master.
    #[inline]
    fn take(&mut self, name: &str, ttl: u64, unit: bool) -> Option<Lock> {
        let slot = *self.by_name.get(name)?;
        let known = self.known.get_mut(slot)?.as_mut()?;
        if known.held.is_some() || known.next >= known.until || !self.original.is_here() {
            return None;
        }
        let token = known.next;
        let deadline = deadline(ttl);
        if !self.leases.lock(slot, known.tag, Hold { deadline, token }) {
            self.forget(slot);
            return None;
        }
        known.next += 1;
        known.held = Some(Held { token, deadline, unit });
        self.of_unit += usize::from(unit);
        Some(Lock { name: Arc::clone(&known.name), token, slot: Some(slot) })
    }

    /// Gives a lock back.
    #[inline]
    fn give_back(&mut self, lock: &Lock, asks: bool) -> Back {
        let Some(slot) = lock.slot.filter(|_| self.original.is_here()) else { return Back::Unknown };
        let Some((tag, held)) = self.take_back(slot, lock.token) else { return self.give_up(lock.token) };
        if self.leases.unlock(slot, tag) {
            return Back::Free(!asks || rr_os::time::monotonic_ns() < held.deadline);
        }
        self.forget(slot);
        Back::Recalled
    }

    /// The lock that is held in `slot`, if it has this token. It is held no more, as far as is known here.
    #[inline]
    fn take_back(&mut self, slot: usize, token: u64) -> Option<(u64, Held)> {
        let known = self.known.get_mut(slot)?.as_mut()?;
        let held = known.held.take_if(|held| held.token == token)?;
        self.of_unit -= usize::from(held.unit);
        Some((known.tag, held))
    }

    #[cold]
    fn give_up(&mut self, token: u64) -> Back {
        let Some(at) = self.recalled.iter().position(|other| *other == token) else { return Back::Unknown };
        self.recalled.swap_remove(at);
        Back::Recalled
    }

    /// Remembers a lease that came with a lock.
    fn learn(&mut self, name: &str, token: u64, ttl: u64, unit: bool, lease: Lease) -> Option<Lock> {
        let slot = usize::try_from(lease.slot).ok().filter(|slot| *slot < LEASES)?;
        // What was here was recalled, and so was another lease of this name.
        self.forget(slot);
        if let Some(&other) = self.by_name.get(name) {
            self.forget(other);
        }
        let name: Arc<str> = Arc::from(name);
        let held = Some(Held { token, deadline: deadline(ttl), unit });
        let next = token.saturating_add(1);
        self.by_name.insert(Arc::clone(&name), slot);
        self.known[slot] =
            Some(Known { name: Arc::clone(&name), tag: lease.tag, next, until: lease.until, held });
        self.of_unit += usize::from(unit);
        Some(Lock { name, token, slot: Some(slot) })
    }

    /// The lease is gone, and what was held by it is the master's.
    #[cold]
    fn forget(&mut self, slot: usize) {
        let Some(known) = self.known.get_mut(slot).and_then(Option::take) else { return };
        self.by_name.remove(&known.name);
        if let Some(held) = known.held.filter(|held| held.unit) {
            self.of_unit -= 1;
            self.recalled.push(held.token);
        }
    }

    /// Gives back what ends with the unit. The tokens of those that the master has.
    #[inline]
    fn end_unit(&mut self) -> Vec<u64> {
        if self.of_unit == 0 && self.recalled.is_empty() || !self.original.is_here() {
            return Vec::new();
        }
        for slot in 0..LEASES {
            let Some(known) = &mut self.known[slot] else { continue };
            if !known.held.is_some_and(|held| held.unit) {
                continue;
            }
            if self.leases.unlock(slot, known.tag) {
                known.held = None;
                self.of_unit -= 1;
            } else {
                self.forget(slot);
            }
        }
        std::mem::take(&mut self.recalled)
    }
}

/// In nanoseconds of the monotonic clock.
fn deadline(ttl: u64) -> u64 {
    let ttl = if ttl == 0 { LONGEST } else { ttl };
    rr_os::time::monotonic_ns().saturating_add(ttl.saturating_mul(1000))
}

impl Session {
    /// Takes a lock; `None`: it is not free within `wait`. Spans are microseconds; a `ttl` of 0 is the longest. It ends
    /// with the unit that runs; without one it is the worker's.
    ///
    /// # Errors
    /// `Refused` with the cause, or a broken channel.
    #[inline]
    pub fn lock(
        &mut self,
        name: &str,
        ttl: u64,
        wait: u64,
        shared: bool,
    ) -> Result<Option<Lock>, SessionError> {
        let unit = self.is_open();
        if !shared && let Some(lock) = self.locks.take(name, ttl, unit) {
            return Ok(Some(lock));
        }
        self.ask_for_lock(name, ttl, wait, shared)
    }

    fn ask_for_lock(
        &mut self,
        name: &str,
        ttl: u64,
        wait: u64,
        shared: bool,
    ) -> Result<Option<Lock>, SessionError> {
        let open = self.is_open();
        let unit = if open { self.unit() } else { 0 };
        let answer = self.call(ACQUIRE, &Acquire { unit, shared, ttl, wait, name }.encode())?;
        if answer.is_empty() {
            return Ok(None);
        }
        let unexpected = || SessionError::Unexpected(format!("an answer to {ACQUIRE} that is none"));
        let Obtained { token, lease } = Obtained::parse(&answer).ok_or_else(unexpected)?;
        let Some(lease) = lease else { return Ok(Some(Lock { name: name.into(), token, slot: None })) };
        self.locks.learn(name, token, ttl, open, lease).ok_or_else(unexpected).map(Some)
    }

    /// Whether this is the process that attached the session, and not one that the app has forked from it: what such a
    /// copy does with a lock is none of the lock's business.
    #[must_use]
    #[inline]
    pub fn is_original(&self) -> bool {
        self.locks.original.is_here()
    }

    /// Gives a lock back. `false`: it had ended before.
    ///
    /// # Errors
    /// `Refused` with the cause, or a broken channel.
    #[inline]
    pub fn unlock(&mut self, lock: &Lock) -> Result<bool, SessionError> {
        match self.locks.give_back(lock, true) {
            Back::Free(in_time) => Ok(in_time),
            Back::Recalled | Back::Unknown => self.release(lock.token),
        }
    }

    /// The same without an answer.
    ///
    /// # Errors
    /// A broken channel.
    #[inline]
    pub fn drop_lock(&mut self, lock: &Lock) -> Result<(), SessionError> {
        match self.locks.give_back(lock, false) {
            Back::Free(_) => Ok(()),
            // The master does not know the unit, so the lock must not outlast its reply.
            Back::Recalled => self.release(lock.token).map(drop),
            Back::Unknown => self.tell(RELEASE, &lock.token.to_le_bytes()),
        }
    }

    fn release(&mut self, token: u64) -> Result<bool, SessionError> {
        Ok(self.call(RELEASE, &token.to_le_bytes())? == [1])
    }

    /// Gives back what is held by leases and ends with the unit; before its last reply.
    pub(crate) fn end_locks(&mut self) -> Result<(), SessionError> {
        for token in self.locks.end_unit() {
            match self.release(token) {
                Ok(_) | Err(SessionError::Refused(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
