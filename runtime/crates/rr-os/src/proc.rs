//! Reading `/proc`.

use std::io;

/// Threads of this process.
///
/// # Errors
/// `/proc` is not mounted.
pub fn threads() -> io::Result<usize> {
    Ok(std::fs::read_dir("/proc/self/task")?.count())
}

/// Memory that process `pid` has written and shares with nobody, in bytes: what ends with it. The resident size would
/// count the pages of the booted app once per worker, and clean pages of files become private when others leave.
///
/// # Errors
/// The process has ended, or may not be looked at.
pub fn private_memory(pid: u32) -> io::Result<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    Ok(private_kib(&text) * 1024)
}

/// Memory of process `pid` that is resident, in bytes.
///
/// # Errors
/// The process has ended.
pub fn resident_memory(pid: u32) -> io::Result<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/statm"))?;
    let pages: u64 = text.split_ascii_whitespace().nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0);
    Ok(pages * rustix::param::page_size() as u64)
}

fn private_kib(text: &str) -> u64 {
    text.lines()
        .filter(|line| line.starts_with("Private_Dirty:"))
        .filter_map(|line| line.split_ascii_whitespace().nth(1)?.parse::<u64>().ok())
        .sum()
}

/// Processor time that process `pid` has used, in its own code and in the kernel.
///
/// # Errors
/// The process has ended.
pub fn processor_time(pid: u32) -> io::Result<std::time::Duration> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/schedstat"))?;
    let nanos = text.split_ascii_whitespace().next().and_then(|nanos| nanos.parse().ok()).unwrap_or(0);
    Ok(std::time::Duration::from_nanos(nanos))
}

/// What this process uses.
#[derive(Debug, Clone, Copy)]
pub struct Usage {
    /// Processor time of all its threads, in seconds.
    pub processor: f64,
    /// Resident bytes.
    pub resident: u64,
    /// Bytes of addresses.
    pub addresses: u64,
    /// Threads.
    pub threads: u64,
    /// When it began, in seconds since 1970.
    pub began: f64,
    /// Open descriptors.
    pub descriptors: u64,
    /// The limit of open descriptors.
    pub max_descriptors: u64,
}

/// What this process uses.
///
/// # Errors
/// `/proc` is not mounted.
pub fn usage() -> io::Result<Usage> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    // Behind the name, which may hold anything: state, parent, …
    let fields: Vec<u64> = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_ascii_whitespace()
        .map(|field| field.parse().unwrap_or(0))
        .collect();
    let field = |index: usize| fields.get(index).copied().unwrap_or(0);
    let ticks = rustix::param::clock_ticks_per_second() as f64;
    let boot = std::fs::read_to_string("/proc/stat")?;
    let boot = boot.lines().find_map(|line| line.strip_prefix("btime ")?.trim().parse::<f64>().ok());
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    Ok(Usage {
        processor: (field(11) + field(12)) as f64 / ticks,
        threads: field(17),
        began: boot.unwrap_or(0.0) + field(19) as f64 / ticks,
        addresses: field(20),
        resident: field(21) * crate::memory::page_size() as u64,
        // Without the one that reads them.
        descriptors: (std::fs::read_dir("/proc/self/fd")?.count() as u64).saturating_sub(1),
        max_descriptors: limit.unwrap_or(u64::MAX),
    })
}

/// The process group of a process.
///
/// # Errors
/// It has ended, or `/proc` is not there.
pub fn group_of(pid: u32) -> io::Result<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // Behind the name, which may have blanks and parentheses: state, parent, group.
    let behind = stat.rsplit_once(") ").map(|(_, rest)| rest);
    let group = behind.and_then(|rest| rest.split(' ').nth(2)?.parse().ok());
    group.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))
}

/// The command line of this process.
///
/// # Errors
/// `/proc` is not mounted.
pub fn command_line() -> io::Result<Vec<Vec<u8>>> {
    let bytes = std::fs::read("/proc/self/cmdline")?;
    let bytes = bytes.strip_suffix(&[0]).unwrap_or(&bytes);
    Ok(bytes.split(|byte| *byte == 0).map(<[u8]>::to_vec).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_memory_is_what_was_written() {
        let text = "Rss: 900 kB\nShared_Clean: 400 kB\nPrivate_Clean:  20 kB\nPrivate_Dirty:     300 kB\nSwap: 1 kB\n";
        assert_eq!(private_kib(text), 300);
        assert!(private_memory(std::process::id()).expect("own") > 0);
    }

    #[test]
    fn usage_is_that_of_a_living_process() {
        let usage = usage().expect("/proc");
        assert!(
            usage.resident > 100_000 && usage.addresses >= usage.resident && usage.threads >= 1,
            "{usage:?}"
        );
        assert!(usage.began > 1e9 && usage.descriptors >= 3 && usage.max_descriptors >= 64, "{usage:?}");
    }

    #[test]
    fn the_command_line_has_this_test_binary_first() {
        assert!(!command_line().expect("cmdline")[0].is_empty());
        assert!(threads().expect("threads") >= 1);
    }
}
