//! Locks that leave the table, because a worker takes and gives them back by itself, and come back.

use super::resource::Resource;
use super::{Entry, Hold, Table};
use crate::{Micros, Owner};
use std::ops::Range;
use std::sync::Arc;

impl Table {
    /// Whether `others` beside what is here are below [`crate::Limits::locks`].
    #[must_use]
    pub(crate) fn has_room_beside(&self, others: usize) -> bool {
        self.holds.len() + self.waiters.len() + others < self.limits.locks
    }

    /// The next grant's.
    #[must_use]
    pub(crate) const fn next_token(&self) -> u64 {
        self.next_token
    }

    /// Takes out the lock that was granted last, with `count` tokens from its own on, which are the borrower's. `None`:
    /// it stays, because others hold it or wait for it.
    pub(crate) fn lend(&mut self, token: u64, count: u64) -> Option<(Arc<str>, Range<u64>)> {
        let until = token.checked_add(count).filter(|_| token.checked_add(1) == Some(self.next_token))?;
        let hold = self.holds.get(&token)?;
        let resource = self.resources.get(&hold.resource)?;
        if !resource.is_alone() || !resource.queue.is_empty() || hold.id.is_some() {
            return None;
        }
        let name = self.forget(token)?;
        if self.resources.get(&name).is_some_and(Resource::is_gone) {
            self.resources.remove(&name);
        }
        self.next_token = until;
        Some((name, token..until))
    }

    /// Puts a lock back that was lent: nobody else has it. One that is over is none.
    pub(crate) fn adopt(
        &mut self,
        now: Micros,
        resource: Arc<str>,
        token: u64,
        expires: Micros,
        owner: Owner,
    ) {
        self.advance(now);
        let entry = self.resources.entry(Arc::clone(&resource)).or_default();
        debug_assert!(entry.is_gone(), "what is lent is not in the table");
        if expires <= now || !entry.is_gone() || self.holds.contains_key(&token) {
            if entry.is_gone() {
                self.resources.remove(&resource);
            }
            return;
        }
        entry.add(None, token, false);
        self.track(expires, Some(owner), Entry::Hold(token));
        self.holds.insert(token, Hold { resource, id: None, expires, owner: Some(owner) });
    }
}
