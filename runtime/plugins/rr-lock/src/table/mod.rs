//! The table of all locks: who holds what until when, and who is next.
//!
//! Requests for a resource are served in the order in which they came: a reader does not pass a writer that waits,
//! and readers next to each other are served together. Every call first ends what is over by its `now`, so that a
//! late timer changes nothing but when waiters are told.

mod ends;
mod lend;
mod resource;

use crate::{Event, Grant, Limits, LockError, Micros, Outcome, Owner, Request};
use resource::{Place, Resource};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// A lock that is held. Its token is the key.
#[derive(Debug)]
struct Hold {
    resource: Arc<str>,
    id: Option<Box<str>>,
    expires: Micros,
    owner: Option<Owner>,
}

/// A request that waits. Its ticket is the key.
#[derive(Debug)]
struct Waiter {
    resource: Arc<str>,
    place: Place,
    id: Option<Box<str>>,
    shared: bool,
    ttl: Micros,
    deadline: Micros,
    owner: Option<Owner>,
    /// With whom the lock ends once it is held.
    holder: Option<Owner>,
}

/// A hold by its token or a waiter by its ticket. Of two that are over at the same time, the hold is first: who has
/// waited until then gets the lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Entry {
    Hold(u64),
    Waiter(u64),
}

/// See the module.
#[derive(Debug)]
pub struct Table {
    limits: Limits,
    resources: HashMap<Arc<str>, Resource>,
    holds: HashMap<u64, Hold>,
    waiters: HashMap<u64, Waiter>,
    /// Everything in `holds` and `waiters`, once.
    deadlines: BTreeSet<(Micros, Entry)>,
    /// By pool and worker: units and what they have.
    owned: HashMap<(u32, u64), BTreeSet<(u64, Entry)>>,
    next_token: u64,
    next_ticket: u64,
    events: Vec<Event>,
}

impl Table {
    /// An empty table. Its first grant has `first_token`: what is greater than every token of a table before keeps
    /// fencing across a restart.
    #[must_use]
    pub fn new(limits: Limits, first_token: u64) -> Self {
        Self {
            limits,
            resources: HashMap::new(),
            holds: HashMap::new(),
            waiters: HashMap::new(),
            deadlines: BTreeSet::new(),
            owned: HashMap::new(),
            next_token: first_token,
            next_ticket: 0,
            events: Vec::new(),
        }
    }

    /// Not re-entrant: who holds a lock waits for itself, except for LK-02: the only reader becomes the
    /// writer, with a token of its own. Such a reader does not queue.
    ///
    /// # Errors
    /// A limit. Nothing has changed then.
    pub fn acquire(&mut self, now: Micros, request: &Request<'_>) -> Result<Outcome, LockError> {
        self.advance(now);
        let limit = self.limits.name;
        let length = request.resource.len().max(request.id.map_or(0, str::len));
        if length > limit {
            return Err(LockError::Name { length, limit });
        }
        let known = self.resources.get_key_value(request.resource);
        let (free, class) = known.map_or((true, resource::Class::Ordinary), |(_, resource)| {
            let class = resource.class(request.id, request.shared);
            let first = resource.queue.is_empty() || class == resource::Class::Upgrade;
            (first && resource.admits(request.id, request.shared), class)
        });
        if !free && request.wait == 0 {
            return Ok(Outcome::Refused);
        }
        if self.holds.len() + self.waiters.len() >= self.limits.locks {
            return Err(LockError::TooMany(self.limits.locks));
        }
        if !free && self.waiters.len() >= self.limits.waiters {
            return Err(LockError::TooManyWait(self.limits.waiters));
        }
        let resource = known.map_or_else(|| Arc::from(request.resource), |(name, _)| Arc::clone(name));
        let id = request.id.map(Box::from);
        if free {
            let grant = self.grant(now, resource, id, request.shared, request.ttl, request.holder());
            return Ok(Outcome::Granted(grant));
        }
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        let place = (class, ticket);
        self.resources.entry(Arc::clone(&resource)).or_default().queue.insert(place);
        let deadline = now.saturating_add(request.wait);
        self.track(deadline, request.owner, Entry::Waiter(ticket));
        let (shared, ttl, owner) = (request.shared, request.ttl, request.owner);
        let holder = request.holder();
        self.waiters.insert(ticket, Waiter { resource, place, id, shared, ttl, deadline, owner, holder });
        Ok(Outcome::Waiting(ticket))
    }

