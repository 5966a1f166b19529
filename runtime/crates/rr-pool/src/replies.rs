//! What workers write: checked here, once, before anything believes it.

use crate::core::{Asking, Core, Worker};
use crate::unit::{Place, REPLY_FRAMES, ReplyFrame};
use crate::{ExecError, State};
use bytes::Bytes;
use rr_channel::{Channel, Frame, Lane, Leases};
use rr_wire::relay::STOP;
use rr_wire::rpc::{Call, MAX_BODY, ONE_WAY};
use rr_wire::{Bits, Flags};
use std::time::Instant;

/// Calls a worker can make in one look before the others get theirs.
const CALLS_AT_ONCE: usize = 64;
/// How often a unit is given to another worker because one has asked to be replaced instead.
const RETURNS: u32 = 16;

/// A call on the call lane.
#[derive(Debug)]
pub(crate) struct Asked {
    pub slot: usize,
    pub worker: u64,
    pub generation: u32,
    pub pid: u32,
    /// Sequences and numbers of the units it can speak of.
    pub units: Vec<(u32, u64)>,
    pub leases: Option<Leases>,
    pub sequence: u32,
    /// How the argument is encoded, and the result will be.
    pub codec: Flags,
    pub method: String,
    pub body: Vec<u8>,
}

/// What a look at a worker's rings has brought.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub calls: Vec<Asked>,
    /// Workers, and units of theirs that are over; see [`crate::Calls::unit_ended`].
    pub ended: Vec<(u64, u64)>,
    /// The worker said hello.
    pub ready: bool,
    /// It was condemned, or leaves.
    pub capacity_changed: bool,
    /// There are calls left.
    pub again: bool,
}

/// Sends what there is room for of answers that are on their way.
pub(crate) fn push_answers(worker: &mut Worker) -> Result<(), String> {
    let mut sent = false;
    while let Some((header, payload)) = worker.answers.front() {
        match worker.channel.send(Lane::Call, *header, [payload, b""]) {
            Ok(true) => sent = true,
            // It makes the channel ready when there is room.
            Ok(false) => break,
            Err(error) => return Err(error.to_string()),
        }
        worker.answers.pop_front();
    }
    if sent {
        worker.channel.flush();
    }
    Ok(())
}

/// Adds a frame to the call that it belongs to; gives the call once it is whole.
fn gather(asking: &mut Option<Asking>, frame: &Frame) -> Result<Option<Asking>, String> {
    let call = Call::parse(&frame.header, &frame.payload).map_err(|error| error.to_string())?;
    let mut whole = match asking.take() {
        None => Asking {
            sequence: call.sequence,
            codec: frame.header.flags,
            method: call.method.to_owned(),
            body: Vec::new(),
        },
        Some(before) if before.sequence == call.sequence && call.method.is_empty() => before,
        Some(before) => return Err(format!("call {} inside of call {}", call.sequence, before.sequence)),
    };
    if whole.body.len() + call.body.len() > MAX_BODY {
        return Err(format!("{}: an argument of more than {MAX_BODY} bytes", whole.method));
    }
    whole.body.extend_from_slice(call.body);
    if frame.header.bits.has(Bits::STREAM) {
        *asking = Some(whole);
        return Ok(None);
    }
    Ok(Some(whole))
}

impl Core {
    /// Takes what the worker in `slot` has published.
    pub(crate) fn readable(&mut self, slot: usize, now: Instant) -> Seen {
        let mut seen = Seen::default();
        let Some(worker) = self.worker(slot) else { return seen };
        if worker.state.get() == State::Dead {
            return seen;
        }
        if let Some(held) = worker.held.iter().find(|held| held.body_open) {
            held.unit.wake_writer();
        }
        let pushed = self.worker(slot).map_or(Ok(()), push_answers);
        if let Err(error) = pushed.and_then(|()| self.take_frames(slot, now, &mut seen)) {
            self.condemn(slot, &ExecError::Protocol(error), now);
            seen.capacity_changed = true;
        }
        // It was full and has room now.
        if self.worker(slot).is_some_and(|worker| std::mem::take(&mut worker.full)) {
            self.refill(slot, now);
        }
        seen
    }

    fn take_frames(&mut self, slot: usize, now: Instant, seen: &mut Seen) -> Result<(), String> {
        let mut taken = false;
        while let Some(worker) = self.worker(slot) {
            if seen.calls.len() >= CALLS_AT_ONCE && !worker.gone {
                seen.again = true;
                break;
            }
            let Some(frame) = worker.channel.receive(Lane::Call).map_err(|error| error.to_string())? else {
                break;
            };
            taken = true;
            let Some(whole) = gather(&mut worker.asking, &frame)? else { continue };
            if whole.sequence != ONE_WAY {
                worker.to_tell = worker.held.len();
            }
            seen.calls.push(Asked {
                slot,
                worker: worker.id,
                generation: worker.generation,
                pid: worker.pid,
                units: worker
                    .held
                    .iter()
                    .map(|held| (held.sequence, held.unit.id))
                    .chain([worker.last])
                    .collect(),
                leases: worker.channel.leases(),
                sequence: whole.sequence,
                codec: whole.codec,
                method: whole.method,
                body: whole.body,
            });
        }
        while let Some(worker) = self.worker(slot) {
            // Of a worker that is gone everything is taken: no more than its ring can come.
            if let Some(front) = worker.held.front().filter(|front| front.cancelled.is_none() && !worker.gone)
            {
                let mut state = front.unit.state.lock();
                if state.frames.len() >= REPLY_FRAMES {
                    state.paused = true;
                    break;
                }
            }
            let Some(frame) = worker.channel.receive(Lane::Work).map_err(|error| error.to_string())? else {
                break;
            };
            taken = true;
            self.take_frame(slot, frame, now, seen)?;
        }
        if taken && let Some(worker) = self.worker(slot) {
            worker.channel.freed();
        }
        Ok(())
    }

