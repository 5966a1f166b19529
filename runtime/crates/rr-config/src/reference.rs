//! The reference of all keys as Markdown, made from the same tables that decode them.

use std::fmt::Write as _;

use crate::decode::{Row, Section};
use crate::sections::{
    dev::Dev,
    endure::Endure,
    http::Http,
    kv::{BoltStorage, MemcachedStorage, MemoryStorage},
    lock::Lock,
    logs::Logs,
    metrics::Metrics,
    otel::Otel,
    redis::Redis,
    rpc::Rpc,
    server::Server,
    service::Service,
    status::Status,
};

/// Every key this version serves, as Markdown tables for `docs/config.md`.
pub fn reference() -> String {
    let mut out = String::new();
    table::<Server>(&mut out, "server");
    table::<Http>(&mut out, "http");
    table::<Rpc>(&mut out, "rpc");
    table::<Metrics>(&mut out, "metrics");
    table::<MemoryStorage>(&mut out, "kv.<name>.config (memory)");
    table::<BoltStorage>(&mut out, "kv.<name>.config (boltdb)");
    table::<Redis>(&mut out, "kv.<name>.config (redis)");
    table::<MemcachedStorage>(&mut out, "kv.<name>.config (memcached)");
    table::<Lock>(&mut out, "lock");
    table::<Service>(&mut out, "service.<name>");
    table::<Status>(&mut out, "status");
    table::<Otel>(&mut out, "otel");
    table::<Logs>(&mut out, "logs");
    table::<Endure>(&mut out, "endure");
    table::<Dev>(&mut out, "dev");
    out
}

fn table<S: Section>(out: &mut String, name: &str) {
    let mut rows = Vec::new();
    S::rows(name, &mut rows);
    // Writing to a String cannot fail.
    _ = write!(out, "## {name}\n\n| key | type | default | meaning |\n|---|---|---|---|\n");
    for Row { key, kind, default, meaning } in rows {
        let default = if default.is_empty() { String::new() } else { format!("`{default}`") };
        _ = writeln!(out, "| `{key}` | {} | {} | {} |", cell(&kind), cell(&default), cell(&meaning));
    }
    out.push('\n');
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}
