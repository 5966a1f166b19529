//! The servers that are compared: how each is started, when it is ready, which processes it is made of.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::keeper::{Keeper, Running};
use crate::options::Options;
use crate::{Result, http, nginx};

/// A cold start of 150 MB of PHP on a busy machine is well within this.
const START_LIMIT: Duration = Duration::from_secs(30);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Ours,
    Raw,
    Fpm,
    Globals,
    Files,
    Classic,
    Snapshot,
    /// A Slim app behind our server.
    Slim,
    /// The same behind nginx and php-fpm.
    SlimFpm,
}

impl Kind {
    /// What the part `web` compares.
    pub(crate) const WEB: [Kind; 6] =
        [Kind::Ours, Kind::Globals, Kind::Files, Kind::Classic, Kind::Snapshot, Kind::Fpm];

    pub(crate) const ALL: [Kind; 3] = [Kind::Ours, Kind::Raw, Kind::Fpm];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Kind::Ours => "ours",
            Kind::Raw => "raw",
            Kind::Fpm => "fpm",
            Kind::Globals => "globals",
            Kind::Files => "files",
            Kind::Classic => "classic",
            Kind::Snapshot => "snapshot",
            Kind::Slim => "slim",
            Kind::SlimFpm => "slim-fpm",
        }
    }
}

/// The PHP programs `ours` can run.
#[derive(Clone, Copy, Debug)]
pub(crate) enum App {
    Hello,
    Heavy,
    Web(Kind),
    Slim,
}

impl App {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            App::Hello => "hello",
            App::Heavy => "heavy (150 MB)",
            App::Web(kind) => kind.name(),
            App::Slim => "slim",
        }
    }

    fn script(self) -> Result<PathBuf> {
        match self {
            App::Hello => file("../examples/hello/server.php"),
            App::Heavy => file("apps/heavy.php"),
            App::Web(_) => file("apps/web.php"),
            App::Slim => file("apps/slim/server.php"),
        }
    }
}

/// A file of this folder, which is where it was compiled.
pub(crate) fn file(path: &str) -> Result<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    Ok(std::fs::canonicalize(&path).map_err(|error| format!("{}: {error}", path.display()))?)
}

/// A server that answers; its processes end when it is dropped.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) kind: Kind,
    pub(crate) address: SocketAddr,
    processes: Vec<Running>,
}

impl Peer {
    /// The peer as the throughput and idle parts measure it.
    pub(crate) fn start(kind: Kind, keeper: &Keeper, options: &Options) -> Result<Self> {
        match kind {
            Kind::Ours => Self::ours(keeper, options, App::Hello, 2),
            Kind::Globals | Kind::Files | Kind::Classic | Kind::Snapshot => {
                Self::ours(keeper, options, App::Web(kind), 2)
            }
            Kind::Slim => {
                let mut peer = Self::ours(keeper, options, App::Slim, 2)?;
                peer.kind = kind;
                Ok(peer)
            }
            Kind::Raw => {
                let address = free_address()?;
                let mut command = Keeper::command(std::env::current_exe()?.with_file_name("raw_hyper"));
                command.arg(address.to_string());
                Self::ready(kind, address, vec![keeper.start("raw_hyper", command)?])
            }
            Kind::Fpm | Kind::SlimFpm => {
                let address = free_address()?;
                let index = if kind == Kind::Fpm { "fpm/index.php" } else { "apps/slim/index.php" };
                let [fpm, nginx] = nginx::commands(keeper, address, &file(index)?)?;
                let processes = vec![keeper.start("php-fpm", fpm)?, keeper.start("nginx", nginx)?];
                let peer = Self::ready(kind, address, processes)?;
                if kind == Kind::Fpm && http::get(address, "/opcache", START_LIMIT)?.text() != "1" {
                    return Err("php-fpm runs without opcache".into());
                }
                Ok(peer)
            }
        }
    }

    pub(crate) fn ours(keeper: &Keeper, options: &Options, app: App, workers: usize) -> Result<Self> {
        let address = free_address()?;
        let mut command = Keeper::command(&options.php);
        if let Some(extension) = &options.extension {
            command.arg("-d").arg(format!("extension={}", extension.display()));
        }
        let mut kind = Kind::Ours;
        if let App::Web(web) = app {
            command.env("MODE", web.name());
            kind = web;
        }
        if matches!(app, App::Heavy) {
            command.args(["-d", "memory_limit=-1"]);
        }
        command
            .arg(app.script()?)
            .env("HTTP_ADDRESS", address.to_string())
            .env("NUM_WORKERS", workers.to_string())
            .env("LOG_LEVEL", "error");
        Self::ready(kind, address, vec![keeper.start("ours", command)?])
    }

    /// Waits until `GET /` answers 200; otherwise fails with what the processes printed.
    fn ready(kind: Kind, address: SocketAddr, processes: Vec<Running>) -> Result<Self> {
        let deadline = Instant::now() + START_LIMIT;
        loop {
            let problem = match http::get(address, "/", START_LIMIT) {
                Ok(answer) if answer.status == 200 => return Ok(Self { kind, address, processes }),
                Ok(answer) => format!("answers {}", answer.status),
                Err(error) => error.to_string(),
            };
            let left = processes.iter().any(Running::exited);
            if left || Instant::now() > deadline {
                let tails: Vec<String> = processes.iter().map(Running::tail).collect();
                let why = if left { "ended before it was ready" } else { "was not ready in time" };
                return Err(format!("{} {why}: GET /: {problem}\n{}", kind.name(), tails.join("\n")).into());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The processes we started; `proc::tree` finds the rest.
    pub(crate) fn roots(&self) -> Vec<u32> {
        self.processes.iter().map(Running::pid).collect()
    }

    /// The process that was started first: of `ours`, the master.
    pub(crate) fn master(&self) -> Result<u32> {
        Ok(self.processes.first().ok_or("a peer without processes")?.pid())
    }

    /// Adds what its processes printed last to an error.
    pub(crate) fn explain(&self, error: &str) -> crate::Error {
        let tails: Vec<String> = self.processes.iter().map(Running::tail).collect();
        format!("{}: {error}\n{}", self.kind.name(), tails.join("\n")).into()
    }
}

/// A loopback address nobody listens on.
fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}
