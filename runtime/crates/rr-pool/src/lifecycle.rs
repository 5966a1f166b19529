//! The long moves of a pool: start, reload, shutdown.

use crate::core::{Core, Worker};
use crate::pool::Pool;
use crate::{ExecError, Limits, Spawn, StartError, State};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Boot failures one after the other before a start gives up.
const START_TRIES: u32 = 3;

impl Pool {
    /// Makes the workers and waits until all are ready.
    ///
    /// # Errors
    /// They die while booting, three times in a row.
    pub async fn start(&self) -> Result<(), StartError> {
        self.reconcile(&mut self.lock(), Instant::now());
        self.until(|core| {
            if core.closing {
                return Some(Err(StartError::Stopped));
            }
            if core.failures >= START_TRIES {
                return Some(Err(StartError::Boot(core.last_error.clone())));
            }
            let ready = core.count(|worker| matches!(worker.state.get(), State::Ready | State::Working));
            (ready >= core.target()).then_some(Ok(()))
        })
        .await
    }

    async fn until<T>(&self, mut look: impl FnMut(&mut Core) -> Option<T>) -> T {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if let Some(value) = look(&mut self.lock()) {
                return value;
            }
            changed.await;
        }
    }

    /// Replaces all workers by those that `spawner` makes, a few at a time. The first one must become ready
    /// before any old one leaves, unless there are to be none.
    ///
    /// # Errors
    /// It did not; nothing has changed then.
    pub async fn roll(&self, spawner: Arc<dyn Spawn>, limits: Limits) -> Result<(), StartError> {
        let generation = spawner.generation();
        {
            let mut core = self.lock();
            core.failures = 0;
            if limits.num_workers > 0 {
                self.spawn_one(&mut core, Arc::clone(&spawner));
            }
        }
        self.until(|core| {
            let new = |worker: &Worker| worker.generation == generation;
            if core.closing {
                return Some(Err(StartError::Stopped));
            }
            if limits.num_workers == 0 {
                return Some(Ok(()));
            }
            if core.count(|worker| new(worker) && matches!(worker.state.get(), State::Ready | State::Working))
                > 0
            {
                return Some(Ok(()));
            }
            let lost = core.pending == 0 && core.count(new) == 0;
            lost.then(|| match core.failures {
                0 => Err(StartError::Boot("the first new worker was ready and ended at once".to_owned())),
                _ => Err(StartError::Boot(core.last_error.clone())),
            })
        })
        .await?;
        {
            let mut core = self.lock();
            core.generation = generation;
            core.limits = limits;
            core.limit_again(generation);
            *self.spawner.lock() = spawner;
            let now = Instant::now();
            core.retire_outdated(now);
            self.reconcile(&mut core, now);
        }
        self.wake_ticker();
        let old = |worker: &Worker| worker.generation < generation;
        self.until(|core| (core.closing || core.count(old) == 0).then_some(())).await;
        Ok(())
    }

    /// Resolves once no worker older than `generation` takes new work; some may still finish what they have.
    pub async fn turned(&self, generation: u32) {
        let serves = |worker: &Worker| {
            worker.generation < generation
                && matches!(worker.state.get(), State::Booting | State::Ready | State::Working)
        };
        self.until(|core| {
            (core.closing || core.generation >= generation && core.count(serves) == 0).then_some(())
        })
        .await;
    }

    /// Replaces the maker of workers without replacing workers: its zygote died and has a successor.
    pub fn set_spawner(&self, spawner: Arc<dyn Spawn>) {
        *self.spawner.lock() = spawner;
        let mut core = self.lock();
        core.not_before = None;
        self.reconcile(&mut core, Instant::now());
    }

    /// Stops: takes nothing new, finishes what is there for up to `grace`, then has all workers leave.
    pub async fn shutdown(&self, grace: Duration) {
        self.lock().accepting = false;
        self.wake_ticker();
        let done = self.until(|core| {
            let busy = core.waiting + core.count(|worker| !worker.held.is_empty());
            (busy == 0).then_some(())
        });
        let _ = tokio::time::timeout(grace, done).await;
        let destroy = {
            let mut core = self.lock();
            core.closing = true;
            let now = Instant::now();
            for slot in 0..core.workers.len() {
                let busy = core.worker(slot).is_some_and(|worker| !worker.held.is_empty());
                if busy {
                    core.condemn(slot, &ExecError::Stopped, now);
                } else {
                    core.drain(slot, now);
                }
            }
            // With what workers had not started.
            core.fail_queue(&ExecError::Stopped);
            core.limits.destroy_timeout
        };
        self.changed.notify_waiters();
        self.wake_ticker();
        let gone = self.until(|core| (core.pending == 0 && core.count(|_| true) == 0).then_some(()));
        if tokio::time::timeout(destroy.min(Duration::from_secs(10)), gone).await.is_err() {
            self.kill_all();
            let gone = self.until(|core| (core.count(|_| true) == 0).then_some(()));
            let _ = tokio::time::timeout(Duration::from_secs(5), gone).await;
        }
    }

    /// Ends all workers at once.
    pub fn kill_all(&self) {
        let mut core = self.lock();
        core.accepting = false;
        core.closing = true;
        core.fail_queue(&ExecError::Stopped);
        core.each().for_each(|worker| worker.process.kill());
    }
}
