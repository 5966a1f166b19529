//! The life of a master: bind, boot, fork, serve, drain.

use crate::admin::{Desk, Order};
use crate::applog::{self, LogSeries};
use crate::banner::Banner;
use crate::calls::Methods;
use crate::commands::{self, Base, Link};
use crate::generation::Nursery;
use crate::live::Live;
use crate::obituaries::Obituaries;
use crate::plugins::Entry;
use crate::reactor::Reactor;
use crate::reload::{self, Current};
use crate::series::{RpcSeries, ServiceSeries, StorageSeries};
use crate::traffic::HttpSeries;
use crate::zygote::Command;
use crate::{dev, logs, otel, plugins, settings, signals, supervisor};
use parking_lot::Mutex;
use rr_config::{Config, Loaded};
use rr_dev::Dev;
use rr_log::Guard;
use rr_metrics::{PoolSeries, ProcessSeries};
use rr_net::Listener;
use rr_os::sentry::Keeper;
use rr_plugin::trace::Tracer;
use rr_plugin::{Background, Context, Drain};
use rr_pool::{Pool, Shard};
use rr_process::User;
use rr_rpc::Registry;
use rr_status::{Source, StatusPlugin, View};
use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

/// What the PHP side knows and a server needs.
#[derive(Debug)]
pub struct Launch {
    /// The settings.
    pub loaded: Loaded,
    /// The PHP binary.
    pub binary: PathBuf,
    /// The command line that starts this script again as a zygote, INI settings included.
    pub args: Vec<CString>,
    /// The environment for it.
    pub env: Vec<CString>,
    /// Where the script runs; a release symlink in it is followed anew at every reload.
    pub cwd: CString,
    /// The folder of the script.
    pub script: PathBuf,
    /// `8.2.36 (opcache)`, for the banner.
    pub php: String,
    /// The app runs with PHP's web side: superglobals, headers, output as the response.
    pub web: bool,
    /// Workers are the config's command; the script gives no handler.
    pub command: bool,
    /// What stdout gets once the server serves (CLI-02).
    pub announce: Option<String>,
}

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The log.
    #[error("{0}")]
    Log(#[from] rr_log::SinkError),
    /// A setting that cannot be fulfilled.
    #[error("{0}")]
    Settings(String),
    /// A call to the system.
    #[error("{what}: {error}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the system says.
        error: io::Error,
    },
    /// The app does not boot.
    #[error("the app could not be booted: {0}")]
    Boot(String),
}

/// Below this not even the runtime can be built.
const MIN_DESCRIPTORS: u64 = 32;

fn system(what: &'static str) -> impl Fn(io::Error) -> ServeError {
    move |error| ServeError::System { what, error }
}

