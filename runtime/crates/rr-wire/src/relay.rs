//! What a command worker speaks over its relay (rows FR-10…14, WRK-02…08): frames of the goridge protocol without the
//! unit's number, which the pool's own frames have. Nothing here reads or writes; a pipe, a socket and a worker that has
//! its relay in shared memory use the same.

use crate::frame::{Bits, Flags, FrameError, Header, MAX_HEADER, PREFIX};

/// Longest context of a reply: the head of a response. The same bound as the head of a request.
pub const MAX_CONTEXT: usize = 16 << 20;
/// Bytes of an error's text that are kept; what follows is read and dropped.
pub const MAX_ERROR: usize = 64 << 10;
/// Bytes of a control frame.
const MAX_CONTROL: usize = 4 << 10;
/// Bytes that are shown of what is no frame.
const MAX_STRAY: usize = 1 << 10;
/// Bytes of a reply that are handed on together; a longer frame comes in several pieces.
pub const PIECE: usize = 256 << 10;
/// WRK-06, WRK-10: in a worker's context it asks to be replaced, in a control frame it is told to leave.
pub const STOP: &[u8] = br#"{"stop":true}"#;
/// How PHP begins when it cannot find the script (FR-11).
const NOT_OPENED: &[u8] = b"Could not op";

/// What a worker says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// Its answer to the first control frame.
    Hello {
        /// The process it says it is.
        pid: u32,
    },
    /// A reply, or a piece of one.
    Reply {
        /// How the context is encoded; none in replies of older clients.
        codec: Flags,
        /// The context; empty in later pieces of a frame.
        context: Vec<u8>,
        /// The body, or a piece of it.
        body: Vec<u8>,
        /// More of the same reply follows, in this frame or in others.
        more: bool,
        /// The frame has ended and its sender waits for a PONG.
        ping: bool,
        /// More of it follows in other frames: the sender knows streams, and may be told to stop.
        stream: bool,
    },
    /// WRK-05: the app says that it failed.
    Error(String),
    /// WRK-06: the worker wants to be replaced. Where it was given a unit it has not touched it.
    Replace,
}

/// Why bytes are not what a worker may say.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RelayError {
    /// Not a frame: something has written to the relay that is none of its business. See [`Decoder::stray`].
    #[error("{0}")]
    NotAFrame(#[from] FrameError),
    /// FR-10.
    #[error("options length should be equal 1 (body offset), got {0}")]
    Options(usize),
    /// FR-10.
    #[error("bad payload: a context of {context} bytes in a payload of {payload}")]
    Context {
        /// Bytes of the context, as the frame says.
        context: usize,
        /// Bytes of the payload.
        payload: usize,
    },
    /// More than [`MAX_CONTEXT`].
    #[error("a reply with a context of {0} bytes; {MAX_CONTEXT} are taken")]
    LongContext(usize),
    /// WRK-02.
    #[error("unexpected response, header is missing, no CONTROL flag")]
    NoHello,
    /// WRK-02.
    #[error("pid should be greater than 0")]
    Pid,
    /// A control frame that means nothing.
    #[error("a control frame that says {0:?}")]
    Control(String),
}

/// From the bytes of a worker to what it says.
#[derive(Debug, Default)]
pub struct Decoder {
    buffer: Vec<u8>,
    /// Bytes of the buffer that have been read.
    read: usize,
    greeted: bool,
    frame: Option<Open>,
    /// Bytes of a text that is too long, which are not looked at.
    skip: usize,
}

/// A frame whose end has not come.
#[derive(Debug, Clone, Copy)]
struct Open {
    header: Header,
    /// Bytes of the payload that have not come.
    left: usize,
}

impl Decoder {
    /// Takes bytes. What is taken waits in memory, so whoever pushes asks [`Decoder::next`] until there is nothing.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.read > 0 {
            self.buffer.drain(..self.read);
            self.read = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// Whether the bytes end inside a frame.
    #[must_use]
    pub fn is_inside(&self) -> bool {
        self.frame.is_some() || self.skip > 0 || self.available() > 0
    }

