//! The supervisor's clock: a round of the pool, and the memory of its workers read off the runtime's thread.

use rr_pool::{Pool, State};
use std::sync::Arc;
use std::time::Duration;

/// Runs for as long as the pool lives.
pub(crate) async fn run(pool: Arc<Pool>, config: rr_config::Pool) {
    let dynamic = config.dynamic_allocator.is_some();
    let config = config.supervisor;
    let idle = config.ttl.is_zero() && config.idle_ttl.is_zero() && config.max_worker_memory == 0;
    if idle && !dynamic {
        // Nothing to watch: an idle server sleeps.
        return;
    }
    let period = config.watch_tick.max(Duration::from_millis(100));
    loop {
        tokio::time::sleep(period).await;
        pool.supervise();
        if config.max_worker_memory == 0 {
            continue;
        }
        let workers = pool.workers();
        let limit = config.max_worker_memory * 1024 * 1024;
        // Reading it walks the worker's page tables: milliseconds for a large one.
        let over = tokio::task::spawn_blocking(move || {
            let alive = workers.iter().filter(|worker| matches!(worker.state, State::Ready | State::Working));
            let read = alive.filter_map(|worker| {
                let used = rr_os::proc::private_memory(worker.pid).ok()?;
                (used >= limit).then_some((worker.id, worker.pid, used))
            });
            read.collect::<Vec<_>>()
        })
        .await
        .unwrap_or_default();
        for (worker, pid, used) in &over {
            let (used_mb, limit_mb) = (used >> 20, config.max_worker_memory);
            tracing::info!(target: "server", pool = pool.name(), worker, pid, used_mb, limit_mb, "a worker is replaced: max_worker_memory");
        }
        pool.over_memory(&over.iter().map(|(id, ..)| *id).collect::<Vec<_>>());
    }
}
