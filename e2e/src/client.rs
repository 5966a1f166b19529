//! A client that sends exactly the bytes it is told to and reads HTTP/1 responses.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// A response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// Its status.
    pub status: u16,
    /// The status line and header lines.
    pub head: String,
    /// The body, chunks joined.
    pub body: Vec<u8>,
}

impl Response {
    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The first header of this name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.head, name)
    }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().skip(1).find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then_some(value.trim())
    })
}

enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// A connection.
pub struct Client {
    stream: Stream,
    buffer: Vec<u8>,
}

impl Client {
    /// Connects to `host:port` or `unix://path`.
    ///
    /// # Errors
    /// Nobody listens there.
    pub fn try_connect(address: &str) -> io::Result<Self> {
        let stream = match address.strip_prefix("unix://") {
            Some(path) => Stream::Unix(UnixStream::connect(path)?),
            None => {
                let stream = TcpStream::connect(address.strip_prefix("http://").unwrap_or(address))?;
                stream.set_nodelay(true)?;
                Stream::Tcp(stream)
            }
        };
        let client = Self { stream, buffer: Vec::new() };
        client.patience(Duration::from_secs(60));
        Ok(client)
    }

    /// Connects, or fails the test.
    #[track_caller]
    #[must_use]
    pub fn connect(address: &str) -> Self {
        Self::try_connect(address).unwrap_or_else(|error| panic!("cannot connect to {address}: {error}"))
    }

    /// How long a read may take.
    pub fn patience(&self, patience: Duration) {
        match &self.stream {
            Stream::Tcp(stream) => stream.set_read_timeout(Some(patience)),
            Stream::Unix(stream) => stream.set_read_timeout(Some(patience)),
        }
        .expect("a read timeout");
    }

    /// How long a write may take.
    pub fn write_patience(&self, patience: Duration) {
        match &self.stream {
            Stream::Tcp(stream) => stream.set_write_timeout(Some(patience)),
            Stream::Unix(stream) => stream.set_write_timeout(Some(patience)),
        }
        .expect("a write timeout");
    }

    /// Says that nothing more comes.
    pub fn finish(&self) {
        let _ = match &self.stream {
            Stream::Tcp(stream) => stream.shutdown(Shutdown::Write),
            Stream::Unix(stream) => stream.shutdown(Shutdown::Write),
        };
    }

