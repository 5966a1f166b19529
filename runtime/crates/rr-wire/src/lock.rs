//! What workers say about locks on the call lane. All numbers are little-endian; spans are microseconds.
//!
//! | method | body | result |
//! |---|---|---|
//! | `lock.acquire` | `u32 unit, u8 shared, u64 ttl, u64 wait, name` | `u64 token`, with a lease also `u32 slot, u64 tag, u64 until`; empty: not obtained |
//! | `lock.release` | `u64 token` | `u8`: it was held |
//! | `lock.refresh` | `u64 token, u64 ttl` | `u8`: it is held |
//! | `lock.remaining` | `u64 token` | `u64`; empty: it is not held |
//! | `lock.exists`, `lock.force` | name | `u8`: it is, or was, held |

/// LK-01: what a ttl of 0 stands for, in microseconds.
pub const LONGEST: u64 = 31_555_952 * 1_000_000;

/// An exclusive or shared lock, wanted now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Acquire<'a> {
    /// The unit of work that wants it, by its sequence; 0: the worker itself.
    pub unit: u32,
    /// Together with other shared ones.
    pub shared: bool,
    /// How long it lasts; 0: as long as can be.
    pub ttl: u64,
    /// How long to wait; 0: not at all.
    pub wait: u64,
    /// The resource.
    pub name: &'a str,
}

impl<'a> Acquire<'a> {
    /// The body of the call.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(21 + self.name.len());
        bytes.extend_from_slice(&self.unit.to_le_bytes());
        bytes.push(u8::from(self.shared));
        bytes.extend_from_slice(&self.ttl.to_le_bytes());
        bytes.extend_from_slice(&self.wait.to_le_bytes());
        bytes.extend_from_slice(self.name.as_bytes());
        bytes
    }

    /// Reads the body of the call; `None` when it is none.
    #[must_use]
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (unit, rest) = bytes.split_first_chunk::<4>()?;
        let (shared, rest) = rest.split_first()?;
        let (ttl, rest) = rest.split_first_chunk::<8>()?;
        let (wait, name) = rest.split_first_chunk::<8>()?;
        Some(Self {
            unit: u32::from_le_bytes(*unit),
            shared: *shared != 0,
            ttl: u64::from_le_bytes(*ttl),
            wait: u64::from_le_bytes(*wait),
            name: std::str::from_utf8(name).ok()?,
        })
    }
}

/// A lock that was obtained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Obtained {
    /// The fencing token.
    pub token: u64,
    /// The worker has the lock by a lease, and takes it again by itself until that is recalled.
    pub lease: Option<Lease>,
}

/// Where a lease is in the worker's segment, and which one it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// Its line.
    pub slot: u32,
    /// Its number.
    pub tag: u64,
    /// The worker's tokens are those behind the lock's and below this.
    pub until: u64,
}

impl Obtained {
    /// The result of the call.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(28);
        bytes.extend_from_slice(&self.token.to_le_bytes());
        if let Some(Lease { slot, tag, until }) = self.lease {
            bytes.extend_from_slice(&slot.to_le_bytes());
            bytes.extend_from_slice(&tag.to_le_bytes());
            bytes.extend_from_slice(&until.to_le_bytes());
        }
        bytes
    }

    /// Reads the result of the call; `None` when it is none.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let (token, rest) = bytes.split_first_chunk::<8>()?;
        let token = u64::from_le_bytes(*token);
        if rest.is_empty() {
            return Some(Self { token, lease: None });
        }
        let (slot, rest) = rest.split_first_chunk::<4>()?;
        let (tag, until) = pair(rest)?;
        Some(Self { token, lease: Some(Lease { slot: u32::from_le_bytes(*slot), tag, until }) })
    }
}

/// Reads a number that is the whole body.
#[must_use]
pub fn number(bytes: &[u8]) -> Option<u64> {
    bytes.try_into().ok().map(u64::from_le_bytes)
}

/// Reads a token and a ttl.
#[must_use]
pub fn pair(bytes: &[u8]) -> Option<(u64, u64)> {
    let (token, ttl) = bytes.split_first_chunk::<8>()?;
    Some((u64::from_le_bytes(*token), number(ttl)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_goes_there_and_back() {
        let acquire = Acquire { unit: 7, shared: true, ttl: 5_000_000, wait: 1, name: "invoice:7" };
        assert_eq!(Acquire::parse(&acquire.encode()), Some(acquire));
        let empty = Acquire { unit: 0, shared: false, ttl: 0, wait: 0, name: "" };
        assert_eq!(Acquire::parse(&empty.encode()), Some(empty));
    }

    #[test]
    fn what_was_obtained_goes_there_and_back() {
        let plain = Obtained { token: 7, lease: None };
        let leased = Obtained { lease: Some(Lease { slot: 31, tag: 8, until: u64::MAX }), ..plain };
        for obtained in [plain, leased] {
            assert_eq!(Obtained::parse(&obtained.encode()), Some(obtained));
        }
        let bytes = leased.encode();
        let whole = |length: &usize| Obtained::parse(&bytes[..*length]).is_some();
        assert_eq!((0..=bytes.len()).filter(whole).collect::<Vec<_>>(), [8, 28]);
        assert_eq!(Obtained::parse(&[&bytes[..], b"x"].concat()), None);
    }

    #[test]
    fn what_is_none_is_refused() {
        let bytes = Acquire { unit: 7, shared: true, ttl: 1, wait: 1, name: "" }.encode();
        assert!((0..bytes.len()).all(|length| Acquire::parse(&bytes[..length]).is_none()));
        assert_eq!(Acquire::parse(&[&bytes[..], b"\xff"].concat()), None);
        assert_eq!((number(b"1234567"), number(b"123456789"), pair(b"12345678")), (None, None, None));
        assert_eq!(pair(&[1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0]), Some((1, 2)));
    }
}
