//! The task of one worker: its bytes to the channel, the channel's bytes to it.

use rr_channel::relay::{RelayEnd, Told};
use rr_wire::relay::{Decoder, RelayError};
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes read at a time.
const READ: usize = 64 << 10;
/// How long what was written to a relay that is no frame is read on, for the log (FR-11).
const STRAY: Duration = Duration::from_secs(1);
/// How much of it.
const STRAY_BYTES: usize = 4 << 10;
/// How long a worker that has closed its relay may take to end.
const GONE: Duration = Duration::from_secs(2);

/// What a pump must know of its worker.
pub struct Worker {
    /// The process that the pool knows it by.
    pub pid: u32,
    /// Has the pool look at the channel.
    pub look: Box<dyn Fn() + Send + Sync>,
    /// Resolves when the process has ended.
    pub gone: Pin<Box<dyn Future<Output = ()> + Send + Sync>>,
}

impl std::fmt::Debug for Worker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Worker").field("pid", &self.pid).finish_non_exhaustive()
    }
}

/// Moves the bytes of one worker.
#[derive(Debug)]
pub struct Pump<R, W> {
    reader: R,
    writer: W,
    end: RelayEnd,
    decoder: Decoder,
    worker: Worker,
    out: Vec<u8>,
    sent: usize,
    /// The worker does not read any more; what it still says counts.
    deaf: bool,
}

/// Why a pump stops.
enum Over {
    /// The worker has closed its end.
    Closed,
    /// It has said what is not understood.
    Wrong(RelayError),
    /// It cannot be read.
    Failed(io::Error),
}

impl<R: AsyncRead + Unpin, W: AsyncWrite + Unpin> Pump<R, W> {
    /// `first` is what is sent before all else; `decoder` may have read something already.
    pub fn new(
        reader: R,
        writer: W,
        end: RelayEnd,
        decoder: Decoder,
        first: Vec<u8>,
        worker: Worker,
    ) -> Self {
        Self { reader, writer, end, decoder, worker, out: first, sent: 0, deaf: false }
    }

    /// Runs until the worker is gone.
    pub async fn run(mut self) {
        let mut buffer = vec![0; READ];
        let over = poll_fn(|cx| self.poll(cx, &mut buffer)).await;
        let why = match over {
            Over::Closed => {
                // Its exit says more than its pipe.
                if tokio::time::timeout(GONE, &mut self.worker.gone).await.is_ok() {
                    return;
                }
                if self.end.is_leaving() {
                    return;
                }
                "it has closed its end of the relay and lives on".to_owned()
            }
            Over::Failed(error) => format!("its relay cannot be read: {error}"),
            Over::Wrong(RelayError::NotAFrame(error)) => {
                let _ = tokio::time::timeout(STRAY, self.read_stray(&mut buffer)).await;
                self.decoder.stray().unwrap_or_else(|| error.to_string())
            }
            Over::Wrong(error) => error.to_string(),
        };
        self.end.close(why);
        (self.worker.look)();
    }

