//! The worker's end of its channel, blocking: one unit of work at a time, its body and reply in frames, calls to
//! the master in between. No Tokio, no threads, no PHP.
#![forbid(unsafe_code)]

mod locks;
mod logging;
mod metrics;
mod port;

pub use locks::Lock;
pub use metrics::Meter;
pub use port::{Port, PortError};
pub use rr_shm::cells::Cells;
pub use rr_shm::table;

use rr_shm::Corrupt;
use rr_shm::frames::Frame;
use rr_shm::segment::{self, Lane, NOBODY, WorkerEnd};
use rr_shm::shard::Bell;
use rr_shm::sleep::{DATA, SPACE};
use rr_wire::relay::STOP;
use rr_wire::rpc::{Call, MAX_BODY, ONE_WAY};
use rr_wire::{Bits, Flags, Header};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

/// What a session needs to know about its channel; from the spawn message.
#[derive(Debug)]
pub struct Parts {
    /// The segment.
    pub segment: OwnedFd,
    /// The shard page.
    pub shard: OwnedFd,
    /// The shard's doorbell.
    pub doorbell: OwnedFd,
    /// The worker's bit in the shard page.
    pub slot: usize,
    /// Bytes of a work ring.
    pub ring: usize,
    /// How long to look for the next unit before sleeping; zero: not at all.
    pub spin: Duration,
}