    fn take_frame(&mut self, slot: usize, frame: Frame, now: Instant, seen: &mut Seen) -> Result<(), String> {
        let ttl = self.limits.exec_ttl;
        let Some(worker) = self.worker(slot) else { return Ok(()) };
        let flags = frame.header.flags;
        if flags.has(Flags::CONTROL) {
            if worker.greeted && frame.payload == STOP {
                return self.replace(slot, now, seen);
            }
            let hello = format!("{{\"pid\":{}}}", worker.pid);
            if worker.greeted || frame.payload != hello.as_bytes() {
                return Err("a control frame out of place".to_owned());
            }
            worker.greeted = true;
            if worker.state.get() != State::Booting {
                return Ok(());
            }
            worker.advance(State::Ready, now);
            worker.idle_since = now;
            self.failures = 0;
            self.not_before = None;
            seen.ready = true;
            self.refill(slot, now);
            return Ok(());
        }
        let &[context, sequence, micros] = frame.header.options() else {
            return Err(format!("a reply with {} options", frame.header.options().len()));
        };
        let Some(front) = worker.held.front_mut() else {
            return Err(format!("a reply to unit {sequence}, which it was not given"));
        };
        if front.sequence != sequence {
            return Err(format!("a reply to unit {sequence} instead of {}", front.sequence));
        }
        let context = context as usize;
        if context > frame.payload.len() {
            return Err(format!("a context of {context} bytes in a reply of {}", frame.payload.len()));
        }
        let more = frame.header.bits.has(Bits::STREAM);
        if more && flags.has(Flags::ERROR) {
            return Err("an error that goes on".to_owned());
        }
        front.streaming = more;
        let done = more && frame.header.bits.has(Bits::STOP);
        if front.cancelled.is_none() && !front.finished {
            if flags.has(Flags::ERROR) {
                front.unit.fail(match front.interrupted {
                    // What came of it is what was to come of it.
                    Some(_) => ExecError::ExecTtl(ttl),
                    None => ExecError::Soft(String::from_utf8_lossy(&frame.payload).into_owned()),
                });
            } else {
                let mut payload = Bytes::from(frame.payload);
                let head = payload.split_to(context);
                front.unit.deliver(ReplyFrame {
                    codec: flags,
                    context: head,
                    body: payload,
                    more: more && !done,
                });
                front.finished = done;
            }
        }
        if more {
            // WRK-09: exec_ttl counts per frame of a stream.
            worker.front_since = now;
        } else {
            self.finish_front(slot, micros, now, seen);
        }
        Ok(())
    }

    /// WRK-06: the worker wants to be replaced. A unit that it has gets another worker.
    fn replace(&mut self, slot: usize, now: Instant, seen: &mut Seen) -> Result<(), String> {
        let Some(worker) = self.worker(slot) else { return Ok(()) };
        if worker.held.front().is_some_and(|front| front.streaming) {
            return Err("it asked to be replaced inside of a reply".to_owned());
        }
        let returned = worker.held.pop_front();
        worker.front_changed(now);
        if let Some(held) = returned.as_ref().filter(|held| held.cancelled.is_some()) {
            held.unit.abandon();
        } else if let Some(held) = returned {
            let tries = {
                let mut state = held.unit.state.lock();
                state.returned += 1;
                state.returned
            };
            if held.body_sent || tries > RETURNS {
                held.unit.fail(ExecError::Returned(tries));
            } else {
                held.unit.state.lock().place = Place::Queued;
                self.queue.push_front(held.unit);
                self.waiting += 1;
            }
        }
        self.drain(slot, now);
        self.spread(now);
        seen.capacity_changed = true;
        Ok(())
    }

    fn finish_front(&mut self, slot: usize, micros: u32, now: Instant, seen: &mut Seen) {
        let Some(worker) = self.worker(slot) else { return };
        if let Some(held) = worker.held.pop_front() {
            worker.last = (held.sequence, held.unit.id);
            if held.cancelled.is_some() {
                // The rest of its body may still be on its way.
                held.unit.abandon();
            }
            if worker.to_tell > 0 {
                worker.to_tell -= 1;
                seen.ended.push((worker.id, held.unit.id));
            }
        }
        worker.front_changed(now);
        worker.served += 1;
        worker.measured(micros);
        if worker.served >= worker.jobs || worker.over_memory || worker.state.get() == State::Draining {
            self.drain(slot, now);
            // Units it had started to read stay with it; those taken back go to others.
            self.spread(now);
            seen.capacity_changed = true;
        } else {
            self.refill(slot, now);
        }
    }
}
