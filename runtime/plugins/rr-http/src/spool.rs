//! Streams that a client takes more slowly than its worker makes them. What the client has not taken waits here: some
//! of it in memory, the rest in an unlinked file, both bounded. So a worker is free once it has said all, as behind
//! nginx; beyond the bounds it waits for its client.

use crate::respond;
use bytes::Bytes;
use http::HeaderMap;
use parking_lot::Mutex;
use rr_config::Buffering;
use rr_pool::{Exchange, ExecError, ReplyFrame};
use rustix::fs::{Mode, OFlags, openat};
use std::collections::VecDeque;
use std::fs::File;
use std::future::{Future, poll_fn};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::task::JoinHandle;

/// Bytes that are read back at a time.
const PIECE: u64 = 64 * 1024;
/// Bytes that go to disk at a time, where so many are there.
const BATCH: usize = 512 * 1024;
/// How long a worker that nobody else waits for waits for its client before the disk is used: a client that is only
/// a little slower than PHP is not worth the copies.
const GRACE: Duration = Duration::from_millis(10);

/// What all streams may use together.
#[derive(Debug)]
pub(crate) struct Budget {
    config: Buffering,
    dir: PathBuf,
    memory: AtomicU64,
    disk: AtomicU64,
    /// The log has been told that a bound was met.
    told: AtomicBool,
}

impl Budget {
    pub(crate) fn new(config: Buffering) -> Self {
        let dir = config.dir.as_ref().map_or_else(std::env::temp_dir, PathBuf::from);
        Self { config, dir, memory: AtomicU64::new(0), disk: AtomicU64::new(0), told: AtomicBool::new(false) }
    }

    /// Says once per server that slow clients hold workers again, and why.
    fn tell(&self, why: &str) {
        if !self.told.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                target: "http",
                "answers are no longer buffered on disk, so workers wait for slow clients: {why}; see http.buffering"
            );
        }
    }
}

/// Takes `amount` from what is left of `limit`.
fn charge(used: &AtomicU64, limit: u64, amount: u64) -> bool {
    let fits = |used: u64| used.checked_add(amount).filter(|sum| *sum <= limit);
    used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_ok()
}

/// How a stream ended.
#[derive(Debug)]
enum End {
    /// Well, with what comes behind the body.
    Fine(Option<HeaderMap>),
    Error(ExecError),
}

/// Part of a stream that waits in a file, from `read` to `written`.
#[derive(Debug)]
struct Stored {
    file: Arc<File>,
    read: u64,
    written: u64,
    /// How long it has been, which is what the budget knows of.
    size: u64,
}

#[derive(Debug)]
struct State {
    /// In front of what is in the file.
    memory: VecDeque<Bytes>,
    held: u64,
    stored: Option<Stored>,
    /// A piece is being written behind `written`.
    writing: bool,
    end: Option<End>,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl State {
    fn on_disk(&self) -> bool {
        self.writing || self.stored.as_ref().is_some_and(|stored| stored.read < stored.written)
    }
}

#[derive(Debug)]
struct Shared {
    budget: Arc<Budget>,
    state: Mutex<State>,
}

impl Drop for Shared {
    fn drop(&mut self) {
        let state = self.state.get_mut();
        self.budget.memory.fetch_sub(state.held, Ordering::Relaxed);
        let size = state.stored.as_ref().map_or(0, |stored| stored.size);
        self.budget.disk.fetch_sub(size, Ordering::Relaxed);
    }
}

/// What comes next of a stream.
#[derive(Debug)]
pub(crate) enum Next {
    Piece(Bytes),
    Trailers(HeaderMap),
    End,
    Broken(ExecError),
}

/// The client's end of a stream. Dropping it cancels the stream.
#[derive(Debug)]
pub(crate) struct Spool {
    shared: Arc<Shared>,
    pump: JoinHandle<()>,
    reading: Option<JoinHandle<io::Result<Bytes>>>,
}

impl Drop for Spool {
    fn drop(&mut self) {
        // The exchange goes with it.
        self.pump.abort();
    }
}

impl Spool {
    /// Takes over a reply whose first frame promised more. `trailing`: headers for behind the body, which the worker
    /// may add to.
    pub(crate) fn start(
        first: Bytes,
        exchange: Exchange,
        trailing: Option<HeaderMap>,
        budget: &Arc<Budget>,
    ) -> Self {
        let held = first.len() as u64;
        budget.memory.fetch_add(held, Ordering::Relaxed);
        let state = State {
            memory: Some(first).filter(|first| !first.is_empty()).into_iter().collect(),
            held,
            stored: None,
            writing: false,
            end: None,
            reader: None,
            writer: None,
        };
        let shared = Arc::new(Shared { budget: Arc::clone(budget), state: Mutex::new(state) });
        let pump = Pump { shared: Arc::clone(&shared), exchange, trailing, end: None, files: true };
        Self { shared, pump: tokio::spawn(pump.run()), reading: None }
    }

