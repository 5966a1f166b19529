//! Redis servers, as a storage and the locks are told of them (KV-05).

use crate::decode::{Decoder, Kind, section};
use crate::kinds::{Flag, Maybe, Names, Number, Text, Time};
use crate::node::{Map, Node, Value};
use std::time::Duration;

const AT_LEAST_1MS: Time = Time { min: Duration::from_millis(1), ..Time::OR_DEFAULT };

section! {
    /// Redis 6 or newer: one server, the master that sentinels name, or a cluster.
    Redis {
        /// The server, `host:port` or `unix:///path`. Several are some servers of a cluster; with `master_name` they are
        /// sentinels.
        addrs: Vec<String> = vec!["127.0.0.1:6379".into()] => Servers;
        /// The name that the sentinels at `addrs` have for the master.
        master_name: Option<String> = None => Text;
        /// The sentinels' password.
        sentinel_password: Option<String> = None => Text;
        /// The user, if it is not the default one.
        username: Option<String> = None => Text;
        /// The user's password.
        password: Option<String> = None => Text;
        /// The number of the database.
        db: u32 = 0 => Number::within(0, 1 << 16);
        /// How long connecting may take.
        dial_timeout: Duration = Duration::from_secs(5) => AT_LEAST_1MS;
        /// How long an answer may take. A call takes no longer than this and `dial_timeout` together.
        read_timeout: Duration = Duration::from_secs(3) => AT_LEAST_1MS;
        /// How often a request is sent again after its connection has failed, if doing it twice does no harm; -1: never.
        max_retries: u32 = 3 => Retries;
        /// The pause before the first of them; each is twice the one before.
        min_retry_backoff: Duration = Duration::from_millis(8) => AT_LEAST_1MS;
        /// The longest pause.
        max_retry_backoff: Duration = Duration::from_millis(512) => AT_LEAST_1MS;
        /// A cluster's replicas are read too, which may be behind their masters.
        read_only: bool = false => Flag;
        /// The same as `read_only`: reads go to any replica.
        route_randomly: bool = false => Flag;
        /// The same as `read_only`: latencies are not measured.
        route_by_latency: bool = false => Flag;
        /// TLS, to sentinels too.
        tls: Option<ClientTls> = None => Maybe;
    }
    unserved "pool_size", "min_idle_conns", "max_conn_age", "write_timeout", "pool_timeout", "idle_timeout",
        "idle_check_freq";
    finish fits_together;
}

section! {
    /// Files in PEM; a relative one is below the directory that the server was started in.
    ClientTls {
        /// Certificates of those who sign the servers'; unset, whom the system trusts.
        root_ca: Option<String> = None => Text;
        /// The certificate that we show; needs `key`.
        cert: Option<String> = None => Text;
        /// Its key.
        key: Option<String> = None => Text;
    }
    unserved "client_auth_type";
    finish cert_and_key;
}

/// What has no effect is said to have none.
fn fits_together(section: &mut Redis, _: &Node, map: &Map, path: &str, decoder: &mut Decoder) {
    let sentinels = section.master_name.is_some();
    let cluster = !sentinels && section.addrs.len() > 1;
    let mut warn = |key: &str, set: bool, message: &str| {
        if let Some(node) = map.get(key).filter(|_| set) {
            decoder.warn(&node.at, &format!("{path}.{key}"), message);
        }
    };
    let alone = "has no effect: there are no sentinels without master_name";
    warn("sentinel_password", section.sentinel_password.is_some() && !sentinels, alone);
    let one = "has no effect: only a cluster's replicas are read, and this is none";
    warn("read_only", section.read_only && !cluster, one);
    warn("route_randomly", section.route_randomly && !cluster, one);
    warn("route_by_latency", section.route_by_latency && !cluster, one);
    let latency = "latencies are not measured; reads go to any replica, as with route_randomly";
    warn("route_by_latency", section.route_by_latency && cluster, latency);
}

fn cert_and_key(section: &mut ClientTls, node: &Node, _: &Map, path: &str, decoder: &mut Decoder) {
    let message = match (&section.cert, &section.key) {
        (Some(_), None) => "cert needs key",
        (None, Some(_)) => "key needs cert",
        _ => return,
    };
    decoder.wrong::<()>(&node.at, path, message);
}

/// Addresses; an empty list is the default.
pub(super) struct Servers;

impl Kind<Vec<String>> for Servers {
    fn name(&self) -> String {
        Names.name()
    }
    fn read(&self, node: &Node, path: &str, decoder: &mut Decoder) -> Option<Vec<String>> {
        Names.read(node, path, decoder).filter(|addresses| !addresses.is_empty())
    }
    fn show(&self, value: &Vec<String>) -> String {
        Names.show(value)
    }
}

/// A number; 0 is the default and -1 none.
struct Retries;

impl Kind<u32> for Retries {
    fn name(&self) -> String {
        "number, -1 to 100".into()
    }
    fn read(&self, node: &Node, path: &str, decoder: &mut Decoder) -> Option<u32> {
        match &node.value {
            Value::Int(-1) => Some(0),
            Value::Str(text) if text.trim() == "-1" => Some(0),
            _ => Number::within(1, 100).or_default().read(node, path, decoder),
        }
    }
    fn show(&self, value: &u32) -> String {
        value.to_string()
    }
}
