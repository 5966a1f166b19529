//! What is lent and comes back: by hand, and at random beside a list of who holds what. `LOCK_SEED=17 cargo test -p
//! rr-lock lending` plays one run again.

use super::simulation::Dice;
use super::*;
use crate::lending::{Lending, TOKENS};
use rr_shm::leases::{Hold, LEASES, Leases};
use rr_shm::segment;
use rr_wire::lock::Lease;
use std::collections::HashMap;

/// Late enough that tokens of all leases are behind the clock.
const BEGIN: Micros = 1000 * SECOND;
/// What the monotonic clock was when the table's began.
const ORIGIN: u64 = 77;

fn nanos(at: Micros) -> u64 {
    ORIGIN + at * 1000
}

fn lending(limits: Limits) -> Lending {
    Lending::new(Table::new(limits, 1), ORIGIN)
}

/// What a worker remembers of a lease.
#[derive(Debug, Clone, Copy)]
struct Known {
    lease: Lease,
    next: u64,
    held: Option<u64>,
}

/// Both ends of a worker's leases, and what the worker does with its own.
struct Worker {
    number: u64,
    master: Leases,
    own: Leases,
    known: HashMap<String, Known>,
}

impl Worker {
    fn new(number: u64) -> Self {
        let (master, file) = segment::create(4096).expect("a segment");
        let own = segment::attach(&file, 4096).expect("attaches").leases();
        Self { number, master: master.leases(), own, known: HashMap::new() }
    }

    /// By its lease. The token.
    fn take(&mut self, now: Micros, name: &str, ttl: Micros) -> Option<u64> {
        let known = self.known.get_mut(name)?;
        if known.held.is_some() || known.next >= known.lease.until {
            return None;
        }
        let token = known.next;
        let hold = Hold { deadline: nanos(now + ttl), token };
        if !self.own.lock(known.lease.slot as usize, known.lease.tag, hold) {
            self.known.remove(name);
            return None;
        }
        (known.next, known.held) = (token + 1, Some(token));
        Some(token)
    }

    /// By its lease. `false`: the master has it.
    fn give_back(&mut self, name: &str, token: u64) -> bool {
        let Some(known) = self.known.get_mut(name) else { return false };
        if known.held.take_if(|held| *held == token).is_none() {
            return false;
        }
        let kept = self.own.unlock(known.lease.slot as usize, known.lease.tag);
        if !kept {
            self.known.remove(name);
        }
        kept
    }

    /// By a message. The token.
    fn ask(&mut self, lending: &mut Lending, now: Micros, name: &str, ttl: Micros) -> Option<u64> {
        let request = Request { ttl, wait: 0, ..owned(name, self.number, 1) };
        let (outcome, lease) = lending.acquire(now, &request, Some(&self.master)).expect("within the limits");
        let Outcome::Granted(grant) = outcome else {
            assert_eq!((outcome, lease), (Outcome::Refused, None));
            return None;
        };
        if let Some(lease) = lease {
            self.known.retain(|_, known| known.lease.slot != lease.slot);
            let known = Known { lease, next: grant.token + 1, held: Some(grant.token) };
            self.known.insert(name.to_owned(), known);
        }
        Some(grant.token)
    }

    /// Has a lease of `name` that is not held.
    fn borrow(&mut self, lending: &mut Lending, now: Micros, name: &str) {
        let first = self.ask(lending, now, name, SECOND).expect("free");
        assert!(!self.known.contains_key(name), "the first time it is not lent");
        assert!(lending.table.release_token(now, first));
        let second = self.ask(lending, now, name, SECOND).expect("free");
        assert!(second > first && self.known.contains_key(name));
        assert!(self.give_back(name, second));
    }
}

fn exists(lending: &mut Lending, now: Micros, name: &str) -> bool {
    lending.recall(now, name);
    lending.table.exists(now, name, "*")
}

