//! Multipart forms as PHP's own parser understands them (RFC 7578, and what browsers of thirty years have sent): bytes
//! go in as they come, parts come out. Knows no files and waits for nothing.

use bytes::{Buf, BytesMut};
use memchr::memmem;

/// Longest line of a part's head.
const LINE: usize = 16 * 1024;
/// Longest head of a part.
const HEAD: usize = 64 * 1024;
/// Longest boundary; RFC 2046 allows 70 bytes.
const BOUNDARY: usize = 1024;

/// What is too much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Fields that are no files.
    pub(crate) fields: usize,
    /// Files.
    pub(crate) files: usize,
    /// Bytes of a field.
    pub(crate) field: usize,
    /// Bytes of all names and fields together, which are kept in memory.
    pub(crate) total: usize,
}

/// Why a form is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TooMuch {
    #[error("a form of more than http.uploads.max_fields fields")]
    Fields,
    #[error("a form of more than http.uploads.max_files files")]
    Files,
    #[error("a form with a field longer than http.uploads.max_field_size")]
    Field,
    #[error("a form whose fields together are longer than the server keeps in memory")]
    Total,
    #[error("a form with a part whose head is too long")]
    Head,
}

/// What a form consists of, in the order of the wire.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// A plain value.
    Field { name: Vec<u8>, value: Vec<u8> },
    /// A file begins. Without a name none was chosen.
    File { name: Vec<u8>, file_name: Vec<u8>, mime: Vec<u8> },
    /// Bytes of the file.
    Data(BytesMut),
    /// The file ends; not `whole`: the body did before.
    End { whole: bool },
    /// A part without a name of any kind: PHP reads no further.
    Garbled,
}

#[derive(Debug)]
enum State {
    /// Lines until one is the boundary.
    Between,
    /// A part's head: what there is of it.
    Head {
        lines: Vec<(Vec<u8>, Vec<u8>)>,
        size: usize,
    },
    Field {
        name: Vec<u8>,
        value: Vec<u8>,
    },
    /// A file; not `wanted`: PHP would not take it either.
    File {
        wanted: bool,
    },
    /// The rest means nothing.
    Over,
}

/// The parser.
#[derive(Debug)]
pub(crate) struct Parser {
    /// `--boundary`.
    line: Vec<u8>,
    /// `\n--boundary`.
    next: memmem::Finder<'static>,
    buffer: BytesMut,
    state: State,
    limits: Limits,
    ended: bool,
    /// The closing boundary was seen, or PHP would read no further.
    closed: bool,
    fields: usize,
    files: usize,
    total: usize,
    anonymous: usize,
}

/// The boundary of a content type. `None`: there is none, or it is malformed.
pub(crate) fn boundary(content_type: &[u8]) -> Option<Vec<u8>> {
    let lower = content_type.to_ascii_lowercase();
    let at = memmem::find(&lower, b"boundary")?;
    let rest = &content_type[at..];
    let rest = &rest[rest.iter().position(|byte| *byte == b'=')? + 1..];
    let boundary = match rest.strip_prefix(b"\"") {
        Some(quoted) => &quoted[..quoted.iter().position(|byte| *byte == b'"')?],
        None => &rest[..rest.iter().position(|byte| matches!(byte, b',' | b';')).unwrap_or(rest.len())],
    };
    (boundary.len() <= BOUNDARY).then(|| boundary.to_vec())
}

impl Parser {
    pub(crate) fn new(boundary: &[u8], limits: Limits) -> Self {
        let line = [b"--", boundary].concat();
        let next = memmem::Finder::new(&[b"\n", &line[..]].concat()).into_owned();
        Self {
            line,
            next,
            buffer: BytesMut::new(),
            state: State::Between,
            limits,
            ended: false,
            closed: false,
            fields: 0,
            files: 0,
            total: 0,
            anonymous: 0,
        }
    }

