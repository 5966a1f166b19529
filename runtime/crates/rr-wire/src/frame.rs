//! The goridge frame header, byte by byte (rows FR-01…08, FR-13).
//!
//! ```text
//! 0        1     2..6        6..10        10    11  12..4*HL    4*HL..
//! ver|HL   flags payload u32 crc32(0..6)  bits  0   options     payload
//! ```

use std::fmt;

/// Bytes of a header without options.
pub const PREFIX: usize = 12;
/// Options a header can hold (FR-01).
pub const MAX_OPTIONS: usize = 10;
/// Bytes of the longest header.
pub const MAX_HEADER: usize = PREFIX + 4 * MAX_OPTIONS;
const VERSION: u8 = 1;

/// Byte 1 of a frame (FR-02).
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Flags(pub u8);

impl Flags {
    /// Handshake, stop and other conversation about the worker itself.
    pub const CONTROL: Self = Self(0x01);
    /// Opaque payload.
    pub const RAW: Self = Self(0x04);
    /// JSON payload.
    pub const JSON: Self = Self(0x08);
    /// MessagePack payload.
    pub const MSGPACK: Self = Self(0x10);
    /// Go gob payload.
    pub const GOB: Self = Self(0x20);
    /// The payload is an error text.
    pub const ERROR: Self = Self(0x40);
    /// Protobuf payload.
    pub const PROTO: Self = Self(0x80);

    /// Whether every bit of `other` is set.
    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both sets of bits.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl fmt::Debug for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Flags({:#04x})", self.0)
    }
}

/// Byte 10 of a frame (FR-05).
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Bits(pub u8);

impl Bits {
    /// More frames of the same unit follow.
    pub const STREAM: Self = Self(0x01);
    /// The receiver of the stream wants no more of it.
    pub const STOP: Self = Self(0x02);
    /// A PONG is expected.
    pub const PING: Self = Self(0x04);
    /// The answer to a PING.
    pub const PONG: Self = Self(0x08);

    /// Whether every bit of `other` is set.
    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The bits of both.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl fmt::Debug for Bits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bits({:#04x})", self.0)
    }
}

/// Why bytes are not a frame header.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// More bytes are needed.
    #[error("the frame header is incomplete: {have} of {need} bytes")]
    Incomplete {
        /// Bytes there are.
        have: usize,
        /// Bytes it takes.
        need: usize,
    },
    /// The version nibble is not 1.
    #[error("unknown frame version {0}")]
    Version(u8),
    /// HL is below 3 or above 13 (FR-13: the Go server panics here).
    #[error("a frame header of {0} words, expected 3 to 13")]
    HeaderLength(u8),
    /// The checksum does not match (FR-11).
    #[error("frame checksum {found:#010x}, expected {expected:#010x}")]
    Checksum {
        /// What the frame says.
        found: u32,
        /// What its bytes give.
        expected: u32,
    },
    /// The reserved byte is not zero.
    #[error("reserved byte {0:#04x} in a frame header")]
    Reserved(u8),
}

/// A frame header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Header {
    /// Byte 1.
    pub flags: Flags,
    /// Byte 10.
    pub bits: Bits,
    /// Bytes of payload after the header.
    pub payload: u32,
    count: u8,
    options: [u32; MAX_OPTIONS],
}

impl Header {
    /// A header with `options`. More than [`MAX_OPTIONS`] are cut off, which no caller does.
    #[must_use]
    pub fn new(flags: Flags, bits: Bits, options: &[u32], payload: u32) -> Self {
        let mut header = Self { flags, bits, payload, ..Self::default() };
        for (slot, option) in header.options.iter_mut().zip(options) {
            *slot = *option;
            header.count += 1;
        }
        header
    }

    /// The options, in order (FR-07).
    #[must_use]
    pub fn options(&self) -> &[u32] {
        &self.options[..usize::from(self.count)]
    }

    /// Bytes this header takes.
    #[must_use]
    pub fn len(&self) -> usize {
        PREFIX + 4 * usize::from(self.count)
    }

