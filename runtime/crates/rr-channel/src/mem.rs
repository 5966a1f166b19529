//! A channel in the memory of one process, for tests: the same promises, with room for so many frames a lane.

use crate::{Channel, ChannelError, Frame, Lane};
use parking_lot::Mutex;
use rr_shm::segment::MAX_UNITS;
use rr_wire::Header;
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

const MAX_PAYLOAD: usize = 4096;

#[derive(Debug, Default)]
struct Shared {
    room: usize,
    down: [VecDeque<Frame>; 2],
    up: [VecDeque<Frame>; 2],
    master_waits: bool,
    ready: bool,
    /// By `sequence % MAX_UNITS`, as in shared memory: the sequence, and whether it was started.
    claims: HashMap<usize, (u32, bool)>,
    cancelled: HashSet<u32>,
    flushes: usize,
    closed: bool,
}

/// The master's end.
#[derive(Debug)]
pub struct MemChannel(Arc<Mutex<Shared>>);

/// The worker's end.
#[derive(Debug, Clone)]
pub struct MemWorker(Arc<Mutex<Shared>>);

/// A channel with room for `room` frames in each direction of each lane.
#[must_use]
pub fn pair(room: usize) -> (MemChannel, MemWorker) {
    let shared = Arc::new(Mutex::new(Shared { room, ..Shared::default() }));
    (MemChannel(Arc::clone(&shared)), MemWorker(shared))
}

fn put(queue: &mut VecDeque<Frame>, room: usize, mut header: Header, parts: [&[u8]; 2]) -> bool {
    if queue.len() >= room {
        return false;
    }
    let payload = parts.concat();
    header.payload = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    queue.push_back(Frame { header, payload });
    true
}

impl Channel for MemChannel {
    fn max_payload(&self, _lane: Lane) -> usize {
        MAX_PAYLOAD
    }

    fn send(&mut self, lane: Lane, header: Header, parts: [&[u8]; 2]) -> Result<bool, ChannelError> {
        let shared = &mut *self.0.lock();
        if shared.closed {
            return Err(ChannelError::Closed);
        }
        let sent = put(&mut shared.down[lane as usize], shared.room, header, parts);
        shared.master_waits = !sent;
        Ok(sent)
    }

    fn flush(&mut self) {
        self.0.lock().flushes += 1;
    }

    fn receive(&mut self, lane: Lane) -> Result<Option<Frame>, ChannelError> {
        let shared = &mut *self.0.lock();
        match shared.up[lane as usize].pop_front() {
            None if shared.closed => Err(ChannelError::Closed),
            frame => Ok(frame),
        }
    }

    fn freed(&mut self) {}

    fn offer(&mut self, sequence: u32) {
        self.0.lock().claims.insert(sequence as usize % MAX_UNITS, (sequence, false));
    }

    fn revoke(&mut self, sequence: u32) -> bool {
        let mut shared = self.0.lock();
        let slot = sequence as usize % MAX_UNITS;
        let free = shared.claims.get(&slot) == Some(&(sequence, false));
        free && shared.claims.remove(&slot).is_some()
    }

    fn cancel(&mut self, sequence: u32) {
        self.0.lock().cancelled.insert(sequence);
    }
}

impl MemWorker {
    /// Writes a frame to the master, or returns `false`.
    pub fn send(&self, lane: Lane, header: Header, parts: [&[u8]; 2]) -> bool {
        let shared = &mut *self.0.lock();
        let sent = put(&mut shared.up[lane as usize], shared.room, header, parts);
        shared.ready |= sent;
        sent
    }

    /// Takes the next frame of the master.
    #[must_use]
    pub fn receive(&self, lane: Lane) -> Option<Frame> {
        let shared = &mut *self.0.lock();
        let frame = shared.down[lane as usize].pop_front();
        if frame.is_some() && std::mem::take(&mut shared.master_waits) {
            shared.ready = true;
        }
        frame
    }

    /// Starts a unit; `false` when it was taken back.
    #[must_use]
    pub fn start(&self, sequence: u32) -> bool {
        match self.0.lock().claims.get_mut(&(sequence as usize % MAX_UNITS)) {
            Some((own, started)) if *own == sequence && !*started => {
                *started = true;
                true
            }
            _ => false,
        }
    }

    /// Whether the unit was cancelled.
    #[must_use]
    pub fn is_cancelled(&self, sequence: u32) -> bool {
        self.0.lock().cancelled.contains(&sequence)
    }

    /// Whether the master has something to look at; asking clears it.
    #[must_use]
    pub fn take_ready(&self) -> bool {
        std::mem::take(&mut self.0.lock().ready)
    }

    /// How often the master has rung.
    #[must_use]
    pub fn flushes(&self) -> usize {
        self.0.lock().flushes
    }

    /// Breaks the channel.
    pub fn close(&self) {
        self.0.lock().closed = true;
    }
}
