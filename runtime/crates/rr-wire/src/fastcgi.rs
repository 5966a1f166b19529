//! FastCGI 1.0 as a server of the role responder reads and writes it: records, and the name-value pairs in them.
//!
//! A record is `u8 version 1, u8 type, u16 request, u16 length, u8 padding, u8 reserved`, big-endian, then `length` bytes
//! and `padding` bytes that mean nothing.

use thiserror::Error;

/// Bytes in front of a record.
pub const HEADER: usize = 8;
/// Most bytes of a record.
pub const MAX_CONTENT: usize = 65_535;

/// What is wrong with what a web server sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum FastCgiError {
    /// Not FastCGI, or of another time.
    #[error("version {0} of FastCGI; 1 is spoken here, so this is no FastCGI or not its beginning")]
    Version(u8),
    /// Shorter than its own words.
    #[error("a {0} that is cut short")]
    Short(&'static str),
}

/// Types of records that a server gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Begins a request.
    Begin,
    /// The web server does not want the answer any more.
    Abort,
    /// Some of the variables.
    Params,
    /// Some of the body.
    Stdin,
    /// Some of a second body, of the role filter.
    Data,
    /// Asks what this server can do.
    GetValues,
    /// Unknown here.
    Other(u8),
}

/// A record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'a> {
    /// Its type.
    pub kind: Kind,
    /// Which request it belongs to; 0: none.
    pub request: u16,
    /// What it says.
    pub content: &'a [u8],
    /// Its length, header and padding included.
    pub length: usize,
}

impl<'a> Record<'a> {
    /// The record at the beginning of `bytes`; `None`: it has not come whole.
    ///
    /// # Errors
    /// It is no FastCGI.
    pub fn parse(bytes: &'a [u8]) -> Result<Option<Self>, FastCgiError> {
        match bytes.first() {
            None => return Ok(None),
            Some(1) => {}
            Some(version) => return Err(FastCgiError::Version(*version)),
        }
        let Some(header) = bytes.first_chunk::<HEADER>() else { return Ok(None) };
        let content = usize::from(u16::from_be_bytes([header[4], header[5]]));
        let length = HEADER + content + usize::from(header[6]);
        let Some(whole) = bytes.get(..length) else { return Ok(None) };
        let kind = match header[1] {
            1 => Kind::Begin,
            2 => Kind::Abort,
            4 => Kind::Params,
            5 => Kind::Stdin,
            8 => Kind::Data,
            9 => Kind::GetValues,
            other => Kind::Other(other),
        };
        let request = u16::from_be_bytes([header[2], header[3]]);
        Ok(Some(Self { kind, request, content: &whole[HEADER..HEADER + content], length }))
    }
}

/// What a request begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Begin {
    /// 1: responder; 2: authorizer; 3: filter.
    pub role: u16,
    /// The connection is kept for further requests.
    pub keep: bool,
}

impl Begin {
    /// The content of a record.
    ///
    /// # Errors
    /// It is too short.
    pub fn parse(content: &[u8]) -> Result<Self, FastCgiError> {
        let Some([high, low, flags]) = content.first_chunk::<3>() else {
            return Err(FastCgiError::Short("beginning of a request"));
        };
        Ok(Self { role: u16::from_be_bytes([*high, *low]), keep: flags & 1 != 0 })
    }
}

/// The name-value pairs of the bytes of all records of a stream.
#[derive(Debug, Clone)]
pub struct Pairs<'a>(pub &'a [u8]);

impl<'a> Iterator for Pairs<'a> {
    type Item = Result<(&'a [u8], &'a [u8]), FastCgiError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let pair = self.pair();
        if pair.is_none() {
            self.0 = &[];
        }
        Some(pair.ok_or(FastCgiError::Short("name-value pair")))
    }
}

impl<'a> Pairs<'a> {
    fn pair(&mut self) -> Option<(&'a [u8], &'a [u8])> {
        let (name, value) = (self.length()?, self.length()?);
        Some((self.take(name)?, self.take(value)?))
    }

    fn length(&mut self) -> Option<usize> {
        let first = *self.0.first()?;
        if first < 0x80 {
            self.0 = &self.0[1..];
            return Some(first.into());
        }
        let long = self.take(4)?;
        let long = u32::from_be_bytes([long[0] & 0x7f, long[1], long[2], long[3]]);
        usize::try_from(long).ok()
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }
}

/// Puts a length in front of a name or value.
fn put_length(into: &mut Vec<u8>, length: usize) {
    match u8::try_from(length) {
        Ok(short) if short < 0x80 => into.push(short),
        _ => into.extend_from_slice(&(u32::try_from(length).unwrap_or(0) | 0x8000_0000).to_be_bytes()),
    }
}

/// Adds a pair.
pub fn put_pair(into: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    put_length(into, name.len());
    put_length(into, value.len());
    into.extend_from_slice(name);
    into.extend_from_slice(value);
}

/// How a request ended, for the web server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// With an answer.
    Complete = 0,
    /// It came while another one ran.
    CannotMultiplex = 1,
    /// This server is no authorizer and no filter.
    UnknownRole = 3,
}

