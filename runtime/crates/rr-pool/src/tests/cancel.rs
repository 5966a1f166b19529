//! Clients that go away.

use super::*;
use crate::SendError;

#[tokio::test(start_paused = true)]
async fn cancelled_while_queued_a_unit_is_never_run() {
    let world = World::with(1).await;
    let hand = world.hand(1);
    let (mut first, second, mut third) = (world.submit("1"), world.submit("2"), world.submit("3"));
    drop(second);
    assert_eq!(world.pool.queue_len(), 1);
    assert!(hand.serve() && hand.serve() && hand.next().is_none());
    assert_eq!((answered(&mut first), answered(&mut third)), (Ok("1".to_owned()), Ok("3".to_owned())));
    assert_eq!(world.pool.queue_len(), 0);
}

#[tokio::test(start_paused = true)]
async fn units_cancelled_in_the_queue_do_not_fill_the_memory() {
    let world = World::with(1).await;
    let _runs = world.submit("runs");
    let _waits = world.submit("waits");
    for _ in 0..10_000 {
        drop(world.submit("gone"));
    }
    let core = world.pool.core.lock();
    assert!(core.queue.len() < 100, "{}", core.queue.len());
    assert_eq!(core.waiting, 1);
}

#[tokio::test(start_paused = true)]
async fn cancelled_before_it_was_started_a_unit_is_taken_back_and_the_worker_is_free() {
    let world = World::with(1).await;
    let hand = world.hand(1);
    drop(world.submit("gone"));
    assert_eq!(world.state(1), Some(State::Ready));
    let mut next = world.submit("next");
    assert!(hand.serve());
    assert_eq!(answered(&mut next), Ok("next".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn cancelled_while_prefetched_a_unit_is_taken_back_and_the_next_one_takes_its_place() {
    let world = World::with(1).await;
    let hand = world.hand(1);
    world.warm(&hand);
    let (mut runs, behind, mut waits) = (world.submit("runs"), world.submit("behind"), world.submit("waits"));
    assert_eq!((world.info(1).map(|worker| worker.held), world.pool.queue_len()), (Some(2), 1));
    drop(behind);
    assert_eq!((world.info(1).map(|worker| worker.held), world.pool.queue_len()), (Some(2), 0));
    assert!(hand.serve() && hand.serve() && hand.next().is_none());
    assert_eq!((answered(&mut runs), answered(&mut waits)), (Ok("runs".to_owned()), Ok("waits".to_owned())));
}

#[tokio::test(start_paused = true)]
async fn cancelled_while_it_runs_the_worker_is_told_and_its_answer_thrown_away() {
    let world = World::with(1).await;
    let hand = world.hand(1);
    let exchange = world.submit("gone");
    let work = hand.started();
    assert!(!hand.end.is_cancelled(work.sequence));
    drop(exchange);
    assert!(hand.end.is_cancelled(work.sequence));
    let mut next = world.submit("next");
    assert!(hand.next().is_none(), "it is busy until it says otherwise");
    hand.reply(work.sequence, "to nobody");
    assert!(hand.serve());
    assert_eq!(answered(&mut next), Ok("next".to_owned()));
    assert!(!hand.killed.load(Ordering::Relaxed));
}

#[tokio::test(start_paused = true)]
async fn cancelled_while_it_streams_frames_are_thrown_away_and_stream_timeout_ends_it() {
    let world = World::started(Limits { stream_timeout: 30 * SECOND, ..Limits::default() }).await;
    let hand = world.hand(1);
    let mut exchange = world.submit("gone");
    let work = hand.started();
    assert!(hand.stream(work.sequence, "one"));
    assert!(matches!(poll(&mut exchange), Some(Some(Ok(_)))));
    drop(exchange);
    for _ in 0..100 {
        assert!(hand.stream(work.sequence, "more"), "the ring never fills");
    }
    world.tick(29 * SECOND);
    assert!(!hand.killed.load(Ordering::Relaxed));
    world.tick(31 * SECOND);
    assert!(hand.killed.load(Ordering::Relaxed));
    settle().await;
    assert_eq!(world.ids(State::Ready), [2]);
}

#[tokio::test(start_paused = true)]
async fn cancelled_while_it_streams_a_worker_that_stops_is_kept() {
    let world = World::started(Limits { stream_timeout: 30 * SECOND, ..Limits::default() }).await;
    let hand = world.hand(1);
    let exchange = world.submit("gone");
    let work = hand.started();
    assert!(hand.stream(work.sequence, "one"));
    drop(exchange);
    hand.reply(work.sequence, "");
    world.tick(31 * SECOND);
    assert_eq!((world.state(1), hand.killed.load(Ordering::Relaxed)), (Some(State::Ready), false));
}

#[tokio::test(start_paused = true)]
async fn cancelled_while_its_frames_wait_in_the_ring_they_are_thrown_away_at_once() {
    let world = World::with(1).await;
    let hand = world.hand(1);
    let exchange = world.submit("gone");
    let work = hand.started();
    for _ in 0..4 {
        assert!(hand.stream(work.sequence, "frame"));
    }
    hand.reply(work.sequence, "last");
    // The worker is done and has no reason to ring again.
    drop(exchange);
    assert_eq!(world.state(1), Some(State::Ready));
    let mut next = world.submit("next");
    assert!(hand.serve() && answered(&mut next).is_ok());
}

#[tokio::test(start_paused = true)]
async fn cancelled_after_its_worker_died_a_unit_is_over_already() {
    let world = World::with(1).await;
    let exchange = world.submit("unit");
    let _ = world.hand(1).started();
    world.hand(1).exit("exit code 1");
    settle().await;
    drop(exchange);
    assert_eq!((world.pool.queue_len(), world.ids(State::Ready)), (0, vec![2]));
}

/// Command workers are told the length of a body before it comes.
fn submit_promised(world: &World) -> Exchange {
    let request = Request { length: Some(8), ..request("upload", true) };
    world.pool.submit(request).expect("taken")
}

const FOUR: Bytes = Bytes::from_static(b"half");

#[tokio::test(start_paused = true)]
async fn cancelled_inside_a_body_of_a_known_length_the_worker_gets_the_rest_and_is_told_then() {
    let world = World::with(1).await;
    let hand = world.hand(1);
    let exchange = submit_promised(&world);
    let sender = exchange.body_sender();
    let work = hand.started();
    drop(exchange);
    assert!(!hand.end.is_cancelled(work.sequence));
    for _ in 0..2 {
        assert_eq!(sender.send(FOUR).now_or_never(), Some(Ok(())));
        assert_eq!(hand.part(work.sequence), Some(Part::More(FOUR.to_vec())));
    }
    assert!(!hand.end.is_cancelled(work.sequence));
    assert_eq!(sender.finish().now_or_never(), Some(Ok(())));
    assert_eq!(hand.part(work.sequence), Some(Part::Last(Vec::new())));
    assert!(hand.end.is_cancelled(work.sequence));
    assert_eq!(sender.finish().now_or_never(), Some(Err(SendError)));
    hand.reply(work.sequence, "to nobody");
    let mut next = world.submit("next");
    assert!(hand.serve());
    assert_eq!(answered(&mut next), Ok("next".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn cancelled_inside_such_a_body_its_sender_ends_with_the_unit() {
    for end in ["not started", "answered", "replaced", "dead"] {
        let world = World::with(1).await;
        let hand = world.hand(1);
        let exchange = submit_promised(&world);
        let sender = exchange.body_sender();
        let sequence = (end != "not started").then(|| hand.started().sequence);
        let client = tokio::spawn(async move {
            loop {
                sender.send(FOUR).await?;
            }
            #[expect(unreachable_code, reason = "names the type")]
            Ok::<(), SendError>(())
        });
        if sequence.is_some() {
            settle().await;
            assert!(!client.is_finished());
        }
        drop(exchange);
        match end {
            "answered" => hand.reply(sequence.expect("started"), "to nobody"),
            "replaced" => {
                let stop = Header::new(Flags::CONTROL, Bits::default(), &[], 0);
                assert!(hand.send(stop, [br#"{"stop":true}"#, b""]));
            }
            "dead" => hand.exit("exit code 255"),
            _ => {}
        }
        settle().await;
        assert_eq!(done(client).await, Err(SendError), "{end}");
    }
}
