//! Locks on another server, which several of ours share. What is held or wanted by whom here is in `books.rs`; who gets
//! what is the other server's to say (`backend.rs`).
//!
//! A lock that ends with its worker is held for [`Settings::lease`] at a time and prolonged while this server lives.

mod backend;
mod books;
mod keep;
#[cfg(test)]
mod tests;

pub use backend::{Attempt, Attempted, Backend, Failure, Hub, Which};

use crate::driver::{Done, Driver};
use crate::{Grant, Limits, LockError, Micros, Owner, Request, SHORTEST_WAIT};
use books::{Books, Hold};
use futures_util::future::Shared;
use parking_lot::Mutex;
use rr_pool::BoxFuture;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::time::Instant;

/// Who waits asks again after so long even if nobody tells: what tells may fail.
const RECHECK: Duration = Duration::from_secs(5);

/// How the locks are kept.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Bounds of what this server has there.
    pub limits: Limits,
    /// A worker's lock ends so long after a server that died.
    pub lease: Duration,
}

/// Files for TLS, in PEM.
#[derive(Debug, Clone, Default)]
pub struct Tls {
    /// Who signs the servers' certificates; `None`: whom the system trusts.
    pub root_ca: Option<PathBuf>,
    /// The certificate that we show and its key.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// Locks on another server. Connects when it is first asked.
#[derive(Debug)]
pub struct Foreign {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    backend: Arc<dyn Backend>,
    settings: Settings,
    /// In all tickets of this server, and in nobody else's.
    name: String,
    hub: Arc<Hub>,
    state: Mutex<State>,
    runtime: OnceLock<Handle>,
    /// This end of it is gone.
    closed: Arc<Notify>,
}

/// Ends when a release has been answered, or has failed.
type Released = Shared<BoxFuture<Result<bool, String>>>;

#[derive(Debug, Default)]
struct State {
    books: Books,
    /// Releases on their way, by resource, with the ticket of the latest: what comes after them waits for them.
    releases: HashMap<Arc<str>, (Arc<str>, Released)>,
}

impl Drop for Foreign {
    fn drop(&mut self) {
        self.inner.closed.notify_waiters();
    }
}

fn micros(time: Duration) -> Micros {
    Micros::try_from(time.as_micros()).unwrap_or(Micros::MAX)
}

fn after(now: Instant, span: Micros) -> Instant {
    // What does not fit is centuries away.
    now.checked_add(Duration::from_micros(span)).unwrap_or(now + Duration::from_secs(1 << 32))
}

impl Foreign {
    /// Locks on this server. `name` is random, so that no two servers of ours share it.
    #[must_use]
    pub fn new(backend: Arc<dyn Backend>, settings: Settings, name: String) -> Self {
        Self {
            inner: Arc::new(Inner {
                backend,
                settings,
                name,
                hub: Arc::default(),
                state: Mutex::default(),
                runtime: OnceLock::new(),
                closed: Arc::default(),
            }),
        }
    }

    /// Something that is asked once what was released before is.
    fn ask<T: Send + 'static>(
        &self,
        resource: &str,
        ask: impl FnOnce(&dyn Backend, &Arc<str>) -> BoxFuture<Result<T, Failure>> + Send + 'static,
    ) -> Done<T> {
        let inner = Arc::clone(&self.inner);
        let resource: Arc<str> = resource.into();
        let before = inner.released(&resource);
        Done::later(async move {
            before.await;
            ask(&*inner.backend, &resource).await.map_err(|failure| says(&failure))
        })
    }

    /// Ends what a worker has of some units.
    fn end(&self, pool: u32, worker: u64, which: impl Fn(u64) -> bool) -> usize {
        let holds = self.inner.state.lock().books.end(pool, worker, which);
        let count = holds.len();
        holds.into_iter().for_each(|hold| drop(self.inner.give_back(&hold)));
        count
    }
}

fn says(failure: &Failure) -> String {
    match failure.unknown {
        true => format!("lock: {failure}; it is not known whether it was done"),
        false => format!("lock: {failure}"),
    }
}

