//! Goridge frames in a ring: published whole, taken whole.

use crate::Corrupt;
use crate::ring::{Consumer, Place, Producer};
use rr_wire::{Header, MAX_HEADER, PREFIX};

/// A frame taken out of a ring; nothing of it is in shared memory any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// The header.
    pub header: Header,
    /// Context and body.
    pub payload: Vec<u8>,
}

/// The largest payload of one frame in a ring of `capacity` bytes: half of it, so that the next frame can be
/// written while this one is read.
#[must_use]
pub const fn max_payload(capacity: usize) -> usize {
    capacity / 2 - MAX_HEADER
}

/// The size of the pieces of a body that does not fit one frame: four in a ring.
#[must_use]
pub const fn piece(capacity: usize) -> usize {
    capacity / 4 - MAX_HEADER
}

/// Writes a frame of `parts`, whose lengths `header.payload` gets; `false` when there is no room for it now.
///
/// # Errors
/// The consumer's position is impossible.
pub fn send<P: Place>(
    ring: &mut Producer<P>,
    mut header: Header,
    parts: [&[u8]; 2],
) -> Result<bool, Corrupt> {
    let payload = parts[0].len() + parts[1].len();
    debug_assert!(payload <= max_payload(ring.capacity()), "callers split what does not fit a frame");
    header.payload = u32::try_from(payload).unwrap_or(u32::MAX);
    let mut bytes = [0; MAX_HEADER];
    let length = header.encode(&mut bytes);
    ring.push(&[&bytes[..length], parts[0], parts[1]])
}

/// Takes the next frame.
///
/// # Errors
/// The producer's position is impossible, or what it published is no frame.
pub fn receive<P: Place>(ring: &mut Consumer<P>) -> Result<Option<Frame>, Corrupt> {
    let available = ring.available()?;
    if available == 0 {
        return Ok(None);
    }
    if available < PREFIX {
        return Err(Corrupt::Length { declared: PREFIX, available });
    }
    let mut head = Vec::with_capacity(MAX_HEADER);
    ring.peek(0, available.min(MAX_HEADER), &mut head);
    let (header, length) = Header::parse(&head)?;
    let declared = length + header.payload as usize;
    if declared > available {
        return Err(Corrupt::Length { declared, available });
    }
    let mut payload = Vec::with_capacity(header.payload as usize);
    ring.peek(length, header.payload as usize, &mut payload);
    ring.advance(declared);
    Ok(Some(Frame { header, payload }))
}
