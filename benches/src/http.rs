//! The smallest HTTP client that does: one request, a fresh connection, the moment of the first byte.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
    pub(crate) first_byte: Instant,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).trim().to_owned()
    }
}

pub(crate) fn get(address: SocketAddr, path: &str, timeout: Duration) -> io::Result<Answer> {
    request(address, "GET", path, b"", timeout)
}

/// `timeout` bounds the connect and every read, not their sum.
pub(crate) fn request(
    address: SocketAddr,
    method: &str,
    path: &str,
    body: &[u8],
    timeout: Duration,
) -> io::Result<Answer> {
    let mut stream = TcpStream::connect_timeout(&address, timeout)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(timeout))?;
    stream.set_write_timeout(Some(timeout))?;
    let length = body.len();
    let mut message = format!(
        "{method} {path} HTTP/1.1\r\nHost: bench\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"
    )
    .into_bytes();
    message.extend_from_slice(body);
    stream.write_all(&message)?;

    let mut first_byte = None;
    let mut bytes = Vec::new();
    let mut buffer = [0; 16384];
    loop {
        let n = stream.read(&mut buffer)?;
        first_byte.get_or_insert_with(Instant::now);
        bytes.extend_from_slice(&buffer[..n]);
        if let Some((status, body)) = parse(&bytes, n == 0)? {
            return Ok(Answer { status, body, first_byte: first_byte.unwrap_or_else(Instant::now) });
        }
    }
}

/// Status and body once they are whole; `end` says that no more will come.
fn parse(bytes: &[u8], end: bool) -> io::Result<Option<(u16, Vec<u8>)>> {
    let short = || if end { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(None) };
    let Some(head) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else { return short() };
    let body = &bytes[head + 4..];
    let head = String::from_utf8_lossy(&bytes[..head]).to_ascii_lowercase();
    let wrong = || io::Error::new(io::ErrorKind::InvalidData, format!("not an HTTP answer: {head:?}"));
    let status = head.split(' ').nth(1).and_then(|word| word.parse().ok()).ok_or_else(wrong)?;
    let field = |name: &str| {
        head.lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value.trim())
    };
    if field("transfer-encoding").is_some() {
        return match chunks(body) {
            Some(body) => Ok(Some((status, body))),
            None => short(),
        };
    }
    match field("content-length").map(str::parse::<usize>) {
        Some(Ok(length)) if body.len() >= length => Ok(Some((status, body[..length].to_vec()))),
        Some(Ok(_)) => short(),
        Some(Err(_)) => Err(wrong()),
        None if end => Ok(Some((status, body.to_vec()))),
        None => Ok(None),
    }
}

/// The body out of its chunks, once the last one is there.
fn chunks(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = rest.windows(2).position(|window| window == b"\r\n")?;
        let size = std::str::from_utf8(&rest[..line]).ok()?.split(';').next()?;
        let size = usize::from_str_radix(size.trim(), 16).ok()?;
        if size == 0 {
            return Some(body);
        }
        rest = rest.get(line + 2..)?;
        body.extend_from_slice(rest.get(..size)?);
        rest = rest.get(size + 2..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_end_by_length_chunk_or_close() {
        let whole = |text: &str, end| parse(text.as_bytes(), end).ok().flatten();
        let ok = |body: &str| Some((200, body.as_bytes().to_vec()));
        assert_eq!(whole("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", false), ok("hi"));
        assert_eq!(whole("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nhi", false), None);
        assert!(parse(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nhi", true).is_err());
        let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n1\r\n!\r\n0\r\n\r\n";
        assert_eq!(whole(chunked, false), ok("hi!"));
        assert_eq!(whole("HTTP/1.1 200 OK\r\n\r\nhi", false), None);
        assert_eq!(whole("HTTP/1.1 200 OK\r\n\r\nhi", true), ok("hi"));
        assert!(parse(b"", true).is_err());
        assert!(parse(b"nonsense\r\n\r\n", false).is_err());
    }
}
