//! One memcached server, spoken to in its text protocol. Knows nothing of PHP and of several servers.

use crate::KvError;
use parking_lot::Mutex;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpStream, UnixStream};

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A connection that nobody uses.
pub(super) struct Connection(BufReader<Box<dyn Stream>>);

/// Connections that are kept per server.
const IDLE: usize = 64;
/// Bytes of a line: a key of 250, a few numbers, or an error text.
const LINE: u64 = 4096;
/// Bytes of a value; memcached's own limit is 1 GiB at most, 1 MiB unless configured.
const VALUE: usize = 1 << 30;

/// A server.
pub(super) struct Server {
    address: String,
    timeout: Duration,
    idle: Mutex<Vec<Connection>>,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Server").field(&self.address).finish()
    }
}

/// What comes back.
#[derive(Debug, Default)]
pub(super) struct Answer {
    /// The words of the line.
    pub(super) line: String,
    /// The bytes behind a line that announces some.
    pub(super) data: Vec<u8>,
}

impl Answer {
    /// The words of the line.
    pub(super) fn words(&self) -> impl Iterator<Item = &str> {
        self.line.split(' ')
    }

    /// The first word.
    pub(super) fn verb(&self) -> &str {
        self.words().next().unwrap_or_default()
    }
}

/// When the answer is over.
#[derive(Debug, Clone, Copy)]
pub(super) enum Until {
    /// After so many lines.
    Lines(usize),
    /// After a line `END`.
    End,
}

impl Server {
    pub(super) fn new(address: &str, timeout: Duration) -> Self {
        Self { address: address.to_owned(), timeout, idle: Mutex::default() }
    }

    /// An error with the server's address.
    pub(super) fn failed(&self, text: impl std::fmt::Display) -> KvError {
        KvError::Storage(format!("memcached: {}: {text}", self.address))
    }

    async fn connect(&self) -> io::Result<Connection> {
        let stream: Box<dyn Stream> = match self.address.strip_prefix("unix://") {
            Some(path) => Box::new(UnixStream::connect(path).await?),
            None if self.address.starts_with('/') => Box::new(UnixStream::connect(&self.address).await?),
            None => {
                let stream = TcpStream::connect(self.address.trim_start_matches("tcp://")).await?;
                stream.set_nodelay(true)?;
                Box::new(stream)
            }
        };
        Ok(Connection(BufReader::new(stream)))
    }

    /// Sends a request that may be sent twice and reads its answer; the connection is the caller's to go on with, or to
    /// [`Server::keep`]. One that was kept and fails is replaced: the server may have been started anew since.
    pub(super) async fn begin(
        &self,
        request: &[u8],
        until: Until,
    ) -> Result<(Connection, Vec<Answer>), KvError> {
        let exchange = async {
            loop {
                let Some(mut kept) = self.idle.lock().pop() else { break };
                if let Ok(answers) = kept.exchange(request, until).await {
                    return Ok((kept, answers));
                }
            }
            let mut connection = self.connect().await?;
            let answers = connection.exchange(request, until).await?;
            Ok((connection, answers))
        };
        self.in_time(exchange).await
    }

    /// The same on a connection that has just been used, where it is sent once.
    pub(super) async fn go_on(
        &self,
        connection: &mut Connection,
        request: &[u8],
        until: Until,
    ) -> Result<Vec<Answer>, KvError> {
        self.in_time(connection.exchange(request, until)).await
    }

    async fn in_time<T>(&self, run: impl Future<Output = io::Result<T>>) -> Result<T, KvError> {
        match tokio::time::timeout(self.timeout, run).await {
            Ok(result) => result.map_err(|error| self.failed(error)),
            Err(_) => Err(self.failed(format!("no answer within {:?}", self.timeout))),
        }
    }

    /// Keeps a connection for the next one.
    pub(super) fn keep(&self, connection: Connection) {
        let mut idle = self.idle.lock();
        if idle.len() < IDLE {
            idle.push(connection);
        }
    }
}

impl Connection {
    async fn exchange(&mut self, request: &[u8], until: Until) -> io::Result<Vec<Answer>> {
        self.0.get_mut().write_all(request).await?;
        self.0.get_mut().flush().await?;
        let mut answers = Vec::new();
        loop {
            let answer = self.answer().await?;
            match (until, answer.verb()) {
                (Until::End, "END") => return Ok(answers),
                (_, "ERROR") | (_, "CLIENT_ERROR") => return Err(io::Error::other(answer.line)),
                (Until::End, "SERVER_ERROR") => return Err(io::Error::other(answer.line)),
                _ => answers.push(answer),
            }
            if let Until::Lines(count) = until
                && answers.len() >= count
            {
                return Ok(answers);
            }
        }
    }

    async fn answer(&mut self) -> io::Result<Answer> {
        let mut line = Vec::new();
        (&mut self.0).take(LINE).read_until(b'\n', &mut line).await?;
        let Some(text) = line.strip_suffix(b"\r\n") else {
            return Err(match line.len() {
                0 => io::Error::new(io::ErrorKind::UnexpectedEof, "the server has closed the connection"),
                _ => io::Error::other("an answer that is not memcached's"),
            });
        };
        let mut answer = Answer { line: String::from_utf8_lossy(text).into_owned(), data: Vec::new() };
        // VALUE key flags bytes cas; VA bytes flags…
        let length = match answer.verb() {
            "VALUE" => answer.words().nth(3),
            "VA" => answer.words().nth(1),
            _ => return Ok(answer),
        };
        let length = length.and_then(|length| length.parse().ok()).filter(|length| *length <= VALUE);
        let length = length.ok_or_else(|| io::Error::other("a value without its length"))?;
        answer.data = vec![0; length + 2];
        self.0.read_exact(&mut answer.data).await?;
        answer.data.truncate(length);
        Ok(answer)
    }
}
