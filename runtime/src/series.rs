//! Series of the plugins that have no workers.

use rr_kv::Storages;
use rr_lock::Driver;
use rr_metrics::{Collect, Kind, Page};
use rr_rpc::Registry;
use rr_service::Services;
use std::sync::{Arc, Weak};

/// Storages in memory; those of other drivers have their own servers' series.
pub(crate) struct StorageSeries(pub(crate) Storages);

impl Collect for StorageSeries {
    fn collect(&self, page: &mut Page) {
        let used: Vec<_> = self
            .0
            .iter()
            .filter_map(|(name, storage)| {
                storage.memory().map(|memory| (name, memory.usage(), memory.limit()))
            })
            .collect();
        if used.is_empty() {
            return;
        }
        type Value = fn((usize, usize, u64), usize) -> f64;
        let families: [(&str, Kind, &str, Value); 4] = [
            ("rr_kv_items", Kind::Gauge, "Entries of a storage in memory.", |(items, ..), _| items as f64),
            ("rr_kv_used_bytes", Kind::Gauge, "Memory that its entries take.", |(_, bytes, _), _| {
                bytes as f64
            }),
            ("rr_kv_limit_bytes", Kind::Gauge, "Memory that they may take.", |_, limit| limit as f64),
            (
                "rr_kv_evictions_total",
                Kind::Counter,
                "Entries that had to leave for others before their end.",
                |(.., evicted), _| evicted as f64,
            ),
        ];
        for (family, kind, help, value) in families {
            page.family(family, kind, help);
            for &(name, usage, limit) in &used {
                page.sample(family, &[("storage", name)], value(usage, limit));
            }
        }
    }
}

/// Locks that this server knows of.
pub(crate) struct LockSeries(pub(crate) Weak<dyn Driver>);

impl Collect for LockSeries {
    fn collect(&self, page: &mut Page) {
        let Some(driver) = self.0.upgrade() else { return };
        let (held, waiting) = driver.counts();
        page.family("rr_lock_held", Kind::Gauge, "Locks that are held, without those lent to workers.");
        page.sample("rr_lock_held", &[], held as f64);
        page.family("rr_lock_waiting", Kind::Gauge, "Requests that wait for a lock.");
        page.sample("rr_lock_waiting", &[], waiting as f64);
    }
}

/// Processes of services.
pub(crate) struct ServiceSeries(pub(crate) Weak<Services>);

impl Collect for ServiceSeries {
    fn collect(&self, page: &mut Page) {
        let Some(services) = self.0.upgrade() else { return };
        let counts = services.counts();
        if counts.is_empty() {
            return;
        }
        page.family("rr_service_processes", Kind::Gauge, "Processes of a service that run.");
        for (name, running, _) in &counts {
            page.sample("rr_service_processes", &[("service", name)], *running as f64);
        }
        let restarts = "rr_service_restarts_total";
        page.family(restarts, Kind::Counter, "Times that processes of a service were started again.");
        for (name, _, restarted) in &counts {
            page.sample(restarts, &[("service", name)], *restarted as f64);
        }
    }
}

/// Clients of `rpc.listen`.
pub(crate) struct RpcSeries(pub(crate) Arc<Registry>);

impl Collect for RpcSeries {
    fn collect(&self, page: &mut Page) {
        let traffic = self.0.traffic();
        page.family("rr_rpc_connections", Kind::Gauge, "Connections of RPC clients.");
        page.sample("rr_rpc_connections", &[], traffic.connections() as f64);
        page.family("rr_rpc_calls_total", Kind::Counter, "Calls of RPC clients.");
        page.sample("rr_rpc_calls_total", &[], traffic.calls() as f64);
        page.family("rr_rpc_errors_total", Kind::Counter, "Those that were answered with an error.");
        page.sample("rr_rpc_errors_total", &[], traffic.errors() as f64);
    }
}
