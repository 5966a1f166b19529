//! Command workers (rows WRK-01…13): programs that speak goridge frames over pipes, or over a socket they connect to; or
//! forks of the zygote that run the same script (`fork.rs`).

mod fork;

use crate::generation::Nursery;
use crate::obituaries::Obituaries;
use crate::output::{self, Tail};
use rr_channel::AnyChannel;
use rr_channel::relay as channel;
use rr_config::{Config, OnInit};
use rr_net::{Acceptor, Listener};
use rr_os::process::Exit;
use rr_os::sentry::{self, Foreign, Keeper, signal_group};
use rr_os::user::Identity;
use rr_pool::{Ended, Interrupt, Process, Spawned};
use rr_process::Script;
use rr_relay::{Greeted, Pump, Relay, Worker};
use rr_service::command;
use rr_wire::COMPATIBLE;
use rr_wire::relay::{self, Said};
use std::ffi::{CString, OsStr};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::net::unix::pipe;
use tokio::sync::watch;

/// What RoadRunner says of a worker that does not come up (WRK-04).
const NOT_READY: &str =
    "failed to spawn a worker, possible reasons: https://docs.roadrunner.dev/error-codes/allocate-timeout";

/// What programs are started with, whatever they are.
#[derive(Debug, Clone)]
pub(crate) struct Base {
    /// The server's environment, with `RR_RPC`.
    pub(crate) env: Vec<CString>,
    pub(crate) cwd: CString,
    pub(crate) user: Option<Identity>,
    pub(crate) keeper: Arc<Keeper>,
}

/// How a pool's workers are connected; bound once for the server's life.
#[derive(Debug, Clone)]
pub(crate) enum Link {
    /// By their stdin and stdout.
    Pipes,
    /// By a socket at this address.
    Socket(String, Relay),
}

impl Link {
    /// Listens, if `server.relay` is a socket.
    ///
    /// # Errors
    /// The text of why it cannot.
    pub(crate) fn bind(config: &Config) -> Result<(Self, Option<Listener>), String> {
        let dsn = &config.server.relay;
        if dsn == "pipes" {
            return Ok((Self::Pipes, None));
        }
        // The workers may be of another user.
        let options = rr_net::Options {
            socket_mode: if config.server.user.is_some() { 0o666 } else { 0o600 },
            ..rr_net::Options::default()
        };
        let listener = rr_net::bind("server.relay", dsn, &options).map_err(|error| error.to_string())?;
        Ok((Self::Socket(dsn.clone(), Relay::default()), Some(listener)))
    }

    /// Accepts workers for as long as the runtime lives.
    ///
    /// # Errors
    /// The socket cannot be watched.
    pub(crate) fn serve(&self, listener: Listener) -> io::Result<()> {
        if let Self::Socket(_, relay) = self {
            let group_of = |pid| rr_os::proc::group_of(pid).ok();
            let serving = relay.clone().serve(Acceptor::new(listener)?, rr_os::process::id(), group_of);
            tokio::spawn(serving);
        }
        Ok(())
    }
}

/// The command of a pool, as one generation has it.
#[derive(Debug)]
pub(crate) struct Commands {
    words: Vec<String>,
    env: Vec<(Vec<u8>, Vec<u8>)>,
    base: Base,
    link: Link,
    patience: Duration,
    /// What a fork runs, or why there can be none.
    script: Result<Script, String>,
}

impl Commands {
    /// The command of pool `http`: its own, or the server's.
    ///
    /// `options`: the command line of the server's PHP, `php`.
    pub(crate) fn new(
        config: &Config,
        base: &Base,
        link: &Link,
        php: &Path,
        options: &[CString],
    ) -> Option<Self> {
        let pool = config.http.as_ref().map(|http| &http.pool)?;
        let words = if pool.command.is_empty() { &config.server.command } else { &pool.command };
        let mut env = pairs(&base.env);
        if let Some(user) = &base.user {
            set(&mut env, "HOME", &user.home);
        }
        let dsn = match link {
            Link::Pipes => "pipes",
            Link::Socket(dsn, _) => dsn,
        };
        // Section 1.2: in this order.
        set(&mut env, "RR_RELAY", dsn);
        for (name, value) in &config.server.env {
            set(&mut env, name, value);
        }
        set(&mut env, "RR_VERSION", COMPATIBLE);
        set(&mut env, "RR_MODE", "http");
        let script = match (link, config.server.fork) {
            (Link::Socket(..), _) => Err("server.relay is a socket".to_owned()),
            (_, false) => Err("server.fork is off".to_owned()),
            (Link::Pipes, true) => fork::script(words, &env, &base.cwd, php, options),
        };
        let own = [("RR_RELAY", dsn), ("RR_VERSION", COMPATIBLE), ("RR_MODE", "http")];
        let own = own.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let script = script.map(|script| Script {
            server: rr_os::process::id(),
            env: config.server.env.iter().cloned().chain(own).collect(),
            ..script
        });
        if let Err(why) = &script {
            tracing::info!(target: "server", "workers are programs of their own: {why}");
        }
        Some(Self {
            words: words.clone(),
            script,
            env,
            base: base.clone(),
            link: link.clone(),
            patience: pool.allocate_timeout,
        })
    }

