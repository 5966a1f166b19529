//! The call lane.

use super::*;

fn answer(hand: &Hand) -> Option<(u32, Vec<u8>, bool)> {
    let frame = hand.end.receive(Lane::Call)?;
    let call = Call::parse(&frame.header, &frame.payload).expect("a call");
    Some((call.sequence, call.body.to_vec(), call.failed))
}

#[tokio::test(start_paused = true)]
async fn calls_are_answered_and_one_way_messages_are_not() {
    let world = World::with(1).await;
    let hand = world.hand(1);
    hand.call(1, "now", b"body");
    assert_eq!(answer(&hand), Some((1, b"body".to_vec(), false)));
    hand.call(2, "refused", b"");
    assert_eq!(answer(&hand), Some((2, b"no".to_vec(), true)));
    hand.call(3, "later", b"");
    assert_eq!(answer(&hand), None);
    settle().await;
    assert_eq!(answer(&hand), Some((3, b"later".to_vec(), false)));
    hand.call(0, "now", b"");
    hand.call(0, "later", b"");
    hand.call(4, "none", b"");
    settle().await;
    assert_eq!(answer(&hand), None);
}

#[tokio::test(start_paused = true)]
async fn a_call_names_its_worker_and_its_unit() {
    let world = World::with(1).await;
    let hand = world.hand(1);
    hand.call(0, "idle", b"");
    let exchange = world.submit("unit");
    let _ = hand.started();
    hand.call(0, "busy", b"text");
    let seen = world.desk.seen.lock();
    let who = |index: usize| {
        let caller: &Caller = &seen[index].0;
        (&*caller.pool, caller.worker, caller.generation, caller.pid, caller.unit_of(1))
    };
    assert_eq!(who(0), ("test", 1, 1, hand.pid(), 0));
    assert_eq!(who(1), ("test", 1, 1, hand.pid(), exchange.id()));
    assert_eq!((&*seen[1].1, &*seen[1].2), ("busy", &b"text"[..]));
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_calls_and_calls_is_heard_in_turns() {
    let world = World::new(Limits::default(), Boot::Hello, 200);
    world.pool.start().await.expect("starts");
    let hand = world.hand(1);
    for _ in 0..150 {
        let call = Call { sequence: 0, method: "log", body: b"", failed: false };
        let header = Header::new(Flags::RAW, Bits::default(), &call.options(), 0);
        assert!(hand.end.send(Lane::Call, header, [b"log", b""]));
    }
    hand.look();
    let first = world.desk.seen.lock().len();
    assert!(first < 150, "{first}");
    settle().await;
    assert_eq!(world.desk.seen.lock().len(), 150);
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_does_not_read_its_answers_is_ended() {
    let world = World::new(Limits::default(), Boot::Hello, 2);
    world.pool.start().await.expect("starts");
    let hand = world.hand(1);
    hand.call(1, "now", b"");
    hand.call(2, "now", b"");
    assert!(!hand.killed.load(Ordering::Relaxed));
    hand.call(3, "now", b"");
    assert!(!hand.killed.load(Ordering::Relaxed), "one may wait for room");
    hand.call(4, "now", b"");
    assert!(hand.killed.load(Ordering::Relaxed));
}

#[tokio::test(start_paused = true)]
async fn an_answer_for_a_worker_that_has_left_reaches_nobody_else() {
    let world = World::with(1).await;
    let hand = world.hand(1);
    hand.call(1, "later", b"");
    hand.exit("exit code 0");
    settle().await;
    let next = world.hand(2);
    settle().await;
    assert_eq!(answer(&next), None);
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_unit_that_has_asked_is_told_once() {
    let world = World::started(Limits { prefetch: 1, ..Limits::default() }).await;
    let hand = world.hand(1);
    let _quiet = world.submit("quiet");
    hand.serve();
    let asks = world.submit("asks");
    let work = hand.started();
    hand.call(1, "now", b"");
    // One that wants no answer asks for nothing.
    hand.call(0, "log", b"");
    assert!(world.desk.ended.lock().is_empty());
    hand.reply(work.sequence, "done");
    let _quiet = world.submit("quiet again");
    hand.serve();
    assert_eq!(*world.desk.ended.lock(), [(1, Some(asks.id()))]);
    hand.exit("signal 9");
    settle().await;
    assert_eq!(*world.desk.ended.lock(), [(1, Some(asks.id())), (1, None)]);
}

#[tokio::test(start_paused = true)]
async fn what_the_next_unit_asks_for_does_not_hide_its_end() {
    let world = World::started(Limits { prefetch: 1, ..Limits::default() }).await;
    let hand = world.hand(1);
    // Fast, so that the next unit is put behind the first.
    world.warm(&hand);
    let (first, second) = (world.submit("first"), world.submit("second"));
    let (one, two) = (hand.started(), hand.started());
    let header = Header::new(Flags::RAW, Bits::default(), &[1, one.sequence, 1], 0);
    // Both are there before the pool looks: the reply, and what the worker has asked since.
    assert!(hand.end.send(Lane::Work, header, [b"c", b"done"]));
    hand.call(1, "now", b"");
    hand.reply(two.sequence, "done");
    let ended = [(1, Some(first.id())), (1, Some(second.id()))];
    assert_eq!(*world.desk.ended.lock(), ended);
}