/// Serves until told to stop. Returns the exit code: 0 after a drain, 1 when a second signal forced the end.
///
/// # Errors
/// The server did not start.
pub fn serve(launch: Launch) -> Result<i32, ServeError> {
    let config = &launch.loaded.config;
    let log = rr_log::install(logs::settings(&config.logs, config.dev.enabled))?;
    for warning in &launch.loaded.warnings {
        tracing::warn!(target: "config", "{warning}");
    }
    for note in settings::without_effect(config, launch.command) {
        tracing::warn!(target: "config", "{note}");
    }
    rr_os::memory::keep_freed_memory();
    let descriptors = rr_os::process::raise_descriptor_limit();
    tracing::debug!(target: "process", descriptors, "limit of open descriptors");
    if descriptors < MIN_DESCRIPTORS {
        let text = format!(
            "a limit of {descriptors} open descriptors; a server needs {MIN_DESCRIPTORS} (ulimit -n)"
        );
        return Err(ServeError::Settings(text));
    }
    let user = user(config)?;
    let here = PathBuf::from(std::ffi::OsStr::from_bytes(launch.cwd.to_bytes()));
    // Before anything is started, so that a taken port costs nothing.
    let entries =
        plugins::enabled(config, rr_os::activation::sockets(), &here).map_err(ServeError::Settings)?;
    if entries.is_empty() {
        let text = "there is nothing to serve: call Server::http(), or give a section http with an address, rpc, service, \
                    metrics or status";
        return Err(ServeError::Settings(text.to_owned()));
    }
    let (orders, inbox) = mpsc::unbounded_channel();
    let desk = Desk::new(orders.clone(), config.to_json());
    let mut registry = Registry::default();
    let view = Arc::new(View::new(Arc::clone(&desk) as Arc<dyn Source>));
    desk.register(&mut registry, &view);
    if config.status.is_some() {
        registry.add(rr_status::methods(Arc::clone(&desk) as Arc<dyn Source>));
    }
    let mut env = launch.env;
    if let Some(rpc) = &config.rpc {
        // RP-10: where clients of RoadRunner's RPC look for it.
        env.extend(CString::new(format!("RR_RPC={}", rpc.listen)));
    }
    let obituaries = Obituaries::default();
    let foreign = launch.command || config.service.is_some() || config.server.on_init.is_some();
    // Before there is much memory.
    let keeper = foreign.then(Keeper::start).transpose().map_err(system("the sentry"))?.map(Arc::new);
    let base = keeper.as_ref().map(|keeper| Base {
        env: env.clone(),
        cwd: launch.cwd.clone(),
        user: user.clone().map(Into::into),
        keeper: Arc::clone(keeper),
    });
    let mut listener = None;
    let company = match &base {
        Some(base) if launch.command => {
            let (link, bound) = Link::bind(config).map_err(ServeError::Settings)?;
            listener = bound;
            Some((base.clone(), link))
        }
        _ => None,
    };
    let metrics = plugins::metrics(config).map_err(ServeError::Settings)?;
    let services = plugins::services(config, &env, &launch.cwd, &obituaries, keeper.as_ref());
    if let Some(services) = &services {
        registry.add(services.services().methods());
        metrics.offer(Arc::new(ServiceSeries(Arc::downgrade(services.services()))));
        desk.attend(services.attendant());
    }
    let storages = plugins::storages(config, &here).map_err(ServeError::Settings)?;
    registry.add(storages.service());
    registry.tell(Arc::new(storages.clone()));
    metrics.offer(Arc::new(StorageSeries(storages.clone())));
    let locks = plugins::locks(config, &here, &mut registry, &metrics).map_err(ServeError::Settings)?;
    registry.add(applog::service());
    // CFG-14: RoadRunner's methods come with the section.
    registry.add(match config.metrics {
        Some(_) => rr_metrics::service(&metrics),
        None => rr_metrics::native(&metrics),
    });
    let registry = Arc::new(registry);
    if config.rpc.is_some() {
        metrics.offer(Arc::new(RpcSeries(Arc::clone(&registry))));
    }
    let mut background = plugins::background(config, &registry, &metrics).map_err(ServeError::Settings)?;
    let status = plugins::status(config, &desk, view).map_err(ServeError::Settings)?;
    let live = Live {
        services: services.as_ref().map(|plugin| Arc::clone(plugin.services())),
        metrics: Arc::clone(&metrics),
        status: status.as_ref().map(StatusPlugin::dials),
    };
    background.extend(status.map(|plugin| Box::new(plugin) as Box<dyn Background>));
    background.extend(locks);
    background.extend(services.map(|plugin| Box::new(plugin) as Box<dyn Background>));
    let otel = otel::make(config, &metrics).map_err(ServeError::Settings)?;
    background.extend(otel.plugin);
    rr_os::process::become_subreaper().map_err(system("PR_SET_CHILD_SUBREAPER"))?;
    let shard = Arc::new(Shard::create().map_err(system("shared memory for the shard"))?);
    let reactor = Reactor::new(Arc::clone(&shard));
    let runtime = reactor.runtime().map_err(system("the Tokio runtime"))?;
    let frankenphp = launch.loaded.config.http.as_ref().is_some_and(|http| http.app.frankenphp);
    let command = Command {
        binary: launch.binary,
        args: launch.args,
        env,
        cwd: launch.cwd,
        user,
        web: launch.web,
        frankenphp,
        storages: storages.clone(),
    };
    let dev = dev::of(&launch.loaded.config, &here, &launch.script, &launch.php);
    let foreign = Foreign { base, company, listener };
    let announce = launch.announce;
    let server = Server {
        config: launch.loaded.config,
        php: launch.php,
        shard,
        reactor,
        command,
        foreign,
        here,
        dev,
        announce,
    };
    let thread = std::thread::Builder::new()
        .name("rr-shard-0".to_owned())
        .spawn(move || {
            // To take a processor from a worker because another has answered costs more than to find both answers later.
            if let Err(error) = rr_os::patience::begin() {
                tracing::debug!(target: "process", %error, "the server's thread preempts workers");
            }
            for (_, storage) in storages.iter() {
                runtime.spawn(storage.clone().run());
            }
            let tracer = otel.http;
            let office =
                Office { orders, inbox, desk, registry, metrics, background, tracer, live, obituaries };
            let code = runtime.block_on(server.run(entries, office, &log));
            // Tasks that read what a worker's child still holds open must not keep the server.
            runtime.shutdown_timeout(Duration::from_millis(100));
            code
        })
        .map_err(system("the shard's thread"))?;
    thread.join().unwrap_or_else(|_| {
        Err(ServeError::Settings("the server's thread panicked; this is a bug".to_owned()))
    })
}

