//! The body of a request whose multipart form the server has parsed: the parts in the order of the wire, so that
//! the worker can register them as PHP would. Little endian, no padding.
//!
//! ```text
//! field: u8 0  u32 name  u32 value | name value
//! file:  u8 1  u32 name  u32 file name  u32 type  u32 path  u8 error  u64 size | name file-name type path
//! ```

use thiserror::Error;

/// A part of a form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part<'a> {
    /// A plain value.
    Field {
        /// Its name as the client gave it.
        name: &'a [u8],
        /// Its value.
        value: &'a [u8],
    },
    /// An uploaded file, or why there is none.
    File(File<'a>),
}

/// An uploaded file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct File<'a> {
    /// The field's name as the client gave it.
    pub name: &'a [u8],
    /// The file's name as the client gave it, with its folders.
    pub file_name: &'a [u8],
    /// The content type as the client gave it; empty without one.
    pub mime: &'a [u8],
    /// Where it was stored; empty when `error` is not 0.
    pub path: &'a [u8],
    /// PHP's `UPLOAD_ERR_*`.
    pub error: u8,
    /// Bytes stored.
    pub size: u64,
}

/// The error of what is no file: a part without a name of any kind, behind which nothing was read.
pub const GARBLED: u8 = 255;

/// A block that is no form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a form block that is cut off or broken at byte {0}")]
pub struct FormError(pub usize);

/// Appends a part.
///
/// # Errors
/// A text is longer than 4 GiB.
pub fn encode(into: &mut Vec<u8>, part: &Part<'_>) -> Result<(), FormError> {
    let at = into.len();
    let long = |text: &[u8]| u32::try_from(text.len()).map(u32::to_le_bytes).map_err(|_| FormError(at));
    match part {
        Part::Field { name, value } => {
            into.push(0);
            into.extend_from_slice(&long(name)?);
            into.extend_from_slice(&long(value)?);
            into.extend_from_slice(name);
            into.extend_from_slice(value);
        }
        Part::File(file) => {
            into.push(1);
            let texts = [file.name, file.file_name, file.mime, file.path];
            for text in texts {
                into.extend_from_slice(&long(text)?);
            }
            into.push(file.error);
            into.extend_from_slice(&file.size.to_le_bytes());
            for text in texts {
                into.extend_from_slice(text);
            }
        }
    }
    Ok(())
}

/// Reads the parts of a block.
#[derive(Debug, Clone)]
pub struct Parts<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Parts<'a> {
    /// The parts of `bytes`.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Bytes read so far.
    #[must_use]
    pub const fn position(&self) -> usize {
        self.at
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], FormError> {
        let end = self.at.checked_add(length).filter(|end| *end <= self.bytes.len());
        let end = end.ok_or(FormError(self.at))?;
        let text = &self.bytes[self.at..end];
        self.at = end;
        Ok(text)
    }

    fn length(&mut self) -> Result<usize, FormError> {
        let bytes = self.take(4)?;
        Ok(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) as usize)
    }

    fn part(&mut self) -> Result<Part<'a>, FormError> {
        let at = self.at;
        match self.take(1)? {
            [0] => {
                let (name, value) = (self.length()?, self.length()?);
                Ok(Part::Field { name: self.take(name)?, value: self.take(value)? })
            }
            [1] => {
                let lengths = [self.length()?, self.length()?, self.length()?, self.length()?];
                let error = self.take(1)?[0];
                let mut size = [0; 8];
                size.copy_from_slice(self.take(8)?);
                let [name, file_name, mime, path] = lengths;
                Ok(Part::File(File {
                    name: self.take(name)?,
                    file_name: self.take(file_name)?,
                    mime: self.take(mime)?,
                    path: self.take(path)?,
                    error,
                    size: u64::from_le_bytes(size),
                }))
            }
            _ => Err(FormError(at)),
        }
    }
}

impl<'a> Iterator for Parts<'a> {
    type Item = Result<Part<'a>, FormError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.bytes.len() {
            return None;
        }
        let part = self.part();
        if part.is_err() {
            self.at = self.bytes.len();
        }
        Some(part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn parts_survive_the_round_trip(texts: Vec<(Vec<u8>, Vec<u8>, bool)>, size: u64, error: u8) {
            let parts: Vec<Part<'_>> = texts.iter().map(|(name, value, is_file)| if *is_file {
                Part::File(File { name, file_name: value, mime: b"a/b", path: name, error, size })
            } else {
                Part::Field { name, value }
            }).collect();
            let mut bytes = Vec::new();
            for part in &parts {
                encode(&mut bytes, part).expect("encodes");
            }
            let read: Result<Vec<_>, _> = Parts::new(&bytes).collect();
            prop_assert_eq!(read.expect("reads"), parts);
        }

        #[test]
        fn garbage_is_an_error_and_no_panic(bytes: Vec<u8>) {
            let _ = Parts::new(&bytes).count();
        }
    }
}