fn header(kind: u8, request: u16, length: u16) -> [u8; HEADER] {
    let ([a, b], [c, d]) = (request.to_be_bytes(), length.to_be_bytes());
    [1, kind, a, b, c, d, 0, 0]
}

/// The header of a record of an answer; `length` bytes of it follow. 0 ends the stream.
#[must_use]
pub fn stdout(request: u16, length: u16) -> [u8; HEADER] {
    header(6, request, length)
}

/// Adds the end of a request.
pub fn put_end(into: &mut Vec<u8>, request: u16, end: End) {
    into.extend_from_slice(&header(3, request, 8));
    into.extend_from_slice(&[0, 0, 0, 0, end as u8, 0, 0, 0]);
}

/// Adds the answer to a question for values: one connection, one request at a time. Names that mean nothing here are
/// left out.
///
/// # Errors
/// What was asked is cut short.
pub fn put_values(into: &mut Vec<u8>, asked: &[u8], connections: usize) -> Result<(), FastCgiError> {
    let mut content = Vec::new();
    let connections = connections.to_string();
    for pair in Pairs(asked) {
        let value = match pair?.0 {
            name @ (b"FCGI_MAX_CONNS" | b"FCGI_MAX_REQS") => (name, connections.as_bytes()),
            name @ b"FCGI_MPXS_CONNS" => (name, &b"0"[..]),
            _ => continue,
        };
        put_pair(&mut content, value.0, value.1);
    }
    content.truncate(MAX_CONTENT);
    into.extend_from_slice(&header(10, 0, u16::try_from(content.len()).unwrap_or(0)));
    into.extend_from_slice(&content);
    Ok(())
}

/// Adds the answer to a record of a type that is not known here.
pub fn put_unknown(into: &mut Vec<u8>, kind: u8) {
    into.extend_from_slice(&header(11, 0, 8));
    into.extend_from_slice(&[kind, 0, 0, 0, 0, 0, 0, 0]);
}

/// Reads anything as records, and their contents as pairs; must not panic.
pub fn fuzz(bytes: &[u8]) {
    let mut rest = bytes;
    while let Ok(Some(record)) = Record::parse(rest) {
        let _ = Begin::parse(record.content);
        for pair in Pairs(record.content) {
            let _ = pair;
        }
        let _ = put_values(&mut Vec::new(), record.content, 1);
        rest = &rest[record.length..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Read = Result<Vec<(Vec<u8>, Vec<u8>)>, FastCgiError>;

    fn pairs(bytes: &[u8]) -> Read {
        Pairs(bytes).map(|pair| pair.map(|(name, value)| (name.to_vec(), value.to_vec()))).collect()
    }

    #[test]
    fn hs_13_records_are_read_once_they_are_whole() {
        let mut bytes = header(5, 258, 3).to_vec();
        bytes[6] = 2;
        bytes.extend_from_slice(b"abc..next");
        for cut in 0..13 {
            assert_eq!(Record::parse(&bytes[..cut]), Ok(None));
        }
        let record = Record { kind: Kind::Stdin, request: 258, content: b"abc", length: 13 };
        assert_eq!(Record::parse(&bytes), Ok(Some(record)));
        assert_eq!(Record::parse(b"GET / HTTP/1.1"), Err(FastCgiError::Version(b'G')));
    }

    #[test]
    fn hs_13_lengths_are_short_and_long() {
        let long = vec![b'x'; 300];
        let mut bytes = Vec::new();
        put_pair(&mut bytes, b"NAME", &long);
        put_pair(&mut bytes, b"", b"");
        assert_eq!(pairs(&bytes), Ok(vec![(b"NAME".to_vec(), long), (vec![], vec![])]));
        assert_eq!(pairs(&[4, 1, b'N']), Err(FastCgiError::Short("name-value pair")));
        assert_eq!(pairs(&[0xff, 0xff, 0xff, 0xff, 0]), Err(FastCgiError::Short("name-value pair")));
        assert!(pairs(&[0x80]).is_err());
    }

    #[test]
    fn questions_are_answered() {
        let (mut asked, mut answer) = (Vec::new(), Vec::new());
        for name in [&b"FCGI_MAX_CONNS"[..], b"WHAT", b"FCGI_MPXS_CONNS"] {
            put_pair(&mut asked, name, b"");
        }
        put_values(&mut answer, &asked, 7).expect("an answer");
        let record = Record::parse(&answer).expect("a record").expect("whole");
        let said = pairs(record.content).expect("pairs");
        assert_eq!(
            said,
            [(b"FCGI_MAX_CONNS".to_vec(), b"7".to_vec()), (b"FCGI_MPXS_CONNS".to_vec(), b"0".to_vec())]
        );
    }

    proptest! {
        #[test]
        fn anything_is_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            fuzz(&bytes);
            let mut record = header(1, 1, u16::try_from(bytes.len()).unwrap_or(0)).to_vec();
            record.extend_from_slice(&bytes);
            fuzz(&record);
        }

        #[test]
        fn pairs_come_back(given in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..200),
            prop::collection::vec(any::<u8>(), 0..200)), 0..9))
        {
            let mut bytes = Vec::new();
            given.iter().for_each(|(name, value)| put_pair(&mut bytes, name, value));
            prop_assert_eq!(pairs(&bytes), Ok(given));
        }
    }
}
