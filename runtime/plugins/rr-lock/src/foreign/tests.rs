//! What this server makes of another one, which is a map here that can be switched off.

use super::*;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// A ticket and its token.
type Holder = (Arc<str>, u64);

/// One holder per resource, in the order of arrival.
#[derive(Debug, Default)]
struct Fake {
    held: Mutex<HashMap<Arc<str>, Holder>>,
    queue: Mutex<Vec<(Arc<str>, Arc<str>)>>,
    tokens: Mutex<u64>,
    hub: Mutex<Option<Arc<Hub>>>,
    down: AtomicBool,
    extended: AtomicUsize,
}

impl Fake {
    fn answer<T: Send + 'static>(&self, result: impl FnOnce() -> T) -> BoxFuture<Result<T, Failure>> {
        let down = self.down.load(Ordering::SeqCst);
        let result = if down { Err(Failure { text: "down".into(), unknown: true }) } else { Ok(result()) };
        Box::pin(std::future::ready(result))
    }

    fn holder(&self, resource: &str) -> Option<Arc<str>> {
        self.held.lock().get(resource).map(|(ticket, _)| Arc::clone(ticket))
    }
}

impl Backend for Fake {
    fn attempt(&self, attempt: &Attempt) -> BoxFuture<Result<Attempted, Failure>> {
        self.answer(|| {
            let Attempt { resource, ticket, stay, .. } = attempt;
            let mut queue = self.queue.lock();
            let first =
                queue.iter().find(|(queued, _)| queued == resource).is_none_or(|(_, one)| one == ticket);
            let mut held = self.held.lock();
            if first && !held.contains_key(resource) {
                queue.retain(|(_, one)| one != ticket);
                let mut tokens = self.tokens.lock();
                *tokens += 1;
                held.insert(Arc::clone(resource), (Arc::clone(ticket), *tokens));
                return Attempted::Granted(*tokens);
            }
            if *stay > 0 && !queue.iter().any(|(_, one)| one == ticket) {
                queue.push((Arc::clone(resource), Arc::clone(ticket)));
            }
            Attempted::Taken(None)
        })
    }

    fn release(&self, resource: &Arc<str>, which: Which) -> BoxFuture<Result<bool, Failure>> {
        self.answer(|| {
            let Which::Ticket(ticket) = which else { return self.held.lock().remove(resource).is_some() };
            self.queue.lock().retain(|(_, one)| *one != ticket);
            let mut held = self.held.lock();
            let own = held.get(resource).is_some_and(|(holder, _)| *holder == ticket);
            if own {
                held.remove(resource);
                let next = self.queue.lock().iter().find(|(queued, _)| queued == resource).cloned();
                if let (Some((_, next)), Some(hub)) = (next, &*self.hub.lock()) {
                    hub.wake(&next);
                }
            }
            own
        })
    }

    fn extend(&self, resource: &Arc<str>, _: Which, _: Micros) -> BoxFuture<Result<bool, Failure>> {
        self.extended.fetch_add(1, Ordering::SeqCst);
        self.answer(|| self.held.lock().contains_key(resource))
    }

    fn remaining(&self, resource: &Arc<str>, _: Which) -> BoxFuture<Result<Option<Micros>, Failure>> {
        self.answer(|| self.held.lock().get(resource).map(|_| 1))
    }

    fn listen(&self, hub: Arc<Hub>) -> BoxFuture<Failure> {
        *self.hub.lock() = Some(hub);
        Box::pin(std::future::pending())
    }
}

const SECOND: Micros = 1_000_000;

fn locks() -> (Arc<Fake>, Foreign) {
    let fake = Arc::new(Fake::default());
    let settings =
        Settings { limits: Limits { locks: 3, waiters: 2, name: 10 }, lease: Duration::from_secs(30) };
    (Arc::clone(&fake), Foreign::new(fake, settings, "us".into()))
}

fn owner(unit: u64) -> Owner {
    Owner { pool: 0, worker: 1, unit }
}

fn request(wait: Micros, owner: Option<Owner>) -> Request<'static> {
    Request { resource: "a", id: None, shared: false, ttl: 300 * SECOND, wait, owner, keep: false }
}

async fn now<T>(done: Done<T>) -> Result<T, String> {
    match done {
        Done::Now(result) => result,
        Done::Later(future) => future.await,
    }
}