    fn poll(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<Over> {
        loop {
            // Before anything is looked at, so that nothing is missed.
            self.end.watch(cx.waker());
            let wrote = self.write(cx);
            match self.read(cx, buffer) {
                Poll::Ready(Err(over)) => return Poll::Ready(over),
                Poll::Ready(Ok(())) => {}
                Poll::Pending if wrote => {}
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Whether all that there was has been sent, and something was.
    fn write(&mut self, cx: &mut Context<'_>) -> bool {
        let mut progress = false;
        loop {
            if self.sent == self.out.len() {
                self.out.clear();
                self.sent = 0;
                if self.end.take(&mut self.out) == Told::Look {
                    (self.worker.look)();
                }
                if self.out.is_empty() {
                    return progress;
                }
            }
            if self.deaf {
                self.sent = self.out.len();
                continue;
            }
            match Pin::new(&mut self.writer).poll_write(cx, &self.out[self.sent..]) {
                Poll::Pending => return false,
                Poll::Ready(Ok(count)) if count > 0 => {
                    self.sent += count;
                    progress = true;
                }
                Poll::Ready(_) => self.deaf = true,
            }
        }
    }

    fn read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<Result<(), Over>> {
        loop {
            while self.end.has_room() {
                match self.decoder.next() {
                    Ok(None) => break,
                    Ok(Some(said)) => {
                        if self.end.say(said, self.worker.pid) == Told::Look {
                            (self.worker.look)();
                        }
                    }
                    Err(error) => return Poll::Ready(Err(Over::Wrong(error))),
                }
            }
            if !self.end.has_room() {
                return Poll::Pending;
            }
            let mut read = ReadBuf::new(buffer);
            match Pin::new(&mut self.reader).poll_read(cx, &mut read) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::ConnectionReset => {
                    return Poll::Ready(Err(Over::Closed));
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(Over::Failed(error))),
                Poll::Ready(Ok(())) if read.filled().is_empty() => return Poll::Ready(Err(Over::Closed)),
                Poll::Ready(Ok(())) => self.decoder.push(read.filled()),
            }
        }
    }

    /// Reads on behind what is no frame: the rest of an error's text.
    async fn read_stray(&mut self, buffer: &mut [u8]) {
        let mut count = 0;
        while count < STRAY_BYTES {
            let mut read = ReadBuf::new(buffer);
            match poll_fn(|cx| Pin::new(&mut self.reader).poll_read(cx, &mut read)).await {
                Ok(()) if !read.filled().is_empty() => {
                    count += read.filled().len();
                    self.decoder.push(read.filled());
                }
                _ => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rr_channel::relay::{RelayChannel, pair};
    use rr_channel::{Channel, Lane};
    use rr_wire::{Bits, Flags, Header, relay};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
    use tokio::sync::Notify;

    struct Bench {
        channel: RelayChannel,
        theirs: DuplexStream,
        looks: Arc<AtomicUsize>,
        looked: Arc<Notify>,
    }

    fn bench(gone: impl Future<Output = ()> + Send + Sync + 'static) -> Bench {
        let (channel, end) = pair(100_000);
        let (ours, theirs) = tokio::io::duplex(100);
        let (reader, writer) = tokio::io::split(ours);
        let (looks, looked) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
        let (count, notify) = (Arc::clone(&looks), Arc::clone(&looked));
        let look = Box::new(move || {
            count.fetch_add(1, Ordering::Relaxed);
            notify.notify_one();
        });
        let worker = Worker { pid: 7, look, gone: Box::pin(gone) };
        let pump = Pump::new(reader, writer, end, Decoder::default(), relay::hello(1), worker);
        tokio::spawn(pump.run());
        Bench { channel, theirs, looks, looked }
    }

    impl Bench {
        async fn receive(&mut self) -> Result<rr_channel::Frame, rr_channel::ChannelError> {
            loop {
                if let Some(frame) = self.channel.receive(Lane::Work)? {
                    self.channel.freed();
                    return Ok(frame);
                }
                self.looked.notified().await;
            }
        }

        async fn greet(&mut self) {
            let mut hello = vec![0; relay::hello(1).len()];
            self.theirs.read_exact(&mut hello).await.expect("hello");
            self.theirs.write_all(&reply(Flags::CONTROL, &[], b"{\"pid\":7}")).await.expect("sends");
            assert_eq!(self.receive().await.expect("sound").payload, b"{\"pid\":7}");
        }

        fn unit(&mut self, body: &[u8]) {
            let header = Header::new(Flags::JSON, Bits::default(), &[2, 1], 0);
            assert_eq!(self.channel.send(Lane::Work, header, [b"{}", body]), Ok(true));
            self.channel.flush();
        }
    }

    fn reply(flags: Flags, options: &[u32], payload: &[u8]) -> Vec<u8> {
        let mut bytes = [0; rr_wire::MAX_HEADER];
        let header =
            Header::new(flags, Bits::default(), options, u32::try_from(payload.len()).expect("short"));
        let length = header.encode(&mut bytes);
        [&bytes[..length], payload].concat()
    }

    #[tokio::test]
    async fn a_unit_goes_down_and_its_reply_comes_up() {
        let mut bench = bench(std::future::pending());
        bench.greet().await;
        // Longer than the pipe is wide.
        let body = vec![7; 50_000];
        bench.unit(&body);
        let mut bytes = vec![0; 16 + 2 + body.len()];
        bench.theirs.read_exact(&mut bytes).await.expect("the unit");
        assert!(bytes.ends_with(&body));
        let answer = reply(Flags::JSON, &[2], &[b"{}", &body[..]].concat());
        let mut theirs = std::mem::replace(&mut bench.theirs, tokio::io::duplex(1).0);
        let sent = tokio::spawn(async move {
            theirs.write_all(&answer).await.expect("sends");
            theirs
        });
        let frame = bench.receive().await.expect("sound");
        assert_eq!(frame.payload.len(), 2 + body.len());
        drop(sent.await);
    }

    /// FR-11: what PHP has printed is in the reason.
    #[tokio::test]
    async fn what_is_no_frame_ends_it_with_its_text() {
        let mut bench = bench(std::future::pending());
        bench.greet().await;
        bench.unit(b"");
        bench.theirs.write_all(b"PHP Fatal error: ").await.expect("sends");
        bench.theirs.write_all(b"oh no\n").await.expect("sends");
        bench.theirs.shutdown().await.expect("closes");
        let error = bench.receive().await.expect_err("broken").to_string();
        assert!(error.contains("stdout-crc") && error.ends_with("PHP Fatal error: oh no"), "{error}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_worker_that_closes_its_relay_and_lives_is_of_no_use() {
        let mut living = bench(std::future::pending());
        living.greet().await;
        living.theirs.shutdown().await.expect("closes");
        let error = living.receive().await.expect_err("broken").to_string();
        assert_eq!(error, "it has closed its end of the relay and lives on");
        let mut ended = bench(std::future::ready(()));
        ended.greet().await;
        let looks = ended.looks.load(Ordering::Relaxed);
        drop(ended.theirs);
        // SLEEP: on paused time, past the moment at which it would be of no use.
        tokio::time::sleep(10 * GONE).await;
        assert_eq!(ended.looks.load(Ordering::Relaxed), looks, "its exit says why");
    }
}
