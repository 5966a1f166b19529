//! What happens with time: limits on running, waiting, booting and leaving; growth; replacement by age.

use crate::core::{Core, Held, Worker};
use crate::unit::Place;
use crate::{ExecError, Interrupt, State};
use std::time::{Duration, Instant};

/// How often to look while something runs; the hard kill of `exec_ttl` comes at most this late.
const BUSY: Duration = Duration::from_millis(10);
/// How often to look while units wait behind others in workers.
const HELD: Duration = Duration::from_millis(1);
/// A unit that runs for longer was taken for a quick one and is none: those behind it would have been started elsewhere.
const LATE: Duration = Duration::from_micros(2 * crate::core::QUICK as u64);
/// A worker told to leave has this long (WRK-10).
const STOP: Duration = Duration::from_secs(10);

enum Due {
    Condemn(ExecError),
    Interrupt,
    Rescue,
    Stop,
    Kill,
}

impl Core {
    /// Enforces what is due. Returns when to look again; `None`: when the next unit comes.
    pub(crate) fn tick(&mut self, now: Instant) -> Option<Duration> {
        for slot in 0..self.workers.len() {
            let due = self.workers[slot].as_ref().and_then(|worker| self.due(worker, now));
            match due {
                None => {}
                Some(Due::Condemn(error)) => self.condemn(slot, &error, now),
                Some(Due::Interrupt) => self.interrupt(slot, now),
                Some(Due::Rescue) => self.rescue(slot, now),
                Some(Due::Stop) => {
                    if let Some(worker) = self.worker(slot) {
                        worker.send_stop(now);
                    }
                }
                Some(Due::Kill) => {
                    let error = ExecError::WorkerDied("it did not leave when told to".to_owned());
                    self.condemn(slot, &error, now);
                }
            }
        }
        self.tick_queue(now);
        self.retire_unneeded(now);
        if self.not_before.is_some_and(|not_before| now >= not_before) {
            self.not_before = None;
        }
        let held = self.count(|worker| worker.held.len() > 1) > 0;
        let moving = |worker: &Worker| !worker.held.is_empty() || worker.state.get() != State::Ready;
        let busy = self.waiting > 0 || self.not_before.is_some() || self.count(moving) > 0 || self.extra > 0;
        if held { Some(HELD) } else { busy.then_some(BUSY) }
    }

    fn due(&self, worker: &Worker, now: Instant) -> Option<Due> {
        let limits = &self.limits;
        let since = |then: Instant| now.saturating_duration_since(then);
        let over = |limit: Duration, then: Instant| !limit.is_zero() && since(then) > limit;
        let front = worker.held.front();
        // A client that reads or sends slowly has limits of its own. A body whose length is known has been taken in: if it
        // does not flow, that is the worker's fault.
        let sends = |front: &Held| front.body_open && front.unit.request.length.is_none();
        let waits = |front: &Held| sends(front) || front.unit.state.lock().paused;
        let runs = front.is_some_and(|front| !waits(front)) && worker.state.get() != State::Dead;
        match front.and_then(|front| front.interrupted) {
            Some(then) if runs && since(then) > limits.exec_grace => {
                return Some(Due::Condemn(ExecError::ExecTtl(limits.exec_ttl)));
            }
            Some(_) => {}
            None if runs && over(limits.exec_ttl, worker.front_since) => {
                return Some(match limits.exec_grace.is_zero() {
                    true => Due::Condemn(ExecError::ExecTtl(limits.exec_ttl)),
                    false => Due::Interrupt,
                });
            }
            None => {}
        }
        if let Some(cancelled) = front.filter(|front| front.streaming).and_then(|front| front.cancelled)
            && over(limits.stream_timeout, cancelled)
        {
            let text =
                format!("it went on streaming for stream_timeout ({:?}) to nobody", limits.stream_timeout);
            return Some(Due::Condemn(ExecError::WorkerDied(text)));
        }
        match worker.state.get() {
            State::Booting if over(limits.allocate_timeout, worker.state_since) => {
                let text =
                    format!("it was not ready within allocate_timeout ({:?})", limits.allocate_timeout);
                Some(Due::Condemn(ExecError::WorkerDied(text)))
            }
            State::Working
                if worker.held.len() > 1 && since(worker.front_since) > Duration::from_micros(500) =>
            {
                Some(Due::Rescue)
            }
            State::Draining if worker.held.is_empty() && !worker.stop_sent => Some(Due::Stop),
            State::Draining
                if worker.stop_sent && over(STOP.min(limits.destroy_timeout), worker.state_since) =>
            {
                Some(Due::Kill)
            }
            State::Draining
                if front.is_some()
                    && worker.generation < self.generation
                    && over(limits.reset_timeout, worker.state_since) =>
            {
                let text = format!("it was still running after reset_timeout ({:?})", limits.reset_timeout);
                Some(Due::Condemn(ExecError::WorkerDied(text)))
            }
            _ => None,
        }
    }

    /// Tells the worker that its unit has run for too long, so that PHP can end it in order.
    fn interrupt(&mut self, slot: usize, now: Instant) {
        self.take_back(slot, 1);
        if let Some(worker) = self.worker(slot)
            && let Some(front) = worker.held.front_mut()
        {
            front.interrupted = Some(now);
            worker.process.interrupt(front.sequence, Interrupt::Timeout);
        }
        self.spread(now);
    }

