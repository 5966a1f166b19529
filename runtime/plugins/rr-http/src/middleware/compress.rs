//! A body on its way through an encoder. Nothing that a stream has said is held back: while it is silent, the encoder
//! holds nothing. Memory is a number of encoders; what takes long is done beside the reactor.

use crate::body::Body;
use bytes::Bytes;
use flate2::{Compress, Compression, FlushCompress, Status};
use http::HeaderMap;
use http_body::{Body as _, Frame};
use parking_lot::Mutex;
use rr_pool::ExecError;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use tokio::task::JoinHandle;

/// Encoders at a time, of about 300 KB each. Responses beyond them are sent as they are.
const MOST: usize = 256;
/// Encoders that wait for the next response.
const MOST_IDLE: usize = 8;
/// Bytes that are compressed at a time.
const STEP: usize = 64 * 1024;
/// Up to so many, starting a task costs more than the work.
const BESIDE: usize = 8 * 1024;
/// Room for output at a time; a flush needs more than its marker.
const ROOM: usize = 4 * 1024;
/// The compromise that zlib has for a default.
const LEVEL: u32 = 6;
/// 32 KB of window.
const WINDOW: u8 = 15;

/// The encoders of a server.
#[derive(Debug, Default)]
pub(crate) struct Encoders {
    idle: Mutex<Vec<Compress>>,
    taken: AtomicUsize,
    /// The log has been told that they are too few.
    told: AtomicBool,
}

impl Encoders {
    /// One for a response; `None`: too many are at work.
    pub(crate) fn take(self: &Arc<Self>) -> Option<Encoder> {
        let one_more = |taken| (taken < MOST).then_some(taken + 1);
        if self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).is_err() {
            if !self.told.swap(true, Ordering::Relaxed) {
                tracing::warn!(target: "http", "responses are no longer compressed while {MOST} others are; streams that are open count");
            }
            return None;
        }
        let stream = self.idle.lock().pop();
        let stream = stream.unwrap_or_else(|| Compress::new_gzip(Compression::new(LEVEL), WINDOW));
        Some(Encoder { stream: Some(stream), home: Arc::clone(self) })
    }
}

/// An encoder at work.
#[derive(Debug)]
pub(crate) struct Encoder {
    stream: Option<Compress>,
    home: Arc<Encoders>,
}

impl Drop for Encoder {
    fn drop(&mut self) {
        self.home.taken.fetch_sub(1, Ordering::Relaxed);
        let Some(mut stream) = self.stream.take() else { return };
        stream.reset();
        let mut idle = self.home.idle.lock();
        if idle.len() < MOST_IDLE {
            idle.push(stream);
        }
    }
}

impl Encoder {
    /// Bodies up to this length are compressed before their head is sent.
    pub(crate) const AT_ONCE: usize = BESIDE;

    /// A whole body.
    pub(crate) fn whole(mut self, bytes: &[u8]) -> Result<Bytes, ExecError> {
        self.run(bytes, FlushCompress::Finish).map(Bytes::from)
    }

    fn run(&mut self, mut input: &[u8], flush: FlushCompress) -> Result<Vec<u8>, ExecError> {
        let broken = |what: &str| ExecError::Soft(format!("a response could not be compressed: {what}"));
        let Some(stream) = &mut self.stream else { return Err(broken("the encoder is gone")) };
        let mut output = Vec::new();
        loop {
            output.reserve((input.len() / 4).max(ROOM));
            let before = stream.total_in();
            let status =
                stream.compress_vec(input, &mut output, flush).map_err(|error| broken(&error.to_string()))?;
            let eaten = usize::try_from(stream.total_in() - before).unwrap_or(usize::MAX);
            input = input.get(eaten..).unwrap_or_default();
            let done = match flush {
                FlushCompress::Finish => status == Status::StreamEnd,
                // Room that is left says that nothing waits for it.
                _ => input.is_empty() && output.len() < output.capacity(),
            };
            if done {
                return Ok(output);
            }
        }
    }
}

