//! The shell around the core: spawns, watches, wakes.

use crate::core::{Core, Worker};
use crate::spawn::LEFT;
use crate::unit::{BodyPart, Exchange, Place, Request, SendError, Trace, Unit};
use crate::{Calls, Ended, ExecError, Limits, Readable, Shard, Spawn, Spawned, State, WorkerInfo};
use parking_lot::{Mutex, MutexGuard};
use rr_channel::{Channel, Lane};
use rr_wire::{Bits, Flags, Header};
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// How the ticker sleeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pace {
    Awake,
    /// Until its time comes; too long for units that wait behind others.
    Long,
    /// For a moment.
    Short,
    /// Until somebody has work.
    Rests,
}

/// How often all rings are looked at while there is work: the ready bits are hints that a broken worker can wipe.
const SWEEP: Duration = Duration::from_millis(500);

/// A pool.
pub struct Pool {
    pub(crate) name: Arc<str>,
    pub(crate) core: Mutex<Core>,
    pub(crate) shard: Arc<Shard>,
    pub(crate) spawner: Mutex<Arc<dyn Spawn>>,
    pub(crate) calls: Arc<dyn Calls>,
    max_payload: usize,
    next_worker: AtomicU64,
    next_unit: AtomicU64,
    /// How long the ticker sleeps, so that it is woken only when that is too long.
    ticker: Mutex<Pace>,
    work: Notify,
    pub(crate) changed: Notify,
    this: std::sync::Weak<Pool>,
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Readable for Pool {
    fn readable(&self, slot: usize) {
        self.look(slot);
    }

    fn flush(&self) {
        self.core.lock().flush();
    }
}

/// The core, locked; when it is let go, workers that were given something are rung, soon.
pub(crate) struct Locked<'a> {
    pub(crate) core: MutexGuard<'a, Core>,
    pool: &'a Pool,
}

impl Deref for Locked<'_> {
    type Target = Core;

    fn deref(&self) -> &Core {
        &self.core
    }
}

impl DerefMut for Locked<'_> {
    fn deref_mut(&mut self) -> &mut Core {
        &mut self.core
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        if self.core.dirty.is_empty() || self.core.deferred {
            return;
        }
        self.core.deferred = self.pool.shard.defer(|| self.pool.arc());
        if !self.core.deferred {
            self.core.flush();
        }
    }
}

/// Workers that a pool can be told to have, as with RoadRunner.
const MAX_WORKERS: usize = 500;

impl Pool {
    /// A pool without workers; [`Pool::start`] makes them. `max_payload` is what a frame of its channels takes.
    #[must_use]
    pub fn new(
        name: &str,
        limits: Limits,
        max_payload: usize,
        shard: Arc<Shard>,
        spawner: Arc<dyn Spawn>,
        calls: Arc<dyn Calls>,
    ) -> Arc<Self> {
        let mut core = Core::new(limits, Instant::now());
        core.generation = spawner.generation();
        Arc::new_cyclic(|this| Self {
            name: Arc::from(name),
            core: Mutex::new(core),
            shard,
            spawner: Mutex::new(spawner),
            calls,
            max_payload,
            next_worker: AtomicU64::new(1),
            next_unit: AtomicU64::new(1),
            ticker: Mutex::new(Pace::Awake),
            work: Notify::new(),
            changed: Notify::new(),
            this: this.clone(),
        })
    }