    /// Gives units that wait behind a slow one to idle workers, or to whoever has answered next.
    fn rescue(&mut self, slot: usize, now: Instant) {
        let idle = self.pick_idle();
        let is_late = |worker: &mut Worker| now.saturating_duration_since(worker.front_since) > LATE;
        if idle.is_some() || self.worker(slot).is_some_and(is_late) {
            self.take_back(slot, 1);
        }
        if let Some(idle) = idle {
            self.refill(idle, now);
            self.spread(now);
        }
    }

    fn tick_queue(&mut self, now: Instant) {
        let limit = self.limits.allocate_timeout;
        while let Some(first) = self.queue.front() {
            let waited = now.saturating_duration_since(first.submitted);
            let wanted = first.state.lock().place == Place::Queued;
            if wanted && (limit.is_zero() || waited <= limit) {
                self.grow(waited, now);
                break;
            }
            if let Some(first) = self.queue.pop_front()
                && wanted
            {
                self.waiting -= 1;
                first.fail(ExecError::NoFreeWorker(limit));
            }
        }
    }

    /// POOL-09, better: workers are added once somebody has waited for `grow_after`.
    fn grow(&mut self, waited: Duration, now: Instant) {
        let Some(dynamic) = &self.limits.dynamic else { return };
        if waited < dynamic.grow_after {
            return;
        }
        self.last_shortage = now;
        if self.pending == 0 && self.count(|worker| worker.state.get() == State::Booting) == 0 {
            let step =
                dynamic.spawn_rate.min(dynamic.max_workers.saturating_sub(self.extra)).min(self.waiting);
            self.extra += step;
        }
    }

    /// See [`crate::Pool::remove_worker`].
    pub(crate) fn remove_worker(&mut self, now: Instant) {
        if self.limits.num_workers <= 1 {
            return;
        }
        let least = (0..self.workers.len())
            .filter_map(|slot| {
                let worker = self.workers[slot].as_ref()?;
                matches!(worker.state.get(), State::Ready | State::Working)
                    .then_some((worker.held.len(), slot))
            })
            .min();
        self.limits.num_workers -= 1;
        if let Some((_, slot)) = least {
            self.drain(slot, now);
            self.spread(now);
        }
    }

    /// The supervisor's round (POOL-06): replaces workers by age and idleness, lets extra ones go. Only workers
    /// between units are touched at once; the others leave after the one they run.
    pub(crate) fn supervise(&mut self, now: Instant) {
        let mut surplus = 0;
        if let Some(dynamic) = &self.limits.dynamic
            && self.extra > 0
            && now.saturating_duration_since(self.last_shortage) > dynamic.idle_timeout
        {
            surplus = std::mem::take(&mut self.extra);
        }
        let (ttl, idle_ttl) = (self.limits.ttl, self.limits.idle_ttl);
        // Workers that were born together do not leave together.
        let mut quota = (self.target() / 4).max(1);
        for slot in 0..self.workers.len() {
            let Some(worker) = self.workers[slot].as_ref() else { continue };
            let state = worker.state.get();
            let idle = now.saturating_duration_since(worker.idle_since);
            let old = !ttl.is_zero() && now.saturating_duration_since(worker.born) > ttl;
            let bored = !idle_ttl.is_zero() && state == State::Ready && worker.served > 0 && idle > idle_ttl;
            let spare = surplus > 0 && state == State::Ready;
            if !matches!(state, State::Ready | State::Working) || !(old || bored || spare) {
                continue;
            }
            if spare && !old && !bored {
                surplus -= 1;
            } else if quota == 0 {
                continue;
            } else {
                quota -= 1;
            }
            self.drain(slot, now);
        }
        // Busy extra workers go at a later round.
        if surplus > 0 {
            self.extra = surplus;
        }
        self.spread(now);
    }

    /// Workers that use too much memory: replaced now when idle, after their unit otherwise.
    pub(crate) fn over_memory(&mut self, ids: &[u64], now: Instant) {
        for slot in 0..self.workers.len() {
            let Some(worker) = self.worker(slot).filter(|worker| ids.contains(&worker.id)) else { continue };
            worker.over_memory = true;
            if worker.state.get() == State::Ready {
                self.drain(slot, now);
            }
        }
    }

    /// During a reload: has one worker of an old generation leave for each new one that is ready; all of them
    /// once the new ones are complete.
    pub(crate) fn retire_outdated(&mut self, now: Instant) {
        let generation = self.generation;
        let is_new = |worker: &Worker| worker.generation >= generation;
        let serves = |worker: &Worker| matches!(worker.state.get(), State::Ready | State::Working);
        let new = self.count(|worker| is_new(worker) && serves(worker));
        let mut old = self.count(|worker| !is_new(worker) && worker.state.get().is_alive());
        let keep = self.target().saturating_sub(new);
        for state in [State::Booting, State::Ready, State::Working] {
            for slot in 0..self.workers.len() {
                let outdated = self.workers[slot]
                    .as_ref()
                    .is_some_and(|worker| !is_new(worker) && worker.state.get() == state);
                if old > keep && outdated {
                    self.drain(slot, now);
                    old -= 1;
                }
            }
        }
        self.spread(now);
    }
}
