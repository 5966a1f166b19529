//! The rules of the table once more, as lists that are searched from end to end.

use super::*;

/// Something that is done to both.
#[derive(Debug, Clone)]
pub(super) enum Step {
    Acquire(Wish),
    Release(usize, usize),
    /// The n-th token of all that were ever given, from the latest.
    ReleaseToken(usize),
    Refresh(usize, Micros),
    Force(usize),
    UpdateTtl(usize, usize, Micros),
    /// The n-th ticket of all that were ever given, from the latest.
    Cancel(usize),
    EndUnit(Owner),
    EndWorker(u64),
    EndBefore(Owner),
    Sleep(Micros),
}

#[derive(Debug, Clone)]
pub(super) struct Wish {
    pub(super) resource: usize,
    pub(super) id: Option<usize>,
    pub(super) shared: bool,
    pub(super) ttl: Micros,
    pub(super) wait: Micros,
    pub(super) owner: Option<Owner>,
    pub(super) keep: bool,
}

pub(super) const RESOURCES: [&str; 3] = ["a", "b", "c"];
pub(super) const IDS: [&str; 3] = ["1", "2", "3"];

#[derive(Debug, Clone)]
struct Held {
    wish: Wish,
    expires: Micros,
    token: u64,
    /// The request that waited for it and is told of it now.
    ticket: Option<u64>,
}

#[derive(Debug, Clone)]
struct Queued {
    wish: Wish,
    deadline: Micros,
    ticket: u64,
    upgrade: bool,
}

/// The table, and what it should be.
#[derive(Debug)]
pub(super) struct Model {
    table: Table,
    now: Micros,
    held: Vec<Held>,
    queued: Vec<Queued>,
    tokens: Vec<u64>,
    tickets: u64,
    /// Told in this step: a ticket, and whether it was served.
    told: Vec<(u64, bool)>,
    pub(super) served: usize,
}

impl Model {
    pub(super) fn new() -> Self {
        Self {
            table: Table::new(Limits::default(), 1),
            now: 0,
            held: Vec::new(),
            queued: Vec::new(),
            tokens: Vec::new(),
            tickets: 0,
            told: Vec::new(),
            served: 0,
        }
    }

    /// Does it to both and compares.
    pub(super) fn step(&mut self, step: &Step) {
        self.told.clear();
        self.settle();
        let now = self.now;
        match step {
            Step::Acquire(wish) => self.acquire(wish),
            Step::Release(resource, id) => {
                let own = |held: &&Held| held.wish.resource == *resource && held.wish.id == Some(*id);
                let token = self.held.iter().filter(own).map(|held| held.token).max();
                let real = self.table.release(now, RESOURCES[*resource], IDS[*id]);
                assert_eq!(real, token.is_some());
                self.end_holds(|held| Some(held.token) == token);
            }
            Step::ReleaseToken(back) => {
                let token = self.token(*back);
                let known = self.held.iter().any(|held| held.token == token);
                assert_eq!(self.table.release_token(now, token), known);
                self.end_holds(|held| held.token == token);
            }
            Step::Refresh(back, ttl) => {
                let token = self.token(*back);
                let mut own = self.held.iter_mut().filter(|held| held.token == token);
                let known = own.next().map(|held| held.expires = now + ttl).is_some();
                assert_eq!(self.table.refresh(now, token, *ttl), known);
            }
            Step::Force(resource) => {
                let known = self.held.iter().any(|held| held.wish.resource == *resource);
                assert_eq!(self.table.force_release(now, RESOURCES[*resource]), known);
                self.end_holds(|held| held.wish.resource == *resource);
            }
            Step::UpdateTtl(resource, id, ttl) => {
                let real = self.table.update_ttl(now, RESOURCES[*resource], IDS[*id], *ttl);
                let own = |held: &&mut Held| held.wish.resource == *resource && held.wish.id == Some(*id);
                let count = self.held.iter_mut().filter(own).map(|held| held.expires = now + ttl).count();
                assert_eq!(real, count > 0);
            }
            Step::Cancel(back) => {
                let ticket = self.tickets.saturating_sub(1 + *back as u64);
                let known = self.queued.iter().any(|queued| queued.ticket == ticket);
                assert_eq!(self.table.cancel(now, ticket), known);
                self.queued.retain(|queued| queued.ticket != ticket);
                self.serve();
            }
            Step::EndUnit(owner) => {
                let real = self.table.end_unit(now, *owner);
                self.end_owner(real, |other| other == *owner);
            }
            Step::EndWorker(worker) => {
                let real = self.table.end_worker(now, 0, *worker);
                self.end_owner(real, |other| other.worker == *worker);
            }
            Step::EndBefore(owner) => {
                let real = self.table.end_before(now, *owner);
                self.end_owner(real, |other| {
                    other.worker == owner.worker && other.unit != 0 && other.unit != owner.unit
                });
            }
            Step::Sleep(span) => {
                self.now += span;
                self.settle();
                self.table.advance(self.now);
            }
        }
        self.compare();
    }