    /// Sends bytes.
    ///
    /// # Errors
    /// The server has closed the connection.
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        match &mut self.stream {
            Stream::Tcp(stream) => stream.write_all(bytes.as_ref()),
            Stream::Unix(stream) => stream.write_all(bytes.as_ref()),
        }
    }

    /// Sends bytes, or fails the test.
    #[track_caller]
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes).expect("the server takes what is sent");
    }

    /// Sends a request.
    ///
    /// # Errors
    /// The server has closed the connection.
    pub fn try_request(&mut self, method: &str, target: &str, headers: &str, body: &[u8]) -> io::Result<()> {
        let length =
            if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
        let mut bytes =
            format!("{method} {target} HTTP/1.1\r\nHost: test\r\n{headers}{length}\r\n").into_bytes();
        bytes.extend_from_slice(body);
        self.try_send(bytes)
    }

    /// GET and its response.
    ///
    /// # Errors
    /// There was none.
    pub fn try_get(&mut self, target: &str) -> io::Result<Response> {
        self.try_request("GET", target, "", b"")?;
        self.try_read()
    }

    /// GET and its response, or the test fails.
    #[track_caller]
    pub fn get(&mut self, target: &str) -> Response {
        self.try_get(target).unwrap_or_else(|error| panic!("GET {target}: {error}"))
    }

    /// POST and its response, or the test fails.
    #[track_caller]
    pub fn post(&mut self, target: &str, body: &[u8]) -> Response {
        self.try_request("POST", target, "", body).expect("the server takes the request");
        self.read()
    }

    fn fill(&mut self) -> io::Result<usize> {
        let mut piece = [0; 16 * 1024];
        let count = match &mut self.stream {
            Stream::Tcp(stream) => stream.read(&mut piece)?,
            Stream::Unix(stream) => stream.read(&mut piece)?,
        };
        self.buffer.extend_from_slice(&piece[..count]);
        Ok(count)
    }

    fn need(&mut self) -> io::Result<()> {
        match self.fill()? {
            0 => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "closed inside a response")),
            _ => Ok(()),
        }
    }

    fn take(&mut self, count: usize) -> io::Result<Vec<u8>> {
        while self.buffer.len() < count {
            self.need()?;
        }
        Ok(self.buffer.drain(..count).collect())
    }

    fn line(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = self.buffer.windows(2).position(|pair| pair == b"\r\n") {
                let line: Vec<u8> = self.buffer.drain(..end + 2).collect();
                return Ok(String::from_utf8_lossy(&line[..end]).into_owned());
            }
            self.need()?;
        }
    }

    /// The head of the next response.
    ///
    /// # Errors
    /// The server closed the connection instead.
    pub fn read_head(&mut self) -> io::Result<Response> {
        let mut head = self.line()?;
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.ok_or_else(|| io::Error::other(format!("no status line: {head:?}")))?;
        loop {
            let line = self.line()?;
            if line.is_empty() {
                return Ok(Response { status, head, body: Vec::new() });
            }
            head.push('\n');
            head.push_str(&line);
        }
    }

    /// The next piece of a chunked body, empty at its end.
    ///
    /// # Errors
    /// The server closed the connection instead.
    pub fn read_chunk(&mut self) -> io::Result<Vec<u8>> {
        let size = self.line()?;
        let size = usize::from_str_radix(size.trim(), 16)
            .map_err(|_| io::Error::other(format!("no chunk size: {size:?}")))?;
        let chunk = self.take(size)?;
        self.line()?;
        Ok(chunk)
    }

    /// The next response.
    ///
    /// # Errors
    /// The server closed the connection instead.
    pub fn try_read(&mut self) -> io::Result<Response> {
        self.read_of("GET")
    }

    /// The next response, to a request of this method.
    ///
    /// # Errors
    /// The server closed the connection instead.
    pub fn read_of(&mut self, method: &str) -> io::Result<Response> {
        let mut response = self.read_head()?;
        let bare = method == "HEAD" || response.status < 200 || matches!(response.status, 204 | 304);
        if bare {
            return Ok(response);
        }
        if response.header("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked")) {
            loop {
                let chunk = self.read_chunk()?;
                if chunk.is_empty() {
                    return Ok(response);
                }
                response.body.extend_from_slice(&chunk);
            }
        }
        response.body = match response.header("content-length") {
            Some(length) => {
                let length = length.parse().map_err(io::Error::other)?;
                self.take(length)?
            }
            None => self.read_to_end()?,
        };
        Ok(response)
    }

    /// The next response, or the test fails.
    #[track_caller]
    pub fn read(&mut self) -> Response {
        self.try_read().unwrap_or_else(|error| panic!("no response: {error}"))
    }

    /// All that comes until the server closes the connection.
    ///
    /// # Errors
    /// It does not within the patience.
    pub fn read_to_end(&mut self) -> io::Result<Vec<u8>> {
        while self.fill()? > 0 {}
        Ok(std::mem::take(&mut self.buffer))
    }

    /// What comes next; nothing at the end of the connection.
    ///
    /// # Errors
    /// Nothing comes within the patience.
    pub fn read_some(&mut self) -> io::Result<Vec<u8>> {
        if self.buffer.is_empty() {
            self.fill()?;
        }
        Ok(std::mem::take(&mut self.buffer))
    }

    /// Throws away a body of `length` bytes that stays out of memory; gives how many came.
    ///
    /// # Errors
    /// The server closed the connection early.
    pub fn skip_chunks(&mut self) -> io::Result<usize> {
        let mut sum = 0;
        loop {
            match self.read_chunk()?.len() {
                0 => return Ok(sum),
                count => sum += count,
            }
        }
    }

    /// Waits until the server closes the connection and says whether it did so.
    #[must_use]
    pub fn is_closed_within(&mut self, patience: Duration) -> bool {
        self.patience(patience);
        match self.read_to_end() {
            Ok(_) => true,
            Err(error) => error.kind() == io::ErrorKind::ConnectionReset,
        }
    }
}
