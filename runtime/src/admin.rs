//! What the server tells of itself and can be told to do, by workers and over RPC (rows R-01…R-21).

use parking_lot::Mutex;
use rr_plugin::{Attendant, Attended};
use rr_pool::{Answer, Pool, State, WorkerInfo};
use rr_rpc::{Plain, Raw, Registry, Reply, Service};
use rr_status::{Source, View};
use rr_wire::COMPATIBLE;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::{mpsc, oneshot};

/// What the master can be told to do, by a signal, by PHP or over RPC.
#[derive(Debug)]
pub(crate) enum Order {
    /// Start a new generation; says how it went to whom it may concern.
    Reload(Option<oneshot::Sender<Result<(), String>>>),
    /// Drain and leave.
    Stop,
}

/// What there is to look after.
pub(crate) struct Desk {
    orders: mpsc::UnboundedSender<Order>,
    /// All settings as JSON.
    config: String,
    /// The plugin with workers, and its pool once it serves.
    pool: OnceLock<(&'static str, Weak<Pool>)>,
    /// Plugins with processes and without a pool.
    attendants: Mutex<Vec<Arc<dyn Attendant>>>,
    stopping: AtomicBool,
}

impl Source for Desk {
    fn pools(&self) -> Vec<(&'static str, Arc<Pool>)> {
        self.pool.get().and_then(|(name, pool)| Some((*name, pool.upgrade()?))).into_iter().collect()
    }

    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }
}

impl Desk {
    pub(crate) fn new(orders: mpsc::UnboundedSender<Order>, config: String) -> Arc<Self> {
        Arc::new(Self {
            orders,
            config,
            pool: OnceLock::new(),
            attendants: Mutex::default(),
            stopping: AtomicBool::new(false),
        })
    }

    /// The pool that serves.
    pub(crate) fn serve(&self, plugin: &'static str, pool: &Arc<Pool>) {
        let _ = self.pool.set((plugin, Arc::downgrade(pool)));
    }

    fn pool(&self, plugin: &str) -> Option<Arc<Pool>> {
        self.pool.get().filter(|(name, _)| *name == plugin).and_then(|(_, pool)| pool.upgrade())
    }

    /// Another plugin with processes.
    pub(crate) fn attend(&self, attendant: Arc<dyn Attendant>) {
        self.attendants.lock().push(attendant);
    }

    /// The server finishes what it has (ST-04).
    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    fn attendant(&self, plugin: &str) -> Option<Arc<dyn Attendant>> {
        self.attendants.lock().iter().find(|attendant| attendant.name() == plugin).cloned()
    }

    fn plugins(&self) -> Vec<String> {
        let pool = self.pool.get().map(|(name, _)| (*name).to_owned());
        let others =
            self.attendants.lock().iter().map(|attendant| attendant.name().to_owned()).collect::<Vec<_>>();
        pool.into_iter().chain(others).collect()
    }

    fn order(&self, order: Order) -> Result<(), String> {
        self.orders.send(order).map_err(|_| "the server is stopping".to_owned())
    }

    /// Adds the services of the server itself.
    pub(crate) fn register(self: &Arc<Self>, registry: &mut Registry, view: &Arc<View>) {
        registry.add(self.rpc());
        registry.add(self.informer());
        registry.add(self.resetter());
        registry.add(self.server(view));
    }

    fn rpc(self: &Arc<Self>) -> Service {
        let this = Arc::clone(self);
        Service::new("rpc")
            .method("Version", |_: Plain<bool>| Ok::<_, String>(Plain(COMPATIBLE.to_owned())))
            .method("Config", move |_: Plain<bool>| Ok::<_, String>(Raw(this.config.clone().into_bytes())))
    }

    fn informer(self: &Arc<Self>) -> Service {
        let (list, workers, add, remove) =
            (Arc::clone(self), Arc::clone(self), Arc::clone(self), Arc::clone(self));
        let managed = |pool: Option<Arc<Pool>>, plugin: &str| {
            pool.ok_or_else(|| format!("plugin {plugin} does not support workers management"))
        };
        Service::new("informer")
            .method("List", move |_: Plain<bool>| Ok::<_, String>(Plain(list.plugins())))
            .method("Workers", move |Plain(plugin): Plain<String>| {
                let (pool, attendant) = (workers.pool(&plugin), workers.attendant(&plugin));
                Reply::later(async move {
                    let read = match (pool, attendant) {
                        (Some(pool), _) => {
                            let list = pool.workers();
                            tokio::task::spawn_blocking(move || list.iter().map(Worker::of).collect())
                        }
                        (None, Some(attendant)) => {
                            let list = attendant.processes();
                            tokio::task::spawn_blocking(move || {
                                list.into_iter().map(Worker::attended).collect()
                            })
                        }
                        // An unknown plugin has none, which is no error.
                        (None, None) => return Ok(Plain(Workers { workers: None })),
                    };
                    Ok(Plain(Workers { workers: Some(read.await.map_err(|error| error.to_string())?) }))
                })
            })
            .method("Jobs", |_: Plain<String>| Ok::<_, String>(Plain(None::<Vec<bool>>)))
            .method("AddWorker", move |Plain(plugin): Plain<String>| {
                managed(add.pool(&plugin), &plugin)?.add_worker().map(|()| Plain(false))
            })
            .method("RemoveWorker", move |Plain(plugin): Plain<String>| {
                managed(remove.pool(&plugin), &plugin)?.remove_worker();
                Ok::<_, String>(Plain(false))
            })
    }

