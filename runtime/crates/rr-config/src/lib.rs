//! RoadRunner's `.rr.yaml` as typed sections, with faults that name file, line and key.
//!
//! Owns everything between a text and a [`Config`]: parsing, environment variables, overrides, includes,
//! weak typing, defaults, limits, warnings about unknown keys, and the reference of all keys. It must not
//! know what is done with a setting, nor start, open or resolve anything. Row ids (CFG-04, …) are those of
//! the RoadRunner reference.
//!
//! Where to start reading: [`Loader::load`] has the order of the steps, `decode.rs` the `section!` table,
//! and `sections/` one table per section.
#![forbid(unsafe_code)]

mod config;
mod decode;
mod error;
mod expand;
mod include;
mod kinds;
mod load;
mod node;
mod overrides;
mod reference;
mod scalar;
mod schema;
mod sections;
mod suggest;
mod toml;
mod units;
mod version;
mod yaml;

#[cfg(test)]
mod tests;

pub use config::Config;
pub use error::{ConfigError, Position, Step, Warning};
pub use load::{Loaded, Loader};
pub use node::{MAX_DEPTH, Map, Node, Value};
pub use overrides::SOURCE as OVERRIDE_SOURCE;
pub use reference::reference;
pub use schema::schema;
pub use sections::dev::Dev;
pub use sections::endure::Endure;
pub use sections::error_pages::{ErrorPage, PageOf};
pub use sections::http::{App, Buffering, Codec, Http, Mode, Uploads};
pub use sections::https::{Acme, Challenge, ClientAuth, FastCgi, Http2, Http3, Ssl, TlsVersion};
pub use sections::kv::{BoltStorage, Driver, Eviction, MemcachedStorage, MemoryStorage, Storage};
pub use sections::lock::{Etcd, Lock, LockDriver, Postgres};
pub use sections::logs::{FileLog, LogEncoding, LogLevel, LogMode, Logs};
pub use sections::metrics::{Collector, CollectorType, Metrics};
pub use sections::middleware::{Cors, Headers, Middleware, StaticFiles, Trusted};
pub use sections::otel::{Otel, OtelClient, OtelExporter, OtelResource};
pub use sections::pool::{DynamicAllocator, MAX_WORKERS, Pool, Supervisor};
pub use sections::redis::{ClientTls, Redis};
pub use sections::rpc::Rpc;
pub use sections::server::{OnInit, Server};
pub use sections::service::Service;
pub use sections::status::Status;
pub use yaml::{MAX_SIZE, parse};

/// Loads anything without touching files or the environment; must not panic, whatever the bytes are.
pub fn fuzz(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    _ = toml::parse("fuzz", &text);
    let loaded = Loader::new().text("fuzz", &text).env(&|_| None).without_files().load();
    if let Ok(loaded) = loaded {
        _ = loaded.config.to_json();
    }
}
