//! Driver `etcd`: a key for each lock and each request that waits, on a lease. Who reads a resource's keys decides what
//! they allow, and writes only if none of them has been written since; that some have gone makes nothing forbidden.

mod client;
mod message;
mod rules;

pub use client::Settings;

use crate::Micros;
use crate::foreign::{Attempt, Attempted, Backend, Failure, Hub, Which};
use client::Client;
use message::{
    Compare, DELETE, DeleteRangeRequest, DeleteRangeResponse, Event, LESS, MOD, Nothing, Op, PutRequest,
    RangeRequest, RangeResponse, RequestOp, TxnRequest, TxnResponse, WatchRequest, WatchResponse,
};
use rr_pool::BoxFuture;
use rules::{Entry, Verdict};
use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};
use tonic::Streaming;
use tonic::transport::Endpoint;

/// Times that another writer may be faster.
const TRIES: usize = 100;

/// Locks on etcd servers.
#[derive(Debug, Clone)]
pub struct EtcdLocks(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    endpoints: Vec<Endpoint>,
    settings: Settings,
    client: OnceLock<Client>,
}

/// etcd counts leases in seconds, and has none shorter than its election takes.
fn seconds(micros: Micros) -> i64 {
    // etcd takes no longer ones.
    i64::try_from(micros.div_ceil(1_000_000)).unwrap_or(i64::MAX).clamp(1, 9_000_000_000)
}

/// What comes after all keys that begin with this one.
fn end(mut key: Vec<u8>) -> Vec<u8> {
    while let Some(last) = key.pop() {
        if last < 0xff {
            key.push(last + 1);
            return key;
        }
    }
    vec![0]
}

impl EtcdLocks {
    /// Locks on these servers.
    ///
    /// # Errors
    /// The text of what is wrong with the settings.
    pub fn new(settings: Settings) -> Result<Self, String> {
        let endpoints = client::endpoints(&settings)?;
        Ok(Self(Arc::new(Shared { endpoints, settings, client: OnceLock::new() })))
    }

    /// On the runtime of the first call.
    fn client(&self) -> &Client {
        self.0.client.get_or_init(|| Client::new(self.0.endpoints.clone(), &self.0.settings))
    }

    /// What the keys of a resource begin with.
    fn base(&self, resource: &str) -> String {
        let resource = resource.replace('%', "%25").replace('/', "%2F");
        format!("{}{resource}/", self.0.settings.prefix)
    }

    /// A resource's entries, and the revision at which they were so.
    async fn entries(&self, base: &str) -> Result<(Vec<Entry>, i64), Failure> {
        let key = base.as_bytes().to_vec();
        let range = RangeRequest { range_end: end(key.clone()), key };
        let found: RangeResponse = self.client().call("/etcdserverpb.KV/Range", range).await?;
        let revision = found.header.map_or(0, |header| header.revision);
        Ok((found.kvs.iter().filter_map(|kv| Entry::read(kv, base)).collect(), revision))
    }

    async fn attempt(self, attempt: Attempt) -> Result<Attempted, Failure> {
        let base = self.base(&attempt.resource);
        let mut lease = 0;
        let deadline = self.client().deadline();
        let attempted = loop {
            match self.decide(&attempt, &base, &mut lease).await {
                // What has become of it is read from another member, and what was done is not done again.
                Err(failure) if self.client().others_may_know(&failure, deadline) => {}
                attempted => break attempted,
            }
        };
        // Taken for a lock that did not come of it.
        if !matches!(attempted, Ok(Attempted::Granted(_))) {
            self.client().revoke(lease).await;
        }
        attempted
    }

