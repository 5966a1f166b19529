//! What replaces a worker: its jobs, its age, its memory, its slowness; and how it comes to be.

use super::*;
use crate::StartError;

#[tokio::test(start_paused = true)]
async fn pool_04_a_worker_is_replaced_after_max_jobs() {
    let world = World::started(Limits { max_jobs: 3, ..Limits::default() }).await;
    let hand = world.hand(1);
    let mut exchanges: Vec<_> = (0..4).map(|_| world.submit("unit")).collect();
    for exchange in &mut exchanges[..3] {
        assert!(hand.serve());
        assert!(answered(exchange).is_ok());
    }
    assert_eq!(world.state(1), Some(State::Draining));
    assert!(hand.next().is_none() && hand.stopped.load(Ordering::Relaxed), "told to leave");
    settle().await;
    assert_eq!((world.state(1), world.state(2)), (None, Some(State::Working)));
    assert!(world.hand(2).serve() && answered(&mut exchanges[3]).is_ok());
    assert!(!hand.killed.load(Ordering::Relaxed) || !hand.alive());
}

#[tokio::test(start_paused = true)]
async fn pool_04_up_to_14_percent_more_jobs_so_that_workers_do_not_leave_together() {
    let world = World::started(Limits { num_workers: 60, max_jobs: 100, ..Limits::default() }).await;
    let mut core = world.pool.core.lock();
    let mut jobs: Vec<u64> = core.each().map(|worker| worker.jobs).collect();
    assert!(jobs.iter().all(|jobs| (100..=114).contains(jobs)), "{jobs:?}");
    jobs.sort_unstable();
    jobs.dedup();
    assert!(jobs.len() >= 8, "spread: {jobs:?}");
}

#[tokio::test(start_paused = true)]
async fn pool_04_one_job_is_one_job_and_none_is_no_limit() {
    let one = World::started(Limits { num_workers: 20, max_jobs: 1, ..Limits::default() }).await;
    assert!(one.pool.core.lock().each().all(|worker| worker.jobs == 1));
    let none = World::with(2).await;
    assert!(none.pool.core.lock().each().all(|worker| worker.jobs == u64::MAX));
}

