//! Makes the workers of one generation: forks of its zygote, or programs of their own where that cannot fork.

use crate::commands::{Base, Commands, Link};
use crate::obituaries::{Obituaries, Obituary};
use crate::output::{self, Tail};
use crate::reactor;
use crate::zygote::{Command, Zygote};
use parking_lot::Mutex;
use rr_channel::AnyChannel;
use rr_channel::shm::ShmChannel;
use rr_config::Config;
use rr_os::process::Exit;
use rr_pool::{BoxFuture, Ended, Interrupt, Pool, Process, Shard, Spawn, Spawned};
use rr_process::worker::Descriptors;
use rr_process::{Assignment, Start};
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Weak};
use std::time::Duration;

/// What all generations of a pool share.
pub(crate) struct Nursery {
    pub(crate) pool: String,
    pub(crate) ring: usize,
    pub(crate) spin: Duration,
    pub(crate) shard: Arc<Shard>,
    pub(crate) obituaries: Obituaries,
    /// Reads what workers count.
    pub(crate) metrics: Arc<rr_metrics::Registry>,
    pub(crate) command: Command,
    /// How command workers are started, where the pool has such.
    pub(crate) company: Option<(Base, Link)>,
    /// For the request id in a worker's output.
    pub(crate) served_by: Mutex<Weak<Pool>>,
}

/// One generation.
#[derive(Clone)]
pub(crate) struct Generation {
    pub(crate) zygote: Arc<Zygote>,
    /// The zygote has threads: workers are programs of their own.
    pub(crate) exec: bool,
    /// Workers are programs that speak goridge frames.
    pub(crate) commands: Option<Arc<Commands>>,
    pub(crate) nursery: Arc<Nursery>,
}

#[derive(Debug)]
struct WorkerProcess {
    pidfd: OwnedFd,
    /// It runs a foreign app, which knows no interrupts.
    foreign: bool,
    /// Ends the worker with the master.
    _lifeline: OwnedFd,
}

impl Process for WorkerProcess {
    fn kill(&self) {
        // An error means that it has ended.
        let _ = rr_os::process::kill(&self.pidfd, 9);
    }

    fn interrupt(&self, sequence: u32, why: Interrupt) {
        if self.foreign {
            return;
        }
        let why = match why {
            Interrupt::Cancelled => rr_process::worker::CANCELLED,
            Interrupt::Timeout => rr_process::worker::TIMEOUT,
        };
        let _ = rr_os::process::notice(&self.pidfd, u64::from(sequence) << 8 | why);
    }
}

impl Spawn for Generation {
    fn spawn(&self, worker: u64, slot: usize) -> BoxFuture<Result<Spawned, String>> {
        let this = self.clone();
        Box::pin(async move { this.make(worker, slot).await })
    }

    fn generation(&self) -> u32 {
        self.zygote.generation()
    }
}

impl Nursery {
    /// The command of the pool's workers as `config` has it.
    pub(crate) fn commands(&self, config: &Config) -> Option<Arc<Commands>> {
        let (base, link) = self.company.as_ref()?;
        Commands::new(config, base, link, &self.command.binary, &self.command.args).map(Arc::new)
    }
}

