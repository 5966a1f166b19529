//! Looking at processes through `/proc`, and signalling them without hitting a later one of the same number.

use std::collections::HashMap;
use std::fs;

/// A process, told apart from a later one with the same id by its start time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its id.
    pub pid: u32,
    start: u64,
    /// What it runs, as it was when it was seen.
    pub name: String,
}

impl Process {
    /// The process with this id, unless there is none or it is a zombie.
    #[must_use]
    pub fn find(pid: u32) -> Option<Self> {
        let stat = Stat::read(pid)?;
        (stat.state != 'Z' && stat.state != 'X').then_some(Self { pid, start: stat.start, name: stat.name })
    }

    /// Whether it still runs.
    #[must_use]
    pub fn lives(&self) -> bool {
        Self::find(self.pid).is_some_and(|now| now.start == self.start)
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: i32) {
        if self.lives() {
            kill(self.pid, signal);
        }
    }
}

struct Stat {
    name: String,
    state: char,
    parent: u32,
    start: u64,
}

impl Stat {
    fn read(pid: u32) -> Option<Self> {
        let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (head, rest) = text.rsplit_once(')')?;
        let name = head.split_once('(')?.1.to_owned();
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        let state = fields.first()?.chars().next()?;
        Some(Self { name, state, parent: fields.get(1)?.parse().ok()?, start: fields.get(19)?.parse().ok()? })
    }
}

fn pids() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// All living descendants of `root`, itself excluded.
#[must_use]
pub fn descendants(root: u32) -> Vec<Process> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for pid in pids() {
        if let Some(stat) = Stat::read(pid) {
            children.entry(stat.parent).or_default().push(pid);
        }
    }
    let mut found = Vec::new();
    let mut open = vec![root];
    while let Some(pid) = open.pop() {
        for child in children.get(&pid).into_iter().flatten() {
            open.push(*child);
            found.extend(Process::find(*child));
        }
    }
    found
}

/// All living processes that have `pair` (`NAME=value`) in the environment they were started with.
#[must_use]
pub fn environment_has(pair: &str) -> Vec<Process> {
    let has = |pid: &u32| {
        let bytes = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        bytes.split(|byte| *byte == 0).any(|entry| entry == pair.as_bytes())
    };
    pids().filter(has).filter_map(Process::find).collect()
}

/// Whether a process runs.
#[must_use]
pub fn is_alive(pid: u32) -> bool {
    Process::find(pid).is_some()
}

/// Sends a signal; nothing happens when the process is gone.
pub fn kill(pid: u32, signal: i32) {
    if let Ok(pidfd) = rr_os::process::pidfd(pid) {
        let _ = rr_os::process::kill(&pidfd, signal);
    }
}

/// Raises this process's own limit of descriptors as far as it goes.
#[must_use]
pub fn limit_of_descriptors() -> u64 {
    rr_os::process::raise_descriptor_limit()
}

/// How many descriptors a process has open.
#[must_use]
pub fn descriptors(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count)
}

/// A line of `/proc/PID/status` without its name.
#[must_use]
pub fn status_field(pid: u32, name: &str) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    text.lines().find_map(|line| line.strip_prefix(name)).map(|rest| rest.trim().to_owned())
}

fn kib(pid: u32, name: &str) -> u64 {
    let field = status_field(pid, name).unwrap_or_default();
    field.split(' ').next().and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// Resident memory in KiB, what it has of shared memory excluded.
#[must_use]
pub fn resident_memory(pid: u32) -> u64 {
    kib(pid, "RssAnon:")
}

/// The most that was ever resident, in KiB.
#[must_use]
pub fn peak_memory(pid: u32) -> u64 {
    kib(pid, "VmHWM:")
}

/// Starts [`peak_memory`] anew from what is resident now.
pub fn reset_peak(pid: u32) {
    let _ = fs::write(format!("/proc/{pid}/clear_refs"), "5");
}

/// Memory that it has written and shares with nobody, in KiB. Clean private pages are left out: they are pages of
/// files, which become private or shared when other programs come and go.
#[must_use]
pub fn private_memory(pid: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("Private_Dirty:")).unwrap_or_default();
    line.split_ascii_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or(0)
}