    /// Gives a lock that is free.
    fn grant(
        &mut self,
        now: Micros,
        resource: Arc<str>,
        id: Option<Box<str>>,
        shared: bool,
        ttl: Micros,
        owner: Option<Owner>,
    ) -> Grant {
        let entry = self.resources.entry(Arc::clone(&resource)).or_default();
        if !shared && entry.is_held() {
            // LK-02. It is the only one.
            for token in entry.all() {
                self.forget(token);
            }
        }
        let token = self.next_token;
        self.next_token += 1;
        let expires = now.saturating_add(ttl);
        self.resources.entry(Arc::clone(&resource)).or_default().add(id.as_deref(), token, shared);
        self.track(expires, owner, Entry::Hold(token));
        self.holds.insert(token, Hold { resource, id, expires, owner });
        Grant { token, expires }
    }

    /// Serves those whom nothing keeps any more.
    fn serve(&mut self, now: Micros, name: &Arc<str>) {
        loop {
            let Some(resource) = self.resources.get(name) else { return };
            let Some(&(_, ticket)) = resource.queue.first() else { break };
            let Some(waiter) = self.waiters.get(&ticket) else { break };
            if !resource.admits(waiter.id.as_deref(), waiter.shared) {
                break;
            }
            let Some(waiter) = self.leave(ticket) else { break };
            let Waiter { resource, id, shared, ttl, holder, .. } = waiter;
            let grant = self.grant(now, resource, id, shared, ttl, holder);
            self.events.push(Event { ticket, grant: Some(grant) });
        }
        if self.resources.get(name).is_some_and(Resource::is_gone) {
            self.resources.remove(name);
        }
    }

    fn track(&mut self, deadline: Micros, owner: Option<Owner>, entry: Entry) {
        self.deadlines.insert((deadline, entry));
        if let Some(owner) = owner {
            self.owned.entry((owner.pool, owner.worker)).or_default().insert((owner.unit, entry));
        }
    }

    fn untrack(&mut self, deadline: Micros, owner: Option<Owner>, entry: Entry) {
        self.deadlines.remove(&(deadline, entry));
        let Some(owner) = owner else { return };
        let key = (owner.pool, owner.worker);
        if let Some(entries) = self.owned.get_mut(&key) {
            entries.remove(&(owner.unit, entry));
            if entries.is_empty() {
                self.owned.remove(&key);
            }
        }
    }

    /// Takes a hold out, and says of which resource. Nobody is served yet.
    fn forget(&mut self, token: u64) -> Option<Arc<str>> {
        let hold = self.holds.remove(&token)?;
        self.untrack(hold.expires, hold.owner, Entry::Hold(token));
        if let Some(resource) = self.resources.get_mut(&hold.resource) {
            resource.remove(hold.id.as_deref(), token);
        }
        Some(hold.resource)
    }

    /// Takes a waiter out. Nobody is served yet.
    fn leave(&mut self, ticket: u64) -> Option<Waiter> {
        let waiter = self.waiters.remove(&ticket)?;
        self.untrack(waiter.deadline, waiter.owner, Entry::Waiter(ticket));
        if let Some(resource) = self.resources.get_mut(&waiter.resource) {
            resource.queue.remove(&waiter.place);
        }
        Some(waiter)
    }

    fn rearm(&mut self, token: u64, expires: Micros) {
        let Some(hold) = self.holds.get_mut(&token) else { return };
        self.deadlines.remove(&(hold.expires, Entry::Hold(token)));
        hold.expires = expires;
        self.deadlines.insert((expires, Entry::Hold(token)));
    }
}
