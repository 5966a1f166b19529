//! The table for tasks: they wait for their locks, and one timer ends what is over.

use crate::lending::Lending;
use crate::{Event, Grant, Limits, LockError, Micros, Outcome, Owner, Request, Table};
use parking_lot::Mutex;
use rr_shm::leases::Leases;
use rr_wire::lock::Lease;
use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

/// A table that is shared. Clones are the same table.
#[derive(Debug, Clone)]
pub struct Locks(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    origin: Instant,
    state: Mutex<State>,
    /// The timer sleeps for too long.
    sooner: Arc<Notify>,
}

#[derive(Debug)]
struct State {
    lending: Lending,
    waiting: HashMap<u64, oneshot::Sender<Grant>>,
    /// There is a timer.
    timed: bool,
    /// Until when the timer sleeps; the largest: until it is told.
    armed: Micros,
}

/// What came of a request at once.
#[derive(Debug)]
pub enum Acquired {
    /// It is held.
    Now(Grant),
    /// It may come.
    Later(Pending),
    /// It is taken.
    No,
}

/// A request that waits: resolves to `None` when it has waited long enough or its owner has ended. Dropping it takes
/// the request back, and the lock too if it came meanwhile.
#[derive(Debug)]
pub struct Pending {
    inner: Arc<Inner>,
    ticket: u64,
    answer: oneshot::Receiver<Grant>,
    over: bool,
}

impl Locks {
    /// An empty table; see [`Table::new`]. The timer is a task that begins with the first lock.
    #[must_use]
    pub fn new(limits: Limits, first_token: u64) -> Self {
        // Read first: a lock that is lent then ends too late rather than too early.
        let began = rr_os::time::monotonic_ns();
        let origin = Instant::now();
        let lending = Lending::new(Table::new(limits, first_token), began);
        let state = State { lending, waiting: HashMap::new(), timed: false, armed: Micros::MAX };
        Self(Arc::new(Inner { origin, state: Mutex::new(state), sooner: Arc::default() }))
    }

    /// See [`Table::acquire`]. Must be called on a Tokio runtime.
    ///
    /// # Errors
    /// A limit.
    pub fn acquire(&self, request: &Request<'_>) -> Result<Acquired, LockError> {
        self.acquire_or_lease(request, None).map(|(acquired, _)| acquired)
    }

    /// The same for a worker that can have leases in `leases`: one may come with the lock, which is not in the table then.
    ///
    /// # Errors
    /// A limit.
    pub fn acquire_or_lease(
        &self,
        request: &Request<'_>,
        leases: Option<&Leases>,
    ) -> Result<(Acquired, Option<Lease>), LockError> {
        let mut state = self.0.state.lock();
        if !std::mem::replace(&mut state.timed, true) {
            tokio::spawn(keep_time(Arc::downgrade(&self.0)));
        }
        let outcome = state.lending.acquire(self.0.now(), request, leases);
        let acquired = outcome.map(|(outcome, lease)| match outcome {
            Outcome::Granted(grant) => (Acquired::Now(grant), lease),
            Outcome::Refused => (Acquired::No, None),
            Outcome::Waiting(ticket) => {
                let (sender, answer) = oneshot::channel();
                state.waiting.insert(ticket, sender);
                let pending = Pending { inner: Arc::clone(&self.0), ticket, answer, over: false };
                (Acquired::Later(pending), None)
            }
        });
        self.0.settle(&mut state);
        acquired
    }

    /// See [`Table::release`].
    #[must_use]
    pub fn release(&self, resource: &str, id: &str) -> bool {
        self.0.on(resource, |table, now| table.release(now, resource, id))
    }

    /// See [`Table::release_token`].
    #[must_use]
    pub fn release_token(&self, token: u64) -> bool {
        self.0.by(token, |table, now| table.release_token(now, token))
    }

    /// See [`Table::force_release`].
    #[must_use]
    pub fn force_release(&self, resource: &str) -> bool {
        self.0.on(resource, |table, now| table.force_release(now, resource))
    }

    /// See [`Table::exists`].
    #[must_use]
    pub fn exists(&self, resource: &str, id: &str) -> bool {
        self.0.on(resource, |table, now| table.exists(now, resource, id))
    }

    /// See [`Table::update_ttl`].
    #[must_use]
    pub fn update_ttl(&self, resource: &str, id: &str, ttl: Micros) -> bool {
        self.0.on(resource, |table, now| table.update_ttl(now, resource, id, ttl))
    }

