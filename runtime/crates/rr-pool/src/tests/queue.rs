//! Who gets a unit, who waits, who is refused.

use super::*;
use crate::Dynamic;

#[tokio::test(start_paused = true)]
async fn pool_02_units_wait_in_order_and_idle_workers_are_used_again() {
    let world = World::with(1).await;
    let hand = world.hand(1);
    let mut exchanges: Vec<_> = ["a", "b", "c"].map(|name| world.submit(name)).into();
    assert_eq!(world.pool.queue_len(), 2);
    for (exchange, name) in exchanges.iter_mut().zip(["a", "b", "c"]) {
        let work = hand.started();
        assert_eq!(work.context, name);
        assert!(hand.next().is_none(), "a worker that is not known to be fast has one unit");
        assert!(pending(exchange));
        hand.reply(work.sequence, name);
        assert_eq!(answered(exchange), Ok(name.to_owned()));
    }
    assert_eq!((world.pool.queue_len(), world.state(1)), (0, Some(State::Ready)));
    let mut again = world.submit("again");
    assert!(hand.serve());
    assert_eq!(answered(&mut again), Ok("again".to_owned()));
    assert_eq!(*world.crew.spawns.lock(), 1);
    assert_eq!(world.info(1).map(|worker| worker.served), Some(4));
}

#[tokio::test(start_paused = true)]
async fn the_worker_used_last_is_used_first() {
    let world = World::with(3).await;
    let mut first = world.submit("first");
    let used = world.alive().into_iter().find(|hand| hand.serve()).expect("one of them");
    assert!(answered(&mut first).is_ok());
    for _ in 0..5 {
        let mut next = world.submit("next");
        assert!(used.serve(), "its caches are warm");
        assert!(answered(&mut next).is_ok());
    }
}

#[tokio::test(start_paused = true)]
async fn pool_03_max_queue_size_counts_units_that_wait() {
    let world = World::started(Limits { max_queue_size: 2, ..Limits::default() }).await;
    let mut exchanges: Vec<_> = ["runs", "waits", "waits too"].map(|name| world.submit(name)).into();
    let error = world.try_submit("refused").expect_err("refused");
    assert_eq!(error, ExecError::QueueFull(2));
    assert!(error.may_retry());
    drop(exchanges.pop());
    let mut last = world.submit("takes the place of the one that went away");
    assert_eq!(world.try_submit("refused").expect_err("refused"), ExecError::QueueFull(2));
    let hand = world.hand(1);
    while hand.serve() {}
    assert!(exchanges.iter_mut().all(|exchange| answered(exchange).is_ok()) && answered(&mut last).is_ok());
    assert_eq!(world.info(1).map(|worker| worker.served), Some(3));
}

#[tokio::test(start_paused = true)]
async fn pool_03_no_worker_within_allocate_timeout() {
    let limit = 10 * SECOND;
    let world = World::started(Limits { allocate_timeout: limit, ..Limits::default() }).await;
    let (mut runs, mut waits) = (world.submit("runs"), world.submit("waits"));
    world.tick(9 * SECOND);
    assert!(pending(&mut waits) && world.pool.queue_len() == 1);
    world.tick(11 * SECOND);
    assert_eq!(answered(&mut waits), Err(ExecError::NoFreeWorker(limit)));
    assert!(pending(&mut runs), "what runs goes on");
    assert_eq!(world.pool.queue_len(), 0);
    assert!(world.hand(1).serve() && answered(&mut runs).is_ok());
}

#[tokio::test(start_paused = true)]
async fn without_allocate_timeout_units_wait_for_as_long_as_it_takes() {
    let world = World::started(Limits { allocate_timeout: Duration::ZERO, ..Limits::default() }).await;
    let (_runs, mut waits) = (world.submit("runs"), world.submit("waits"));
    world.tick(100_000 * SECOND);
    assert!(pending(&mut waits));
}

#[tokio::test(start_paused = true)]
async fn a_head_that_does_not_fit_a_frame_is_refused() {
    let world = World::with(1).await;
    let too_large = Request { body: Bytes::from(vec![0; MAX_PAYLOAD]), ..request("c", false) };
    let error = world.pool.submit(too_large).expect_err("refused");
    assert_eq!(error, ExecError::TooLarge { size: MAX_PAYLOAD + 1, limit: MAX_PAYLOAD });
    let fits = Request { body: Bytes::from(vec![0; MAX_PAYLOAD - 1]), ..request("c", false) };
    let _exchange = world.pool.submit(fits).expect("taken");
    assert_eq!(world.hand(1).started().body.len(), MAX_PAYLOAD - 1);
}

