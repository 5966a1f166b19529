//! Reloads and the end.

use super::*;
use crate::StartError;

fn rolling(
    world: &World,
    generation: u32,
    boot: Boot,
    limits: Limits,
) -> tokio::task::JoinHandle<Result<(), StartError>> {
    let (pool, maker) = (Arc::clone(&world.pool), world.maker(generation, boot));
    tokio::spawn(async move { pool.roll(maker, limits).await })
}

fn four() -> Limits {
    Limits { num_workers: 4, ..Limits::default() }
}

#[tokio::test(start_paused = true)]
async fn pool_10_a_new_generation_takes_over_one_by_one() {
    let world = World::started(four()).await;
    let mut running: Vec<_> = (0..4).map(|unit| world.submit(&unit.to_string())).collect();
    let old = world.alive();
    let work: Vec<Work> = old.iter().map(|hand| hand.started()).collect();
    let roll = rolling(&world, 2, Boot::Silent, four());
    settle().await;
    assert_eq!(world.ids(State::Booting), [5], "one first");
    assert_eq!(world.ids(State::Working), [1, 2, 3, 4], "nobody leaves before it is ready");
    for (ready, id) in (5..=8).enumerate() {
        world.hand(id).hello();
        settle().await;
        let draining = world.ids(State::Draining).len();
        assert_eq!(draining, ready + 1, "one leaves for each that came");
        assert!(world.alive().iter().filter(|hand| hand.generation == 2).count() <= ready + 2);
    }
    assert_eq!(world.ids(State::Ready), [5, 6, 7, 8]);
    let mut new: Vec<_> = (0..2).map(|_| world.submit("new")).collect();
    while (5..=8).any(|id| world.hand(id).serve()) {}
    assert!(new.iter_mut().all(|exchange| answered(exchange).is_ok()), "new units run at once");
    assert!(!roll.is_finished(), "old units still run");
    for (hand, work) in old.iter().zip(&work) {
        let exchange = &mut running[work.context.parse::<usize>().expect("a number")];
        assert!(hand.next().is_none() && !hand.stopped.load(Ordering::Relaxed));
        assert!(pending(exchange));
        hand.reply(work.sequence, "old");
        assert!(hand.next().is_none() && hand.stopped.load(Ordering::Relaxed));
    }
    settle().await;
    assert!(running.iter_mut().all(|exchange| answered(exchange) == Ok("old".to_owned())));
    assert_eq!(done(roll).await, Ok(()));
    assert!(world.alive().iter().all(|hand| hand.generation == 2) && world.alive().len() == 4);
    assert!(old.iter().all(|hand| !hand.alive()));
}

#[tokio::test(start_paused = true)]
async fn pool_10_a_reload_brings_its_limits() {
    let world = World::started(four()).await;
    let roll = rolling(&world, 2, Boot::Hello, Limits { num_workers: 6, max_jobs: 100, ..Limits::default() });
    for _ in 0..20 {
        settle().await;
        world.alive().iter().for_each(|hand| drop(hand.next()));
    }
    assert_eq!(done(roll).await, Ok(()));
    let mut core = world.pool.core.lock();
    let jobs: Vec<u64> = core.each().map(|worker| worker.jobs).collect();
    assert!(jobs.len() == 6 && jobs.iter().all(|jobs| (100..=114).contains(jobs)), "{jobs:?}");
}

