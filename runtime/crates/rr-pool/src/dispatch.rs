//! Who gets a unit: a fast worker that is awake, an idle one, or the queue.

use crate::core::{Core, Held, Worker};
use crate::unit::{Place, Unit};
use crate::{ExecError, State};
use rr_channel::{Channel, Lane};
use rr_wire::{Bits, Flags, Header};
use std::sync::Arc;
use std::time::Instant;

impl Core {
    /// Takes a unit in.
    ///
    /// # Errors
    /// There is no room for it.
    pub(crate) fn submit(&mut self, unit: Arc<Unit>, now: Instant) -> Result<(), ExecError> {
        if !self.accepting {
            return Err(ExecError::Stopped);
        }
        while self.waiting == 0
            && let Some(slot) = self.pick()
        {
            if self.give(slot, &unit, now) {
                return Ok(());
            }
        }
        let limited = self.limits.max_queue_size > 0 && !self.limits.debug;
        if limited && self.waiting >= self.limits.max_queue_size {
            return Err(ExecError::QueueFull(self.waiting));
        }
        self.queue.push_back(unit);
        self.waiting += 1;
        Ok(())
    }

    /// A worker for one more unit.
    fn pick(&mut self) -> Option<usize> {
        let prefetch = self.limits.prefetch;
        while let Some(slot) = self.fast.pop() {
            if let Some(worker) = self.worker(slot) {
                worker.in_fast = false;
                if worker.state.get() == State::Working && !worker.full && worker.has_room(prefetch) {
                    return Some(slot);
                }
            }
        }
        self.pick_idle()
    }

    pub(crate) fn pick_idle(&mut self) -> Option<usize> {
        while let Some(slot) = self.idle.pop() {
            if let Some(worker) = self.worker(slot) {
                worker.in_idle = false;
                if worker.state.get() == State::Ready && !worker.full {
                    return Some(slot);
                }
            }
        }
        None
    }

    /// Hands a unit to a worker; `false` when that cannot take it.
    fn give(&mut self, slot: usize, unit: &Arc<Unit>, now: Instant) -> bool {
        let prefetch = self.limits.prefetch;
        let Some(worker) = self.worker(slot) else { return false };
        // Counted once it is sent: claims of units that are held must not be reused by tries that fail.
        let (sequence, request) = (worker.sequence.wrapping_add(1).max(1), &unit.request);
        let bits = if request.more { Bits::STREAM } else { Bits::default() };
        let context = u32::try_from(request.context.len()).unwrap_or(u32::MAX);
        let options = [context, sequence, request.length.unwrap_or_default()];
        let options = if request.length.is_some() { &options[..] } else { &options[..2] };
        let codec = if request.codec == Flags::default() { Flags::RAW } else { request.codec };
        let header = Header::new(codec, bits, options, 0);
        worker.channel.offer(sequence);
        match worker.channel.send(Lane::Work, header, [&request.context, &request.body]) {
            Ok(true) => worker.sequence = sequence,
            Ok(false) => {
                worker.full = true;
                return false;
            }
            Err(error) => {
                self.condemn(slot, &ExecError::Protocol(error.to_string()), now);
                return false;
            }
        }
        if worker.held.is_empty() {
            worker.front_since = now;
            worker.advance(State::Working, now);
        }
        worker.held.push_back(Held {
            sequence,
            unit: Arc::clone(unit),
            body_open: request.more,
            body_sent: false,
            cancelled: None,
            finished: false,
            streaming: false,
            interrupted: None,
        });
        let (id, pid) = (worker.id, worker.pid);
        let (more, behind) = (worker.has_room(prefetch), worker.held.len() > 1);
        if !std::mem::replace(&mut worker.dirty, true) {
            self.dirty.push(slot);
        }
        {
            let mut state = unit.state.lock();
            state.place = Place::At { slot, worker: id, sequence };
            state.pid = pid;
            if let Some(writer) = state.writer.take() {
                writer.wake();
            }
        }
        self.prefetched |= behind;
        self.lent |= behind && !more;
        if more {
            self.list_fast(slot);
        }
        true
    }