#[tokio::test(start_paused = true)]
async fn a_fast_worker_gets_another_unit_and_a_slow_one_does_not() {
    let world = World::with(1).await;
    let hand = world.hand(1);
    let held = || world.info(1).map(|worker| worker.held);
    let (_a, _b) = (world.submit("a"), world.submit("b"));
    assert_eq!((held(), world.pool.queue_len()), (Some(1), 1), "unknown, so slow");
    while hand.serve() {}
    world.warm(&hand);
    let (mut a, mut b, mut c) = (world.submit("a"), world.submit("b"), world.submit("c"));
    assert_eq!((held(), world.pool.queue_len()), (Some(2), 1), "one runs, one is behind it");
    let (first, second) = (hand.started(), hand.started());
    assert_eq!((&*first.context, &*second.context), ("a", "b"));
    assert!(hand.next().is_none());
    assert!(hand.reply_taking(first.sequence, 0, "a", false));
    assert_eq!(held(), Some(2), "filled again");
    // One slow unit is enough.
    assert!(hand.reply_taking(second.sequence, 200, "b", false));
    let _d = world.submit("d");
    assert_eq!((held(), world.pool.queue_len()), (Some(1), 1));
    assert!(hand.serve() && answered(&mut c).is_ok());
    assert_eq!((answered(&mut a), answered(&mut b)), (Ok("a".to_owned()), Ok("b".to_owned())));
}

#[tokio::test(start_paused = true)]
async fn a_quick_worker_gets_one_more_where_others_wait_and_loses_it_to_an_idle_one() {
    let world = quick(1, 500).await;
    let held = |id| world.info(id).map(|worker| worker.held);
    let mut units: Vec<_> = ["a", "b", "c", "d"].map(|name| world.submit(name)).into();
    assert_eq!((held(1), held(2), world.pool.queue_len()), (Some(1), Some(1), 2), "nobody is given ahead");
    let (one, two) = (world.hand(1), world.hand(2));
    let (first, second) = (one.started(), two.started());
    assert!(one.reply_taking(first.sequence, 500, "first", false));
    assert_eq!((held(1), held(2), world.pool.queue_len()), (Some(2), Some(1), 0), "what waited");
    let runs = one.started();
    assert!(two.reply_taking(second.sequence, 500, "second", false));
    assert_eq!((held(1), held(2)), (Some(1), Some(1)), "taken over at once");
    assert!(two.serve() && one.next().is_none());
    assert!(one.reply_taking(runs.sequence, 500, "third", false));
    assert!(units.iter_mut().all(|unit| answered(unit).is_ok()), "each is answered");
}

/// Two workers whose units take `micros`.
async fn quick(prefetch: usize, micros: u32) -> World {
    let world = World::started(Limits { num_workers: 2, prefetch, ..Limits::default() }).await;
    for _ in 0..60 {
        let exchanges = [world.submit("a"), world.submit("b")];
        for hand in world.alive() {
            let work = hand.started();
            assert!(hand.reply_taking(work.sequence, micros, "", false));
        }
        drop(exchanges);
    }
    world
}

#[tokio::test(start_paused = true)]
async fn quick_workers_share_what_waits_as_far_as_a_millisecond_goes() {
    let world = quick(8, 150).await;
    let held = |id| world.info(id).map(|worker| worker.held);
    let mut units: Vec<_> = (0..8).map(|_| world.submit("x")).collect();
    assert_eq!((held(1), held(2), world.pool.queue_len()), (Some(1), Some(1), 6));
    let (one, two) = (world.hand(1), world.hand(2));
    let (first, second) = (one.started(), two.started());
    assert!(one.reply_taking(first.sequence, 150, "", false));
    assert_eq!((held(1), world.pool.queue_len()), (Some(4), 2), "its share of six, and the one it runs");
    assert!(two.reply_taking(second.sequence, 150, "", false));
    assert_eq!((held(2), world.pool.queue_len()), (Some(2), 0), "its share of two");
    let more: Vec<_> = (0..40).map(|_| world.submit("x")).collect();
    let next = one.started();
    assert!(one.reply_taking(next.sequence, 150, "", false));
    assert_eq!(held(1), Some(7), "six times 150 microseconds are a millisecond");
    while one.serve() || two.serve() {}
    assert!(units.iter_mut().all(|unit| answered(unit).is_ok()));
    drop(more);
}

