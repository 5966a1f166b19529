//! The methods: RoadRunner's over RPC (R-50…55), whose locks stay until they are released or expire, and those of
//! workers, whose locks end with the request or the worker.

use crate::{Acquired, Grant, LONGEST, Limits, Locks, Micros, Owner, Request, SHORTEST_WAIT};
use parking_lot::Mutex;
use rr_pool::{Answer, Caller};
use rr_rpc::message::lock::{Request as Message, Response};
use rr_rpc::{Ends, Proto, Registry, Reply, Service};
use rr_wire::lock as wire;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// R-50, with RoadRunner's text.
const NO_ID: &str = "empty ID is not allowed";

/// Adds the service `lock`.
pub fn register(config: &rr_config::Lock, registry: &mut Registry) {
    let limits = Limits { locks: config.max_locks, waiters: config.max_waiters, ..Limits::default() };
    // Fencing goes on across a restart: there are fewer tokens than nanoseconds.
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |age| age.as_nanos());
    let locks = Locks::new(limits, u64::try_from(nanos).unwrap_or(1));
    let desk = Arc::new(Desk { locks, keep: config.keep_until_ttl, pools: Mutex::default() });
    registry.add(desk.service());
    registry.tell(desk);
}

struct Desk {
    locks: Locks,
    keep: bool,
    /// Names of pools, by number.
    pools: Mutex<Vec<Arc<str>>>,
}

impl Desk {
    fn service(self: &Arc<Self>) -> Service {
        let method = |run: fn(&Self, Message) -> Reply<Proto<Response>>| {
            let this = Arc::clone(self);
            move |Proto(message): Proto<Message>| run(&this, message)
        };
        let native = |run: fn(&Self, &Caller, &[u8]) -> Option<Answer>| {
            let this = Arc::clone(self);
            move |caller: &Caller, body: &[u8]| {
                let malformed = || Answer::Now(Err("lock: a body that is none of this method's".to_owned()));
                run(&this, caller, body).unwrap_or_else(malformed)
            }
        };
        Service::new("lock")
            .method("Lock", method(|this, message| this.lock(&message, false)))
            .method("LockRead", method(|this, message| this.lock(&message, true)))
            .method("Release", method(|this, message| this.by_id(&message, Locks::release)))
            .method("ForceRelease", method(|this, message| done(this.locks.force_release(&message.resource))))
            .method("Exists", method(|this, message| this.by_id(&message, Locks::exists)))
            .method(
                "UpdateTTL",
                method(|this, message| {
                    let ttl = ttl(message.ttl);
                    this.by_id(&message, |locks, resource, id| locks.update_ttl(resource, id, ttl))
                }),
            )
            .native("acquire", native(Self::acquire))
            .native(
                "release",
                native(|this, _, body| Some(flag(this.locks.release_token(wire::number(body)?)))),
            )
            .native(
                "refresh",
                native(|this, _, body| {
                    let (token, ttl) = wire::pair(body)?;
                    Some(flag(this.locks.refresh(token, or_longest(ttl))))
                }),
            )
            .native(
                "remaining",
                native(|this, _, body| {
                    let left = this.locks.remaining(wire::number(body)?);
                    Some(Answer::Now(Ok(left.map_or(Vec::new(), |left| left.to_le_bytes().to_vec()))))
                }),
            )
            .native("exists", native(|this, _, body| Some(flag(this.locks.exists(text(body)?, "*")))))
            .native("force", native(|this, _, body| Some(flag(this.locks.force_release(text(body)?)))))
    }

