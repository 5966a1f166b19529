//! The one list of plugins.

use crate::admin::Desk;
use crate::obituaries::Obituaries;
use crate::series::LockSeries;
use crate::settings;
use rr_config::{Collector, CollectorType, Config, LockDriver, Middleware};
use rr_http::{ErrorPages, HttpPlugin, Traffic};
use rr_kv::bolt::Bolt;
use rr_kv::memcached::Memcached;
use rr_kv::redis::Redis;
use rr_kv::{Memory, Storage, Storages};
use rr_lock::LockPlugin;
use rr_lock::foreign::{Backend, Foreign};
use rr_metrics::{Definition, Kind, MetricsPlugin};
use rr_os::sentry::Keeper;
use rr_plugin::{Background, Plugin};
use rr_rpc::{Registry, RpcPlugin};
use rr_service::{Launcher, ServicePlugin, Services};
use rr_status::{Source, StatusPlugin, View};
use std::ffi::{CStr, CString};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// A plugin, and the pool it wants.
pub(crate) struct Entry {
    pub(crate) plugin: Box<dyn Plugin>,
    pub(crate) pool: rr_config::Pool,
    /// Read anew at a reload.
    pub(crate) pages: Arc<ErrorPages>,
    /// Counts its requests (HS-11).
    pub(crate) traffic: Option<Arc<Traffic>>,
}

/// The plugins that `config` asks for, bound to their addresses. Relative files are below `here`.
///
/// # Errors
/// The text of what the first one lacks.
pub(crate) fn enabled(config: &Config, sockets: Vec<OwnedFd>, here: &Path) -> Result<Vec<Entry>, String> {
    let mut entries = Vec::new();
    if let Some(http) = &config.http {
        let pages = Arc::new(ErrorPages::default());
        pages.read(here, &http.error_pages)?;
        let plugin = HttpPlugin::bind(http.clone(), sockets).map_err(|error| error.to_string())?;
        let counted = http.middleware.contains(&Middleware::HttpMetrics);
        let traffic = counted.then(Arc::<Traffic>::default);
        let plugin = Box::new(plugin.with_pages(Arc::clone(&pages)).with_traffic(traffic.clone()));
        entries.push(Entry { plugin, pool: settings::pool(http), pages, traffic });
    } else if config.serves_without_workers() {
        let (pool, pages) = (rr_config::Pool::default(), Arc::default());
        entries.push(Entry { plugin: Box::new(Bystander), pool, pages, traffic: None });
    }
    Ok(entries)
}

/// Serves nothing: where the config has listeners and programs only, the server lives as long as it would with workers.
struct Bystander;

impl Plugin for Bystander {
    fn name(&self) -> &'static str {
        "server"
    }

    fn addresses(&self) -> Vec<String> {
        Vec::new()
    }

    fn serve(self: Box<Self>, mut context: rr_plugin::Context) -> rr_pool::BoxFuture<()> {
        Box::pin(async move { context.drain.wait().await })
    }
}

