//! What workers say about locks on the call lane. All numbers are little-endian; spans are microseconds.
//!
//! | method | body | result |
//! |---|---|---|
//! | `lock.acquire` | `u32 unit, u8 shared, u64 ttl, u64 wait, name` | `u64 token`; empty: not obtained |
//! | `lock.release` | `u64 token` | `u8`: it was held |
//! | `lock.refresh` | `u64 token, u64 ttl` | `u8`: it is held |
//! | `lock.remaining` | `u64 token` | `u64`; empty: it is not held |
//! | `lock.exists`, `lock.force` | name | `u8`: it is, or was, held |

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
    fn what_is_none_is_refused() {
        let bytes = Acquire { unit: 7, shared: true, ttl: 1, wait: 1, name: "" }.encode();
        assert!((0..bytes.len()).all(|length| Acquire::parse(&bytes[..length]).is_none()));
        assert_eq!(Acquire::parse(&[&bytes[..], b"\xff"].concat()), None);
        assert_eq!((number(b"1234567"), number(b"123456789"), pair(b"12345678")), (None, None, None));
        assert_eq!(pair(&[1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0]), Some((1, 2)));
    }
}