    async fn decide(&self, attempt: &Attempt, base: &str, lease: &mut i64) -> Result<Attempted, Failure> {
        let mut queued = attempt.stay == 0;
        for _ in 0..TRIES {
            let (entries, revision) = self.entries(base).await?;
            let verdict = rules::decide(&entries, attempt);
            let replaced = match verdict {
                Verdict::Held(token) => return Ok(Attempted::Granted(token)),
                Verdict::Taken if queued => return Ok(Attempted::Taken(None)),
                Verdict::Taken => {
                    // And looks once more: it may have become free before there was anybody to tell.
                    self.queue(attempt, base, &entries).await?;
                    queued = true;
                    continue;
                }
                Verdict::Free(replaced) => replaced,
            };
            if *lease == 0 {
                *lease = self.client().grant(seconds(attempt.ttl)).await?;
            }
            let put = PutRequest {
                key: format!("{base}{}", attempt.ticket).into_bytes(),
                value: Entry::value(true, attempt.shared, attempt.id.as_deref()),
                lease: *lease,
            };
            let key = base.as_bytes().to_vec();
            let unchanged = Compare {
                result: LESS,
                target: MOD,
                range_end: end(key.clone()),
                key,
                mod_revision: Some(revision + 1),
            };
            let gone = replaced.iter().map(|ticket| {
                Op::Delete(DeleteRangeRequest { key: format!("{base}{ticket}").into_bytes(), prev_kv: false })
            });
            let success = std::iter::once(Op::Put(put)).chain(gone).map(|op| RequestOp { op: Some(op) });
            let txn = TxnRequest { compare: vec![unchanged], success: success.collect() };
            let done: TxnResponse = self.client().call("/etcdserverpb.KV/Txn", txn).await?;
            if done.succeeded {
                let own = entries.iter().find(|entry| *entry.ticket == *attempt.ticket);
                let left = own.into_iter().chain(entries.iter().filter(|it| replaced.contains(&it.ticket)));
                for entry in left {
                    self.client().revoke(entry.lease).await;
                }
                let token = done.header.map_or(0, |header| header.revision);
                return Ok(Attempted::Granted(u64::try_from(token).unwrap_or(0)));
            }
        }
        Err(self.client().failed(format!("a lock changed {TRIES} times while it was to be taken"), false))
    }

    /// Takes a place in the queue, or keeps it.
    async fn queue(&self, attempt: &Attempt, base: &str, entries: &[Entry]) -> Result<(), Failure> {
        if let Some(own) = entries.iter().find(|entry| *entry.ticket == *attempt.ticket)
            && self.client().keep_alive(own.lease).await?
        {
            return Ok(());
        }
        let lease = self.client().grant(seconds(attempt.stay)).await?;
        let key = format!("{base}{}", attempt.ticket).into_bytes();
        let value = Entry::value(false, attempt.shared, attempt.id.as_deref());
        self.client().call::<_, Nothing>("/etcdserverpb.KV/Put", PutRequest { key, value, lease }).await?;
        Ok(())
    }

    async fn release(self, resource: Arc<str>, which: Which) -> Result<bool, Failure> {
        let (base, deadline) = (self.base(&resource), self.client().deadline());
        let mut may_be_done = false;
        loop {
            match self.remove(&base, &which).await {
                Err(failure) if self.client().others_may_know(&failure, deadline) => may_be_done = true,
                removed => return removed.map(|removed| removed || may_be_done),
            }
        }
    }

    async fn remove(&self, base: &str, which: &Which) -> Result<bool, Failure> {
        let tickets: Vec<String> = match which {
            Which::Ticket(ticket) => vec![ticket.to_string()],
            which => {
                let (entries, _) = self.entries(base).await?;
                let mut held: Vec<&Entry> = rules::matching(&entries, which).collect();
                if matches!(which, Which::Id(_)) {
                    held = held.into_iter().max_by_key(|entry| entry.place).into_iter().collect();
                }
                held.into_iter().map(|entry| entry.ticket.clone()).collect()
            }
        };
        let mut released = false;
        for ticket in tickets {
            let delete = DeleteRangeRequest { key: format!("{base}{ticket}").into_bytes(), prev_kv: true };
            let deleted: DeleteRangeResponse =
                self.client().call("/etcdserverpb.KV/DeleteRange", delete).await?;
            for kv in &deleted.prev_kvs {
                released |= Entry::read(kv, base).is_some_and(|entry| entry.held);
                self.client().revoke(kv.lease).await;
            }
        }
        Ok(released)
    }

    async fn extend(self, resource: Arc<str>, which: Which, ttl: Micros) -> Result<bool, Failure> {
        let (base, deadline) = (self.base(&resource), self.client().deadline());
        loop {
            match self.prolong(&base, &which, ttl).await {
                Err(failure) if self.client().others_may_know(&failure, deadline) => {}
                prolonged => return prolonged,
            }
        }
    }

