//! The thread that writes lines, and its bounded queue.

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Lines that can wait to be written.
const QUEUE: usize = 8192;
/// How long a flush waits for the outputs.
const PATIENCE: Duration = Duration::from_secs(2);
/// Bytes written at once.
const BATCH: usize = 64 * 1024;

/// Where lines go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// A file, appended to.
    File(String),
}

impl Output {
    /// The output of a name in `logs.output`.
    #[must_use]
    pub fn named(name: &str) -> Self {
        match name {
            "stdout" => Self::Stdout,
            "stderr" => Self::Stderr,
            path => Self::File(path.to_owned()),
        }
    }
}

/// Why there is no log.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// A file cannot be opened.
    #[error("logs.output: {path}: {error}")]
    Open {
        /// The file.
        path: String,
        /// What the system says.
        error: io::Error,
    },
    /// The writing thread cannot be started.
    #[error("the log thread: {0}")]
    Thread(io::Error),
    /// There is one already.
    #[error("this process has a log already")]
    Installed,
}

enum Job {
    Line(Vec<u8>),
    Flush(Sender<()>),
}

#[derive(Debug)]
pub(crate) struct Sink {
    jobs: Sender<Job>,
    dropped: std::sync::Arc<AtomicU64>,
}

impl std::fmt::Debug for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Job")
    }
}

enum Stream {
    Stdout(io::Stdout),
    Stderr(io::Stderr),
    File(File),
}

impl Stream {
    fn open(output: &Output) -> Result<Self, SinkError> {
        Ok(match output {
            Output::Stdout => Self::Stdout(io::stdout()),
            Output::Stderr => Self::Stderr(io::stderr()),
            Output::File(path) => {
                let file = OpenOptions::new().create(true).append(true).open(path);
                Self::File(file.map_err(|error| SinkError::Open { path: path.clone(), error })?)
            }
        })
    }

    /// Writes all of it. A full disk or a closed terminal loses these lines and no others; `false` says so.
    fn write(&mut self, bytes: &[u8]) -> bool {
        let result = match self {
            Self::Stdout(stream) => stream.write_all(bytes).and_then(|()| stream.flush()),
            Self::Stderr(stream) => stream.write_all(bytes),
            Self::File(stream) => stream.write_all(bytes),
        };
        result.is_ok()
    }
}

impl Sink {
    pub(crate) fn open(outputs: &[Output]) -> Result<Self, SinkError> {
        let mut streams = outputs.iter().map(Stream::open).collect::<Result<Vec<_>, _>>()?;
        let (jobs, queue) = bounded(QUEUE);
        let dropped = std::sync::Arc::new(AtomicU64::new(0));
        let counter = std::sync::Arc::clone(&dropped);
        std::thread::Builder::new()
            .name("rr-log".to_owned())
            .spawn(move || run(&queue, &mut streams, &counter))
            .map_err(SinkError::Thread)?;
        Ok(Self { jobs, dropped })
    }

    pub(crate) fn write(&self, line: Vec<u8>) {
        if let Err(TrySendError::Full(_)) = self.jobs.try_send(Job::Line(line)) {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn flush(&self) {
        let (done, wait) = bounded(1);
        // A reader of the log that is stuck must not keep the server from ending.
        if self.jobs.send_timeout(Job::Flush(done), PATIENCE).is_ok() {
            let _ = wait.recv_timeout(PATIENCE);
        }
    }
}

fn run(queue: &Receiver<Job>, streams: &mut [Stream], dropped: &AtomicU64) {
    let mut batch = Vec::with_capacity(BATCH);
    let mut lines = 0;
    while let Ok(first) = queue.recv() {
        let mut done = Vec::new();
        for job in std::iter::once(first).chain(queue.try_iter()) {
            match job {
                Job::Line(line) => {
                    batch.extend_from_slice(&line);
                    lines += 1;
                }
                Job::Flush(sender) => done.push(sender),
            }
            if batch.len() >= BATCH || !done.is_empty() {
                break;
            }
        }
        let lost = dropped.swap(0, Ordering::Relaxed);
        if lost > 0 {
            let note = format!(
                "{{\"level\":\"warn\",\"logger\":\"logs\",\"msg\":\"{lost} log lines were lost: the outputs are too slow or failed\"}}\n"
            );
            batch.extend_from_slice(note.as_bytes());
        }
        for stream in streams.iter_mut() {
            if !batch.is_empty() && !stream.write(&batch) {
                dropped.fetch_add(lines, Ordering::Relaxed);
            }
        }
        batch.clear();
        lines = 0;
        for sender in done {
            let _ = sender.send(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_reach_a_file_in_order_and_flush_waits_for_them() {
        let path = std::env::temp_dir().join(format!("rr-log-test-{}", std::process::id()));
        let name = path.to_string_lossy().into_owned();
        let sink = Sink::open(&[Output::File(name.clone())]).expect("opens");
        for index in 0..1000 {
            sink.write(format!("{index}\n").into_bytes());
        }
        sink.flush();
        let text = std::fs::read_to_string(&path).expect("reads");
        std::fs::remove_file(&path).expect("removes");
        assert!(text.lines().map(str::to_owned).eq((0..1000).map(|index| index.to_string())));
    }

    #[test]
    fn a_file_that_cannot_be_opened_is_named() {
        let error = Sink::open(&[Output::named("/nonexistent/dir/rr.log")]).expect_err("fails");
        assert!(error.to_string().starts_with("logs.output: /nonexistent/dir/rr.log: "), "{error}");
    }
}
