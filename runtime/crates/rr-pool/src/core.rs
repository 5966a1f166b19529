//! The state of a pool and the small moves on it. Time comes in as an argument; nothing here waits.

use crate::unit::{Place, Trace, Unit};
use crate::{ExecError, Interrupt, Limits, Process, State, StateCell, WorkerInfo};
use rr_channel::{AnyChannel, Channel, Lane};
use rr_shm::segment::MAX_UNITS;
use rr_wire::{Bits, Flags, Header};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Units faster than this (microseconds, held ones together) are handed to a worker that is busy: it goes on
/// without the scheduler, which costs more than they do.
pub(crate) const FAST: u32 = 100;
/// Units faster than this (microseconds, held ones together) are handed to a worker that is busy where they would wait in any
/// case. Another worker takes them over as soon as it has nothing to do.
pub(crate) const QUICK: u32 = 1000;
/// Workers that may end one after the other while they have a unit that none of them has begun.
const DEATHS: u32 = 3;
/// Workers at a time in debug mode, where each unit has its own.
const DEBUGGED: usize = 500;
/// Where the estimate of a new worker starts: slow until it has shown otherwise.
const UNKNOWN: u32 = 2000;

/// A unit that a worker has.
#[derive(Debug)]
pub(crate) struct Held {
    pub sequence: u32,
    pub unit: Arc<Unit>,
    /// The rest of its body has not been sent yet.
    pub body_open: bool,
    /// Parts of its body are in the channel and nowhere else: only this worker can run it.
    pub body_sent: bool,
    /// Its client has gone away; frames are thrown away.
    pub cancelled: Option<Instant>,
    /// The response is complete and the worker goes on with the unit.
    pub finished: bool,
    /// Its reply has begun and goes on.
    pub streaming: bool,
    /// It has run for `exec_ttl` and was told so.
    pub interrupted: Option<Instant>,
}

#[derive(Debug)]
pub(crate) struct Worker {
    pub id: u64,
    pub slot: usize,
    pub generation: u32,
    pub pid: u32,
    pub process: Arc<dyn Process>,
    pub state: StateCell,
    pub channel: AnyChannel,
    /// The front one runs, the others can be taken back until they start.
    pub held: VecDeque<Held>,
    pub sequence: u32,
    /// Since when the front one runs.
    pub front_since: Instant,
    /// Microseconds a unit takes: jumps up, creeps down.
    pub estimate: u32,
    pub served: u64,
    /// Sequence and number of the unit answered last: its log may come after its reply.
    pub last: (u32, u64),
    /// Units, from the front one on, in which it may have asked for something: their ends are told.
    pub to_tell: usize,
    /// Units after which it is replaced.
    pub jobs: u64,
    pub born: Instant,
    pub idle_since: Instant,
    /// Since when it boots, drains or dies.
    pub state_since: Instant,
    /// It has said that it is ready.
    pub greeted: bool,
    pub stop_sent: bool,
    pub over_memory: bool,
    /// Why this side has ended it, if it has.
    pub verdict: Option<String>,
    /// Its channel had no room for a unit; the worker makes it ready when there is.
    pub full: bool,
    /// Its process is over: what its channel holds is all there will be.
    pub gone: bool,
    pub in_idle: bool,
    pub in_fast: bool,
    /// Was given something and not rung yet.
    pub dirty: bool,
    /// A call that comes in several frames.
    pub asking: Option<Asking>,
    /// Frames of answers that its channel had no room for.
    pub answers: VecDeque<(Header, Vec<u8>)>,
}

/// A call that has not come to its end.
#[derive(Debug)]
pub(crate) struct Asking {
    pub sequence: u32,
    pub codec: Flags,
    pub method: String,
    pub body: Vec<u8>,
}

impl Worker {
    pub(crate) fn new(
        id: u64,
        slot: usize,
        generation: u32,
        parts: (u32, AnyChannel, Arc<dyn Process>),
        now: Instant,
    ) -> Self {
        let (pid, channel, process) = parts;
        Self {
            id,
            slot,
            generation,
            pid,
            process,
            state: StateCell::default(),
            channel,
            held: VecDeque::new(),
            sequence: 0,
            front_since: now,
            estimate: UNKNOWN,
            served: 0,
            last: (0, 0),
            to_tell: 0,
            jobs: u64::MAX,
            born: now,
            idle_since: now,
            state_since: now,
            greeted: false,
            stop_sent: false,
            over_memory: false,
            verdict: None,
            full: false,
            gone: false,
            in_idle: false,
            in_fast: false,
            dirty: false,
            asking: None,
            answers: VecDeque::new(),
        }
    }