    pub(crate) fn lock(&self) -> Locked<'_> {
        Locked { core: self.core.lock(), pool: self }
    }

    pub(crate) fn arc(&self) -> Arc<Self> {
        self.this.upgrade().unwrap_or_else(|| unreachable!("a pool lives in an Arc, see Pool::new"))
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The largest context and inline body of a [`Request`].
    #[must_use]
    pub const fn max_payload(&self) -> usize {
        self.max_payload
    }

    pub(crate) fn piece(&self) -> usize {
        (self.max_payload / 2).max(1)
    }

    /// Submits a unit of work.
    ///
    /// # Errors
    /// There is no room for it, it is too large, or the pool stops.
    pub fn submit(&self, request: Request) -> Result<Exchange, ExecError> {
        let size = request.context.len() + request.body.len();
        if size == 0 {
            // POOL-14: to a worker that would be no request.
            return Err(ExecError::Soft("payload can not be empty".to_owned()));
        }
        if size > self.max_payload {
            return Err(ExecError::TooLarge { size, limit: self.max_payload });
        }
        // Answers that are there free workers for this unit; the thread may be too busy to have looked.
        self.shard.drain();
        let now = Instant::now();
        let id = self.next_unit.fetch_add(1, Ordering::Relaxed);
        let unit = Arc::new(Unit::new(id, now, request));
        let units_wait = {
            let mut core = self.lock();
            core.submit(Arc::clone(&unit), now)?;
            if core.limits.debug {
                self.reconcile(&mut core, now);
            }
            std::mem::take(&mut core.prefetched)
        };
        self.hurry_ticker(units_wait);
        Ok(Exchange { pool: self.arc(), unit })
    }

    pub(crate) fn wake_ticker(&self) {
        self.hurry_ticker(false);
    }

    /// Wakes the ticker if it sleeps for longer than what has come up allows.
    fn hurry_ticker(&self, units_wait: bool) {
        let mut pace = self.ticker.lock();
        if *pace == Pace::Rests || units_wait && *pace == Pace::Long {
            *pace = Pace::Awake;
            self.work.notify_one();
        }
    }

    pub(crate) fn cancel(&self, unit: &Arc<Unit>) {
        let mut core = self.lock();
        core.cancel(unit, Instant::now());
        self.progressed(&core);
    }

    /// While the pool stops, the end of every unit may be what its end waits for.
    fn progressed(&self, core: &Core) {
        if !core.accepting {
            self.changed.notify_waiters();
        }
    }

    pub(crate) fn poll_send(
        &self,
        cx: &mut Context<'_>,
        unit: &Arc<Unit>,
        bytes: &[u8],
        part: BodyPart,
    ) -> Poll<Result<(), SendError>> {
        let mut core = self.lock();
        let place = {
            let mut state = unit.state.lock();
            state.writer = Some(cx.waker().clone());
            state.place
        };
        let (slot, id, sequence) = match place {
            Place::Over => return Poll::Ready(Err(SendError)),
            Place::Queued => return Poll::Pending,
            Place::At { slot, worker, sequence } => (slot, worker, sequence),
        };
        let Some(worker) = core.worker(slot).filter(|worker| worker.id == id) else {
            return Poll::Ready(Err(SendError));
        };
        // Until it is the front one it may be given to another worker, and what is sent is not kept.
        if worker.held.front().is_none_or(|front| front.sequence != sequence) {
            return Poll::Pending;
        }
        let bits = match part {
            BodyPart::More => Bits::STREAM,
            BodyPart::Last => Bits::default(),
            BodyPart::Aborted => Bits::STOP,
        };
        let header = Header::new(Flags::RAW, bits, &[0, sequence], 0);
        match worker.channel.send(Lane::Work, header, [b"", bytes]) {
            Ok(false) => Poll::Pending,
            Ok(true) => {
                worker.channel.flush();
                // A client that sends slowly does not use up its worker's time.
                worker.front_since = Instant::now();
                if let Some(front) = worker.held.front_mut() {
                    front.body_sent = true;
                    front.body_open &= part == BodyPart::More;
                    let gone = front.cancelled.is_some() && !front.body_open;
                    if gone {
                        worker.tell_cancelled(sequence);
                        unit.abandon();
                    }
                }
                Poll::Ready(Ok(()))
            }
            Err(error) => {
                self.break_worker(&mut core, slot, &error.to_string());
                Poll::Ready(Err(SendError))
            }
        }
    }

    /// Takes what the worker in `slot` has published.
    pub(crate) fn look(&self, slot: usize) {
        let seen = {
            let mut core = self.lock();
            let seen = core.readable(slot, Instant::now());
            if seen.ready {
                core.retire_outdated(Instant::now());
                core.retire_unneeded(Instant::now());
            }
            if seen.ready || seen.capacity_changed {
                self.reconcile(&mut core, Instant::now());
                self.changed.notify_waiters();
            }
            self.progressed(&core);
            seen
        };
        self.handle(slot, seen);
    }

    pub(crate) fn break_worker(&self, core: &mut Core, slot: usize, why: &str) {
        core.condemn(slot, &ExecError::Protocol(why.to_owned()), Instant::now());
        self.reconcile(core, Instant::now());
    }

    /// Starts the workers that are missing.
    pub(crate) fn reconcile(&self, core: &mut Core, now: Instant) {
        let need = core.need(now);
        for _ in 0..need {
            let spawner = Arc::clone(&self.spawner.lock());
            self.spawn_one(core, spawner);
        }
        if need > 0 || core.not_before.is_some() {
            self.wake_ticker();
        }
    }

    pub(crate) fn spawn_one(&self, core: &mut Core, spawner: Arc<dyn Spawn>) {
        let pool = self.arc();
        let Some(slot) = self.shard.take(Arc::clone(&pool) as Arc<dyn Readable>) else {
            core.boot_failed("the shard has no slot for another worker".to_owned(), Instant::now());
            return;
        };
        core.pending += 1;
        let id = self.next_worker.fetch_add(1, Ordering::Relaxed);
        tokio::spawn(async move {
            let (generation, spawned) = (spawner.generation(), spawner.spawn(id, slot).await);
            // A zygote that died is not kept for as long as its workers live.
            drop(spawner);
            match spawned {
                Ok(spawned) => pool.run_worker(id, slot, generation, spawned).await,
                Err(error) => pool.not_spawned(slot, error),
            }
        });
    }

    fn not_spawned(&self, slot: usize, error: String) {
        tracing::error!(target: "server", pool = &*self.name, "a worker could not be started: {error}");
        self.shard.release(slot);
        let mut core = self.lock();
        core.pending -= 1;
        core.boot_failed(error, Instant::now());
        core.fail_with_boot();
        self.changed.notify_waiters();
        drop(core);
        self.wake_ticker();
    }

    async fn run_worker(self: Arc<Self>, id: u64, slot: usize, generation: u32, spawned: Spawned) {
        let parts = (spawned.pid, spawned.channel, spawned.process);
        {
            let mut core = self.lock();
            core.pending -= 1;
            let worker = Worker::new(id, slot, generation, parts, Instant::now());
            core.join(worker);
            if core.closing {
                core.drain(slot, Instant::now());
                // It has nothing that it could finish, and may be long in getting ready.
                if let Some(worker) = core.worker(slot) {
                    worker.process.kill();
                }
            }
        }
        self.wake_ticker();
        // It may have spoken before it was in the table.
        self.look(slot);
        let ended = spawned.ended.await;
        // What it said last counts: a fatal error answers first and ends then.
        if let Some(worker) = self.lock().worker(slot) {
            worker.gone = true;
        }
        self.look(slot);
        self.ended(slot, &ended);
    }

    fn ended(&self, slot: usize, ended: &Ended) {
        let now = Instant::now();
        let mut core = self.lock();
        // What it has not started is no loss.
        core.take_back(slot, 0);
        let Some(worker) = core.worker(slot) else { return };
        let (id, pid, greeted, served) = (worker.id, worker.pid, worker.greeted, worker.served);
        let (verdict, told) = (worker.verdict.clone(), worker.stop_sent);
        let unit = worker.held.front().map_or(0, |held| held.unit.id);
        // WRK-08: what leaves an app whose stream was cut off may take its worker along.
        let unread = worker.held.front().is_some_and(|front| front.streaming && front.cancelled.is_some());
        core.condemn(slot, &ExecError::WorkerDied(ended.exit.clone()), now);
        core.workers[slot] = None;
        core.idle.retain(|listed| *listed != slot);
        core.fast.retain(|listed| *listed != slot);
        let pool = &*self.name;
        let exit = verdict.as_deref().unwrap_or(&ended.exit);
        let words =
            if ended.last_words.is_empty() { String::new() } else { format!(": {}", ended.last_words) };
        if !greeted && !told {
            core.last_error = format!("{exit}{words}");
            core.fail_with_boot();
            tracing::error!(target: "server", pool, pid, worker = id, "a worker died while booting, {exit}{words}");
        } else if unread {
            tracing::info!(target: "server", pool, pid, worker = id, served, unit, "a worker ended with a stream that its client has left, {exit}{words}");
        } else if verdict.is_none() && (told || (unit == 0 && ended.exit == LEFT)) {
            tracing::debug!(target: "pool", pool, pid, worker = id, served, "a worker has left, {exit}");
        } else {
            tracing::warn!(target: "server", pool, pid, worker = id, served, unit, "a worker died, {exit}{words}");
        }
        if core.closing {
            core.fail_queue(&ExecError::Stopped);
        }
        core.spread(now);
        self.reconcile(&mut core, now);
        drop(core);
        self.calls.worker_ended(&self.name, id);
        self.shard.release(slot);
        self.changed.notify_waiters();
    }

    /// Enforces what is due and says when to look again. [`Pool::run_ticks`] calls it.
    pub fn tick(&self, now: Instant) -> Option<Duration> {
        // Whoever has answered is not late.
        self.shard.drain();
        let mut core = self.lock();
        let next = core.tick(now);
        self.reconcile(&mut core, now);
        self.progressed(&core);
        next
    }

    /// Looks after the clock, for as long as the pool lives.
    pub async fn run_ticks(self: Arc<Self>) {
        let mut swept = Instant::now();
        loop {
            let now = Instant::now();
            let next = self.tick(now);
            let pace = match next {
                None => Pace::Rests,
                Some(wait) if wait > Duration::from_millis(1) => Pace::Long,
                Some(_) => Pace::Short,
            };
            *self.ticker.lock() = pace;
            let work = self.work.notified();
            match next {
                // Something may have come in between.
                None if self.tick(now).is_some() => {}
                None => work.await,
                Some(wait) => {
                    let _ = tokio::time::timeout(wait, work).await;
                }
            }
            *self.ticker.lock() = Pace::Awake;
            if next.is_some() && now.duration_since(swept) > SWEEP {
                swept = now;
                self.shard.sweep();
            }
        }
    }

    /// The supervisor's round.
    pub fn supervise(&self) {
        let mut core = self.lock();
        let now = Instant::now();
        core.supervise(now);
        self.reconcile(&mut core, now);
        drop(core);
        self.wake_ticker();
    }

    /// One worker more, until the next reload.
    ///
    /// # Errors
    /// There are as many as there can be.
    pub fn add_worker(&self) -> Result<(), String> {
        let mut core = self.lock();
        if core.limits.num_workers >= MAX_WORKERS {
            return Err("container is full, maximum number of workers reached".to_owned());
        }
        core.limits.num_workers += 1;
        self.reconcile(&mut core, Instant::now());
        Ok(())
    }

    /// One worker less, until the next reload: a free one if there is one, else one that has least to do. The
    /// last one stays.
    pub fn remove_worker(&self) {
        let mut core = self.lock();
        core.remove_worker(Instant::now());
        drop(core);
        self.wake_ticker();
    }

    /// Replaces workers that use too much memory (by number).
    pub fn over_memory(&self, ids: &[u64]) {
        let mut core = self.lock();
        let now = Instant::now();
        core.over_memory(ids, now);
        self.reconcile(&mut core, now);
        drop(core);
        self.wake_ticker();
    }

    /// The workers.
    #[must_use]
    pub fn workers(&self) -> Vec<WorkerInfo> {
        self.lock().info(Instant::now())
    }

    /// The same, each with the unit that it runs.
    #[must_use]
    pub fn running(&self) -> Vec<(WorkerInfo, Option<Trace>)> {
        let core = self.lock();
        core.info(Instant::now()).into_iter().zip(core.running()).collect()
    }

    /// The generation that serves.
    #[must_use]
    pub fn generation(&self) -> u32 {
        self.lock().generation
    }

    /// The unit that worker `id` in `slot` runs now; 0 without one.
    #[must_use]
    pub fn unit_of(&self, slot: usize, id: u64) -> u64 {
        let mut core = self.lock();
        let worker = core.worker(slot).filter(|worker| worker.id == id);
        worker.and_then(|worker| worker.held.front()).map_or(0, |held| held.unit.id)
    }

    /// Whether a worker has a unit, or one waits.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        let core = self.lock();
        core.waiting > 0
            || core.count(|worker| !worker.held.is_empty() || worker.state.get() != State::Ready) > 0
    }

    /// Units that wait for a worker.
    #[must_use]
    pub fn queue_len(&self) -> usize {
        self.lock().waiting
    }
}
