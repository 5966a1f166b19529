//! Locks that are held by leases, against a master that answers by hand.

use super::*;
use rr_shm::leases::{Hold, LEASES, Recalled};
use rr_wire::lock::{Lease, Obtained};

/// Answers the next call before it is asked.
fn answer(master: &mut MasterEnd, sequence: u32, method: &str, body: &[u8]) {
    let length = u32::try_from(method.len()).expect("short");
    let header = Header::new(Flags::RAW, Bits::default(), &[sequence, length], 0);
    assert!(master.send(Lane::Call, header, [method.as_bytes(), body]).expect("sound"));
}

/// What was asked: the sequence, the method and the token of a release.
fn asked(master: &mut MasterEnd) -> Option<(u32, String, Option<u64>)> {
    let frame = master.receive(Lane::Call).expect("sound")?;
    let call = Call::parse(&frame.header, &frame.payload).expect("a call");
    Some((call.sequence, call.method.to_owned(), rr_wire::lock::number(call.body)))
}

fn release(sequence: u32, token: u64) -> Option<(u32, String, Option<u64>)> {
    Some((sequence, "lock.release".to_owned(), Some(token)))
}

/// Has the session obtain a lock by lease `tag`, in call `sequence`.
fn lend(
    master: &mut MasterEnd,
    session: &mut Session,
    sequence: u32,
    name: &str,
    slot: usize,
    tag: u64,
) -> Lock {
    let token = tag * 100;
    master.leases().grant(slot, tag, Hold { deadline: u64::MAX, token });
    let lease = Lease { slot: u32::try_from(slot).expect("small"), tag, until: token + 4 };
    answer(master, sequence, "lock.acquire", &Obtained { token, lease: Some(lease) }.encode());
    let lock = session.lock(name, 0, 0, false).expect("asks").expect("obtained");
    assert_eq!((lock.name(), lock.token()), (name, token));
    assert!(asked(master).is_some_and(|(asked, method, _)| (asked, &*method) == (sequence, "lock.acquire")));
    lock
}

#[test]
fn a_lease_takes_no_message_until_its_tokens_are_used_up() {
    let (mut master, _shard, mut session) = pair();
    let first = lend(&mut master, &mut session, 1, "a", 0, 1);
    assert!(session.unlock(&first).expect("its own"));
    for token in 101..104 {
        let lock = session.lock("a", 1_000_000, 0, false).expect("takes").expect("its own");
        assert_eq!(lock.token(), token);
        session.drop_lock(&lock).expect("its own");
    }
    assert_eq!(asked(&mut master), None);
    let again = lend(&mut master, &mut session, 2, "a", 0, 2);
    // What is no longer held is not given back in another's place.
    answer(&mut master, 3, "lock.release", &[0]);
    assert!(!session.unlock(&first).expect("answered"));
    assert_eq!(asked(&mut master), release(3, 100));
    assert!(session.unlock(&again).expect("its own"));
}

#[test]
fn what_only_the_master_can_do_is_asked() {
    let (mut master, _shard, mut session) = pair();
    let held = lend(&mut master, &mut session, 1, "a", 0, 1);
    // Held already, shared, another name.
    for (sequence, name, shared) in [(2, "a", false), (3, "a", true), (4, "b", false)] {
        answer(&mut master, sequence, "lock.acquire", &[]);
        assert!(session.lock(name, 0, 0, shared).expect("asks").is_none());
        assert!(asked(&mut master).is_some());
    }
    assert!(session.unlock(&held).expect("its own"));
    answer(&mut master, 5, "lock.acquire", &[]);
    assert!(session.lock("a", 0, 0, true).expect("asks").is_none());
}

#[test]
fn a_lock_whose_lease_is_gone_is_given_back_by_message() {
    let (mut master, _shard, mut session) = pair();
    let held = lend(&mut master, &mut session, 1, "a", 3, 1);
    assert_eq!(master.leases().recall(3, 1), Recalled::Held(Hold { deadline: u64::MAX, token: 100 }));
    answer(&mut master, 2, "lock.release", &[1]);
    session.drop_lock(&held).expect("answered");
    asked(&mut master).expect("it waits for the answer");
    let held = lend(&mut master, &mut session, 3, "a", 3, 2);
    assert!(session.unlock(&held).expect("its own") && master.leases().recall_idle(3, 2));
    answer(&mut master, 4, "lock.acquire", &Obtained { token: 7, lease: None }.encode());
    let plain = session.lock("a", 0, 0, false).expect("asks").expect("obtained");
    session.drop_lock(&plain).expect("tells");
    assert_eq!((asked(&mut master).map(|asked| asked.0), asked(&mut master)), (Some(4), release(0, 7)));
}