pub(crate) fn user(config: &Config) -> Result<Option<User>, ServeError> {
    let Some(name) = &config.server.user else {
        return match &config.server.group {
            None => Ok(None),
            Some(_) => Err(ServeError::Settings("server.group: needs server.user beside it".to_owned())),
        };
    };
    let other = rr_os::user::other(name, config.server.group.as_deref());
    let other = other.map_err(|error| ServeError::Settings(format!("server.user: {error}")))?;
    Ok(other.map(Into::into))
}

/// What was prepared before there was a runtime.
struct Office {
    orders: mpsc::UnboundedSender<Order>,
    inbox: mpsc::UnboundedReceiver<Order>,
    desk: Arc<Desk>,
    registry: Arc<Registry>,
    metrics: Arc<rr_metrics::Registry>,
    background: Vec<Box<dyn Background>>,
    tracer: Option<Arc<dyn Tracer>>,
    live: Live,
    obituaries: Obituaries,
}

/// What programs that are no PHP of ours need.
struct Foreign {
    base: Option<Base>,
    company: Option<(Base, Link)>,
    listener: Option<Listener>,
}

struct Server {
    config: Config,
    php: String,
    shard: Arc<Shard>,
    reactor: Reactor,
    command: Command,
    foreign: Foreign,
    here: PathBuf,
    dev: Option<Arc<Dev>>,
    announce: Option<String>,
}

