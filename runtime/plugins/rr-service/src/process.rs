//! The life of one process of a service: started, watched, started again, stopped.

use crate::launch::{Launcher, Started};
use crate::output;
use crate::services::Settings;
use parking_lot::Mutex;
use rr_os::process::Exit;
use rr_os::sentry::signal_group;
use rr_plugin::Drain;
use rr_pool::BoxFuture;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How long the output of a process that has ended is waited for: a child that has left the group may hold the pipe.
const LAST_WORDS: Duration = Duration::from_millis(500);
const SIGINT: i32 = 2;
const SIGKILL: i32 = 9;

/// What can be seen of a process.
#[derive(Debug, Clone)]
pub(crate) enum Seen {
    /// It runs.
    Running {
        /// Its process id.
        pid: u32,
        /// Since when.
        since: Instant,
    },
    /// It does not, and why.
    Gone(String),
}

/// A process, over all its restarts. Dropping it has it stop as [`Process::stop`] does.
#[derive(Debug)]
pub(crate) struct Process {
    state: Arc<Mutex<(Seen, u64)>>,
    stop: watch::Sender<bool>,
    life: Mutex<Option<JoinHandle<()>>>,
}

/// How the wait for a process went.
enum End {
    Itself(Exit),
    TimedOut,
    Stopped { killed: bool },
}

impl Process {
    /// Starts it.
    ///
    /// # Errors
    /// The text that says why it cannot be.
    pub(crate) fn start(settings: &Arc<Settings>, launcher: &Arc<Launcher>) -> Result<Self, String> {
        let started = launcher.start(settings)?;
        let seen = Seen::Running { pid: started.pid, since: Instant::now() };
        let state = Arc::new(Mutex::new((seen, 0)));
        let (stop, stopped) = Drain::channel();
        let life = Life {
            settings: Arc::clone(settings),
            launcher: Arc::clone(launcher),
            state: Arc::clone(&state),
            stopped,
        };
        let life = Mutex::new(Some(tokio::spawn(life.run(started))));
        Ok(Self { state, stop, life })
    }

    /// What can be seen of it, and how often it was started again.
    pub(crate) fn seen(&self) -> (Seen, u64) {
        self.state.lock().clone()
    }

    /// Has it end for good (SV-04); resolves when it has.
    pub(crate) fn stop(&self) -> BoxFuture<()> {
        self.stop.send_replace(true);
        let life = self.life.lock().take();
        Box::pin(async move {
            if let Some(life) = life {
                let _ = life.await;
            }
        })
    }
}

struct Life {
    settings: Arc<Settings>,
    launcher: Arc<Launcher>,
    state: Arc<Mutex<(Seen, u64)>>,
    stopped: Drain,
}

impl Life {
    async fn run(mut self, mut started: Started) {
        loop {
            let pid = started.pid;
            let end = self.attend(started).await;
            let stopped = matches!(end, End::Stopped { .. });
            let text = self.describe(&end);
            self.state.lock().0 = Seen::Gone(text.clone());
            let (service, again) = (&self.settings.name, self.settings.restart && !stopped);
            let after = if again {
                format!("; it is started again in {:?}", self.settings.restart_after)
            } else {
                String::new()
            };
            match end {
                End::Itself(Exit::Code(0)) | End::Stopped { killed: false } => {
                    tracing::info!(target: "service", service, pid, "a process has ended: {text}{after}");
                }
                _ => tracing::warn!(target: "service", service, pid, "a process has ended: {text}{after}"),
            }
            if !again {
                return;
            }
            started = match self.again().await {
                Some(started) => started,
                None => return,
            };
        }
    }

    /// Waits, then starts it again, until that works. `None`: it was stopped meanwhile, which is final (SV-07).
    async fn again(&mut self) -> Option<Started> {
        loop {
            tokio::select! {
                biased;
                () = self.stopped.wait() => return None,
                () = tokio::time::sleep(self.settings.restart_after) => {}
            }
            match self.launcher.start(&self.settings) {
                Ok(started) => {
                    let mut state = self.state.lock();
                    state.0 = Seen::Running { pid: started.pid, since: Instant::now() };
                    state.1 += 1;
                    return Some(started);
                }
                Err(error) => {
                    let (service, pause) = (&self.settings.name, self.settings.restart_after);
                    self.state.lock().0 = Seen::Gone(error.clone());
                    tracing::error!(target: "service", service, "a process could not be started again, trying in {pause:?}: {error}");
                }
            }
        }
    }

    /// Waits for the end of a process and ends what is left of its group.
    async fn attend(&mut self, started: Started) -> End {
        let Started { pid, mut exit, output } = started;
        let mut lines = tokio::spawn(log(Arc::clone(&self.settings), pid, output));
        let limit = self.settings.exec_timeout;
        let late = async {
            match limit.is_zero() {
                true => std::future::pending().await,
                false => tokio::time::sleep(limit).await,
            }
        };
        let end = tokio::select! {
            exit = &mut exit => End::Itself(exit),
            () = self.stopped.wait() => {
                let _ = signal_group(pid, SIGINT);
                let killed = tokio::time::timeout(self.settings.stop_timeout, &mut exit).await.is_err();
                if killed {
                    let _ = signal_group(pid, SIGKILL);
                    exit.await;
                }
                End::Stopped { killed }
            }
            () = late => {
                let _ = signal_group(pid, SIGKILL);
                exit.await;
                End::TimedOut
            }
        };
        // At once: another group could get the number.
        self.launcher.finish(pid);
        if tokio::time::timeout(LAST_WORDS, &mut lines).await.is_err() {
            lines.abort();
        }
        end
    }

    fn describe(&self, end: &End) -> String {
        match end {
            End::Itself(exit) => exit.to_string(),
            End::TimedOut => {
                format!("it has run for exec_timeout ({:?}) and was killed", self.settings.exec_timeout)
            }
            End::Stopped { killed: false } => "stopped".to_owned(),
            End::Stopped { killed: true } => {
                format!(
                    "killed, since it did not stop within timeout_stop_sec ({:?})",
                    self.settings.stop_timeout
                )
            }
        }
    }
}

async fn log(settings: Arc<Settings>, pid: u32, output: OwnedFd) {
    let service = settings.name.as_str();
    let logger = settings.name_in_log.then(|| format!("service.{service}"));
    let logger = logger.as_deref();
    let line = |line: &str| tracing::info!(target: "service", logger, service, pid, "{line}");
    let slowed = || {
        tracing::warn!(target: "service", service, pid, "a process writes more than a log can take; it is slowed down");
    };
    if let Err(error) = output::read(output, line, slowed).await {
        tracing::warn!(target: "service", service, pid, "a process's output is lost: {error}");
    }
}
