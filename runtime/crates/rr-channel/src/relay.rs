//! A channel to a command worker: what the pool sends and takes, between its frames and those of a relay
//! (`rr_wire::relay`). It reads and writes nothing itself: whoever holds the [`RelayEnd`] moves the bytes.
//!
//! A command worker knows one unit at a time and no numbers, cannot take a unit back, and makes no calls here: those go
//! over RPC.

use crate::{Channel, ChannelError, Frame, Lane};
use parking_lot::Mutex;
use rr_wire::relay::{self, Said};
use rr_wire::{Bits, Flags, Header};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

/// Bytes on their way to the worker beyond which a frame waits for room.
const ROOM: usize = 256 << 10;
/// Frames of the worker that wait for the pool, beyond which its bytes are left where they are.
const FRAMES: usize = 4;

/// The unit that the worker has.
#[derive(Debug)]
struct Current {
    sequence: u32,
    began: Instant,
    /// Bytes of its body that are still to be sent.
    left: u64,
    streams: bool,
    cancelled: bool,
    /// It was told that nobody reads its stream.
    told: bool,
}

#[derive(Debug, Default)]
struct Shared {
    max_payload: usize,
    down: Vec<u8>,
    up: VecDeque<Frame>,
    current: Option<Current>,
    /// A frame did not fit: the pool is told when there is room.
    master_waits: bool,
    /// The worker was told to leave; what it says to that means nothing.
    leaving: bool,
    broken: Option<String>,
    wake: Option<std::task::Waker>,
}

impl Shared {
    fn wake(&mut self) {
        if let Some(waker) = self.wake.take() {
            waker.wake();
        }
    }

    /// Tells a worker that streams to nobody, once, and only if it knows streams: others would take it for a request.
    fn tell_cancelled(&mut self) {
        if let Some(current) = &mut self.current
            && current.cancelled
            && current.streams
            && !std::mem::replace(&mut current.told, true)
        {
            self.down.extend_from_slice(&relay::cancel());
            self.wake();
        }
    }
}

/// The pool's end.
#[derive(Debug)]
pub struct RelayChannel(Arc<Mutex<Shared>>);

/// The end of whoever moves the bytes.
#[derive(Debug)]
pub struct RelayEnd(Arc<Mutex<Shared>>);

/// A channel whose frames take `max_payload` bytes.
#[must_use]
pub fn pair(max_payload: usize) -> (RelayChannel, RelayEnd) {
    let shared = Arc::new(Mutex::new(Shared { max_payload, ..Shared::default() }));
    (RelayChannel(Arc::clone(&shared)), RelayEnd(shared))
}

impl Channel for RelayChannel {
    fn max_payload(&self, _lane: Lane) -> usize {
        self.0.lock().max_payload
    }

    fn send(&mut self, lane: Lane, header: Header, parts: [&[u8]; 2]) -> Result<bool, ChannelError> {
        let shared = &mut *self.0.lock();
        if let Some(broken) = &shared.broken {
            return Err(ChannelError::Relay(broken.clone()));
        }
        // Nobody asks, so nobody is answered.
        if lane == Lane::Call {
            return Ok(true);
        }
        if !shared.down.is_empty() && shared.down.len() + parts[0].len() + parts[1].len() > ROOM {
            shared.master_waits = true;
            return Ok(false);
        }
        if header.flags.has(Flags::CONTROL) {
            shared.leaving = true;
            shared.down.extend_from_slice(&relay::stop());
            return Ok(true);
        }
        let &[context, sequence, ..] = header.options() else {
            return Err(ChannelError::Relay("a unit without a number".to_owned()));
        };
        if context == 0 {
            return shared.body(header, sequence, parts[1]).map(|()| true);
        }
        let given = (parts[0].len() + parts[1].len()) as u64;
        let left = match (header.bits.has(Bits::STREAM), header.options()) {
            (false, _) => 0,
            (true, &[_, _, total]) => u64::from(total).saturating_sub(parts[1].len() as u64),
            (true, _) => return Err(ChannelError::Relay("a body of unknown length".to_owned())),
        };
        let Some((bytes, length)) = relay::unit(header.flags, parts[0].len(), given + left) else {
            return Err(ChannelError::Relay("a request of 4 GiB or more".to_owned()));
        };
        shared.down.extend_from_slice(&bytes[..length]);
        shared.down.extend_from_slice(parts[0]);
        shared.down.extend_from_slice(parts[1]);
        shared.current = Some(Current {
            sequence,
            began: Instant::now(),
            left,
            streams: false,
            cancelled: false,
            told: false,
        });
        Ok(true)
    }

