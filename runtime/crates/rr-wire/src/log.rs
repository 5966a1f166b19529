//! Log records that a worker sends on the call lane, one way: `u8 level, u32 unit, u32 length of the text, text,
//! context`.

/// The method of a log record.
pub const METHOD: &str = "worker.Log";

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Level {
    /// For the developer.
    Debug = 0,
    /// Worth knowing.
    Info = 1,
    /// Something to look at.
    Warn = 2,
    /// Something is broken.
    Error = 3,
}

/// A record. `unit` is 0 outside of a unit of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'a> {
    /// How bad it is.
    pub level: Level,
    /// The unit of work it belongs to.
    pub unit: u32,
    /// The message, in whatever encoding PHP had it.
    pub text: &'a [u8],
    /// What else belongs to it, as JSON; empty without any.
    pub context: &'a [u8],
}

impl<'a> Record<'a> {
    /// How long the body is, in bytes.
    #[must_use]
    pub const fn size(&self) -> usize {
        9 + self.text.len() + self.context.len()
    }

    /// The body of the call.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.size());
        bytes.push(self.level as u8);
        bytes.extend_from_slice(&self.unit.to_le_bytes());
        bytes.extend_from_slice(&u32::try_from(self.text.len()).unwrap_or(u32::MAX).to_le_bytes());
        bytes.extend_from_slice(self.text);
        bytes.extend_from_slice(self.context);
        bytes
    }

    /// Reads the body of the call; `None` when it is too short. An unknown level is an error record: it is
    /// better seen than lost.
    #[must_use]
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (level, rest) = bytes.split_first()?;
        let (unit, rest) = rest.split_first_chunk::<4>()?;
        let (length, rest) = rest.split_first_chunk::<4>()?;
        let (text, context) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        let level = match level {
            0 => Level::Debug,
            1 => Level::Info,
            2 => Level::Warn,
            _ => Level::Error,
        };
        Some(Self { level, unit: u32::from_le_bytes(*unit), text, context })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_survive_the_round_trip_and_short_ones_are_refused() {
        for context in [&b""[..], b"{\"a\":1}"] {
            let record = Record { level: Level::Warn, unit: 7, text: b"caf\xe9", context };
            let bytes = record.encode();
            assert_eq!(bytes.len(), record.size());
            assert_eq!(Record::parse(&bytes), Some(record));
        }
        assert_eq!(Record::parse(b"\x01\0\0\0"), None);
        assert_eq!(Record::parse(b"\x01\0\0\0\0\x02\0\0\0x"), None, "shorter than it says");
        let unknown = Record::parse(b"\xff\0\0\0\0\x01\0\0\0x");
        assert_eq!(unknown.map(|record| record.level), Some(Level::Error));
    }
}
