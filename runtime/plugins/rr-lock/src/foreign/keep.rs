//! What goes on beside the requests: releases, leases, and listening for what becomes free.

use super::books::Hold;
use super::{Backend, Hub, Inner, Released, Which, micros, released, says};
use futures_util::FutureExt;
use futures_util::future::join_all;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::time::Instant;

/// Between two tries to listen.
const PAUSE: Duration = Duration::from_secs(1);
/// Locks that are prolonged at a time.
const AT_ONCE: usize = 64;

impl Inner {
    /// Starts what goes on beside, with the first request. Must be called on a Tokio runtime.
    pub(super) fn begin(self: &Arc<Self>) {
        if self.runtime.get().is_some() {
            return;
        }
        let Ok(handle) = Handle::try_current() else { return };
        if self.runtime.set(handle.clone()).is_ok() {
            let closed = Arc::clone(&self.closed);
            let listening = listen(Arc::clone(&self.backend), Arc::clone(&self.hub));
            handle.spawn(unless(closed, listening));
            handle.spawn(unless(Arc::clone(&self.closed), keep(Arc::downgrade(self))));
        }
    }

    /// See [`released`].
    pub(super) fn released(&self, resource: &Arc<str>) -> impl Future<Output = ()> + Send + use<> {
        released(&self.state.lock(), resource)
    }

    pub(super) fn give_back(self: &Arc<Self>, hold: &Hold) -> Released {
        self.release(&hold.resource, &hold.ticket)
    }

    /// Gives back a lock or a place in the queue, without being polled. What fails is tried again.
    pub(super) fn release(self: &Arc<Self>, resource: &Arc<str>, ticket: &Arc<str>) -> Released {
        let mut state = self.state.lock();
        let before = released(&state, resource);
        let (inner, which) = (Arc::clone(self), Which::Ticket(Arc::clone(ticket)));
        let (name, own) = (Arc::clone(resource), Arc::clone(ticket));
        let release = async move {
            before.await;
            let result = inner.backend.release(&name, which).await;
            let mut state = inner.state.lock();
            // Unless another has come after it.
            if state.releases.get(&name).is_some_and(|(latest, _)| *latest == own) {
                state.releases.remove(&name);
            }
            result.map_err(|failure| {
                let owed = state.books.owe(&inner.settings.limits, &name, &own);
                let then = match owed {
                    true => {
                        "it is given back once the server answers, and ends by itself no later than its ttl"
                    }
                    false => "it ends with its ttl: too many others are to be given back first",
                };
                let text = format!("{}; {then}", says(&failure));
                tracing::warn!(target: "lock", resource = &*name, "a lock could not be given back: {text}");
                text
            })
        };
        let release = release.boxed().shared();
        state.releases.insert(Arc::clone(resource), (Arc::clone(ticket), release.clone()));
        drop(state);
        match self.runtime.get() {
            Some(runtime) => drop(runtime.spawn(release.clone())),
            None => {
                tracing::warn!(target: "lock", "a lock is given back before there was one; this is a bug")
            }
        }
        release
    }

    /// Gives back what ends with this server.
    pub(super) async fn finish(self: &Arc<Self>) {
        let holds = self.state.lock().books.all();
        holds.iter().for_each(|hold| drop(self.give_back(hold)));
        let left: Vec<Released> =
            self.state.lock().releases.values().map(|(_, release)| release.clone()).collect();
        join_all(left).await;
    }

    /// Prolongs the leases once, and gives back what is owed.
    async fn look_after(self: &Arc<Self>) {
        let leased = {
            let mut state = self.state.lock();
            state.books.sweep(Instant::now());
            state.books.leased(Instant::now())
        };
        let lease = self.settings.lease;
        let mut failed = None;
        for some in leased.chunks(AT_ONCE) {
            let each = some.iter().map(|(token, resource, ticket, left)| async move {
                let ttl = micros((*left).min(lease));
                let which = Which::Ticket(Arc::clone(ticket));
                (*token, resource, self.backend.extend(resource, which, ttl).await)
            });
            for (token, resource, result) in join_all(each).await {
                match result {
                    Ok(true) => {}
                    // It stays in the books: its worker is told when it asks.
                    Ok(false) => {
                        let known = self.state.lock().books.hold(token).is_some();
                        if known {
                            tracing::debug!(target: "lock", resource = &**resource, "a lock has ended before its worker gave it back");
                        }
                    }
                    Err(failure) => failed = Some(failure),
                }
            }
        }
        if let Some(failure) = failed {
            tracing::warn!(
                target: "lock", lease_seconds = lease.as_secs(), held = leased.len(),
                "locks could not be prolonged, and end unless that changes within their lease: {}", says(&failure)
            );
        }
        loop {
            let Some((resource, ticket)) = self.state.lock().books.owed.pop_front() else { return };
            if self.backend.release(&resource, Which::Ticket(Arc::clone(&ticket))).await.is_err() {
                self.state.lock().books.owed.push_back((resource, ticket));
                return;
            }
        }
    }
}

async fn unless(closed: Arc<Notify>, task: impl Future<Output = ()>) {
    tokio::select! {
        () = closed.notified() => {}
        () = task => {}
    }
}

async fn listen(backend: Arc<dyn Backend>, hub: Arc<Hub>) {
    loop {
        let failure = backend.listen(Arc::clone(&hub)).await;
        tracing::debug!(target: "lock", "not told of what becomes free, and looking from time to time: {failure}");
        tokio::time::sleep(PAUSE).await;
    }
}

async fn keep(inner: Weak<Inner>) {
    loop {
        let Some(period) = inner.upgrade().map(|inner| inner.settings.lease / 3) else { return };
        tokio::time::sleep(period).await;
        let Some(inner) = inner.upgrade() else { return };
        inner.look_after().await;
    }
}