impl Server {
    async fn run(self, entries: Vec<Entry>, office: Office, log: &Guard) -> Result<i32, ServeError> {
        let Office { orders, mut inbox, desk, registry, metrics, mut background, tracer, live, obituaries } =
            office;
        signals::listen(&orders, &obituaries).map_err(system("signal handlers"))?;
        tokio::spawn(self.reactor.clone().run());
        // One plugin until the others are there; each will have its pool.
        let mut entries = entries;
        let Some(Entry { plugin, pool: pool_config, pages, traffic }) = entries.pop() else { return Ok(0) };
        let dev = self.dev;
        let limits = settings::workers(&self.config).unwrap_or_default();
        let mut limits = dev::hurry(dev.as_ref(), limits);
        if self.foreign.company.is_some() {
            settings::for_commands(&mut limits);
        }
        let patience = pool_config.allocate_timeout;
        // The variant with rings of one page is for tests, whatever the config says.
        let ring = if cfg!(feature = "tiny") { rr_shm::segment::DEFAULT_RING } else { pool_config.ring_size };
        let user = self.command.user.clone().map(|user| Arc::new(user.into()));
        let web = self.command.web;
        let Foreign { base, company, listener } = self.foreign;
        if let (Some(init), Some(base)) = (&self.config.server.on_init, &base) {
            tokio::select! {
                ran = commands::on_init(init, base, &obituaries) => ran.map_err(ServeError::Settings)?,
                () = told_to_stop(&mut inbox) => return Ok(1),
            }
        }
        let command = company.is_some();
        if let (Some((_, link)), Some(listener)) = (&company, listener) {
            link.serve(listener).map_err(system("server.relay"))?;
        }
        let nursery = Arc::new(Nursery {
            pool: plugin.name().to_owned(),
            ring,
            spin: pool_config.spin,
            shard: Arc::clone(&self.shard),
            obituaries,
            metrics: Arc::clone(&metrics),
            command: self.command,
            company,
            served_by: Mutex::new(Weak::new()),
        });
        let booting = reload::boot(&nursery, &self.config, 1, patience);
        let (generation, booted) = tokio::select! {
            booted = booting => booted.map_err(ServeError::Boot)?,
            _ = inbox.recv() => return Ok(1),
        };
        let zygote = Arc::clone(&generation.zygote);
        let methods = Arc::new(Methods { registry, dev: dev.clone() });
        let max_payload = rr_shm::frames::max_payload(ring);
        let (workers, debug) = (limits.num_workers, limits.debug);
        let pool = Pool::new(
            plugin.name(),
            limits,
            max_payload,
            Arc::clone(&self.shard),
            Arc::new(generation),
            Arc::clone(&methods) as Arc<dyn rr_pool::Calls>,
        );
        *nursery.served_by.lock() = Arc::downgrade(&pool);
        if workers > 0 {
            desk.serve(plugin.name(), &pool);
            metrics.offer(Arc::new(PoolSeries::new(&pool)));
        }
        metrics.offer(Arc::new(ProcessSeries::new(env!("CARGO_PKG_VERSION"), self.php.clone())));
        metrics.offer(Arc::new(LogSeries));
        if let Some(traffic) = traffic {
            metrics.offer(Arc::new(HttpSeries(traffic)));
        }
        tokio::spawn(Arc::clone(&pool).run_ticks());
        let mut addresses = plugin.addresses();
        addresses.extend(background.iter().flat_map(|plugin| plugin.addresses()));
        let (leave_now, leave) = Drain::channel();
        let mut aside: JoinSet<()> = JoinSet::new();
        let (early, rest) = background.into_iter().partition(|plugin| plugin.is_early());
        background = rest;
        let serve = |plugin: Box<dyn Background>, aside: &mut JoinSet<()>| {
            aside.spawn(plugin.serve(leave.clone()));
        };
        let early: Vec<Box<dyn Background>> = early;
        early.into_iter().for_each(|plugin| serve(plugin, &mut aside));
        let started = tokio::select! {
            started = start(&pool, &mut background) => started.map(|()| true),
            () = told_to_stop(&mut inbox) => Ok(false),
        };
        if !matches!(started, Ok(true)) {
            // Nothing was served that could be finished.
            pool.kill_all();
            pool.shutdown(Duration::ZERO).await;
            zygote.exit().await;
            return started.map(|_| 1);
        }
        tokio::spawn(supervisor::run(Arc::clone(&pool), pool_config.clone()));
        background.into_iter().for_each(|plugin| serve(plugin, &mut aside));
        let (drain_now, drain) = Drain::channel();
        let context =
            Context { user, web, command, pool: Arc::clone(&pool), drain, dev: dev.clone(), tracer };
        let mut serving = tokio::spawn(plugin.serve(context));
        let pid = rr_os::process::id();
        if let Some(dev) = &dev
            && let Some(signal) = dev::signal(dev)
        {
            tokio::spawn(dev::watch(Arc::clone(dev), signal, orders));
        }
        let watched = dev.as_ref().map(|dev| format!("watching {} folders", dev.watched()));
        let php = self.php;
        Banner {
            addresses,
            workers: (!debug).then_some(workers),
            php,
            pid,
            boot: booted.took,
            memory: booted.memory,
            dev: watched,
        }
        .show();
        if let Some(announce) = &self.announce {
            use std::io::Write;
            // A reader that has gone away needs no answer.
            let _ = writeln!(std::io::stdout(), "{announce}");
        }
        let _ = rr_os::notify::notify(&format!("READY=1\nMAINPID={pid}\nSTATUS={workers} workers"));
        spawn_watchdog(self.config.endure.watchdog_sec);
        let grace = self.config.endure.grace_period;
        let mut current = Current { zygote, config: self.config, here: self.here, pages, live, dev };
        obey(&mut inbox, &pool, &nursery, &mut current).await;

        tracing::info!(target: "server", grace_seconds = grace.as_secs(), "stopping: requests that run are finished first");
        desk.stop();
        let _ = rr_os::notify::notify("STOPPING=1");
        if let Some(dev) = &current.dev {
            dev.release();
        }
        let _ = drain_now.send(true);
        let deadline = Instant::now() + grace;
        let drained = async {
            let _ = tokio::time::timeout(grace, &mut serving).await;
            pool.shutdown(deadline.saturating_duration_since(Instant::now())).await;
            // Requests that the end of the pool has failed still get their answer.
            if !serving.is_finished() {
                let _ = tokio::time::timeout(Duration::from_secs(1), &mut serving).await;
            }
        };
        let code = tokio::select! {
            () = drained => 0,
            () = told_to_stop(&mut inbox) => {
                tracing::warn!(target: "server", "exit forced");
                pool.kill_all();
                1
            }
        };
        // After the workers, which may have used them to the last.
        let _ = leave_now.send(true);
        let patience = if code == 0 { grace.max(Duration::from_secs(1)) } else { Duration::ZERO };
        let left = tokio::time::timeout(patience, async { while aside.join_next().await.is_some() {} });
        let code = tokio::select! {
            _ = left => code,
            () = told_to_stop(&mut inbox) => {
                tracing::warn!(target: "server", "exit forced");
                1
            }
        };
        current.zygote.exit().await;
        let _ = tokio::time::timeout(Duration::from_secs(2), current.zygote.gone()).await;
        tracing::info!(target: "server", code, "stopped");
        log.flush();
        Ok(code)
    }
}