    /// What comes next.
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Next> {
        loop {
            if let Some(reading) = &mut self.reading {
                let Poll::Ready(read) = Pin::new(reading).poll(cx) else { return Poll::Pending };
                self.reading = None;
                let piece = match read.map_err(io::Error::other).and_then(|read| read) {
                    Ok(piece) => piece,
                    Err(error) => {
                        tracing::error!(target: "http", "what was buffered of an answer cannot be read: {error}");
                        let text = format!("a buffered answer could not be read: {error}");
                        return Poll::Ready(Next::Broken(ExecError::Soft(text)));
                    }
                };
                let mut state = self.shared.state.lock();
                if let Some(stored) = &mut state.stored {
                    stored.read += piece.len() as u64;
                }
                wake(&mut state.writer);
                return Poll::Ready(Next::Piece(piece));
            }
            let mut state = self.shared.state.lock();
            if let Some(piece) = state.memory.pop_front() {
                let length = piece.len() as u64;
                state.held -= length;
                self.shared.budget.memory.fetch_sub(length, Ordering::Relaxed);
                wake(&mut state.writer);
                return Poll::Ready(Next::Piece(piece));
            }
            if let Some(stored) = state.stored.as_ref().filter(|stored| stored.read < stored.written) {
                let (file, at) = (Arc::clone(&stored.file), stored.read);
                let length = (stored.written - at).min(PIECE);
                drop(state);
                self.reading = Some(tokio::task::spawn_blocking(move || {
                    let mut piece = vec![0; usize::try_from(length).unwrap_or(0)];
                    file.read_exact_at(&mut piece, at)?;
                    Ok(Bytes::from(piece))
                }));
                continue;
            }
            if !state.writing && state.end.is_some() {
                return Poll::Ready(match state.end.take() {
                    Some(End::Error(error)) => Next::Broken(error),
                    Some(End::Fine(Some(trailers))) => Next::Trailers(trailers),
                    Some(End::Fine(None)) | None => Next::End,
                });
            }
            state.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
    }
}

fn wake(waker: &mut Option<Waker>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}

/// The worker's end: takes its frames as they come.
struct Pump {
    shared: Arc<Shared>,
    exchange: Exchange,
    trailing: Option<HeaderMap>,
    end: Option<End>,
    /// The disk takes something still.
    files: bool,
}

impl Pump {
    async fn run(mut self) {
        while self.end.is_none() {
            let next = self.exchange.next().await;
            if let Some(piece) = self.taken(next) {
                self.put(piece).await;
            }
        }
        let mut state = self.shared.state.lock();
        state.end = self.end.take();
        wake(&mut state.reader);
    }

    /// The body of a frame; notes the end of the stream.
    fn taken(&mut self, next: Option<Result<ReplyFrame, ExecError>>) -> Option<Bytes> {
        let frame = match next {
            Some(Ok(frame)) => frame,
            Some(Err(error)) => {
                self.end = Some(End::Error(error));
                return None;
            }
            None => {
                self.end = Some(End::Fine(None));
                return None;
            }
        };
        if !frame.more {
            // The context of a last frame.
            let more = respond::trailers(&frame.context).unwrap_or_default();
            if let Some(trailing) = &mut self.trailing {
                trailing.extend(more);
            }
            let trailing = self.trailing.take().filter(|trailing| !trailing.is_empty());
            self.end = Some(End::Fine(trailing));
        }
        Some(frame.body).filter(|body| !body.is_empty())
    }

    /// Keeps a piece; waits where there is no room for it.
    async fn put(&mut self, piece: Bytes) {
        if self.waits_in_memory(&piece).await {
            return self.keep(piece);
        }
        let mut pieces = vec![piece];
        if self.files {
            self.gather(&mut pieces).await;
            match self.store(&pieces).await {
                Ok(true) => return,
                Ok(false) => {}
                Err(error) => {
                    self.files = false;
                    self.shared.budget.tell(&format!("{}: {error}", self.shared.budget.dir.display()));
                }
            }
        }
        for piece in pieces {
            self.room(piece.len() as u64).await;
            self.keep(piece);
        }
    }

