//! The server's own series: workers of a pool (ME-04), the master's process, and PHP in the workers.

use crate::cellar::WorkerId;
use crate::definition::Kind::{Counter, Gauge};
use crate::registry::Collect;
use crate::text::Page;
use parking_lot::Mutex;
use rr_pool::{Pool, State, WorkerInfo};
use rr_shm::cells::Cells;
use rr_wire::vitals;
use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

/// Plugins with workers, here or in RoadRunner.
const POOLS: [&str; 6] = ["http", "jobs", "grpc", "tcp", "centrifugo", "temporal"];
/// ME-04: behind `rr_<plugin>_`.
const OF_POOLS: [(&str, &str); 8] = [
    ("total_workers", "Workers."),
    ("workers_memory_bytes", "Memory that workers have written and share with nobody, together."),
    ("worker_state", "Workers by state; the value is 1."),
    ("worker_memory_bytes", "Memory that a worker has written and shares with nobody."),
    ("workers_ready", "Workers that wait for work."),
    ("workers_working", "Workers that work."),
    ("workers_invalid", "Workers that start or leave."),
    ("requests_queue", "Requests that wait for a worker."),
];
/// JOB-14, for the day there are jobs; HS-11 and that of grpc.
const PROMISED: [&str; 24] = [
    "rr_jobs_push_ok",
    "rr_jobs_push_err",
    "rr_jobs_jobs_ok",
    "rr_jobs_jobs_err",
    "rr_jobs_push_latency",
    "rr_jobs_requests_total",
    "rr_http_no_free_workers_total",
    "rr_http_request_total",
    "rr_http_request_duration_seconds",
    "rr_http_uptime_seconds",
    "rr_grpc_request_total",
    "rr_grpc_request_duration_seconds",
    "rr_log_lines_lost_total",
    "rr_kv_items",
    "rr_kv_used_bytes",
    "rr_kv_limit_bytes",
    "rr_kv_evictions_total",
    "rr_lock_held",
    "rr_lock_waiting",
    "rr_service_processes",
    "rr_service_restarts_total",
    "rr_rpc_connections",
    "rr_rpc_calls_total",
    "rr_rpc_errors_total",
];
const OF_PROCESS: [&str; 8] = [
    "process_cpu_seconds_total",
    "process_resident_memory_bytes",
    "process_virtual_memory_bytes",
    "process_threads",
    "process_start_time_seconds",
    "process_open_fds",
    "process_max_fds",
    "rr_build_info",
];
const OF_PHP: [&str; 11] = [
    "php_memory_bytes",
    "php_memory_peak_bytes",
    "php_gc_runs_total",
    "php_gc_collected_total",
    "php_opcache_hits_total",
    "php_opcache_misses_total",
    "php_opcache_restarts_total",
    "php_opcache_used_bytes",
    "php_opcache_free_bytes",
    "php_opcache_wasted_bytes",
    "php_opcache_scripts",
];

/// Names that no collector may take.
pub(crate) fn reserved() -> impl Iterator<Item = String> {
    let of_pools =
        POOLS.iter().flat_map(|pool| OF_POOLS.iter().map(move |(end, _)| format!("rr_{pool}_{end}")));
    let others = PROMISED.iter().chain(&OF_PROCESS).chain(&OF_PHP).map(|name| (*name).to_owned());
    of_pools.chain(others)
}

/// How long a look at the memory of workers is good for: it walks their page tables.
const FRESH: Duration = Duration::from_secs(1);

/// The workers of a pool (ME-04).
#[derive(Debug)]
pub struct PoolSeries {
    pool: Weak<Pool>,
    /// When the memory of workers was read, and what it was, by process.
    memory: Mutex<Option<(Instant, HashMap<u32, u64>)>>,
}

impl PoolSeries {
    /// Those of `pool`, for as long as it lives.
    #[must_use]
    pub fn new(pool: &Arc<Pool>) -> Self {
        Self { pool: Arc::downgrade(pool), memory: Mutex::default() }
    }

    fn memory(&self, workers: &[WorkerInfo]) -> HashMap<u32, u64> {
        let mut memory = self.memory.lock();
        match &*memory {
            Some((read, memory)) if read.elapsed() < FRESH => memory.clone(),
            _ => {
                let read = workers.iter().map(|worker| worker.pid);
                let read = read.filter_map(|pid| Some((pid, rr_os::proc::private_memory(pid).ok()?)));
                memory.insert((Instant::now(), read.collect())).1.clone()
            }
        }
    }
}