#[tokio::test(start_paused = true)]
async fn pool_04_units_behind_the_last_job_go_to_others() {
    let world = World::started(Limits { max_jobs: 61, ..Limits::default() }).await;
    let hand = world.hand(1);
    world.pool.core.lock().worker(hand.slot).expect("there").jobs = 61;
    world.warm(&hand);
    let (mut last, mut behind) = (world.submit("last"), world.submit("behind"));
    assert_eq!(world.info(1).map(|worker| worker.held), Some(2));
    let work = hand.started();
    hand.reply(work.sequence, "last");
    assert_eq!(answered(&mut last), Ok("last".to_owned()));
    settle().await;
    // POOL-04 lets a worker finish what it has when it is told to leave.
    let served = hand.serve();
    settle().await;
    assert!(served || world.hand(2).serve());
    assert_eq!(answered(&mut behind), Ok("behind".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn pool_05_exec_ttl_kills_the_worker_and_fails_only_its_unit() {
    let limit = 10 * SECOND;
    let world = World::started(Limits { num_workers: 2, exec_ttl: limit, ..Limits::default() }).await;
    let mut slow = world.submit("slow");
    let condemned = world.alive().into_iter().find(|hand| hand.next().is_some()).expect("one has it");
    let other = world.alive().into_iter().find(|hand| hand.id != condemned.id).expect("another");
    world.tick(9 * SECOND);
    assert!(pending(&mut slow));
    let mut young = world.submit("young");
    let work = other.started();
    world.pool.core.lock().worker(other.slot).expect("there").front_since = Instant::now() + 5 * SECOND;
    world.tick(11 * SECOND);
    assert_eq!(answered(&mut slow), Err(ExecError::ExecTtl(limit)));
    assert!(condemned.killed.load(Ordering::Relaxed));
    assert_eq!(world.pool.core.lock().pending, 1, "replaced before its process is gone");
    settle().await;
    assert_eq!(world.ids(State::Ready), [3]);
    assert!(pending(&mut young) && !other.killed.load(Ordering::Relaxed));
    other.reply(work.sequence, "young");
    assert!(answered(&mut young).is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_unit_is_interrupted_first_and_killed_if_it_goes_on() {
    let limits = Limits { exec_ttl: 10 * SECOND, exec_grace: 2 * SECOND, ..Limits::default() };
    let world = World::started(limits).await;
    // Ends in time: the worker lives.
    let mut exchange = world.submit("unit");
    let hand = world.hand(1);
    let work = hand.started();
    world.tick(11 * SECOND);
    assert_eq!(*hand.interrupts.lock(), [(work.sequence, Interrupt::Timeout)]);
    hand.fail(work.sequence, "a TimeoutError");
    assert_eq!(answered(&mut exchange), Err(ExecError::ExecTtl(10 * SECOND)));
    assert_eq!(world.ids(State::Ready), [1]);
    // Goes on.
    let mut exchange = world.submit("unit");
    hand.started();
    let now = Instant::now() + 30 * SECOND;
    world.pool.tick(now);
    assert_eq!((hand.interrupts.lock().len(), hand.killed.load(Ordering::Relaxed)), (2, false));
    world.pool.tick(now + 1 * SECOND);
    assert!(!hand.killed.load(Ordering::Relaxed));
    world.pool.tick(now + 3 * SECOND);
    assert!(hand.killed.load(Ordering::Relaxed));
    assert_eq!(answered(&mut exchange), Err(ExecError::ExecTtl(10 * SECOND)));
}

#[tokio::test(start_paused = true)]
async fn pool_05_exec_ttl_spares_the_unit_behind() {
    let world = World::started(Limits { exec_ttl: 10 * SECOND, ..Limits::default() }).await;
    let hand = world.hand(1);
    world.warm(&hand);
    let (mut slow, mut behind) = (world.submit("slow"), world.submit("behind"));
    let _ = hand.started();
    world.tick(11 * SECOND);
    assert_eq!(answered(&mut slow), Err(ExecError::ExecTtl(10 * SECOND)));
    assert!(pending(&mut behind));
    settle().await;
    assert!(world.hand(2).serve());
    assert_eq!(answered(&mut behind), Ok("behind".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn wrk_09_exec_ttl_counts_per_frame_of_a_stream() {
    let world = World::started(Limits { exec_ttl: 10 * SECOND, ..Limits::default() }).await;
    let hand = world.hand(1);
    let mut stream = world.submit("stream");
    let work = hand.started();
    // It has run for long when its first frame comes.
    let long_ago = Instant::now().checked_sub(9 * SECOND).expect("the machine is up for that long");
    world.pool.core.lock().worker(hand.slot).expect("there").front_since = long_ago;
    assert!(hand.stream(work.sequence, "one"));
    world.tick(9 * SECOND);
    assert!(!hand.killed.load(Ordering::Relaxed));
    world.tick(11 * SECOND);
    assert!(matches!(poll(&mut stream), Some(Some(Ok(_)))), "what came can be read");
    assert_eq!(answered(&mut stream), Err(ExecError::ExecTtl(10 * SECOND)));
}

#[tokio::test(start_paused = true)]
async fn pool_06_ttl_replaces_an_idle_worker_now_and_a_busy_one_after_its_unit() {
    let world = World::started(Limits { num_workers: 2, ttl: 60 * SECOND, ..Limits::default() }).await;
    let mut exchange = world.submit("unit");
    let busy = world.alive().into_iter().find(|hand| hand.end.flushes() > 0).expect("one has it");
    let idle = world.alive().into_iter().find(|hand| hand.id != busy.id).expect("another");
    let work = busy.started();
    world.pool.core.lock().supervise(Instant::now() + 59 * SECOND);
    assert!(world.ids(State::Draining).is_empty());
    world.pool.core.lock().supervise(Instant::now() + 61 * SECOND);
    assert_eq!(world.ids(State::Draining).len(), 1, "a quarter of the pool in a round, one at least");
    world.pool.core.lock().supervise(Instant::now() + 66 * SECOND);
    assert_eq!(world.ids(State::Draining).len(), 2);
    assert!(idle.next().is_none() && idle.stopped.load(Ordering::Relaxed));
    assert!(busy.next().is_none() && !busy.stopped.load(Ordering::Relaxed) && pending(&mut exchange));
    busy.reply(work.sequence, "done");
    assert_eq!(answered(&mut exchange), Ok("done".to_owned()));
    assert!(busy.next().is_none() && busy.stopped.load(Ordering::Relaxed));
    settle().await;
    assert_eq!(world.ids(State::Ready), [3, 4]);
}

#[tokio::test(start_paused = true)]
async fn pool_06_idle_ttl_is_for_workers_that_have_worked() {
    let world = World::started(Limits { num_workers: 2, idle_ttl: 60 * SECOND, ..Limits::default() }).await;
    let mut exchange = world.submit("unit");
    let used = world.alive().into_iter().find(|hand| hand.serve()).expect("one");
    assert!(answered(&mut exchange).is_ok());
    world.pool.core.lock().supervise(Instant::now() + 59 * SECOND);
    assert!(world.ids(State::Draining).is_empty());
    world.pool.core.lock().supervise(Instant::now() + 61 * SECOND);
    assert_eq!(world.ids(State::Draining), [used.id], "the fresh one stays");
    let mut exchange = world.submit("other");
    let _ = used.next();
    settle().await;
    assert!(world.alive().iter().any(|hand| hand.serve()) && answered(&mut exchange).is_ok());
    let _busy = world.submit("busy");
    world.pool.core.lock().supervise(Instant::now() + 600 * SECOND);
    assert!(world.ids(State::Working).len() == 1, "a unit is not idleness");
}

#[tokio::test(start_paused = true)]
async fn pool_06_over_memory_replaces_between_units() {
    let world = World::with(2).await;
    let mut exchange = world.submit("unit");
    let busy = world.alive().into_iter().find(|hand| hand.end.flushes() > 0).expect("one has it");
    let idle = world.alive().into_iter().find(|hand| hand.id != busy.id).expect("another");
    let work = busy.started();
    world.pool.over_memory(&[busy.id, idle.id, 99]);
    assert_eq!((world.ids(State::Draining), world.ids(State::Working)), (vec![idle.id], vec![busy.id]));
    assert!(idle.next().is_none() && idle.stopped.load(Ordering::Relaxed));
    busy.reply(work.sequence, "done");
    assert_eq!(answered(&mut exchange), Ok("done".to_owned()));
    assert!(busy.next().is_none() && busy.stopped.load(Ordering::Relaxed));
    settle().await;
    assert_eq!(world.ids(State::Ready), [3, 4]);
}

#[tokio::test(start_paused = true)]
async fn pool_14_an_empty_payload_is_refused() {
    let world = World::started(Limits::default()).await;
    let error = world.pool.submit(crate::Request::default()).expect_err("refused");
    assert_eq!(error.to_string(), "payload can not be empty");
    let mut exchange = world.submit("x");
    assert!(world.hand(1).serve() && answered(&mut exchange).is_ok());
}

#[tokio::test(start_paused = true)]
async fn pool_13_debug_is_a_fresh_worker_for_each_unit() {
    let limits = Limits { debug: true, max_jobs: 50, max_queue_size: 1, ..Limits::default() };
    let world = World::started(limits).await;
    assert!(world.ids(State::Ready).is_empty(), "no worker is older than its unit");
    for id in 1..=4 {
        let mut exchange = world.submit("unit");
        settle().await;
        assert!(world.hand(id).serve(), "worker {id}");
        assert!(answered(&mut exchange).is_ok());
        assert!(world.hand(id).next().is_none() && world.hand(id).stopped.load(Ordering::Relaxed));
        settle().await;
    }
    // Side by side, however many: an app that asks itself needs another worker while it waits.
    let mut first = world.submit("first");
    settle().await;
    let (mut second, mut third) = (world.submit("second"), world.submit("third"));
    settle().await;
    for id in [6, 7, 5] {
        assert!(world.hand(id).serve(), "worker {id}");
    }
    for exchange in [&mut first, &mut second, &mut third] {
        assert!(answered(exchange).is_ok());
    }
    // A worker whose unit has gone away is not kept for the next one.
    drop(world.submit("gone"));
    settle().await;
    world.tick(SECOND);
    settle().await;
    assert!(world.ids(State::Ready).is_empty() && world.ids(State::Booting).is_empty());
}

#[tokio::test(start_paused = true)]
async fn wrk_10_a_worker_that_does_not_leave_is_killed() {
    let world = World::started(Limits { destroy_timeout: 5 * SECOND, ..Limits::default() }).await;
    world.pool.over_memory(&[1]);
    let hand = world.hand(1);
    world.tick(4 * SECOND);
    assert!(!hand.killed.load(Ordering::Relaxed));
    world.tick(6 * SECOND);
    assert!(hand.killed.load(Ordering::Relaxed));
    settle().await;
    assert_eq!(world.ids(State::Ready), [2]);
}

#[tokio::test(start_paused = true)]
async fn pool_07_boots_that_fail_back_off_and_start_gives_up_after_three() {
    let world = World::new(Limits::default(), Boot::Die, 8);
    let pool = Arc::clone(&world.pool);
    let start = tokio::spawn(async move { pool.start().await });
    settle().await;
    let wait = |world: &World| {
        let core = world.pool.core.lock();
        core.not_before.expect("backs off").saturating_duration_since(Instant::now())
    };
    for (tries, delay) in [(1, 100), (2, 200), (3, 400)] {
        assert_eq!(*world.crew.spawns.lock(), tries);
        assert!(
            wait(&world) <= delay * MS && wait(&world) > delay * MS / 2,
            "try {tries}: {:?}",
            wait(&world)
        );
        assert_eq!(start.is_finished(), tries == 3, "try {tries}");
        world.tick(Duration::ZERO);
        settle().await;
        assert_eq!(*world.crew.spawns.lock(), tries, "not before its time");
        world.tick(delay * MS);
        settle().await;
    }
    let error = done(start).await.expect_err("gives up");
    assert_eq!(error, StartError::Boot("exit code 255".to_owned()));
    for _ in 0..10 {
        world.tick(10 * SECOND);
        settle().await;
    }
    assert!(wait(&world) <= 5 * SECOND && wait(&world) > 4 * SECOND, "never more than five seconds");
    *world.crew.boot.lock() = Boot::Hello;
    world.tick(6 * SECOND);
    settle().await;
    assert_eq!((world.ids(State::Ready).len(), world.pool.core.lock().failures), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_process_that_cannot_be_made_is_a_failed_boot() {
    let world = World::new(Limits { num_workers: 3, ..Limits::default() }, Boot::Fail, 8);
    assert_eq!(world.pool.start().await, Err(StartError::Boot("no process".to_owned())));
    assert_eq!(world.pool.core.lock().pending, 0);
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_does_not_say_hello_within_allocate_timeout_is_a_failed_boot() {
    let world = World::new(Limits { allocate_timeout: 5 * SECOND, ..Limits::default() }, Boot::Silent, 8);
    let pool = Arc::clone(&world.pool);
    let start = tokio::spawn(async move { pool.start().await });
    settle().await;
    world.tick(4 * SECOND);
    assert!(!world.hand(1).killed.load(Ordering::Relaxed));
    for id in 1..=3 {
        world.tick(6 * SECOND);
        assert!(world.hand(id).killed.load(Ordering::Relaxed), "worker {id}");
        settle().await;
        world.tick(7 * SECOND);
        settle().await;
    }
    assert!(matches!(done(start).await, Err(StartError::Boot(text)) if text.contains("allocate_timeout")));
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_breaks_the_protocol_instead_of_hello_is_a_failed_boot() {
    let world = World::new(Limits::default(), Boot::Silent, 8);
    let pool = Arc::clone(&world.pool);
    let _start = tokio::spawn(async move { pool.start().await });
    settle().await;
    world.hand(1).send(Header::new(Flags::CONTROL, Bits::default(), &[], 0), [b"{\"pid\":1}", b""]);
    settle().await;
    assert_eq!((*world.crew.spawns.lock(), world.pool.core.lock().failures), (1, 1), "and not a fork bomb");
}

#[tokio::test(start_paused = true)]
async fn a_pool_at_rest_needs_no_clock() {
    let world = World::with(2).await;
    assert_eq!(world.pool.tick(Instant::now()), None);
    let exchange = world.submit("unit");
    assert!(world.pool.tick(Instant::now()).is_some());
    drop(exchange);
    assert_eq!(world.pool.tick(Instant::now()), None, "taken back before it was started");
    let failed = world.pool.roll(world.maker(2, Boot::Die), Limits { num_workers: 2, ..Limits::default() });
    assert!(failed.await.is_err());
    assert!(world.pool.tick(Instant::now()).is_some(), "backs off");
    world.tick(10 * SECOND);
    assert_eq!(world.pool.tick(Instant::now()), None, "nothing is missing");
}