    fn resetter(self: &Arc<Self>) -> Service {
        let (list, reset) = (Arc::clone(self), Arc::clone(self));
        Service::new("resetter")
            .method("List", move |_: Plain<bool>| Ok::<_, String>(Plain(list.plugins())))
            // true once the new workers are up; what goes wrong is said (CLI-08 loses it).
            .method("Reset", move |Plain(plugin): Plain<String>| {
                if let Some(attendant) = reset.attendant(&plugin) {
                    return Reply::later(async move { attendant.reset().await.map(|()| Plain(true)) });
                }
                let (sender, receiver) = oneshot::channel();
                let ordered = match reset.pool(&plugin) {
                    Some(_) => reset.order(Order::Reload(Some(sender))),
                    None => Err(format!("resetter_rpc_reset: no such plugin: {plugin}")),
                };
                Reply::later(async move {
                    ordered?;
                    receiver.await.map_err(|_| "the server is stopping".to_owned())??;
                    Ok(Plain(true))
                })
            })
    }

    /// What `RoadRunner\Server` asks for.
    fn server(self: &Arc<Self>, view: &Arc<View>) -> Service {
        let view = Arc::clone(view);
        let (reload, stop, workers) = (Arc::clone(self), Arc::clone(self), Arc::clone(self));
        let done = |result: Result<(), String>| Answer::Now(result.map(|()| b"true".to_vec()));
        Service::new("server")
            // Ours: the workers of a plugin, of all without a name, and what each does (docs/status.md).
            .method("Workers", move |Plain(plugin): Plain<String>| {
                let view = Arc::clone(&view);
                Reply::later(async move { view.workers(&plugin).await.map(Plain) })
            })
            .native("Reload", move |_, _| done(reload.order(Order::Reload(None))))
            .native("Stop", move |_, _| done(stop.order(Order::Stop)))
            .native("Workers", move |_, _| Answer::Now(workers.table()))
    }

    fn table(&self) -> Result<Vec<u8>, String> {
        let pool = self.pool.get().and_then(|(_, pool)| pool.upgrade());
        let workers = pool.map(|pool| pool.workers()).unwrap_or_default();
        let rows: Vec<_> = workers
            .iter()
            .map(|worker| {
                json!({
                    "id": worker.id, "pid": worker.pid, "generation": worker.generation,
                    "state": worker.state.name(), "served": worker.served,
                    "age_ms": worker.age.as_millis() as u64,
                    "busy_ms": worker.busy_for.map(|busy| busy.as_millis() as u64),
                })
            })
            .collect();
        serde_json::to_vec(&rows).map_err(|error| error.to_string())
    }
}

///
#[derive(Debug, Default, Serialize, Deserialize)]
struct Workers {
    workers: Option<Vec<Worker>>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Worker {
    pid: u32,
    status: u8,
    #[serde(rename = "numExecs")]
    executions: u64,
    created: u64,
    #[serde(rename = "memoryUsage")]
    memory: u64,
    #[serde(rename = "CPUPercent")]
    cpu: f64,
    command: String,
    #[serde(rename = "statusStr")]
    state: String,
}

impl Worker {
    fn of(info: &WorkerInfo) -> Self {
        // WRK-12's numbers and names.
        let (status, state) = match info.state {
            State::Booting => (0, "inactive"),
            State::Ready => (1, "ready"),
            State::Working => (2, "working"),
            State::Draining => (4, "stopping"),
            State::Dead => (5, "stopped"),
        };
        Self {
            pid: info.pid,
            status,
            executions: info.served,
            created: created(info.age),
            // What it alone has: pages that it shares with the zygote are nobody's cost (5.12, 22).
            memory: rr_os::proc::private_memory(info.pid).unwrap_or(0),
            cpu: processor_share(info.pid, info.age),
            command: String::new(),
            state: state.to_owned(),
        }
    }

    fn attended(process: Attended) -> Self {
        let (pid, age) = (process.pid, process.since.elapsed());
        Self {
            pid,
            status: 1,
            executions: process.restarts,
            created: created(age),
            memory: rr_os::proc::resident_memory(pid).unwrap_or(0),
            cpu: processor_share(pid, age),
            command: process.command,
            state: "running".to_owned(),
        }
    }
}

/// When something of this age was made, in nanoseconds since 1970.
fn created(age: Duration) -> u64 {
    let time = SystemTime::now().checked_sub(age).and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    time.map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(0))
}

/// Percent of one processor that a process has used over its life.
fn processor_share(pid: u32, age: Duration) -> f64 {
    let used = rr_os::proc::processor_time(pid).unwrap_or_default().as_secs_f64();
    if age.is_zero() { 0.0 } else { 100.0 * used / age.as_secs_f64() }
}
