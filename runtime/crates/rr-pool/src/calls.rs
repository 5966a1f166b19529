//! What workers ask of the master on the call lane, and how an answer gets back to them.

use crate::BoxFuture;
use crate::pool::Pool;
use crate::replies::{Asked, Seen, push_answers};
use rr_channel::{Channel, Lane, Leases};
use rr_wire::rpc::{Call, MAX_BODY, ONE_WAY};
use rr_wire::{Bits, Flags, Header};
use std::sync::Arc;

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
    /// Where it can have leases of locks, if it can.
    pub leases: Option<Leases>,
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
    /// Handles one call, whose `codec` says how its argument is encoded: RAW is the method's own way. Must not block.
    fn call(&self, caller: &Caller, codec: Flags, method: &str, body: &[u8]) -> Answer;

    /// A unit is over, by its last reply. Told only of units that a worker had when it asked for something.
    fn unit_ended(&self, _pool: &Arc<str>, _worker: u64, _unit: u64) {}

    /// A worker's process is gone.
    fn worker_ended(&self, _pool: &Arc<str>, _worker: u64) {}
}

impl Pool {
    /// Passes calls on.
    pub(crate) fn handle(&self, slot: usize, seen: Seen) {
        for asked in seen.calls {
            let caller = Caller {
                pool: Arc::clone(&self.name),
                worker: asked.worker,
                generation: asked.generation,
                pid: asked.pid,
                units: asked.units.clone(),
                leases: asked.leases.clone(),
            };
            match self.calls.call(&caller, asked.codec, &asked.method, &asked.body) {
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
        for (worker, unit) in seen.ended {
            self.calls.unit_ended(&self.name, worker, unit);
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
        let text;
        let (body, failed) = match result {
            Ok(body) if body.len() > MAX_BODY => {
                text = format!(
                    "{}: an answer of {} bytes; the channel takes {MAX_BODY}",
                    asked.method,
                    body.len()
                );
                (text.as_bytes(), true)
            }
            Ok(body) => (&body[..], false),
            Err(text) => (text.as_bytes(), true),
        };
        let flags = if failed { asked.codec.with(Flags::ERROR) } else { asked.codec };
        let call = Call { sequence: asked.sequence, method: &asked.method, body, failed };
        let limit = worker.channel.max_payload(Lane::Call);
        if worker.answers.is_empty() && asked.method.len() + body.len() <= limit {
            let header = Header::new(flags, Bits::default(), &call.options(), 0);
            match worker.channel.send(Lane::Call, header, [asked.method.as_bytes(), body]) {
                Ok(true) => return worker.channel.flush(),
                Ok(false) => {}
                Err(error) => {
                    self.break_worker(&mut core, asked.slot, &error.to_string());
                    return;
                }
            }
        }
        // A worker waits for one answer at a time; one that has got another meanwhile does not read them.
        if !worker.answers.is_empty() {
            return self.break_worker(&mut core, asked.slot, "it does not read its answers");
        }
        let mut rest = body;
        let mut name = asked.method.as_bytes();
        loop {
            // Half of the ring, so that one piece is written while the other is read.
            let (piece, after) =
                rest.split_at(rest.len().min((limit / 2).max(1) - name.len().min(limit / 4)));
            let bits = if after.is_empty() { Bits::default() } else { Bits::STREAM };
            let part = Call { sequence: asked.sequence, method: "", body: piece, failed };
            let options = if name.is_empty() { part.options() } else { call.options() };
            worker.answers.push_back((Header::new(flags, bits, &options, 0), [name, piece].concat()));
            (rest, name) = (after, b"");
            if rest.is_empty() {
                break;
            }
        }
        if let Err(error) = push_answers(worker) {
            self.break_worker(&mut core, asked.slot, &error);
        }
    }
}
