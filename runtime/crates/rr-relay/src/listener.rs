//! `server.relay` on a socket (FR-14, WRK-03): workers connect to it, and say by their process id whose they are. One
//! connection that says nothing, or nonsense, is closed and keeps nobody waiting.

use parking_lot::Mutex;
use rr_net::{Acceptor, Stream};
use rr_wire::relay::{self, Decoder, Said};
use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::oneshot;

/// Connections that have not said whose they are.
const UNKNOWN: usize = 1024;
/// How long they may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A connection of a worker that has said its process id.
#[derive(Debug)]
pub struct Greeted {
    /// The connection.
    pub stream: Stream,
    /// With what has come behind the greeting.
    pub decoder: Decoder,
}

type Expected = Arc<Mutex<HashMap<u32, oneshot::Sender<Greeted>>>>;

/// The socket that command workers connect to.
#[derive(Debug, Clone, Default)]
pub struct Relay {
    expected: Expected,
}

/// A worker whose connection is awaited; it is not any more when this is dropped.
#[derive(Debug)]
pub struct Waiting {
    group: u32,
    expected: Expected,
    /// Its connection, when it comes.
    pub connection: oneshot::Receiver<Greeted>,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.expected.lock().remove(&self.group);
    }
}

impl Relay {
    /// Awaits the connection of process group `group`, which its first process has founded: what a wrapper has started
    /// is of the same group.
    #[must_use]
    pub fn expect(&self, group: u32) -> Waiting {
        let (sender, connection) = oneshot::channel();
        self.expected.lock().insert(group, sender);
        Waiting { group, expected: Arc::clone(&self.expected), connection }
    }

    /// Accepts connections for as long as it is polled. `own` is this process, `group_of` finds the process group of a
    /// process.
    pub async fn serve(
        self,
        acceptor: Acceptor,
        own: u32,
        group_of: impl Fn(u32) -> Option<u32> + Clone + Send + Sync + 'static,
    ) {
        let serve = |stream, _| {
            let (expected, group_of) = (Arc::clone(&self.expected), group_of.clone());
            async move {
                let greeted = tokio::time::timeout(PATIENCE, greet(stream, own)).await;
                let refused = match greeted {
                    Err(_) => format!("it did not greet within {PATIENCE:?}"),
                    Ok(Err(error)) => error,
                    Ok(Ok((pid, greeted))) => {
                        let mut expected = expected.lock();
                        let sender = match expected.remove(&pid) {
                            None => group_of(pid).and_then(|group| expected.remove(&group)),
                            found => found,
                        };
                        match sender.map(|sender| sender.send(greeted).is_ok()) {
                            Some(true) => return,
                            _ => format!("process {pid} is no worker that was started and has not connected"),
                        }
                    }
                };
                tracing::warn!(target: "server", "a connection to server.relay was closed: {refused}");
            }
        };
        // Dropped with this future, and its connections with it.
        let _ = rr_net::serve_each(&acceptor, "server", UNKNOWN, std::future::pending(), serve).await;
    }
}

/// WRK-02: tells the worker who the server is and hears who it is.
async fn greet(mut stream: Stream, own: u32) -> Result<(u32, Greeted), String> {
    let text = |error: io::Error| error.to_string();
    stream.write_all(&relay::hello(own)).await.map_err(text)?;
    let mut decoder = Decoder::default();
    let mut buffer = [0; 4096];
    loop {
        match decoder.next() {
            Ok(Some(Said::Hello { pid })) => return Ok((pid, Greeted { stream, decoder })),
            Ok(Some(_)) => return Err("it said something else first".to_owned()),
            Err(error) => return Err(error.to_string()),
            Ok(None) => match stream.read(&mut buffer).await.map_err(text)? {
                0 => return Err("it was closed before it greeted".to_owned()),
                count => decoder.push(&buffer[..count]),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rr_wire::{Bits, Flags, Header};
    use tokio::net::UnixStream;

    fn hello(pid: u32) -> Vec<u8> {
        let payload = format!("{{\"pid\":{pid}}}");
        let mut bytes = [0; rr_wire::MAX_HEADER];
        let length = u32::try_from(payload.len()).expect("short");
        let length = Header::new(Flags::CONTROL, Bits::default(), &[], length).encode(&mut bytes);
        [&bytes[..length], payload.as_bytes()].concat()
    }

    /// WRK-03: RoadRunner stops to accept after one bad connection.
    #[tokio::test]
    async fn wrk_03_bad_connections_keep_nobody_waiting() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("relay.sock");
        let address = format!("unix://{}", path.display());
        let listener = rr_net::bind("server.relay", &address, &rr_net::Options::default()).expect("listens");
        let relay = Relay::default();
        let acceptor = Acceptor::new(listener).expect("watched");
        // 5 was started by 3.
        let group = |pid| (pid == 5).then_some(3);
        let serving = tokio::spawn(relay.clone().serve(acceptor, 1, group));
        let connect = || async { UnixStream::connect(&path).await.expect("connects") };
        let mut ends = Vec::new();
        for bad in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"", &hello(99), b"\x13"] {
            let mut stream = connect().await;
            stream.write_all(bad).await.expect("sends");
            ends.push(stream);
        }
        let (mut first, mut second) = (relay.expect(2), relay.expect(3));
        let mut own = connect().await;
        own.write_all(&hello(2)).await.expect("sends");
        let greeted = (&mut first.connection).await.expect("a connection");
        let mut wrapped = connect().await;
        wrapped.write_all(&hello(5)).await.expect("sends");
        (&mut second.connection).await.expect("a connection");
        // The greeting of the server, and nothing else.
        drop(greeted);
        let mut bytes = Vec::new();
        own.read_to_end(&mut bytes).await.expect("reads");
        assert_eq!(bytes, relay::hello(1));
        drop((first, second));
        assert!(relay.expected.lock().is_empty());
        serving.abort();
    }
}
