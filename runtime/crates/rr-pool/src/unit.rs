//! A unit of work as its plugin sees it: a request that goes in, frames that come out, and that it can be dropped
//! at any time.

use crate::{ExecError, Pool};
use bytes::Bytes;
use parking_lot::Mutex;
use rr_wire::Flags;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

/// Frames of a reply that wait for the plugin before the worker's ring is left to fill.
pub(crate) const REPLY_FRAMES: usize = 2;

/// What a plugin asks of a worker.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// The context of the first frame; never empty.
    pub context: Vec<u8>,
    /// How the context is encoded; none for native workers, which have their own format.
    pub codec: Flags,
    /// The body, or its first part.
    pub body: Bytes,
    /// More of the body follows through a [`BodySender`].
    pub more: bool,
    /// Bytes of the whole body, where more of it follows: command workers are told before it comes.
    pub length: Option<u32>,
    /// Dropped when the unit is over, whatever becomes of it: what its worker needs meanwhile, such as files.
    pub keep: Option<Arc<dyn std::any::Any + Send + Sync>>,
}

/// A frame of a reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplyFrame {
    /// How the context is encoded, as its worker says.
    pub codec: Flags,
    /// The context; empty on most frames after the first.
    pub context: Bytes,
    /// The body.
    pub body: Bytes,
    /// More frames follow.
    pub more: bool,
}

/// Where a unit is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Queued,
    At { slot: usize, worker: u64, sequence: u32 },
    Over,
}

#[derive(Debug)]
pub(crate) struct UnitState {
    pub place: Place,
    /// The process that was given it last; 0 for none.
    pub pid: u32,
    pub frames: VecDeque<ReplyFrame>,
    /// The last frame is in `frames`, or was.
    pub complete: bool,
    pub error: Option<ExecError>,
    /// The worker's ring holds frames that did not fit `frames`.
    pub paused: bool,
    pub reader: Option<Waker>,
    pub writer: Option<Waker>,
    /// Workers that have given it back unread (WRK-06).
    pub returned: u32,
}

#[derive(Debug)]
pub(crate) struct Unit {
    pub id: u64,
    pub submitted: Instant,
    pub request: Request,
    pub state: Mutex<UnitState>,
}

impl Unit {
    pub(crate) fn new(id: u64, submitted: Instant, request: Request) -> Self {
        let state = UnitState {
            place: Place::Queued,
            pid: 0,
            frames: VecDeque::new(),
            complete: false,
            error: None,
            paused: false,
            reader: None,
            writer: None,
            returned: 0,
        };
        Self { id, submitted, request, state: Mutex::new(state) }
    }

    /// Hands a frame to the plugin.
    pub(crate) fn deliver(&self, frame: ReplyFrame) {
        let mut state = self.state.lock();
        if !frame.more {
            state.complete = true;
            state.place = Place::Over;
        }
        state.frames.push_back(frame);
        wake(&mut state.reader);
        if state.complete {
            wake(&mut state.writer);
        }
    }

    /// Ends the unit with an error; what was delivered before can still be read.
    pub(crate) fn fail(&self, error: ExecError) {
        let mut state = self.state.lock();
        state.place = Place::Over;
        if !state.complete && state.error.is_none() {
            state.error = Some(error);
        }
        wake(&mut state.reader);
        wake(&mut state.writer);
    }

    /// Nobody waits for it any more, and nobody is to send its body.
    pub(crate) fn abandon(&self) {
        let mut state = self.state.lock();
        state.place = Place::Over;
        wake(&mut state.writer);
    }

    pub(crate) fn wake_writer(&self) {
        wake(&mut self.state.lock().writer);
    }
}

fn wake(waker: &mut Option<Waker>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}

/// Tells who runs a unit, or has run it.
#[derive(Debug, Clone)]
pub struct Trace(pub(crate) Arc<Unit>);

impl Trace {
    /// The context of its request.
    #[must_use]
    pub fn context(&self) -> &[u8] {
        &self.0.request.context
    }

    /// The process that was given the unit last.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        Some(self.0.state.lock().pid).filter(|pid| *pid > 0)
    }
}

/// The plugin's hold on a unit. Dropping it cancels the unit.
#[derive(Debug)]
pub struct Exchange {
    pub(crate) pool: Arc<Pool>,
    pub(crate) unit: Arc<Unit>,
}

impl Exchange {
    /// The number of the unit, for logs.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.unit.id
    }

    /// The next frame; `None` after the last.
    pub fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<ReplyFrame, ExecError>>> {
        let mut state = self.unit.state.lock();
        if let Some(frame) = state.frames.pop_front() {
            let resume = std::mem::take(&mut state.paused).then_some(state.place);
            drop(state);
            if let Some(Place::At { slot, .. }) = resume {
                self.pool.look(slot);
            }
            return Poll::Ready(Some(Ok(frame)));
        }
        if let Some(error) = state.error.take() {
            state.complete = true;
            return Poll::Ready(Some(Err(error)));
        }
        if state.complete {
            return Poll::Ready(None);
        }
        state.reader = Some(cx.waker().clone());
        Poll::Pending
    }

    /// The next frame; `None` after the last.
    pub async fn next(&mut self) -> Option<Result<ReplyFrame, ExecError>> {
        poll_fn(|cx| self.poll_frame(cx)).await
    }

    /// Tells who runs the unit, also when the exchange is gone.
    #[must_use]
    pub fn trace(&self) -> Trace {
        Trace(Arc::clone(&self.unit))
    }

    /// Whether other units wait for a worker.
    #[must_use]
    pub fn others_wait(&self) -> bool {
        self.pool.queue_len() > 0
    }

    /// The end that sends the rest of the body.
    #[must_use]
    pub fn body_sender(&self) -> BodySender {
        BodySender { pool: Arc::clone(&self.pool), unit: Arc::clone(&self.unit) }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let (place, paused) = {
            let mut state = self.unit.state.lock();
            state.reader = None;
            state.frames.clear();
            (state.place, state.paused)
        };
        if place != Place::Over {
            self.pool.cancel(&self.unit);
        }
        // What was left in the ring for us is to be thrown away; the worker may have no reason to ring again.
        if paused && let Place::At { slot, .. } = place {
            self.pool.look(slot);
        }
    }
}

/// Nobody wants the rest of the body: the unit is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the unit of work is over")]
pub struct SendError;

/// Sends the parts of a request body that came after the head.
#[derive(Debug)]
pub struct BodySender {
    pool: Arc<Pool>,
    unit: Arc<Unit>,
}

impl BodySender {
    /// Sends a part of the body, in pieces that fit; waits until a worker has the unit and there is room.
    ///
    /// # Errors
    /// The unit is over.
    pub async fn send(&self, mut part: Bytes) -> Result<(), SendError> {
        while !part.is_empty() {
            let piece = part.split_to(part.len().min(self.pool.piece()));
            poll_fn(|cx| self.pool.poll_send(cx, &self.unit, &piece, BodyPart::More)).await?;
        }
        Ok(())
    }

    /// Ends the body.
    ///
    /// # Errors
    /// The unit is over.
    pub async fn finish(&self) -> Result<(), SendError> {
        poll_fn(|cx| self.pool.poll_send(cx, &self.unit, &[], BodyPart::Last)).await
    }

    /// Ends the body because the client went away inside of it.
    ///
    /// # Errors
    /// The unit is over.
    pub async fn abort(&self) -> Result<(), SendError> {
        poll_fn(|cx| self.pool.poll_send(cx, &self.unit, &[], BodyPart::Aborted)).await
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyPart {
    More,
    Last,
    Aborted,
}
