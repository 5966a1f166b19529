//! The shell around the core: spawns, watches, wakes.

use crate::core::{Core, Worker};
use crate::replies::{Asked, Seen};
use crate::unit::{BodyPart, Exchange, Place, Request, SendError, Unit};
use crate::{ExecError, Limits, Readable, Shard, State};
use parking_lot::{Mutex, MutexGuard};
use rr_channel::{AnyChannel, Channel, Lane};
use rr_wire::rpc::{Call, ONE_WAY};
use rr_wire::{Bits, Flags, Header};
use std::future::Future;
use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// A future that owns itself.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Boot failures one after the other before a start gives up.
const START_TRIES: u32 = 3;

/// A worker process, as far as a pool touches it.
pub trait Process: Send + Sync + std::fmt::Debug {
    /// Ends it at once.
    fn kill(&self);
}

/// How a worker ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// "exit code 255", "signal 11 (SIGSEGV)".
    pub exit: String,
    /// The last lines it wrote to stderr.
    pub last_words: String,
}

/// A new worker.
pub struct Spawned {
    /// Its process id.
    pub pid: u32,
    /// Its channel.
    pub channel: AnyChannel,
    /// Its process.
    pub process: Arc<dyn Process>,
    /// Resolves when it has ended.
    pub ended: BoxFuture<Ended>,
}

/// Makes workers of one generation.
pub trait Spawn: Send + Sync {
    /// Makes worker number `worker` with bit `slot`.
    fn spawn(&self, worker: u64, slot: usize) -> BoxFuture<Result<Spawned, String>>;
    /// The generation.
    fn generation(&self) -> u32;
}

/// Who calls.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The pool's name.
    pub pool: Arc<str>,
    /// The worker's number.
    pub worker: u64,
    /// Its generation.
    pub generation: u32,
    /// Its process id.
    pub pid: u32,
    /// Sequences and numbers of its units: those it has and the one answered last.
    pub units: Vec<(u32, u64)>,
}

impl Caller {
    /// The number of the unit that the worker knows by `sequence`; 0 for none.
    #[must_use]
    pub fn unit_of(&self, sequence: u32) -> u64 {
        let known = |(own, _): &&(u32, u64)| sequence != 0 && *own == sequence;
        self.units.iter().find(known).map_or(0, |(_, unit)| *unit)
    }
}

/// What comes of a call.
pub enum Answer {
    /// Nothing is sent.
    None,
    /// The result, or an error text.
    Now(Result<Vec<u8>, String>),
    /// The same, later.
    Later(BoxFuture<Result<Vec<u8>, String>>),
}

/// Answers what workers ask on the call lane.
pub trait Calls: Send + Sync {
    /// Handles one call. Must not block.
    fn call(&self, caller: &Caller, method: &str, body: &[u8]) -> Answer;
}

/// A worker in a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerInfo {
    /// Number.
    pub id: u64,
    /// Process id.
    pub pid: u32,
    /// Generation.
    pub generation: u32,
    /// State.
    pub state: State,
    /// Units answered.
    pub served: u64,
    /// Age.
    pub age: Duration,
    /// How long the running unit has been running.
    pub busy_for: Option<Duration>,
    /// Units it has.
    pub held: usize,
}

