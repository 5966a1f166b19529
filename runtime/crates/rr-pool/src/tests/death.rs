//! Workers that end, and workers that write what is no answer.

use super::*;

#[tokio::test(start_paused = true)]
async fn pool_07_a_dead_worker_fails_the_unit_it_started_and_others_get_the_rest() {
    let world = World::with(1).await;
    let hand = world.hand(1);
    world.warm(&hand);
    let (mut started, mut behind) = (world.submit("started"), world.submit("behind"));
    let mut waits = world.submit("waits");
    assert_eq!(world.info(1).map(|worker| worker.held), Some(2));
    assert_eq!(hand.started().context, "started");
    hand.exit("signal 11 (SIGSEGV)");
    settle().await;
    assert_eq!(answered(&mut started), Err(ExecError::WorkerDied("signal 11 (SIGSEGV)".to_owned())));
    assert!(pending(&mut behind) && pending(&mut waits));
    let next = world.hand(2);
    assert!(next.serve());
    assert_eq!(answered(&mut behind), Ok("behind".to_owned()), "it has waited longer");
    assert!(pending(&mut waits) && next.serve());
    assert_eq!(answered(&mut waits), Ok("waits".to_owned()));
    assert!(hand.next().is_none(), "taken back");
}

#[tokio::test(start_paused = true)]
async fn pool_07_a_unit_that_the_dead_worker_never_started_is_answered_by_another() {
    let world = World::with(1).await;
    let mut exchange = world.submit("unit");
    world.hand(1).exit("exit code 255");
    settle().await;
    assert!(world.hand(2).serve());
    assert_eq!(answered(&mut exchange), Ok("unit".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn pool_07_a_unit_that_the_dead_worker_never_started_goes_to_an_idle_one_at_once() {
    let world = World::with(2).await;
    let mut exchange = world.submit("unit");
    let given = world.alive().into_iter().find(|hand| hand.end.flushes() > 0).expect("one has it");
    *world.crew.boot.lock() = Boot::Fail;
    given.exit("exit code 255");
    settle().await;
    assert!(world.alive()[0].serve());
    assert_eq!(answered(&mut exchange), Ok("unit".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_answers_and_ends_has_answered() {
    let world = World::with(1).await;
    let hand = world.hand(1);
    let mut exchange = world.submit("unit");
    let work = hand.started();
    let header = Header::new(Flags::RAW, Bits::default(), &[0, work.sequence, 1], 0);
    assert!(hand.end.send(Lane::Work, header, [b"last words", b""]), "and nobody has looked yet");
    hand.exit("exit code 255");
    settle().await;
    assert_eq!(answered(&mut exchange), Ok("last words".to_owned()));
    assert_eq!(world.ids(State::Ready), [2]);
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_ends_before_a_slow_client_has_read_its_answer_has_answered() {
    let world = World::with(1).await;
    let hand = world.hand(1);
    let mut exchange = world.submit("unit");
    let work = hand.started();
    for text in ["a", "b", "c", "d"] {
        assert!(hand.stream(work.sequence, text));
    }
    hand.reply(work.sequence, "e");
    for _ in 0..5 {
        hand.call(0, "log", b"");
    }
    hand.exit("exit code 0");
    settle().await;
    assert_eq!(answered(&mut exchange), Ok("abcde".to_owned()));
    assert_eq!(world.desk.seen.lock().len(), 5);
}

#[tokio::test(start_paused = true)]
async fn pool_08_a_soft_error_keeps_the_worker() {
    let world = World::with(1).await;
    let hand = world.hand(1);
    let mut exchange = world.submit("unit");
    hand.fail(hand.started().sequence, "division by zero");
    assert_eq!(answered(&mut exchange), Err(ExecError::Soft("division by zero".to_owned())));
    let mut next = world.submit("next");
    assert!(hand.serve() && answered(&mut next).is_ok());
    assert_eq!(*world.crew.spawns.lock(), 1);
}

#[tokio::test(start_paused = true)]
async fn pool_08_a_soft_error_may_end_a_stream() {
    let world = World::with(1).await;
    let hand = world.hand(1);
    let mut exchange = world.submit("unit");
    let work = hand.started();
    assert!(hand.stream(work.sequence, "begins"));
    hand.fail(work.sequence, "and fails");
    assert!(matches!(poll(&mut exchange), Some(Some(Ok(frame))) if frame.body == "begins"));
    assert_eq!(answered(&mut exchange), Err(ExecError::Soft("and fails".to_owned())));
    assert_eq!(world.state(1), Some(State::Ready));
}

/// Has a worker that runs a unit do `what`, and expects that this ends it and nobody else.
async fn garbage(why: &str, what: impl FnOnce(&Hand, u32)) {
    let world = World::with(2).await;
    let (mut bad, mut good) = (world.submit("bad"), world.submit("good"));
    let hands = world.alive();
    let jobs: Vec<Work> = hands.iter().map(|hand| hand.started()).collect();
    let broken = jobs.iter().position(|work| work.context == "bad").expect("one has it");
    let (broken, sound) = (&hands[broken], &hands[1 - broken]);
    what(broken, 1);
    assert!(broken.killed.load(Ordering::Relaxed), "{why}: killed");
    let error = answered(&mut bad).expect_err("no answer");
    assert!(matches!(&error, ExecError::Protocol(text) if text.contains(why)), "{why}: {error}");
    settle().await;
    assert!(pending(&mut good) && !sound.killed.load(Ordering::Relaxed), "{why}: the other goes on");
    sound.reply(1, "good");
    assert_eq!(answered(&mut good), Ok("good".to_owned()));
    assert_eq!(world.ids(State::Ready).len(), 2, "{why}: replaced");
}

fn raw(options: &[u32]) -> Header {
    Header::new(Flags::RAW, Bits::default(), options, 0)
}

#[tokio::test(start_paused = true)]
async fn protocol_garbage_condemns_the_worker_that_writes_it() {
    let control = Header::new(Flags::CONTROL, Bits::default(), &[], 0);
    garbage("unit 77 instead of 1", |hand, _| {
        let _ = hand.send(raw(&[0, 77, 1]), [b"", b""]);
    })
    .await;
    garbage("a context of 9 bytes", |hand, unit| {
        let _ = hand.send(raw(&[9, unit, 1]), [b"abc", b""]);
    })
    .await;
    garbage("a reply with 2 options", |hand, unit| {
        let _ = hand.send(raw(&[0, unit]), [b"", b""]);
    })
    .await;
    garbage("a reply with 0 options", |hand, _| {
        let _ = hand.send(raw(&[]), [b"", b""]);
    })
    .await;
    garbage("a control frame out of place", |hand, _| {
        let hello = format!("{{\"pid\":{}}}", hand.pid());
        let _ = hand.send(control, [hello.as_bytes(), b""]);
    })
    .await;
    garbage("an error that goes on", |hand, unit| {
        let header = Header::new(Flags::ERROR, Bits::STREAM, &[0, unit, 1], 0);
        let _ = hand.send(header, [b"oops", b""]);
    })
    .await;
    garbage("2 options", |hand, _| {
        assert!(hand.end.send(Lane::Call, raw(&[1]), [b"rpc", b""]));
        hand.look();
    })
    .await;
    garbage("closed its channel", |hand, _| {
        hand.end.close();
        hand.look();
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_reply_of_a_worker_that_has_no_unit_condemns_it() {
    let world = World::with(1).await;
    let mut exchange = world.submit("unit");
    let hand = world.hand(1);
    assert!(hand.serve() && answered(&mut exchange).is_ok());
    assert!(hand.reply_taking(1, 1, "once more", false));
    assert!(hand.killed.load(Ordering::Relaxed));
    settle().await;
    assert_eq!(world.ids(State::Ready), [2]);
}

#[tokio::test(start_paused = true)]
async fn a_channel_that_breaks_while_a_unit_is_handed_over_costs_no_unit() {
    let world = World::with(2).await;
    let hands = world.alive();
    hands[0].end.close();
    let mut exchanges = [world.submit("a"), world.submit("b")];
    settle().await;
    while world.alive().iter().any(|hand| hand.serve()) {}
    assert!(exchanges.iter_mut().all(|exchange| answered(exchange).is_ok()));
    assert!(hands[0].killed.load(Ordering::Relaxed) && !hands[1].killed.load(Ordering::Relaxed));
}