    async fn prolong(&self, base: &str, which: &Which, ttl: Micros) -> Result<bool, Failure> {
        let mut extended = false;
        for _ in 0..TRIES {
            let (entries, _) = self.entries(base).await?;
            extended = false;
            let mut changed = false;
            for entry in rules::matching(&entries, which) {
                // The shortest that etcd has may be a second more.
                let (wanted, granted) = (seconds(ttl), self.client().left(entry.lease).await?.granted);
                if granted == wanted || granted == wanted + 1 {
                    extended |= self.client().keep_alive(entry.lease).await?;
                    continue;
                }
                let lease = self.client().grant(seconds(ttl)).await?;
                let key = format!("{base}{}", entry.ticket).into_bytes();
                let value = Entry::value(true, entry.shared, Some(&entry.id));
                // As long as it is what was read: it may have ended.
                let same = Compare {
                    result: 0,
                    target: MOD,
                    key: key.clone(),
                    mod_revision: Some(entry.changed),
                    range_end: Vec::new(),
                };
                let put = RequestOp { op: Some(Op::Put(PutRequest { key, value, lease })) };
                let txn = TxnRequest { compare: vec![same], success: vec![put] };
                let done: TxnResponse = self.client().call("/etcdserverpb.KV/Txn", txn).await?;
                self.client().revoke(if done.succeeded { entry.lease } else { lease }).await;
                extended |= done.succeeded;
                changed |= !done.succeeded;
            }
            if !changed {
                break;
            }
        }
        Ok(extended)
    }

    async fn remaining(self, resource: Arc<str>, which: Which) -> Result<Option<Micros>, Failure> {
        let (base, deadline) = (self.base(&resource), self.client().deadline());
        loop {
            match self.longest(&base, &which).await {
                Err(failure) if self.client().others_may_know(&failure, deadline) => {}
                longest => return longest,
            }
        }
    }

    async fn longest(&self, base: &str, which: &Which) -> Result<Option<Micros>, Failure> {
        let (entries, _) = self.entries(base).await?;
        let mut most = None;
        for entry in rules::matching(&entries, which) {
            let left = self.client().left(entry.lease).await?.ttl;
            if left >= 0 {
                most = most.max(Some(u64::try_from(left).unwrap_or(0).saturating_mul(1_000_000)));
            }
        }
        Ok(most)
    }

    async fn listen(self, hub: Arc<Hub>) -> Result<(), Failure> {
        let key = self.0.settings.prefix.as_bytes().to_vec();
        let create = RangeRequest { range_end: end(key.clone()), key };
        let request = WatchRequest { create: Some(create) };
        let mut answers: Streaming<WatchResponse> =
            self.client().stream("/etcdserverpb.Watch/Watch", request).await?;
        loop {
            let answer = answers.message().await;
            let Some(answer) = answer.map_err(|status| self.client().failed(status, false))? else {
                return Ok(());
            };
            if answer.canceled {
                return Err(self.client().failed(answer.cancel_reason, false));
            }
            if answer.created {
                hub.wake_all();
            }
            // What has gone may be free; a reader may let the next one in.
            let opens = |event: &Event| {
                event.kind == DELETE || event.kv.as_ref().is_some_and(|kv| kv.value.starts_with(b"hs"))
            };
            let keys = answer.events.into_iter().filter(opens).filter_map(|event| event.kv).map(|kv| kv.key);
            let base = |key: Vec<u8>| {
                let key = String::from_utf8(key).ok()?;
                Some(key[..=key.rfind('/')?].to_owned())
            };
            let bases: BTreeSet<String> = keys.filter_map(base).collect();
            if hub.is_empty() {
                continue;
            }
            for base in bases {
                let (entries, _) = self.entries(&base).await?;
                if let Some(next) = rules::first(&entries) {
                    hub.wake(&next.ticket);
                }
            }
        }
    }
}

impl Backend for EtcdLocks {
    fn attempt(&self, attempt: &Attempt) -> BoxFuture<Result<Attempted, Failure>> {
        Box::pin(self.clone().attempt(attempt.clone()))
    }

    fn release(&self, resource: &Arc<str>, which: Which) -> BoxFuture<Result<bool, Failure>> {
        Box::pin(self.clone().release(Arc::clone(resource), which))
    }

    fn extend(&self, resource: &Arc<str>, which: Which, ttl: Micros) -> BoxFuture<Result<bool, Failure>> {
        Box::pin(self.clone().extend(Arc::clone(resource), which, ttl))
    }

    fn remaining(&self, resource: &Arc<str>, which: Which) -> BoxFuture<Result<Option<Micros>, Failure>> {
        Box::pin(self.clone().remaining(Arc::clone(resource), which))
    }

    fn listen(&self, hub: Arc<Hub>) -> BoxFuture<Failure> {
        let this = self.clone();
        Box::pin(async move {
            let failed = this.clone().listen(hub).await.err();
            failed.unwrap_or_else(|| this.client().failed("the watch has ended", false))
        })
    }
}
