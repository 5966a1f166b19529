//! How locks are looked at, prolonged and ended.

use super::resource::Resource;
use super::{Entry, Table};
use crate::{Event, Micros, Owner};
use std::sync::Arc;

impl Table {
    /// gives back what `id` holds; of several read locks (LK-04), the latest. `false`: it holds nothing.
    pub fn release(&mut self, now: Micros, resource: &str, id: &str) -> bool {
        self.advance(now);
        let token = self.resources.get(resource).and_then(|resource| resource.tokens(id).last()).copied();
        token.is_some_and(|token| self.release_token(now, token))
    }

    /// Gives back a lock. `false`: it has ended before.
    pub fn release_token(&mut self, now: Micros, token: u64) -> bool {
        self.advance(now);
        let Some(resource) = self.forget(token) else { return false };
        self.serve(now, &resource);
        true
    }

    /// takes a resource from all who hold it. `false`: nobody does.
    pub fn force_release(&mut self, now: Micros, resource: &str) -> bool {
        self.advance(now);
        let tokens = self.resources.get(resource).map(Resource::all).unwrap_or_default();
        let last = tokens.iter().filter_map(|token| self.forget(*token)).last();
        last.inspect(|resource| self.serve(now, resource)).is_some()
    }

    /// whether `id` holds it; `*`: whether anybody does.
    pub fn exists(&mut self, now: Micros, resource: &str, id: &str) -> bool {
        self.advance(now);
        self.resources.get(resource).is_some_and(|resource| match id {
            "*" => resource.is_held(),
            id => !resource.tokens(id).is_empty(),
        })
    }

    /// what `id` holds expires `ttl` from now. `false`: it holds nothing.
    pub fn update_ttl(&mut self, now: Micros, resource: &str, id: &str, ttl: Micros) -> bool {
        self.advance(now);
        let tokens = self.resources.get(resource).map(|resource| resource.tokens(id).to_vec());
        let tokens = tokens.unwrap_or_default();
        tokens.iter().for_each(|token| self.rearm(*token, now.saturating_add(ttl)));
        !tokens.is_empty()
    }

    /// The lock expires `ttl` from now. `false`: it has ended before.
    pub fn refresh(&mut self, now: Micros, token: u64, ttl: Micros) -> bool {
        self.advance(now);
        let held = self.holds.contains_key(&token);
        self.rearm(token, now.saturating_add(ttl));
        held
    }

    /// How much longer the lock is held. `None`: it has ended.
    pub fn remaining(&mut self, now: Micros, token: u64) -> Option<Micros> {
        self.advance(now);
        self.holds.get(&token).map(|hold| hold.expires - now)
    }

    /// Takes back a request that waits, without an event. `false`: it does not wait any more.
    pub fn cancel(&mut self, now: Micros, ticket: u64) -> bool {
        self.advance(now);
        let Some(waiter) = self.leave(ticket) else { return false };
        self.serve(now, &waiter.resource);
        true
    }

    /// Ends all that a unit of work has. The number of locks it held.
    pub fn end_unit(&mut self, now: Micros, owner: Owner) -> usize {
        self.advance(now);
        self.end(now, owner.pool, owner.worker, |unit| unit == owner.unit)
    }

    /// Ends all that a worker has of other units than `owner`'s: it has one unit at a time, and it is this one now. What
    /// it has outside any stays. The number of locks it held.
    pub fn end_before(&mut self, now: Micros, owner: Owner) -> usize {
        self.advance(now);
        self.end(now, owner.pool, owner.worker, |unit| unit != 0 && unit != owner.unit)
    }

    /// Ends all that a worker has, whatever the unit. The number of locks it held.
    pub fn end_worker(&mut self, now: Micros, pool: u32, worker: u64) -> usize {
        self.advance(now);
        self.end(now, pool, worker, |_| true)
    }

    fn end(&mut self, now: Micros, pool: u32, worker: u64, which: impl Fn(u64) -> bool) -> usize {
        let Some(owned) = self.owned.get(&(pool, worker)) else { return 0 };
        let ended: Vec<Entry> =
            owned.iter().filter(|(unit, _)| which(*unit)).map(|(_, entry)| *entry).collect();
        let mut resources: Vec<Arc<str>> = Vec::new();
        let mut count = 0;
        // All are taken out before anybody is served: none of them may be served.
        for entry in ended {
            resources.extend(match entry {
                Entry::Hold(token) => {
                    count += 1;
                    self.forget(token)
                }
                Entry::Waiter(ticket) => {
                    self.events.push(Event { ticket, grant: None });
                    self.leave(ticket).map(|waiter| waiter.resource)
                }
            });
        }
        resources.iter().for_each(|resource| self.serve(now, resource));
        count
    }

    /// Ends what is over, in the order of the deadlines.
    pub fn advance(&mut self, now: Micros) {
        while let Some(&(deadline, entry)) = self.deadlines.first() {
            if deadline > now {
                return;
            }
            let resource = match entry {
                Entry::Hold(token) => self.forget(token),
                Entry::Waiter(ticket) => {
                    self.events.push(Event { ticket, grant: None });
                    self.leave(ticket).map(|waiter| waiter.resource)
                }
            };
            if let Some(resource) = resource {
                self.serve(now, &resource);
            }
        }
    }

    /// When to call [`Table::advance`] if nothing else happens.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Micros> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    /// What has come of those who waited, in order.
    pub fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// Locks held and requests that wait.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        (self.holds.len(), self.waiters.len())
    }
}
