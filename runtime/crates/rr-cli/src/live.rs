//! `rr workers -i`: the workers as they are now, drawn anew each second, until q or Ctrl-C.

use crate::client::{Client, Failure};
use crate::table;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcgetwinsize, tcsetattr,
};
use serde::Deserialize;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const TICK: Duration = Duration::from_secs(1);
/// Lines where nobody says how many there are.
const HEIGHT: usize = 24;
const WIDTH: usize = 100;

/// A worker, as `server.Workers` tells it (docs/status.md).
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Worker {
    pool: String,
    id: u64,
    pid: u32,
    generation: u32,
    state: String,
    served: u64,
    age_ms: u64,
    memory: u64,
    method: Option<String>,
    uri: Option<String>,
    busy_ms: Option<u64>,
}

/// What was seen last, for what happens between.
#[derive(Debug, Default)]
struct Before {
    served: HashMap<(String, u64), u64>,
    at: Option<Instant>,
}

/// Follows the workers of a server.
///
/// # Errors
/// The text of why it cannot be asked at all.
pub(crate) fn run(address: &str, plugins: &[String]) -> Result<(), String> {
    let told = Arc::new(AtomicBool::new(false));
    // What handled them before is called first, and PHP's would end the process with the terminal as it is.
    rr_os::signal::prepare_master().map_err(|error| error.to_string())?;
    for signal in [signal_hook::consts::SIGTERM, signal_hook::consts::SIGINT, signal_hook::consts::SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(&told)).map_err(|error| error.to_string())?;
    }
    let mut client = Some(Client::connect(address)?);
    let screen = Screen::enter();
    let mut before = Before::default();
    while !told.load(Ordering::Relaxed) {
        let seen = ask(&mut client, address, plugins);
        let text = match &seen {
            Ok(workers) => draw(workers, &mut before, &screen),
            Err(error) => format!("{error}\n\ntrying again each second; q leaves\n"),
        };
        if screen.show(&text).is_err() || screen.is_left() {
            break;
        }
    }
    Ok(())
}

fn ask(client: &mut Option<Client>, address: &str, plugins: &[String]) -> Result<Vec<Worker>, String> {
    let connected = match client {
        Some(client) => client,
        None => client.insert(Client::connect(address)?),
    };
    connected.patience(Some(Duration::from_secs(5)));
    let answer = match connected.call("server.Workers", "\"\"") {
        Ok(answer) => answer,
        Err(error) => {
            if matches!(error, Failure::Lost(_)) {
                *client = None;
            }
            return Err(error.text());
        }
    };
    let workers: Vec<Worker> =
        serde_json::from_slice(&answer).map_err(|error| format!("server.Workers: {error}"))?;
    Ok(workers.into_iter().filter(|worker| plugins.is_empty() || plugins.contains(&worker.pool)).collect())
}

fn draw(workers: &[Worker], before: &mut Before, screen: &Screen) -> String {
    let now = Instant::now();
    let passed = before.at.map(|at| now.duration_since(at).as_secs_f64());
    let key = |worker: &Worker| (worker.pool.clone(), worker.id);
    let done: u64 = workers
        .iter()
        .filter_map(|worker| Some(worker.served.saturating_sub(*before.served.get(&key(worker))?)))
        .sum();
    before.served = workers.iter().map(|worker| (key(worker), worker.served)).collect();
    before.at = Some(now);
    let rate = passed.filter(|passed| *passed > 0.0).map(|passed| done as f64 / passed);
    let count = |state: &str| workers.iter().filter(|worker| worker.state == state).count();
    let memory: u64 = workers.iter().map(|worker| worker.memory).sum();
    let (width, height) = screen.size();
    let mut text = String::new();
    let _ = writeln!(
        text,
        "{}  {} working, {} ready, {} starting, {} leaving   {} requests a second   {}",
        screen.paint("1", &format!("{} workers", workers.len())),
        screen.paint("33", &count("working").to_string()),
        screen.paint("32", &count("ready").to_string()),
        count("booting"),
        count("draining"),
        rate.map_or("-".to_owned(), |rate| format!("{rate:.0}")),
        table::bytes(memory),
    );
    let head = format!(
        "{:<8} {:>8} {:<9} {:>5} {:>10} {:>9} {:>9}  {}",
        "POOL", "PID", "STATE", "GEN", "SERVED", "MEMORY", "AGE", "RUNS"
    );
    let _ = writeln!(text, "\n{}", screen.paint("2", &head));
    let mut rows: Vec<&Worker> = workers.iter().collect();
    // What takes longest is on top.
    rows.sort_by_key(|worker| {
        (std::cmp::Reverse(worker.busy_ms.unwrap_or(0)), worker.pool.clone(), worker.id)
    });
    let room = if screen.tty { height.saturating_sub(6) } else { usize::MAX };
    for worker in rows.iter().take(room) {
        let runs = match (&worker.method, &worker.uri, worker.busy_ms) {
            (Some(method), Some(uri), Some(ms)) => format!("{ms:>6} ms  {method} {uri}"),
            (_, _, Some(ms)) => format!("{ms:>6} ms"),
            _ => String::new(),
        };
        let colour = match worker.state.as_str() {
            "ready" => "32",
            "working" => "33",
            "dead" => "31",
            _ => "36",
        };
        let state = screen.paint(colour, &format!("{:<9}", worker.state));
        let line = format!(
            "{:<8} {:>8} {state} {:>5} {:>10} {:>9} {:>9}  ",
            worker.pool,
            worker.pid,
            worker.generation,
            worker.served,
            table::bytes(worker.memory),
            age(worker.age_ms),
        );
        // The table in front of it has 67 columns.
        let runs: String =
            runs.chars().filter(|char| !char.is_control()).take(width.saturating_sub(67)).collect();
        let _ = writeln!(text, "{line}{runs}");
    }
    if rows.len() > room {
        let _ = writeln!(text, "… and {} more", rows.len() - room);
    }
    if screen.tty {
        let _ = write!(text, "\n{}", screen.paint("2", "q leaves"));
    }
    text
}

