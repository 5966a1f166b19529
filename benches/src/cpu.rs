//! CPU time of a whole process tree between two moments, over workers that come and go.
//!
//! Per thread in nanoseconds (schedstat) where the threads lived through; in clock ticks (stat) where they did not.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::proc::{self, Stat};

/// USER_HZ is 100 on every Linux that Rust's std and PHP run on.
const TICK: u64 = 10_000_000;

#[derive(Clone, Debug)]
struct Usage {
    stat: Stat,
    threads: BTreeMap<u32, u64>,
}

/// What every process of a tree had used at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Snapshot(BTreeMap<u32, Usage>);

impl Snapshot {
    pub(crate) fn take(roots: &[u32]) -> Self {
        Self::of(proc::tree(roots))
    }

    /// The same tree later. A process known from before stays in it, even if its parent died and init took it.
    pub(crate) fn again(&self, roots: &[u32]) -> Self {
        let mut tree = proc::tree(roots);
        for (pid, usage) in &self.0 {
            if !tree.contains_key(pid)
                && let Some(stat) = Stat::read(*pid)
                && stat.start == usage.stat.start
            {
                tree.insert(*pid, stat);
            }
        }
        Self::of(tree)
    }

    fn of(tree: BTreeMap<u32, Stat>) -> Self {
        Self(
            tree.into_iter()
                .map(|(pid, stat)| (pid, Usage { stat, threads: proc::thread_nanos(pid) }))
                .collect(),
        )
    }

    /// CPU time the tree used between `self` and `after`.
    pub(crate) fn until(&self, after: &Self) -> Duration {
        let mut nanos = 0;
        let mut reaped = 0;
        for (pid, now) in &after.0 {
            let then = self.0.get(pid).filter(|then| then.stat.start == now.stat.start);
            nanos += own(then, now);
            reaped += now.stat.reaped_ticks
                - then.map_or(0, |then| then.stat.reaped_ticks.min(now.stat.reaped_ticks));
        }
        // Who died between left its whole life in its parent's cutime; what it used before `self` is not ours.
        let before: u64 = self
            .0
            .iter()
            .filter(|(pid, then)| after.0.get(pid).is_none_or(|now| now.stat.start != then.stat.start))
            .map(|(_, then)| then.stat.own_ticks + then.stat.reaped_ticks)
            .sum();
        Duration::from_nanos(nanos + reaped.saturating_sub(before) * TICK)
    }
}

fn own(then: Option<&Usage>, now: &Usage) -> u64 {
    let threads: u64 = now
        .threads
        .iter()
        .map(|(tid, nanos)| {
            nanos.saturating_sub(then.and_then(|then| then.threads.get(tid)).copied().unwrap_or(0))
        })
        .sum();
    let ticks = now.stat.own_ticks.saturating_sub(then.map_or(0, |then| then.stat.own_ticks)) * TICK;
    let lived = then.is_none_or(|then| then.threads.keys().all(|tid| now.threads.contains_key(tid)));
    if lived && !now.threads.is_empty() { threads } else { threads.max(ticks) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(start: u64, own_ticks: u64, reaped_ticks: u64, threads: &[(u32, u64)]) -> Usage {
        let line = format!("1 (x) S 1 0 0 0 0 0 0 0 0 0 {own_ticks} 0 {reaped_ticks} 0 20 0 1 0 {start}");
        Usage { stat: Stat::parse(&line).expect("a stat line"), threads: threads.iter().copied().collect() }
    }

    fn snapshot(usages: &[(u32, Usage)]) -> Snapshot {
        Snapshot(usages.iter().cloned().collect())
    }

    #[test]
    fn nanoseconds_of_threads_that_lived() {
        let before = snapshot(&[(1, usage(5, 0, 0, &[(1, 100), (2, 50)]))]);
        let after = snapshot(&[(1, usage(5, 9, 0, &[(1, 400), (2, 60), (3, 7)]))]);
        assert_eq!(before.until(&after), Duration::from_nanos(317));
    }

    #[test]
    fn ticks_when_a_thread_ended() {
        let before = snapshot(&[(1, usage(5, 2, 0, &[(1, 100), (2, 50)]))]);
        let after = snapshot(&[(1, usage(5, 9, 0, &[(1, 400)]))]);
        assert_eq!(before.until(&after), Duration::from_millis(70));
    }

    #[test]
    fn a_dead_worker_counts_through_its_parent() {
        let before = snapshot(&[(1, usage(5, 0, 1, &[(1, 0)])), (2, usage(6, 30, 0, &[(2, 9)]))]);
        // Pid 2 was used again by the replacement.
        let after = snapshot(&[(1, usage(5, 0, 51, &[(1, 0)])), (2, usage(8, 0, 0, &[(2, 4)]))]);
        assert_eq!(before.until(&after), Duration::from_millis(200) + Duration::from_nanos(4));
    }

    #[test]
    fn the_work_of_this_process_is_seen() {
        let before = Snapshot::take(&[std::process::id()]);
        let start = std::time::Instant::now();
        let mut x = 1_u64;
        while start.elapsed() < Duration::from_millis(60) {
            x = std::hint::black_box(x.wrapping_mul(31));
        }
        let used = before.until(&before.again(&[std::process::id()]));
        assert!(used > Duration::from_millis(5), "{used:?}");
    }
}