/// The locks. What is to be given back at the end is given back by what this returns.
///
/// # Errors
/// The text of what their driver lacks.
pub(crate) fn locks(
    config: &Config,
    here: &Path,
    registry: &mut Registry,
    metrics: &rr_metrics::Registry,
) -> Result<Option<Box<dyn Background>>, String> {
    let section = &config.lock;
    let backend: Option<Arc<dyn Backend>> = match section.driver {
        LockDriver::Memory => None,
        #[cfg(feature = "lock-redis")]
        LockDriver::Redis => {
            let servers = rr_redis::Redis::new(settings::redis(&section.redis, here));
            let servers = servers.map_err(|error| format!("lock.redis: {error}"))?;
            Some(Arc::new(rr_lock::redis::RedisLocks::new(servers, &section.prefix)))
        }
        #[cfg(feature = "lock-postgres")]
        LockDriver::Postgres => {
            let settings = settings::postgres(&section.postgres, &section.prefix, here);
            let locks = rr_lock::postgres::PostgresLocks::new(&settings);
            Some(Arc::new(locks.map_err(|error| format!("lock.postgres: {error}"))?))
        }
        #[cfg(feature = "lock-etcd")]
        LockDriver::Etcd => {
            let settings = settings::etcd(&section.etcd, &section.prefix, here);
            let locks = rr_lock::etcd::EtcdLocks::new(settings);
            Some(Arc::new(locks.map_err(|error| format!("lock.etcd: {error}"))?))
        }
        #[cfg(not(all(feature = "lock-redis", feature = "lock-postgres", feature = "lock-etcd")))]
        other => {
            let feature = format!("lock-{other:?}").to_lowercase();
            let _ = here;
            return Err(format!(
                "lock.driver: this build has none of that kind; build it with feature {feature}"
            ));
        }
    };
    let Some(backend) = backend else {
        let driver = rr_lock::memory(section);
        metrics.offer(Arc::new(LockSeries(Arc::downgrade(&driver))));
        rr_lock::register(section, driver, registry);
        return Ok(None);
    };
    let settings = rr_lock::foreign::Settings { limits: rr_lock::limits(section), lease: section.lease };
    let driver: Arc<dyn rr_lock::Driver> =
        Arc::new(Foreign::new(backend, settings, format!("{:016x}", seed())));
    metrics.offer(Arc::new(LockSeries(Arc::downgrade(&driver))));
    rr_lock::register(section, Arc::clone(&driver), registry);
    Ok(Some(Box::new(LockPlugin(driver))))
}

/// A number that nobody else has.
fn seed() -> u64 {
    std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), 0)
}

/// The plugins without workers, bound to their addresses. What they have to offer to workers and over RPC is in
/// `registry`.
///
/// # Errors
/// The text of what the first one lacks.
pub(crate) fn background(
    config: &Config,
    registry: &Arc<Registry>,
    metrics: &Arc<rr_metrics::Registry>,
) -> Result<Vec<Box<dyn Background>>, String> {
    let mut plugins: Vec<Box<dyn Background>> = Vec::new();
    if let Some(rpc) = &config.rpc {
        let settings = rr_rpc::Settings {
            listen: rpc.listen.clone(),
            max_message_size: rpc.max_message_size,
            max_connections: rpc.max_connections,
        };
        let plugin = RpcPlugin::bind(settings, Arc::clone(registry)).map_err(|error| error.to_string())?;
        plugins.push(Box::new(plugin));
    }
    if let Some(section) = &config.metrics {
        let plugin = MetricsPlugin::bind(&section.address, Arc::clone(metrics));
        plugins.push(Box::new(plugin.map_err(|error| error.to_string())?));
    }
    Ok(plugins)
}

/// The metrics, with the collectors of the config. They are there without a section too: workers may count where
/// nobody looks.
///
/// # Errors
/// The text of what is wrong with the first collector that Prometheus would not take.
pub(crate) fn metrics(config: &Config) -> Result<Arc<rr_metrics::Registry>, String> {
    let section = config.metrics.clone().unwrap_or_default();
    let registry = rr_metrics::Registry::new(rr_metrics::Limits { series: section.max_series });
    declare(&registry, &section.collect)?;
    Ok(Arc::new(registry))
}

/// Declares collectors of the config; says which are there already, declared by somebody else.
///
/// # Errors
/// As with [`metrics`].
pub(crate) fn declare(
    registry: &rr_metrics::Registry,
    collectors: &[(String, Collector)],
) -> Result<(), String> {
    for (name, collector) in collectors {
        let key = format!("metrics.collect.{name}");
        let collector = collector.clone();
        let definition = Definition {
            name: name.clone(),
            kind: match collector.kind {
                CollectorType::Counter => Kind::Counter,
                CollectorType::Gauge => Kind::Gauge,
                CollectorType::Histogram => Kind::Histogram,
                CollectorType::Summary => Kind::Summary,
            },
            namespace: collector.namespace,
            subsystem: collector.subsystem,
            help: collector.help,
            labels: collector.labels,
            buckets: collector.buckets,
            objectives: collector.objectives,
        };
        let new = registry.declare(definition).map_err(|error| format!("{key}: {}", error.cause))?;
        if !new {
            tracing::warn!(target: "metrics", "{key}: the app has declared a collector of this name, which stays as it is");
        }
    }
    Ok(())
}

