//! A blocking client of `rpc.listen` with JSON (rows RP-01…04).

use rr_wire::{Bits, Flags, Header, MAX_HEADER, PREFIX};
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(5);
/// Longest answer that is read.
const MAX_ANSWER: usize = 64 << 20;

enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// A connection to a server.
pub(crate) struct Client {
    stream: Stream,
    address: String,
    sequence: u32,
}

/// Why there is no answer.
pub(crate) enum Failure {
    /// The method says so.
    Refused(String),
    /// The server cannot be reached, or says what is not understood.
    Lost(String),
}

impl Failure {
    pub(crate) fn text(self) -> String {
        match self {
            Self::Refused(text) | Self::Lost(text) => text,
        }
    }
}

impl Client {
    /// Connects to `tcp://host:port` or `unix://path`.
    ///
    /// # Errors
    /// The text of why nobody is there.
    pub(crate) fn connect(address: &str) -> Result<Self, String> {
        let failed = |error: io::Error| {
            format!("no server answers at {address} (rpc.listen): {error}; is it running?")
        };
        let stream = match address.strip_prefix("unix://") {
            Some(path) => Stream::Unix(UnixStream::connect(path).map_err(failed)?),
            None => {
                let plain = address.strip_prefix("tcp://").unwrap_or(address);
                let plain =
                    if plain.starts_with(':') { format!("127.0.0.1{plain}") } else { plain.to_owned() };
                let target = plain.to_socket_addrs().map_err(failed)?.next();
                let target = target.ok_or_else(|| format!("{address} (rpc.listen) is no address"))?;
                let stream = TcpStream::connect_timeout(&target, CONNECT).map_err(failed)?;
                let _ = stream.set_nodelay(true);
                Stream::Tcp(stream)
            }
        };
        Ok(Self { stream, address: address.to_owned(), sequence: 0 })
    }

    /// How long an answer may take; `None`: as long as it takes.
    pub(crate) fn patience(&self, patience: Option<Duration>) {
        let _ = match &self.stream {
            Stream::Tcp(stream) => stream.set_read_timeout(patience),
            Stream::Unix(stream) => stream.set_read_timeout(patience),
        };
    }

    /// Calls a method with an argument of JSON.
    pub(crate) fn call(&mut self, method: &str, argument: &str) -> Result<Vec<u8>, Failure> {
        let address = self.address.clone();
        let lost = |error: io::Error| {
            Failure::Lost(format!("the server at {address} does not answer {method}: {error}"))
        };
        self.sequence += 1;
        let length = u32::try_from(method.len()).unwrap_or(u32::MAX);
        let payload = [method.as_bytes(), argument.as_bytes()].concat();
        let size = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        let mut head = [0; MAX_HEADER];
        let used =
            Header::new(Flags::JSON, Bits::default(), &[self.sequence, length], size).encode(&mut head);
        self.write(&[&head[..used], &payload].concat()).map_err(&lost)?;
        let (header, payload) = self.read().map_err(&lost)?;
        let wrong = || {
            Failure::Lost(format!("{} speaks no goridge RPC; is rpc.listen the right address?", self.address))
        };
        let &[sequence, length] = header.options() else { return Err(wrong()) };
        let body = payload.get(length as usize..).filter(|_| sequence == self.sequence).ok_or_else(wrong)?;
        match header.flags.has(Flags::ERROR) {
            true => Err(Failure::Refused(String::from_utf8_lossy(body).into_owned())),
            false => Ok(body.to_vec()),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.stream {
            Stream::Tcp(stream) => stream.write_all(bytes),
            Stream::Unix(stream) => stream.write_all(bytes),
        }
    }

    fn read_exact(&mut self, bytes: &mut [u8]) -> io::Result<()> {
        match &mut self.stream {
            Stream::Tcp(stream) => stream.read_exact(bytes),
            Stream::Unix(stream) => stream.read_exact(bytes),
        }
    }

    fn read(&mut self) -> io::Result<(Header, Vec<u8>)> {
        let mut prefix = [0; PREFIX];
        self.read_exact(&mut prefix)?;
        let length = Header::measure(&prefix).map_err(io::Error::other)?;
        let mut head = prefix.to_vec();
        head.resize(length, 0);
        self.read_exact(&mut head[PREFIX..])?;
        let (header, _) = Header::parse(&head).map_err(io::Error::other)?;
        let length = header.payload as usize;
        if length > MAX_ANSWER {
            return Err(io::Error::other(format!("an answer of {length} bytes")));
        }
        let mut payload = vec![0; length];
        self.read_exact(&mut payload)?;
        Ok((header, payload))
    }
}