/// Why a pool did not start, or a reload did not happen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// Workers die before they are ready.
    #[error("no worker could be started: {0}")]
    Boot(String),
    /// The server stops.
    #[error("the server is shutting down")]
    Stopped,
}

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
    name: Arc<str>,
    pub(crate) core: Mutex<Core>,
    shard: Arc<Shard>,
    spawner: Mutex<Arc<dyn Spawn>>,
    calls: Arc<dyn Calls>,
    max_payload: usize,
    next_worker: AtomicU64,
    next_unit: AtomicU64,
    /// How long the ticker sleeps, so that it is woken only when that is too long.
    ticker: Mutex<Pace>,
    work: Notify,
    changed: Notify,
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
    core: MutexGuard<'a, Core>,
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

    fn arc(&self) -> Arc<Self> {
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
            std::mem::take(&mut core.prefetched)
        };
        self.hurry_ticker(units_wait);
        Ok(Exchange { pool: self.arc(), unit })
    }

    fn wake_ticker(&self) {
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
        self.lock().cancel(unit, Instant::now());
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
            }
            if seen.ready || seen.capacity_changed {
                self.reconcile(&mut core, Instant::now());
                self.changed.notify_waiters();
            }
            seen
        };
        self.handle(slot, seen);
    }

    fn handle(&self, slot: usize, seen: Seen) {
        for asked in seen.calls {
            let caller = Caller {
                pool: Arc::clone(&self.name),
                worker: asked.worker,
                generation: asked.generation,
                pid: asked.pid,
                units: asked.units.clone(),
            };
            match self.calls.call(&caller, &asked.method, &asked.body) {
                Answer::None => {}
                Answer::Now(result) => self.answer(&asked, &result),
                Answer::Later(future) => {
                    let pool = self.arc();
                    tokio::spawn(async move {
                        let result = future.await;
                        pool.answer(&asked, &result);
                    });
                }
            }
        }
        if seen.again {
            let pool = self.arc();
            tokio::spawn(async move { pool.look(slot) });
        }
    }

    fn answer(&self, asked: &Asked, result: &Result<Vec<u8>, String>) {
        if asked.sequence == ONE_WAY {
            return;
        }
        let mut core = self.lock();
        let Some(worker) = core.worker(asked.slot).filter(|worker| worker.id == asked.worker) else { return };
        let limit = worker.channel.max_payload(Lane::Call) - asked.method.len();
        let text;
        let (body, failed) = match result {
            Ok(body) if body.len() > limit => {
                text =
                    format!("{}: an answer of {} bytes; the channel takes {limit}", asked.method, body.len());
                (text.as_bytes(), true)
            }
            Ok(body) => (&body[..], false),
            Err(text) => (&text.as_bytes()[..text.len().min(limit)], true),
        };
        let call = Call { sequence: asked.sequence, method: &asked.method, body, failed };
        let flags = if failed { Flags::RAW.with(Flags::ERROR) } else { Flags::RAW };
        let header = Header::new(flags, Bits::default(), &call.options(), 0);
        match worker.channel.send(Lane::Call, header, [asked.method.as_bytes(), body]) {
            Ok(true) => worker.channel.flush(),
            // A worker waits for one answer at a time; one whose lane is full of answers does not read them.
            Ok(false) => self.break_worker(&mut core, asked.slot, "it does not read its answers"),
            Err(error) => self.break_worker(&mut core, asked.slot, &error.to_string()),
        }
    }

    fn break_worker(&self, core: &mut Core, slot: usize, why: &str) {
        core.condemn(slot, &ExecError::Protocol(why.to_owned()), Instant::now());
        self.reconcile(core, Instant::now());
    }

    /// Starts the workers that are missing.
    fn reconcile(&self, core: &mut Core, now: Instant) {
        let need = core.need(now);
        for _ in 0..need {
            let spawner = Arc::clone(&self.spawner.lock());
            self.spawn_one(core, spawner);
        }
        if need > 0 || core.not_before.is_some() {
            self.wake_ticker();
        }
    }

    fn spawn_one(&self, core: &mut Core, spawner: Arc<dyn Spawn>) {
        let pool = self.arc();
        let Some(slot) = self.shard.take(Arc::clone(&pool) as Arc<dyn Readable>) else {
            core.boot_failed("the shard has no slot for another worker".to_owned(), Instant::now());
            return;
        };
        core.pending += 1;
        let id = self.next_worker.fetch_add(1, Ordering::Relaxed);
        tokio::spawn(async move {
            match spawner.spawn(id, slot).await {
                Ok(spawned) => pool.run_worker(id, slot, spawner.generation(), spawned).await,
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
        let Some(worker) = core.worker(slot) else { return };
        let (id, pid, greeted, served) = (worker.id, worker.pid, worker.greeted, worker.served);
        let (verdict, told) = (worker.verdict.clone(), worker.stop_sent);
        let unit = worker.held.front().map_or(0, |held| held.unit.id);
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
            tracing::error!(target: "server", pool, pid, worker = id, "a worker died while booting, {exit}{words}");
        } else if told && verdict.is_none() {
            tracing::debug!(target: "server", pool, pid, worker = id, served, "a worker has left, {exit}");
        } else {
            tracing::warn!(target: "server", pool, pid, worker = id, served, unit, "a worker died, {exit}{words}");
        }
        if core.closing {
            core.fail_queue(&ExecError::Stopped);
        }
        core.spread(now);
        self.reconcile(&mut core, now);
        drop(core);
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
    /// before any old one leaves.
    ///
    /// # Errors
    /// It did not; nothing has changed then.
    pub async fn roll(&self, spawner: Arc<dyn Spawn>, limits: Limits) -> Result<(), StartError> {
        let generation = spawner.generation();
        {
            let mut core = self.lock();
            core.failures = 0;
            self.spawn_one(&mut core, Arc::clone(&spawner));
        }
        self.until(|core| {
            let new = |worker: &Worker| worker.generation == generation;
            if core.closing {
                return Some(Err(StartError::Stopped));
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
        let done = async {
            loop {
                let busy = {
                    let core = self.lock();
                    core.waiting + core.count(|worker| !worker.held.is_empty())
                };
                if busy == 0 {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
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
