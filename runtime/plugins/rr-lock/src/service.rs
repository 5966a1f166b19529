//! The methods: RoadRunner's over RPC (R-50…55), whose locks stay until they are released or expire, and those of
//! workers, whose locks end with the request or the worker.

use crate::driver::{Done, Driver};
use crate::{Grant, LONGEST, Limits, Locks, Micros, Owner, Request, SHORTEST_WAIT};
use parking_lot::Mutex;
use rr_plugin::{Background, Drain};
use rr_pool::{Answer, BoxFuture, Caller};
use rr_rpc::message::lock::{Request as Message, Response};
use rr_rpc::{Ends, Proto, Registry, Reply, Service};
use rr_wire::lock as wire;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// R-50, with RoadRunner's text.
const NO_ID: &str = "empty ID is not allowed";

/// The bounds of the config.
#[must_use]
pub fn limits(config: &rr_config::Lock) -> Limits {
    Limits { locks: config.max_locks, waiters: config.max_waiters, ..Limits::default() }
}

/// The table in memory.
#[must_use]
pub fn memory(config: &rr_config::Lock) -> Arc<dyn Driver> {
    // Fencing goes on across a restart: there are fewer tokens than nanoseconds.
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |age| age.as_nanos());
    Arc::new(Locks::new(limits(config), u64::try_from(nanos).unwrap_or(1)))
}

/// Adds the service `lock`.
pub fn register(config: &rr_config::Lock, driver: Arc<dyn Driver>, registry: &mut Registry) {
    let desk = Arc::new(Desk { locks: driver, keep: config.keep_until_ttl, pools: Mutex::default() });
    registry.add(desk.service());
    registry.tell(desk);
}

/// Gives back at the end what ends with the server.
#[derive(Debug)]
pub struct LockPlugin(pub Arc<dyn Driver>);

impl Background for LockPlugin {
    fn name(&self) -> &'static str {
        "lock"
    }
    fn addresses(&self) -> Vec<String> {
        Vec::new()
    }
    fn serve(self: Box<Self>, mut drain: Drain) -> BoxFuture<()> {
        Box::pin(async move {
            drain.wait().await;
            self.0.finish().await;
        })
    }
}

struct Desk {
    locks: Arc<dyn Driver>,
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
            .method(
                "Release",
                method(|this, message| {
                    this.by_id(&message, |locks, resource, id| locks.release(resource, id))
                }),
            )
            .method("ForceRelease", method(|this, message| done(this.locks.force_release(&message.resource))))
            .method(
                "Exists",
                method(|this, message| {
                    this.by_id(&message, |locks, resource, id| locks.exists(resource, id))
                }),
            )
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
                    Some(answer(left.map(|left| left.map_or(Vec::new(), |left| left.to_le_bytes().to_vec()))))
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
        let acquired = self.locks.acquire(&request);
        if matches!(acquired, Done::Later(_)) {
            let Message { resource, id, .. } = message;
            tracing::debug!(target: "lock", resource, id, "a client waits for a lock");
        }
        done(acquired.map(|grant| grant.is_some()))
    }

    fn by_id(
        &self,
        message: &Message,
        run: impl Fn(&dyn Driver, &str, &str) -> Done<bool>,
    ) -> Reply<Proto<Response>> {
        if message.id.is_empty() {
            return Reply::Now(Err(NO_ID.to_owned()));
        }
        done(run(&*self.locks, &message.resource, &message.id))
    }

    fn acquire(&self, caller: &Caller, body: &[u8]) -> Option<Answer> {
        let wire::Acquire { unit, shared, ttl, wait, name } = wire::Acquire::parse(body)?;
        let owner =
            Owner { pool: self.number(&caller.pool), worker: caller.worker, unit: caller.unit_of(unit) };
        // Its last reply may be read after what the worker asks next.
        self.locks.end_before(owner);
        let (ttl, keep) = (or_longest(ttl), self.keep);
        let request = Request { resource: name, id: None, shared, ttl, wait, owner: Some(owner), keep };
        let acquired = self.locks.acquire_or_lease(&request, caller.leases.as_ref());
        if matches!(acquired, Done::Later(_)) {
            tracing::debug!(target: "lock", resource = name, pid = caller.pid, "a worker waits for a lock");
        }
        Some(answer(acquired.map(obtained)))
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

fn done(ok: Done<bool>) -> Reply<Proto<Response>> {
    match ok.map(|ok| Proto(Response { ok })) {
        Done::Now(result) => Reply::Now(result),
        Done::Later(future) => Reply::Later(future),
    }
}

fn answer(bytes: Done<Vec<u8>>) -> Answer {
    match bytes {
        Done::Now(result) => Answer::Now(result),
        Done::Later(future) => Answer::Later(future),
    }
}

fn flag(held: Done<bool>) -> Answer {
    answer(held.map(|held| vec![u8::from(held)]))
}

fn obtained(obtained: Option<(Grant, Option<wire::Lease>)>) -> Vec<u8> {
    obtained.map_or(Vec::new(), |(Grant { token, .. }, lease)| wire::Obtained { token, lease }.encode())
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
