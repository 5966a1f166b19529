//! A running server, and the check that nothing of it is left when it has stopped.

use crate::client::{Client, Response};
use crate::logs::Logs;
use crate::options::{Options, Script};
use crate::proc::{self, Process};
use crate::{SOON, until};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tempfile::TempDir;

const TAG: &str = "RR_E2E_TAG";

/// A server under test. Dropping it kills what is left of it.
pub struct Server {
    child: Child,
    /// All it has written to stderr, its log included.
    pub logs: Logs,
    /// All that was written to stdout.
    pub stdout: Logs,
    addresses: Vec<String>,
    banner: Value,
    tag: String,
    dir: TempDir,
    shared: BTreeSet<String>,
    descriptors: Option<usize>,
    expect_errors: bool,
    seen: Vec<Process>,
    over: bool,
}

/// A server that has ended by itself.
pub struct Finished {
    /// Its exit code; `None` after a signal.
    pub code: Option<i32>,
    /// Its stderr.
    pub stderr: String,
    /// Its stdout.
    pub stdout: String,
}

fn shared_memory() -> BTreeSet<String> {
    let entries = std::fs::read_dir("/dev/shm").into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    // Other tests' databases come and go.
    names.filter(|name| !name.starts_with("PostgreSQL.")).collect()
}

