//! One resource: who holds it and who waits, in order.

use std::collections::{BTreeMap, BTreeSet};

/// A place in the queue: its class, then its ticket.
pub(super) type Place = (Class, u64);

/// Who goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Class {
    /// A reader that wants to write. Whoever waits before it waits for its read lock too, so it would never come.
    Upgrade,
    /// In order of arrival.
    Ordinary,
}

/// A resource that is held. One that is not is not there.
#[derive(Debug, Default)]
pub(super) struct Resource {
    /// Tokens by id, each list in the order of the grants.
    named: BTreeMap<Box<str>, Vec<u64>>,
    /// Tokens without an id.
    unnamed: BTreeSet<u64>,
    count: usize,
    exclusive: bool,
    pub(super) queue: BTreeSet<Place>,
}

impl Resource {
    pub(super) const fn is_held(&self) -> bool {
        self.count > 0
    }

    /// Whether one holds it, exclusively.
    pub(super) const fn is_alone(&self) -> bool {
        self.count == 1 && self.exclusive
    }

    pub(super) fn is_gone(&self) -> bool {
        self.count == 0 && self.queue.is_empty()
    }

    /// Whether it could be granted beside those who hold it now, whoever waits.
    pub(super) fn admits(&self, id: Option<&str>, shared: bool) -> bool {
        match (self.count, shared) {
            (0, _) => true,
            (_, true) => !self.exclusive,
            (1, false) => self.reads(id),
            _ => false,
        }
    }

    /// LK-02: whether `id` has a read lock, which becomes the write lock once it is the only one.
    pub(super) fn reads(&self, id: Option<&str>) -> bool {
        !self.exclusive && id.is_some_and(|id| self.named.contains_key(id))
    }

    /// The place of a request that has to wait.
    pub(super) fn class(&self, id: Option<&str>, shared: bool) -> Class {
        if !shared && self.reads(id) { Class::Upgrade } else { Class::Ordinary }
    }

    pub(super) fn add(&mut self, id: Option<&str>, token: u64, shared: bool) {
        match id {
            Some(id) => self.named.entry(id.into()).or_default().push(token),
            None => drop(self.unnamed.insert(token)),
        }
        self.count += 1;
        self.exclusive = !shared;
    }

    pub(super) fn remove(&mut self, id: Option<&str>, token: u64) {
        let found = match id {
            Some(id) => self.named.get_mut(id).is_some_and(|tokens| {
                let at = tokens.binary_search(&token);
                at.map(|at| tokens.remove(at)).is_ok()
            }),
            None => self.unnamed.remove(&token),
        };
        debug_assert!(found, "every hold is in its resource");
        if let Some(id) = id.filter(|id| self.tokens(id).is_empty()) {
            self.named.remove(id);
        }
        self.count -= usize::from(found);
        self.exclusive &= self.count > 0;
    }

    /// What `id` holds, in the order of the grants.
    pub(super) fn tokens(&self, id: &str) -> &[u64] {
        self.named.get(id).map_or(&[], Vec::as_slice)
    }

    /// What anybody holds.
    pub(super) fn all(&self) -> Vec<u64> {
        self.named.values().flatten().chain(&self.unnamed).copied().collect()
    }
}