    fn token(&self, back: usize) -> u64 {
        self.tokens.iter().rev().nth(back).copied().unwrap_or(0)
    }

    fn acquire(&mut self, wish: &Wish) {
        let request = Request {
            resource: RESOURCES[wish.resource],
            id: wish.id.map(|id| IDS[id]),
            shared: wish.shared,
            ttl: wish.ttl,
            wait: wish.wait,
            owner: wish.owner,
            keep: wish.keep,
        };
        let upgrade = self.is_upgrade(wish);
        let passes = upgrade || !self.queued.iter().any(|queued| queued.wish.resource == wish.resource);
        let free = passes && self.is_free(wish);
        let outcome = self.table.acquire(self.now, &request).expect("within the limits");
        match (free, wish.wait) {
            (true, _) => {
                let Outcome::Granted(grant) = outcome else { panic!("{wish:?} is free: {outcome:?}") };
                assert_eq!(grant.expires, self.now + wish.ttl);
                self.take(wish.clone(), None);
                self.held.last_mut().expect("just taken").token = grant.token;
                self.tokens.push(grant.token);
            }
            (false, 0) => assert_eq!(outcome, Outcome::Refused),
            (false, wait) => {
                let ticket = self.tickets;
                assert_eq!(outcome, Outcome::Waiting(ticket));
                self.tickets += 1;
                self.queued.push(Queued { wish: wish.clone(), deadline: self.now + wait, ticket, upgrade });
            }
        }
    }

    fn holders(&self, resource: usize) -> Vec<&Held> {
        self.held.iter().filter(|held| held.wish.resource == resource).collect()
    }

    fn is_upgrade(&self, wish: &Wish) -> bool {
        let holders = self.holders(wish.resource);
        let own = |held: &&Held| held.wish.shared && wish.id.is_some() && held.wish.id == wish.id;
        !wish.shared && holders.iter().any(own)
    }

    fn is_free(&self, wish: &Wish) -> bool {
        let holders = self.holders(wish.resource);
        holders.is_empty()
            || wish.shared && holders.iter().all(|held| held.wish.shared)
            || holders.len() == 1 && self.is_upgrade(wish)
    }

    fn take(&mut self, wish: Wish, ticket: Option<u64>) {
        if !wish.shared {
            self.held.retain(|held| held.wish.resource != wish.resource);
        }
        let expires = self.now + wish.ttl;
        self.held.push(Held { wish, expires, token: 0, ticket });
    }

    fn end_holds(&mut self, which: impl Fn(&Held) -> bool) {
        self.held.retain(|held| !which(held));
        self.serve();
    }

    fn end_owner(&mut self, real: usize, which: impl Fn(Owner) -> bool) {
        let ends = |wish: &Wish| wish.owner.is_some_and(&which);
        let before = self.held.len();
        self.held.retain(|held| held.wish.keep || !ends(&held.wish));
        assert_eq!(real, before - self.held.len());
        let over = self.queued.iter().filter(|queued| ends(&queued.wish));
        self.told.extend(over.map(|queued| (queued.ticket, false)));
        self.queued.retain(|queued| !ends(&queued.wish));
        self.serve();
    }