    /// More of the body.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        if !matches!(self.state, State::Over) {
            self.buffer.extend_from_slice(bytes);
        }
    }

    /// The body is complete.
    pub(crate) fn end(&mut self) {
        self.ended = true;
    }

    /// Whether the form was closed; what was not was cut off.
    pub(crate) const fn is_closed(&self) -> bool {
        self.closed
    }

    /// What has become known. `None`: nothing until more is pushed, or after the end.
    ///
    /// # Errors
    /// The form is larger than the limits allow.
    pub(crate) fn event(&mut self) -> Result<Option<Event>, TooMuch> {
        loop {
            match std::mem::replace(&mut self.state, State::Over) {
                State::Over => {
                    self.buffer.clear();
                    return Ok(None);
                }
                State::Between => {
                    // Its line needs no end.
                    let last = self.ended && memchr::memchr(b'\n', &self.buffer).is_none();
                    self.closed |= last && self.closes(&self.buffer);
                    let Some(line) = self.line(false)? else {
                        self.state = if self.ended { State::Over } else { State::Between };
                        return Ok(None);
                    };
                    self.closed |= self.closes(&line);
                    self.state = if line == self.line {
                        State::Head { lines: Vec::new(), size: 0 }
                    } else {
                        State::Between
                    };
                }
                State::Head { mut lines, mut size } => {
                    let line = match self.line(true)? {
                        Some(line) => line,
                        // The body's end is the head's, too.
                        None if self.ended => Vec::new(),
                        None => {
                            self.state = State::Head { lines, size };
                            return Ok(None);
                        }
                    };
                    if !line.is_empty() {
                        size += line.len();
                        if size > HEAD {
                            return Err(TooMuch::Head);
                        }
                        add_line(&mut lines, &line);
                        self.state = State::Head { lines, size };
                        continue;
                    }
                    if let Some(event) = self.begin(&lines)? {
                        return Ok(Some(event));
                    }
                }
                State::Field { name, mut value } => {
                    let (piece, done) = self.piece();
                    value.extend_from_slice(&piece);
                    if value.len() > self.limits.field {
                        return Err(TooMuch::Field);
                    }
                    if !done {
                        self.state = State::Field { name, value };
                        return Ok(None);
                    }
                    self.total += name.len() + value.len();
                    if self.total > self.limits.total {
                        return Err(TooMuch::Total);
                    }
                    self.state = State::Between;
                    return Ok(Some(Event::Field { name, value }));
                }
                State::File { wanted } => {
                    let (piece, done) = self.piece();
                    if !piece.is_empty() {
                        // Its end, if this is it, is found again.
                        self.state = State::File { wanted };
                        if wanted {
                            return Ok(Some(Event::Data(piece)));
                        }
                        continue;
                    }
                    if !done {
                        self.state = State::File { wanted };
                        return Ok(None);
                    }
                    let whole = !self.buffer.is_empty();
                    self.state = State::Between;
                    if wanted {
                        return Ok(Some(Event::End { whole }));
                    }
                }
            }
        }
    }

    /// Whether a line is the closing boundary.
    fn closes(&self, line: &[u8]) -> bool {
        line.strip_prefix(&self.line[..]).is_some_and(|rest| rest.starts_with(b"--"))
    }

    /// A line without its end, as far as a NUL; `None`: it is not complete.
    fn line(&mut self, bounded: bool) -> Result<Option<Vec<u8>>, TooMuch> {
        let end = match memchr::memchr(b'\n', &self.buffer) {
            Some(end) => end,
            None if self.buffer.len() > LINE && bounded => return Err(TooMuch::Head),
            // What the body's end cuts off is no line.
            None if self.ended => {
                self.buffer.clear();
                return Ok(None);
            }
            None => {
                // Before the first boundary and behind the last one anything may stand.
                if self.buffer.len() > LINE {
                    self.buffer.advance(self.buffer.len() - self.line.len() - 2);
                }
                return Ok(None);
            }
        };
        let line = self.buffer.split_to(end);
        self.buffer.advance(1);
        let line = line.strip_suffix(b"\r").unwrap_or(&line);
        let line = &line[..memchr::memchr(0, line).unwrap_or(line.len())];
        if bounded && line.len() > LINE {
            return Err(TooMuch::Head);
        }
        Ok(Some(line.to_vec()))
    }

    /// What is known to belong to the part, and whether that is all. What follows stays in the buffer.
    fn piece(&mut self) -> (BytesMut, bool) {
        let (length, done) = match self.next.find(&self.buffer) {
            Some(0) => (0, true),
            Some(at) if self.buffer[at - 1] == b'\r' => (at - 1, true),
            Some(at) => (at, true),
            None if self.ended => (self.buffer.len(), true),
            // A `\r` before the boundary is not the part's.
            None => (self.buffer.len().saturating_sub(self.line.len() + 1), false),
        };
        (self.buffer.split_to(length), done)
    }

    /// A part's head is complete.
    fn begin(&mut self, lines: &[(Vec<u8>, Vec<u8>)]) -> Result<Option<Event>, TooMuch> {
        let header = |wanted: &str| {
            lines
                .iter()
                .find(|(name, _)| name.eq_ignore_ascii_case(wanted.as_bytes()))
                .map(|(_, value)| value)
        };
        let Some(disposition) = header("content-disposition") else {
            // PHP reads the part's body as lines between boundaries.
            self.state = State::Between;
            return Ok(None);
        };
        let (name, file_name) = parameters(disposition);
        let name_length = name.as_ref().map_or(0, Vec::len);
        match (name, file_name) {
            // What it is nobody can say; PHP stops here.
            (None, None) => {
                self.state = State::Over;
                self.closed = true;
                Ok(Some(Event::Garbled))
            }
            (Some(name), None) => {
                self.fields += 1;
                if self.fields > self.limits.fields {
                    return Err(TooMuch::Fields);
                }
                self.state = State::Field { name, value: Vec::new() };
                Ok(None)
            }
            (name, Some(file_name)) => {
                self.files += 1;
                if self.files > self.limits.files {
                    return Err(TooMuch::Files);
                }
                self.total += name_length + file_name.len();
                if self.total > self.limits.total {
                    return Err(TooMuch::Total);
                }
                let name = name.unwrap_or_else(|| {
                    self.anonymous += 1;
                    (self.anonymous - 1).to_string().into_bytes()
                });
                let wanted = closed(&name);
                self.state = State::File { wanted };
                if !wanted {
                    return Ok(None);
                }
                let mime = header("content-type").map(Vec::as_slice).unwrap_or_default();
                let mime = mime.split(|byte| *byte == b';').next().unwrap_or_default().to_vec();
                Ok(Some(Event::File { name, file_name, mime }))
            }
        }
    }
}

