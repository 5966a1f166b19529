//! The output of a process, line by line (SV-01). One that writes without end is slowed down by its full pipe, so that
//! it costs neither memory nor the log nor the server's time.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;
use tokio::net::unix::pipe;
use tokio::time::Instant;

/// Longest line; what is longer becomes several.
const LINE: usize = 16 * 1024;
/// A process may write so many lines and bytes in a slice of time; for more it waits.
const SLICE: Duration = Duration::from_millis(100);
const LINES: usize = 500;
const BYTES: usize = 256 * 1024;

/// Reads `pipe` to its end; every line goes to `log`, trimmed. `slowed` is called when the process is held up for the
/// first time.
pub(crate) async fn read(pipe: OwnedFd, log: impl Fn(&str), slowed: impl FnOnce()) -> io::Result<()> {
    let receiver = pipe::Receiver::from_owned_fd(pipe)?;
    let mut slowed = Some(slowed);
    let mut lines = Lines::default();
    let mut buffer = vec![0; 4096];
    let (mut began, mut bytes) = (Instant::now(), 0);
    loop {
        receiver.readable().await?;
        let count = match receiver.try_read(&mut buffer) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            other => other?,
        };
        if count == 0 {
            lines.end(&log);
            return Ok(());
        }
        if began.elapsed() >= SLICE {
            (began, bytes, lines.count) = (Instant::now(), 0, 0);
        }
        lines.take(&buffer[..count], &log);
        bytes += count;
        if bytes > BYTES || lines.count > LINES {
            if let Some(slowed) = slowed.take() {
                slowed();
            }
            tokio::time::sleep_until(began + SLICE).await;
        }
    }
}

/// Bytes become lines.
#[derive(Default)]
struct Lines {
    pending: Vec<u8>,
    count: usize,
}

impl Lines {
    fn take(&mut self, mut bytes: &[u8], log: &impl Fn(&str)) {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            self.pending.extend_from_slice(&bytes[..end]);
            self.end(log);
            bytes = &bytes[end + 1..];
        }
        self.pending.extend_from_slice(bytes);
        if self.pending.len() >= LINE {
            self.end(log);
        }
    }

    fn end(&mut self, log: &impl Fn(&str)) {
        self.count += 1;
        let line = String::from_utf8_lossy(&self.pending);
        let line = line.trim();
        if !line.is_empty() {
            log(line);
        }
        self.pending.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::{Cell, RefCell};
    use std::io::Write;

    async fn lines(text: &[u8]) -> (Vec<String>, bool) {
        let (reader, mut writer) = std::io::pipe().expect("pipe");
        let text = text.to_vec();
        let writing = std::thread::spawn(move || writer.write_all(&text));
        let (seen, slowed) = (RefCell::new(Vec::new()), Cell::new(false));
        let log = |line: &str| seen.borrow_mut().push(line.to_owned());
        read(reader.into(), log, || slowed.set(true)).await.expect("reads");
        writing.join().expect("joins").expect("written");
        (seen.into_inner(), slowed.get())
    }

    fn run<T>(future: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(future)
    }

    #[test]
    fn sv_01_lines_are_trimmed_and_the_last_needs_no_end() {
        let (seen, slowed) = run(lines(b"one\n  two \r\n\n\nthree"));
        assert_eq!((seen, slowed), (vec!["one".to_owned(), "two".to_owned(), "three".to_owned()], false));
        let (seen, _) = run(lines(&vec![b'x'; 3 * LINE + 1]));
        assert_eq!(seen.iter().map(String::len).collect::<Vec<_>>(), [LINE, LINE, LINE, 1]);
        assert_eq!(run(lines(b"\xff\xfe\n")).0, ["\u{fffd}\u{fffd}"]);
    }

    #[test]
    fn a_flood_is_slowed_down_and_lost_is_nothing() {
        let began = Instant::now();
        let (seen, slowed) = run(lines(&b"y\n".repeat(10_000)));
        assert_eq!((seen.len(), slowed), (10_000, true));
        // A read is 2048 lines here: four waits at least.
        assert!(began.elapsed() >= 3 * SLICE, "{:?}", began.elapsed());
    }
}