fn begun<T: Send + 'static>(done: Done<T>) -> tokio::task::JoinHandle<Result<T, String>> {
    tokio::spawn(now(done))
}

async fn settled() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_held_and_waited_for_ends_with_its_unit() {
    let (fake, locks) = locks();
    let first = now(locks.acquire(&request(0, Some(owner(1))))).await.expect("an answer").expect("free");
    let waits = begun(locks.acquire(&request(60 * SECOND, Some(owner(2)))));
    let gives_up = begun(locks.acquire(&request(60 * SECOND, Some(owner(3)))));
    settled().await;
    assert_eq!(locks.end_unit(owner(3)), 0);
    assert_eq!(gives_up.await.expect("no panic"), Ok(None));
    assert_eq!(locks.end_unit(owner(1)), 1);
    let second = waits.await.expect("no panic").expect("an answer").expect("its turn");
    assert!(second.token > first.token);
    assert_eq!(now(locks.release_token(first.token)).await, Ok(false), "it has ended");
    assert_eq!(now(locks.release_token(second.token)).await, Ok(true));
    assert!(fake.holder("a").is_none() && fake.queue.lock().is_empty());
}

#[tokio::test(start_paused = true)]
async fn who_is_dropped_or_waits_too_long_leaves_the_queue() {
    let (fake, locks) = locks();
    let held = now(locks.acquire(&request(0, Some(owner(1))))).await.expect("an answer").expect("free");
    assert_eq!(now(locks.acquire(&request(SECOND, None))).await, Ok(None));
    let dropped = begun(locks.acquire(&request(60 * SECOND, None)));
    settled().await;
    assert_eq!(fake.queue.lock().len(), 1);
    dropped.abort();
    settled().await;
    assert!(fake.queue.lock().is_empty());
    assert_eq!(now(locks.release_token(held.token)).await, Ok(true));
    // What is asked next comes after a release that nobody waits for.
    let held = now(locks.acquire(&request(0, Some(owner(1))))).await.expect("an answer").expect("free");
    drop(locks.release_token(held.token));
    assert!(now(locks.acquire(&request(0, Some(owner(2))))).await.expect("an answer").is_some());
}

#[tokio::test(start_paused = true)]
async fn leases_are_prolonged_and_what_could_not_be_given_back_is_later() {
    let (fake, locks) = locks();
    let held = now(locks.acquire(&request(0, Some(owner(1))))).await.expect("an answer").expect("free");
    // SLEEP: the clock is paused and jumps.
    tokio::time::sleep(Duration::from_secs(35)).await;
    assert_eq!(fake.extended.load(Ordering::SeqCst), 3);
    assert!(
        now(locks.remaining(held.token)).await.expect("an answer").is_some_and(|left| left > 200 * SECOND)
    );
    fake.down.store(true, Ordering::SeqCst);
    let error = now(locks.release_token(held.token)).await.expect_err("it is down");
    assert!(
        error.starts_with("lock: down; it is not known whether it was done; it is given back once"),
        "{error}"
    );
    let error = now(locks.acquire(&request(SECOND, None))).await.expect_err("it is down");
    assert!(error.starts_with("lock: down"), "{error}");
    assert!(fake.holder("a").is_some());
    fake.down.store(false, Ordering::SeqCst);
    // SLEEP: the clock is paused and jumps.
    tokio::time::sleep(Duration::from_secs(11)).await;
    assert!(fake.holder("a").is_none());
}

#[tokio::test(start_paused = true)]
async fn bounds() {
    let (_, locks) = locks();
    let long = Request { resource: "01234567890", ..request(0, None) };
    assert_eq!(now(locks.acquire(&long)).await, Err("lock: a name of 11 bytes; it may have 10".into()));
    assert!(now(locks.acquire(&request(0, Some(owner(1))))).await.expect("an answer").is_some());
    let waiting = [(); 2].map(|()| begun(locks.acquire(&request(60 * SECOND, None))));
    settled().await;
    let error = now(locks.acquire(&request(0, None))).await.expect_err("too many");
    assert!(error.contains("lock.max_locks"), "{error}");
    assert_eq!(locks.end_worker(0, 1), 1);
    let mut given = 0;
    for waits in waiting {
        settled().await;
        let grant = waits.await.expect("no panic").expect("an answer").expect("its turn");
        given += 1;
        assert_eq!(now(locks.release_token(grant.token)).await, Ok(true));
    }
    assert_eq!(given, 2);
    locks.finish().await;
}