    /// What came instead of a frame, as a text for the log (FR-11). `None`: nothing did.
    #[must_use]
    pub fn stray(&self) -> Option<String> {
        stray(&self.buffer[self.read..])
    }

    /// Drops what came instead of a frame, where what follows it may be one again.
    pub fn forget(&mut self) {
        self.buffer.clear();
        self.read = 0;
        self.frame = None;
    }

    /// The next thing that is said; `None` until more bytes come.
    ///
    /// # Errors
    /// The bytes are not what a worker may say. Nothing can follow.
    #[allow(clippy::should_implement_trait, reason = "it fails, and None is not its end")]
    pub fn next(&mut self) -> Result<Option<Said>, RelayError> {
        let skipped = self.skip.min(self.available());
        self.skip -= skipped;
        self.read += skipped;
        let open = match self.frame {
            Some(open) => open,
            None => match self.begin()? {
                Some(open) => open,
                None => return Ok(None),
            },
        };
        let flags = open.header.flags;
        if flags.has(Flags::CONTROL) {
            return self.control(open);
        }
        if !self.greeted {
            return Err(RelayError::NoHello);
        }
        if flags.has(Flags::ERROR) { Ok(self.error(open)) } else { self.reply(open) }
    }

    /// Reads a header.
    fn begin(&mut self) -> Result<Option<Open>, RelayError> {
        let bytes = &self.buffer[self.read..];
        let (header, length) = match Header::parse(bytes) {
            Ok(parsed) => parsed,
            // What cannot become a frame is not waited for.
            Err(FrameError::Incomplete { .. }) if bytes.first().is_none_or(|first| first >> 4 == 1) => {
                return Ok(None);
            }
            Err(FrameError::Incomplete { .. }) => return Err(FrameError::Version(bytes[0] >> 4).into()),
            Err(error) => return Err(error.into()),
        };
        self.read += length;
        let open = Open { header, left: header.payload as usize };
        self.frame = Some(open);
        Ok(Some(open))
    }

    fn available(&self) -> usize {
        self.buffer.len() - self.read
    }

    fn take(&mut self, count: usize) -> Vec<u8> {
        let taken = self.buffer[self.read..self.read + count].to_vec();
        self.read += count;
        taken
    }

    fn control(&mut self, open: Open) -> Result<Option<Said>, RelayError> {
        if open.left > MAX_CONTROL {
            return Err(RelayError::Control(format!("{} bytes", open.left)));
        }
        if self.available() < open.left {
            return Ok(None);
        }
        let payload = self.take(open.left);
        self.frame = None;
        let pid = pid(&payload).ok_or_else(|| {
            RelayError::Control(String::from_utf8_lossy(&payload).chars().take(200).collect())
        })?;
        let pid = u32::try_from(pid).ok().filter(|pid| *pid > 0).ok_or(RelayError::Pid)?;
        self.greeted = true;
        Ok(Some(Said::Hello { pid }))
    }

    fn error(&mut self, open: Open) -> Option<Said> {
        let wanted = open.left.min(MAX_ERROR);
        if self.available() < wanted {
            return None;
        }
        let kept = self.take(wanted);
        self.frame = None;
        self.skip = open.left - wanted;
        Some(Said::Error(String::from_utf8_lossy(&kept).into_owned()))
    }

    fn reply(&mut self, mut open: Open) -> Result<Option<Said>, RelayError> {
        let header = open.header;
        let payload = header.payload as usize;
        let &[context] = header.options() else {
            return Err(RelayError::Options(header.options().len()));
        };
        let context = context as usize;
        if context > payload {
            return Err(RelayError::Context { context, payload });
        }
        if context > MAX_CONTEXT {
            return Err(RelayError::LongContext(context));
        }
        let first = open.left == payload;
        let head = if first { context } else { 0 };
        let wanted = open.left.min(head + PIECE);
        if self.available() < wanted {
            return Ok(None);
        }
        let head = self.take(head);
        let body = self.take(wanted - head.len());
        open.left -= wanted;
        let ended = open.left == 0;
        self.frame = (!ended).then_some(open);
        let stream = header.bits.has(Bits::STREAM);
        if first && ended && body.is_empty() && head == STOP && !stream {
            return Ok(Some(Said::Replace));
        }
        Ok(Some(Said::Reply {
            codec: header.flags,
            context: head,
            body,
            more: !ended || stream,
            ping: ended && header.bits.has(Bits::PING),
            stream,
        }))
    }
}

