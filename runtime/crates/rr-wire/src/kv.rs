//! Bodies of the native calls of key-value storages: texts and numbers one behind the other. Little endian, no padding;
//! a text is its length as u32 and its bytes.

use thiserror::Error;

/// What kind of value an item has.
pub mod kind {
    /// Bytes as somebody has given them; what they mean is the reader's business.
    pub const BYTES: u32 = 0;
    /// A PHP int, 8 bytes.
    pub const INT: u32 = 1;
    /// A PHP float, 8 bytes.
    pub const FLOAT: u32 = 2;
    /// A PHP bool, one byte.
    pub const BOOL: u32 = 3;
    /// PHP's null, no bytes.
    pub const NULL: u32 = 4;
    /// A PHP string.
    pub const STRING: u32 = 5;
    /// What PHP's `serialize()` gives.
    pub const SERIALIZED: u32 = 6;
    /// What `igbinary_serialize()` gives.
    pub const IGBINARY: u32 = 7;
    /// Beside one of the others: 8 bytes in front of the value are the millisecond of the monotonic clock after which it
    /// is stale and should be computed anew.
    pub const STALE: u32 = 0x100;
}

/// A body that is cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the body of a call is cut off at byte {0}")]
pub struct CutOff(pub usize);

/// Reads a body.
#[derive(Debug, Clone, Copy)]
pub struct Reading<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reading<'a> {
    /// From the start.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Whether there is nothing left.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        self.at >= self.bytes.len()
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], CutOff> {
        let end = self.at.checked_add(length).ok_or(CutOff(self.at))?;
        let part = self.bytes.get(self.at..end).ok_or(CutOff(self.at))?;
        self.at = end;
        Ok(part)
    }

    /// A number of 32 bits.
    ///
    /// # Errors
    /// There is none.
    pub fn u32(&mut self) -> Result<u32, CutOff> {
        Ok(u32::from_le_bytes(self.take(4)?.try_into().map_err(|_| CutOff(self.at))?))
    }

    /// A number of 64 bits.
    ///
    /// # Errors
    /// There is none.
    pub fn u64(&mut self) -> Result<u64, CutOff> {
        Ok(u64::from_le_bytes(self.take(8)?.try_into().map_err(|_| CutOff(self.at))?))
    }

    /// A text.
    ///
    /// # Errors
    /// There is none.
    pub fn text(&mut self) -> Result<&'a [u8], CutOff> {
        let length = self.u32()?;
        self.take(length as usize)
    }

    /// An item.
    ///
    /// # Errors
    /// There is none.
    pub fn item(&mut self) -> Result<Item<'a>, CutOff> {
        Ok(Item { key: self.text()?, kind: self.u32()?, ttl: self.u64()?, value: self.text()? })
    }
}

/// A key and its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Item<'a> {
    /// The key.
    pub key: &'a [u8],
    /// See [`kind`].
    pub kind: u32,
    /// Milliseconds it is to live, or has left; 0: for ever.
    pub ttl: u64,
    /// The value.
    pub value: &'a [u8],
}

/// Writes a body.
#[derive(Debug, Default)]
pub struct Writing(pub Vec<u8>);

impl Writing {
    /// A number of 32 bits.
    #[must_use]
    pub fn u32(mut self, number: u32) -> Self {
        self.0.extend_from_slice(&number.to_le_bytes());
        self
    }

    /// A number of 64 bits.
    #[must_use]
    pub fn u64(mut self, number: u64) -> Self {
        self.0.extend_from_slice(&number.to_le_bytes());
        self
    }

    /// A text; what is longer than 4 GiB is cut, which no channel carries.
    #[must_use]
    pub fn text(mut self, text: &[u8]) -> Self {
        let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
        self.0.extend_from_slice(&length.to_le_bytes());
        self.0.extend_from_slice(&text[..length as usize]);
        self
    }

    /// An item.
    #[must_use]
    pub fn item(self, item: &Item<'_>) -> Self {
        self.text(item.key).u32(item.kind).u64(item.ttl).text(item.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(key: Vec<u8>, value: Vec<u8>, kind: u32, ttl: u64) {
            let item = Item { key: &key, kind, ttl, value: &value };
            let body = Writing::default().text(b"name").item(&item).0;
            let mut reading = Reading::new(&body);
            prop_assert_eq!(reading.text(), Ok(&b"name"[..]));
            prop_assert_eq!(reading.item(), Ok(item));
            prop_assert!(reading.is_over());
            for end in 0..body.len() {
                let mut reading = Reading::new(&body[..end]);
                prop_assert!(reading.text().is_err() || reading.item().is_err());
            }
        }

        #[test]
        fn no_bytes_are_a_panic(bytes: Vec<u8>) {
            let mut reading = Reading::new(&bytes);
            while !reading.is_over() && reading.item().is_ok() {}
        }
    }
}