    /// Whether memory takes a piece, at once or as soon as is worth waiting for.
    async fn waits_in_memory(&self, piece: &Bytes) -> bool {
        if self.shared.state.lock().on_disk() {
            return false;
        }
        let mut room = std::pin::pin!(self.room(piece.len() as u64));
        poll_fn(|cx| Poll::Ready(room.as_mut().poll(cx).is_ready())).await
            || !self.exchange.others_wait() && tokio::time::timeout(GRACE, room).await.is_ok()
    }

    /// Adds what else is there already, for one trip to the disk.
    async fn gather(&mut self, pieces: &mut Vec<Bytes>) {
        let mut size: usize = pieces.iter().map(Bytes::len).sum();
        while size < BATCH && self.end.is_none() {
            let Poll::Ready(next) = poll_fn(|cx| Poll::Ready(self.exchange.poll_frame(cx))).await else {
                break;
            };
            if let Some(piece) = self.taken(next) {
                size += piece.len();
                pieces.push(piece);
            }
        }
    }

    fn keep(&self, piece: Bytes) {
        let mut state = self.shared.state.lock();
        state.memory.push_back(piece);
        wake(&mut state.reader);
    }

    /// Waits until memory takes `length` bytes more, and takes them from the budget.
    async fn room(&self, length: u64) {
        let budget = &self.shared.budget;
        poll_fn(|cx| {
            let mut state = self.shared.state.lock();
            // One piece is always taken: a stream never stands still.
            if !state.on_disk() && state.held == 0 {
                budget.memory.fetch_add(length, Ordering::Relaxed);
            } else if state.on_disk()
                || state.held + length > budget.config.memory
                || !charge(&budget.memory, budget.config.total_memory, length)
            {
                state.writer = Some(cx.waker().clone());
                return Poll::Pending;
            }
            state.held += length;
            Poll::Ready(())
        })
        .await;
    }

    /// Writes pieces behind what is in the file. `false`: there is no room on disk.
    async fn store(&self, pieces: &[Bytes]) -> io::Result<bool> {
        let budget = &self.shared.budget;
        let length = pieces.iter().map(|piece| piece.len() as u64).sum::<u64>();
        let (file, at) = {
            let mut state = self.shared.state.lock();
            if let Some(stored) = state.stored.as_mut().filter(|stored| stored.read == stored.written) {
                (stored.read, stored.written) = (0, 0);
            }
            let (at, size) = state.stored.as_ref().map_or((0, 0), |stored| (stored.written, stored.size));
            let grows = (at + length).saturating_sub(size);
            if at + length > budget.config.disk {
                return Ok(false);
            }
            if !charge(&budget.disk, budget.config.total_disk, grows) {
                budget.tell("http.buffering.total_disk is in use");
                return Ok(false);
            }
            state.writing = true;
            if let Some(stored) = &mut state.stored {
                stored.size += grows;
            }
            (state.stored.as_ref().map(|stored| Arc::clone(&stored.file)), at)
        };
        let (dir, pieces) = (budget.dir.clone(), pieces.to_vec());
        let new = file.is_none();
        let written = tokio::task::spawn_blocking(move || {
            let file = match file {
                Some(file) => file,
                None => Arc::new(nameless(&dir)?),
            };
            let mut at = at;
            for piece in &pieces {
                file.write_all_at(piece, at)?;
                at += piece.len() as u64;
            }
            Ok(file)
        });
        let written = written.await.map_err(io::Error::other).and_then(|written| written);
        let mut state = self.shared.state.lock();
        state.writing = false;
        let result = match written {
            Ok(file) if new => {
                state.stored = Some(Stored { file, read: 0, written: length, size: length });
                Ok(true)
            }
            Ok(_) => {
                if let Some(stored) = &mut state.stored {
                    stored.written = at + length;
                }
                Ok(true)
            }
            Err(error) => {
                if new {
                    budget.disk.fetch_sub(length, Ordering::Relaxed);
                }
                Err(error)
            }
        };
        wake(&mut state.reader);
        result
    }
}

/// A file that nobody else can open and that is gone with its last descriptor.
fn nameless(dir: &Path) -> io::Result<File> {
    let (flags, mode) = (OFlags::RDWR | OFlags::CLOEXEC, Mode::RUSR | Mode::WUSR);
    match openat(rustix::fs::CWD, dir, flags | OFlags::TMPFILE, mode) {
        Ok(file) => Ok(file.into()),
        // A file system without such files says one or the other.
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::ISDIR) => {
            static NEXT: AtomicU64 = AtomicU64::new(0);
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let path = dir.join(format!(".roadrunner-{:x}-{number:x}", std::process::id()));
            let new = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
            let file = openat(rustix::fs::CWD, &path, flags | new, mode)?;
            std::fs::remove_file(&path)?;
            Ok(file.into())
        }
        Err(error) => Err(error.into()),
    }
}
