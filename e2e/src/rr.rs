//! `bin/rr` as a user runs it: in a folder of its own, with the extension and the PHP under test.

use crate::client::Client;
use crate::logs::Logs;
use crate::proc::{self, Process};
use crate::{SOON, until};
use serde_json::Value;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use tempfile::TempDir;

const TAG: &str = "RR_E2E_TAG";

/// A folder, and the environment of what is called there. Nothing of it may run when it is dropped.
pub struct Rr {
    dir: TempDir,
    cwd: PathBuf,
    env: Vec<(OsString, OsString)>,
    program: PathBuf,
    tag: String,
}

/// What a command has said.
#[derive(Debug)]
pub struct Ended {
    /// Its exit code; `None` after a signal.
    pub code: Option<i32>,
    /// Its stdout.
    pub stdout: String,
    /// Its stderr.
    pub stderr: String,
}

/// `rr serve` under way.
pub struct Serving {
    child: Child,
    /// What it has written to stdout.
    pub stdout: Logs,
    /// What it has written to stderr.
    pub stderr: Logs,
    address: String,
    over: bool,
}

/// The PHP under test.
#[must_use]
pub fn php() -> String {
    crate::php().display().to_string()
}

/// `examples/roadrunner/worker.php`.
#[must_use]
pub fn worker() -> String {
    std::fs::read_to_string(crate::workspace().join("examples/roadrunner/worker.php")).expect("the worker")
}

/// Settings with one worker and an RPC. `more` are lines of YAML.
#[must_use]
pub fn yaml(more: &str) -> String {
    format!(
        "version: '3'\nrpc: {{listen: 'unix://rpc.sock'}}\nserver: {{command: ['{}', 'worker.php']}}\nhttp: {{address: \
         '127.0.0.1:0', pool: {{num_workers: 1}}}}\n{more}",
        php()
    )
}

impl Rr {
    /// A folder with [`yaml`] and [`worker`].
    #[must_use]
    pub fn app() -> Self {
        Self::new(&[(".rr.yaml", &yaml("")), ("worker.php", &worker())])
    }

    /// A folder with these files.
    #[must_use]
    pub fn new(files: &[(&str, &str)]) -> Self {
        Self::below("", files)
    }

    /// The same in a folder of this name below the temporary one.
    #[must_use]
    pub fn below(name: &str, files: &[(&str, &str)]) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let tag = format!("rr-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let dir = TempDir::with_prefix("rr-cli-").expect("a temporary directory");
        let mut cwd = dir.path().canonicalize().expect("a folder");
        if !name.is_empty() {
            cwd.push(name);
        }
        std::fs::create_dir_all(&cwd).expect("a folder");
        let program = crate::workspace().join("bin/rr");
        let mut rr = Self { dir, cwd, env: Vec::new(), program, tag };
        for (name, content) in files {
            rr.write(name, content);
        }
        rr.env("RR_EXTENSION", crate::extension().canonicalize().expect("the extension"));
        rr
    }

    /// The folder that commands run in.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.cwd
    }

    /// A file in it.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.cwd.join(name)
    }

    /// Writes a file.
    pub fn write(&self, name: &str, content: &str) {
        let path = self.file(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, content).expect("a file");
    }

    /// What is in a file; empty when there is none.
    #[must_use]
    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.file(name)).unwrap_or_default()
    }

    /// Sets a variable for what is called from now on.
    pub fn env(&mut self, name: &str, value: impl Into<OsString>) {
        self.env.retain(|(known, _)| known != name);
        self.env.push((name.into(), value.into()));
    }

    /// Calls this instead of `bin/rr`, such as a link to it.
    pub fn call(&mut self, program: impl Into<PathBuf>) {
        self.program = program.into();
    }

    /// A command that is not started yet.
    #[must_use]
    pub fn command<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Command {
        let mut command = Command::new(&self.program);
        self.dress(command.args(arguments));
        command
    }

    /// Gives a program this folder and environment.
    pub fn dress(&self, command: &mut Command) {
        command.current_dir(&self.cwd).env("PWD", &self.cwd).env(TAG, &self.tag);
        command.env_remove("DOTENV_PATH").env_remove("NOTIFY_SOCKET").env_remove("LOG_LEVEL");
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null());
    }

    /// Runs a command to its end.
    #[track_caller]
    pub fn run<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Ended {
        Ended::of(&mut self.command(arguments))
    }

    /// Runs a command that must end with 0; its stdout.
    #[track_caller]
    pub fn done<S: AsRef<OsStr>>(&self, arguments: &[S]) -> String {
        let ended = self.run(arguments);
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{}", ended.stdout);
        ended.stdout
    }

    /// Starts a server, and waits until it serves.
    #[track_caller]
    pub fn serve<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Serving {
        Serving::start(&mut self.command(arguments))
    }

    /// What still runs of all that was called here.
    #[must_use]
    pub fn processes(&self) -> Vec<Process> {
        proc::environment_has(&format!("{TAG}={}", self.tag))
    }

    /// Fails the test unless all has ended, and no socket stays.
    #[track_caller]
    pub fn check_nothing_left(&self) {
        let gone = until(SOON, || self.processes().is_empty().then_some(()));
        assert!(gone.is_some(), "left behind: {:?}", self.processes());
        let entries = std::fs::read_dir(&self.cwd).expect("the folder").flatten();
        let sockets: Vec<_> = entries
            .filter(|entry| {
                use std::os::unix::fs::FileTypeExt;
                entry.file_type().is_ok_and(|kind| kind.is_socket())
            })
            .map(|entry| entry.path())
            .collect();
        assert!(sockets.is_empty(), "sockets left behind: {sockets:?} in {}", self.dir.path().display());
    }
}

