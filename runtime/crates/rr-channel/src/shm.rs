//! A channel in shared memory.

use crate::{Channel, ChannelError, Frame, Lane, Leases};
use rr_shm::segment::MasterEnd;
use rr_wire::Header;

/// The master's end of a worker's segment.
#[derive(Debug)]
pub struct ShmChannel(MasterEnd);

impl ShmChannel {
    /// A channel over a fresh segment.
    #[must_use]
    pub const fn new(end: MasterEnd) -> Self {
        Self(end)
    }
}

impl Channel for ShmChannel {
    fn max_payload(&self, lane: Lane) -> usize {
        self.0.max_payload(lane)
    }

    fn send(&mut self, lane: Lane, header: Header, parts: [&[u8]; 2]) -> Result<bool, ChannelError> {
        Ok(self.0.send(lane, header, parts)?)
    }

    fn flush(&mut self) {
        self.0.ring_worker();
    }

    fn receive(&mut self, lane: Lane) -> Result<Option<Frame>, ChannelError> {
        Ok(self.0.receive(lane)?)
    }

    fn freed(&mut self) {
        self.0.freed();
    }

    fn offer(&mut self, sequence: u32) {
        self.0.offer(sequence);
    }

    fn revoke(&mut self, sequence: u32) -> bool {
        self.0.revoke(sequence)
    }

    fn cancel(&mut self, sequence: u32) {
        self.0.cancel(sequence);
    }

    fn leases(&self) -> Option<Leases> {
        Some(self.0.leases())
    }
}
