//! One run of wrk and what it reported, through a Lua script's `done` rather than by reading its prose.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::keeper::{Keeper, Running};
use crate::{Error, Result};

/// The line is the contract with `Report::parse`.
const DONE: &str = r#"
done = function(summary, latency, requests)
    local e = summary.errors
    io.write(string.format("rr-bench %d %d %d %d %d %d %d %d %d\n",
        summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
        e.status, e.connect, e.read, e.write, e.timeout))
end
"#;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Report {
    pub(crate) requests: u64,
    micros: u64,
    p50_micros: u64,
    p99_micros: u64,
    /// What wrk calls non-2xx: a status of 400 or more.
    pub(crate) bad_status: u64,
    pub(crate) connect: u64,
    pub(crate) read: u64,
    pub(crate) write: u64,
    pub(crate) timeout: u64,
}

impl Report {
    fn parse(output: &str) -> Result<Self> {
        let line = output.lines().find_map(|line| line.strip_prefix("rr-bench "));
        let numbers: Vec<u64> = line
            .and_then(|line| line.split(' ').map(str::parse).collect::<std::result::Result<_, _>>().ok())
            .unwrap_or_default();
        let [requests, micros, p50_micros, p99_micros, bad_status, connect, read, write, timeout] =
            numbers[..]
        else {
            return Err("wrk did not report".into());
        };
        Ok(Self { requests, micros, p50_micros, p99_micros, bad_status, connect, read, write, timeout })
    }

    #[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
    pub(crate) fn per_second(&self) -> f64 {
        self.requests as f64 * 1e6 / self.micros as f64
    }

    #[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
    pub(crate) fn p50_millis(&self) -> f64 {
        self.p50_micros as f64 / 1e3
    }

    #[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
    pub(crate) fn p99_millis(&self) -> f64 {
        self.p99_micros as f64 / 1e3
    }

    pub(crate) fn socket_errors(&self) -> u64 {
        self.connect + self.read + self.write + self.timeout
    }
}

/// What to send: a script in the temporary directory.
#[derive(Debug)]
pub(crate) struct Script(PathBuf);

impl Script {
    pub(crate) fn get(keeper: &Keeper) -> Result<Self> {
        Self::write(keeper, "get.lua", String::new())
    }

    pub(crate) fn post(keeper: &Keeper, body_bytes: usize) -> Result<Self> {
        let head = format!(
            "wrk.method = \"POST\"\nwrk.body = string.rep(\"x\", {body_bytes})\n\
             wrk.headers[\"Content-Type\"] = \"text/plain\"\n"
        );
        Self::write(keeper, "post.lua", head)
    }

    fn write(keeper: &Keeper, name: &str, head: String) -> Result<Self> {
        let path = keeper.dir().join(name);
        fs::write(&path, head + DONE)?;
        Ok(Self(path))
    }
}

/// A run under way.
#[derive(Debug)]
pub(crate) struct Wrk {
    running: Running,
    seconds: u64,
}

impl Wrk {
    pub(crate) fn start(
        keeper: &Keeper,
        script: &Script,
        address: SocketAddr,
        path: &str,
        connections: usize,
        seconds: u64,
    ) -> Result<Self> {
        let mut command = Keeper::command("wrk");
        command
            .args(["-t1", &format!("-c{connections}"), &format!("-d{seconds}s"), "--latency", "-s"])
            .arg(&script.0)
            .arg(format!("http://{address}{path}"));
        Ok(Self { running: keeper.start("wrk", command)?, seconds })
    }

    pub(crate) fn finish(self) -> Result<Report> {
        self.running.wait(Duration::from_secs(self.seconds + 30))?;
        Report::parse(&self.running.output())
            .map_err(|error| -> Error { format!("{error}\n{}", self.running.tail()).into() })
    }

    /// Ends the run before its time; wrk reports all the same.
    pub(crate) fn interrupt(self, keeper: &Keeper) -> Result<Report> {
        keeper.signal("INT", self.running.pid())?;
        self.finish()
    }

    pub(crate) fn ended(&self) -> bool {
        self.running.exited()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_of_the_script_is_read() {
        let report =
            Report::parse("Running 1s test\nrr-bench 1000 500000 250 1500 1 2 3 4 5\nRequests/sec: 1\n");
        let report = report.expect("a report");
        assert_eq!((report.per_second(), report.p50_millis(), report.p99_millis()), (2000.0, 0.25, 1.5));
        assert_eq!((report.bad_status, report.socket_errors()), (1, 14));
        assert!(Report::parse("unable to connect to 127.0.0.1:1 Connection refused\n").is_err());
    }
}