    /// What a fork runs; `None`: workers are programs of their own.
    pub(crate) fn script(&self) -> Option<Script> {
        self.script.as_ref().ok().cloned()
    }

    /// Starts worker number `worker` with bit `slot`, as a program of its own.
    ///
    /// # Errors
    /// The text of why it does not come up.
    pub(crate) async fn spawn(
        &self,
        nursery: &Arc<Nursery>,
        worker: u64,
        slot: usize,
    ) -> Result<Spawned, String> {
        let (channel, end) = channel::pair(rr_shm::frames::max_payload(nursery.ring));
        let shard = Arc::clone(&nursery.shard);
        let look = Box::new(move || shard.look(slot));
        let log = {
            let (pool, nursery) = (nursery.pool.clone(), Arc::clone(nursery));
            move |pid: u32, line: &str| {
                let served_by = nursery.served_by.lock().upgrade();
                let request = served_by.map_or(0, |pool| pool.unit_of(slot, worker));
                tracing::info!(target: "server", pool, pid, worker, request, "{line}");
            }
        };
        let program = Program { words: &self.words, env: &self.env, base: &self.base };
        let child = match &self.link {
            Link::Pipes => {
                let pipe = |error: io::Error| format!("a pipe for a worker: {error}");
                let (input, to) = std::io::pipe().map_err(pipe)?;
                let (from, output) = std::io::pipe().map_err(pipe)?;
                let relay = Some((input.as_fd(), output.as_fd()));
                let child = program.start(relay, &nursery.obituaries, log)?;
                drop((input, output));
                let reader = pipe::Receiver::from_owned_fd(from.into()).map_err(pipe)?;
                let writer = pipe::Sender::from_owned_fd(to.into()).map_err(pipe)?;
                let (hello, told) = (relay::hello(rr_os::process::id()), child.told(look));
                tokio::spawn(Pump::new(reader, writer, end, relay::Decoder::default(), hello, told).run());
                child
            }
            Link::Socket(_, relay) => {
                let child = program.start(None, &nursery.obituaries, log)?;
                let mut waiting = relay.expect(child.pid);
                let greeted = tokio::select! {
                    greeted = &mut waiting.connection => greeted.map_err(|_| NOT_READY.to_owned()),
                    exit = child.ended() => Err(format!("it ended before it connected to server.relay, {exit}")),
                    () = tokio::time::sleep(self.patience) => {
                        Err(format!("it did not connect to server.relay within allocate_timeout ({:?}); {NOT_READY}", self.patience))
                    }
                };
                let Greeted { stream, decoder } = match greeted {
                    Ok(greeted) => greeted,
                    Err(error) => {
                        child.process.kill();
                        child.ended().await;
                        let words = child.tail.text();
                        return Err(if words.is_empty() { error } else { format!("{error}: {words}") });
                    }
                };
                let (reader, writer) = tokio::io::split(stream);
                let told = child.told(look);
                end.say(Said::Hello { pid: child.pid }, child.pid);
                tokio::spawn(Pump::new(reader, writer, end, decoder, Vec::new(), told).run());
                child
            }
        };
        let (pid, process) = (child.pid, Arc::clone(&child.process) as Arc<dyn Process>);
        let ended = Box::pin(async move {
            let exit = child.ended().await;
            Ended { exit, last_words: child.tail.text() }
        });
        Ok(Spawned { pid, channel: AnyChannel::Relay(channel), process, ended })
    }
}

/// What to start.
struct Program<'a> {
    words: &'a [String],
    env: &'a [(Vec<u8>, Vec<u8>)],
    base: &'a Base,
}

/// A program that was started.
struct Child {
    pid: u32,
    process: Arc<Group>,
    tail: Tail,
    ended: watch::Receiver<Option<String>>,
}

impl Child {
    /// Its exit, once it has ended.
    async fn ended(&self) -> String {
        let mut ended = self.ended.clone();
        let exit = ended.wait_for(Option::is_some).await;
        exit.ok().and_then(|exit| exit.clone()).unwrap_or_default()
    }

    fn told(&self, look: Box<dyn Fn() + Send + Sync>) -> Worker {
        let mut ended = self.ended.clone();
        let gone = Box::pin(async move { drop(ended.wait_for(Option::is_some).await) });
        Worker { pid: self.pid, look, gone }
    }
}

/// A process group, whose first process is the worker.
#[derive(Debug)]
struct Group {
    id: u32,
    over: AtomicBool,
}

impl Process for Group {
    fn kill(&self) {
        if !self.over.load(Ordering::Acquire) {
            // An error means that it has ended.
            let _ = signal_group(self.id, 9);
        }
    }

    fn interrupt(&self, _sequence: u32, _why: Interrupt) {
        // A foreign program knows no such thing: exec_ttl kills it, and a client that leaves costs it the reply.
    }
}

