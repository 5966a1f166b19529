//! `/proc`, read only: process trees, memory, and the raw CPU counters that `cpu` subtracts.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use crate::Result;

/// The fields of `/proc/PID/stat` we use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stat {
    pub(crate) parent: u32,
    /// utime + stime, in clock ticks.
    pub(crate) own_ticks: u64,
    /// cutime + cstime: children that were waited for, in clock ticks.
    pub(crate) reaped_ticks: u64,
    /// With the pid, names a process for good: pids are used again, start times are not.
    pub(crate) start: u64,
    zombie: bool,
}

impl Stat {
    /// `None` when the process is gone, or a zombie without anything left to measure or to stop.
    pub(crate) fn read(pid: u32) -> Option<Self> {
        let stat = Self::parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)?;
        (!stat.zombie).then_some(stat)
    }

    pub(crate) fn parse(line: &str) -> Option<Self> {
        // The command name is in parentheses and may hold spaces and parentheses.
        let fields: Vec<&str> = line.get(line.rfind(')')? + 1..)?.split_whitespace().collect();
        // Field n of proc(5) is at n - 3.
        let number = |n: usize| fields.get(n - 3)?.parse::<u64>().ok();
        Some(Self {
            parent: u32::try_from(number(4)?).ok()?,
            own_ticks: number(14)? + number(15)?,
            reaped_ticks: number(16)? + number(17)?,
            start: number(22)?,
            zombie: matches!(fields.first(), Some(&"Z" | &"X")),
        })
    }
}

/// Nanoseconds on a CPU of every thread of `pid`; empty where the kernel keeps no schedstat.
pub(crate) fn thread_nanos(pid: u32) -> BTreeMap<u32, u64> {
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else { return BTreeMap::new() };
    tasks
        .flatten()
        .filter_map(|task| {
            let text = fs::read_to_string(task.path().join("schedstat")).ok()?;
            let tid = task.file_name().to_str()?.parse().ok()?;
            Some((tid, text.split_whitespace().next()?.parse().ok()?))
        })
        .collect()
}

/// `roots` and all that descends from them, as far as alive.
pub(crate) fn tree(roots: &[u32]) -> BTreeMap<u32, Stat> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        if let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok())
            && let Some(stat) = Stat::read(pid)
        {
            all.insert(pid, stat);
        }
    }
    let mut found: BTreeSet<u32> = roots.iter().copied().filter(|pid| all.contains_key(pid)).collect();
    loop {
        let before = found.len();
        found.extend(
            all.iter()
                .filter(|(_, stat)| found.contains(&stat.parent))
                .map(|(pid, _)| *pid)
                .collect::<Vec<_>>(),
        );
        if found.len() == before {
            all.retain(|pid, _| found.contains(pid));
            return all;
        }
    }
}

/// The proportional share of memory of one process, in bytes.
pub(crate) fn pss(pid: u32) -> Result<u64> {
    let path = format!("/proc/{pid}/smaps_rollup");
    let text = fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
    let line =
        text.lines().find_map(|line| line.strip_prefix("Pss:")).ok_or_else(|| format!("{path}: no Pss"))?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_name_may_hold_anything() {
        let line = "42 (a) R (b c) S 7 1 1 0 -1 4194560 1 2 3 4 10 20 30 40 20 0 1 0 999 1 1";
        let wanted = Stat { parent: 7, own_ticks: 30, reaped_ticks: 70, start: 999, zombie: false };
        assert_eq!(Stat::parse(line), Some(wanted));
        assert_eq!(Stat::parse("42 (short) S 1"), None);
    }

    #[test]
    fn this_process_is_in_its_own_tree() {
        let own = std::process::id();
        assert!(tree(&[own]).contains_key(&own));
        assert!(pss(own).is_ok_and(|bytes| bytes > 0));
    }
}
