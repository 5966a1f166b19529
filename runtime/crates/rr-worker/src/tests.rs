//! A session against a master's end driven by hand.

mod locks;

use super::*;
use rr_shm::segment::MasterEnd;
use rr_shm::shard::ShardPage;
use rr_wire::log::Record;

const RING: usize = 4096;

fn pair() -> (MasterEnd, ShardPage, Session) {
    let (master, segment) = segment::create(RING).expect("segment");
    let shard = ShardPage::create().expect("shard");
    let parts = Parts {
        segment,
        shard: shard.memory().try_clone_to_owned().expect("dup"),
        doorbell: shard.doorbell().try_clone_to_owned().expect("dup"),
        slot: 0,
        ring: RING,
        spin: Duration::ZERO,
    };
    (master, shard, Session::attach(parts).expect("attaches"))
}

fn send(master: &mut MasterEnd, sequence: u32, context: &[u8], body: &[u8], bits: Bits) {
    if !context.is_empty() {
        master.offer(sequence);
    }
    let length = u32::try_from(context.len()).expect("short");
    let header = Header::new(Flags::RAW, bits, &[length, sequence], 0);
    while !master.send(Lane::Work, header, [context, body]).expect("sound") {
        std::thread::yield_now();
    }
    master.ring_worker();
}

fn unit(session: &mut Session) -> Unit {
    match session.receive().expect("receives") {
        Event::Unit(unit) => unit,
        Event::Stop => panic!("told to stop"),
    }
}

#[test]
fn wrk_02_hello_and_wrk_10_stop_are_control_frames() {
    let (mut master, _shard, mut session) = pair();
    session.hello(77).expect("hello");
    let frame = master.receive(Lane::Work).expect("sound").expect("a frame");
    assert!(frame.header.flags.has(Flags::CONTROL));
    assert_eq!(frame.payload, br#"{"pid":77}"#);
    let stop = Header::new(Flags::CONTROL.with(Flags::JSON), Bits::default(), &[], 0);
    assert!(master.send(Lane::Work, stop, [br#"{"stop":true}"#, b""]).expect("sound"));
    assert!(matches!(session.receive(), Ok(Event::Stop)));
}

#[test]
fn revoked_units_and_stale_bodies_are_skipped() {
    let (mut master, _shard, mut session) = pair();
    send(&mut master, 1, b"first", b"", Bits::STREAM);
    assert_eq!(unit(&mut session).sequence, 1);
    session.reply(b"head", b"", false).expect("replies early");
    send(&mut master, 1, b"", b"late", Bits::default());
    send(&mut master, 2, b"second", b"", Bits::default());
    assert!(master.revoke(2));
    send(&mut master, 3, b"third", b"body", Bits::default());
    let third = unit(&mut session);
    assert_eq!((third.sequence, &third.payload[..], third.context), (3, &b"thirdbody"[..], 5));
}

#[test]
fn bodies_longer_than_the_ring_pass_in_both_directions() {
    let (mut master, _shard, mut session) = pair();
    let long: Vec<u8> = (0..10 * RING).map(|index| (index % 251).to_le_bytes()[0]).collect();
    let expected = long.clone();
    let worker = std::thread::spawn(move || {
        assert!(unit(&mut session).more);
        let mut body = Vec::new();
        while let Some(piece) = session.read_body().expect("reads") {
            body.extend(piece);
        }
        session.reply(b"head", &body, false).expect("replies");
    });
    send(&mut master, 1, b"context", b"", Bits::STREAM);
    for piece in long.chunks(900) {
        send(&mut master, 1, b"", piece, Bits::STREAM);
    }
    send(&mut master, 1, b"", b"", Bits::default());
    let mut echoed = Vec::new();
    loop {
        let Some(frame) = master.receive(Lane::Work).expect("sound") else {
            std::thread::yield_now();
            continue;
        };
        master.freed();
        let context = frame.header.options()[0] as usize;
        echoed.extend_from_slice(&frame.payload[context..]);
        if !frame.header.bits.has(Bits::STREAM) {
            break;
        }
    }
    worker.join().expect("worker");
    assert!(echoed == expected, "the body came back changed");
}

#[test]
fn a_cancelled_unit_stops_writing_and_reading() {
    let (mut master, _shard, mut session) = pair();
    send(&mut master, 1, b"context", b"", Bits::STREAM);
    assert_eq!(unit(&mut session).sequence, 1);
    master.cancel(1);
    assert!(session.is_cancelled());
    assert!(matches!(session.read_body(), Err(SessionError::Cancelled)));
    assert!(matches!(session.reply(b"head", &[0; 3 * RING], false), Err(SessionError::Cancelled)));
    while master.receive(Lane::Work).expect("sound").is_some() {}
    session.end_cancelled().expect("ends");
    let last = master.receive(Lane::Work).expect("sound").expect("the end of the unit");
    assert_eq!((last.payload.len(), last.header.bits), (0, Bits::default()));
    assert!(matches!(session.reply(b"head", b"", false), Err(SessionError::NoUnit)));
}

#[test]
fn calls_get_their_own_answer_and_errors_their_text() {
    let (mut master, _shard, mut session) = pair();
    let answer = |master: &mut MasterEnd, sequence, flags, body: &[u8]| {
        let header = Header::new(flags, Bits::default(), &[sequence, 3], 0);
        assert!(master.send(Lane::Call, header, [b"a.B", body]).expect("sound"));
    };
    answer(&mut master, 99, Flags::RAW, b"somebody else's");
    answer(&mut master, 1, Flags::RAW, b"yes");
    assert_eq!(session.call("a.B", b"argument").expect("answered"), b"yes");
    let asked = master.receive(Lane::Call).expect("sound").expect("a call");
    let asked = Call::parse(&asked.header, &asked.payload).expect("a call");
    assert_eq!((asked.sequence, asked.method, asked.body), (1, "a.B", &b"argument"[..]));
    answer(&mut master, 2, Flags::ERROR, b"no such thing");
    let error = session.call("a.B", b"").expect_err("refused");
    assert_eq!(error.to_string(), "no such thing");
    assert!(matches!(
        session.call("a.B", &vec![0; rr_wire::rpc::MAX_BODY + 1]),
        Err(SessionError::TooLarge { .. })
    ));
}

#[test]
fn a_long_log_record_is_cut_and_says_so() {
    let (mut master, _shard, mut session) = pair();
    let record = Record { level: rr_wire::log::Level::Error, unit: 0, text: &[b'x'; 2 * RING], context: b"" };
    session.log(&record).expect("logs");
    let frame = master.receive(Lane::Call).expect("sound").expect("a record");
    let call = Call::parse(&frame.header, &frame.payload).expect("a call");
    assert_eq!((call.sequence, call.method), (ONE_WAY, rr_wire::log::METHOD));
    assert!(Record::parse(call.body).expect("a record").text.ends_with(b"x [cut]"));
}

#[test]
fn spinning_stops_when_it_finds_nothing_and_is_tried_again_later() {
    let mut spin = Spin { limit: Duration::from_micros(1), misses: 0, pause: 0 };
    let spins = (0..200)
        .filter(|_| {
            let due = spin.is_due();
            if due {
                spin.ended(false);
            }
            due
        })
        .count();
    assert!((4..=16).contains(&spins), "{spins} of 200");
    let mut off = Spin { limit: Duration::ZERO, misses: 0, pause: 0 };
    assert!((0..200).all(|_| !off.is_due()));
}