impl Driver for Foreign {
    fn acquire(&self, request: &Request<'_>) -> Done<Option<Grant>> {
        let inner = &self.inner;
        inner.begin();
        let limits = &inner.settings.limits;
        let length = request.resource.len().max(request.id.map_or(0, str::len));
        if length > limits.name {
            return Done::Now(Err(LockError::Name { length, limit: limits.name }.to_string()));
        }
        let mut state = inner.state.lock();
        let ticket: Arc<str> = format!("{}-{}", inner.name, state.books.next()).into();
        let wake = inner.hub.enter(&ticket);
        let number = match state.books.open(limits, request.owner, &wake) {
            Ok(number) => number,
            Err(error) => {
                inner.hub.leave(&ticket);
                return Done::Now(Err(error.to_string()));
            }
        };
        let resource: Arc<str> = request.resource.into();
        let before = released(&state, &resource);
        drop(state);
        let leased = request.holder().is_some();
        let most = if leased { micros(inner.settings.lease) } else { Micros::MAX };
        // Over RPC this is the least there is.
        let queues = request.wait > SHORTEST_WAIT;
        let attempt = Attempt {
            resource,
            ticket,
            id: request.id.map(Into::into),
            shared: request.shared,
            ttl: request.ttl.min(most),
            stay: if queues { micros(3 * RECHECK) } else { 0 },
        };
        let wish = Wish {
            inner: Arc::clone(inner),
            number,
            attempt,
            wake,
            ttl: request.ttl,
            deadline: after(Instant::now(), request.wait),
            holder: request.holder(),
            native: request.id.is_none(),
            may_be_there: false,
            closed: false,
        };
        Done::later(async move {
            before.await;
            wish.come_true().await
        })
    }

    fn release(&self, resource: &str, id: &str) -> Done<bool> {
        let id = Which::Id(id.into());
        self.ask(resource, move |backend, resource| backend.release(resource, id))
    }

    fn release_token(&self, token: u64) -> Done<bool> {
        let hold = self.inner.state.lock().books.forget(token);
        match hold {
            None => Done::Now(Ok(false)),
            Some(hold) => Done::later(self.inner.give_back(&hold)),
        }
    }

    fn force_release(&self, resource: &str) -> Done<bool> {
        self.ask(resource, |backend, resource| backend.release(resource, Which::All))
    }

    fn exists(&self, resource: &str, id: &str) -> Done<bool> {
        let which = if id == "*" { Which::All } else { Which::Id(id.into()) };
        self.ask(resource, move |backend, resource| backend.remaining(resource, which))
            .map(|left| left.is_some())
    }

    fn update_ttl(&self, resource: &str, id: &str, ttl: Micros) -> Done<bool> {
        let id = Which::Id(id.into());
        self.ask(resource, move |backend, resource| backend.extend(resource, id, ttl))
    }

    fn refresh(&self, token: u64, ttl: Micros) -> Done<bool> {
        let mut state = self.inner.state.lock();
        let Some(hold) = state.books.hold_mut(token) else { return Done::Now(Ok(false)) };
        hold.ends = after(Instant::now(), ttl);
        let ttl = if hold.leased { ttl.min(micros(self.inner.settings.lease)) } else { ttl };
        let (resource, ticket) = (Arc::clone(&hold.resource), Which::Ticket(Arc::clone(&hold.ticket)));
        drop(state);
        self.ask(&resource, move |backend, resource| backend.extend(resource, ticket, ttl))
    }

    fn remaining(&self, token: u64) -> Done<Option<Micros>> {
        let state = self.inner.state.lock();
        let Some(hold) = state.books.hold(token).cloned() else { return Done::Now(Ok(None)) };
        drop(state);
        let lease = micros(self.inner.settings.lease);
        let ticket = Which::Ticket(hold.ticket);
        self.ask(&hold.resource, move |backend, resource| backend.remaining(resource, ticket)).map(
            move |left| {
                let here = micros(hold.ends.saturating_duration_since(Instant::now()));
                // What the other server knows of is the lease.
                left.map(|left| if hold.leased && here > lease { here } else { left })
            },
        )
    }

