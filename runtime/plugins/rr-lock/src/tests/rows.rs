//! Behaviour by row of the compatibility contract.

use super::*;

#[test]
fn r_50_a_second_writer_waits_until_the_first_is_gone() {
    let mut table = table();
    let first = granted(table.acquire(0, &write("a", "1")));
    assert_eq!(first.expires, 10 * SECOND);
    let ticket = waits(table.acquire(0, &write("a", "2")));
    assert!(table.release(5, "a", "1"));
    let events = table.take_events();
    let grant = Grant { token: first.token + 1, expires: 5 + 10 * SECOND };
    assert_eq!(events, [Event { ticket, grant: Some(grant) }]);
    assert!(table.exists(5, "a", "2"));
}

#[test]
fn r_50_locks_are_not_re_entrant() {
    let mut table = table();
    granted(table.acquire(0, &write("a", "1")));
    let ticket = waits(table.acquire(0, &write("a", "1")));
    table.advance(SECOND);
    assert_eq!(told(&mut table), (vec![], vec![ticket]));
}

#[test]
fn r_50_without_a_wait_it_is_refused_at_once() {
    let mut table = table();
    granted(table.acquire(0, &write("a", "1")));
    let request = Request { wait: 0, ..write("a", "2") };
    assert_eq!(table.acquire(0, &request), Ok(Outcome::Refused));
    assert_eq!(table.counts(), (1, 0));
}

#[test]
fn r_51_readers_share_and_writers_do_not() {
    let mut table = table();
    granted(table.acquire(0, &read("a", "1")));
    granted(table.acquire(0, &read("a", "2")));
    let writer = waits(table.acquire(0, &write("a", "3")));
    assert!(table.release(1, "a", "1"));
    assert_eq!(told(&mut table), (vec![], vec![]));
    assert!(table.release(2, "a", "2"));
    assert_eq!(told(&mut table), (vec![writer], vec![]));
}

#[test]
fn r_52_release_says_false_for_what_is_not_held() {
    let mut table = table();
    assert!(!table.release(0, "a", "1"), "no such resource");
    granted(table.acquire(0, &write("a", "1")));
    assert!(!table.release(0, "a", "2"), "another holds it");
    assert!(table.release(0, "a", "1"));
    assert!(!table.release(0, "a", "1"), "released before");
}

#[test]
fn r_53_force_release_frees_it_from_everybody() {
    let mut table = table();
    assert!(!table.force_release(0, "a"));
    granted(table.acquire(0, &read("a", "1")));
    granted(table.acquire(0, &owned_read("a")));
    let writer = waits(table.acquire(0, &write("a", "3")));
    assert!(table.force_release(1, "a"));
    assert_eq!(told(&mut table), (vec![writer], vec![]));
    assert!(!table.exists(1, "a", "1"));
}

fn owned_read(resource: &str) -> Request<'_> {
    Request { shared: true, ..owned(resource, 1, 1) }
}

#[test]
fn r_54_a_star_is_anybody() {
    let mut table = table();
    assert!(!table.exists(0, "a", "*"));
    granted(table.acquire(0, &owned("a", 1, 1)));
    assert!(table.exists(0, "a", "*"));
    assert!(!table.exists(0, "a", "1"));
    assert!(!table.exists(0, "b", "*"));
}

#[test]
fn r_55_update_ttl_starts_anew() {
    let mut table = table();
    assert!(!table.update_ttl(0, "a", "1", SECOND));
    granted(table.acquire(0, &write("a", "1")));
    assert!(table.update_ttl(9 * SECOND, "a", "1", 10 * SECOND));
    assert!(!table.update_ttl(9 * SECOND, "a", "2", SECOND));
    assert!(table.exists(19 * SECOND - 1, "a", "1"));
    assert!(!table.exists(19 * SECOND, "a", "1"));
}

#[test]
fn lk_01_a_ttl_runs_from_the_grant() {
    let mut table = table();
    granted(table.acquire(0, &write("a", "1")));
    let wait = Request { wait: 60 * SECOND, ..write("a", "2") };
    let ticket = waits(table.acquire(0, &wait));
    assert_eq!(table.next_deadline(), Some(10 * SECOND));
    table.advance(10 * SECOND);
    assert_eq!(told(&mut table), (vec![ticket], vec![]));
    assert_eq!(table.next_deadline(), Some(20 * SECOND));
}

