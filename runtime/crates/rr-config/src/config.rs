//! The whole of the settings: which sections there are at the top, and the tree they came from.

use crate::decode::{Decoder, Kind};
use crate::error::{ConfigError, Warning};
use crate::kinds::{Maybe, Nested};
use crate::node::Node;
use crate::sections::dev::{Dev, DevKind};
use crate::sections::endure::Endure;
use crate::sections::http::Http;
use crate::sections::kv::{self, Storage, Storages};
use crate::sections::lock::Lock;
use crate::sections::logs::Logs;
use crate::sections::metrics::Metrics;
use crate::sections::otel::Otel;
use crate::sections::rpc::Rpc;
use crate::sections::server::Server;
use crate::sections::service::{Service, Services};
use crate::sections::status::Status;

/// All settings, decoded.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The workers' command and environment.
    pub server: Server,
    /// The HTTP server; `None` when there is no section, which turns it off (CFG-14).
    pub http: Option<Http>,
    /// The goridge listener; `None` when there is no section.
    pub rpc: Option<Rpc>,
    /// Metrics for Prometheus; `None` when there is no section: nobody can read them then.
    pub metrics: Option<Metrics>,
    /// Key-value storages.
    pub kv: Vec<Storage>,
    /// Locks.
    pub lock: Lock,
    /// Programs beside the workers, by name; `None` when there is no section, which turns them off.
    pub service: Option<Vec<(String, Service)>>,
    /// The listener for monitors; `None` when there is no section.
    pub status: Option<Status>,
    /// Traces and metrics for OpenTelemetry; `None` when there is no section.
    pub otel: Option<Otel>,
    /// The log.
    pub logs: Logs,
    /// Start and stop.
    pub endure: Endure,
    /// The mode for a developer's machine.
    pub dev: Dev,
    /// The whole merged tree, with the sections of plugins that decode their own.
    pub raw: Node,
}

/// What RoadRunner serves and this version does not.
const UNSERVED: &[&str] = &[
    "jobs",
    "grpc",
    "tcp",
    "centrifuge",
    "temporal",
    "fileserver",
    "amqp",
    "redis",
    "boltdb",
    "memcached",
    "memory",
    "sqs",
    "nats",
    "nsq",
    "kafka",
    "beanstalk",
    "google_pub_sub",
    "reload",
    "websockets",
    "broadcast",
    "app",
];

const KNOWN: &[&str] = &[
    "version", "include", "envfile", "server", "http", "logs", "endure", "dev", "rpc", "kv", "lock",
    "metrics", "service", "status", "otel",
];

impl Config {
    /// Whether there is something to serve although no section has workers: a listener, or programs beside them.
    #[must_use]
    pub fn serves_without_workers(&self) -> bool {
        self.http.is_none()
            && (self.rpc.is_some()
                || self.metrics.is_some()
                || self.service.is_some()
                || self.status.is_some())
    }

    /// Decodes the merged tree. All faults are reported at once.
    pub(crate) fn decode(raw: Node, warnings: &mut Vec<Warning>) -> Result<Self, ConfigError> {
        let mut decoder = Decoder::default();
        let http = section(&raw, "http", &Maybe, &mut decoder).flatten();
        let rpc = section(&raw, "rpc", &Maybe, &mut decoder).flatten();
        let metrics = section(&raw, "metrics", &Maybe, &mut decoder).flatten();
        let kv = section(&raw, "kv", &Storages(&raw), &mut decoder).unwrap_or_default();
        let service = section(&raw, "service", &Services, &mut decoder);
        let status = section(&raw, "status", &Maybe, &mut decoder).flatten();
        let otel = section(&raw, "otel", &Maybe, &mut decoder).flatten();
        let server = section(&raw, "server", &Nested, &mut decoder).unwrap_or_default();
        let lock = section(&raw, "lock", &Nested, &mut decoder).unwrap_or_default();
        let logs = section(&raw, "logs", &Nested, &mut decoder).unwrap_or_default();
        let endure = section(&raw, "endure", &Nested, &mut decoder).unwrap_or_default();
        let dev = section(&raw, "dev", &DevKind, &mut decoder).unwrap_or_default();
        if let Some(map) = raw.as_map() {
            let known: Vec<&str> = KNOWN.iter().copied().chain(kv::borrowed(&raw)).collect();
            decoder.unknown_keys(map, "", &known, UNSERVED);
        }
        // As the user reads them: down the file.
        decoder.faults.sort_by_key(|fault| fault.at.line);
        decoder.warnings.sort_by_key(|warning| warning.at.line);
        warnings.append(&mut decoder.warnings);
        let mut faults = decoder.faults.into_iter();
        match faults.next() {
            Some(first) => Err(ConfigError { others: faults.collect(), ..first }),
            None => Ok(Self {
                server,
                http,
                rpc,
                metrics,
                kv,
                lock,
                service,
                status,
                otel,
                logs,
                endure,
                dev,
                raw,
            }),
        }
    }

    /// The whole merged tree as JSON, as `rpc.Config` gives it (CFG-17).
    pub fn to_json(&self) -> String {
        self.raw.to_json()
    }
}

fn section<T>(raw: &Node, key: &str, kind: &impl Kind<T>, decoder: &mut Decoder) -> Option<T> {
    // `http:` with nothing below is no section.
    let node = raw.lookup(key).filter(|node| !node.is_null())?;
    kind.read(node, key, decoder)
}
