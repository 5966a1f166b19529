//! LK-02: the only reader becomes the writer.

use super::*;

#[test]
fn lk_02_the_only_reader_becomes_the_writer() {
    let mut table = table();
    let reader = granted(table.acquire(0, &read("a", "1")));
    let writer = granted(table.acquire(1, &write("a", "1")));
    assert!(writer.token > reader.token);
    assert_eq!(table.counts(), (1, 0));
    waits(table.acquire(1, &read("a", "2")));
    assert!(!table.release_token(1, reader.token));
    assert!(table.release(1, "a", "1"));
}

#[test]
fn lk_02_another_reader_does_not() {
    let mut table = table();
    granted(table.acquire(0, &read("a", "1")));
    waits(table.acquire(0, &write("a", "2")));
}

#[test]
fn lk_02_one_of_two_readers_waits_for_the_other_and_before_those_who_wait() {
    let mut table = table();
    granted(table.acquire(0, &read("a", "1")));
    granted(table.acquire(0, &read("a", "2")));
    let stranger = waits(table.acquire(0, &write("a", "3")));
    let upgrade = waits(table.acquire(0, &write("a", "1")));
    assert!(table.release(1, "a", "2"));
    assert_eq!(told(&mut table), (vec![upgrade], vec![]));
    assert!(table.release(2, "a", "1"));
    assert_eq!(told(&mut table), (vec![stranger], vec![]));
}

#[test]
fn lk_02_the_only_reader_does_not_wait_behind_those_who_wait_for_it() {
    let mut table = table();
    granted(table.acquire(0, &read("a", "1")));
    waits(table.acquire(0, &write("a", "2")));
    granted(table.acquire(0, &write("a", "1")));
}

#[test]
fn lk_02_two_that_want_the_same_end_with_their_waits() {
    let mut table = table();
    granted(table.acquire(0, &read("a", "1")));
    granted(table.acquire(0, &read("a", "2")));
    let first = waits(table.acquire(0, &write("a", "1")));
    let second = waits(table.acquire(1, &write("a", "2")));
    table.advance(SECOND);
    assert_eq!(told(&mut table), (vec![], vec![first]));
    assert!(table.release(SECOND, "a", "1"));
    assert_eq!(told(&mut table), (vec![second], vec![]));
}

#[test]
fn lk_02_an_id_with_two_read_locks_is_not_alone() {
    let mut table = table();
    granted(table.acquire(0, &read("a", "1")));
    granted(table.acquire(0, &read("a", "1")));
    let writer = waits(table.acquire(0, &write("a", "1")));
    assert!(table.release(1, "a", "1"));
    assert_eq!(told(&mut table), (vec![writer], vec![]));
}
