//! The methods of RoadRunner's RPC (R-40…R-46), and the storages by name.

use crate::memory::Memory;
use crate::{KvError, native, php, when};
use rr_rpc::message::kv::{Item, Request, Response};
use rr_rpc::{Ends, Proto, Service};
use rr_wire::kv::kind;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The storages of the config, by name.
#[derive(Debug, Clone, Default)]
pub struct Storages {
    by_name: Arc<BTreeMap<String, Arc<Memory>>>,
}

/// A method's name in its errors, and the driver's.
struct Op(&'static str, &'static str);

impl Op {
    /// RP-08.
    fn error(&self, text: impl std::fmt::Display) -> String {
        format!("{}: {text}", self.0)
    }

    fn inner(&self, text: impl std::fmt::Display) -> String {
        format!("{}:\n\t{}: {text}", self.0, self.1)
    }
}

const HAS: Op = Op("rpc_has", "in_memory_plugin_has");
const SET: Op = Op("rpc_set", "in_memory_plugin_set");
const MGET: Op = Op("rpc_mget", "in_memory_plugin_mget");
const MEXPIRE: Op = Op("rpc_mexpire", "in_memory_plugin_mexpire");
const TTL: Op = Op("rpc_ttl", "in_memory_plugin_ttl");
// the typo is RoadRunner's.
const DELETE: Op = Op("rcp_delete", "in_memory_plugin_delete");
const CLEAR: Op = Op("rpc_clear", "in_memory_plugin_clear");

type Done = Result<Proto<Response>, String>;

impl Ends for Storages {
    fn unit_ended(&self, _: &Arc<str>, _: u64, _: u64) {}

    fn worker_ended(&self, _: &Arc<str>, worker: u64) {
        let now = Memory::now();
        self.by_name.values().for_each(|storage| storage.worker_gone(worker, now));
    }
}

fn items(items: impl Iterator<Item = Item>) -> Done {
    Ok(Proto(Response { items: items.collect() }))
}

impl Storages {
    /// From the storages.
    pub fn new(storages: impl IntoIterator<Item = (String, Arc<Memory>)>) -> Self {
        Self { by_name: Arc::new(storages.into_iter().collect()) }
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Arc<Memory>)> {
        self.by_name.iter().map(|(name, storage)| (name.as_str(), storage))
    }

    pub(crate) fn find(&self, name: &[u8]) -> Result<&Arc<Memory>, String> {
        let name = String::from_utf8_lossy(name);
        self.by_name.get(&*name).ok_or_else(|| format!("no such storage: {name}"))
    }

    fn of(&self, request: &Request, op: &Op) -> Result<&Arc<Memory>, String> {
        self.find(request.storage.as_bytes()).map_err(|error| op.error(error))
    }

    /// What workers and clients of the RPC call.
    #[must_use]
    pub fn service(&self) -> Service {
        let with = |run: fn(&Self, Request) -> Done| {
            let this = self.clone();
            move |Proto(request): Proto<Request>| run(&this, request)
        };
        let service = Service::new("kv")
            .method("Has", with(Self::has))
            .method("Set", with(Self::set))
            .method("MGet", with(Self::mget))
            .method("MExpire", with(Self::mexpire))
            .method("TTL", with(Self::ttl))
            .method("Delete", with(Self::delete))
            .method("Clear", with(Self::clear));
        native::add(service, self)
    }

    fn has(&self, request: Request) -> Done {
        if request.storage.is_empty() {
            return Err(HAS.error("no storage provided"));
        }
        let (storage, now) = (self.of(&request, &HAS)?, Memory::now());
        keys(&request, &HAS)?;
        let there = |item: &Item| storage.get(item.key.as_bytes(), now).is_some();
        let found = request.items.iter().filter(|item| there(item));
        items(found.map(|item| Item { key: item.key.clone(), ..Item::default() }))
    }

    fn set(&self, request: Request) -> Done {
        let (storage, now) = (self.of(&request, &SET)?, Memory::now());
        keys(&request, &SET)?;
        // All of them are looked at before one is set.
        let mut ttls = Vec::with_capacity(request.items.len());
        for item in &request.items {
            ttls.push(if item.timeout.is_empty() {
                0
            } else {
                match u64::try_from(when::until(&item.timeout).map_err(|error| SET.inner(error))?) {
                    Ok(ttl) if ttl > 0 => ttl,
                    _ => {
                        // KV-03.
                        tracing::warn!(
                            target: "kv", storage = request.storage, key = item.key, timeout = item.timeout,
                            "the timeout is in the past; the value is stored without one, as RoadRunner does"
                        );
                        0
                    }
                }
            });
        }
        for (item, ttl) in request.items.iter().zip(ttls) {
            storage
                .set(item.key.as_bytes(), kind::BYTES, &item.value, ttl, now)
                .map_err(|error| SET.inner(error))?;
        }
        items(std::iter::empty())
    }

    fn mget(&self, request: Request) -> Done {
        let (storage, now) = (self.of(&request, &MGET)?, Memory::now());
        keys(&request, &MGET)?;
        items(request.items.into_iter().filter_map(|item| {
            let found = storage.get(item.key.as_bytes(), now)?;
            Some(Item {
                key: item.key,
                value: php::serialized(found.kind, &found.value),
                timeout: String::new(),
            })
        }))
    }

