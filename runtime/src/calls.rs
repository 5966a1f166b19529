//! What workers can ask of the master on the call lane: log lines, and the methods of the registry.

use rr_dev::Dev;
use rr_log::{Map, Value};
use rr_pool::{Answer, Caller, Calls};
use rr_rpc::{Codec, Registry};
use rr_wire::Flags;
use rr_wire::log::{Entry, Level, Record};
use std::sync::Arc;

/// The methods.
#[derive(Debug)]
pub(crate) struct Methods {
    pub(crate) registry: Arc<Registry>,
    pub(crate) dev: Option<Arc<Dev>>,
}

impl Calls for Methods {
    fn call(&self, caller: &Caller, codec: Flags, method: &str, body: &[u8]) -> Answer {
        if method == rr_wire::log::METHOD {
            log(caller, body, self.dev.as_deref());
            return Answer::None;
        }
        if method == rr_wire::log::ENTRY {
            entry(caller, body);
            return Answer::None;
        }
        match Codec::of(codec) {
            Ok(Codec::Raw) => self.registry.call_native(caller, method, body),
            Ok(codec) => self.registry.call(method, codec, body),
            Err(error) => Answer::Now(Err(error.to_string())),
        }
    }

    fn unit_ended(&self, pool: &Arc<str>, worker: u64, unit: u64) {
        self.registry.unit_ended(pool, worker, unit);
    }

    fn worker_ended(&self, pool: &Arc<str>, worker: u64) {
        self.registry.worker_ended(pool, worker);
    }
}

fn log(caller: &Caller, body: &[u8], dev: Option<&Dev>) {
    let Some(record) = Record::parse(body) else {
        tracing::warn!(target: "server", pid = caller.pid, "a worker sent a log record that is none");
        return;
    };
    let text = String::from_utf8_lossy(record.text);
    let (pool, pid, worker) = (&*caller.pool, caller.pid, caller.worker);
    let request = caller.unit_of(record.unit);
    // In development mode: what the request is.
    let on = dev.and_then(|dev| dev.named(request));
    let on = on.as_deref();
    let context = String::from_utf8_lossy(record.context);
    let context = (!context.is_empty()).then_some(&*context);
    match record.level {
        Level::Error => tracing::error!(target: "php", pool, pid, worker, request, on, context, "{text}"),
        Level::Warn => tracing::warn!(target: "php", pool, pid, worker, request, on, context, "{text}"),
        Level::Info => tracing::info!(target: "php", pool, pid, worker, request, on, context, "{text}"),
        Level::Debug => tracing::debug!(target: "php", pool, pid, worker, request, on, context, "{text}"),
    }
}

/// What says whose line it is; the app's fields of these names stand under `context.<name>`.
const OWN: [&str; 8] = ["level", "ts", "logger", "msg", "pool", "pid", "worker", "request"];

/// What the app logs: its fields, and where it comes from.
fn entry(caller: &Caller, body: &[u8]) {
    let Some(entry) = Entry::parse(body) else {
        tracing::warn!(target: "server", pid = caller.pid, "a worker sent a log record that is none");
        return;
    };
    let level = match entry.level {
        Level::Error => tracing::Level::ERROR,
        Level::Warn => tracing::Level::WARN,
        Level::Info => tracing::Level::INFO,
        Level::Debug => tracing::Level::DEBUG,
    };
    if !rr_log::is_enabled(level, entry.channel) {
        return;
    }
    let given: Map<String, Value> = match serde_json::from_slice(entry.fields) {
        Ok(fields) => fields,
        Err(_) if entry.fields.is_empty() => Map::new(),
        // Better seen than lost.
        Err(_) => Map::from_iter([("fields".to_owned(), String::from_utf8_lossy(entry.fields).into())]),
    };
    let name = |name: String| if OWN.contains(&&*name) { format!("context.{name}") } else { name };
    let mut fields: Map<String, Value> = given.into_iter().map(|(key, value)| (name(key), value)).collect();
    fields.insert("pool".to_owned(), (&*caller.pool).into());
    fields.insert("pid".to_owned(), caller.pid.into());
    fields.insert("worker".to_owned(), caller.worker.into());
    fields.insert("request".to_owned(), caller.unit_of(entry.unit).into());
    rr_log::write(level, entry.channel, &String::from_utf8_lossy(entry.text), fields);
}
