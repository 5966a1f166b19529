//! Log records that a worker sends on the call lane, one way: what PHP prints and reports
//! (`u8 level, u32 unit, u32 length of the text, text, context`),
//! and what the app itself logs, with channel and fields
//! (`u8 level, u32 unit, u8 length, channel, u32 length, text, JSON object`).

/// The method of a log record.
pub const METHOD: &str = "worker.Log";

/// The method of an entry.
pub const ENTRY: &str = "worker.Entry";

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

impl Level {
    /// An unknown one is an error: it is better seen than lost.
    const fn of(byte: u8) -> Self {
        match byte {
            0 => Self::Debug,
            1 => Self::Info,
            2 => Self::Warn,
            _ => Self::Error,
        }
    }
}

/// What the app logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry<'a> {
    /// How bad it is.
    pub level: Level,
    /// The unit of work it belongs to; 0: none.
    pub unit: u32,
    /// The logger's name, of up to 255 bytes.
    pub channel: &'a str,
    /// The message, in whatever encoding PHP had it.
    pub text: &'a [u8],
    /// A JSON object of fields, or nothing.
    pub fields: &'a [u8],
}

impl<'a> Entry<'a> {
    /// The body of the call.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let channel = self.channel.get(..255).unwrap_or(self.channel).as_bytes();
        let channel = &channel[..channel.len().min(255)];
        let mut bytes = Vec::with_capacity(10 + channel.len() + self.text.len() + self.fields.len());
        bytes.push(self.level as u8);
        bytes.extend_from_slice(&self.unit.to_le_bytes());
        bytes.push(u8::try_from(channel.len()).unwrap_or(0));
        bytes.extend_from_slice(channel);
        bytes.extend_from_slice(&u32::try_from(self.text.len()).unwrap_or(0).to_le_bytes());
        bytes.extend_from_slice(self.text);
        bytes.extend_from_slice(self.fields);
        bytes
    }

    /// Reads the body of the call; `None`: it is none.
    #[must_use]
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (level, rest) = bytes.split_first()?;
        let (unit, rest) = rest.split_first_chunk::<4>()?;
        let (length, rest) = rest.split_first()?;
        let (channel, rest) = rest.split_at_checked(usize::from(*length))?;
        let (length, rest) = rest.split_first_chunk::<4>()?;
        let (text, fields) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        let channel = std::str::from_utf8(channel).ok()?;
        Some(Self { level: Level::of(*level), unit: u32::from_le_bytes(*unit), channel, text, fields })
    }
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
        let level = Level::of(*level);
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
        let fields = br#"{"id":1}"#;
        let entry = Entry { level: Level::Info, unit: 9, channel: "app", text: b"caf\xe9", fields };
        let bytes = entry.encode();
        assert_eq!(Entry::parse(&bytes), Some(entry));
        assert!((0..bytes.len() - fields.len()).all(|length| Entry::parse(&bytes[..length]).is_none()));
        assert_eq!(Record::parse(b"\x01\0\0\0\0\x02\0\0\0x"), None, "shorter than it says");
        let unknown = Record::parse(b"\xff\0\0\0\0\x01\0\0\0x");
        assert_eq!(unknown.map(|record| record.level), Some(Level::Error));
    }
}
