//! A client of `rpc.listen`, written from the description of the frames (rows FR-01…08, RP-01…04).

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// Bytes of protobuf.
pub const PROTO: u8 = 0x80;
/// JSON.
pub const JSON: u8 = 0x08;
/// Bytes as they are.
pub const RAW: u8 = 0x04;
/// MessagePack.
pub const MSGPACK: u8 = 0x10;
/// Go's own.
pub const GOB: u8 = 0x20;
/// The payload is an error text.
pub const ERROR: u8 = 0x40;

enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// A reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Whose reply it is.
    pub sequence: u32,
    /// Byte 1 of the frame.
    pub flags: u8,
    /// The method.
    pub method: String,
    /// The result, or the error text.
    pub body: Vec<u8>,
}

impl Reply {
    /// The result, or the error text.
    ///
    /// # Errors
    /// The method failed.
    pub fn result(self) -> Result<Vec<u8>, String> {
        if self.flags & ERROR != 0 {
            return Err(String::from_utf8_lossy(&self.body).into_owned());
        }
        Ok(self.body)
    }
}

/// A frame with a header that is right.
#[must_use]
pub fn frame(flags: u8, options: &[u32], payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a short payload");
    let mut bytes = vec![0x10 | u8::try_from(3 + options.len()).expect("few options"), flags];
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(&crc32fast::hash(&bytes).to_le_bytes());
    bytes.extend_from_slice(&[0, 0]);
    for option in options {
        bytes.extend_from_slice(&option.to_le_bytes());
    }
    bytes.extend_from_slice(payload);
    bytes
}

/// A connection.
pub struct Goridge {
    stream: Stream,
    sequence: u32,
}

impl Goridge {
    /// Connects to `tcp://host:port` or `unix://path`, or fails the test.
    #[track_caller]
    #[must_use]
    pub fn connect(address: &str) -> Self {
        let patience = Some(Duration::from_secs(30));
        let stream = match address.strip_prefix("unix://") {
            Some(path) => {
                let stream = UnixStream::connect(path).expect("a connection");
                stream.set_read_timeout(patience).expect("a timeout");
                Stream::Unix(stream)
            }
            None => {
                let address = address.strip_prefix("tcp://").unwrap_or(address);
                let stream = TcpStream::connect(address).expect("a connection");
                stream.set_nodelay(true).expect("an option");
                stream.set_read_timeout(patience).expect("a timeout");
                Stream::Tcp(stream)
            }
        };
        Self { stream, sequence: 0 }
    }

    /// Sends bytes.
    ///
    /// # Errors
    /// The server has closed the connection.
    pub fn send_bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.stream {
            Stream::Tcp(stream) => stream.write_all(bytes),
            Stream::Unix(stream) => stream.write_all(bytes),
        }
    }

    /// Sends a call and gives its sequence.
    #[track_caller]
    pub fn send(&mut self, method: &str, codec: u8, body: &[u8]) -> u32 {
        self.sequence += 1;
        let length = u32::try_from(method.len()).expect("a short name");
        let frame = frame(codec, &[self.sequence, length], &[method.as_bytes(), body].concat());
        self.send_bytes(&frame).expect("the server takes a call");
        self.sequence
    }

    fn read_exact(&mut self, bytes: &mut [u8]) -> io::Result<()> {
        match &mut self.stream {
            Stream::Tcp(stream) => stream.read_exact(bytes),
            Stream::Unix(stream) => stream.read_exact(bytes),
        }
    }

    /// The next reply.
    ///
    /// # Errors
    /// The server has closed the connection.
    pub fn try_read(&mut self) -> io::Result<Reply> {
        let mut head = [0; 20];
        self.read_exact(&mut head)?;
        assert_eq!(head[0], 0x15, "two options");
        assert_eq!(head[6..10], crc32fast::hash(&head[..6]).to_le_bytes(), "a good checksum");
        let number = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let (length, sequence, method) = (number(2) as usize, number(12), number(16) as usize);
        let mut payload = vec![0; length];
        self.read_exact(&mut payload)?;
        let body = payload.split_off(method);
        Ok(Reply { sequence, flags: head[1], method: String::from_utf8(payload).expect("a name"), body })
    }

    /// The next reply, or the test fails.
    #[track_caller]
    pub fn read(&mut self) -> Reply {
        self.try_read().expect("a reply")
    }

    /// Calls a method and waits for its result or error text.
    #[track_caller]
    pub fn call(&mut self, method: &str, codec: u8, body: &[u8]) -> Result<Vec<u8>, String> {
        let sequence = self.send(method, codec, body);
        let reply = self.read();
        assert_eq!((reply.sequence, reply.method.as_str()), (sequence, method));
        assert_eq!(reply.flags & !ERROR, codec, "the codec of the request");
        reply.result()
    }

    /// The same in JSON.
    #[track_caller]
    pub fn json(&mut self, method: &str, argument: &str) -> Result<serde_json::Value, String> {
        let body = self.call(method, JSON, argument.as_bytes())?;
        Ok(serde_json::from_slice(&body).expect("JSON"))
    }

    /// Whether the server closes the connection instead of answering.
    #[must_use]
    pub fn is_closed(&mut self) -> bool {
        self.try_read().is_err_and(|error| {
            matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset)
        })
    }
}
