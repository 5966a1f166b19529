//! The thread that writes lines, and its bounded queue.

use crate::rotate::{Rotating, Rotation};
use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::sync::Arc;
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
    /// A file that is rotated.
    Rotated(Rotation),
}

impl Output {
    /// Whether both write to one place.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Rotated(one), Self::Rotated(other)) => one.path == other.path,
            _ => self == other,
        }
    }

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

/// Outputs by their numbers: those of a channel.
pub(crate) type Route = Arc<[usize]>;

enum Job {
    Line(Route, Vec<u8>),
    Flush(Sender<()>),
}

impl std::fmt::Debug for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Job")
    }
}

/// Lines that were lost.
#[derive(Debug, Default)]
struct Lost {
    /// Since the last note about it.
    new: AtomicU64,
    all: AtomicU64,
}

impl Lost {
    fn add(&self, lines: u64) {
        self.new.fetch_add(lines, Ordering::Relaxed);
        self.all.fetch_add(lines, Ordering::Relaxed);
    }
}

#[derive(Debug)]
pub(crate) struct Sink {
    jobs: Sender<Job>,
    lost: Arc<Lost>,
}

enum Stream {
    Stdout(io::Stdout),
    Stderr(io::Stderr),
    File(File),
    Rotated(Rotating),
}

/// An output, and the lines that wait to be written to it at once.
struct Writer {
    stream: Stream,
    batch: Vec<u8>,
    lines: u64,
}

impl Writer {
    fn open(output: &Output) -> Result<Self, SinkError> {
        let failed = |path: &str, error| SinkError::Open { path: path.to_owned(), error };
        let stream = match output {
            Output::Stdout => Stream::Stdout(io::stdout()),
            Output::Stderr => Stream::Stderr(io::stderr()),
            Output::File(path) => {
                let file = OpenOptions::new().create(true).append(true).open(path);
                Stream::File(file.map_err(|error| failed(path, error))?)
            }
            Output::Rotated(rotation) => {
                let file = Rotating::open(rotation.clone());
                Stream::Rotated(file.map_err(|error| failed(&rotation.path.display().to_string(), error))?)
            }
        };
        Ok(Self { stream, batch: Vec::with_capacity(BATCH), lines: 0 })
    }

    fn put(&mut self, line: &[u8]) {
        self.batch.extend_from_slice(line);
        self.lines += 1;
    }

    /// Writes all of it; how many lines were lost: a full disk or a closed terminal loses these and no others.
    fn write(&mut self) -> u64 {
        if self.batch.is_empty() {
            return 0;
        }
        let bytes = &self.batch;
        let result = match &mut self.stream {
            Stream::Stdout(stream) => stream.write_all(bytes).and_then(|()| stream.flush()),
            Stream::Stderr(stream) => stream.write_all(bytes),
            Stream::File(stream) => stream.write_all(bytes),
            Stream::Rotated(stream) => stream.write(bytes),
        };
        self.batch.clear();
        let lines = std::mem::take(&mut self.lines);
        if result.is_ok() { 0 } else { lines }
    }
}

/// Makes the note about lost lines, in the style of the log.
pub(crate) type Note = Box<dyn Fn(u64) -> Vec<u8> + Send>;

impl Sink {
    /// Opens `outputs`, which routes name by their places. What is said about lost lines goes to `notes`.
    pub(crate) fn open(outputs: &[Output], notes: Route, note: Note) -> Result<Self, SinkError> {
        let writers = outputs.iter().map(Writer::open).collect::<Result<Vec<_>, _>>()?;
        let (jobs, queue) = bounded(QUEUE);
        let lost = Arc::new(Lost::default());
        let counter = Arc::clone(&lost);
        std::thread::Builder::new()
            .name("rr-log".to_owned())
            .spawn(move || run(&queue, writers, &counter, &notes, &note))
            .map_err(SinkError::Thread)?;
        Ok(Self { jobs, lost })
    }

    pub(crate) fn write(&self, route: &Route, line: Vec<u8>) {
        if let Err(TrySendError::Full(_)) = self.jobs.try_send(Job::Line(Arc::clone(route), line)) {
            self.lost.add(1);
        }
    }

