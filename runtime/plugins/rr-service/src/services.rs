//! The list of services, and what can be done with each.

use crate::launch::Launcher;
use crate::process::{Process, Seen};
use parking_lot::Mutex;
use rr_plugin::{Attendant, Attended};
use rr_pool::BoxFuture;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Processes of all services together.
pub const MAX_PROCESSES: usize = rr_os::sentry::CAPACITY;

/// A service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Its name.
    pub name: String,
    /// What it runs, see `command.rs`.
    pub command: String,
    /// How many processes of it.
    pub processes: usize,
    /// How long a process may run; zero is no limit.
    pub exec_timeout: Duration,
    /// Whether a process is started again after its end (SV-02).
    pub restart: bool,
    /// How long after it.
    pub restart_after: Duration,
    /// How long after SIGINT it is killed (SV-04).
    pub stop_timeout: Duration,
    /// Environment variables of its own.
    pub env: Vec<(String, String)>,
    /// Whom it runs as; `None`: as the server.
    pub user: Option<String>,
    /// Its lines have the logger `service.<name>`.
    pub name_in_log: bool,
}

struct Service {
    settings: Arc<Settings>,
    processes: Mutex<Vec<Process>>,
    /// Held by what starts or stops its processes.
    busy: Arc<tokio::sync::Mutex<()>>,
}

impl Service {
    /// Starts all processes; if one cannot be, those before it are stopped.
    async fn start(&self, launcher: &Arc<Launcher>) -> Result<(), String> {
        let mut processes = Vec::new();
        for _ in 0..self.settings.processes {
            match Process::start(&self.settings, launcher) {
                Ok(process) => {
                    processes.push(process);
                    // A fork and an exec take milliseconds of the thread that serves requests: they go in between.
                    tokio::task::yield_now().await;
                }
                Err(error) => {
                    stop_all(&processes).await;
                    return Err(error);
                }
            }
        }
        *self.processes.lock() = processes;
        Ok(())
    }

    /// Stops all processes, side by side.
    async fn stop(&self) {
        let processes = std::mem::take(&mut *self.processes.lock());
        stop_all(&processes).await;
    }
}

/// Told all before the first is waited for.
async fn stop_all(processes: &[Process]) {
    let stopping: Vec<_> = processes.iter().map(Process::stop).collect();
    for stopped in stopping {
        stopped.await;
    }
}

/// All services.
pub struct Services {
    launcher: Arc<Launcher>,
    /// Whom those run as that were not in the config: a worker must not get more rights by them than it has.
    user: Option<String>,
    list: Mutex<BTreeMap<String, Arc<Service>>>,
    closed: AtomicBool,
}

impl std::fmt::Debug for Services {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Services").field("names", &self.names()).finish_non_exhaustive()
    }
}

impl Services {
    /// An empty list. Services that are made later than the config run as `user`.
    #[must_use]
    pub fn new(launcher: Launcher, user: Option<String>) -> Arc<Self> {
        Arc::new(Self {
            launcher: Arc::new(launcher),
            user,
            list: Mutex::default(),
            closed: AtomicBool::new(false),
        })
    }

    /// The user of services that are not in the config.
    pub(crate) fn user(&self) -> Option<String> {
        self.user.clone()
    }

    /// Starts a service.
    ///
    /// # Errors
    /// there is one of the name, no processes are wanted, or one cannot be started.
    pub(crate) async fn create(&self, settings: Settings) -> Result<(), String> {
        let name = settings.name.clone();
        if settings.processes == 0 {
            return Err(format!("the service with {name} name should have at least 1 process"));
        }
        if name.trim().is_empty() || name.len() > 256 || name.contains(char::is_control) {
            return Err(
                "the name of a service has 1 to 256 bytes, none of them a control character".to_owned()
            );
        }
        if let Some((variable, _)) =
            settings.env.iter().find(|(name, _)| name.is_empty() || name.contains('='))
        {
            return Err(format!("the service with {name} name: env: {variable:?} is no name of a variable"));
        }
        // Held before anybody can find it.
        let busy = Arc::new(tokio::sync::Mutex::new(()));
        let _busy = Arc::clone(&busy).lock_owned().await;
        let service = {
            let mut list = self.list.lock();
            if self.closed.load(Ordering::Acquire) {
                return Err("the server is stopping".to_owned());
            }
            if list.contains_key(&name) {
                return Err(format!("the service with {name} name already exists"));
            }
            let taken: usize = list.values().map(|service| service.settings.processes).sum();
            if taken.saturating_add(settings.processes) > MAX_PROCESSES {
                return Err(format!(
                    "{} processes for {name} beside {taken} others; all services have {MAX_PROCESSES} at most",
                    settings.processes
                ));
            }
            let service =
                Arc::new(Service { settings: Arc::new(settings), processes: Mutex::default(), busy });
            list.insert(name.clone(), Arc::clone(&service));
            service
        };
        let started = service.start(&self.launcher).await;
        if started.is_err() {
            self.list.lock().remove(&name);
        }
        started
    }

    fn find(&self, name: &str) -> Result<Arc<Service>, String> {
        let found = self.list.lock().get(name).cloned();
        found.ok_or_else(|| format!("the service with {name} name doesn't exist"))
    }

    /// The service, held: nobody else starts or stops it meanwhile.
    async fn with<T>(&self, name: &str, work: impl AsyncFnOnce(&Service) -> T) -> Result<T, String> {
        let service = self.find(name)?;
        let _busy = service.busy.lock().await;
        // Another may have ended it while this one waited.
        match self.find(name) {
            Ok(now) if Arc::ptr_eq(&now, &service) => Ok(work(&service).await),
            Ok(_) => Err(format!("the service with {name} name was replaced meanwhile")),
            Err(error) => Err(error),
        }
    }