/// A line of a part's head: a header, or more of the one before.
fn add_line(lines: &mut Vec<(Vec<u8>, Vec<u8>)>, line: &[u8]) {
    let colon = line.iter().position(|byte| *byte == b':').filter(|_| !is_space(line[0]));
    match (colon, lines.last_mut()) {
        (Some(colon), _) => {
            let value = line[colon + 1..].iter().skip_while(|byte| is_space(**byte)).copied().collect();
            lines.push((line[..colon].to_vec(), value));
        }
        (None, Some((_, value))) => value.extend_from_slice(line),
        (None, None) => {}
    }
}

const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | 0x0b | 0x0c | b'\r')
}

/// `name` and `filename` of a disposition; of several the last.
fn parameters(disposition: &[u8]) -> (Option<Vec<u8>>, Option<Vec<u8>>) {
    let (mut name, mut file_name) = (None, None);
    let mut rest = disposition;
    while !rest.is_empty() {
        while rest.first().is_some_and(|byte| is_space(*byte)) {
            rest = &rest[1..];
        }
        let pair = word(&mut rest, b';');
        let mut value = pair;
        if !pair.contains(&b'=') {
            continue;
        }
        let key = word(&mut value, b'=');
        if key.eq_ignore_ascii_case(b"name") {
            name = Some(unquoted(value));
        } else if key.eq_ignore_ascii_case(b"filename") {
            file_name = Some(unquoted(value));
        }
    }
    (name, file_name)
}