/// The listener for monitors.
///
/// # Errors
/// The text of what it lacks.
pub(crate) fn status(
    config: &Config,
    desk: &Arc<Desk>,
    view: Arc<View>,
) -> Result<Option<StatusPlugin>, String> {
    let Some(status) = &config.status else { return Ok(None) };
    let settings = rr_status::Settings {
        address: status.address.clone(),
        unavailable: status.unavailable_status_code,
        timeout: status.check_timeout,
    };
    let plugin = StatusPlugin::bind(settings, Arc::clone(desk) as Arc<dyn Source>, view);
    plugin.map(Some).map_err(|error| error.to_string())
}

/// The services, which start with the server; `None` without their section.
pub(crate) fn services(
    config: &Config,
    env: &[CString],
    cwd: &CStr,
    obituaries: &Obituaries,
    keeper: Option<&Arc<Keeper>>,
) -> Option<ServicePlugin> {
    let (configured, keeper) = (config.service.as_ref()?, keeper?);
    let obituaries = obituaries.clone();
    let exits: rr_service::Exits = Arc::new(move |pid| Box::pin(obituaries.expect(pid).news()));
    let launcher = Launcher::new(Arc::clone(keeper), env, cwd.to_owned(), exits);
    let services = Services::new(launcher, config.server.user.clone());
    Some(ServicePlugin::new(services, service_settings(configured)))
}

/// The services of the config as their plugin takes them.
pub(crate) fn service_settings(configured: &[(String, rr_config::Service)]) -> Vec<rr_service::Settings> {
    let settings = |(name, service): &(String, rr_config::Service)| rr_service::Settings {
        name: name.clone(),
        command: service.command.clone(),
        processes: service.process_num,
        exec_timeout: service.exec_timeout,
        restart: service.remain_after_exit,
        restart_after: Duration::from_secs(service.restart_sec),
        stop_timeout: Duration::from_secs(service.timeout_stop_sec),
        env: service.env.clone(),
        user: service.user.clone(),
        name_in_log: service.service_name_in_log,
    };
    configured.iter().map(settings).collect()
}

/// The key-value storages. Relative files are below `here`.
///
/// # Errors
/// The text of what the first one lacks.
pub(crate) fn storages(config: &Config, here: &Path) -> Result<Storages, String> {
    let storage = |storage: &rr_config::Storage| {
        let name = &storage.name;
        let made = match &storage.driver {
            rr_config::Driver::Memory(memory) => {
                let settings = rr_kv::Settings {
                    limit: memory.max_memory,
                    eviction: match memory.eviction {
                        rr_config::Eviction::Lru => rr_kv::Eviction::Lru,
                        rr_config::Eviction::Fifo => rr_kv::Eviction::Fifo,
                        rr_config::Eviction::None => rr_kv::Eviction::None,
                    },
                };
                // Random, so that nobody outside can choose keys that share a bucket.
                let memory = Memory::create(settings, [seed(), seed(), seed(), seed()])
                    .map_err(|error| format!("kv.{name}: shared memory: {error}"))?;
                Storage::Memory(Arc::new(memory))
            }
            rr_config::Driver::Bolt(bolt) => {
                let settings = rr_kv::bolt::Settings {
                    file: here.join(&bolt.file),
                    mode: bolt.permissions,
                    interval: Duration::from_secs(bolt.interval),
                };
                let bolt = Bolt::open(name, settings).map_err(|error| format!("kv.{name}: {error}"))?;
                Storage::other(Arc::new(bolt))
            }
            rr_config::Driver::Redis(server) => {
                let redis = Redis::new(settings::redis(server, here))
                    .map_err(|error| format!("kv.{name}: {error}"))?;
                Storage::other(Arc::new(redis))
            }
            rr_config::Driver::Memcached(servers) => {
                let settings =
                    rr_kv::memcached::Settings { addresses: servers.addr.clone(), timeout: servers.timeout };
                Storage::other(Arc::new(Memcached::new(&settings)))
            }
        };
        Ok((name.clone(), made))
    };
    Ok(Storages::new(config.kv.iter().map(storage).collect::<Result<Vec<_>, String>>()?))
}