/// Why the worker cannot go on. All but `Cancelled` and `Refused` mean that it has to end.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// Mapping the channel failed.
    #[error("the worker cannot reach its channel: {0}")]
    Attach(#[from] std::io::Error),
    /// The channel is broken.
    #[error("the worker's channel is broken: {0}")]
    Corrupt(#[from] Corrupt),
    /// A frame that makes no sense here.
    #[error("unexpected frame from the master: {0}")]
    Unexpected(String),
    /// The client has gone away; nobody reads what is written.
    #[error("the client has gone away")]
    Cancelled,
    /// There is no unit of work, or it has been answered.
    #[error("there is no request to answer")]
    NoUnit,
    /// The master answered a call with an error.
    #[error("{0}")]
    Refused(String),
    /// A call or context that does not fit a frame.
    #[error("{what} of {size} bytes does not fit the channel, which takes {limit}")]
    TooLarge {
        /// What.
        what: &'static str,
        /// Its size.
        size: usize,
        /// The limit.
        limit: usize,
    },
}

/// What there is to do.
#[derive(Debug)]
pub enum Event {
    /// A unit of work; it must be answered with a final reply.
    Unit(Unit),
    /// Finish.
    Stop,
}

/// A unit of work.
#[derive(Debug)]
pub struct Unit {
    /// Its number.
    pub sequence: u32,
    /// Context, then the first part of the body.
    pub payload: Vec<u8>,
    /// Bytes of the context.
    pub context: usize,
    /// More of the body follows.
    pub more: bool,
    /// How the context is encoded: `RAW` for native workers.
    pub codec: Flags,
    /// Bytes of the whole body, where a command worker gets it in parts.
    pub length: Option<u32>,
}

#[derive(Debug)]
struct Current {
    sequence: u32,
    body_follows: bool,
    answered: bool,
    began: Instant,
}

/// The worker's end.
#[derive(Debug)]
pub struct Session {
    end: WorkerEnd,
    bell: Bell,
    spin: Spin,
    current: Option<Current>,
    next_call: u32,
    locks: locks::Keeper,
}

/// Looking for the next unit before sleeping, for as long as that pays: after a few looks in vain the worker sleeps
/// at once for a while, so that a quiet server burns nothing.
#[derive(Debug)]
struct Spin {
    limit: Duration,
    /// Looks in vain, one after the other.
    misses: u32,
    /// Sleeps until the next try.
    pause: u32,
}

impl Spin {
    const MISSES: u32 = 4;
    const PAUSE: u32 = 64;

    fn is_due(&mut self) -> bool {
        if self.limit.is_zero() {
            return false;
        }
        if self.misses >= Self::MISSES {
            self.misses = 0;
            self.pause = Self::PAUSE;
        }
        self.pause = self.pause.saturating_sub(1);
        self.pause == 0
    }

    fn ended(&mut self, found: bool) {
        self.misses = if found { 0 } else { self.misses + 1 };
    }
}

impl Session {
    /// Maps the channel.
    ///
    /// # Errors
    /// The memory cannot be mapped.
    pub fn attach(parts: Parts) -> Result<Self, SessionError> {
        let end = segment::attach(&parts.segment, parts.ring)?;
        let bell = Bell::attach(&parts.shard.as_fd(), parts.doorbell, parts.slot)?;
        let spin = Spin { limit: parts.spin, misses: 0, pause: 0 };
        let locks = locks::Keeper::new(end.leases())?;
        Ok(Self { end, bell, spin, current: None, next_call: ONE_WAY, locks })
    }

    /// Says that the worker is ready (WRK-02).
    ///
    /// # Errors
    /// The channel is broken.
    pub fn hello(&mut self, pid: u32) -> Result<(), SessionError> {
        let text = format!("{{\"pid\":{pid}}}");
        self.push(Lane::Work, Header::new(Flags::CONTROL, Bits::default(), &[], 0), [text.as_bytes(), b""])
    }

    /// The number of the unit that runs, or has just been answered; 0 before the first.
    #[must_use]
    pub fn unit(&self) -> u32 {
        self.current.as_ref().map_or(0, |current| current.sequence)
    }

    /// Whether there is a unit that has not been answered.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.open().is_some()
    }

    fn open(&self) -> Option<&Current> {
        self.current.as_ref().filter(|current| !current.answered)
    }

    /// Whether the running unit's client has gone away.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.current.as_ref().is_some_and(|current| self.end.is_cancelled(current.sequence))
    }

    /// Whether more of the running unit's body is to be read.
    #[must_use]
    pub fn body_follows(&self) -> bool {
        self.open().is_some_and(|current| current.body_follows)
    }

    /// Waits for the next unit of work.
    ///
    /// # Errors
    /// The channel is broken, or the master sent nonsense.
    pub fn receive(&mut self) -> Result<Event, SessionError> {
        self.current = None;
        loop {
            if let Some(event) = self.poll()? {
                return Ok(event);
            }
            self.idle(Lane::Work)?;
        }
    }

    /// What there is to do, if there is something now.
    ///
    /// # Errors
    /// As [`Session::receive`].
    pub fn poll(&mut self) -> Result<Option<Event>, SessionError> {
        while let Some(frame) = self.next(Lane::Work)? {
            if frame.header.flags.has(Flags::CONTROL) {
                return match &frame.payload[..] {
                    STOP => Ok(Some(Event::Stop)),
                    other => Err(SessionError::Unexpected(String::from_utf8_lossy(other).into_owned())),
                };
            }
            let (context, sequence) = work_options(&frame)?;
            // Bodies of units that are over, and units that the master has given to another worker.
            if context == 0 || !self.end.start(sequence) {
                continue;
            }
            let more = frame.header.bits.has(Bits::STREAM);
            self.current =
                Some(Current { sequence, body_follows: more, answered: false, began: Instant::now() });
            let (codec, length) = (frame.header.flags, frame.header.options().get(2).copied());
            let unit = Unit { sequence, payload: frame.payload, context, more, codec, length };
            return Ok(Some(Event::Unit(unit)));
        }
        Ok(None)
    }

    /// The next piece of the running unit's body; `None` at its end.
    ///
    /// # Errors
    /// `Cancelled` when the client goes away before more of it has come, `NoUnit`, or a broken channel.
    pub fn read_body(&mut self) -> Result<Option<Vec<u8>>, SessionError> {
        loop {
            let current = self.open().ok_or(SessionError::NoUnit)?;
            let sequence = current.sequence;
            if !current.body_follows {
                return Ok(None);
            }
            let frame = match self.next(Lane::Work)? {
                Some(frame) => frame,
                None if self.end.is_cancelled(sequence) => {
                    // What was sent before it was said counts.
                    self.next(Lane::Work)?.ok_or(SessionError::Cancelled)?
                }
                None => {
                    self.end.wait(Lane::Work, DATA, 0, sequence)?;
                    continue;
                }
            };
            if frame.header.flags.has(Flags::CONTROL) {
                return Err(SessionError::Unexpected("a control frame inside a request body".to_owned()));
            }
            let (context, owner) = work_options(&frame)?;
            if context != 0 {
                return Err(SessionError::Unexpected("a request inside the body of another".to_owned()));
            }
            if owner != sequence {
                continue;
            }
            let bits = frame.header.bits;
            if let Some(current) = &mut self.current {
                current.body_follows = bits.has(Bits::STREAM);
            }
            if bits.has(Bits::STOP) {
                return Err(SessionError::Cancelled);
            }
            if !frame.payload.is_empty() {
                return Ok(Some(frame.payload));
            }
        }
    }

    /// Answers the running unit. `context` may be empty on later frames of a stream; with `more` others follow.
    /// A body of any length is sent in pieces, waiting for room as needed.
    ///
    /// # Errors
    /// `Cancelled` when nobody reads; the unit must still be ended with [`Session::end_cancelled`].
    pub fn reply(&mut self, context: &[u8], body: &[u8], more: bool) -> Result<(), SessionError> {
        self.reply_in(Flags::RAW, context, body, more)
    }

    /// The same with a context in another encoding than that of native workers.
    ///
    /// # Errors
    /// As above.
    pub fn reply_in(
        &mut self,
        codec: Flags,
        context: &[u8],
        body: &[u8],
        more: bool,
    ) -> Result<(), SessionError> {
        let (limit, piece) = (self.end.max_payload(Lane::Work), self.end.piece(Lane::Work));
        if context.len() > limit {
            return Err(SessionError::TooLarge { what: "a response head", size: context.len(), limit });
        }
        if context.len() + body.len() <= limit {
            return self.reply_frame(codec, context, body, more);
        }
        let (first, mut rest) = body.split_at(piece.saturating_sub(context.len()));
        self.reply_frame(codec, context, first, true)?;
        while rest.len() > piece {
            let (next, left) = rest.split_at(piece);
            self.reply_frame(codec, b"", next, true)?;
            rest = left;
        }
        self.reply_frame(codec, b"", rest, more)
    }

    /// WRK-06: asks to be replaced; the running unit, of which nothing was answered, gets another worker.
    ///
    /// # Errors
    /// The channel is broken.
    pub fn give_back(&mut self) -> Result<(), SessionError> {
        self.end_locks()?;
        self.answered();
        self.push(Lane::Work, Header::new(Flags::CONTROL, Bits::default(), &[], 0), [STOP, b""])
    }

    /// Ends the response while the unit goes on: its worker still has something to do. The unit must be ended with
    /// [`Session::end_cancelled`].
    ///
    /// # Errors
    /// As [`Session::reply`].
    pub fn finish(&mut self, context: &[u8], body: &[u8]) -> Result<(), SessionError> {
        let fits = context.len() + body.len() <= self.end.max_payload(Lane::Work);
        let (context, body) = if fits {
            (context, body)
        } else {
            self.reply(context, body, true)?;
            (&b""[..], &b""[..])
        };
        self.reply_bits(Flags::RAW, Bits::STREAM.with(Bits::STOP), context, body)
    }

    /// Answers the running unit with an error text (WRK-05): what the plugin makes of it is its business.
    ///
    /// # Errors
    /// As [`Session::reply`].
    pub fn fail(&mut self, text: &str) -> Result<(), SessionError> {
        let limit = self.end.piece(Lane::Work);
        let text = text.as_bytes().get(..limit).unwrap_or(text.as_bytes());
        self.reply_frame(Flags::ERROR, b"", text, false)
    }

    /// Ends a unit whose client has gone away; the master throws the frame away.
    ///
    /// # Errors
    /// The channel is broken.
    pub fn end_cancelled(&mut self) -> Result<(), SessionError> {
        let Some(sequence) = self.open().map(|current| current.sequence) else { return Ok(()) };
        self.end_locks()?;
        self.answered();
        let header = Header::new(Flags::RAW, Bits::default(), &[0, sequence, 0], 0);
        self.push(Lane::Work, header, [b"", b""])
    }

    fn reply_frame(
        &mut self,
        flags: Flags,
        context: &[u8],
        body: &[u8],
        more: bool,
    ) -> Result<(), SessionError> {
        self.reply_bits(flags, if more { Bits::STREAM } else { Bits::default() }, context, body)
    }

    fn reply_bits(
        &mut self,
        flags: Flags,
        bits: Bits,
        context: &[u8],
        body: &[u8],
    ) -> Result<(), SessionError> {
        let current = self.open().ok_or(SessionError::NoUnit)?;
        let more = bits.has(Bits::STREAM);
        let length = u32::try_from(context.len()).unwrap_or(u32::MAX);
        let micros = u32::try_from(current.began.elapsed().as_micros()).unwrap_or(u32::MAX);
        let header = Header::new(flags, bits, &[length, current.sequence, micros], 0);
        let sequence = current.sequence;
        // A slow stream never fills the ring: this is how it learns that nobody reads.
        if self.end.is_cancelled(sequence) {
            return Err(SessionError::Cancelled);
        }
        if !more {
            self.end_locks()?;
        }
        let needed = context.len() + body.len() + rr_wire::MAX_HEADER;
        while !self.end.send(Lane::Work, header, [context, body])? {
            if self.end.is_cancelled(sequence) {
                return Err(SessionError::Cancelled);
            }
            self.bell.ring();
            self.end.wait(Lane::Work, SPACE, needed, sequence)?;
        }
        self.bell.ring();
        if !more {
            self.answered();
        }
        Ok(())
    }

    fn answered(&mut self) {
        if let Some(current) = &mut self.current {
            current.answered = true;
        }
    }

    /// Calls a method of the master and waits for its result.
    ///
    /// # Errors
    /// `Refused` with the error text of the method, `TooLarge`, or a broken channel.
    pub fn call(&mut self, method: &str, body: &[u8]) -> Result<Vec<u8>, SessionError> {
        self.call_in(Flags::RAW, method, body)
    }

    /// The same with an argument and a result in another codec than the method's own.
    ///
    /// # Errors
    /// As above.
    pub fn call_in(&mut self, codec: Flags, method: &str, body: &[u8]) -> Result<Vec<u8>, SessionError> {
        self.next_call = self.next_call.wrapping_add(1).max(ONE_WAY + 1);
        let sequence = self.next_call;
        self.send_call(codec, sequence, method, body)?;
        let mut whole = Vec::new();
        loop {
            let Some(frame) = self.next(Lane::Call)? else {
                self.end.wait(Lane::Call, DATA, 0, NOBODY)?;
                continue;
            };
            let answer = Call::parse(&frame.header, &frame.payload)
                .map_err(|error| SessionError::Unexpected(error.to_string()))?;
            if answer.sequence != sequence {
                continue;
            }
            whole.extend_from_slice(answer.body);
            if frame.header.bits.has(Bits::STREAM) {
                continue;
            }
            if answer.failed {
                return Err(SessionError::Refused(String::from_utf8_lossy(&whole).into_owned()));
            }
            return Ok(whole);
        }
    }

    /// Calls a method that answers nothing; waits for room, never for the master to read it.
    ///
    /// # Errors
    /// `TooLarge`, or a broken channel.
    pub fn tell(&mut self, method: &str, body: &[u8]) -> Result<(), SessionError> {
        self.send_call(Flags::RAW, ONE_WAY, method, body)
    }

    fn send_call(
        &mut self,
        codec: Flags,
        sequence: u32,
        method: &str,
        body: &[u8],
    ) -> Result<(), SessionError> {
        let limit = self.end.max_payload(Lane::Call);
        if body.len() > MAX_BODY || method.len() > limit / 2 {
            let size = body.len().max(method.len());
            return Err(SessionError::TooLarge { what: "a call", size, limit: MAX_BODY });
        }
        if method.len() + body.len() <= limit {
            let call = Call { sequence, method, body, failed: false };
            let header = Header::new(codec, Bits::default(), &call.options(), 0);
            return self.push(Lane::Call, header, [method.as_bytes(), body]);
        }
        let piece = self.end.piece(Lane::Call).min(limit - method.len()).max(1);
        let mut pieces = body.chunks(piece).peekable();
        let mut name = method;
        while let Some(piece) = pieces.next() {
            let bits = if pieces.peek().is_some() { Bits::STREAM } else { Bits::default() };
            let call = Call { sequence, method: name, body: piece, failed: false };
            let header = Header::new(codec, bits, &call.options(), 0);
            self.push(Lane::Call, header, [name.as_bytes(), piece])?;
            name = "";
        }
        Ok(())
    }

    /// Sends a frame, however long there is no room for it.
    fn push(&mut self, lane: Lane, header: Header, parts: [&[u8]; 2]) -> Result<(), SessionError> {
        let needed = parts[0].len() + parts[1].len() + rr_wire::MAX_HEADER;
        while !self.end.send(lane, header, parts)? {
            self.bell.ring();
            self.end.wait(lane, SPACE, needed, NOBODY)?;
        }
        self.bell.ring();
        Ok(())
    }

    fn next(&mut self, lane: Lane) -> Result<Option<Frame>, SessionError> {
        let frame = self.end.receive(lane)?;
        if frame.is_some() && self.end.master_waits() {
            self.bell.ring();
        }
        Ok(frame)
    }

    /// Spins if told to, then sleeps until there is a frame.
    fn idle(&mut self, lane: Lane) -> Result<(), SessionError> {
        if self.spin.is_due() {
            let until = Instant::now() + self.spin.limit;
            while Instant::now() < until {
                for _ in 0..64 {
                    if self.end.has_frame(lane)? {
                        self.spin.ended(true);
                        return Ok(());
                    }
                    std::hint::spin_loop();
                }
            }
            self.spin.ended(false);
        }
        Ok(self.end.wait(lane, DATA, 0, NOBODY)?)
    }
}

fn work_options(frame: &Frame) -> Result<(usize, u32), SessionError> {
    match frame.header.options() {
        &[context, sequence] | &[context, sequence, _] if context as usize <= frame.payload.len() => {
            Ok((context as usize, sequence))
        }
        other => Err(SessionError::Unexpected(format!("options {other:?}"))),
    }
}

#[cfg(test)]
mod tests;