/// The pid in the answer to the first control frame.
fn pid(payload: &[u8]) -> Option<i64> {
    // One key with a number: no parser is needed, and any client writes it so.
    let text = std::str::from_utf8(payload).ok()?.trim();
    let inner = text.strip_prefix('{')?.strip_suffix('}')?.trim();
    let (key, value) = inner.split_once(':')?;
    (key.trim() == "\"pid\"").then(|| value.trim().trim_matches('"').parse().ok())?
}

/// FR-11: what was written to a relay that is no frame, as RoadRunner says it. `None`: nothing was.
#[must_use]
pub fn stray(bytes: &[u8]) -> Option<String> {
    if bytes.is_empty() {
        return None;
    }
    // Up to where a frame may follow it.
    let shown = |byte: &u8| *byte >= b' ' || byte.is_ascii_whitespace();
    let length = bytes.iter().take(MAX_STRAY).take_while(|byte| shown(byte)).count();
    let text = String::from_utf8_lossy(&bytes[..length]);
    let text = match text.trim() {
        "" => format!("{:?}", String::from_utf8_lossy(&bytes[..bytes.len().min(16)])),
        text => text.to_owned(),
    };
    Some(if bytes.starts_with(NOT_OPENED) {
        text
    } else {
        format!(
            "validation failed on the message sent to STDOUT, see: \
             https://docs.roadrunner.dev/error-codes/stdout-crc, invalid message: {text}"
        )
    })
}

fn frame(header: Header, payload: &[u8]) -> Vec<u8> {
    let mut bytes = [0; MAX_HEADER];
    let length = header.encode(&mut bytes);
    [&bytes[..length], payload].concat()
}

/// WRK-02: the server's part of the handshake.
#[must_use]
pub fn hello(pid: u32) -> Vec<u8> {
    control(format!("{{\"pid\":{pid}}}").as_bytes())
}

/// WRK-10: has a worker leave.
#[must_use]
pub fn stop() -> Vec<u8> {
    control(STOP)
}

fn control(payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    frame(Header::new(Flags::CONTROL.with(Flags::JSON), Bits::default(), &[], length), payload)
}

/// WRK-07: the answer to a PING.
#[must_use]
pub fn pong() -> [u8; PREFIX] {
    bare(Bits::PONG)
}

/// WRK-08: nobody reads the stream any more.
#[must_use]
pub fn cancel() -> [u8; PREFIX] {
    bare(Bits::STOP)
}

fn bare(bits: Bits) -> [u8; PREFIX] {
    let mut bytes = [0; MAX_HEADER];
    Header::new(Flags::default(), bits, &[], 0).encode(&mut bytes);
    let mut prefix = [0; PREFIX];
    prefix.copy_from_slice(&bytes[..PREFIX]);
    prefix
}

