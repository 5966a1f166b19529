//! The master's end of a channel to one worker, whatever carries it: frames on two lanes, claims on units, nothing
//! that blocks. [`shm`] is what native workers have, [`relay`] what command workers have; [`mem`] connects to a worker
//! inside the same process, for tests of what stands above. `shm` and `mem` pass [`conformance`].
#![forbid(unsafe_code)]

pub mod conformance;
pub mod mem;
pub mod relay;
pub mod shm;

pub use rr_shm::frames::Frame;
pub use rr_shm::leases::Leases;
pub use rr_shm::segment::Lane;
use rr_wire::Header;

/// The channel is of no use any more; the worker behind it has to go.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChannelError {
    /// The worker has broken its shared memory.
    #[error(transparent)]
    Corrupt(#[from] rr_shm::Corrupt),
    /// The other end is gone.
    #[error("the worker has closed its channel")]
    Closed,
    /// What a command worker has said is not understood, or it says nothing more.
    #[error("{0}")]
    Relay(String),
}

/// A channel.
pub trait Channel: Send + std::fmt::Debug + 'static {
    /// The largest payload of one frame on `lane`.
    fn max_payload(&self, lane: Lane) -> usize;

    /// Writes a whole frame, or nothing and returns `false`; then the worker makes the channel ready again when
    /// there is room. The worker notices at the next [`Channel::flush`].
    ///
    /// # Errors
    /// The channel is broken.
    fn send(&mut self, lane: Lane, header: Header, parts: [&[u8]; 2]) -> Result<bool, ChannelError>;

    /// Wakes the worker for what was sent.
    fn flush(&mut self);

    /// Takes the next frame; `None` when there is none now.
    ///
    /// # Errors
    /// The channel is broken.
    fn receive(&mut self, lane: Lane) -> Result<Option<Frame>, ChannelError>;

    /// Tells a worker that waits for room that frames were taken.
    fn freed(&mut self);

    /// Offers unit `sequence`, before its frame is sent.
    fn offer(&mut self, sequence: u32);

    /// Takes a unit back; `false` when the worker has started it.
    fn revoke(&mut self, sequence: u32) -> bool;

    /// Tells the worker that nobody waits for unit `sequence` any more.
    fn cancel(&mut self, sequence: u32);

    /// Where the worker can have leases of locks, if it can.
    fn leases(&self) -> Option<Leases> {
        None
    }
}

/// A channel of any kind, without a virtual call per frame.
#[derive(Debug)]
pub enum AnyChannel {
    /// In shared memory.
    Shm(shm::ShmChannel),
    /// Over a pipe or a socket.
    Relay(relay::RelayChannel),
    /// In this process.
    Mem(mem::MemChannel),
}

macro_rules! each {
    ($this:expr, $channel:ident => $call:expr) => {
        match $this {
            AnyChannel::Shm($channel) => $call,
            AnyChannel::Relay($channel) => $call,
            AnyChannel::Mem($channel) => $call,
        }
    };
}

impl Channel for AnyChannel {
    fn max_payload(&self, lane: Lane) -> usize {
        each!(self, channel => channel.max_payload(lane))
    }
    fn send(&mut self, lane: Lane, header: Header, parts: [&[u8]; 2]) -> Result<bool, ChannelError> {
        each!(self, channel => channel.send(lane, header, parts))
    }
    fn flush(&mut self) {
        each!(self, channel => channel.flush());
    }
    fn receive(&mut self, lane: Lane) -> Result<Option<Frame>, ChannelError> {
        each!(self, channel => channel.receive(lane))
    }
    fn freed(&mut self) {
        each!(self, channel => channel.freed());
    }
    fn offer(&mut self, sequence: u32) {
        each!(self, channel => channel.offer(sequence));
    }
    fn revoke(&mut self, sequence: u32) -> bool {
        each!(self, channel => channel.revoke(sequence))
    }
    fn cancel(&mut self, sequence: u32) {
        each!(self, channel => channel.cancel(sequence));
    }
    fn leases(&self) -> Option<Leases> {
        each!(self, channel => channel.leases())
    }
}
