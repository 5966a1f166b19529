//! What a broken worker can do to its segment, for tests of the master.

use rr_os::memory::{Mapping, Part};
use std::io;
use std::os::fd::AsFd;

/// Overwrites `bytes` of a segment at `offset`, as a broken worker would. For tests of the master.
///
/// # Errors
/// The memory cannot be mapped, or the range lies outside of it.
pub fn scribble(file: &impl AsFd, offset: usize, bytes: &[u8]) -> io::Result<()> {
    let size = usize::try_from(rr_os::memory::size(file)?).map_err(io::Error::other)?;
    if offset.checked_add(bytes.len()).is_none_or(|end| end > size) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "outside the segment"));
    }
    let mapping = Mapping::new(file, &[Part { offset: 0, length: size, twice: false }])?;
    // SAFETY: `offset + length` is inside the mapping (checked above).
    let target = unsafe { mapping.part(0).add(offset) };
    // SAFETY: as above; the source is ordinary memory.
    unsafe { target.as_ptr().copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
    Ok(())
}