fn age(ms: u64) -> String {
    match ms / 1000 {
        seconds @ 0..60 => format!("{seconds}s"),
        seconds @ 60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        seconds => format!("{}h{:02}m", seconds / 3600, seconds / 60 % 60),
    }
}

/// The terminal while it is ours; it is put back when this is dropped, also by a panic.
struct Screen {
    tty: bool,
    colour: bool,
    saved: Option<Termios>,
}

impl Screen {
    fn enter() -> Self {
        let tty = io::stdout().is_terminal() && io::stdin().is_terminal();
        let saved = tty.then(|| tcgetattr(io::stdin()).ok()).flatten();
        if let Some(saved) = &saved {
            let mut raw = saved.clone();
            // Keys at once and unseen; Ctrl-C stays a signal.
            raw.local_modes -= LocalModes::ICANON | LocalModes::ECHO;
            raw.special_codes[SpecialCodeIndex::VMIN] = 0;
            raw.special_codes[SpecialCodeIndex::VTIME] = 0;
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, &raw);
            // The other screen, without a cursor.
            let _ = io::stdout().write_all(b"\x1b[?1049h\x1b[?25l");
        }
        Self { tty, colour: tty && std::env::var_os("NO_COLOR").is_none(), saved }
    }

    fn size(&self) -> (usize, usize) {
        let size = if self.tty { tcgetwinsize(io::stdout()).ok() } else { None };
        size.filter(|size| size.ws_col > 0)
            .map_or((WIDTH, HEIGHT), |size| (usize::from(size.ws_col), usize::from(size.ws_row)))
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn show(&self, text: &str) -> io::Result<()> {
        let mut out = io::stdout().lock();
        if self.tty {
            // One write, and each line cleared behind its end: nothing flickers.
            let text = text.replace('\n', "\x1b[K\r\n");
            out.write_all(format!("\x1b[H{text}\x1b[K\x1b[J").as_bytes())?;
        } else {
            out.write_all(text.as_bytes())?;
            out.write_all(b"\n")?;
        }
        out.flush()
    }

    /// Waits for the next second; `true`: somebody wants to leave.
    fn is_left(&self) -> bool {
        let stdin = io::stdin();
        let until = Instant::now() + TICK;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let timeout = Timespec { tv_sec: 0, tv_nsec: i64::from(left.subsec_nanos()) };
            let timeout = if left >= TICK { Timespec { tv_sec: 1, tv_nsec: 0 } } else { timeout };
            // Without a terminal nobody types: only time passes.
            let mut watched = if self.tty { vec![PollFd::new(&stdin, PollFlags::IN)] } else { Vec::new() };
            match poll(&mut watched, Some(&timeout)) {
                // A signal, which says whether to go on, or the window has another size.
                Err(_) | Ok(0) => return false,
                Ok(_) => {
                    // All that was typed, past the buffer of `Stdin`, whose content `poll` does not see. An escape
                    // alone is that key; others begin with one.
                    let mut keys = [0; 64];
                    match rustix::io::read(&stdin, &mut keys) {
                        Ok(0) | Err(_) => return true,
                        Ok(count) if is_farewell(&keys[..count]) => return true,
                        Ok(_) => {}
                    }
                }
            }
        }
    }
}

/// Whether one of these keys is q, Ctrl-C and Ctrl-D where they are no signals, or escape, which begins other keys too.
fn is_farewell(keys: &[u8]) -> bool {
    let mut rest = keys;
    while let Some((key, behind)) = rest.split_first() {
        rest = match (key, behind) {
            (b'q' | b'Q' | 3 | 4, _) => return true,
            // A key of several bytes: its last is a letter or a tilde.
            (27, [b'[' | b'O', more @ ..]) => {
                let end = more.iter().position(|byte| (0x40..=0x7e).contains(byte));
                end.and_then(|end| more.get(end + 1..)).unwrap_or_default()
            }
            (27, _) => return true,
            _ => behind,
        };
    }
    false
}

impl Drop for Screen {
    fn drop(&mut self) {
        if let Some(saved) = &self.saved {
            let _ = io::stdout().write_all(b"\x1b[?25h\x1b[?1049l");
            let _ = io::stdout().flush();
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, saved);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_begin_with_an_escape_are_no_farewell() {
        for keys in ["", "x", "\x1b[A", "\x1bOq", "\x1b[1;5Cxyz\x1b[6~"] {
            assert!(!is_farewell(keys.as_bytes()), "{keys:?}");
        }
        for keys in ["q", "xQ", "\x03", "\x04", "\x1b", "\x1b[A\x1b", "\x1b\x1b[A", "\x1b[Aq"] {
            assert!(is_farewell(keys.as_bytes()), "{keys:?}");
        }
    }
}