    pub(crate) fn is_fast(&self) -> bool {
        let held = u32::try_from(self.held.len()).unwrap_or(u32::MAX).max(1);
        self.estimate.saturating_mul(held) < FAST
    }

    /// What unit `sequence` waits for, nobody waits for any more.
    pub(crate) fn tell_cancelled(&mut self, sequence: u32) {
        self.channel.cancel(sequence);
        self.process.interrupt(sequence, Interrupt::Cancelled);
    }

    /// Whether another unit can be written behind those it has.
    pub(crate) fn has_room(&self, prefetch: usize) -> bool {
        self.holds_fewer_than(if self.is_fast() { 1 + prefetch } else { 1 })
    }

    /// The same for a unit that has to wait for some worker in any case, as do `share` for each worker.
    pub(crate) fn has_room_for_waiting(&self, prefetch: usize, share: usize) -> bool {
        let behind = (QUICK - 1) / self.estimate.max(1);
        let behind = prefetch.min(behind as usize).min(share.max(1));
        self.has_room(prefetch) || self.holds_fewer_than(1 + behind)
    }

    fn holds_fewer_than(&self, room: usize) -> bool {
        // A claim word serves one sequence in MAX_UNITS; units taken back leave gaps, so that those held can span
        // more numbers than there are of them.
        let next = self.sequence.wrapping_add(1);
        let span = |front: &Held| next.wrapping_sub(front.sequence) as usize;
        if self.held.front().is_some_and(|front| span(front) >= MAX_UNITS - 1) {
            return false;
        }
        self.held.len() < room && self.held.back().is_none_or(|last| !last.body_open)
    }

    pub(crate) fn measured(&mut self, micros: u32) {
        self.estimate = if micros > self.estimate {
            micros
        } else {
            self.estimate - (self.estimate - micros).div_ceil(8)
        };
    }

    /// Another unit is the front one: it runs from now on, and its body may flow.
    pub(crate) fn front_changed(&mut self, now: Instant) {
        self.front_since = now;
        if let Some(front) = self.held.front() {
            front.unit.wake_writer();
        }
    }

    pub(crate) fn advance(&mut self, to: State, now: Instant) {
        if self.state.advance(to) {
            self.state_since = now;
        }
    }

    /// Asks the worker to leave; tried again when there is no room for the frame now.
    pub(crate) fn send_stop(&mut self, now: Instant) {
        if self.stop_sent {
            return;
        }
        let header = Header::new(Flags::CONTROL.with(Flags::JSON), Bits::default(), &[], 0);
        match self.channel.send(Lane::Work, header, [br#"{"stop":true}"#, b""]) {
            Ok(true) => {
                self.stop_sent = true;
                self.state_since = now;
                self.channel.flush();
            }
            Ok(false) => {}
            Err(_) => self.process.kill(),
        }
    }
}

#[derive(Debug)]
pub(crate) struct Core {
    pub limits: Limits,
    /// By slot.
    pub workers: Vec<Option<Worker>>,
    /// Slots of ready workers, the last used on top; entries can be stale.
    pub idle: Vec<usize>,
    /// Slots of fast workers with room; entries can be stale.
    pub fast: Vec<usize>,
    /// Slots of workers that must be rung.
    pub dirty: Vec<usize>,
    /// A unit was put behind another since the flag was cleared.
    pub prefetched: bool,
    /// Units may wait behind others that are not fast.
    pub lent: bool,
    /// The shard will do it.
    pub deferred: bool,
    /// Units that wait; those cancelled stay until they come up.
    pub queue: VecDeque<Arc<Unit>>,
    /// Units that wait and are wanted.
    pub waiting: usize,
    /// Workers on their way.
    pub pending: usize,
    pub generation: u32,
    /// Workers on top of `num_workers`.
    pub extra: usize,
    pub last_shortage: Instant,
    /// Workers that died booting, one after the other.
    pub failures: u32,
    pub not_before: Option<Instant>,
    pub last_error: String,
    pub accepting: bool,
    /// No worker is replaced any more.
    pub closing: bool,
    pub random: u64,
}

impl Core {
    pub(crate) fn new(limits: Limits, now: Instant) -> Self {
        Self {
            limits,
            workers: Vec::new(),
            idle: Vec::new(),
            fast: Vec::new(),
            dirty: Vec::new(),
            prefetched: false,
            lent: false,
            deferred: false,
            queue: VecDeque::new(),
            waiting: 0,
            pending: 0,
            generation: 0,
            extra: 0,
            last_shortage: now,
            failures: 0,
            not_before: None,
            last_error: String::new(),
            accepting: true,
            closing: false,
            random: 0x9e37_79b9_7f4a_7c15,
        }
    }