    /// Never: a header has at least [`PREFIX`] bytes.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        false
    }

    /// Writes the header to the start of `into` and says how many bytes it took.
    pub fn encode(&self, into: &mut [u8; MAX_HEADER]) -> usize {
        into[0] = VERSION << 4 | (3 + self.count);
        into[1] = self.flags.0;
        into[2..6].copy_from_slice(&self.payload.to_le_bytes());
        let checksum = crc32fast::hash(&into[..6]);
        into[6..10].copy_from_slice(&checksum.to_le_bytes());
        into[10] = self.bits.0;
        into[11] = 0;
        for (slot, option) in into[PREFIX..].chunks_exact_mut(4).zip(self.options()) {
            slot.copy_from_slice(&option.to_le_bytes());
        }
        self.len()
    }

    /// How long the header is that starts with `prefix`: 12 to 52 bytes.
    ///
    /// # Errors
    /// The prefix is not one of a goridge frame.
    pub fn measure(prefix: &[u8; PREFIX]) -> Result<usize, FrameError> {
        let (version, words) = (prefix[0] >> 4, prefix[0] & 0x0f);
        if version != VERSION {
            return Err(FrameError::Version(version));
        }
        if !(3..=13).contains(&words) {
            return Err(FrameError::HeaderLength(words));
        }
        let found = u32_at(prefix, 6);
        let expected = crc32fast::hash(&prefix[..6]);
        if found != expected {
            return Err(FrameError::Checksum { found, expected });
        }
        if prefix[11] != 0 {
            return Err(FrameError::Reserved(prefix[11]));
        }
        Ok(4 * usize::from(words))
    }

    /// Reads a header from the start of `bytes`; returns it and its length.
    ///
    /// # Errors
    /// The bytes are too few, or not a goridge header. The declared payload length is not judged here: the
    /// caller knows what it can hold.
    pub fn parse(bytes: &[u8]) -> Result<(Self, usize), FrameError> {
        let incomplete = |need| FrameError::Incomplete { have: bytes.len(), need };
        let prefix: &[u8; PREFIX] = bytes.first_chunk().ok_or(incomplete(PREFIX))?;
        let length = Self::measure(prefix)?;
        let options = bytes.get(PREFIX..length).ok_or(incomplete(length))?;
        let mut header = Self {
            flags: Flags(prefix[1]),
            bits: Bits(prefix[10]),
            payload: u32_at(prefix, 2),
            ..Self::default()
        };
        for (slot, option) in header.options.iter_mut().zip(options.chunks_exact(4)) {
            *slot = u32_at(option, 0);
            header.count += 1;
        }
        Ok((header, length))
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
        digits
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).expect("ascii"), 16).expect("hex"))
            .collect()
    }

    fn encoded(header: &Header) -> Vec<u8> {
        let mut bytes = [0; MAX_HEADER];
        let length = header.encode(&mut bytes);
        bytes[..length].to_vec()
    }

    /// FR-01…05: the vectors seen on the wire.
    #[test]
    fn fr_golden_vectors() {
        let pid = Header::new(Flags::CONTROL.with(Flags::JSON), Bits::default(), &[], 12);
        assert_eq!(hex("13090c0000005f0c46730000"), encoded(&pid));
        let reply = Header::new(Flags::CONTROL, Bits::default(), &[], 12);
        assert_eq!(hex("13010c0000009e4736430000"), encoded(&reply));
        let stop = Header::new(Flags::CONTROL.with(Flags::JSON), Bits::default(), &[], 13);
        assert_eq!(hex("13090d0000003a6bfacb0000"), encoded(&stop));
        let pong = Header::new(Flags::default(), Bits::PONG, &[], 0);
        assert_eq!(hex("13000000000096d180340800"), encoded(&pong));
        let cancel = Header::new(Flags::default(), Bits::STOP, &[], 0);
        assert_eq!(hex("13000000000096d180340200"), encoded(&cancel));
        let error = Header::new(Flags::ERROR, Bits::default(), &[], 4);
        assert_eq!(hex("134004000000881e11e30000"), encoded(&error));
        let rpc = Header::new(Flags::JSON, Bits::default(), &[1, 11], 15);
        assert_eq!(hex("15080f0000001c69ca8a0000 01000000 0b000000"), encoded(&rpc));
    }

    /// FR-13: eleven options and more end the Go server.
    #[test]
    fn fr_13_too_many_options_are_an_error() {
        let mut bytes = encoded(&Header::new(Flags::RAW, Bits::default(), &[], 0));
        bytes[0] = 0x1e;
        let checksum = crc32fast::hash(&bytes[..6]).to_le_bytes();
        bytes[6..10].copy_from_slice(&checksum);
        assert_eq!(Header::parse(&bytes), Err(FrameError::HeaderLength(14)));
        bytes[0] = 0x12;
        assert_eq!(Header::parse(&bytes), Err(FrameError::HeaderLength(2)));
    }

    #[test]
    fn fr_04_a_flipped_bit_in_the_checked_bytes_is_seen() {
        let bytes = encoded(&Header::new(Flags::RAW, Bits::default(), &[7, 9], 77));
        for bit in 0..48 {
            let mut broken = bytes.clone();
            broken[bit / 8] ^= 1 << (bit % 8);
            assert!(Header::parse(&broken).is_err(), "bit {bit}");
        }
    }

    proptest! {
        #[test]
        fn headers_survive_the_round_trip(
            flags: u8, bits: u8, payload: u32, options in proptest::collection::vec(any::<u32>(), 0..=10),
        ) {
            let header = Header::new(Flags(flags), Bits(bits), &options, payload);
            let bytes = encoded(&header);
            prop_assert_eq!(Header::parse(&bytes), Ok((header, bytes.len())));
            prop_assert_eq!(header.options(), &options[..]);
        }

        #[test]
        fn any_bytes_are_taken_or_refused(data in proptest::collection::vec(any::<u8>(), 0..256)) {
            crate::fuzz(&data);
        }
    }
}
