//! Tasks that wait.

use super::*;
use std::time::Duration;

fn locks() -> Locks {
    Locks::new(Limits::default(), 1)
}

fn now(acquired: Result<Acquired, LockError>) -> Grant {
    match acquired.expect("within the limits") {
        Acquired::Now(grant) => grant,
        other => panic!("not granted: {other:?}"),
    }
}

fn later(acquired: Result<Acquired, LockError>) -> Pending {
    match acquired.expect("within the limits") {
        Acquired::Later(pending) => pending,
        other => panic!("does not wait: {other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_task_waits_for_the_release() {
    let locks = locks();
    let first = now(locks.acquire(&write("a", "1")));
    let second = tokio::spawn(later(locks.acquire(&write("a", "2"))));
    assert!(locks.release("a", "1"));
    assert!(second.await.expect("ends").expect("granted").token > first.token);
}

#[tokio::test(start_paused = true)]
async fn a_task_waits_for_the_ttl_and_for_no_longer_than_it_says() {
    let locks = locks();
    let begin = tokio::time::Instant::now();
    now(locks.acquire(&Request { ttl: 500_000, ..write("a", "1") }));
    let second = later(locks.acquire(&write("a", "2")));
    let third = later(locks.acquire(&write("a", "3")));
    assert!(second.await.is_some());
    assert!((500..505).contains(&begin.elapsed().as_millis()));
    assert!(third.await.is_none());
    assert!((1000..1005).contains(&begin.elapsed().as_millis()));
}

#[tokio::test(start_paused = true)]
async fn the_timer_learns_of_an_earlier_deadline() {
    let locks = locks();
    now(locks.acquire(&write("a", "1")));
    tokio::task::yield_now().await;
    let begin = tokio::time::Instant::now();
    let request = Request { wait: SHORTEST_WAIT, ..write("a", "2") };
    assert!(later(locks.acquire(&request)).await.is_none());
    assert!(begin.elapsed() < Duration::from_millis(10));
    assert!(locks.update_ttl("a", "1", 1000));
    let third = later(locks.acquire(&write("a", "3")));
    assert!(third.await.is_some());
    assert!(begin.elapsed() < Duration::from_millis(20));
}

#[tokio::test(start_paused = true)]
async fn a_dropped_request_holds_nothing_and_keeps_nobody() {
    let locks = locks();
    let first = now(locks.acquire(&write("a", "1")));
    let waiting = later(locks.acquire(&write("a", "2")));
    drop(waiting);
    assert_eq!(locks.counts(), (1, 0));
    // The lock has come, and nobody has looked yet.
    let served = later(locks.acquire(&write("a", "3")));
    assert!(locks.release_token(first.token));
    assert!(locks.exists("a", "3"));
    drop(served);
    assert_eq!(locks.counts(), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_dead_owner_waits_no_more() {
    let locks = locks();
    let held = now(locks.acquire(&owned("a", 1, 1)));
    let waiting = later(locks.acquire(&owned("a", 2, 2)));
    assert_eq!(locks.end_worker(0, 2), 0);
    assert_eq!(waiting.await, None);
    assert_eq!(locks.end_unit(Owner { pool: 0, worker: 1, unit: 1 }), 1);
    assert_eq!(locks.remaining(held.token), None);
}

/// Sixty-four tasks on two threads and one resource. What they do between grant and release must not overlap, and
/// the tokens are in the order in which they did it.
#[test]
fn sixty_four_at_once_hold_it_one_after_the_other() {
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build().expect("builds");
    runtime.block_on(async {
        let locks = locks();
        let inside = std::sync::Arc::new((AtomicBool::new(false), AtomicU64::new(0)));
        let mut tasks = tokio::task::JoinSet::new();
        for number in 0..64 {
            let (locks, inside) = (locks.clone(), std::sync::Arc::clone(&inside));
            tasks.spawn(async move {
                let id = number.to_string();
                for _ in 0..100 {
                    let request = Request { wait: 60 * SECOND, ttl: 60 * SECOND, ..write("a", &id) };
                    let grant = match locks.acquire(&request).expect("within the limits") {
                        Acquired::Now(grant) => grant,
                        Acquired::Later(pending) => pending.await.expect("it comes"),
                        Acquired::No => panic!("it waits"),
                    };
                    assert!(!inside.0.swap(true, SeqCst), "alone");
                    assert!(inside.1.swap(grant.token, SeqCst) < grant.token, "in order");
                    tokio::task::yield_now().await;
                    assert!(inside.0.swap(false, SeqCst));
                    assert!(locks.release(request.resource, &id));
                }
            });
        }
        while let Some(result) = tasks.join_next().await {
            result.expect("no task fails");
        }
        assert_eq!(locks.counts(), (0, 0));
    });
}