impl Program<'_> {
    /// Starts it. `relay`: its stdin, and its stdout where that is not for the log.
    fn start(
        &self,
        relay: Option<(BorrowedFd<'_>, BorrowedFd<'_>)>,
        obituaries: &Obituaries,
        log: impl Fn(u32, &str) + Send + Sync + 'static,
    ) -> Result<Child, String> {
        let Some(first) = self.words.first() else { return Err("server.command is empty".to_owned()) };
        let path = self.env.iter().rev().find(|(name, _)| name == b"PATH").map(|(_, path)| path.clone());
        let path = path.unwrap_or_else(|| b"/usr/local/bin:/usr/bin:/bin".to_vec());
        let cwd = Path::new(OsStr::from_bytes(self.base.cwd.as_bytes()));
        let file = command::find(first, &String::from_utf8_lossy(&path), cwd)?;
        let text = |bytes: Vec<u8>| {
            CString::new(bytes).map_err(|_| "a NUL in the command or the environment".to_owned())
        };
        let program = text(file.as_os_str().as_bytes().to_vec())?;
        let args = self.words.iter().map(|word| text(word.clone().into_bytes()));
        let args = args.collect::<Result<Vec<_>, _>>()?;
        let env = self.env.iter().map(|(name, value)| text([&name[..], value].join(&b'=')));
        let env = env.collect::<Result<Vec<_>, _>>()?;
        let (errors, theirs) = sentry::output().map_err(|error| format!("a pipe for its output: {error}"))?;
        let foreign = Foreign {
            path: &program,
            args: &args,
            env: &env,
            cwd: &self.base.cwd,
            user: self.base.user.as_ref(),
            input: relay.map(|(input, _)| input),
            output: relay.map_or(theirs.as_fd(), |(_, output)| output),
            errors: Some(theirs.as_fd()),
        };
        let (pid, replaced) =
            self.base.keeper.spawn(&foreign).map_err(|error| command::not_run(&file, &error))?;
        // Nothing is reaped before this task gives way, so that the news of a short life is not missed.
        let obituary = obituaries.expect(pid);
        if replaced {
            tracing::warn!(target: "server", "the process that ends workers with a killed server was gone; there is another now");
        }
        drop(theirs);
        let process = Arc::new(Group { id: pid, over: AtomicBool::new(false) });
        let tail = Tail::default();
        let lines = tokio::spawn(output::read(errors, tail.clone(), move |line| log(pid, line)));
        let (over, ended) = watch::channel(None);
        let (group, keeper) = (Arc::clone(&process), Arc::clone(&self.base.keeper));
        tokio::spawn(async move {
            let exit = obituary.news().await;
            group.over.store(true, Ordering::Release);
            keeper.finish(pid);
            // What it has said last is in the reason; a child that has left the group may hold the pipe.
            let _ = tokio::time::timeout(output::LAST_WORDS, lines).await;
            over.send_replace(Some(exit.to_string()));
        });
        Ok(Child { pid, process, tail, ended })
    }
}

/// Runs `server.on_init` to its end (section 1.2): `Err` when it failed and that ends the start.
///
/// # Errors
/// The text of why.
pub(crate) async fn on_init(init: &OnInit, base: &Base, obituaries: &Obituaries) -> Result<(), String> {
    let mut env = pairs(&base.env);
    for (name, value) in &init.env {
        set(&mut env, name, value);
    }
    let mut base = base.clone();
    if let Some(user) = &init.user {
        base.user =
            rr_os::user::other(user, None).map_err(|error| format!("server.on_init.user: {error}"))?;
    }
    let failed = |why: String| match init.exit_on_error {
        true => Err(format!("server.on_init: {why}")),
        false => {
            tracing::error!(target: "server", "on_init: {why}; the server starts all the same");
            Ok(())
        }
    };
    let program = Program { words: &init.command, env: &env, base: &base };
    let log = |pid: u32, line: &str| tracing::info!(target: "server", pid, "on_init: {line}");
    let child = match program.start(None, obituaries, log) {
        Ok(child) => child,
        Err(why) => return failed(why),
    };
    let exit = match tokio::time::timeout(init.exec_timeout, child.ended()).await {
        Ok(exit) => exit,
        Err(_) => {
            child.process.kill();
            child.ended().await;
            format!("it took longer than exec_timeout ({:?}) and was killed", init.exec_timeout)
        }
    };
    match exit == Exit::Code(0).to_string() {
        true => Ok(()),
        false => failed(format!("the command failed, {exit}: {}", child.tail.text())),
    }
}

fn pairs(env: &[CString]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let pair = |pair: &CString| {
        let bytes = pair.as_bytes();
        let at = bytes.iter().position(|byte| *byte == b'=')?;
        Some((bytes[..at].to_vec(), bytes[at + 1..].to_vec()))
    };
    env.iter().filter_map(pair).collect()
}

fn set(env: &mut Vec<(Vec<u8>, Vec<u8>)>, name: &str, value: &str) {
    env.retain(|(other, _)| other != name.as_bytes());
    env.push((name.as_bytes().to_vec(), value.as_bytes().to_vec()));
}