impl Generation {
    async fn make(self, worker: u64, slot: usize) -> Result<Spawned, String> {
        let script = match &self.commands {
            None => None,
            Some(commands) => match commands.script() {
                Some(script) => Some(script),
                None => return commands.spawn(&self.nursery, worker, slot).await,
            },
        };
        let io = |what: &'static str| move |error: io::Error| format!("{what}: {error}");
        let nursery = &self.nursery;
        let (end, segment) =
            rr_shm::segment::create(nursery.ring).map_err(io("shared memory for a worker"))?;
        let (lifeline, held) = rr_os::lifeline::pair().map_err(io("a pipe for a worker"))?;
        let (reader, writer) = std::io::pipe().map_err(io("a pipe for a worker"))?;
        let page = nursery.shard.page();
        let descriptors = Descriptors {
            segment,
            shard: page.memory().try_clone_to_owned().map_err(io("a descriptor for a worker"))?,
            doorbell: page.doorbell().try_clone_to_owned().map_err(io("a descriptor for a worker"))?,
            lifeline: held,
            output: writer.into(),
        };
        let foreign = script.is_some();
        let spin_us = u64::try_from(nursery.spin.as_micros()).unwrap_or(0);
        let start = Start { worker, pool: nursery.pool.clone(), slot, ring: nursery.ring, spin_us, script };
        let counts = Counts::new(nursery, worker, end.cells());
        let (pid, pidfd, obituary) = if self.exec {
            self.exec(start, &descriptors).map_err(io("starting PHP for a worker"))?
        } else {
            self.zygote.fork(start, &descriptors.borrow()).await?
        };
        drop(descriptors);
        let watched = pidfd.try_clone().and_then(reactor::watch).map_err(io("a descriptor for a worker"))?;
        let process = Arc::new(WorkerProcess { pidfd, foreign, _lifeline: lifeline });
        let tail = Tail::default();
        let lines = self.read_output(reader.into(), tail.clone(), pid, worker, slot);
        let ended = Box::pin(async move {
            let _ = watched.readable().await;
            let exit = obituary.read().await;
            drop(counts);
            if exit != Exit::Code(0) {
                // What it has said last is in the reason; a child of it may hold the pipe.
                let _ = tokio::time::timeout(output::LAST_WORDS, lines).await;
            }
            Ended { exit: describe(exit), last_words: tail.text() }
        });
        Ok(Spawned { pid, channel: AnyChannel::Shm(ShmChannel::new(end)), process, ended })
    }

    fn exec(&self, start: Start, descriptors: &Descriptors) -> io::Result<(u32, OwnedFd, Obituary)> {
        let command = &self.nursery.command;
        let assignment = Assignment::new(self.zygote.generation(), command.user.clone(), Some(start))
            .web(command.web, command.frankenphp)
            .storages(command.tables(), command.asked());
        let pid = command.spawn(&assignment, &descriptors.output, &descriptors.borrow())?;
        let obituary = self.nursery.obituaries.expect(pid);
        Ok((pid, rr_os::process::pidfd(pid)?, obituary))
    }

    fn read_output(
        &self,
        pipe: OwnedFd,
        tail: Tail,
        pid: u32,
        worker: u64,
        slot: usize,
    ) -> tokio::task::JoinHandle<()> {
        let (pool, nursery) = (self.nursery.pool.clone(), Arc::clone(&self.nursery));
        tokio::spawn(async move {
            let log = |line: &str| {
                let served_by = nursery.served_by.lock().upgrade();
                let request = served_by.map_or(0, |pool| pool.unit_of(slot, worker));
                tracing::info!(target: "server", pool, pid, worker, request, "{line}");
            };
            if let Err(error) = output::read(pipe, tail, log).await {
                tracing::warn!(target: "server", pool, pid, worker, "a worker's output is lost: {error}");
            }
        })
    }
}

/// What a worker counts, from before it can until nobody writes there any more.
struct Counts {
    metrics: Arc<rr_metrics::Registry>,
    worker: (Arc<str>, u64),
}

impl Counts {
    fn new(nursery: &Nursery, worker: u64, cells: rr_shm::cells::Cells) -> Self {
        let worker: (Arc<str>, u64) = (nursery.pool.as_str().into(), worker);
        let metrics = Arc::clone(&nursery.metrics);
        metrics.worker_began(worker.clone(), cells);
        Self { metrics, worker }
    }
}

impl Drop for Counts {
    fn drop(&mut self) {
        self.metrics.worker_ended(&self.worker);
    }
}

fn describe(exit: Exit) -> String {
    match exit {
        Exit::Signal(9) => "killed by signal 9 (SIGKILL): by hand, or for want of memory".to_owned(),
        other => other.to_string(),
    }
}
