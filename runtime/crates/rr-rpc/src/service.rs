//! Services and their methods, by name.

use crate::codec::{Codec, Message};
use rr_pool::{Answer, BoxFuture, Caller};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What a method gives.
pub enum Reply<T> {
    /// At once.
    Now(Result<T, String>),
    /// Later.
    Later(BoxFuture<Result<T, String>>),
}

impl<T> Reply<T> {
    /// Later, from a future.
    pub fn later(future: impl Future<Output = Result<T, String>> + Send + 'static) -> Self {
        Self::Later(Box::pin(future))
    }
}

impl<T> From<Result<T, String>> for Reply<T> {
    fn from(result: Result<T, String>) -> Self {
        Self::Now(result)
    }
}

type Method = Box<dyn Fn(Codec, &[u8]) -> Answer + Send + Sync>;
type Native = Box<dyn Fn(&Caller, &[u8]) -> Answer + Send + Sync>;

/// The methods of one name, such as `kv`.
pub struct Service {
    name: &'static str,
    methods: BTreeMap<&'static str, Method>,
    natives: BTreeMap<&'static str, Native>,
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Service").field("name", &self.name).field("methods", &self.methods.keys()).finish()
    }
}

impl Service {
    /// A service without methods.
    #[must_use]
    pub fn new(name: &'static str) -> Self {
        Self { name, methods: BTreeMap::new(), natives: BTreeMap::new() }
    }

    /// Adds `name.method` for every codec. Must not block.
    #[must_use]
    pub fn method<A, R, I, F>(mut self, method: &'static str, run: F) -> Self
    where
        A: Message,
        R: Message + Send + 'static,
        I: Into<Reply<R>>,
        F: Fn(A) -> I + Send + Sync + 'static,
    {
        let call = move |codec: Codec, body: &[u8]| {
            let argument = match A::decode(codec, body) {
                Ok(argument) => argument,
                Err(error) => return Answer::Now(Err(error)),
            };
            match run(argument).into() {
                Reply::Now(result) => Answer::Now(result.and_then(|result| result.encode(codec))),
                Reply::Later(future) => Answer::Later(Box::pin(async move { future.await?.encode(codec) })),
            }
        };
        self.methods.insert(method, Box::new(call));
        self
    }

    /// Adds `name.method` for workers, with a body of the plugin's own. Must not block.
    #[must_use]
    pub fn native(
        mut self,
        method: &'static str,
        run: impl Fn(&Caller, &[u8]) -> Answer + Send + Sync + 'static,
    ) -> Self {
        self.natives.insert(method, Box::new(run));
        self
    }
}

/// Wants to know what has ended of those who called natively.
pub trait Ends: Send + Sync {
    /// See [`rr_pool::Calls::unit_ended`].
    fn unit_ended(&self, pool: &Arc<str>, worker: u64, unit: u64);

    /// See [`rr_pool::Calls::worker_ended`].
    fn worker_ended(&self, pool: &Arc<str>, worker: u64);
}

/// What clients of the listener have done.
#[derive(Debug, Default)]
pub struct Traffic {
    connections: AtomicU64,
    calls: AtomicU64,
    errors: AtomicU64,
}

impl Traffic {
    /// Connections that are open.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }

    /// Calls so far.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    /// Those of them that were answered with an error.
    #[must_use]
    pub fn errors(&self) -> u64 {
        self.errors.load(Ordering::Relaxed)
    }

    pub(crate) fn opened(&self) {
        self.connections.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn closed(&self) {
        self.connections.fetch_sub(1, Ordering::Relaxed);
    }

    pub(crate) fn called(&self) {
        self.calls.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn failed(&self) {
        self.errors.fetch_add(1, Ordering::Relaxed);
    }
}

/// All services.
#[derive(Default)]
pub struct Registry {
    services: BTreeMap<&'static str, Service>,
    ends: Vec<Arc<dyn Ends>>,
    traffic: Traffic,
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registry").field("services", &self.services).finish_non_exhaustive()
    }
}

impl Registry {
    /// What clients of the listener have done.
    #[must_use]
    pub fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    /// Adds a service; of two with one name the later one stays.
    pub fn add(&mut self, service: Service) {
        self.services.insert(service.name, service);
    }

    /// Has `ends` told of the ends of units and workers.
    pub fn tell(&mut self, ends: Arc<dyn Ends>) {
        self.ends.push(ends);
    }

    /// A unit is over.
    pub fn unit_ended(&self, pool: &Arc<str>, worker: u64, unit: u64) {
        self.ends.iter().for_each(|ends| ends.unit_ended(pool, worker, unit));
    }

    /// A worker is gone.
    pub fn worker_ended(&self, pool: &Arc<str>, worker: u64) {
        self.ends.iter().for_each(|ends| ends.worker_ended(pool, worker));
    }

    /// Calls `service.method` with an argument in `codec`. Unknown names are errors with Go's texts (RP-07).
    pub fn call(&self, method: &str, codec: Codec, body: &[u8]) -> Answer {
        let run = |service: &Service, name: &str| service.methods.get(name).map(|run| run(codec, body));
        self.find(method, run)
    }

    /// Calls `service.method` for a worker.
    pub fn call_native(&self, caller: &Caller, method: &str, body: &[u8]) -> Answer {
        let run = |service: &Service, name: &str| service.natives.get(name).map(|run| run(caller, body));
        self.find(method, run)
    }

    fn find(&self, method: &str, run: impl Fn(&Service, &str) -> Option<Answer>) -> Answer {
        let Some((service, name)) = method.rsplit_once('.') else {
            return Answer::Now(Err(format!("rpc: service/method request ill-formed: {method}")));
        };
        let Some(service) = self.services.get(service) else {
            return Answer::Now(Err(format!("rpc: can't find service {method}")));
        };
        run(service, name).unwrap_or_else(|| Answer::Now(Err(format!("rpc: can't find method {method}"))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::Plain;

    fn registry() -> Registry {
        let mut registry = Registry::default();
        let later = |Plain(text): Plain<String>| Reply::later(async move { Ok(Plain(text.len() as u64)) });
        let service = Service::new("test")
            .method("Not", |Plain(value): Plain<bool>| Ok::<_, String>(Plain(!value)))
            .method("Fail", |_: Plain<bool>| Err::<Plain<bool>, _>("no".to_owned()))
            .method("Length", later)
            .native("Who", |caller, _| Answer::Now(Ok(caller.pid.to_string().into_bytes())));
        registry.add(service);
        registry
    }

    fn now(answer: Answer) -> Result<String, String> {
        match answer {
            Answer::Now(result) => result.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
            _ => panic!("not at once"),
        }
    }

    #[test]
    fn rp_07_unknown_names_have_gos_texts() {
        let call = |method| now(registry().call(method, Codec::Json, b"true"));
        assert_eq!(call("test.Not"), Ok("false".to_owned()));
        assert_eq!(call("test.Fail"), Err("no".to_owned()));
        assert_eq!(call("test.not"), Err("rpc: can't find method test.not".to_owned()));
        assert_eq!(call("other.Not"), Err("rpc: can't find service other.Not".to_owned()));
        assert_eq!(call("Not"), Err("rpc: service/method request ill-formed: Not".to_owned()));
        assert!(call("test.Who").is_err(), "native methods are for workers");
        assert!(now(registry().call("test.Not", Codec::Json, b"{")).is_err());
        assert!(matches!(registry().call("test.Length", Codec::Json, b"\"abc\""), Answer::Later(_)));
    }
}
