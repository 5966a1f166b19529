//! A client's stream that knows how long it has been waiting for the client, so that the connection can end a
//! client that sends or reads too slowly.

use bytes::Bytes;
use parking_lot::Mutex;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::task::{Context, Poll, Waker, ready};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What a connection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Phase {
    /// Between requests.
    Idle,
    /// A request head has begun.
    Head,
    /// A request is being answered.
    Busy,
}

/// What the connection's watchdog looks at.
#[derive(Debug)]
pub(crate) struct Activity {
    start: Instant,
    phase: AtomicU8,
    /// Milliseconds after `start` when the phase began.
    since: AtomicU64,
    /// Milliseconds after `start`, plus one, since which a write has been waiting for the client; 0: none.
    stalled: AtomicU64,
    /// Requests that are being answered: more than one where the protocol has streams.
    busy: AtomicU32,
    /// The protocol has streams, and so a client may hold one up while it takes others.
    multiplexed: AtomicBool,
    /// Answers of which the client could take more.
    owed: AtomicU32,
    /// Milliseconds after `start` when the client last took something of any answer.
    taken: AtomicU64,
    /// An interim response waits to be written.
    interim: AtomicBool,
    slot: Mutex<Interim>,
}

/// An interim response (1xx) on its way: hyper has no door for it, so it is written between what hyper writes.
#[derive(Debug, Default)]
struct Interim {
    bytes: Bytes,
    written: Option<Waker>,
}

impl Activity {
    pub(crate) fn new() -> Self {
        Self {
            start: Instant::now(),
            phase: AtomicU8::new(0),
            since: AtomicU64::new(0),
            stalled: AtomicU64::new(0),
            busy: AtomicU32::new(0),
            multiplexed: AtomicBool::new(false),
            owed: AtomicU32::new(0),
            taken: AtomicU64::new(0),
            interim: AtomicBool::new(false),
            slot: Mutex::default(),
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    pub(crate) fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Relaxed);
        self.since.store(self.now(), Ordering::Relaxed);
    }

    /// From here on the connection has streams.
    pub(crate) fn multiplex(&self) {
        self.multiplexed.store(true, Ordering::Relaxed);
        self.enter(Phase::Idle);
    }

    /// A request is being answered until what this returns is dropped.
    pub(crate) fn begin(self: &Arc<Self>) -> Busy {
        self.busy.fetch_add(1, Ordering::Relaxed);
        self.enter(Phase::Busy);
        Busy { activity: Arc::clone(self), owed: false }
    }

    pub(crate) fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Relaxed) {
            0 => Phase::Idle,
            1 => Phase::Head,
            _ => Phase::Busy,
        }
    }

    /// How long the phase has lasted.
    pub(crate) fn lasted(&self) -> Duration {
        Duration::from_millis(self.now().saturating_sub(self.since.load(Ordering::Relaxed)))
    }

    /// How long a write has been waiting.
    pub(crate) fn stalled(&self) -> Duration {
        match self.stalled.load(Ordering::Relaxed) {
            0 if self.owed.load(Ordering::Relaxed) > 0 => {
                Duration::from_millis(self.now().saturating_sub(self.taken.load(Ordering::Relaxed)))
            }
            0 => Duration::ZERO,
            since => Duration::from_millis(self.now().saturating_sub(since - 1)),
        }
    }

    /// Writes an interim response and waits until it is out. Only before the head of the response it belongs to.
    pub(crate) async fn send_interim(&self, bytes: Bytes) {
        *self.slot.lock() = Interim { bytes, written: None };
        self.interim.store(true, Ordering::Release);
        // hyper flushes after it has asked for a response and got none.
        std::future::poll_fn(|cx| {
            let mut slot = self.slot.lock();
            if !self.interim.load(Ordering::Acquire) {
                return Poll::Ready(());
            }
            slot.written = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }

    fn read_some(&self) {
        // With streams, what is read may be no request.
        if self.phase.load(Ordering::Relaxed) == Phase::Idle as u8
            && !self.multiplexed.load(Ordering::Relaxed)
        {
            self.enter(Phase::Head);
        }
    }

    fn wrote(&self, pending: bool) {
        let stalled = self.stalled.load(Ordering::Relaxed);
        if pending && stalled == 0 {
            self.stalled.store(self.now() + 1, Ordering::Relaxed);
        } else if !pending && stalled != 0 {
            self.stalled.store(0, Ordering::Relaxed);
        }
    }
}

/// A request that is being answered. Where the protocol has streams, it also knows whether its client could take more.
#[derive(Debug)]
pub(crate) struct Busy {
    activity: Arc<Activity>,
    owed: bool,
}

impl Busy {
    /// The client may take something (again), or there is nothing for it yet.
    pub(crate) fn owes(&mut self, owed: bool) {
        if !self.activity.multiplexed.load(Ordering::Relaxed) {
            return;
        }
        if owed {
            self.activity.taken.store(self.activity.now(), Ordering::Relaxed);
        }
        if owed && !self.owed {
            self.activity.owed.fetch_add(1, Ordering::Relaxed);
        } else if !owed && self.owed {
            self.activity.owed.fetch_sub(1, Ordering::Relaxed);
        }
        self.owed = owed;
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.owes(false);
        if self.activity.busy.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.activity.enter(Phase::Idle);
        }
    }
}

/// The stream, for hyper behind `TokioIo`.
#[derive(Debug)]
pub(crate) struct ClientIo<S> {
    stream: S,
    activity: Arc<Activity>,
}

impl<S> ClientIo<S> {
    pub(crate) fn new(stream: S, activity: Arc<Activity>) -> Self {
        Self { stream, activity }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for ClientIo<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(cx, buffer))?;
        if buffer.filled().len() > before {
            this.activity.read_some();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for ClientIo<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.stream).poll_write(cx, bytes);
        this.activity.wrote(result.is_pending());
        result
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        // hyper flushes when all of its own is written: nothing is cut in two here.
        while this.activity.interim.load(Ordering::Acquire) {
            let bytes = this.activity.slot.lock().bytes.clone();
            let written = if bytes.is_empty() {
                0
            } else {
                let result = Pin::new(&mut this.stream).poll_write(cx, &bytes);
                this.activity.wrote(result.is_pending());
                ready!(result)?
            };
            let mut slot = this.activity.slot.lock();
            slot.bytes = bytes.slice(written..);
            if slot.bytes.is_empty() {
                this.activity.interim.store(false, Ordering::Release);
                if let Some(waker) = slot.written.take() {
                    waker.wake();
                }
            }
        }
        Pin::new(&mut this.stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.stream).poll_write_vectored(cx, slices);
        this.activity.wrote(result.is_pending());
        result
    }
}

/// A stream of which something has been read already.
#[derive(Debug)]
pub(crate) struct Rewound<S> {
    read: Bytes,
    stream: S,
}

impl<S> Rewound<S> {
    pub(crate) fn new(read: Bytes, stream: S) -> Self {
        Self { read, stream }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Rewound<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.read.is_empty() {
            return Pin::new(&mut this.stream).poll_read(cx, buffer);
        }
        let first = this.read.split_to(this.read.len().min(buffer.remaining()));
        buffer.put_slice(&first);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Rewound<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(cx, slices)
    }
}
