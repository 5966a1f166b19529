//! Everything `compare` starts: processes, each in a group of its own, and one temporary directory. All of it ends here.
//!
//! No `unsafe`: signals go through the builtin `kill` of one long-lived shell, some 25 µs away.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::Result;
use crate::proc::{self, Stat};

/// How long a process may take to leave after SIGTERM.
const PATIENCE: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(5);

/// Shared by the measuring thread and the one that waits for signals.
#[derive(Clone, Debug)]
pub(crate) struct Keeper {
    inner: Arc<Mutex<Inner>>,
    dir: Arc<Path>,
}

#[derive(Debug)]
struct Inner {
    children: Vec<Child>,
    started: usize,
    closed: bool,
    shell: Shell,
}

impl Keeper {
    pub(crate) fn new() -> Result<Self> {
        let mut attempt = 0;
        let dir = loop {
            let dir = std::env::temp_dir().join(format!("rr-bench-{}-{attempt}", std::process::id()));
            match fs::create_dir(&dir) {
                Ok(()) => break dir,
                Err(error) if error.kind() == ErrorKind::AlreadyExists => attempt += 1,
                Err(error) => return Err(format!("{}: {error}", dir.display()).into()),
            }
        };
        let inner = Inner { children: Vec::new(), started: 0, closed: false, shell: Shell::start()? };
        Ok(Self { inner: Arc::new(Mutex::new(inner)), dir: dir.into() })
    }

    /// For sockets, logs and written configuration; removed by `close`.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// A command that gets SIGTERM when the thread that starts it ends, even by SIGKILL.
    pub(crate) fn command(program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "TERM", "--"]).arg(program).stdin(Stdio::null());
        command
    }

    /// Starts a command made by `command`. Stdout and stderr go to one file; the process ends with the returned value.
    pub(crate) fn start(&self, name: &str, mut command: Command) -> Result<Running> {
        let mut inner = self.lock();
        if inner.closed {
            return Err("interrupted".into());
        }
        inner.started += 1;
        let log = self.dir.join(format!("{name}-{}.log", inner.started));
        let out = File::create(&log)?;
        command.stderr(out.try_clone()?).stdout(out).process_group(0);
        let child = command.spawn().map_err(|error| format!("{name}: {error}"))?;
        let pid = child.id();
        inner.children.push(child);
        Ok(Running { keeper: self.clone(), name: name.into(), pid, log })
    }

    /// Returns once the signal is sent; `false` when there is no such process.
    pub(crate) fn signal(&self, name: &str, pid: u32) -> Result<bool> {
        self.lock().shell.kill(name, &pid.to_string())
    }

    pub(crate) fn closed(&self) -> bool {
        self.lock().closed
    }

    /// Ends everything and lets nothing start any more.
    pub(crate) fn close(&self) {
        let mut inner = self.lock();
        inner.closed = true;
        while let Some(child) = inner.children.pop() {
            inner.stop(child);
        }
        let _ = fs::remove_dir_all(&self.dir);
    }

    fn stop(&self, pid: u32) {
        // The lock is held to the end: `close` must not return while somebody is still leaving.
        let mut inner = self.lock();
        if let Some(at) = inner.children.iter().position(|child| child.id() == pid) {
            let child = inner.children.swap_remove(at);
            inner.stop(child);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn stop(&mut self, mut child: Child) {
        let pid = child.id();
        let tree = proc::tree(&[pid]);
        if Stat::read(pid).is_some() {
            let _ = self.shell.kill("TERM", &pid.to_string());
            let deadline = Instant::now() + PATIENCE;
            while Stat::read(pid).is_some() && Instant::now() < deadline {
                // SLEEP: polls a process of the system, bounded by the deadline above.
                std::thread::sleep(POLL);
            }
        }
        // Not reaped yet, so that the group's number is surely still ours.
        let _ = self.shell.kill("KILL", &format!("-{pid}"));
        let _ = child.kill();
        let _ = child.wait();
        for (pid, stat) in tree {
            if Stat::read(pid).is_some_and(|now| now.start == stat.start) {
                let _ = self.shell.kill("KILL", &pid.to_string());
            }
        }
    }
}

/// A started process; stopped when dropped.
#[derive(Debug)]
pub(crate) struct Running {
    keeper: Keeper,
    name: String,
    pid: u32,
    log: PathBuf,
}

impl Running {
    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// It left by itself; it is reaped only by `drop`.
    pub(crate) fn exited(&self) -> bool {
        Stat::read(self.pid).is_none()
    }

    /// Waits for its end; an error if that takes longer than `limit`.
    pub(crate) fn wait(&self, limit: Duration) -> Result<()> {
        let deadline = Instant::now() + limit;
        while !self.exited() {
            if Instant::now() > deadline {
                return Err(format!("{} did not end within {} s", self.name, limit.as_secs()).into());
            }
            // SLEEP: polls a process of the system, bounded by the deadline above.
            std::thread::sleep(POLL);
        }
        Ok(())
    }

    /// What it has printed so far.
    pub(crate) fn output(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// The last lines it printed, under its name, for an error message.
    pub(crate) fn tail(&self) -> String {
        let output = self.output();
        let lines: Vec<&str> = output.lines().collect();
        let last = &lines[lines.len().saturating_sub(15)..];
        format!("--- {} (pid {}) ---\n{}", self.name, self.pid, last.join("\n"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.keeper.stop(self.pid);
    }
}

/// A shell that sends signals on request. It leaves when its stdin closes.
#[derive(Debug)]
struct Shell {
    child: Child,
    answers: BufReader<ChildStdout>,
}

impl Shell {
    fn start() -> Result<Self> {
        let mut child = Command::new("sh")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            // Ctrl-C goes to the terminal's group; this one is needed a little longer.
            .process_group(0)
            .spawn()
            .map_err(|error| format!("sh: {error}"))?;
        let answers = BufReader::new(child.stdout.take().ok_or("sh has no stdout")?);
        Ok(Self { child, answers })
    }

    fn kill(&mut self, signal: &str, target: &str) -> Result<bool> {
        let stdin = self.child.stdin.as_mut().ok_or("sh has no stdin")?;
        stdin.write_all(format!("kill -s {signal} -- {target}; echo $?\n").as_bytes())?;
        let mut answer = String::new();
        self.answers.read_line(&mut answer)?;
        Ok(answer.trim() == "0")
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_started_is_stopped_with_its_children() {
        let keeper = Keeper::new().expect("a keeper");
        let mut command = Keeper::command("sh");
        command.args(["-c", "trap '' TERM; sleep 300 & echo $!; exec sleep 0.2"]);
        let running = keeper.start("test", command).expect("a process");
        running.wait(Duration::from_secs(10)).expect("its end");
        let child: u32 = running.output().trim().parse().expect("the pid of the child");
        assert!(Stat::read(child).is_some());
        let pid = running.pid();
        drop(running);
        assert!(!keeper.signal("0", pid).expect("an answer"));
        // It left, or is about to: who reaps an orphan is not ours to say.
        let deadline = Instant::now() + PATIENCE;
        while Stat::read(child).is_some() {
            assert!(Instant::now() < deadline, "the child was left behind");
            // SLEEP: polls a process of the system, bounded by the deadline above.
            std::thread::sleep(POLL);
        }
        keeper.close();
        assert!(!keeper.dir().exists());
        assert!(keeper.start("late", Keeper::command("true")).is_err());
    }
}