impl Collect for PoolSeries {
    fn collect(&self, page: &mut Page) {
        let Some(pool) = self.pool.upgrade() else { return };
        let workers: Vec<_> =
            pool.workers().into_iter().filter(|worker| worker.state != State::Dead).collect();
        let memory = self.memory(&workers);
        let used = |worker: &WorkerInfo| memory.get(&worker.pid).copied().unwrap_or(0) as f64;
        let in_state = |state| workers.iter().filter(|worker| worker.state == state).count();
        let (ready, working) = (in_state(State::Ready), in_state(State::Working));
        let numbers = [
            Some(workers.len() as f64),
            Some(workers.iter().map(used).sum()),
            None,
            None,
            Some(ready as f64),
            Some(working as f64),
            Some((workers.len() - ready - working) as f64),
            Some(pool.queue_len() as f64),
        ];
        for (index, ((end, help), number)) in OF_POOLS.iter().zip(numbers).enumerate() {
            let name = format!("rr_{}_{end}", pool.name());
            if number.is_none() && workers.is_empty() {
                continue;
            }
            page.family(&name, Gauge, help);
            if let Some(number) = number {
                page.sample(&name, &[], number);
                continue;
            }
            for worker in &workers {
                let pid = worker.pid.to_string();
                if index == 2 {
                    page.sample(&name, &[("state", worker.state.name()), ("pid", &pid)], 1.0);
                } else {
                    page.sample(&name, &[("pid", &pid)], used(worker));
                }
            }
        }
    }
}

/// The master's process.
#[derive(Debug)]
pub struct ProcessSeries {
    version: &'static str,
    php: String,
}

impl ProcessSeries {
    /// With what `rr_build_info` says.
    #[must_use]
    pub const fn new(version: &'static str, php: String) -> Self {
        Self { version, php }
    }
}

impl Collect for ProcessSeries {
    fn collect(&self, page: &mut Page) {
        let [cpu, resident, addresses, threads, began, open, most, build] = OF_PROCESS;
        page.family(build, Gauge, "The versions of this server and of PHP; the value is 1.");
        page.sample(build, &[("version", self.version), ("php", &self.php)], 1.0);
        let Ok(usage) = rr_os::proc::usage() else { return };
        let rows = [
            (cpu, Counter, "Processor time of the master.", usage.processor),
            (resident, Gauge, "Resident memory of the master.", usage.resident as f64),
            (addresses, Gauge, "Address space of the master.", usage.addresses as f64),
            (threads, Gauge, "Threads of the master.", usage.threads as f64),
            (began, Gauge, "When the master began, in seconds since 1970.", usage.began),
            (open, Gauge, "Open descriptors of the master.", usage.descriptors as f64),
            (most, Gauge, "Limit of open descriptors of the master.", usage.max_descriptors as f64),
        ];
        for (name, kind, help, value) in rows {
            page.family(name, kind, help);
            page.sample(name, &[], value);
        }
    }
}

/// PHP in the workers, as they say of themselves. `sums` are the totals of all cells.
pub(crate) fn php(page: &mut Page, workers: &[(WorkerId, Cells)], sums: &[f64]) {
    // Whatever a worker has written, a size is finite and not negative.
    let number =
        |cells: &Cells, index| Some(cells.number(index)).filter(|number| (0.0..1e300).contains(number));
    let [memory, peak, runs, collected, hits, misses, restarts, used, free, wasted, scripts] = OF_PHP;
    let mut counter = |name, help, value| {
        page.family(name, Counter, help);
        page.sample(name, &[], value);
    };
    counter(runs, "Runs of PHP's garbage collector.", sums[vitals::GC_RUNS]);
    counter(collected, "Cycles that PHP's garbage collector has collected.", sums[vitals::GC_COLLECTED]);
    for (name, cell, help) in [
        (memory, vitals::MEMORY, "Memory that PHP uses in a worker after its last request."),
        (peak, vitals::PEAK, "The most memory that PHP has used in a worker."),
    ] {
        let mut rows: Vec<_> = workers
            .iter()
            .filter_map(|((pool, worker), cells)| {
                Some((pool, worker, number(cells, cell).filter(|number| *number > 0.0)?))
            })
            .collect();
        if rows.is_empty() {
            continue;
        }
        rows.sort_by_key(|(pool, worker, _)| (*pool, *worker));
        page.family(name, Gauge, help);
        for (pool, worker, value) in rows {
            page.sample(name, &[("pool", pool), ("worker", &worker.to_string())], value);
        }
    }
    // All workers of a generation see one OPcache: the youngest look at it counts.
    let seen = |cells: &Cells| number(cells, vitals::OPCACHE_SEEN).unwrap_or(0.0);
    let youngest =
        workers.iter().map(|(_, cells)| cells).max_by(|one, other| seen(one).total_cmp(&seen(other)));
    let Some(cells) = youngest.filter(|cells| seen(cells) > 0.0) else { return };
    let rows = [
        (hits, Counter, "Scripts that were found in OPcache.", vitals::OPCACHE_HITS),
        (misses, Counter, "Scripts that were not found in OPcache.", vitals::OPCACHE_MISSES),
        (restarts, Counter, "Restarts of OPcache.", vitals::OPCACHE_RESTARTS),
        (used, Gauge, "Memory of OPcache in use.", vitals::OPCACHE_USED),
        (free, Gauge, "Memory of OPcache that is free.", vitals::OPCACHE_FREE),
        (wasted, Gauge, "Memory of OPcache that is lost until it restarts.", vitals::OPCACHE_WASTED),
        (scripts, Gauge, "Scripts in OPcache.", vitals::OPCACHE_SCRIPTS),
    ];
    for (name, kind, help, cell) in rows {
        page.family(name, kind, help);
        page.sample(name, &[], number(cells, cell).unwrap_or(0.0));
    }
}