    fn end_unit(&self, owner: Owner) -> usize {
        self.end(owner.pool, owner.worker, |unit| unit == owner.unit)
    }

    fn end_before(&self, owner: Owner) -> usize {
        self.end(owner.pool, owner.worker, |unit| unit != 0 && unit != owner.unit)
    }

    fn end_worker(&self, pool: u32, worker: u64) -> usize {
        self.end(pool, worker, |_| true)
    }

    fn counts(&self) -> (usize, usize) {
        self.inner.state.lock().books.counts()
    }

    fn finish(&self) -> BoxFuture<()> {
        let inner = Arc::clone(&self.inner);
        Box::pin(async move { inner.finish().await })
    }
}

/// What was released of a resource and is on its way.
fn released(state: &State, resource: &Arc<str>) -> impl Future<Output = ()> + Send + use<> {
    let release = state.releases.get(resource).map(|(_, release)| release.clone());
    async move {
        if let Some(release) = release {
            let _ = release.await;
        }
    }
}

/// A request on its way. Dropping it takes it back, and the lock too if it came meanwhile.
struct Wish {
    inner: Arc<Inner>,
    number: u64,
    attempt: Attempt,
    wake: Arc<Notify>,
    ttl: Micros,
    deadline: Instant,
    holder: Option<Owner>,
    /// It is known by its token.
    native: bool,
    /// The other server may have it, in its queue or as a lock.
    may_be_there: bool,
    closed: bool,
}

impl Wish {
    async fn come_true(mut self) -> Result<Option<Grant>, String> {
        loop {
            if self.inner.state.lock().books.is_over(self.number) {
                return Ok(None);
            }
            let sent = Instant::now();
            let was_there = std::mem::replace(&mut self.may_be_there, true);
            let again = match self.inner.backend.attempt(&self.attempt).await {
                Ok(Attempted::Granted(token)) => return Ok(self.granted(token, sent)),
                Ok(Attempted::Taken(again)) => again,
                Err(failure) => {
                    self.may_be_there = was_there || failure.unknown;
                    return Err(says(&failure));
                }
            };
            if self.attempt.stay == 0 {
                self.may_be_there = false;
                return Ok(None);
            }
            let now = Instant::now();
            if now >= self.deadline {
                return Ok(None);
            }
            let pause = again.map_or(RECHECK, Duration::from_micros).clamp(Duration::from_millis(1), RECHECK);
            tokio::select! {
                () = self.wake.notified() => {}
                () = tokio::time::sleep_until(self.deadline.min(now + pause)) => {}
            }
        }
    }

    fn granted(&mut self, token: u64, sent: Instant) -> Option<Grant> {
        let ends = after(sent, self.ttl);
        let mut state = self.inner.state.lock();
        self.closed = true;
        self.inner.hub.leave(&self.attempt.ticket);
        if !state.books.close(self.number) {
            drop(state);
            self.take_back();
            return None;
        }
        if self.native {
            let Attempt { resource, ticket, .. } = &self.attempt;
            let (resource, ticket) = (Arc::clone(resource), Arc::clone(ticket));
            let leased = self.holder.is_some();
            state.books.keep(token, Hold { resource, ticket, owner: self.holder, ends, leased });
        }
        self.may_be_there = false;
        Some(Grant { token, expires: self.ttl })
    }

    fn take_back(&mut self) {
        if std::mem::replace(&mut self.may_be_there, false) {
            let Attempt { resource, ticket, .. } = &self.attempt;
            drop(self.inner.release(resource, ticket));
        }
    }
}

impl Drop for Wish {
    fn drop(&mut self) {
        if !self.closed {
            self.inner.state.lock().books.close(self.number);
            self.inner.hub.leave(&self.attempt.ticket);
        }
        self.take_back();
    }
}