    fn flush(&mut self) {
        self.0.lock().wake();
    }

    fn receive(&mut self, lane: Lane) -> Result<Option<Frame>, ChannelError> {
        if lane == Lane::Call {
            return Ok(None);
        }
        let shared = &mut *self.0.lock();
        match (shared.up.pop_front(), &shared.broken) {
            (None, Some(broken)) => Err(ChannelError::Relay(broken.clone())),
            (frame, _) => Ok(frame),
        }
    }

    fn freed(&mut self) {
        self.0.lock().wake();
    }

    fn offer(&mut self, _sequence: u32) {}

    fn revoke(&mut self, _sequence: u32) -> bool {
        false
    }

    fn cancel(&mut self, sequence: u32) {
        let shared = &mut *self.0.lock();
        if let Some(current) = shared.current.as_mut().filter(|current| current.sequence == sequence) {
            current.cancelled = true;
        }
        shared.tell_cancelled();
    }
}

impl Shared {
    /// Sends a part of the body of the unit that the worker has.
    fn body(&mut self, header: Header, sequence: u32, part: &[u8]) -> Result<(), ChannelError> {
        let wrong = |text: &str| ChannelError::Relay(text.to_owned());
        let current = self.current.as_mut().filter(|current| current.sequence == sequence);
        let Some(current) = current else { return Err(wrong("a body without a unit")) };
        // Its length has been said: there is no other way to end it early.
        if header.bits.has(Bits::STOP) {
            return Err(wrong("the body of its request ended early"));
        }
        current.left = current
            .left
            .checked_sub(part.len() as u64)
            .ok_or_else(|| wrong("a body that is longer than was said"))?;
        if !header.bits.has(Bits::STREAM) && current.left > 0 {
            return Err(wrong("a body that is shorter than was said"));
        }
        self.down.extend_from_slice(part);
        Ok(())
    }
}

/// What whoever moves the bytes has to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// Nothing more.
    Nothing,
    /// The pool should look.
    Look,
}

impl RelayEnd {
    /// Waits for bytes to send, or for room for frames that were refused: `waker` is woken when one of both comes.
    pub fn watch(&self, waker: &std::task::Waker) {
        let mut shared = self.0.lock();
        match &mut shared.wake {
            Some(known) if known.will_wake(waker) => {}
            other => *other = Some(waker.clone()),
        }
    }

    /// Moves what is to be sent to the end of `into`. [`Told::Look`]: the pool waits for this room.
    pub fn take(&self, into: &mut Vec<u8>) -> Told {
        let shared = &mut *self.0.lock();
        if into.is_empty() {
            std::mem::swap(into, &mut shared.down);
        } else {
            into.append(&mut shared.down);
        }
        match std::mem::take(&mut shared.master_waits) {
            true => Told::Look,
            false => Told::Nothing,
        }
    }

    /// Whether the pool has taken enough of what the worker has said for more to be read.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.0.lock().up.len() < FRAMES
    }

    /// Whether the worker was told to leave.
    #[must_use]
    pub fn is_leaving(&self) -> bool {
        self.0.lock().leaving
    }

    /// Hands on what the worker says, in the pool's frames. `pid` is the process that the pool knows it by.
    pub fn say(&self, said: Said, pid: u32) -> Told {
        let shared = &mut *self.0.lock();
        let plain = Bits::default();
        match said {
            Said::Hello { .. } => {
                let hello = format!("{{\"pid\":{pid}}}").into_bytes();
                shared.push(Header::new(Flags::CONTROL, plain, &[], 0), hello);
            }
            Said::Replace => {
                if shared.leaving && shared.current.is_none() {
                    return Told::Nothing;
                }
                shared.current = None;
                shared.push(Header::new(Flags::CONTROL, plain, &[], 0), relay::STOP.to_vec());
            }
            Said::Error(text) => {
                let Some(current) = shared.current.take() else { return shared.unasked("an error") };
                let options = [0, current.sequence, micros(current.began)];
                shared.push(Header::new(Flags::ERROR, plain, &options, 0), text.into_bytes());
            }
            Said::Reply { codec, context, body, more, ping, stream } => {
                let Some(current) = &mut shared.current else { return shared.unasked("a reply") };
                current.streams |= stream;
                let length = u32::try_from(context.len()).unwrap_or(u32::MAX);
                let options = [length, current.sequence, micros(current.began)];
                let bits = if more { Bits::STREAM } else { plain };
                if stream {
                    shared.tell_cancelled();
                }
                // A stream that was stopped has its answer: another would be taken for a request.
                if ping && !shared.current.as_ref().is_some_and(|current| current.told) {
                    shared.down.extend_from_slice(&relay::pong());
                }
                if !more {
                    shared.current = None;
                }
                let mut payload = context;
                if payload.is_empty() {
                    payload = body;
                } else {
                    payload.extend_from_slice(&body);
                }
                // Whatever else it says of its codec, it is no error and no control frame.
                let codec = Flags(codec.0 & (Flags::JSON.0 | Flags::PROTO.0 | Flags::RAW.0));
                shared.push(Header::new(codec, bits, &options, 0), payload);
            }
        }
        Told::Look
    }

    /// Nothing more will come. The pool finds out once it has taken what has come before.
    pub fn close(&self, why: String) {
        self.0.lock().broken.get_or_insert(why);
    }
}