#[test]
fn who_comes_again_gets_a_lease_until_somebody_else_comes() {
    let (mut lending, mut one, mut two) = (lending(Limits::default()), Worker::new(1), Worker::new(2));
    let now = BEGIN;
    one.borrow(&mut lending, now, "a");
    let token = one.take(now, "a", 5 * SECOND).expect("its own");
    assert!(one.take(now, "a", SECOND).is_none(), "not re-entrant");
    assert_eq!(two.ask(&mut lending, now + SECOND, "a", SECOND), None, "it is held");
    assert_eq!(lending.table.remaining(now + SECOND, token), Some(4 * SECOND), "as the worker said");
    assert!(!one.give_back("a", token) && lending.table.release_token(now + SECOND, token));
    let other = two.ask(&mut lending, now + SECOND, "a", SECOND).expect("free");
    assert!(other > token + TOKENS - 10, "beyond all that the lease could give");
    assert!(one.take(now, "a", SECOND).is_none() && one.known.is_empty());
}

#[test]
fn an_idle_lease_keeps_nobody() {
    let (mut lending, mut one) = (lending(Limits::default()), Worker::new(1));
    for turn in 0..4 {
        let now = BEGIN + turn * SECOND;
        one.known.clear();
        one.borrow(&mut lending, now, "a");
        match turn {
            0 => assert!(!exists(&mut lending, now, "a")),
            1 => {
                lending.recall(now, "a");
                assert!(!lending.table.force_release(now, "a"));
            }
            2 => {
                let request = Request { wait: 0, ..write("a", "rpc") };
                let (outcome, lease) = lending.acquire(now, &request, None).expect("within the limits");
                assert!(matches!(outcome, Outcome::Granted(_)) && lease.is_none());
                assert!(lending.table.release(now, "a", "rpc"));
            }
            _ => assert_eq!(lending.end_worker(now, 0, 1), 0),
        }
        assert!(one.take(now, "a", SECOND).is_none(), "turn {turn}: the lease is gone");
        // As if another had asked, where nobody has.
        let request = Request { wait: 0, ..read("a", "rpc") };
        assert!(lending.acquire(now, &request, None).is_ok() && lending.table.release(now, "a", "rpc"));
    }
}

#[test]
fn a_lock_that_is_over_is_free_and_one_of_a_dead_worker_too() {
    let (mut lending, mut one, mut two) = (lending(Limits::default()), Worker::new(1), Worker::new(2));
    one.borrow(&mut lending, BEGIN, "a");
    let token = one.take(BEGIN, "a", SECOND).expect("its own");
    let other = two.ask(&mut lending, BEGIN + SECOND, "a", SECOND).expect("over");
    assert!(!one.give_back("a", token) && !lending.table.release_token(BEGIN + SECOND, token));
    assert!(lending.table.release_token(BEGIN + SECOND, other));
    one.borrow(&mut lending, BEGIN, "b");
    one.borrow(&mut lending, BEGIN, "c");
    one.take(BEGIN, "b", 0).expect("its own");
    one.take(BEGIN, "c", SECOND).expect("its own");
    assert_eq!(lending.end_worker(BEGIN, 0, 1), 1, "the other was over");
    assert!(!exists(&mut lending, BEGIN, "b") && !exists(&mut lending, BEGIN, "c"));
    assert_eq!(lending.table.counts(), (0, 0));
}

#[test]
fn a_token_finds_its_lease() {
    let (mut lending, mut one) = (lending(Limits::default()), Worker::new(1));
    one.borrow(&mut lending, BEGIN, "a");
    one.borrow(&mut lending, BEGIN, "b");
    let token = one.take(BEGIN, "a", SECOND).expect("its own");
    lending.recall_token(BEGIN, 0);
    lending.recall_token(BEGIN, u64::MAX);
    assert_eq!(lending.table.remaining(BEGIN, token), None, "nobody has asked for it");
    lending.recall_token(BEGIN, token);
    assert!(lending.table.refresh(BEGIN, token, 9 * SECOND));
    assert!(!one.give_back("a", token) && one.take(BEGIN, "b", SECOND).is_some());
}

