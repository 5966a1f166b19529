//! The master's side of a zygote: starts it, waits for its boot, asks it for workers, hears who ended.

use crate::obituaries::{Obituaries, Obituary};
use crate::output::{self, Tail};
use crate::reactor;
use parking_lot::Mutex;
use rr_kv::Storages;
use rr_os::process::Exit;
use rr_os::spawn::Program;
use rr_process::{Assignment, Message, Role, Start, User, message};
use std::collections::HashMap;
use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::unix::AsyncFd;
use tokio::sync::{oneshot, watch};

/// How long a fork may take, hooks included.
const FORK_PATIENCE: Duration = Duration::from_secs(30);

/// How to start this program again in another role.
#[derive(Debug, Clone)]
pub(crate) struct Command {
    /// The PHP binary.
    pub(crate) binary: PathBuf,
    /// All arguments.
    pub(crate) args: Vec<CString>,
    /// The environment without the assignment.
    pub(crate) env: Vec<CString>,
    /// Where it runs.
    pub(crate) cwd: CString,
    /// Whom the app runs as.
    pub(crate) user: Option<User>,
    /// It serves PHP's web side.
    pub(crate) web: bool,
    /// With the functions of FrankenPHP's worker API.
    pub(crate) frankenphp: bool,
    /// Tables that all its processes read.
    pub(crate) storages: Storages,
}

impl Command {
    /// Names of the tables.
    pub(crate) fn tables(&self) -> Vec<String> {
        let tables = self.storages.iter().filter(|(_, storage)| storage.memory().is_some());
        tables.map(|(name, _)| name.to_owned()).collect()
    }

    /// Names of the storages that have none.
    pub(crate) fn asked(&self) -> Vec<String> {
        let asked = self.storages.iter().filter(|(_, storage)| storage.memory().is_none());
        asked.map(|(name, _)| name.to_owned()).collect()
    }