    /// Stops a service and forgets it.
    pub(crate) async fn terminate(&self, name: &str) -> Result<(), String> {
        self.with(name, async |service| {
            service.stop().await;
            self.list.lock().remove(name);
        })
        .await
    }

    /// Goes from the services of one config to those of the next: side by side, those that are gone stop, those that are
    /// new start, those that are another do both. What is called as one of them and was started otherwise stays as it is,
    /// as do those that have not changed. One text for each that could not be started.
    pub async fn replace(self: &Arc<Self>, old: Vec<Settings>, new: Vec<Settings>) -> Vec<String> {
        let mut all = tokio::task::JoinSet::new();
        let gone = old.iter().filter(|one| !new.contains(one)).map(|one| (one.name.clone(), Some(one), None));
        let mut changes: BTreeMap<String, (Option<&Settings>, Option<&Settings>)> =
            gone.map(|(name, old, new)| (name, (old, new))).collect();
        for one in new.iter().filter(|one| !old.contains(one)) {
            changes.entry(one.name.clone()).or_default().1 = Some(one);
        }
        for (name, (old, new)) in changes {
            let (this, old, new) = (Arc::clone(self), old.cloned(), new.cloned());
            all.spawn(async move {
                if let Some(old) = old {
                    this.stop_if_it_is(&old).await;
                }
                let Some(new) = new else { return Ok(()) };
                this.create(new).await.map_err(|error| format!("service.{name}: {error}"))
            });
        }
        all.join_all().await.into_iter().filter_map(Result::err).collect()
    }

    /// Stops a service and forgets it, unless there is another of its name by now.
    async fn stop_if_it_is(&self, settings: &Settings) {
        // An error: somebody else has just ended it.
        let _ = self
            .with(&settings.name, async |service| {
                if *service.settings == *settings {
                    service.stop().await;
                    self.list.lock().remove(&settings.name);
                }
            })
            .await;
    }

    /// Stops a service and starts it again.
    pub(crate) async fn restart(&self, name: &str) -> Result<(), String> {
        self.with(name, async |service| {
            service.stop().await;
            if self.closed.load(Ordering::Acquire) {
                return Err("the server is stopping".to_owned());
            }
            service.start(&self.launcher).await
        })
        .await?
    }

    /// Restarts all, side by side (SV-05).
    async fn restart_all(self: Arc<Self>) -> Result<(), String> {
        let mut all = tokio::task::JoinSet::new();
        for name in self.names() {
            let this = Arc::clone(&self);
            all.spawn(async move {
                this.restart(&name).await.map_err(|error| format!("service.{name}: {error}"))
            });
        }
        let results = all.join_all().await;
        let errors: Vec<String> = results.into_iter().filter_map(Result::err).collect();
        if errors.is_empty() { Ok(()) } else { Err(errors.join("; ")) }
    }

    /// Stops all, side by side, for good.
    pub(crate) async fn close(self: Arc<Self>) {
        let names: Vec<String> = {
            let list = self.list.lock();
            self.closed.store(true, Ordering::Release);
            list.keys().cloned().collect()
        };
        let mut all = tokio::task::JoinSet::new();
        for name in names {
            let this = Arc::clone(&self);
            // An error: somebody else has just ended it.
            all.spawn(async move { this.terminate(&name).await });
        }
        all.join_all().await;
    }

    /// How long the slowest may take to stop.
    pub(crate) fn patience(&self) -> Duration {
        let list = self.list.lock();
        list.values().map(|service| service.settings.stop_timeout).max().unwrap_or_default()
    }

    /// All names.
    pub(crate) fn names(&self) -> Vec<String> {
        self.list.lock().keys().cloned().collect()
    }

    /// Of each service: its name, the processes that run, and how often any was started again.
    #[must_use]
    pub fn counts(&self) -> Vec<(String, usize, u64)> {
        let counted = |name: String| {
            let (_, processes) = self.look(&name).ok()?;
            let running = processes.iter().filter(|(seen, _)| matches!(seen, Seen::Running { .. })).count();
            Some((name, running, processes.iter().map(|(_, restarts)| restarts).sum()))
        };
        self.names().into_iter().filter_map(counted).collect()
    }

    /// Command and processes of a service.
    pub(crate) fn look(&self, name: &str) -> Result<(String, Vec<(Seen, u64)>), String> {
        let service = self.find(name)?;
        let seen = service.processes.lock().iter().map(Process::seen).collect();
        Ok((service.settings.command.clone(), seen))
    }
}

/// Does it to the end, also when who has asked for it goes away: half of a restart is a stop.
pub(crate) async fn detached<T: Send + 'static>(
    work: impl Future<Output = Result<T, String>> + Send + 'static,
) -> Result<T, String> {
    tokio::spawn(work).await.unwrap_or_else(|error| Err(error.to_string()))
}

/// What `informer` and `resetter` see.
pub(crate) struct Face(pub(crate) Arc<Services>);

impl Attendant for Face {
    fn name(&self) -> &'static str {
        "service"
    }

    fn processes(&self) -> Vec<Attended> {
        let mut all = Vec::new();
        for name in self.0.names() {
            let Ok((command, processes)) = self.0.look(&name) else { continue };
            for (seen, restarts) in processes {
                if let Seen::Running { pid, since } = seen {
                    all.push(Attended { pid, since, restarts, command: command.clone() });
                }
            }
        }
        all
    }

    fn reset(&self) -> BoxFuture<Result<(), String>> {
        Box::pin(detached(Arc::clone(&self.0).restart_all()))
    }
}