    pub(crate) fn worker(&mut self, slot: usize) -> Option<&mut Worker> {
        self.workers.get_mut(slot)?.as_mut()
    }

    pub(crate) fn each(&mut self) -> impl Iterator<Item = &mut Worker> {
        self.workers.iter_mut().flatten()
    }

    pub(crate) fn count(&self, wanted: impl Fn(&Worker) -> bool) -> usize {
        self.workers.iter().flatten().filter(|worker| wanted(worker)).count()
    }

    pub(crate) fn target(&self) -> usize {
        if self.closing {
            return 0;
        }
        if self.limits.debug {
            // POOL-13: as many as there are units, so that an app may ask itself.
            let busy = self.count(|worker| worker.state.get().is_alive() && !worker.held.is_empty());
            return (self.waiting + busy).min(DEBUGGED);
        }
        self.limits.num_workers + self.extra
    }

    /// In debug mode a worker is younger than its unit: one whose unit has gone away leaves.
    pub(crate) fn retire_unneeded(&mut self, now: Instant) {
        if !self.limits.debug || self.waiting > 0 {
            return;
        }
        for slot in 0..self.workers.len() {
            // The first one of a reload is there to be looked at.
            let generation = self.generation;
            let unneeded = |worker: &mut Worker| {
                worker.held.is_empty()
                    && worker.generation <= generation
                    && matches!(worker.state.get(), State::Booting | State::Ready)
            };
            if self.worker(slot).is_some_and(unneeded) {
                self.drain(slot, now);
            }
        }
    }

    /// Adds a worker that boots.
    pub(crate) fn join(&mut self, mut worker: Worker) {
        worker.jobs = self.job_limit();
        let slot = worker.slot;
        if self.workers.len() <= slot {
            self.workers.resize_with(slot + 1, || None);
        }
        self.workers[slot] = Some(worker);
    }

    /// A reload has brought other limits: workers of `generation` that came before them get theirs.
    pub(crate) fn limit_again(&mut self, generation: u32) {
        for slot in 0..self.workers.len() {
            let jobs = self.job_limit();
            if let Some(worker) = self.worker(slot).filter(|worker| worker.generation == generation) {
                worker.jobs = jobs;
            }
        }
    }

    /// Fails what waits: nobody will run it.
    pub(crate) fn fail_queue(&mut self, error: &ExecError) {
        self.waiting = 0;
        for unit in std::mem::take(&mut self.queue) {
            if unit.state.lock().place == Place::Queued {
                unit.fail(error.clone());
            }
        }
    }

    /// POOL-04: `max_jobs` and up to 14 % more, so that workers do not leave together.
    fn job_limit(&mut self) -> u64 {
        if self.limits.debug {
            return 1;
        }
        // xorshift: spread, not secrecy.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        match self.limits.max_jobs {
            0 => u64::MAX,
            1 => 1,
            jobs => jobs + self.random % (jobs * 14 / 100 + 1),
        }
    }

    /// How many workers to start now.
    pub(crate) fn need(&self, now: Instant) -> usize {
        if self.closing || self.not_before.is_some_and(|not_before| now < not_before) {
            return 0;
        }
        let current =
            self.count(|worker| worker.state.get().is_alive() && worker.generation >= self.generation);
        let outdated =
            self.count(|worker| worker.state.get().is_alive() && worker.generation < self.generation);
        let missing = self.target().saturating_sub(current + self.pending);
        match (outdated, self.failures) {
            (0, 0) => missing,
            // One at a time while it is not known that they boot.
            (_, 1..) if !self.limits.debug => missing.min(1_usize.saturating_sub(self.pending)),
            // A reload: a few at a time, so that old and new together stay near the target.
            _ => missing.min((self.target() / 4).max(1).saturating_sub(self.pending)),
        }
    }