    /// KV-04: a time in the past removes the key; the value stays what it is.
    fn mexpire(&self, request: Request) -> Done {
        let (storage, now) = (self.of(&request, &MEXPIRE)?, Memory::now());
        for item in &request.items {
            if item.timeout.is_empty() || item.key.trim().is_empty() {
                return Err(MEXPIRE.inner("timeout for MExpire is empty or key is empty"));
            }
        }
        for item in &request.items {
            let left = when::until(&item.timeout).map_err(|error| MEXPIRE.inner(error))?;
            match u64::try_from(left) {
                Ok(ttl) if ttl > 0 => storage.expire(item.key.as_bytes(), ttl, now),
                _ => storage.delete(item.key.as_bytes(), now),
            };
        }
        items(std::iter::empty())
    }

    fn ttl(&self, request: Request) -> Done {
        let (storage, now) = (self.of(&request, &TTL)?, Memory::now());
        keys(&request, &TTL)?;
        items(request.items.into_iter().filter_map(|item| {
            let found = storage.get(item.key.as_bytes(), now)?;
            Some(Item { key: item.key, value: Vec::new(), timeout: when::after(found.ttl) })
        }))
    }

    fn delete(&self, request: Request) -> Done {
        let (storage, now) = (self.of(&request, &DELETE)?, Memory::now());
        keys(&request, &DELETE)?;
        for item in &request.items {
            storage.delete(item.key.as_bytes(), now);
        }
        items(std::iter::empty())
    }

    fn clear(&self, request: Request) -> Done {
        self.of(&request, &CLEAR)?.clear();
        items(std::iter::empty())
    }
}

fn keys(request: &Request, op: &Op) -> Result<(), String> {
    match request.items.iter().any(|item| item.key.trim().is_empty()) {
        true => Err(op.inner(KvError::EmptyKey)),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Settings;
    use rr_shm::store::Eviction;

    fn storages() -> Storages {
        let settings = Settings { limit: 1 << 20, eviction: Eviction::None };
        Storages::new([(
            "mem".to_owned(),
            Arc::new(Memory::create(settings, [1, 2, 3, 4]).expect("a storage")),
        )])
    }

    fn request(storage: &str, all: &[(&str, &str, &str)]) -> Request {
        let item = |(key, value, timeout): &(&str, &str, &str)| Item {
            key: (*key).to_owned(),
            value: value.as_bytes().to_vec(),
            timeout: (*timeout).to_owned(),
        };
        Request { storage: storage.to_owned(), items: all.iter().map(item).collect() }
    }

    fn shown(done: Done) -> Result<Vec<String>, String> {
        let item =
            |item: Item| format!("{}={}@{}", item.key, String::from_utf8_lossy(&item.value), item.timeout);
        done.map(|Proto(response)| response.items.into_iter().map(item).collect())
    }

    #[test]
    fn r_40_to_r_46_items_and_errors() {
        let kv = storages();
        assert_eq!(kv.has(request("", &[])), Err("rpc_has: no storage provided".to_owned()));
        assert_eq!(kv.has(request("x", &[])), Err("rpc_has: no such storage: x".to_owned()));
        assert_eq!(kv.set(request("", &[])), Err("rpc_set: no such storage: ".to_owned()));
        let empty = kv.has(request("mem", &[(" ", "", "")])).expect_err("blank");
        assert_eq!(empty, "rpc_has:\n\tin_memory_plugin_has: key can't be empty string");
        assert_eq!(shown(kv.has(request("mem", &[]))), Ok(vec![]), "no keys are no error");
        let all = [("a", "1", ""), ("b", "\0\u{ff}", "2999-01-01T00:00:00Z")];
        assert_eq!(shown(kv.set(request("mem", &all))), Ok(vec![]));
        let asked = request("mem", &[("a", "", ""), ("c", "", ""), ("b", "", "")]);
        assert_eq!(shown(kv.has(asked.clone())), Ok(vec!["a=@".to_owned(), "b=@".to_owned()]));
        assert_eq!(shown(kv.mget(asked.clone())), Ok(vec!["a=1@".to_owned(), "b=\0\u{ff}@".to_owned()]));
        let ttl = shown(kv.ttl(asked.clone())).expect("times");
        assert!(
            ttl[0] == "a=@"
                && (ttl[1].starts_with("b=@2998-12-31T23:59:59") || ttl[1].starts_with("b=@2999-01-01"))
        );
        assert!(kv.set(request("mem", &[("a", "2", "soon")])).is_err(), "no time");
        assert_eq!(shown(kv.delete(asked.clone())), Ok(vec![]));
        assert_eq!(shown(kv.mget(asked)), Ok(vec![]));
        let gone = kv.delete(request("no", &[])).expect_err("none");
        assert_eq!(gone, "rcp_delete: no such storage: no");
    }

    #[test]
    fn kv_04_mexpire_keeps_the_value_and_a_past_time_ends_it() {
        let kv = storages();
        kv.set(request("mem", &[("a", "1", "")])).expect("set");
        kv.mexpire(request("mem", &[("a", "", "2999-01-01T00:00:00Z")])).expect("set");
        let a = request("mem", &[("a", "", "")]);
        assert_eq!(shown(kv.mget(a.clone())), Ok(vec!["a=1@".to_owned()]));
        kv.mexpire(request("mem", &[("a", "", "2001-01-01T00:00:00Z")])).expect("set");
        assert_eq!(shown(kv.mget(a)), Ok(vec![]));
        let error = kv.mexpire(request("mem", &[("a", "", "")])).expect_err("no time");
        assert!(error.ends_with("timeout for MExpire is empty or key is empty"), "{error}");
    }

    #[test]
    fn kv_03_a_past_timeout_is_none() {
        let kv = storages();
        kv.set(request("mem", &[("a", "1", "2001-01-01T00:00:00Z")])).expect("set");
        assert_eq!(shown(kv.ttl(request("mem", &[("a", "", "")]))), Ok(vec!["a=@".to_owned()]));
    }
}