/// A worker has as many as there are lines; who wants one more gets that of the oldest that is idle.
#[test]
fn the_oldest_idle_lease_makes_room() {
    let (mut lending, mut one) = (lending(Limits::default()), Worker::new(1));
    let names: Vec<String> = (0..LEASES).map(|number| number.to_string()).collect();
    names.iter().for_each(|name| one.borrow(&mut lending, BEGIN, name));
    let held = one.take(BEGIN, "0", SECOND).expect("its own");
    one.borrow(&mut lending, BEGIN, "more");
    assert!(one.take(BEGIN, "1", SECOND).is_none(), "the oldest idle one");
    assert!(one.give_back("0", held) && one.take(BEGIN, "2", SECOND).is_some());
    for name in &names {
        let _ = one.take(BEGIN, name, SECOND);
    }
    assert!(one.take(BEGIN, "more", SECOND).is_some());
    for _ in 0..2 {
        let token = one.ask(&mut lending, BEGIN, "none is idle", SECOND).expect("free");
        assert!(lending.table.release_token(BEGIN, token), "it is not lent");
    }
}

#[test]
fn what_is_lent_counts_and_is_called_back_when_the_table_is_full() {
    let (mut lending, mut one) = (lending(Limits { locks: 3, ..Limits::default() }), Worker::new(1));
    one.borrow(&mut lending, BEGIN, "a");
    one.borrow(&mut lending, BEGIN, "b");
    one.take(BEGIN, "b", SECOND).expect("its own");
    let mut take = |name| lending.acquire(BEGIN, &Request { wait: 0, ..write(name, "rpc") }, None);
    assert!(take("c").is_ok() && take("d").is_ok());
    assert_eq!(take("e"), Err(LockError::TooMany(3)));
    assert_eq!(lending.table.counts(), (3, 0));
}

/// The next server begins with the nanosecond in which it starts.
#[test]
fn tokens_do_not_overtake_the_clock() {
    let (mut lending, mut one) = (lending(Limits::default()), Worker::new(1));
    for _ in 0..3 {
        let token = one.ask(&mut lending, 1, "a", SECOND).expect("free");
        assert!(lending.table.release_token(1, token), "nothing is lent so early");
    }
    let later = TOKENS / 1000 + 1;
    let token = one.ask(&mut lending, later, "a", SECOND).expect("free");
    assert!(one.give_back("a", token));
    one.known.clear();
    for _ in 0..3 {
        let token = one.ask(&mut lending, later, "a", SECOND).expect("free");
        assert!(lending.table.release_token(later, token), "one lease is all that the time has room for");
    }
}

#[test]
fn a_worker_that_lies_has_lost_its_lock_or_has_asked_for_another_ttl() {
    let far = Hold { deadline: u64::MAX, token: 0 };
    for (lie, held) in [
        (Hold { deadline: 0, ..far }, false),
        (Hold { token: u64::MAX, ..far }, false),
        (Hold { token: 1, ..far }, false),
        (far, true),
    ] {
        let (mut lending, mut one) = (lending(Limits::default()), Worker::new(1));
        one.borrow(&mut lending, BEGIN, "a");
        let known = one.known["a"];
        // 0 stands for an honest token.
        let token = if lie.token == 0 { known.next } else { lie.token };
        assert!(one.own.lock(known.lease.slot as usize, known.lease.tag, Hold { token, ..lie }));
        assert_eq!(exists(&mut lending, BEGIN, "a"), held, "{lie:?}");
        // Says that it has the lease again.
        one.master.grant(known.lease.slot as usize, known.lease.tag, lie);
        assert_eq!(exists(&mut lending, BEGIN, "a"), held, "{lie:?}");
        assert_eq!(lending.end_worker(BEGIN, 0, 1), usize::from(held));
    }
}

/// Who holds a name, by the rules alone.
#[derive(Debug, Clone, Copy)]
struct Truth {
    /// `None`: a client.
    worker: Option<usize>,
    token: u64,
    expires: Micros,
}

const NAMES: [&str; 3] = ["a", "b", "c"];

