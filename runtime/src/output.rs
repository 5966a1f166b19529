//! What a zygote or worker writes to its stdout and stderr: lines in the log (WRK-11), and the last of them kept
//! for the message that says why it died.

use parking_lot::Mutex;
use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::unix::pipe;

/// Longest line; what is longer becomes several.
const LINE: usize = 16 * 1024;
/// Lines and bytes kept.
const TAIL_LINES: usize = 12;
const TAIL_BYTES: usize = 4 * 1024;
/// How long the last lines of a process that has ended are waited for.
pub(crate) const LAST_WORDS: Duration = Duration::from_millis(500);

/// The last lines of a process.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tail(Arc<Mutex<VecDeque<String>>>);

impl Tail {
    fn push(&self, line: &str) {
        let mut lines = self.0.lock();
        lines.push_back(line.chars().take(TAIL_BYTES / 4).collect());
        while lines.len() > TAIL_LINES || lines.iter().map(String::len).sum::<usize>() > TAIL_BYTES {
            lines.pop_front();
        }
    }

    /// The lines.
    pub(crate) fn text(&self) -> String {
        self.0.lock().iter().map(String::as_str).collect::<Vec<_>>().join("\n")
    }
}

/// Reads `pipe` to its end; every line goes to the tail and to `log`.
pub(crate) async fn read(pipe: OwnedFd, tail: Tail, log: impl Fn(&str)) -> io::Result<()> {
    let receiver = pipe::Receiver::from_owned_fd(pipe)?;
    let mut pending = Vec::new();
    let mut buffer = vec![0; 4096];
    let emit = |line: &[u8]| {
        let line = String::from_utf8_lossy(line);
        let line = line.trim_end();
        if !line.is_empty() {
            tail.push(line);
            log(line);
        }
    };
    loop {
        receiver.readable().await?;
        let count = match receiver.try_read(&mut buffer) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            other => other?,
        };
        if count == 0 {
            emit(&pending);
            return Ok(());
        }
        pending.extend_from_slice(&buffer[..count]);
        while let Some(end) = pending.iter().position(|byte| *byte == b'\n') {
            emit(&pending[..end]);
            pending.drain(..=end);
        }
        if pending.len() >= LINE {
            emit(&pending);
            pending.clear();
        }
    }
}