    fn list_fast(&mut self, slot: usize) {
        if let Some(worker) = self.worker(slot)
            && !std::mem::replace(&mut worker.in_fast, true)
        {
            self.fast.push(slot);
        }
    }

    /// Gives a worker what waits, as much as it may hold; lists it where it is found again.
    pub(crate) fn refill(&mut self, slot: usize, now: Instant) {
        let (prefetch, share) = (self.limits.prefetch, self.waiting / self.workers.len().max(1));
        let can_take = |worker: &mut Worker| {
            matches!(worker.state.get(), State::Ready | State::Working)
                && !worker.full
                && worker.has_room_for_waiting(prefetch, share)
        };
        if self.waiting == 0 && self.lent && self.worker(slot).is_some_and(|worker| worker.held.is_empty()) {
            self.reclaim();
        }
        while self.waiting > 0 && self.worker(slot).is_some_and(can_take) {
            let Some(unit) = self.next_waiting() else { break };
            if !self.give(slot, &unit, now) {
                self.queue.push_front(unit);
                self.waiting += 1;
                break;
            }
        }
        let Some(worker) = self.worker(slot) else { return };
        match worker.state.get() {
            State::Working if worker.held.is_empty() => {
                worker.advance(State::Ready, now);
                worker.idle_since = now;
                if !worker.full {
                    self.list_idle(slot);
                }
            }
            State::Working if worker.is_fast() && worker.has_room(prefetch) => self.list_fast(slot),
            State::Ready if !worker.full => self.list_idle(slot),
            _ => {}
        }
    }

    /// Takes a unit back that waits behind one that is not fast, for a worker that has nothing to do.
    fn reclaim(&mut self) {
        let behind = |worker: &Worker| worker.held.len() > 1 && !worker.is_fast();
        for slot in 0..self.workers.len() {
            if self.workers[slot].as_ref().is_some_and(behind) {
                self.take_back(slot, 1);
                if self.waiting > 0 {
                    return;
                }
            }
        }
        self.lent = false;
    }

    fn list_idle(&mut self, slot: usize) {
        if let Some(worker) = self.worker(slot)
            && !std::mem::replace(&mut worker.in_idle, true)
        {
            self.idle.push(slot);
        }
    }

    /// The unit that has waited longest and is still wanted.
    fn next_waiting(&mut self) -> Option<Arc<Unit>> {
        while let Some(unit) = self.queue.pop_front() {
            if unit.state.lock().place == Place::Queued {
                self.waiting -= 1;
                return Some(unit);
            }
        }
        None
    }

    /// Gives waiting units to idle workers.
    pub(crate) fn spread(&mut self, now: Instant) {
        while self.waiting > 0 {
            let Some(slot) = self.pick_idle() else { break };
            self.refill(slot, now);
        }
    }

    /// Nobody waits for `unit` any more.
    pub(crate) fn cancel(&mut self, unit: &Arc<Unit>, now: Instant) {
        let place = unit.state.lock().place;
        if let Place::At { slot, worker, sequence } = place
            && !self.cancel_held(slot, worker, sequence, now)
        {
            return;
        }
        unit.abandon();
        if place == Place::Queued {
            self.waiting -= 1;
            // Clients that come and go while all workers are busy must not fill the memory.
            if self.queue.len() > 2 * self.waiting + 64 {
                self.queue.retain(|unit| unit.state.lock().place == Place::Queued);
            }
        }
    }

    /// `false`: its worker was told the length of its body, so it gets all of it before it is told.
    fn cancel_held(&mut self, slot: usize, id: u64, sequence: u32, now: Instant) -> bool {
        let Some(worker) = self.worker(slot).filter(|worker| worker.id == id) else { return true };
        let Some(index) = worker.held.iter().position(|held| held.sequence == sequence) else { return true };
        if worker.channel.revoke(sequence) {
            worker.held.remove(index);
            if index == 0 {
                worker.front_changed(now);
            }
            if worker.held.is_empty() && worker.state.get() == State::Draining {
                worker.send_stop(now);
            }
            self.refill(slot, now);
        } else {
            let held = &mut worker.held[index];
            held.cancelled = Some(now);
            if held.body_open && held.unit.request.length.is_some() {
                return false;
            }
            worker.tell_cancelled(sequence);
        }
        true
    }
}