impl Shared {
    fn push(&mut self, mut header: Header, payload: Vec<u8>) {
        header.payload = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        self.up.push_back(Frame { header, payload });
    }

    /// A worker that leaves may have a last word: TCP workers send one.
    fn unasked(&mut self, what: &str) -> Told {
        if self.leaving {
            return Told::Nothing;
        }
        self.broken.get_or_insert_with(|| format!("{what} that nobody asked for"));
        Told::Look
    }
}

fn micros(began: Instant) -> u32 {
    u32::try_from(began.elapsed().as_micros()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(sequence: u32, context: &[u8], total: Option<u32>) -> Header {
        let length = u32::try_from(context.len()).expect("short");
        match total {
            None => Header::new(Flags::JSON, Bits::default(), &[length, sequence], 0),
            Some(total) => Header::new(Flags::JSON, Bits::STREAM, &[length, sequence, total], 0),
        }
    }

    fn sent(end: &RelayEnd) -> Vec<u8> {
        let mut bytes = Vec::new();
        end.take(&mut bytes);
        bytes
    }

    fn reply(body: &[u8], more: bool) -> Said {
        Said::Reply {
            codec: Flags::JSON,
            context: b"{}".to_vec(),
            body: body.to_vec(),
            more,
            ping: false,
            stream: more,
        }
    }

    #[test]
    fn a_unit_loses_its_number_and_its_reply_gets_it_back() {
        let (mut channel, end) = pair(1000);
        end.say(Said::Hello { pid: 5 }, 77);
        let hello = channel.receive(Lane::Work).expect("sound").expect("a frame");
        assert_eq!(hello.payload, b"{\"pid\":77}");
        assert_eq!(channel.send(Lane::Work, unit(9, b"ctx", None), [b"ctx", b"body"]), Ok(true));
        let bytes = sent(&end);
        let (header, length) = Header::parse(&bytes).expect("a frame");
        assert_eq!((header.options(), header.payload, header.flags), (&[3][..], 7, Flags::JSON));
        assert_eq!(&bytes[length..], b"ctxbody");
        assert_eq!(end.say(reply(b"hi", false), 77), Told::Look);
        let frame = channel.receive(Lane::Work).expect("sound").expect("a frame");
        assert_eq!((&frame.header.options()[..2], &frame.payload[..]), (&[2, 9][..], &b"{}hi"[..]));
        assert!(!channel.revoke(9));
    }

    #[test]
    fn a_body_that_comes_later_has_the_length_that_was_said() {
        let (mut channel, end) = pair(1000);
        let part = |bits| Header::new(Flags::RAW, bits, &[0, 1], 0);
        assert_eq!(channel.send(Lane::Work, unit(1, b"ctx", Some(6)), [b"ctx", b"ab"]), Ok(true));
        assert_eq!(channel.send(Lane::Work, part(Bits::STREAM), [b"", b"cd"]), Ok(true));
        assert_eq!(channel.send(Lane::Work, part(Bits::STREAM), [b"", b"ef"]), Ok(true));
        assert_eq!(channel.send(Lane::Work, part(Bits::default()), [b"", b""]), Ok(true));
        let bytes = sent(&end);
        let (header, length) = Header::parse(&bytes).expect("a frame");
        assert_eq!((header.payload, &bytes[length..]), (9, &b"ctxabcdef"[..]));
        assert!(channel.send(Lane::Work, part(Bits::STREAM), [b"", b"g"]).is_err());
        let (mut channel, _end) = pair(1000);
        assert_eq!(channel.send(Lane::Work, unit(1, b"ctx", Some(6)), [b"ctx", b"ab"]), Ok(true));
        assert!(channel.send(Lane::Work, part(Bits::default()), [b"", b""]).is_err(), "too short");
        assert!(channel.send(Lane::Work, part(Bits::STOP), [b"", b""]).is_err(), "ended early");
    }

    #[test]
    fn a_full_relay_says_so_and_tells_of_room() {
        let (mut channel, end) = pair(ROOM);
        let body = vec![0; ROOM];
        assert_eq!(channel.send(Lane::Work, unit(1, b"ctx", Some(1 << 30)), [b"ctx", &body]), Ok(true));
        let part = Header::new(Flags::RAW, Bits::STREAM, &[0, 1], 0);
        assert_eq!(channel.send(Lane::Work, part, [b"", b"x"]), Ok(false));
        assert_eq!(end.take(&mut Vec::new()), Told::Look);
        assert_eq!(channel.send(Lane::Work, part, [b"", b"x"]), Ok(true));
        assert_eq!(end.take(&mut Vec::new()), Told::Nothing);
    }

    /// WRK-08: only a worker that streams understands it.
    #[test]
    fn a_stream_that_nobody_reads_is_stopped_once() {
        let (mut channel, end) = pair(1000);
        assert_eq!(channel.send(Lane::Work, unit(1, b"ctx", None), [b"ctx", b""]), Ok(true));
        sent(&end);
        channel.cancel(1);
        assert_eq!(sent(&end), b"", "it may not stream at all");
        end.say(reply(b"one", true), 1);
        assert_eq!(sent(&end), relay::cancel());
        let Said::Reply { codec, context, body, .. } = reply(b"two", true) else { unreachable!() };
        end.say(Said::Reply { codec, context, body, more: true, ping: true, stream: true }, 1);
        assert_eq!(sent(&end), b"", "not even to a ping");
        end.say(reply(b"", false), 1);
        assert_eq!(channel.send(Lane::Work, unit(2, b"ctx", None), [b"ctx", b""]), Ok(true));
        channel.cancel(1);
        end.say(reply(b"one", true), 1);
        assert!(!sent(&end).ends_with(&relay::cancel()), "another unit is not meant");
    }

    #[test]
    fn wrk_07_a_ping_is_answered() {
        let (mut channel, end) = pair(1000);
        assert_eq!(channel.send(Lane::Work, unit(1, b"ctx", None), [b"ctx", b""]), Ok(true));
        sent(&end);
        let Said::Reply { codec, context, body, .. } = reply(b"x", true) else { unreachable!() };
        end.say(Said::Reply { codec, context, body, more: true, ping: true, stream: true }, 1);
        assert_eq!(sent(&end), relay::pong());
    }

    #[test]
    fn what_nobody_asked_for_breaks_the_channel_unless_the_worker_leaves() {
        let (mut channel, end) = pair(1000);
        end.say(reply(b"", false), 1);
        assert!(channel.receive(Lane::Work).is_err());
        let (mut channel, end) = pair(1000);
        let stop = Header::new(Flags::CONTROL.with(Flags::JSON), Bits::default(), &[], 0);
        assert_eq!(channel.send(Lane::Work, stop, [relay::STOP, b""]), Ok(true));
        assert_eq!(sent(&end), relay::stop());
        assert_eq!(end.say(reply(b"CLOSE", false), 1), Told::Nothing);
        assert_eq!(channel.receive(Lane::Work), Ok(None));
    }

    #[test]
    fn what_came_before_the_end_is_taken_first() {
        let (mut channel, end) = pair(1000);
        assert_eq!(channel.send(Lane::Work, unit(1, b"ctx", None), [b"ctx", b""]), Ok(true));
        end.say(reply(b"last", false), 1);
        end.close("it has closed its stdout".to_owned());
        assert!(channel.receive(Lane::Work).expect("sound").is_some());
        assert_eq!(
            channel.receive(Lane::Work),
            Err(ChannelError::Relay("it has closed its stdout".to_owned()))
        );
    }
}
