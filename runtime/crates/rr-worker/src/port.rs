//! The relay of a command worker that was forked: the client library reads and writes goridge frames as if they came over
//! a pipe, and they are the session's. Same states as behind a pipe, see `rr_channel::relay`.

use crate::{Event, Session, SessionError};
use rr_shm::segment::Lane;
use rr_wire::relay::{self, Decoder, RelayError, Said};

/// Why a port is of no use any more.
#[derive(Debug, thiserror::Error)]
pub enum PortError {
    /// The channel.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// A request that no frame can hold.
    #[error("a request of 4 GiB or more")]
    TooLong,
    /// What was written is no frame of a worker.
    #[error("{0}")]
    Relay(#[from] RelayError),
}

/// The two ends of a relay.
#[derive(Debug)]
pub struct Port {
    server: u32,
    own: u32,
    /// Bytes to be read, from `read` on.
    pending: Vec<u8>,
    read: usize,
    decoder: Decoder,
    /// The unit's client has gone away and the worker was told.
    told: bool,
    /// The running unit's reply is a stream.
    streams: bool,
    stopped: bool,
}

impl Port {
    /// The relay between this process, `own`, and the server.
    #[must_use]
    pub fn new(server: u32, own: u32) -> Self {
        Self {
            server,
            own,
            pending: relay::hello(server),
            read: 0,
            decoder: Decoder::default(),
            told: false,
            streams: false,
            stopped: false,
        }
    }

    /// The server that it belongs to.
    #[must_use]
    pub const fn server(&self) -> u32 {
        self.server
    }

    /// Whether the worker was told to leave.
    #[must_use]
    pub const fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// Fills `into` as far as there are bytes; waits for the first one if told to. 0: there are none, and none will come
    /// once [`Port::is_stopped`].
    ///
    /// # Errors
    /// The channel is broken.
    pub fn read(&mut self, session: &mut Session, into: &mut [u8], wait: bool) -> Result<usize, PortError> {
        while self.read == self.pending.len() {
            if self.stopped {
                return Ok(0);
            }
            if !self.fill(session)? {
                if !wait {
                    return Ok(0);
                }
                session.idle(Lane::Work)?;
            }
        }
        let bytes = &self.pending[self.read..];
        let count = bytes.len().min(into.len());
        into[..count].copy_from_slice(&bytes[..count]);
        self.read += count;
        Ok(count)
    }

    /// Whether a read would not wait.
    ///
    /// # Errors
    /// The channel is broken.
    pub fn is_ready(&mut self, session: &mut Session) -> Result<bool, PortError> {
        Ok(self.read < self.pending.len() || self.stopped || self.fill(session)?)
    }

    /// Gets what the server has for the worker now. `false`: nothing.
    fn fill(&mut self, session: &mut Session) -> Result<bool, PortError> {
        self.pending.clear();
        self.read = 0;
        if session.is_open() {
            if session.body_follows() {
                // `Cancelled` here is a body that ends early: its length was said, so the worker cannot go on.
                self.pending = session.read_body()?.unwrap_or_default();
                return Ok(!self.pending.is_empty());
            }
            return Ok(self.tell_cancelled(session));
        }
        match session.poll()? {
            None => Ok(false),
            Some(Event::Stop) => {
                self.pending = relay::stop();
                self.stopped = true;
                Ok(true)
            }
            Some(Event::Unit(unit)) => {
                let body = unit.length.map_or(unit.payload.len() - unit.context, |length| length as usize);
                let (header, length) = relay::unit(unit.codec, unit.context, (unit.context + body) as u64)
                    .ok_or(PortError::TooLong)?;
                self.pending.extend_from_slice(&header[..length]);
                self.pending.extend_from_slice(&unit.payload);
                (self.told, self.streams) = (false, false);
                Ok(true)
            }
        }
    }

    /// WRK-08: once, and only to a worker that streams.
    fn tell_cancelled(&mut self, session: &Session) -> bool {
        let now = self.streams && !self.told && session.is_cancelled();
        if now {
            self.told = true;
            self.pending.extend_from_slice(&relay::cancel());
        }
        now
    }

    /// Takes what the worker writes.
    ///
    /// # Errors
    /// It is no frame, or the channel is broken. [`Port::stray`] has what it is.
    pub fn write(&mut self, session: &mut Session, bytes: &[u8]) -> Result<(), PortError> {
        self.decoder.push(bytes);
        while let Some(said) = self.decoder.next()? {
            match said {
                Said::Hello { .. } => session.hello(self.own)?,
                Said::Replace if self.stopped => {}
                Said::Replace => session.give_back()?,
                Said::Error(text) => {
                    let sent = session.fail(&text);
                    settled(sent, session)?;
                }
                Said::Reply { codec, context, body, more, ping, stream } => {
                    self.streams |= stream;
                    let sent = match session.reply_in(codec, &context, &body, more) {
                        // A last word, see `rr_channel::relay`.
                        Err(SessionError::NoUnit) if self.stopped => Ok(()),
                        sent if more => sent,
                        sent => settled(sent, session),
                    };
                    match sent {
                        Err(SessionError::Cancelled) | Ok(()) => {}
                        Err(error) => return Err(error.into()),
                    }
                    if stream {
                        self.tell_cancelled(session);
                    }
                    // Not to a stream that was stopped: it has its answer.
                    if ping && !self.told {
                        self.pending.extend_from_slice(&relay::pong());
                    }
                }
            }
        }
        Ok(())
    }

    /// What was written instead of a frame. The port goes on behind it.
    pub fn stray(&mut self) -> Option<String> {
        let stray = self.decoder.stray();
        self.decoder.forget();
        stray
    }
}

/// A reply that nobody waits for ends all the same.
fn settled(sent: Result<(), SessionError>, session: &mut Session) -> Result<(), SessionError> {
    match sent {
        Err(SessionError::Cancelled) => session.end_cancelled(),
        other => other,
    }
}
