//! From config sections to what the crates below take.

use rr_config::{Config, DynamicAllocator, Http, Middleware, Mode, Pool, Redis};
use rr_pool::{Dynamic, Limits};
use std::path::Path;
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

/// The limits of the pool that `config` asks for; none without workers.
pub(crate) fn workers(config: &Config) -> Option<Limits> {
    match &config.http {
        Some(http) => Some(limits(&self::pool(http))),
        None => config.serves_without_workers().then(|| Limits { num_workers: 0, ..Limits::default() }),
    }
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

/// What command workers cannot do: hold a unit that they have not begun, or be told that one takes too long.
pub(crate) fn for_commands(limits: &mut Limits) {
    limits.prefetch = 0;
    limits.exec_grace = Duration::ZERO;
}

/// Settings that are understood and have no effect yet, each with what happens instead: nothing is ignored silently.
pub(crate) fn without_effect(config: &Config, command: bool) -> Vec<String> {
    let mut notes = Vec::new();
    let mut note = |given: bool, key: &str, instead: &str| {
        if given {
            notes.push(format!("{key} has no effect in this version; {instead}"));
        }
    };
    let server = &config.server;
    let handler = match config.http {
        Some(_) => "workers run what Server::http() or httpLoop() was given",
        None => "no section that is served has workers",
    };
    note(!command && !server.command.is_empty(), "server.command", handler);
    note(!command && server.relay != "pipes", "server.relay", "native workers are on shared memory");
    if let Some(http) = &config.http {
        note(!command && !http.pool.command.is_empty(), "http.pool.command", handler);
        let traced = http.middleware.contains(&Middleware::Otel);
        note(traced && config.otel.is_none(), "http.middleware: otel", "give an otel section");
        let wanted = config.otel.as_ref().is_some_and(|otel| !otel.metrics);
        note(wanted && !traced, "otel", "requests are traced with otel in http.middleware");
        let counted = http.middleware.contains(&Middleware::HttpMetrics);
        let unread = "give a metrics section, where it can be read";
        note(counted && config.metrics.is_none(), "http.middleware: http_metrics", unread);
    }
    note(config.endure.print_graph, "endure.print_graph", "there is no plugin graph");
    notes
}

/// Redis servers. Relative files are below `here`.
pub(crate) fn redis(section: &Redis, here: &Path) -> rr_redis::Settings {
    let file = |path: &Option<String>| path.as_ref().map(|path| here.join(path));
    rr_redis::Settings {
        addresses: section.addrs.clone(),
        master: section.master_name.clone(),
        sentinel_password: section.sentinel_password.clone(),
        username: section.username.clone(),
        password: section.password.clone(),
        db: section.db,
        tls: section.tls.as_ref().map(|tls| rr_redis::Tls {
            cert: file(&tls.cert),
            key: file(&tls.key),
            root_ca: file(&tls.root_ca),
        }),
        connect: section.dial_timeout,
        answer: section.read_timeout,
        retries: section.max_retries,
        backoff: (section.min_retry_backoff, section.max_retry_backoff),
        replicas: section.read_only || section.route_randomly || section.route_by_latency,
    }
}

#[cfg(any(feature = "lock-etcd", feature = "lock-postgres"))]
fn tls(section: &rr_config::ClientTls, here: &Path) -> rr_lock::foreign::Tls {
    let file = |path: &Option<String>| path.as_ref().map(|path| here.join(path));
    rr_lock::foreign::Tls {
        root_ca: file(&section.root_ca),
        identity: file(&section.cert).zip(file(&section.key)),
    }
}

/// The etcd servers of the locks. Relative files are below `here`.
#[cfg(feature = "lock-etcd")]
pub(crate) fn etcd(section: &rr_config::Etcd, prefix: &str, here: &Path) -> rr_lock::etcd::Settings {
    rr_lock::etcd::Settings {
        endpoints: section.endpoints.clone(),
        prefix: prefix.to_owned(),
        connect: section.dial_timeout,
        answer: section.read_timeout,
        tls: section.tls.as_ref().map(|section| tls(section, here)),
    }
}

/// The database of the locks. Relative files are below `here`.
#[cfg(feature = "lock-postgres")]
pub(crate) fn postgres(
    section: &rr_config::Postgres,
    prefix: &str,
    here: &Path,
) -> rr_lock::postgres::Settings {
    rr_lock::postgres::Settings {
        dsn: section.dsn.clone(),
        prefix: prefix.to_owned(),
        connect: section.dial_timeout,
        answer: section.read_timeout,
        tls: tls(&section.tls, here),
    }
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
        assert!(without_effect(&config("http: {address: ':0'}"), false).is_empty());
        let notes = without_effect(
            &config("server: {command: php w.php}\nhttp: {address: ':0', pool: {command: php x.php}}"),
            false,
        );
        assert_eq!(notes.len(), 2);
        assert!(
            without_effect(&config("metrics: {}\nhttp: {address: ':0', middleware: [http_metrics]}"), false)
                .is_empty()
        );
        assert!(notes[0].starts_with("server.command has no effect in this version; workers run"));
        let notes = without_effect(&config("server: {command: php w.php}\nhttp: {address: ':0'}"), true);
        assert!(notes.is_empty());
    }
}