/// What stands before `stop` outside of quotes; goes past all that follow each other.
fn word<'a>(rest: &mut &'a [u8], stop: u8) -> &'a [u8] {
    let text = *rest;
    let mut at = 0;
    while let Some(&byte) = text.get(at).filter(|byte| **byte != stop) {
        at += 1;
        if byte == b'"' || byte == b'\'' {
            while let Some(&inner) = text.get(at).filter(|inner| **inner != byte) {
                at += if inner == b'\\' && text.get(at + 1) == Some(&byte) { 2 } else { 1 };
            }
            at = (at + 1).min(text.len());
        }
    }
    let end = at.min(text.len());
    let mut next = end;
    while text.get(next) == Some(&stop) {
        next += 1;
    }
    *rest = &text[next..];
    &text[..end]
}

/// A value without its quotes and escapes.
fn unquoted(text: &[u8]) -> Vec<u8> {
    let start = text.iter().position(|byte| !is_space(*byte)).unwrap_or(text.len());
    let text = &text[start..];
    let quote = text.first().copied().filter(|byte| matches!(byte, b'"' | b'\''));
    let text = match quote {
        Some(_) => &text[1..],
        None => &text[..text.iter().position(|byte| is_space(*byte)).unwrap_or(text.len())],
    };
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        let next = bytes.peek().copied();
        if byte == b'\\' && (next == Some(b'\\') || next.is_some() && next == quote) {
            out.extend(bytes.next());
        } else if Some(byte) == quote {
            break;
        } else {
            out.push(byte);
        }
    }
    out
}

/// Whether the brackets of a file's name are those of an array.
fn closed(name: &[u8]) -> bool {
    let mut open = 0_i32;
    for (index, byte) in name.iter().enumerate() {
        match byte {
            b'[' => open += 1,
            b']' => {
                open -= 1;
                if name.get(index + 1).is_some_and(|next| *next != b'[') {
                    return false;
                }
            }
            _ => {}
        }
        if open < 0 {
            return false;
        }
    }
    open == 0
}

/// Feeds arbitrary bytes to the parser: the first says in which pieces the rest comes. However it is cut, the form is
/// the same.
pub fn fuzz(data: &[u8]) {
    let Some((&cut, data)) = data.split_first() else { return };
    let limits = Limits { fields: 20, files: 20, field: 4096, total: 16 * 1024 };
    let parse = |step: usize| {
        let mut parser = Parser::new(b"b", limits);
        let mut seen: Vec<Event> = Vec::new();
        let mut drain = |parser: &mut Parser| loop {
            match parser.event() {
                Ok(None) => return Ok(()),
                Err(error) => return Err(error),
                Ok(Some(Event::Data(more))) => match seen.last_mut() {
                    Some(Event::Data(data)) => data.extend_from_slice(&more),
                    _ => seen.push(Event::Data(more)),
                },
                Ok(Some(event)) => seen.push(event),
            }
        };
        for piece in data.chunks(step) {
            parser.push(piece);
            drain(&mut parser)?;
        }
        parser.end();
        drain(&mut parser)?;
        Ok::<_, TooMuch>(seen)
    };
    let (whole, pieces) = (parse(data.len().max(1)), parse(usize::from(cut).max(1)));
    // Where a limit is met depends on what had come by then.
    if let (Ok(whole), Ok(pieces)) = (whole, pieces) {
        assert_eq!(whole, pieces);
    }
}

#[cfg(test)]
mod tests;