/// Returns how many locks were taken without a message.
fn run(seed: u64) -> usize {
    let mut dice = Dice(seed);
    let mut lending = lending(Limits::default());
    let mut workers: Vec<Worker> = (0..3).map(Worker::new).collect();
    let mut born = 3;
    let mut now = BEGIN;
    let mut truth: [Option<Truth>; NAMES.len()] = [None; NAMES.len()];
    // The highest token of each name.
    let mut tokens = [0_u64; NAMES.len()];
    // What was given and not given back: worker, name, token.
    let mut locks: Vec<(usize, usize, u64)> = Vec::new();
    let mut by_lease = 0;
    for step in 0..400 {
        let at = dice.index(NAMES.len());
        let name = NAMES[at];
        let which = dice.index(workers.len());
        let free = truth[at].is_none_or(|held| held.expires <= now);
        let ttl = 1 + dice.below(50);
        let says = |what: &str| format!("seed {seed}, step {step}, {what}: {name} {:?}", truth[at]);
        match dice.below(16) {
            0..7 => {
                let worker = &mut workers[which];
                let fast = worker.take(now, name, ttl);
                by_lease += usize::from(fast.is_some());
                let token = fast.or_else(|| worker.ask(&mut lending, now, name, ttl));
                assert_eq!(token.is_some(), free, "{}", says("a worker takes it"));
                let Some(token) = token else { continue };
                assert!(token > tokens[at], "{}", says("tokens grow"));
                tokens[at] = token;
                locks.push((which, at, token));
                truth[at] = Some(Truth { worker: Some(which), token, expires: now + ttl });
            }
            7..12 if !locks.is_empty() => {
                let (which, at, token) = locks.swap_remove(dice.index(locks.len()));
                let own = truth[at].is_some_and(|held| held.token == token && held.expires > now);
                if !workers[which].give_back(NAMES[at], token) {
                    lending.recall_token(now, token);
                    let real = lending.table.release_token(now, token);
                    assert_eq!(real, own, "seed {seed}, step {step}: {:?} is given back", truth[at]);
                }
                if own {
                    truth[at] = None;
                }
            }
            12 => {
                let request = Request { ttl, wait: 0, ..write(name, "rpc") };
                let (outcome, _) = lending.acquire(now, &request, None).expect("within the limits");
                assert_eq!(matches!(outcome, Outcome::Granted(_)), free, "{}", says("a client takes it"));
                if let Outcome::Granted(grant) = outcome {
                    assert!(grant.token > tokens[at], "{}", says("tokens grow"));
                    tokens[at] = grant.token;
                    truth[at] = Some(Truth { worker: None, token: grant.token, expires: grant.expires });
                }
            }
            13 => {
                assert_eq!(exists(&mut lending, now, name), !free, "{}", says("somebody looks"));
                if dice.below(3) == 0 {
                    assert_eq!(lending.table.force_release(now, name), !free, "{}", says("by force"));
                    truth[at] = None;
                } else if let Some(held) = truth[at].filter(|_| !free) {
                    assert_eq!(lending.table.remaining(now, held.token), Some(held.expires - now));
                }
            }
            14 if dice.below(4) == 0 => {
                let own = |held: &Truth| held.worker == Some(which) && held.expires > now;
                let count = truth.iter().flatten().filter(|held| own(held)).count();
                let number = workers[which].number;
                assert_eq!(lending.end_worker(now, 0, number), count, "{}", says("a worker dies"));
                truth.iter_mut().for_each(|held| *held = held.filter(|held| held.worker != Some(which)));
                locks.retain(|(worker, ..)| *worker != which);
                workers[which] = Worker::new(born);
                born += 1;
            }
            _ => now += dice.below(20),
        }
    }
    for worker in &workers {
        lending.end_worker(now, 0, worker.number);
    }
    lending.table.advance(now + SECOND);
    assert_eq!(lending.table.counts(), (0, 0), "seed {seed}");
    assert!(lending.is_empty(), "seed {seed}: {lending:?}");
    by_lease
}

#[test]
fn simulation() {
    if let Ok(seed) = std::env::var("LOCK_SEED") {
        run(seed.parse().expect("LOCK_SEED is a number"));
        return;
    }
    let by_lease: usize = (0..500).map(run).sum();
    assert!(by_lease > 1000, "leases are used: {by_lease}");
}