/// Starts the workers, then what runs beside them.
async fn start(pool: &Arc<Pool>, background: &mut [Box<dyn Background>]) -> Result<(), ServeError> {
    pool.start().await.map_err(|error| ServeError::Boot(error.to_string()))?;
    for plugin in background {
        plugin.start().await.map_err(ServeError::Settings)?;
    }
    Ok(())
}

/// Who wants to know how a reload went.
type Askers = Vec<oneshot::Sender<Result<(), String>>>;

/// What came in while something was done.
enum Meanwhile {
    Nothing,
    Reload(Askers),
    Stop,
}

/// Does what it is told until it is told to stop.
async fn obey(
    inbox: &mut mpsc::UnboundedReceiver<Order>,
    pool: &Arc<Pool>,
    nursery: &Arc<Nursery>,
    current: &mut Current,
) {
    loop {
        let zygote = Arc::clone(&current.zygote);
        let mut meanwhile = tokio::select! {
            order = inbox.recv() => match order {
                None | Some(Order::Stop) => Meanwhile::Stop,
                Some(Order::Reload(asker)) => Meanwhile::Reload(asker.into_iter().collect()),
            },
            () = zygote.gone() => during(inbox, reload::succeed(pool, nursery, current)).await.0,
        };
        while let Meanwhile::Reload(askers) = meanwhile {
            let (next, reloaded) = during(inbox, reload::reload(pool, nursery, current)).await;
            for asker in askers {
                let reloaded = reloaded.clone();
                let _ = asker.send(reloaded.unwrap_or_else(|| Err("the server is stopping".to_owned())));
            }
            meanwhile = next;
        }
        if matches!(meanwhile, Meanwhile::Stop) {
            return;
        }
    }
}

/// Does `work`. A stop ends it early; reloads that come meanwhile are one reload after it.
async fn during<T>(
    inbox: &mut mpsc::UnboundedReceiver<Order>,
    work: impl Future<Output = T>,
) -> (Meanwhile, Option<T>) {
    let mut work = std::pin::pin!(work);
    let mut meanwhile = Meanwhile::Nothing;
    loop {
        tokio::select! {
            done = &mut work => return (meanwhile, Some(done)),
            order = inbox.recv() => match (order, &mut meanwhile) {
                (None | Some(Order::Stop), _) => return (Meanwhile::Stop, None),
                (Some(Order::Reload(asker)), Meanwhile::Reload(askers)) => askers.extend(asker),
                (Some(Order::Reload(asker)), _) => meanwhile = Meanwhile::Reload(asker.into_iter().collect()),
            },
        }
    }
}

async fn told_to_stop(inbox: &mut mpsc::UnboundedReceiver<Order>) {
    while !matches!(inbox.recv().await, Some(Order::Stop) | None) {}
}

/// CLI-06: tells the service manager that the server lives, at half the period it wants.
fn spawn_watchdog(configured: u64) {
    let period = rr_os::notify::watchdog_period()
        .or_else(|| (configured > 0).then(|| Duration::from_millis(configured * 500)));
    if let Some(period) = period {
        tokio::spawn(async move {
            loop {
                let _ = rr_os::notify::notify("WATCHDOG=1");
                tokio::time::sleep(period).await;
            }
        });
    }
}
