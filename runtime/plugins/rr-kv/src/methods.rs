//! The methods of RoadRunner's RPC (R-40…R-46).

use crate::driver::{Done, Driver, List};
use crate::storage::{Storage, Storages};
use crate::{KvError, native, php, when};
use rr_rpc::message::kv::{Item, Request, Response};
use rr_rpc::{Ends, Proto, Reply, Service};
use rr_wire::kv::{Item as Entry, kind};
use std::sync::Arc;

/// A method's name in its errors, and behind the driver's name.
#[derive(Clone, Copy)]
struct Op(&'static str, &'static str);

impl Op {
    /// RP-08.
    fn error(self, text: impl std::fmt::Display) -> String {
        format!("{}: {text}", self.0)
    }

    fn inner(self, driver: &str, text: impl std::fmt::Display) -> String {
        format!("{}:\n\t{driver}_{}: {text}", self.0, self.1)
    }
}

const HAS: Op = Op("rpc_has", "has");
const SET: Op = Op("rpc_set", "set");
const MGET: Op = Op("rpc_mget", "mget");
const MEXPIRE: Op = Op("rpc_mexpire", "mexpire");
const TTL: Op = Op("rpc_ttl", "ttl");
// the typo is RoadRunner's.
const DELETE: Op = Op("rcp_delete", "delete");
const CLEAR: Op = Op("rpc_clear", "clear");

/// A response, or the text of an error that comes before there is one.
type Answered = Result<Reply<Proto<Response>>, String>;

impl Ends for Storages {
    fn unit_ended(&self, _: &Arc<str>, _: u64, _: u64) {}

    fn worker_ended(&self, _: &Arc<str>, worker: u64) {
        self.iter().for_each(|(_, storage)| storage.worker_gone(worker));
    }
}

/// The response to an operation.
fn answer<T: 'static>(
    op: Op,
    driver: &dyn Driver,
    done: Done<T>,
    items: impl FnOnce(T) -> Vec<Item> + Send + 'static,
) -> Answered {
    let name = driver.name();
    let response = move |result: Result<T, KvError>| {
        result.map(|found| Proto(Response { items: items(found) })).map_err(|error| op.inner(name, error))
    };
    Ok(match done {
        Done::Now(result) => Reply::Now(response(result)),
        Done::Later(future) => Reply::later(async move { response(future.await) }),
    })
}

fn nothing<T>(_: T) -> Vec<Item> {
    Vec::new()
}

impl Storages {
    fn of(&self, request: &Request, op: Op) -> Result<&Storage, String> {
        self.find(request.storage.as_bytes()).map_err(|error| op.error(error))
    }