    ///
    fn lock(&self, message: &Message, shared: bool) -> Reply<Proto<Response>> {
        if message.id.is_empty() {
            return Reply::Now(Err(NO_ID.to_owned()));
        }
        let request = Request {
            resource: &message.resource,
            id: Some(&message.id),
            shared,
            ttl: ttl(message.ttl),
            wait: match message.wait {
                None | Some(0) => SHORTEST_WAIT,
                wait => span(wait),
            },
            owner: None,
            keep: true,
        };
        match self.locks.acquire(&request) {
            Ok(Acquired::Now(_)) => done(true),
            Ok(Acquired::No) => done(false),
            Ok(Acquired::Later(pending)) => {
                let Message { resource, id, .. } = message;
                tracing::debug!(target: "lock", resource, id, "a client waits for a lock");
                Reply::later(async { Ok(response(pending.await.is_some())) })
            }
            Err(error) => Reply::Now(Err(error.to_string())),
        }
    }

    fn by_id(&self, message: &Message, run: impl Fn(&Locks, &str, &str) -> bool) -> Reply<Proto<Response>> {
        if message.id.is_empty() {
            return Reply::Now(Err(NO_ID.to_owned()));
        }
        done(run(&self.locks, &message.resource, &message.id))
    }

    fn acquire(&self, caller: &Caller, body: &[u8]) -> Option<Answer> {
        let wire::Acquire { unit, shared, ttl, wait, name } = wire::Acquire::parse(body)?;
        let owner =
            Owner { pool: self.number(&caller.pool), worker: caller.worker, unit: caller.unit_of(unit) };
        // Its last reply may be read after what the worker asks next.
        self.locks.end_before(owner);
        let (ttl, keep) = (or_longest(ttl), self.keep);
        let request = Request { resource: name, id: None, shared, ttl, wait, owner: Some(owner), keep };
        Some(match self.locks.acquire_or_lease(&request, caller.leases.as_ref()) {
            Ok((Acquired::Now(grant), lease)) => Answer::Now(obtained(Some(grant), lease)),
            Ok((Acquired::No, _)) => Answer::Now(obtained(None, None)),
            Ok((Acquired::Later(pending), _)) => {
                tracing::debug!(target: "lock", resource = name, pid = caller.pid, "a worker waits for a lock");
                Answer::Later(Box::pin(async { obtained(pending.await, None) }))
            }
            Err(error) => Answer::Now(Err(error.to_string())),
        })
    }

    fn number(&self, name: &Arc<str>) -> u32 {
        let mut pools = self.pools.lock();
        let at = pools.iter().position(|known| known == name).unwrap_or_else(|| {
            pools.push(Arc::clone(name));
            pools.len() - 1
        });
        u32::try_from(at).unwrap_or(u32::MAX)
    }
}

impl Ends for Desk {
    fn unit_ended(&self, pool: &Arc<str>, worker: u64, unit: u64) {
        self.locks.end_unit(Owner { pool: self.number(pool), worker, unit });
    }

    fn worker_ended(&self, pool: &Arc<str>, worker: u64) {
        let held = self.locks.end_worker(self.number(pool), worker);
        if held > 0 {
            tracing::debug!(target: "lock", pool = &**pool, worker, held, "locks of a worker that has ended are free");
        }
    }
}

fn response(ok: bool) -> Proto<Response> {
    Proto(Response { ok })
}

fn done(ok: bool) -> Reply<Proto<Response>> {
    Reply::Now(Ok(response(ok)))
}

fn flag(held: bool) -> Answer {
    Answer::Now(Ok(vec![u8::from(held)]))
}

fn obtained(grant: Option<Grant>, lease: Option<wire::Lease>) -> Result<Vec<u8>, String> {
    Ok(grant.map_or(Vec::new(), |Grant { token, .. }| wire::Obtained { token, lease }.encode()))
}

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

/// What is negative is over at once.
fn span(micros: Option<i64>) -> Micros {
    micros.map_or(0, |micros| Micros::try_from(micros).unwrap_or(0))
}

/// LK-01.
fn ttl(micros: Option<i64>) -> Micros {
    match micros {
        None | Some(0) => LONGEST,
        micros => span(micros),
    }
}

const fn or_longest(ttl: Micros) -> Micros {
    if ttl == 0 { LONGEST } else { ttl }
}