#[tokio::test(start_paused = true)]
async fn what_waits_behind_a_late_unit_goes_to_whoever_answers_next() {
    let world = quick(8, 150).await;
    let (_one, _two) = (world.submit("one"), world.submit("two"));
    let mut waits: Vec<_> = ["a", "b", "c", "d"].map(|name| world.submit(name)).into();
    let [late, other] = [world.hand(1), world.hand(2)];
    let (first, runs) = (late.started(), other.started());
    assert!(late.reply_taking(first.sequence, 150, "", false));
    let _late = late.started();
    assert_eq!(world.info(late.id).map(|worker| worker.held), Some(3), "one runs, and two more of four");
    world.tick(MS);
    assert_eq!(world.info(late.id).map(|worker| worker.held), Some(3), "nobody could start them now");
    world.tick(2 * MS);
    assert_eq!(world.info(late.id).map(|worker| worker.held), Some(1));
    assert!(other.reply_taking(runs.sequence, 150, "", false));
    while other.serve() {}
    assert!(waits[1..].iter_mut().all(|unit| answered(unit).is_ok()), "all but the one that runs");
    assert!(pending(&mut waits[0]));
}

#[tokio::test(start_paused = true)]
async fn units_behind_a_slow_one_are_rescued_by_an_idle_worker_at_the_next_tick() {
    let world = World::with(2).await;
    let mut busy = world.submit("busy");
    let other = world.alive().into_iter().find(|hand| hand.next().is_some()).expect("one has it");
    let fast = world.alive().into_iter().find(|hand| hand.id != other.id).expect("another");
    world.warm(&fast);
    let (mut slow, mut behind) = (world.submit("slow"), world.submit("behind"));
    let work = fast.started();
    other.reply(1, "busy");
    assert!(answered(&mut busy).is_ok());
    world.tick(Duration::ZERO);
    assert_eq!(world.info(fast.id).map(|worker| worker.held), Some(2), "not yet");
    assert!(other.next().is_none());
    world.tick(MS);
    assert!(other.serve(), "it has it now");
    assert_eq!(answered(&mut behind), Ok("behind".to_owned()));
    assert!(fast.next().is_none(), "taken back");
    assert!(pending(&mut slow));
    fast.reply(work.sequence, "slow");
    assert_eq!(answered(&mut slow), Ok("slow".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_unit_behind_a_slow_one_that_was_started_is_not_rescued() {
    let world = World::with(2).await;
    let _busy = world.submit("busy");
    let other = world.alive().into_iter().find(|hand| hand.next().is_some()).expect("one has it");
    let fast = world.alive().into_iter().find(|hand| hand.id != other.id).expect("another");
    world.warm(&fast);
    let (mut slow, mut behind) = (world.submit("slow"), world.submit("behind"));
    let (first, second) = (fast.started(), fast.started());
    other.reply(1, "busy");
    world.tick(MS);
    assert!(other.next().is_none(), "once started, a unit stays");
    fast.reply(first.sequence, "slow");
    fast.reply(second.sequence, "behind");
    assert!(answered(&mut slow).is_ok() && answered(&mut behind).is_ok());
    let mut next = world.submit("next");
    assert!(fast.serve() || other.serve(), "both are idle");
    assert!(answered(&mut next).is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_worker_whose_ring_is_full_gets_its_unit_when_there_is_room() {
    let world = World::new(Limits::default(), Boot::Hello, 1);
    world.pool.start().await.expect("starts");
    let hand = world.hand(1);
    let mut early = world.submit_open("upload");
    let work = hand.started();
    let sender = early.body_sender();
    assert_eq!(sender.send(Bytes::from_static(b"part")).now_or_never(), Some(Ok(())));
    // The worker answers without reading the body, which fills its ring.
    hand.reply(work.sequence, "too large");
    assert_eq!(answered(&mut early), Ok("too large".to_owned()));
    let (mut next, mut after) = (world.submit("next"), world.submit("after"));
    assert_eq!((world.state(1), world.pool.queue_len()), (Some(State::Ready), 2));
    world.tick(MS);
    assert!(world.pool.queue_len() == 2, "no room yet, and nobody spins");
    assert!(hand.serve(), "the old part is skipped, and the unit arrives");
    assert!(hand.serve());
    assert!(answered(&mut next).is_ok() && answered(&mut after).is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_full_ring_does_not_keep_a_unit_from_another_worker() {
    let world = World::new(Limits { num_workers: 2, ..Limits::default() }, Boot::Hello, 1);
    world.pool.start().await.expect("starts");
    let mut early = world.submit_open("upload");
    let full = world.alive().into_iter().find(|hand| hand.end.flushes() > 0).expect("one has it");
    let work = full.started();
    assert_eq!(early.body_sender().send(Bytes::from_static(b"part")).now_or_never(), Some(Ok(())));
    full.reply(work.sequence, "early");
    assert!(answered(&mut early).is_ok());
    let mut next = world.submit("next");
    let other = world.alive().into_iter().find(|hand| hand.id != full.id).expect("another");
    assert!(other.serve() && answered(&mut next).is_ok());
}

#[tokio::test(start_paused = true)]
async fn tries_that_do_not_fit_use_up_no_claims() {
    let world = World::started(Limits { prefetch: 1, ..Limits::default() }).await;
    let hand = world.hand(1);
    world.warm(&hand);
    let before = world.pool.core.lock().worker(hand.slot).map(|worker| worker.sequence).expect("there");
    let _first = world.submit("first");
    world.pool.core.lock().worker(hand.slot).expect("there").full = true;
    let _others: Vec<_> = (0..40).map(|_| world.submit("waits")).collect();
    let after = world.pool.core.lock().worker(hand.slot).map(|worker| worker.sequence);
    assert_eq!(after, Some(before + 1));
}

fn growing() -> Limits {
    let dynamic = Dynamic { max_workers: 3, spawn_rate: 2, idle_timeout: 60 * SECOND, grow_after: 100 * MS };
    Limits { dynamic: Some(dynamic), ..Limits::default() }
}

#[tokio::test(start_paused = true)]
async fn pool_09_workers_are_added_when_somebody_has_waited() {
    let world = World::started(growing()).await;
    let mut exchanges: Vec<_> = (0..10).map(|_| world.submit("unit")).collect();
    world.tick(Duration::ZERO);
    settle().await;
    assert_eq!(world.alive().len(), 1, "nobody has waited for long");
    world.tick(SECOND);
    assert_eq!(world.pool.core.lock().pending, 2, "spawn_rate at once");
    world.tick(SECOND);
    settle().await;
    assert_eq!(world.alive().len(), 3, "not more while those are on their way");
    world.tick(SECOND);
    settle().await;
    world.tick(SECOND);
    settle().await;
    assert_eq!(world.alive().len(), 4, "max_workers on top of num_workers");
    while world.alive().iter().any(|hand| hand.serve()) {}
    assert!(exchanges.iter_mut().all(|exchange| answered(exchange).is_ok()));
}

#[tokio::test(start_paused = true)]
async fn pool_09_no_more_workers_than_units_wait() {
    let world = World::started(growing()).await;
    let _exchanges = [world.submit("runs"), world.submit("waits")];
    world.tick(SECOND);
    settle().await;
    world.tick(SECOND);
    settle().await;
    assert_eq!((world.alive().len(), world.pool.queue_len()), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn pool_09_added_workers_leave_after_idle_timeout_without_shortage() {
    let world = World::started(growing()).await;
    let mut exchanges: Vec<_> = (0..10).map(|_| world.submit("unit")).collect();
    for _ in 0..2 {
        world.tick(SECOND);
        settle().await;
    }
    while world.alive().iter().any(|hand| hand.serve()) {}
    assert!(exchanges.iter_mut().all(|exchange| answered(exchange).is_ok()));
    assert_eq!(world.ids(State::Ready).len(), 4);
    world.pool.core.lock().supervise(Instant::now() + 59 * SECOND);
    assert_eq!(world.ids(State::Ready).len(), 4, "not yet");
    // One of them is busy: it leaves at a later round.
    let mut busy = world.submit("busy");
    world.pool.core.lock().supervise(Instant::now() + 62 * SECOND);
    assert_eq!((world.ids(State::Ready).len(), world.ids(State::Draining).len()), (0, 3));
    for hand in world.alive() {
        let _ = hand.serve();
    }
    settle().await;
    assert!(answered(&mut busy).is_ok());
    world.tick(MS);
    settle().await;
    assert_eq!((world.alive().len(), world.ids(State::Ready).len()), (1, 1));
    assert_eq!(world.pool.core.lock().extra, 0);
}