impl Drop for Rr {
    fn drop(&mut self) {
        let failed = std::thread::panicking();
        let left = self.processes();
        if !left.is_empty() {
            left.iter().for_each(|process| process.signal(9));
            assert!(failed, "left behind: {left:?}");
        }
    }
}

impl Ended {
    /// Runs a program to its end.
    #[track_caller]
    pub fn of(command: &mut Command) -> Self {
        let (stdout, stderr) = (tempfile::tempfile().expect("a file"), tempfile::tempfile().expect("a file"));
        command.stdout(stdout.try_clone().expect("a descriptor"));
        command.stderr(stderr.try_clone().expect("a descriptor"));
        let mut child = command.spawn().expect("it starts");
        let status = until(SOON * 3, || child.try_wait().expect("wait"));
        let read = |mut file: std::fs::File| {
            use std::io::{Read, Seek};
            let mut bytes = Vec::new();
            file.rewind().and_then(|()| file.read_to_end(&mut bytes)).expect("what it has said");
            String::from_utf8_lossy(&bytes).into_owned()
        };
        let (stdout, stderr) = (read(stdout), read(stderr));
        let Some(status) = status else {
            let _ = child.kill();
            let _ = child.wait();
            panic!("{command:?} does not end:\n{stdout}\n{stderr}");
        };
        Self { code: status.code(), stdout, stderr }
    }

    /// Fails the test unless it has ended with 1, and said these on stderr behind `rr: `.
    #[track_caller]
    pub fn refused(&self, texts: &[&str]) {
        assert_eq!(self.code, Some(1), "{self:?}");
        for text in texts {
            assert!(self.stderr.contains(text), "{text}: {}", self.stderr);
        }
        assert!(self.stderr.starts_with("rr: "), "{}", self.stderr);
    }
}

impl Serving {
    /// Starts a program that becomes a server, and waits until it serves.
    #[track_caller]
    pub fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("rr starts");
        let (stdout, stderr) = (Logs::default(), Logs::default());
        stdout.collect(child.stdout.take().expect("stdout"));
        stderr.collect(child.stderr.take().expect("stderr"));
        let mut serving = Self { child, stdout, stderr, address: String::new(), over: false };
        let is_banner = |record: &Value| record["msg"] == "RoadRunner server started";
        let banner = until(SOON * 3, || {
            let mut records = serving.stderr.records();
            records.append(&mut serving.stdout.records());
            let banner = records.into_iter().find(is_banner);
            let ended = banner.is_none() && serving.child.try_wait().ok().flatten().is_some();
            assert!(!ended, "it ended:\n{}", serving.all());
            banner
        });
        let banner = banner.unwrap_or_else(|| panic!("no start:\n{}", serving.all()));
        let addresses = banner["address"].as_str().unwrap_or_default();
        let http = addresses.split(", ").find_map(|one| one.strip_prefix("http://"));
        serving.address = http.unwrap_or_default().to_owned();
        serving
    }

    fn all(&self) -> String {
        format!("--- stdout ---\n{}\n--- stderr ---\n{}", self.stdout.text(), self.stderr.text())
    }

    /// The process that was started.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Where it speaks HTTP.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// GET that must be answered with 200.
    #[track_caller]
    #[must_use]
    pub fn text(&self, target: &str) -> String {
        let response = Client::connect(&self.address).get(target);
        assert_eq!(response.status, 200, "GET {target}: {}\n{}", response.text(), self.all());
        response.text()
    }

    /// Waits for its end; its exit code.
    #[track_caller]
    pub fn wait(&mut self) -> Option<i32> {
        let status = until(SOON * 2, || self.child.try_wait().expect("wait"));
        self.over = true;
        status.unwrap_or_else(|| panic!("it still runs:\n{}", self.all())).code()
    }

    /// Has it end by SIGTERM, which must give 0.
    #[track_caller]
    pub fn stop(mut self) {
        proc::kill(self.pid(), 15);
        assert_eq!(self.wait(), Some(0), "{}", self.all());
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        if !self.over {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        if std::thread::panicking() {
            eprintln!("{}", self.all());
        }
    }
}
