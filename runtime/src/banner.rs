//! What a person sees when the server is up; a program gets the same in one JSON line.

use std::fmt::Write;
use std::io::IsTerminal;
use std::time::Duration;

/// What there is to say.
pub(crate) struct Banner {
    pub(crate) addresses: Vec<String>,
    /// `None`: one for each request.
    pub(crate) workers: Option<usize>,
    pub(crate) php: String,
    pub(crate) pid: u32,
    pub(crate) boot: Duration,
    pub(crate) memory: u64,
    /// Development mode: what is watched.
    pub(crate) dev: Option<String>,
}

impl Banner {
    fn text(&self, color: bool) -> String {
        let paint = |code: &str, text: &str| {
            if color { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
        };
        let mut text = format!("\n  {} {}\n\n", paint("1", "RoadRunner for PHP"), env!("CARGO_PKG_VERSION"));
        let mut row = |name: &str, value: &str| {
            let _ = writeln!(text, "  {} {value}", paint("2", &format!("{name:<9}")));
        };
        for address in &self.addresses {
            row("address", &paint("36", address));
        }
        let memory = self.memory / (1024 * 1024);
        let workers = self.workers.map_or("one for each request".to_owned(), |count| count.to_string());
        row("workers", &format!("{workers}, app booted in {} ms ({memory} MB)", self.boot.as_millis()));
        row("PHP", &self.php);
        if let Some(dev) = &self.dev {
            row("dev", &paint("33", &format!("development mode, not for production; {dev}")));
        }
        row("stop", &format!("Ctrl+C, or kill -TERM {}", self.pid));
        row("reload", &format!("kill -HUP {}", self.pid));
        text
    }

    /// Shows it.
    pub(crate) fn show(&self) {
        use std::io::Write;
        if std::io::stderr().is_terminal() {
            let color = std::env::var_os("NO_COLOR").is_none();
            let _ = writeln!(std::io::stderr(), "{}", self.text(color));
        } else {
            let boot_ms = u64::try_from(self.boot.as_millis()).unwrap_or(u64::MAX);
            tracing::info!(
                target: "server", version = env!("CARGO_PKG_VERSION"), address = self.addresses.join(", "),
                workers = self.workers.unwrap_or(0), php = self.php, pid = self.pid, boot_ms,
                dev = self.dev, stop = format!("kill -TERM {}", self.pid), "RoadRunner server started"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_banner_says_address_workers_php_and_how_to_stop() {
        let banner = Banner {
            addresses: vec!["http://127.0.0.1:8080".to_owned()],
            workers: Some(4),
            php: "8.2.1".to_owned(),
            pid: 77,
            boot: Duration::from_millis(40),
            memory: 3 << 20,
            dev: Some("watching 3 folders".to_owned()),
        };
        let text = banner.text(false);
        for part in [
            "http://127.0.0.1:8080",
            "workers   4, app booted in 40 ms (3 MB)",
            "8.2.1",
            "kill -TERM 77",
            "development mode, not for production; watching 3 folders",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }
}