    /// What workers and clients of the RPC call.
    #[must_use]
    pub fn service(&self) -> Service {
        let with = |run: fn(&Self, Request) -> Answered| {
            let this = self.clone();
            move |Proto(request): Proto<Request>| {
                run(&this, request).unwrap_or_else(|error| Reply::Now(Err(error)))
            }
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

    fn has(&self, request: Request) -> Answered {
        if request.storage.is_empty() {
            return Err(HAS.error("no storage provided"));
        }
        let driver = self.of(&request, HAS)?.driver();
        let done = driver.has(&keys(&request, HAS, driver)?);
        answer(HAS, driver, done, move |found| {
            let found = request.items.into_iter().zip(found).filter(|(_, there)| *there);
            found.map(|(item, _)| Item { key: item.key, ..Item::default() }).collect()
        })
    }

    fn set(&self, request: Request) -> Answered {
        let storage = self.of(&request, SET)?;
        let driver = storage.driver();
        keys(&request, SET, driver)?;
        // All of them are looked at before one is set.
        let mut entries = List::new();
        for item in &request.items {
            let ttl = match item.timeout.as_str() {
                "" => 0,
                timeout => match left(timeout, SET, driver)? {
                    0 => {
                        // KV-03.
                        tracing::warn!(
                            target: "kv", storage = request.storage, key = item.key, timeout,
                            "the timeout is in the past; the value is stored without one, as RoadRunner does"
                        );
                        0
                    }
                    ttl => ttl,
                },
            };
            entries.push(Entry { key: item.key.as_bytes(), kind: kind::BYTES, ttl, value: &item.value });
        }
        answer(SET, driver, storage.set(&entries), nothing)
    }

    fn mget(&self, request: Request) -> Answered {
        let driver = self.of(&request, MGET)?.driver();
        let done = driver.get(&keys(&request, MGET, driver)?);
        answer(MGET, driver, done, move |found| {
            let found = request.items.into_iter().zip(found);
            let item = |(item, found): (Item, Option<crate::Item>)| {
                let found = found?;
                let value = php::serialized(found.kind, &found.value);
                Some(Item { key: item.key, value, timeout: String::new() })
            };
            found.filter_map(item).collect()
        })
    }

    /// KV-04: a time in the past removes the key; the value stays what it is.
    fn mexpire(&self, request: Request) -> Answered {
        let driver = self.of(&request, MEXPIRE)?.driver();
        let blank = |item: &Item| item.timeout.is_empty() || item.key.trim().is_empty();
        if request.items.iter().any(blank) {
            return Err(MEXPIRE.inner(driver.name(), "timeout for MExpire is empty or key is empty"));
        }
        let (mut later, mut remove) = (List::new(), List::new());
        for item in &request.items {
            match left(&item.timeout, MEXPIRE, driver)? {
                0 => remove.push(item.key.as_bytes()),
                ttl => later.push((item.key.as_bytes(), ttl)),
            }
        }
        let moved = driver.expire(&later);
        if remove.is_empty() {
            return answer(MEXPIRE, driver, moved, nothing);
        }
        let removed = driver.delete(&remove);
        let both = match (moved, removed) {
            (Done::Now(moved), Done::Now(removed)) => Done::Now(moved.and(removed)),
            (moved, removed) => Done::later(async move {
                moved.wait().await?;
                removed.wait().await
            }),
        };
        answer(MEXPIRE, driver, both, nothing)
    }

    fn ttl(&self, request: Request) -> Answered {
        let driver = self.of(&request, TTL)?.driver();
        let done = driver.ttl(&keys(&request, TTL, driver)?);
        answer(TTL, driver, done, move |found| {
            let found = request.items.into_iter().zip(found);
            let item = |(item, ttl): (Item, Option<u64>)| {
                ttl.map(|ttl| Item { key: item.key, value: Vec::new(), timeout: when::after(ttl) })
            };
            found.filter_map(item).collect()
        })
    }

    fn delete(&self, request: Request) -> Answered {
        let driver = self.of(&request, DELETE)?.driver();
        let done = driver.delete(&keys(&request, DELETE, driver)?);
        answer(DELETE, driver, done, nothing)
    }

    fn clear(&self, request: Request) -> Answered {
        let driver = self.of(&request, CLEAR)?.driver();
        answer(CLEAR, driver, driver.clear(), nothing)
    }
}

/// Milliseconds to a time; 0: it is past.
fn left(timeout: &str, op: Op, driver: &dyn Driver) -> Result<u64, String> {
    let left = when::until(timeout).map_err(|error| op.inner(driver.name(), error))?;
    Ok(u64::try_from(left).unwrap_or(0))
}

fn keys<'a>(request: &'a Request, op: Op, driver: &dyn Driver) -> Result<List<&'a [u8]>, String> {
    match request.items.iter().any(|item| item.key.trim().is_empty()) {
        true => Err(op.inner(driver.name(), KvError::EmptyKey)),
        false => Ok(request.items.iter().map(|item| item.key.as_bytes()).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::{Memory, Settings};
    use rr_shm::store::Eviction;
    use std::sync::Arc;

    fn storages() -> Storages {
        let settings = Settings { limit: 1 << 20, eviction: Eviction::None };
        Storages::new([(
            "mem".to_owned(),
            Storage::Memory(Arc::new(Memory::create(settings, [1, 2, 3, 4]).expect("a storage"))),
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

    /// What memory answers is there at once.
    fn now(answered: Answered) -> Result<Proto<Response>, String> {
        match answered? {
            Reply::Now(result) => result,
            Reply::Later(_) => panic!("not at once"),
        }
    }

    fn shown(answered: Answered) -> Result<Vec<String>, String> {
        let item =
            |item: Item| format!("{}={}@{}", item.key, String::from_utf8_lossy(&item.value), item.timeout);
        now(answered).map(|Proto(response)| response.items.into_iter().map(item).collect())
    }

    #[test]
    fn r_40_to_r_46_items_and_errors() {
        let kv = storages();
        assert_eq!(now(kv.has(request("", &[]))), Err("rpc_has: no storage provided".to_owned()));
        assert_eq!(now(kv.has(request("x", &[]))), Err("rpc_has: no such storage: x".to_owned()));
        assert_eq!(now(kv.set(request("", &[]))), Err("rpc_set: no such storage: ".to_owned()));
        let empty = now(kv.has(request("mem", &[(" ", "", "")]))).expect_err("blank");
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
        assert!(now(kv.set(request("mem", &[("a", "2", "soon")]))).is_err(), "no time");
        assert_eq!(shown(kv.delete(asked.clone())), Ok(vec![]));
        assert_eq!(shown(kv.mget(asked)), Ok(vec![]));
        let gone = now(kv.delete(request("no", &[]))).expect_err("none");
        assert_eq!(gone, "rcp_delete: no such storage: no");
    }

    #[test]
    fn kv_04_mexpire_keeps_the_value_and_a_past_time_ends_it() {
        let kv = storages();
        now(kv.set(request("mem", &[("a", "1", "")]))).expect("set");
        now(kv.mexpire(request("mem", &[("a", "", "2999-01-01T00:00:00Z")]))).expect("set");
        let a = request("mem", &[("a", "", "")]);
        assert_eq!(shown(kv.mget(a.clone())), Ok(vec!["a=1@".to_owned()]));
        now(kv.mexpire(request("mem", &[("a", "", "2001-01-01T00:00:00Z")]))).expect("set");
        assert_eq!(shown(kv.mget(a)), Ok(vec![]));
        let error = now(kv.mexpire(request("mem", &[("a", "", "")]))).expect_err("no time");
        assert!(error.ends_with("timeout for MExpire is empty or key is empty"), "{error}");
    }

    #[test]
    fn kv_03_a_past_timeout_is_none() {
        let kv = storages();
        now(kv.set(request("mem", &[("a", "1", "2001-01-01T00:00:00Z")]))).expect("set");
        assert_eq!(shown(kv.ttl(request("mem", &[("a", "", "")]))), Ok(vec!["a=@".to_owned()]));
    }
}
