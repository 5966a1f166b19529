//! Both ends of a segment in one process.

use super::*;
use proptest::prelude::*;
use rr_wire::{Bits, Flags};

fn work(sequence: u32) -> Header {
    Header::new(Flags::RAW, Bits::default(), &[0, sequence], 0)
}

#[test]
fn frames_pass_both_ways_and_wrap() {
    let (mut master, file) = create(4096).expect("creates");
    let mut worker = attach(&file, 4096).expect("attaches");
    for round in 0..100_u32 {
        let body = vec![round.to_le_bytes()[0]; 1500];
        assert!(master.send(Lane::Work, work(round), [b"ctx", &body]).expect("sound"));
        let frame = worker.receive(Lane::Work).expect("sound").expect("a frame");
        assert_eq!(frame.header.options(), [0, round]);
        assert_eq!((&frame.payload[..3], &frame.payload[3..]), (&b"ctx"[..], &body[..]));
        assert!(worker.send(Lane::Call, work(round), [&body[..700], b""]).expect("sound"));
        assert_eq!(master.receive(Lane::Call).expect("sound").expect("a frame").payload.len(), 700);
    }
    assert_eq!(worker.receive(Lane::Work), Ok(None));
}

#[test]
fn a_full_ring_has_the_worker_ring() {
    let (mut master, file) = create(4096).expect("creates");
    let mut worker = attach(&file, 4096).expect("attaches");
    let mut sent = 0;
    while master.send(Lane::Work, work(sent), [&[7; 1000], b""]).expect("sound") {
        sent += 1;
    }
    assert_eq!(sent, 4);
    assert!(worker.receive(Lane::Work).expect("sound").is_some());
    assert!(worker.master_waits(), "asked once");
    assert!(!worker.master_waits(), "and not twice");
    assert!(master.send(Lane::Work, work(9), [&[7; 1000], b""]).expect("sound"));
}

#[test]
fn a_unit_is_started_or_revoked_never_both() {
    let (master, file) = create(4096).expect("creates");
    let worker = attach(&file, 4096).expect("attaches");
    master.offer(1);
    assert!(worker.start(1) && !master.revoke(1));
    master.offer(2);
    assert!(master.revoke(2) && !worker.start(2));
    assert!(!worker.start(3), "never offered");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]
    /// A worker writes garbage at any offset: the master gets frames, nothing, or an error; never a crash.
    #[test]
    fn any_bytes_in_the_segment_are_survived(
        offset in 0..8192_usize, garbage in proptest::collection::vec(any::<u8>(), 1..64),
    ) {
        let (mut master, file) = create(4096).expect("creates");
        let mut worker = attach(&file, 4096).expect("attaches");
        worker.send(Lane::Work, work(1), [&[1; 600], b""]).expect("sound");
        scribble(&file, offset, &garbage).expect("inside");
        while let Ok(Some(frame)) = master.receive(Lane::Work) {
            prop_assert!(frame.payload.len() <= 4096);
        }
        let _ = master.send(Lane::Work, work(1), [&[1; 600], b""]);
        let _ = master.receive(Lane::Call);
        let _ = master.revoke(1);
        master.ring_worker();
    }
}