#[tokio::test(start_paused = true)]
async fn pool_10_reset_timeout_ends_old_units() {
    let world = World::started(Limits { reset_timeout: 30 * SECOND, ..Limits::default() }).await;
    let mut slow = world.submit("slow");
    let _ = world.hand(1).started();
    let limits = Limits { reset_timeout: 30 * SECOND, ..Limits::default() };
    let roll = rolling(&world, 2, Boot::Hello, limits);
    settle().await;
    world.tick(29 * SECOND);
    settle().await;
    assert!(pending(&mut slow) && !roll.is_finished());
    world.tick(31 * SECOND);
    settle().await;
    let error = answered(&mut slow).expect_err("ended");
    assert!(matches!(&error, ExecError::WorkerDied(text) if text.contains("reset_timeout")), "{error}");
    assert_eq!(done(roll).await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn pool_10_units_behind_one_in_an_old_worker_go_to_the_new_ones() {
    let world = World::with(1).await;
    let hand = world.hand(1);
    world.warm(&hand);
    let (mut slow, mut behind) = (world.submit("slow"), world.submit("behind"));
    let work = hand.started();
    let roll = rolling(&world, 2, Boot::Hello, Limits::default());
    settle().await;
    assert!(world.hand(2).serve());
    assert_eq!(answered(&mut behind), Ok("behind".to_owned()));
    hand.reply(work.sequence, "slow");
    assert!(answered(&mut slow).is_ok() && hand.next().is_none());
    assert_eq!(done(roll).await, Ok(()));
}

async fn refused(boot: Boot) -> StartError {
    let world = World::started(four()).await;
    let mut running = world.submit("old");
    let roll = rolling(&world, 2, boot, Limits { num_workers: 9, ..Limits::default() });
    settle().await;
    if boot == Boot::Silent {
        world.tick(61 * SECOND);
        settle().await;
    }
    assert!(roll.is_finished(), "{boot:?} {:?}", world.pool.workers());
    let mut ids = world.ids(State::Ready);
    ids.extend(world.ids(State::Working));
    ids.sort_unstable();
    assert_eq!(ids, [1, 2, 3, 4], "{boot:?}: nothing has changed");
    let old = world.alive();
    assert!(old.iter().any(|hand| hand.serve()) && answered(&mut running).is_ok());
    // And the next one that dies is replaced by its own kind.
    old[0].exit("exit code 1");
    settle().await;
    world.tick(70 * SECOND);
    settle().await;
    assert!(world.alive().len() == 4 && world.alive().iter().all(|hand| hand.generation == 1), "{boot:?}");
    done(roll).await.expect_err("refused")
}

#[tokio::test(start_paused = true)]
async fn pool_11_a_reload_that_cannot_boot_keeps_the_old_workers_and_says_why() {
    assert_eq!(refused(Boot::Die).await, StartError::Boot("exit code 255".to_owned()));
    assert_eq!(refused(Boot::Fail).await, StartError::Boot("no process".to_owned()));
    assert!(
        matches!(refused(Boot::Silent).await, StartError::Boot(text) if text.contains("allocate_timeout"))
    );
    assert!(matches!(refused(Boot::HelloAndDie).await, StartError::Boot(_)));
}

#[tokio::test(start_paused = true)]
async fn a_dead_zygote_gets_a_successor_without_a_reload() {
    let world = World::with(1).await;
    *world.crew.boot.lock() = Boot::Fail;
    world.hand(1).exit("exit code 1");
    settle().await;
    assert_eq!(world.alive().len(), 0);
    world.pool.set_spawner(world.maker(1, Boot::Hello));
    settle().await;
    assert_eq!(world.ids(State::Ready).len(), 1);
}

fn stopping(world: &World, grace: Duration) -> tokio::task::JoinHandle<()> {
    let pool = Arc::clone(&world.pool);
    tokio::spawn(async move { pool.shutdown(grace).await })
}

#[tokio::test(start_paused = true)]
async fn pool_12_shutdown_finishes_what_is_there_and_takes_nothing_new() {
    let world = World::with(1).await;
    let hand = world.hand(1);
    let (mut runs, mut waits) = (world.submit("runs"), world.submit("waits"));
    let work = hand.started();
    let stop = stopping(&world, 3600 * SECOND);
    settle().await;
    assert_eq!(world.try_submit("new").expect_err("refused"), ExecError::Stopped);
    assert!(pending(&mut runs) && pending(&mut waits) && !stop.is_finished());
    hand.reply(work.sequence, "runs");
    assert_eq!(answered(&mut runs), Ok("runs".to_owned()));
    assert!(hand.serve());
    assert_eq!(answered(&mut waits), Ok("waits".to_owned()));
    // The paused clock moves on to the next look of `shutdown` once all is quiet.
    tokio::time::advance(10 * MS).await;
    settle().await;
    assert!(hand.next().is_none() && hand.stopped.load(Ordering::Relaxed));
    done(stop).await;
    assert_eq!((world.pool.workers().len(), *world.crew.spawns.lock()), (0, 1));
    assert!(hand.stopped.load(Ordering::Relaxed));
}

#[tokio::test(start_paused = true)]
async fn pool_12_shutdown_fails_what_runs_after_grace() {
    let world = World::with(1).await;
    let hand = world.hand(1);
    world.warm(&hand);
    let (mut runs, mut behind, mut waits) =
        (world.submit("runs"), world.submit("behind"), world.submit("waits"));
    let _ = hand.started();
    let stop = stopping(&world, 10 * SECOND);
    settle().await;
    assert!(pending(&mut runs) && pending(&mut waits));
    tokio::time::advance(11 * SECOND).await;
    settle().await;
    for exchange in [&mut runs, &mut behind, &mut waits] {
        assert_eq!(answered(exchange), Err(ExecError::Stopped));
    }
    done(stop).await;
    assert!(hand.killed.load(Ordering::Relaxed));
    assert_eq!((world.pool.queue_len(), world.pool.workers().len()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn pool_12_a_worker_that_does_not_leave_is_killed() {
    let world = World::with(2).await;
    let hands = world.alive();
    // They never read that they are told to leave; the paused clock runs to the limit by itself.
    world.pool.shutdown(SECOND).await;
    assert!(hands.iter().all(|hand| hand.killed.load(Ordering::Relaxed)));
    assert_eq!(world.pool.workers().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn pool_12_workers_that_come_too_late_leave_at_once() {
    let world = World::new(four(), Boot::Hello, 8);
    let pool = Arc::clone(&world.pool);
    let start = tokio::spawn(async move { pool.start().await });
    let stop = stopping(&world, SECOND);
    for _ in 0..10 {
        settle().await;
        world.alive().iter().for_each(|hand| drop(hand.next()));
    }
    done(stop).await;
    let started = done(start).await;
    assert!(matches!(started, Ok(()) | Err(StartError::Stopped)), "{started:?}");
    assert_eq!(world.alive().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn kill_all_leaves_no_unit_without_an_end() {
    let world = World::with(1).await;
    let hand = world.hand(1);
    world.warm(&hand);
    let (mut runs, mut behind, mut waits) =
        (world.submit("runs"), world.submit("behind"), world.submit("waits"));
    let _ = hand.started();
    world.pool.kill_all();
    settle().await;
    assert!(matches!(answered(&mut runs), Err(ExecError::WorkerDied(_))));
    assert_eq!(answered(&mut behind), Err(ExecError::Stopped));
    assert_eq!(answered(&mut waits), Err(ExecError::Stopped));
    assert_eq!(*world.crew.spawns.lock(), 1);
}

#[tokio::test(start_paused = true)]
async fn pool_12_units_that_wait_end_even_when_there_is_no_worker() {
    for grace in [true, false] {
        let world = World::new(Limits::default(), Boot::Fail, 8);
        let mut waits = world.submit("waits");
        if grace {
            world.pool.shutdown(SECOND).await;
        } else {
            world.pool.kill_all();
        }
        assert_eq!(answered(&mut waits), Err(ExecError::Stopped));
        assert_eq!(world.pool.queue_len(), 0);
    }
}