    /// The first of each queue, upgrades before others, again and again.
    fn serve(&mut self) {
        for resource in 0..RESOURCES.len() {
            loop {
                let own = self.queued.iter().filter(|queued| queued.wish.resource == resource);
                let Some(first) = own.min_by_key(|queued| (!queued.upgrade, queued.ticket)).cloned() else {
                    break;
                };
                if !self.is_free(&first.wish) {
                    break;
                }
                self.queued.retain(|queued| queued.ticket != first.ticket);
                self.told.push((first.ticket, true));
                self.take(first.wish, Some(first.ticket));
            }
        }
    }

    /// What is over by now, one after the other; holds before waiters that are over at the same time.
    fn settle(&mut self) {
        loop {
            let hold = self.held.iter().enumerate().min_by_key(|(_, held)| held.expires);
            let hold = hold.map(|(at, held)| (held.expires, at)).filter(|(at, _)| *at <= self.now);
            let waiter = self.queued.iter().enumerate().min_by_key(|(_, queued)| queued.deadline);
            let waiter = waiter.map(|(at, queued)| (queued.deadline, at)).filter(|(at, _)| *at <= self.now);
            match (hold, waiter) {
                (None, None) => return,
                (Some((expires, at)), waiter) if waiter.is_none_or(|(deadline, _)| expires <= deadline) => {
                    let _ = self.held.remove(at);
                }
                (_, Some((_, at))) => {
                    let over = self.queued.remove(at);
                    self.told.push((over.ticket, false));
                }
                (Some(_), None) => unreachable!("nothing is before nothing"),
            }
            self.serve();
        }
    }

    fn compare(&mut self) {
        // With a ttl of nothing, what has just been granted is over.
        self.table.advance(self.now);
        self.settle();
        let mut events = self.table.take_events();
        let mut seen: Vec<_> = events.iter().map(|event| (event.ticket, event.grant.is_some())).collect();
        seen.sort_unstable();
        self.told.sort_unstable();
        assert_eq!(seen, self.told, "who is told what");
        events.retain(|event| event.grant.is_some());
        self.served += events.len();
        let mut new = Vec::new();
        for event in &events {
            let grant = event.grant.expect("kept for it");
            new.push(grant.token);
            let held = self.held.iter_mut().find(|held| held.ticket == Some(event.ticket));
            if let Some(held) = held {
                held.token = grant.token;
                held.ticket = None;
                assert_eq!(held.expires, grant.expires);
            }
        }
        self.tokens.extend(new);
        assert!(self.tokens.is_sorted_by(|one, next| one < next), "tokens grow: {:?}", self.tokens);
        assert_eq!(self.table.counts(), (self.held.len(), self.queued.len()));
        let deadlines = self.held.iter().map(|held| held.expires);
        let first = deadlines.chain(self.queued.iter().map(|queued| queued.deadline)).min();
        assert_eq!(self.table.next_deadline(), first);
        for (resource, name) in RESOURCES.iter().enumerate() {
            let holders: Vec<Held> = self.holders(resource).into_iter().cloned().collect();
            let alone = holders.len() < 2 || holders.iter().all(|held| held.wish.shared);
            assert!(alone, "one writer or readers: {holders:?}");
            assert_eq!(self.table.exists(self.now, name, "*"), !holders.is_empty());
            for (id, text) in IDS.iter().enumerate() {
                let holds = holders.iter().any(|held| held.wish.id == Some(id));
                assert_eq!(self.table.exists(self.now, name, text), holds);
            }
            for held in holders {
                let left = Some(held.expires - self.now);
                assert_eq!(self.table.remaining(self.now, held.token), left, "{held:?}");
            }
        }
    }

    /// Whether everything is as it was before anybody came.
    pub(super) fn is_empty(&self) -> bool {
        format!("{:?}", self.table)
            .contains("resources: {}, holds: {}, waiters: {}, deadlines: {}, owned: {}")
    }

    /// Lets everything expire.
    pub(super) fn finish(&mut self) {
        for _ in 0..1000 {
            if self.held.is_empty() && self.queued.is_empty() {
                break;
            }
            self.step(&Step::Sleep(1000));
        }
        assert!(self.is_empty(), "nothing is left behind: {:?}", self.table);
    }
}