#[test]
fn lk_03_several_wait_at_a_time_in_order() {
    let mut table = table();
    granted(table.acquire(0, &write("a", "0")));
    let mut tickets = Vec::new();
    for id in ["1", "2", "3", "4"] {
        tickets.push(waits(table.acquire(0, &write("a", id))));
    }
    for (at, id) in ["0", "1", "2", "3"].iter().enumerate() {
        assert!(table.release(1, "a", id));
        assert_eq!(told(&mut table), (vec![tickets[at]], vec![]), "after {id}");
    }
}

#[test]
fn lk_03_a_writer_is_not_passed_by_readers_and_readers_are_served_together() {
    let mut table = table();
    granted(table.acquire(0, &read("a", "r1")));
    let writer = waits(table.acquire(0, &write("a", "w")));
    let r2 = waits(table.acquire(0, &read("a", "r2")));
    let r3 = waits(table.acquire(0, &read("a", "r3")));
    let w2 = waits(table.acquire(0, &write("a", "w2")));
    let r4 = waits(table.acquire(0, &read("a", "r4")));
    let steps =
        [("r1", vec![writer]), ("w", vec![r2, r3]), ("r2", vec![]), ("r3", vec![w2]), ("w2", vec![r4])];
    for (id, expected) in steps {
        assert!(table.release(1, "a", id));
        assert_eq!(told(&mut table), (expected, vec![]), "after {id}");
    }
}

#[test]
fn lk_03_readers_go_on_when_the_writer_between_them_gives_up() {
    let mut table = table();
    granted(table.acquire(0, &read("a", "r1")));
    let writer = waits(table.acquire(0, &write("a", "w")));
    let reader = waits(table.acquire(1, &read("a", "r2")));
    table.advance(SECOND);
    assert_eq!(told(&mut table), (vec![reader], vec![writer]));
}

#[test]
fn lk_04_an_id_that_reads_twice_releases_twice() {
    let mut table = table();
    let first = granted(table.acquire(0, &read("a", "1")));
    let second = granted(table.acquire(0, &read("a", "1")));
    assert_ne!(first.token, second.token);
    let writer = waits(table.acquire(0, &write("a", "2")));
    assert!(table.release(1, "a", "1"));
    assert!(table.exists(1, "a", "1"), "one is left");
    assert_eq!(table.remaining(1, second.token), None, "the latest goes first");
    assert!(table.release(1, "a", "1"));
    assert_eq!(told(&mut table), (vec![writer], vec![]));
    assert!(!table.release(1, "a", "1"));
}

#[test]
fn lk_05_a_released_lock_is_gone_at_once() {
    let mut table = table();
    granted(table.acquire(0, &write("a", "1")));
    assert!(table.release(0, "a", "1"));
    assert!(!table.exists(0, "a", "*"));
}

#[test]
fn lk_06_while_a_writer_waits_readers_can_be_released_and_prolonged() {
    let mut table = table();
    granted(table.acquire(0, &read("a", "1")));
    granted(table.acquire(0, &read("a", "2")));
    let writer = waits(table.acquire(0, &write("a", "w")));
    assert!(table.update_ttl(1, "a", "1", 20 * SECOND));
    assert!(table.release(1, "a", "1"));
    assert!(table.force_release(1, "a"));
    assert_eq!(told(&mut table), (vec![writer], vec![]));
}

#[test]
fn lk_06_a_writer_that_gave_up_leaves_the_resource_alive() {
    let mut table = table();
    granted(table.acquire(0, &read("a", "1")));
    granted(table.acquire(0, &read("a", "2")));
    let writer = waits(table.acquire(0, &write("a", "w")));
    table.advance(SECOND);
    assert_eq!(told(&mut table), (vec![], vec![writer]));
    granted(table.acquire(SECOND, &read("a", "3")));
    for id in ["1", "2", "3"] {
        assert!(table.release(SECOND, "a", id));
    }
    granted(table.acquire(SECOND, &write("a", "w")));
}