impl Server {
    fn spawn(options: Options) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let tag = format!("{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let dir = TempDir::with_prefix("rr-e2e-").expect("a temporary directory");
        open_to_all(dir.path());
        for (name, content) in &options.files {
            let path = dir.path().join(name);
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder).expect("a folder for the script");
            }
            std::fs::write(path, content).expect("a file for the script");
        }
        let written = |source: &str| {
            let path = dir.path().join("server.php");
            std::fs::write(&path, source).expect("the script");
            path
        };
        let script = match &options.script {
            Script::Path(path) => path.clone(),
            Script::Source(source) => written(source),
            Script::Handler(parts) => written(&parts.source()),
        };
        let mut line: Vec<std::ffi::OsString> = options.wrap.iter().map(Into::into).collect();
        line.push(crate::php().into());
        line.extend(["-d".into(), format!("extension={}", crate::extension().display()).into()]);
        for setting in &options.ini {
            line.extend(["-d".into(), setting.into()]);
        }
        line.push(script.into());
        line.extend(options.args.iter().cloned());
        let mut command = Command::new(&line[0]);
        let cwd = options.dir.clone().unwrap_or_else(|| dir.path().to_owned());
        command.args(&line[1..]).current_dir(&cwd).env("PWD", &cwd).env(TAG, &tag);
        command.env("HTTP_ADDRESS", "127.0.0.1:0").env_remove("LOG_LEVEL").env_remove("NOTIFY_SOCKET");
        command.envs(options.env.iter().map(|(name, value)| (name, value)));
        command.stdin(options.stdin.map_or_else(Stdio::null, Stdio::from));
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let shared = shared_memory();
        let mut child = command.spawn().expect("php starts");
        let (logs, stdout) = (Logs::default(), Logs::default());
        logs.collect(child.stderr.take().expect("stderr"));
        stdout.collect(child.stdout.take().expect("stdout"));
        Self {
            child,
            logs,
            stdout,
            addresses: Vec::new(),
            banner: Value::Null,
            tag,
            dir,
            shared,
            descriptors: options.count_descriptors.then_some(0),
            expect_errors: options.expect_errors,
            seen: Vec::new(),
            over: false,
        }
    }

    #[track_caller]
    pub(crate) fn start(options: Options) -> Self {
        let patience = options.patience;
        let mut server = Self::spawn(options);
        let is_banner = |record: &Value| record["msg"] == "RoadRunner server started";
        let banner = until(patience, || {
            let banner = server.logs.wait_for(is_banner, Duration::from_millis(50));
            let ended = banner.is_none() && server.child.try_wait().ok().flatten().is_some();
            assert!(!ended, "the server ended:\n{}", server.logs.text());
            banner
        });
        server.banner =
            banner.unwrap_or_else(|| panic!("no start within {patience:?}:\n{}", server.logs.text()));
        let addresses = server.banner["address"].as_str().unwrap_or_default();
        server.addresses =
            addresses.split(", ").map(|one| one.strip_prefix("http://").unwrap_or(one).to_owned()).collect();
        if server.descriptors.is_some() {
            server.descriptors = Some(proc::descriptors(server.pid()));
        }
        server.note_processes();
        server
    }

    #[track_caller]
    pub(crate) fn finish(options: Options) -> Finished {
        let patience = options.patience;
        let mut server = Self::spawn(options);
        let status = until(patience, || server.child.try_wait().expect("wait"));
        let status =
            status.unwrap_or_else(|| panic!("still runs after {patience:?}:\n{}", server.logs.text()));
        server.check_nothing_left();
        // The pipes are at their ends, but their readers may not have got there.
        let mut last = None;
        let read = until(SOON, || {
            let text = Some(server.logs.text() + &server.stdout.text());
            // Nothing at the first look may be a reader that has not begun.
            let same = text == last;
            last = text;
            std::thread::sleep(Duration::from_millis(20));
            same.then_some(())
        });
        assert!(read.is_some());
        server.over = true;
        Finished { code: status.code(), stderr: server.logs.text(), stdout: server.stdout.text() }
    }

    /// The first address, for [`Client::connect`].
    #[must_use]
    pub fn addr(&self) -> &str {
        &self.addresses[0]
    }

    /// All addresses.
    #[must_use]
    pub fn addrs(&self) -> &[String] {
        &self.addresses
    }

    /// The log line of the start.
    #[must_use]
    pub fn banner(&self) -> &Value {
        &self.banner
    }

    /// The master.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The script's directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// A file in the script's directory.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// What is in a file of the script's directory; empty when there is none.
    #[must_use]
    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.file(name)).unwrap_or_default()
    }

    /// A new connection.
    #[track_caller]
    #[must_use]
    pub fn client(&self) -> Client {
        Client::connect(self.addr())
    }

    /// GET on a connection of its own.
    #[track_caller]
    #[must_use]
    pub fn get(&self, target: &str) -> Response {
        self.client().get(target)
    }

    /// GET that must be answered with 200, and its text.
    #[track_caller]
    #[must_use]
    pub fn text(&self, target: &str) -> String {
        let response = self.get(target);
        assert_eq!(response.status, 200, "GET {target}: {}\n{}", response.text(), self.logs.text());
        response.text()
    }

    /// Zygotes: children of the master that have their name.
    #[must_use]
    pub fn zygotes(&self) -> Vec<Process> {
        proc::descendants(self.pid()).into_iter().filter(|process| process.name == "rr-zygote").collect()
    }

    /// All processes below the master.
    #[must_use]
    pub fn processes(&self) -> Vec<Process> {
        proc::descendants(self.pid())
    }

    /// Remembers who belongs to this server, for the check in the end.
    pub fn note_processes(&mut self) {
        for process in proc::descendants(self.pid()) {
            if !self.seen.contains(&process) {
                self.seen.push(process);
            }
        }
    }

    /// Sends the master a signal.
    pub fn signal(&self, signal: i32) {
        proc::kill(self.pid(), signal);
    }

    /// Waits for the master's end.
    #[track_caller]
    pub fn wait(&mut self) -> ExitStatus {
        self.wait_within(SOON * 2)
    }

    /// Waits for the master's end.
    #[track_caller]
    pub fn wait_within(&mut self, patience: Duration) -> ExitStatus {
        let status = until(patience, || self.child.try_wait().expect("wait"));
        status.unwrap_or_else(|| panic!("the server still runs after {patience:?}:\n{}", self.logs.text()))
    }

    /// Fails the test when the master has more descriptors than at its start and keeps them.
    #[track_caller]
    pub fn check_descriptors(&self) {
        let Some(before) = self.descriptors else { return };
        let back = until(SOON / 2, || (proc::descriptors(self.pid()) <= before).then_some(()));
        if back.is_none() {
            let entries =
                std::fs::read_dir(format!("/proc/{}/fd", self.pid())).into_iter().flatten().flatten();
            let open: Vec<_> = entries.filter_map(|entry| std::fs::read_link(entry.path()).ok()).collect();
            panic!("{before} descriptors at the start, now {}: {open:?}", open.len());
        }
    }

    /// Stops the server in order and checks that nothing is left of it and that its log has no errors.
    #[track_caller]
    pub fn stop(mut self) -> Logs {
        self.stop_in_order();
        self.over()
    }

    /// [`Server::stop`], with a look at its files before they are removed.
    #[track_caller]
    pub fn stop_then(mut self, look: impl FnOnce()) -> Logs {
        self.stop_in_order();
        look();
        self.over()
    }

    #[track_caller]
    fn stop_in_order(&mut self) {
        self.check_descriptors();
        self.note_processes();
        self.signal(15);
        let status = self.wait();
        assert_eq!(status.code(), Some(0), "{status}:\n{}", self.logs.text());
    }

    /// The check of [`Server::stop`] for a master that has ended already.
    #[track_caller]
    pub fn over(mut self) -> Logs {
        let _ = self.wait();
        self.check_nothing_left();
        let panics: Vec<_> =
            self.logs.others().into_iter().filter(|line| line.contains("panicked")).collect();
        assert!(panics.is_empty(), "{panics:?}");
        if !self.expect_errors {
            let records = self.logs.records();
            let errors: Vec<_> = records.iter().filter(|record| record["level"] == "error").collect();
            assert!(errors.is_empty(), "errors in the log: {errors:#?}");
            let others = self.logs.others();
            assert!(others.is_empty(), "lines that are no log: {others:#?}");
        }
        self.over = true;
        self.logs.clone()
    }

    fn left(&self) -> Vec<Process> {
        let mut left = proc::environment_has(&format!("{TAG}={}", self.tag));
        left.extend(self.seen.iter().filter(|process| process.lives()).cloned());
        left
    }

    /// Fails the test unless all processes end soon, and no socket file or shared memory stays.
    #[track_caller]
    pub fn check_nothing_left(&self) {
        let gone = until(SOON, || self.left().is_empty().then_some(()));
        assert!(gone.is_some(), "left behind: {:?}\n{}", self.left(), self.logs.text());
        let shared: Vec<_> = shared_memory().difference(&self.shared).cloned().collect();
        assert!(shared.is_empty(), "shared memory left behind: {shared:?}");
        let sockets = std::fs::read_dir(self.dir.path()).into_iter().flatten().flatten().filter(|entry| {
            use std::os::unix::fs::FileTypeExt;
            entry.file_type().is_ok_and(|kind| kind.is_socket())
        });
        let sockets: Vec<_> = sockets.map(|entry| entry.path()).collect();
        assert!(sockets.is_empty(), "sockets left behind: {sockets:?}");
    }
}

/// A worker may run as another user, and must still find its script.
fn open_to_all(dir: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o777)).expect("permissions");
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.over {
            return;
        }
        self.note_processes();
        let _ = self.child.kill();
        let _ = self.child.wait();
        let gone = until(SOON, || {
            let left = self.left();
            left.iter().for_each(|process| process.signal(9));
            left.is_empty().then_some(())
        });
        if gone.is_none() {
            eprintln!("could not be killed: {:?}", self.left());
        }
        if std::thread::panicking() {
            eprintln!("--- the server's log ---\n{}\n---", self.logs.text());
        }
    }
}
