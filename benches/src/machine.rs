//! One paragraph about this machine and its programs: figures without it cannot be compared.

use std::fs;
use std::process::Command;

use crate::options::Options;

pub(crate) fn describe(options: &Options) -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let cpuinfo = read("/proc/cpuinfo");
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let php = Command::new(&options.php).args(["-n", "-r", "echo PHP_VERSION;"]).output();
    let load = read("/proc/loadavg");
    let load = load.split(' ').next().unwrap_or("?");
    format!(
        "{}, {cores} cores, Linux {}, PHP {}, load {load} before the start\n\
         {} rounds of {} s per peer and case; CPU is of all server processes of the peer",
        model.map_or("unknown CPU", |(_, model)| model),
        read("/proc/sys/kernel/osrelease").trim(),
        php.map_or_else(|error| error.to_string(), |out| String::from_utf8_lossy(&out.stdout).into_owned()),
        options.rounds,
        options.seconds,
    )
}
