//! From config sections to what the crates below take.

use rr_config::Pool;
use rr_pool::{Dynamic, Limits};

/// The limits of a pool.
pub(crate) fn limits(pool: &Pool) -> Limits {
    let supervisor = &pool.supervisor;
    Limits {
        num_workers: pool.workers(),
        max_jobs: pool.max_jobs,
        max_queue_size: pool.max_queue_size,
        allocate_timeout: pool.allocate_timeout,
        destroy_timeout: pool.destroy_timeout,
        reset_timeout: pool.reset_timeout,
        stream_timeout: pool.stream_timeout,
        debug: pool.debug,
        ttl: supervisor.ttl,
        idle_ttl: supervisor.idle_ttl,
        exec_ttl: supervisor.exec_ttl,
        dynamic: pool.dynamic_allocator.as_ref().map(|dynamic| Dynamic {
            max_workers: dynamic.max_workers,
            spawn_rate: dynamic.spawn_rate,
            idle_timeout: dynamic.idle_timeout,
            grow_after: dynamic.grow_after,
        }),
        prefetch: if pool.debug { 0 } else { pool.prefetch },
    }
}