#[test]
fn a_lock_that_is_over_says_so() {
    let (mut master, _shard, mut session) = pair();
    let held = lend(&mut master, &mut session, 1, "a", 0, 1);
    session.drop_lock(&held).expect("its own");
    let short = session.lock("a", 1, 0, false).expect("takes").expect("its own");
    let Recalled::Held(hold) = master.leases().recall(0, 1) else { panic!("it is held") };
    master.leases().grant(0, 1, hold);
    while rr_os::time::monotonic_ns() < hold.deadline {
        std::hint::spin_loop();
    }
    assert!(!session.unlock(&short).expect("its own"));
}

#[test]
fn the_end_of_a_unit_gives_back_what_it_has_and_nothing_else() {
    let (mut master, _shard, mut session) = pair();
    let workers = lend(&mut master, &mut session, 1, "worker's", 0, 1);
    send(&mut master, 1, b"context", b"", Bits::default());
    assert_eq!(unit(&mut session).sequence, 1);
    let one = lend(&mut master, &mut session, 2, "one", 1, 2);
    lend(&mut master, &mut session, 3, "two", 2, 3);
    let _ = master.leases().recall(2, 3);
    session.reply(b"head", b"more", true).expect("replies");
    assert!(!master.leases().recall_idle(1, 2), "the unit goes on");
    answer(&mut master, 4, "lock.release", &[1]);
    session.reply(b"", b"last", false).expect("replies");
    assert_eq!(asked(&mut master), release(4, 300), "the master has that one");
    assert!(master.leases().recall_idle(1, 2) && !master.leases().recall_idle(0, 1));
    // The object goes later.
    session.drop_lock(&one).expect("tells");
    assert_eq!(asked(&mut master), release(0, 200), "which the master does not know any more");
    assert!(session.unlock(&workers).expect("its own"));
}

/// The master gives the line to another name while the worker still believes in the lease before.
#[test]
fn what_was_recalled_unnoticed_ends_with_the_unit_all_the_same() {
    for object_goes in [true, false] {
        let (mut master, _shard, mut session) = pair();
        send(&mut master, 1, b"context", b"", Bits::default());
        assert_eq!(unit(&mut session).sequence, 1);
        let one = lend(&mut master, &mut session, 1, "one", 0, 1);
        let _ = master.leases().recall(0, 1);
        lend(&mut master, &mut session, 2, "two", 0, 2);
        answer(&mut master, 3, "lock.release", &[1]);
        if object_goes {
            session.drop_lock(&one).expect("answered");
        }
        session.reply(b"head", b"body", false).expect("replies");
        assert_eq!((asked(&mut master), asked(&mut master)), (release(3, 100), None));
        assert!(master.leases().recall_idle(0, 2));
    }
}

#[test]
fn a_unit_that_is_given_up_gives_back_too() {
    for cancelled in [true, false] {
        let (mut master, _shard, mut session) = pair();
        send(&mut master, 1, b"context", b"", Bits::default());
        assert_eq!(unit(&mut session).sequence, 1);
        lend(&mut master, &mut session, 1, "a", 0, 1);
        if cancelled {
            master.cancel(1);
            assert!(matches!(session.reply(b"head", b"", false), Err(SessionError::Cancelled)));
            session.end_cancelled().expect("ends");
        } else {
            session.give_back().expect("gives back");
        }
        assert!(master.leases().recall_idle(0, 1));
    }
}

#[test]
fn an_answer_that_is_none_is_an_error() {
    let (mut master, _shard, mut session) = pair();
    let slot = u32::try_from(LEASES).expect("small");
    let beyond = Obtained { token: 1, lease: Some(Lease { slot, tag: 1, until: 2 }) }.encode();
    for (sequence, body) in [(1, &beyond[..]), (2, b"short"), (3, &beyond[..20])] {
        answer(&mut master, sequence, "lock.acquire", body);
        assert!(matches!(session.lock("a", 0, 0, false), Err(SessionError::Unexpected(_))));
    }
}