    /// See [`Table::refresh`].
    #[must_use]
    pub fn refresh(&self, token: u64, ttl: Micros) -> bool {
        self.0.by(token, |table, now| table.refresh(now, token, ttl))
    }

    /// See [`Table::remaining`].
    #[must_use]
    pub fn remaining(&self, token: u64) -> Option<Micros> {
        self.0.by(token, |table, now| table.remaining(now, token))
    }

    /// See [`Table::end_unit`].
    pub fn end_unit(&self, owner: Owner) -> usize {
        self.0.with(|table, now| table.end_unit(now, owner))
    }

    /// See [`Table::end_before`].
    pub fn end_before(&self, owner: Owner) -> usize {
        self.0.with(|table, now| table.end_before(now, owner))
    }

    /// See [`Table::end_worker`].
    pub fn end_worker(&self, pool: u32, worker: u64) -> usize {
        self.0.lending(|lending, now| lending.end_worker(now, pool, worker))
    }

    /// See [`Table::counts`]; without what is lent.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        self.0.state.lock().lending.table.counts()
    }
}

/// Tells in time those who wait, for as long as there is a table.
async fn keep_time(table: Weak<Inner>) {
    // Wakes the last time when the table goes.
    let Some(sooner) = table.upgrade().map(|inner| Arc::clone(&inner.sooner)) else { return };
    loop {
        let Some(until) = table.upgrade().map(|inner| inner.due()) else { return };
        let sleep = async {
            match until {
                // Tokio's timers end at whole milliseconds, never early.
                Some(until) => tokio::time::sleep_until(until).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = sleep => {}
            () = sooner.notified() => {}
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.sooner.notify_one();
    }
}

impl Inner {
    /// Ends what is over and says when the timer is to come again.
    fn due(&self) -> Option<Instant> {
        let mut state = self.state.lock();
        state.lending.table.advance(self.now());
        state.tell();
        let next = state.lending.table.next_deadline();
        state.armed = next.unwrap_or(Micros::MAX);
        next.and_then(|at| self.origin.checked_add(Duration::from_micros(at)))
    }

    fn now(&self) -> Micros {
        Micros::try_from(self.origin.elapsed().as_micros()).unwrap_or(Micros::MAX)
    }

    /// Does something and tells those who waited.
    fn lending<T>(&self, action: impl FnOnce(&mut Lending, Micros) -> T) -> T {
        let mut state = self.state.lock();
        let result = action(&mut state.lending, self.now());
        self.settle(&mut state);
        result
    }

    /// Does something with what is never lent.
    fn with<T>(&self, action: impl FnOnce(&mut Table, Micros) -> T) -> T {
        self.lending(|lending, now| action(&mut lending.table, now))
    }

    /// Does something with a resource.
    fn on<T>(&self, resource: &str, action: impl FnOnce(&mut Table, Micros) -> T) -> T {
        self.lending(|lending, now| {
            lending.recall(now, resource);
            action(&mut lending.table, now)
        })
    }

    /// Does something with the lock of a token.
    fn by<T>(&self, token: u64, action: impl FnOnce(&mut Table, Micros) -> T) -> T {
        self.lending(|lending, now| {
            lending.recall_token(now, token);
            action(&mut lending.table, now)
        })
    }

    fn settle(&self, state: &mut State) {
        state.tell();
        let next = state.lending.table.next_deadline().unwrap_or(Micros::MAX);
        if next < state.armed {
            state.armed = next;
            self.sooner.notify_one();
        }
    }
}

impl State {
    fn tell(&mut self) {
        for Event { ticket, grant } in self.lending.table.take_events() {
            let Some(sender) = self.waiting.remove(&ticket) else { continue };
            // A request that is dropped right now takes its lock back itself: `Pending::drop` comes after this.
            if let Some(grant) = grant {
                let _ = sender.send(grant);
            }
        }
    }
}

impl Future for Pending {
    type Output = Option<Grant>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = std::task::ready!(Pin::new(&mut self.answer).poll(context));
        self.over = true;
        Poll::Ready(answer.ok())
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if self.over {
            return;
        }
        self.inner.with(|table, now| table.cancel(now, self.ticket));
        self.inner.state.lock().waiting.remove(&self.ticket);
        // It came between the last look and now.
        if let Ok(grant) = self.answer.try_recv() {
            self.inner.with(|table, now| table.release_token(now, grant.token));
        }
    }
}