    /// A worker did not come to be. The next try waits: 100 ms, 200 ms, … 5 s.
    pub(crate) fn boot_failed(&mut self, error: String, now: Instant) {
        self.failures += 1;
        if self.limits.debug {
            self.last_error = error;
            return;
        }
        let delay = Duration::from_millis(100 << (self.failures - 1).min(6)).min(Duration::from_secs(5));
        self.not_before = Some(now + delay);
        self.last_error = error;
    }

    /// In debug mode a worker that does not come to be was that of a unit, which fails with it.
    pub(crate) fn fail_with_boot(&mut self) {
        if !self.limits.debug {
            return;
        }
        while let Some(unit) = self.queue.pop_front() {
            if unit.state.lock().place == Place::Queued {
                self.waiting -= 1;
                unit.fail(ExecError::WorkerDied(self.last_error.clone()));
                return;
            }
        }
    }

    /// Has a worker leave after what it has started.
    pub(crate) fn drain(&mut self, slot: usize, now: Instant) {
        self.take_back(slot, 1);
        if let Some(worker) = self.worker(slot) {
            worker.advance(State::Draining, now);
            if worker.held.is_empty() {
                worker.send_stop(now);
            }
        }
    }

    /// Takes units back from a worker, those behind the first `keep`, and puts them to the head of the queue.
    pub(crate) fn take_back(&mut self, slot: usize, keep: usize) {
        let Some(worker) = self.workers.get_mut(slot).and_then(Option::as_mut) else { return };
        while worker.held.len() > keep {
            let Some(last) = worker.held.back() else { break };
            if last.body_sent || !worker.channel.revoke(last.sequence) {
                break;
            }
            if let Some(Held { unit, cancelled: None, .. }) = worker.held.pop_back() {
                unit.state.lock().place = Place::Queued;
                self.queue.push_front(unit);
                self.waiting += 1;
            }
        }
    }

    /// Ends a worker: kills it, fails what it runs with `error`, saves what it has not started.
    pub(crate) fn condemn(&mut self, slot: usize, error: &ExecError, now: Instant) {
        if let Some(worker) = self.worker(slot) {
            // Those behind it have had no chance.
            worker.held.front().iter().for_each(|held| held.unit.state.lock().returned += 1);
        }
        self.take_back(slot, 0);
        self.give_up(error);
        let Some(worker) = self.worker(slot) else { return };
        let booting = worker.state.get() == State::Booting;
        worker.advance(State::Dead, now);
        let verdict = match error {
            // It had nothing that it could have run.
            ExecError::WorkerDied(why) if booting => why.clone(),
            error => error.to_string(),
        };
        worker.verdict.get_or_insert(verdict.clone());
        worker.process.kill();
        for held in worker.held.drain(..) {
            held.unit.fail(error.clone());
        }
        if booting {
            self.boot_failed(verdict, now);
        }
    }

    /// Fails units that were just taken back from a worker that ended, as others have before it: whatever is wrong, another
    /// worker will not help.
    fn give_up(&mut self, error: &ExecError) {
        let spoiled = |unit: &Arc<Unit>| {
            let state = unit.state.lock();
            state.place == Place::Queued && state.returned > DEATHS
        };
        while self.queue.front().is_some_and(spoiled) {
            let Some(unit) = self.queue.pop_front() else { return };
            self.waiting -= 1;
            unit.fail(error.clone());
        }
    }

    /// Rings the workers that were given something.
    pub(crate) fn flush(&mut self) {
        self.deferred = false;
        while let Some(slot) = self.dirty.pop() {
            if let Some(worker) = self.worker(slot) {
                worker.dirty = false;
                worker.channel.flush();
            }
        }
    }

    pub(crate) fn info(&self, now: Instant) -> Vec<WorkerInfo> {
        let info = |worker: &Worker| WorkerInfo {
            id: worker.id,
            pid: worker.pid,
            generation: worker.generation,
            state: worker.state.get(),
            served: worker.served,
            age: now.saturating_duration_since(worker.born),
            busy_for: worker.held.front().map(|_| now.saturating_duration_since(worker.front_since)),
            held: worker.held.len(),
        };
        self.workers.iter().flatten().map(info).collect()
    }

    /// What each runs, in the order of [`Core::info`].
    pub(crate) fn running(&self) -> Vec<Option<Trace>> {
        let running = |worker: &Worker| worker.held.front().map(|held| Trace(Arc::clone(&held.unit)));
        self.workers.iter().flatten().map(running).collect()
    }
}