/// The header of a unit whose context and body have so many bytes together (FR-10); the bytes follow it. `None`: more
/// than a frame can hold.
#[must_use]
pub fn unit(codec: Flags, context: usize, payload: u64) -> Option<([u8; MAX_HEADER], usize)> {
    let mut bytes = [0; MAX_HEADER];
    let (context, payload) = (u32::try_from(context).ok()?, u32::try_from(payload).ok()?);
    let length = Header::new(codec, Bits::default(), &[context], payload).encode(&mut bytes);
    Some((bytes, length))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn said(bytes: &[u8], chunk: usize) -> Result<Vec<Said>, RelayError> {
        let mut decoder = Decoder::default();
        let mut all = Vec::new();
        for part in bytes.chunks(chunk.max(1)) {
            decoder.push(part);
            while let Some(said) = decoder.next()? {
                all.push(said);
            }
        }
        Ok(all)
    }

    fn greeting() -> Vec<u8> {
        frame(Header::new(Flags::CONTROL, Bits::default(), &[], 12), br#"{"pid":3411}"#)
    }

    fn reply(bits: Bits, context: &[u8], body: &[u8]) -> Vec<u8> {
        let payload = [context, body].concat();
        let length = u32::try_from(payload.len()).expect("short");
        let header = Header::new(Flags::JSON, bits, &[u32::try_from(context.len()).expect("short")], length);
        frame(header, &payload)
    }

    /// The golden vectors of section 2.1.
    #[test]
    fn fr_frames_of_the_server_are_those_seen_on_the_wire() {
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        assert_eq!(hex(&hello(1234)), "13090c0000005f0c467300007b22706964223a313233347d");
        assert_eq!(hex(&stop()), "13090d0000003a6bfacb00007b2273746f70223a747275657d");
        assert_eq!(hex(&pong()), "13000000000096d180340800");
        assert_eq!(hex(&cancel()), "13000000000096d180340200");
    }

    #[test]
    fn wrk_02_a_worker_greets_before_it_answers() {
        assert_eq!(said(&greeting(), 1), Ok(vec![Said::Hello { pid: 3411 }]));
        assert_eq!(said(&reply(Bits::default(), b"{}", b""), 99), Err(RelayError::NoHello));
        for wrong in ["0", "-1", "99999999999"] {
            let payload = format!("{{\"pid\":{wrong}}}");
            let header = Header::new(
                Flags::CONTROL,
                Bits::default(),
                &[],
                u32::try_from(payload.len()).expect("short"),
            );
            assert_eq!(said(&frame(header, payload.as_bytes()), 99), Err(RelayError::Pid), "{wrong}");
        }
    }

    #[test]
    fn wrk_06_a_worker_asks_to_be_replaced() {
        let bytes = [greeting(), reply(Bits::default(), STOP, b"")].concat();
        assert_eq!(said(&bytes, 7).expect("sound")[1], Said::Replace);
        // With a body it is a context like others.
        let bytes = [greeting(), reply(Bits::default(), STOP, b"x")].concat();
        assert!(matches!(said(&bytes, 7).expect("sound")[1], Said::Reply { .. }));
    }

    #[test]
    fn wrk_07_streams_and_pings_are_told() {
        let bits = Bits::STREAM.with(Bits::PING);
        let bytes = [greeting(), reply(bits, b"{}", b"one"), reply(Bits::default(), b"", b"")].concat();
        let all = said(&bytes, 1000).expect("sound");
        let Said::Reply { more: true, ping: true, stream: true, .. } = &all[1] else { panic!("{all:?}") };
        let Said::Reply { more: false, ping: false, stream: false, .. } = &all[2] else { panic!("{all:?}") };
    }

    #[test]
    fn wrk_05_an_error_is_a_text() {
        let bytes = [
            greeting(),
            frame(Header::new(Flags::ERROR, Bits::default(), &[], 4), b"boom"),
            reply(Bits::default(), b"{}", b"after"),
        ]
        .concat();
        let all = said(&bytes, 3).expect("sound");
        assert_eq!(all[1], Said::Error("boom".to_owned()));
        assert!(matches!(&all[2], Said::Reply { body, .. } if body == b"after"));
        // A text of any length is bounded, and what follows it is read.
        let long = vec![b'x'; 3 * MAX_ERROR + 5];
        let length = u32::try_from(long.len()).expect("short");
        let bytes = [
            greeting(),
            frame(Header::new(Flags::ERROR, Bits::default(), &[], length), &long),
            reply(Bits::default(), b"{}", b"after"),
        ]
        .concat();
        let all = said(&bytes, 4096).expect("sound");
        assert!(matches!(&all[1], Said::Error(text) if text.len() == MAX_ERROR));
        assert!(matches!(&all[2], Said::Reply { body, .. } if body == b"after"));
        assert_eq!(all.len(), 3);
    }

    #[test]
    fn fr_10_lengths_that_do_not_fit_are_errors() {
        let with = |options: &[u32]| frame(Header::new(Flags::RAW, Bits::default(), options, 1), b"x");
        let after = |bytes: Vec<u8>| said(&[greeting(), bytes].concat(), 99);
        assert_eq!(after(with(&[])), Err(RelayError::Options(0)));
        assert_eq!(after(with(&[1, 1])), Err(RelayError::Options(2)));
        assert_eq!(after(with(&[2])), Err(RelayError::Context { context: 2, payload: 1 }));
        let huge = frame(Header::new(Flags::RAW, Bits::default(), &[u32::MAX], u32::MAX), b"");
        assert_eq!(after(huge), Err(RelayError::LongContext(u32::MAX as usize)));
    }

    #[test]
    fn fr_13_four_gigabytes_that_are_promised_take_no_memory() {
        let mut decoder = Decoder::default();
        decoder.push(&greeting());
        assert!(decoder.next().expect("sound").is_some());
        decoder.push(&frame(Header::new(Flags::RAW, Bits::default(), &[2], u32::MAX), b"{}"));
        assert_eq!(decoder.next(), Ok(None));
        assert!(decoder.buffer.capacity() < 4096);
        let piece = vec![7; PIECE];
        decoder.push(&piece);
        let said = decoder.next().expect("sound").expect("a piece");
        let Said::Reply { context, body, more: true, .. } = said else { panic!("{said:?}") };
        assert_eq!((context.as_slice(), body.len()), (&b"{}"[..], PIECE));
        assert_eq!(decoder.next(), Ok(None));
    }

    #[test]
    fn fr_11_what_is_no_frame_is_shown() {
        let mut decoder = Decoder::default();
        decoder.push(b"PHP Fatal error: oh no");
        assert!(matches!(decoder.next(), Err(RelayError::NotAFrame(_))));
        let text = decoder.stray().expect("stray");
        assert!(
            text.starts_with("validation failed on the message sent to STDOUT") && text.ends_with("oh no")
        );
        assert_eq!(
            stray(b"Could not open input file: x.php\n").as_deref(),
            Some("Could not open input file: x.php")
        );
        // A single wrong byte is enough: PHP may be writing "\n" and wait.
        let mut decoder = Decoder::default();
        decoder.push(b"\n");
        assert!(decoder.next().is_err());
    }

    proptest! {
        #[test]
        fn replies_survive_any_cut(
            context in proptest::collection::vec(any::<u8>(), 0..50),
            body in proptest::collection::vec(any::<u8>(), 0..2000), chunk in 1_usize..500,
        ) {
            let bytes = [greeting(), reply(Bits::default(), &context, &body)].concat();
            let all = said(&bytes, chunk).expect("sound");
            prop_assert_eq!(all.len(), 2);
            if let Said::Reply { context: head, body: rest, more, .. } = &all[1] {
                prop_assert_eq!((head, rest, *more), (&context, &body, false));
            } else {
                prop_assert_eq!(&context[..], STOP);
            }
        }

        #[test]
        fn long_bodies_come_whole(extra in 0_usize..3, odd in 0_usize..100, chunk in 1000_usize..100_000) {
            let body: Vec<u8> = (0..extra * PIECE + odd).map(|at| (at % 251) as u8).collect();
            let bytes = [greeting(), reply(Bits::default(), b"{}", &body)].concat();
            let all = said(&bytes, chunk).expect("sound");
            let mut whole = Vec::new();
            for (index, said) in all[1..].iter().enumerate() {
                let Said::Reply { context, body, more, .. } = said else { panic!("{said:?}") };
                prop_assert_eq!(context.is_empty(), index > 0);
                prop_assert_eq!(*more, index + 2 < all.len());
                whole.extend_from_slice(body);
            }
            prop_assert_eq!(whole, body);
        }

        #[test]
        fn any_bytes_are_taken_or_refused(data in proptest::collection::vec(any::<u8>(), 0..300), chunk in 1_usize..40) {
            let _ = said(&data, chunk);
            let _ = said(&[greeting(), data].concat(), chunk);
        }
    }
}