    /// Lines lost since the start.
    pub(crate) fn lost(&self) -> u64 {
        self.lost.all.load(Ordering::Relaxed)
    }

    pub(crate) fn flush(&self) {
        let (done, wait) = bounded(1);
        // A reader of the log that is stuck must not keep the server from ending.
        if self.jobs.send_timeout(Job::Flush(done), PATIENCE).is_ok() {
            let _ = wait.recv_timeout(PATIENCE);
        }
    }
}

fn run(queue: &Receiver<Job>, mut writers: Vec<Writer>, lost: &Lost, notes: &Route, note: &Note) {
    while let Ok(first) = queue.recv() {
        let mut done = Vec::new();
        let mut bytes = 0;
        for job in std::iter::once(first).chain(queue.try_iter()) {
            match job {
                Job::Line(route, line) => {
                    bytes += line.len();
                    for index in &*route {
                        if let Some(writer) = writers.get_mut(*index) {
                            writer.put(&line);
                        }
                    }
                }
                Job::Flush(sender) => done.push(sender),
            }
            if bytes >= BATCH || !done.is_empty() {
                break;
            }
        }
        let new = lost.new.swap(0, Ordering::Relaxed);
        if new > 0 {
            let note = note(new);
            for index in &**notes {
                if let Some(writer) = writers.get_mut(*index) {
                    writer.batch.extend_from_slice(&note);
                }
            }
        }
        for writer in &mut writers {
            lost.add(writer.write());
        }
        for sender in done {
            let _ = sender.send(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(outputs: &[Output]) -> Result<Sink, SinkError> {
        Sink::open(outputs, [0].into(), Box::new(|lost| format!("lost {lost}\n").into_bytes()))
    }

    #[test]
    fn lines_reach_a_file_in_order_and_flush_waits_for_them() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.log");
        let sink = open(&[Output::named(&path.to_string_lossy())]).expect("opens");
        for index in 0..1000 {
            sink.write(&[0].into(), format!("{index}\n").into_bytes());
        }
        sink.flush();
        let text = std::fs::read_to_string(&path).expect("reads");
        assert!(text.lines().map(str::to_owned).eq((0..1000).map(|index| index.to_string())));
        assert_eq!(sink.lost(), 0);
    }

    #[test]
    fn lines_go_to_the_outputs_of_their_route_only() {
        let folder = tempfile::tempdir().expect("a folder");
        let paths = ["a.log", "b.log"].map(|name| folder.path().join(name).to_string_lossy().into_owned());
        let sink = open(&paths.clone().map(|path| Output::named(&path))).expect("opens");
        for (route, line) in [(&[0][..], "one\n"), (&[1], "two\n"), (&[0, 1], "both\n"), (&[9], "none\n")] {
            sink.write(&route.into(), line.into());
        }
        sink.flush();
        let texts = paths.map(|path| std::fs::read_to_string(path).expect("reads"));
        assert_eq!(texts, ["one\nboth\n", "two\nboth\n"]);
    }

    #[test]
    fn lines_that_an_output_does_not_take_are_counted_and_said() {
        let folder = tempfile::tempdir().expect("a folder");
        let good = folder.path().join("good.log").to_string_lossy().into_owned();
        let sink = open(&[Output::named(&good), Output::named("/dev/full")]).expect("opens");
        for _ in 0..3 {
            sink.write(&[1].into(), b"gone\n".to_vec());
        }
        sink.flush();
        assert_eq!(sink.lost(), 3);
        sink.write(&[0].into(), b"there\n".to_vec());
        sink.flush();
        let text = std::fs::read_to_string(&good).expect("reads");
        assert!(text.contains("there\n") && text.contains("lost "), "{text}");
    }

    #[test]
    fn a_file_that_cannot_be_opened_is_named() {
        let error = open(&[Output::named("/nonexistent/dir/rr.log")]).expect_err("fails");
        assert!(error.to_string().starts_with("logs.output: /nonexistent/dir/rr.log: "), "{error}");
    }
}
