//! From config sections to what the crates below take.

use rr_config::{Config, DynamicAllocator, Http, Mode, Pool};
use rr_pool::{Dynamic, Limits};
use std::time::Duration;

/// The pool of the HTTP plugin. Snapshots are workers for one request each: spares that are forked ahead, more of
/// them while requests wait.
pub(crate) fn pool(http: &Http) -> Pool {
    let mut pool = http.pool.clone();
    if http.app.mode == Mode::Snapshot {
        pool.max_jobs = 1;
        pool.prefetch = 0;
        let workers = pool.workers();
        pool.dynamic_allocator.get_or_insert(DynamicAllocator {
            max_workers: (4 * workers).clamp(4, 100),
            spawn_rate: workers.clamp(1, 8),
            idle_timeout: Duration::from_secs(10),
            grow_after: Duration::from_millis(5),
        });
    }
    pool
}

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
        exec_grace: supervisor.exec_grace,
        dynamic: pool.dynamic_allocator.as_ref().map(|dynamic| Dynamic {
            max_workers: dynamic.max_workers,
            spawn_rate: dynamic.spawn_rate,
            idle_timeout: dynamic.idle_timeout,
            grow_after: dynamic.grow_after,
        }),
        prefetch: if pool.debug { 0 } else { pool.prefetch },
    }
}

/// Settings that are understood and have no effect yet, each with what happens instead: nothing is ignored silently.
pub(crate) fn without_effect(config: &Config) -> Vec<String> {
    let mut notes = Vec::new();
    let mut note = |given: bool, key: &str, instead: &str| {
        if given {
            notes.push(format!("{key} has no effect in this version; {instead}"));
        }
    };
    let server = &config.server;
    let handler = "workers run what Server::http() or httpLoop() was given";
    note(!server.command.is_empty(), "server.command", handler);
    note(server.relay != "pipes", "server.relay", "native workers are on shared memory");
    note(server.on_init.is_some(), "server.on_init", "run the command before the server");
    if let Some(http) = &config.http {
        note(!http.pool.command.is_empty(), "http.pool.command", handler);
    }
    note(config.endure.print_graph, "endure.print_graph", "there is no plugin graph");
    notes
}

#[cfg(test)]
mod tests {
    use super::*;
    use rr_config::Loader;

    fn config(yaml: &str) -> Config {
        Loader::new().text("test", &format!("version: '3'\n{yaml}")).load().expect("loads").config
    }

    #[test]
    fn settings_without_effect_are_said() {
        assert!(without_effect(&config("http: {address: ':0'}")).is_empty());
        let notes = without_effect(&config(
            "server: {command: php w.php}\nhttp: {address: ':0', pool: {command: php x.php}}",
        ));
        assert_eq!(notes.len(), 2);
        assert!(notes[0].starts_with("server.command has no effect in this version; workers run"));
    }
}
