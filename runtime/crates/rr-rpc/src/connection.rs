//! One client of `rpc.listen`: frames in, frames out, in any order (RP-06). A client that breaks the rules loses its
//! connection and nothing else (FR-13).

use crate::codec::Codec;
use crate::service::Registry;
use rr_net::Stream;
use rr_pool::Answer;
use rr_wire::rpc::Call;
use rr_wire::{Bits, Flags, FrameError, Header, MAX_HEADER, PREFIX};
use std::io;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

/// Bytes that are read at a time of what a frame has declared: what is declared and does not come takes no memory.
const PIECE: u64 = 64 * 1024;
/// Calls of a connection that run at a time; more wait in the socket.
const IN_FLIGHT: usize = 256;
/// Replies that wait for a client that does not read them.
const REPLIES: usize = 64;

/// Why a connection ends early.
#[derive(Debug)]
enum Broken {
    Io(io::Error),
    Frame(String),
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<FrameError> for Broken {
    fn from(error: FrameError) -> Self {
        Self::Frame(error.to_string())
    }
}

/// A reply, and its place among the calls that run.
struct Done {
    frame: Vec<u8>,
    _place: OwnedSemaphorePermit,
}

/// A connection that is counted.
struct Open(Arc<Registry>);

impl Open {
    fn of(registry: &Arc<Registry>) -> Self {
        registry.traffic().opened();
        Self(Arc::clone(registry))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.traffic().closed();
    }
}

/// Serves a connection to its end.
pub(crate) async fn serve(stream: Stream, peer: String, registry: Arc<Registry>, limit: u32) {
    let _open = Open::of(&registry);
    let (reader, mut writer) = tokio::io::split(stream);
    let (sender, mut replies) = mpsc::channel::<Done>(REPLIES);
    let writing = tokio::spawn(async move {
        while let Some(done) = replies.recv().await {
            if writer.write_all(&done.frame).await.is_err() {
                return;
            }
        }
        let _ = writer.shutdown().await;
    });
    let places = Arc::new(Semaphore::new(IN_FLIGHT));
    let mut reader = BufReader::new(reader);
    let ended = loop {
        // Before the next frame is read: a client cannot have more under way than this.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { break Ok(()) };
        match read(&mut reader, limit).await {
            Ok(None) => break Ok(()),
            Ok(Some((header, payload))) => {
                if let Err(error) = start(&registry, &header, &payload, place, &sender).await {
                    break Err(error);
                }
            }
            Err(error) => break Err(error),
        }
        if sender.is_closed() {
            break Ok(());
        }
    };
    if let Err(error) = ended {
        match error {
            Broken::Io(error) => tracing::debug!(target: "rpc", peer, "a connection broke: {error}"),
            Broken::Frame(error) => {
                tracing::warn!(target: "rpc", peer, "a client was cut off: {error}");
            }
        }
    }
    drop(sender);
    let _ = writing.await;
}

/// The next frame; `None` where the client has closed the connection between two.
async fn read(
    reader: &mut (impl AsyncReadExt + Unpin),
    limit: u32,
) -> Result<Option<(Header, Vec<u8>)>, Broken> {
    let mut head = [0; MAX_HEADER];
    if reader.read(&mut head[..1]).await? == 0 {
        return Ok(None);
    }
    reader.read_exact(&mut head[1..PREFIX]).await?;
    let prefix = head.first_chunk::<PREFIX>().copied().unwrap_or_default();
    let length = Header::measure(&prefix)?;
    reader.read_exact(&mut head[PREFIX..length]).await?;
    let (header, _) = Header::parse(&head[..length])?;
    if header.payload > limit {
        return Err(Broken::Frame(format!(
            "a frame of {} bytes is larger than rpc.max_message_size ({limit})",
            header.payload
        )));
    }
    let mut payload = Vec::new();
    while payload.len() < header.payload as usize {
        let left = u64::from(header.payload) - payload.len() as u64;
        if reader.take(left.min(PIECE)).read_to_end(&mut payload).await? == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
    }
    Ok(Some((header, payload)))
}

/// Starts a call. Its reply goes to `replies`, however late.
async fn start(
    registry: &Arc<Registry>,
    header: &Header,
    payload: &[u8],
    place: OwnedSemaphorePermit,
    replies: &mpsc::Sender<Done>,
) -> Result<(), Broken> {
    let call = Call::parse(header, payload).map_err(|error| Broken::Frame(error.to_string()))?;
    let (flags, answer) = match Codec::of(header.flags) {
        Ok(codec) => (codec.flag(), registry.call(call.method, codec, call.body)),
        Err(error) => (Flags::GOB, Answer::Now(Err(error.to_string()))),
    };
    registry.traffic().called();
    let (sequence, method, registry) = (call.sequence, call.method.to_owned(), Arc::clone(registry));
    let send = move |result: Result<Vec<u8>, String>| {
        if result.is_err() {
            registry.traffic().failed();
        }
        Done { frame: reply(sequence, &method, flags, result), _place: place }
    };
    match answer {
        Answer::None => {}
        Answer::Now(result) => {
            // An error means that the client is gone.
            let _ = replies.send(send(result)).await;
        }
        Answer::Later(future) => {
            let replies = replies.clone();
            tokio::spawn(async move {
                let result = future.await;
                let _ = replies.send(send(result)).await;
            });
        }
    }
    Ok(())
}

/// The frame of a reply (RP-03, RP-04).
fn reply(sequence: u32, method: &str, flags: Flags, result: Result<Vec<u8>, String>) -> Vec<u8> {
    let (body, failed) = match result {
        Ok(body) => (body, false),
        Err(text) => (text.into_bytes(), true),
    };
    let flags = if failed { flags.with(Flags::ERROR) } else { flags };
    let call = Call { sequence, method, body: &body, failed };
    let length = u32::try_from(method.len() + body.len()).unwrap_or(u32::MAX);
    let header = Header::new(flags, Bits::default(), &call.options(), length);
    let mut head = [0; MAX_HEADER];
    let size = header.encode(&mut head);
    let mut frame = Vec::with_capacity(size + method.len() + body.len());
    frame.extend_from_slice(&head[..size]);
    frame.extend_from_slice(method.as_bytes());
    frame.extend_from_slice(&body);
    frame
}

/// Feeds arbitrary bytes to a connection; must not panic and must end.
pub fn fuzz(data: &[u8]) {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().build() else { return };
    runtime.block_on(async {
        let mut registry = Registry::default();
        let echo = |argument: crate::codec::Raw| Ok::<_, String>(argument);
        registry.add(crate::service::Service::new("test").method("Echo", echo));
        let registry = Arc::new(registry);
        let mut reader = data;
        let (sender, mut replies) = mpsc::channel(REPLIES);
        let places = Arc::new(Semaphore::new(IN_FLIGHT));
        while let Ok(Some((header, payload))) = read(&mut reader, 1 << 20).await {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
            if start(&registry, &header, &payload, place, &sender).await.is_err() {
                return;
            }
            while let Ok(done) = replies.try_recv() {
                assert!(Header::parse(&done.frame).is_ok());
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_golden_vector_of_rpc_version() {
        let frame = reply(1, "rpc.Version", Flags::JSON, Ok(b"true".to_vec()));
        let mut golden =
            vec![0x15, 0x08, 0x0f, 0, 0, 0, 0x1c, 0x69, 0xca, 0x8a, 0, 0, 1, 0, 0, 0, 11, 0, 0, 0];
        golden.extend_from_slice(b"rpc.Versiontrue");
        assert_eq!(frame, golden);
    }

    #[tokio::test]
    async fn fr_13_what_is_declared_is_not_allocated() {
        let mut frame = reply(1, "a.B", Flags::JSON, Ok(Vec::new()));
        frame[2..6].copy_from_slice(&u32::MAX.to_le_bytes());
        let checksum = crc(&frame[..6]);
        frame[6..10].copy_from_slice(&checksum.to_le_bytes());
        let error = read(&mut &frame[..], 1 << 20).await.expect_err("too large");
        assert!(matches!(error, Broken::Frame(text) if text.contains("rpc.max_message_size")));
        let error = read(&mut &frame[..], u32::MAX).await.expect_err("cut off");
        assert!(matches!(error, Broken::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof));
    }

    fn crc(bytes: &[u8]) -> u32 {
        // What the header itself computes.
        let header = Header::new(Flags(bytes[1]), Bits::default(), &[0; 2], u32::MAX);
        let mut head = [0; MAX_HEADER];
        header.encode(&mut head);
        u32::from_le_bytes([head[6], head[7], head[8], head[9]])
    }

    proptest::proptest! {
        #[test]
        fn fr_13_no_bytes_bring_a_connection_down(
            mut data: Vec<u8>,
            options in 0_usize..4,
            flags: u8,
            method in 0_u32..20,
        ) {
            fuzz(&data);
            // The same behind a header that is right.
            let header = Header::new(
                Flags(flags), Bits::default(), &[7, method, 0, 0][..options], u32::try_from(data.len()).unwrap_or(0),
            );
            let mut head = [0; MAX_HEADER];
            let size = header.encode(&mut head);
            data.splice(0..0, head[..size].iter().copied());
            fuzz(&data);
        }
    }
}