type Worked = (Encoder, Result<Vec<u8>, ExecError>);

/// Where the encoder is.
enum Work {
    Here(Encoder),
    Beside(JoinHandle<Worked>),
    /// It has done its work.
    Over(Option<HeaderMap>),
}

/// A body that is compressed.
pub(crate) struct Compressed {
    inner: Body,
    work: Work,
    /// What the encoder has still to take.
    rest: Bytes,
    /// The encoder may hold something back.
    unflushed: bool,
    /// Bytes since others were let in.
    busy: usize,
}

impl Compressed {
    pub(crate) fn new(inner: Body, encoder: Encoder) -> Self {
        Self { inner, work: Work::Here(encoder), rest: Bytes::new(), unflushed: false, busy: 0 }
    }

    /// What comes next.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, ExecError>>> {
        loop {
            let encoder = match &mut self.work {
                Work::Over(trailers) => {
                    return Poll::Ready(trailers.take().map(|trailers| Ok(Frame::trailers(trailers))));
                }
                Work::Beside(task) => {
                    let worked = ready!(Pin::new(task).poll(cx));
                    let (encoder, output) = match worked {
                        Ok(worked) => worked,
                        Err(error) => return self.fail(ExecError::Soft(format!("compressing: {error}"))),
                    };
                    self.work = Work::Here(encoder);
                    match output {
                        Ok(output) if output.is_empty() => continue,
                        Ok(output) => return Poll::Ready(Some(Ok(Frame::data(output.into())))),
                        Err(error) => return self.fail(error),
                    }
                }
                Work::Here(encoder) => encoder,
            };
            let output = if self.rest.is_empty() {
                match Pin::new(&mut self.inner).poll_frame(cx) {
                    Poll::Pending => {
                        self.busy = 0;
                        // A file is not silent, only read.
                        if !self.unflushed || !self.inner.is_stream() {
                            return Poll::Pending;
                        }
                        self.unflushed = false;
                        encoder.run(&[], FlushCompress::Sync)
                    }
                    Poll::Ready(Some(Err(error))) => return self.fail(error),
                    Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                        Ok(bytes) => {
                            self.rest = bytes;
                            continue;
                        }
                        Err(frame) => {
                            let output = encoder.run(&[], FlushCompress::Finish);
                            self.work = Work::Over(frame.into_trailers().ok());
                            output
                        }
                    },
                    Poll::Ready(None) => {
                        let output = encoder.run(&[], FlushCompress::Finish);
                        self.work = Work::Over(None);
                        output
                    }
                }
            } else if self.busy >= STEP {
                self.busy = 0;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            } else {
                let step = self.rest.split_to(self.rest.len().min(STEP));
                self.unflushed = true;
                if step.len() > BESIDE {
                    self.begin(step);
                    continue;
                }
                self.busy += step.len();
                encoder.run(&step, FlushCompress::None)
            };
            match output {
                Ok(output) if output.is_empty() => {}
                Ok(output) => return Poll::Ready(Some(Ok(Frame::data(output.into())))),
                Err(error) => return self.fail(error),
            }
        }
    }

    /// Compresses a step beside the reactor.
    fn begin(&mut self, step: Bytes) {
        let Work::Here(mut encoder) = std::mem::replace(&mut self.work, Work::Over(None)) else { return };
        self.work = Work::Beside(tokio::task::spawn_blocking(move || {
            let output = encoder.run(&step, FlushCompress::None);
            (encoder, output)
        }));
    }

    fn fail(&mut self, error: ExecError) -> Poll<Option<Result<Frame<Bytes>, ExecError>>> {
        self.work = Work::Over(None);
        Poll::Ready(Some(Err(error)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::read::GzDecoder;
    use http_body_util::BodyExt;
    use std::io::Read;

    fn plain(bytes: &[u8]) -> Vec<u8> {
        let mut plain = Vec::new();
        GzDecoder::new(bytes).read_to_end(&mut plain).expect("it is gzip");
        plain
    }

    fn text(length: usize) -> Bytes {
        let words = (0..).flat_map(|number: u32| number.to_string().into_bytes());
        words.take(length).collect()
    }

    fn encoder() -> Encoder {
        Arc::new(Encoders::default()).take().expect("one is free")
    }

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().build().expect("a runtime")
    }

    /// HS-09.
    #[test]
    fn bodies_of_any_length_come_back() {
        runtime().block_on(async {
            for length in [0, 1, 1024, BESIDE, BESIDE + 1, STEP, 3 * STEP + 1, 1 << 20] {
                let body = text(length);
                let compressed = Body::full(body.clone()).compressed(encoder());
                let known = compressed.size_hint().exact().is_some();
                assert_eq!(known, length <= Encoder::AT_ONCE, "{length}");
                let sent = compressed.collect().await.expect("a body").to_bytes();
                assert!(plain(&sent) == body, "{length}");
                assert!(length < 1024 || sent.len() < length, "{length}");
            }
        });
    }

    /// HS-09: trailers stay behind the body.
    #[test]
    fn trailers_come_behind_what_is_compressed() {
        runtime().block_on(async {
            let mut trailers = HeaderMap::new();
            trailers.insert("x-sum", "1".parse().expect("a value"));
            let body = text(50_000);
            let compressed = Body::with_trailers(body.clone(), trailers.clone()).compressed(encoder());
            let sent = compressed.collect().await.expect("a body");
            assert_eq!(sent.trailers(), Some(&trailers));
            assert!(plain(&sent.to_bytes()) == body);
        });
    }

    /// HS-09: what was flushed can be read, though no end has come.
    #[test]
    fn what_is_flushed_can_be_read_at_once() {
        let mut encoder = encoder();
        let mut sent = Vec::new();
        for line in 0..100 {
            sent.extend(
                encoder.run(format!("data: {line}\n\n").as_bytes(), FlushCompress::None).expect("runs"),
            );
            sent.extend(encoder.run(&[], FlushCompress::Sync).expect("runs"));
            let mut seen = Vec::new();
            // It complains of the end that is not there.
            let _ = GzDecoder::new(&sent[..]).read_to_end(&mut seen);
            assert!(seen.ends_with(format!("data: {line}\n\n").as_bytes()), "{line}");
        }
    }

    /// HS-09: encoders are a bound of memory.
    #[test]
    fn encoders_are_counted_and_used_again() {
        let encoders = Arc::new(Encoders::default());
        let mut taken: Vec<Encoder> = (0..MOST).filter_map(|_| encoders.take()).collect();
        assert_eq!(taken.len(), MOST);
        assert!(encoders.take().is_none());
        let mut used = taken.pop().expect("one");
        used.run(b"something that is left inside", FlushCompress::None).expect("runs");
        drop(used);
        let again = encoders.take().expect("one is free again");
        assert_eq!(plain(&again.whole(b"fresh").expect("compressed")), b"fresh");
        drop(taken);
        assert_eq!(encoders.idle.lock().len(), MOST_IDLE);
    }

    proptest::proptest! {
        #[test]
        fn any_steps_and_flushes_give_the_same_bytes(steps: Vec<(Vec<u8>, bool)>) {
            let (mut encoder, mut sent, mut all) = (encoder(), Vec::new(), Vec::new());
            for (step, flush) in steps {
                let flush = if flush { FlushCompress::Sync } else { FlushCompress::None };
                sent.extend(encoder.run(&step, flush).expect("runs"));
                all.extend(step);
            }
            sent.extend(encoder.run(&[], FlushCompress::Finish).expect("runs"));
            proptest::prop_assert_eq!(plain(&sent), all);
        }
    }
}
