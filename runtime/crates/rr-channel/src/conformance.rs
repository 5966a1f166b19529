//! What every channel promises, as a suite: `conformance::run(make)` with a maker of connected ends.

use crate::{Channel, Frame, Lane};
use rr_wire::{Bits, Flags, Header};

/// The worker's end, as far as the suite needs it.
pub trait Worker {
    /// Writes a frame, or returns `false`.
    fn send(&mut self, lane: Lane, header: Header, parts: [&[u8]; 2]) -> bool;
    /// Takes a frame.
    fn receive(&mut self, lane: Lane) -> Option<Frame>;
    /// Starts a unit.
    fn start(&mut self, sequence: u32) -> bool;
    /// Whether a unit was cancelled.
    fn is_cancelled(&mut self, sequence: u32) -> bool;
    /// Whether the master was told to look since the last question.
    fn take_ready(&mut self) -> bool;
}

fn header(sequence: u32) -> Header {
    Header::new(Flags::RAW, Bits::STREAM, &[3, sequence], 0)
}

/// Runs the suite.
///
/// # Panics
/// A promise is not kept.
pub fn run<C: Channel, W: Worker>(make: impl Fn() -> (C, W)) {
    frames_arrive_whole_and_in_order(make());
    lanes_do_not_mix(make());
    a_full_channel_says_so_and_becomes_ready_again(make());
    one_side_of_a_claim_wins(make());
    cancellation_is_seen(make());
}

fn frames_arrive_whole_and_in_order<C: Channel, W: Worker>((mut channel, mut worker): (C, W)) {
    assert_eq!(channel.receive(Lane::Work), Ok(None));
    let body = vec![7; channel.max_payload(Lane::Work) - 3];
    assert_eq!(channel.send(Lane::Work, header(1), [b"ctx", &body]), Ok(true));
    channel.flush();
    let frame = worker.receive(Lane::Work).expect("a frame");
    assert_eq!((frame.header.options(), frame.header.bits), (&[3, 1][..], Bits::STREAM));
    assert_eq!(frame.payload.len(), channel.max_payload(Lane::Work));
    for sequence in 1..=2 {
        assert!(worker.send(Lane::Work, header(sequence), [b"ab", b"c"]));
    }
    assert!(worker.take_ready(), "the master is told to look");
    for sequence in 1..=2 {
        let frame = channel.receive(Lane::Work).expect("sound").expect("a frame");
        assert_eq!((frame.header.options(), &frame.payload[..]), (&[3, sequence][..], &b"abc"[..]));
    }
    channel.freed();
}

fn lanes_do_not_mix<C: Channel, W: Worker>((mut channel, mut worker): (C, W)) {
    assert!(worker.send(Lane::Call, header(1), [b"abc", b""]));
    assert_eq!(channel.receive(Lane::Work), Ok(None));
    assert!(channel.receive(Lane::Call).expect("sound").is_some());
    assert_eq!(channel.send(Lane::Call, header(1), [b"abc", b""]), Ok(true));
    assert!(worker.receive(Lane::Work).is_none() && worker.receive(Lane::Call).is_some());
}

fn a_full_channel_says_so_and_becomes_ready_again<C: Channel, W: Worker>((mut channel, mut worker): (C, W)) {
    let body = vec![7; channel.max_payload(Lane::Work) / 2];
    let mut sent = 0;
    while channel.send(Lane::Work, header(sent), [b"abc", &body]).expect("sound") {
        sent += 1;
        assert!(sent < 10_000, "a channel is bounded");
    }
    let _ = worker.take_ready();
    assert!(worker.receive(Lane::Work).is_some());
    assert!(worker.take_ready(), "room makes the channel ready");
    assert_eq!(channel.send(Lane::Work, header(sent), [b"abc", &body]), Ok(true));
}

fn one_side_of_a_claim_wins<C: Channel, W: Worker>((mut channel, mut worker): (C, W)) {
    channel.offer(1);
    channel.offer(2);
    assert!(worker.start(1) && !channel.revoke(1), "started");
    assert!(channel.revoke(2) && !worker.start(2), "revoked");
    assert!(!channel.revoke(2) && !worker.start(1), "once only");
}

fn cancellation_is_seen<C: Channel, W: Worker>((mut channel, mut worker): (C, W)) {
    channel.offer(5);
    assert!(worker.start(5) && !worker.is_cancelled(5));
    channel.cancel(5);
    assert!(worker.is_cancelled(5) && !worker.is_cancelled(6));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mem::{self, MemWorker};
    use crate::shm::ShmChannel;
    use rr_shm::segment::{self, WorkerEnd};
    use rr_shm::shard::{Bell, ShardPage};

    impl Worker for MemWorker {
        fn send(&mut self, lane: Lane, header: Header, parts: [&[u8]; 2]) -> bool {
            MemWorker::send(self, lane, header, parts)
        }
        fn receive(&mut self, lane: Lane) -> Option<Frame> {
            MemWorker::receive(self, lane)
        }
        fn start(&mut self, sequence: u32) -> bool {
            MemWorker::start(self, sequence)
        }
        fn is_cancelled(&mut self, sequence: u32) -> bool {
            MemWorker::is_cancelled(self, sequence)
        }
        fn take_ready(&mut self) -> bool {
            MemWorker::take_ready(self)
        }
    }

    struct ShmWorker {
        end: WorkerEnd,
        bell: Bell,
        shard: ShardPage,
    }

    impl Worker for ShmWorker {
        fn send(&mut self, lane: Lane, header: Header, parts: [&[u8]; 2]) -> bool {
            let sent = self.end.send(lane, header, parts).expect("sound");
            self.bell.ring();
            sent
        }
        fn receive(&mut self, lane: Lane) -> Option<Frame> {
            let frame = self.end.receive(lane).expect("sound");
            if frame.is_some() && self.end.master_waits() {
                self.bell.ring();
            }
            frame
        }
        fn start(&mut self, sequence: u32) -> bool {
            self.end.start(sequence)
        }
        fn is_cancelled(&mut self, sequence: u32) -> bool {
            self.end.is_cancelled(sequence)
        }
        fn take_ready(&mut self) -> bool {
            let mut ready = false;
            self.shard.drain(|_| ready = true);
            ready
        }
    }

    fn shm(ring: usize) -> (ShmChannel, ShmWorker) {
        let (master, file) = segment::create(ring).expect("segment");
        let shard = ShardPage::create().expect("shard");
        let doorbell = shard.doorbell().try_clone_to_owned().expect("dup");
        let bell = Bell::attach(&shard.memory(), doorbell, 5).expect("bell");
        let end = segment::attach(&file, ring).expect("attaches");
        (ShmChannel::new(master), ShmWorker { end, bell, shard })
    }

    #[test]
    fn memory_conforms() {
        run(|| mem::pair(4));
    }

    #[test]
    fn shared_memory_conforms() {
        run(|| shm(64 * 1024));
    }

    #[test]
    fn shared_memory_with_rings_of_one_page_conforms() {
        run(|| shm(4096));
    }
}
