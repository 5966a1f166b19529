//! Owners, cancellation, limits, tokens.

use super::*;

#[test]
fn what_a_unit_has_ends_with_it_and_nothing_else() {
    let mut table = table();
    granted(table.acquire(0, &owned("a", 1, 10)));
    granted(table.acquire(0, &owned("b", 1, 11)));
    let waiting = waits(table.acquire(0, &owned("b", 1, 10)));
    let next = waits(table.acquire(0, &owned("a", 2, 20)));
    assert_eq!(table.end_unit(1, Owner { pool: 0, worker: 1, unit: 10 }), 1);
    assert_eq!(told(&mut table), (vec![next], vec![waiting]));
    assert!(table.exists(1, "b", "*"));
    assert_eq!(table.end_unit(1, Owner { pool: 1, worker: 1, unit: 11 }), 0, "another pool");
    assert_eq!(table.counts(), (2, 0));
}

#[test]
fn what_a_worker_has_ends_with_it() {
    let mut table = table();
    granted(table.acquire(0, &owned("a", 1, 10)));
    granted(table.acquire(0, &owned("b", 1, 0)));
    let own = waits(table.acquire(0, &owned("a", 1, 11)));
    let other = waits(table.acquire(0, &owned("a", 2, 20)));
    assert_eq!(table.end_worker(1, 0, 1), 2);
    assert_eq!(told(&mut table), (vec![other], vec![own]), "its own request is not served on the way");
    assert_eq!(table.end_worker(1, 0, 2), 1);
    assert_eq!(table.counts(), (0, 0));
    assert_eq!(table.next_deadline(), None);
}

#[test]
fn a_worker_that_waits_and_dies_lets_those_behind_it_through() {
    let mut table = table();
    granted(table.acquire(0, &read("a", "r")));
    let dead = waits(table.acquire(0, &owned("a", 1, 10)));
    let reader = waits(table.acquire(0, &read("a", "r2")));
    assert_eq!(table.end_worker(1, 0, 1), 0);
    assert_eq!(told(&mut table), (vec![reader], vec![dead]));
}

#[test]
fn a_request_taken_back_lets_those_behind_it_through() {
    let mut table = table();
    granted(table.acquire(0, &read("a", "r")));
    let writer = waits(table.acquire(0, &write("a", "w")));
    let reader = waits(table.acquire(0, &read("a", "r2")));
    assert!(table.cancel(1, writer));
    assert!(!table.cancel(1, writer));
    assert_eq!(told(&mut table), (vec![reader], vec![]));
}

#[test]
fn a_lock_that_expires_when_a_wait_ends_is_granted() {
    let mut table = table();
    let short = Request { ttl: SECOND, ..write("a", "1") };
    granted(table.acquire(0, &short));
    let ticket = waits(table.acquire(0, &write("a", "2")));
    table.advance(SECOND);
    assert_eq!(told(&mut table), (vec![ticket], vec![]));
}

#[test]
fn a_late_timer_serves_in_the_order_of_the_deadlines() {
    let mut table = table();
    granted(table.acquire(0, &Request { ttl: 3, ..write("a", "1") }));
    let early = waits(table.acquire(0, &Request { wait: 2, ..write("a", "2") }));
    let late = waits(table.acquire(0, &Request { wait: 4, ..write("a", "3") }));
    table.advance(100);
    assert_eq!(told(&mut table), (vec![late], vec![early]));
    assert_eq!(table.next_deadline(), Some(100 + 10 * SECOND), "the ttl runs from when it is told");
}

#[test]
fn tokens_only_grow_from_the_first() {
    let mut table = Table::new(Limits::default(), 1000);
    let mut last = 999;
    for round in 0..10 {
        let grant = granted(table.acquire(round, &write(["a", "b"][usize::from(round % 2 == 0)], "1")));
        assert!(grant.token > last);
        last = grant.token;
        assert!(table.release_token(round, grant.token));
        assert!(!table.refresh(round, grant.token, SECOND));
    }
    let grant = granted(table.acquire(20, &write("a", "1")));
    assert!(table.refresh(20, grant.token, SECOND));
    assert_eq!(table.remaining(21, grant.token), Some(SECOND - 1));
    assert_eq!(table.remaining(20 + SECOND, grant.token), None);
}

#[test]
fn limits_are_errors_that_change_nothing() {
    let mut table = Table::new(Limits { locks: 4, waiters: 2, name: 8 }, 1);
    let long = "x".repeat(9);
    let error = LockError::Name { length: 9, limit: 8 };
    assert_eq!(table.acquire(0, &write(&long, "1")), Err(error));
    assert_eq!(table.acquire(0, &write("a", &long)), Err(error));
    granted(table.acquire(0, &write("a", "1")));
    waits(table.acquire(0, &write("a", "2")));
    waits(table.acquire(0, &write("a", "3")));
    assert_eq!(table.acquire(0, &write("a", "4")), Err(LockError::TooManyWait(2)));
    assert_eq!(table.acquire(0, &Request { wait: 0, ..write("a", "4") }), Ok(Outcome::Refused));
    granted(table.acquire(0, &write("b", "1")));
    assert_eq!(table.acquire(0, &write("c", "1")), Err(LockError::TooMany(4)));
    assert_eq!(table.counts(), (2, 2));
    assert_eq!(
        LockError::TooMany(4).to_string(),
        "lock: 4 locks are held or waited for, which is the most (lock.max_locks)"
    );
}

#[test]
fn spans_that_are_too_long_are_forever() {
    let mut table = table();
    let forever = Request { ttl: Micros::MAX, wait: Micros::MAX, ..write("a", "1") };
    assert_eq!(granted(table.acquire(5, &forever)).expires, Micros::MAX);
    waits(table.acquire(5, &forever));
    assert!(table.update_ttl(5, "a", "1", Micros::MAX));
}