    /// Starts the program with `assignment` and `descriptors` behind the standard ones; stdout and stderr go to
    /// `output`.
    pub(crate) fn spawn(
        &self,
        assignment: &Assignment,
        output: &OwnedFd,
        descriptors: &[BorrowedFd<'_>],
    ) -> io::Result<u32> {
        let null = std::fs::File::open("/dev/null")?;
        let mut all = vec![null.as_fd(), output.as_fd(), output.as_fd()];
        all.extend_from_slice(descriptors);
        for memory in self.storages.iter().filter_map(|(_, storage)| storage.memory()) {
            all.extend([memory.files().table.as_fd(), memory.files().touched.as_fd()]);
        }
        let variable = format!("{}={}", rr_process::assignment::VARIABLE, assignment.encode());
        let mut env = self.env.clone();
        env.push(CString::new(variable).map_err(io::Error::other)?);
        let program = Program {
            path: &self.binary,
            args: &self.args,
            env: &env,
            cwd: Some(&self.cwd),
            descriptors: &all,
        };
        rr_os::spawn::spawn(&program)
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", self.binary.display())))
    }
}

/// What a zygote says once it is booted.
#[derive(Debug, Clone)]
pub(crate) struct Booted {
    /// The settings its script gave.
    pub(crate) settings: String,
    /// How long the whole start took.
    pub(crate) took: Duration,
    /// Bytes of PHP memory of the booted app.
    pub(crate) memory: u64,
    /// Its threads.
    pub(crate) threads: usize,
}

type Reply = Result<(u32, OwnedFd, Obituary), String>;

/// A zygote.
#[derive(Debug)]
pub(crate) struct Zygote {
    generation: u32,
    pid: u32,
    pidfd: OwnedFd,
    control: AsyncFd<OwnedFd>,
    /// Ends the zygote when dropped.
    _lifeline: OwnedFd,
    pending: Mutex<HashMap<u64, oneshot::Sender<Reply>>>,
    workers: Mutex<HashMap<u64, u32>>,
    gone: watch::Sender<bool>,
    tail: Tail,
}

/// Boots a zygote of `generation`.
///
/// # Errors
/// A text that says why it did not boot, with what PHP wrote.
pub(crate) async fn boot(
    command: &Command,
    generation: u32,
    patience: Duration,
    obituaries: &Obituaries,
) -> Result<(Arc<Zygote>, Booted), String> {
    let began = Instant::now();
    let (zygote, output) =
        start(command, generation).map_err(|error| format!("cannot start PHP: {error}"))?;
    let obituary = obituaries.expect(zygote.pid);
    let (pid, tail) = (zygote.pid, zygote.tail.clone());
    let lines = tokio::spawn(async move {
        let log = |line: &str| tracing::info!(target: "server", role = "zygote", pid, generation, "{line}");
        let _ = output::read(output, tail, log).await;
    });
    let first = tokio::time::timeout(patience, zygote.receive()).await;
    let error = match first {
        Ok(Ok(Some((Message::Booted { settings, memory, threads, .. }, _)))) => {
            let booted = Booted { settings, took: began.elapsed(), memory, threads };
            let zygote = Arc::new(zygote);
            tokio::spawn(Arc::clone(&zygote).listen(obituaries.clone()));
            return Ok((zygote, booted));
        }
        Ok(Ok(None)) => "the script ended before Server::run()".to_owned(),
        Ok(Ok(Some(_))) => "it spoke out of turn".to_owned(),
        Ok(Err(error)) => format!("its control socket: {error}"),
        Err(_) => format!("it did not boot within allocate_timeout ({patience:?})"),
    };
    zygote.kill();
    // Its last lines may still be in the pipe; a child of the script could keep that open.
    let _ = tokio::time::timeout(Duration::from_secs(1), lines).await;
    let exit = obituary.read().await;
    let words = zygote.tail.text();
    let (error, exit) = match exit {
        Exit::Unknown | Exit::Signal(9) => (error, String::new()),
        // PHP's own code for an error that nobody caught.
        Exit::Code(255) => ("PHP failed".to_owned(), String::new()),
        other => (error, format!(" ({other})")),
    };
    Err(if words.is_empty() { format!("{error}{exit}") } else { format!("{error}{exit}:\n{words}") })
}

fn start(command: &Command, generation: u32) -> io::Result<(Zygote, OwnedFd)> {
    let (control, theirs) = rr_os::message::pair()?;
    let (lifeline, held) = rr_os::lifeline::pair()?;
    let (reader, writer) = std::io::pipe()?;
    let assignment = Assignment::new(generation, command.user.clone(), None)
        .web(command.web, command.frankenphp)
        .storages(command.tables(), command.asked());
    let writer = OwnedFd::from(writer);
    let pid = command.spawn(&assignment, &writer, &[theirs.as_fd(), held.as_fd()])?;
    let pidfd = rr_os::process::pidfd(pid)?;
    rr_os::message::set_nonblocking(&control)?;
    let zygote = Zygote {
        generation,
        pid,
        pidfd,
        control: reactor::watch(control)?,
        _lifeline: lifeline,
        pending: Mutex::default(),
        workers: Mutex::default(),
        gone: watch::Sender::new(false),
        tail: Tail::default(),
    };
    Ok((zygote, reader.into()))
}

impl Zygote {
    pub(crate) fn generation(&self) -> u32 {
        self.generation
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    pub(crate) fn kill(&self) {
        let _ = rr_os::process::kill(&self.pidfd, 9);
    }

    /// Resolves when the zygote is gone.
    pub(crate) async fn gone(&self) {
        let _ = self.gone.subscribe().wait_for(|gone| *gone).await;
    }

    /// Asks for a worker.
    pub(crate) async fn fork(&self, start: Start, descriptors: &[BorrowedFd<'_>]) -> Reply {
        let (sender, receiver) = oneshot::channel();
        let worker = start.worker;
        self.pending.lock().insert(worker, sender);
        // The sender is in the map: either `listen` clears it when the zygote goes, or it is gone already.
        let sent = if *self.gone.borrow() {
            Err(io::Error::from(io::ErrorKind::BrokenPipe))
        } else {
            self.send(&Message::Fork(start), descriptors).await
        };
        if let Err(error) = sent {
            self.pending.lock().remove(&worker);
            return Err(format!("the zygote cannot be reached: {error}"));
        }
        match tokio::time::timeout(FORK_PATIENCE, receiver).await {
            Ok(reply) => reply.unwrap_or_else(|_| Err("the zygote died".to_owned())),
            Err(_) => {
                // A hook that hangs, or a stopped process: another zygote takes its place.
                self.pending.lock().remove(&worker);
                self.kill();
                Err(format!(
                    "the zygote did not fork within {FORK_PATIENCE:?} (a beforeFork hook that waits?)"
                ))
            }
        }
    }

    /// Has it leave; its workers go on.
    pub(crate) async fn exit(&self) {
        let _ = self.send(&Message::Exit, &[]).await;
    }

    async fn send(&self, message: &Message, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        loop {
            let mut ready = self.control.writable().await?;
            match ready.try_io(|control| message::send(control, message, descriptors)) {
                Ok(result) => return result,
                Err(_would_block) => {}
            }
        }
    }

    async fn receive(&self) -> io::Result<Option<(Message, Vec<OwnedFd>)>> {
        loop {
            let mut ready = self.control.readable().await?;
            match ready.try_io(|control| message::receive(control, Role::Zygote, Role::Master)) {
                Ok(result) => return result,
                Err(_would_block) => {}
            }
        }
    }

    async fn listen(self: Arc<Self>, obituaries: Obituaries) {
        loop {
            match self.receive().await {
                Ok(Some((Message::Forked { worker, pid }, mut descriptors))) => {
                    let Some(pidfd) = descriptors.pop() else { break };
                    self.workers.lock().insert(worker, pid);
                    if let Some(sender) = self.pending.lock().remove(&worker) {
                        // Here: the news of one that ends at once may be the next message.
                        let _ = sender.send(Ok((pid, pidfd, obituaries.expect(pid))));
                    }
                }
                Ok(Some((Message::NotForked { worker, error }, _))) => {
                    if let Some(sender) = self.pending.lock().remove(&worker) {
                        let _ = sender.send(Err(error));
                    }
                }
                Ok(Some((Message::Exited { worker, end }, _))) => {
                    if let Some(pid) = self.workers.lock().remove(&worker) {
                        obituaries.publish(pid, end.into());
                    }
                }
                Ok(Some((other, _))) => {
                    tracing::error!(target: "server", pid = self.pid, "the zygote sent {:?} out of turn", other.kind());
                    break;
                }
                Ok(None) => break,
                Err(error) => {
                    tracing::error!(target: "server", pid = self.pid, "the zygote's control socket: {error}");
                    break;
                }
            }
        }
        self.kill();
        self.gone.send_replace(true);
        self.pending.lock().clear();
    }
}
