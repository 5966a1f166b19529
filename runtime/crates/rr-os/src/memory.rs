//! Sealed memory files and their mappings, rings mapped twice in a row.

use rustix::fs::{MemfdFlags, SealFlags};
use rustix::mm::{MapFlags, ProtFlags};
use std::ffi::c_void;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::ptr::NonNull;

/// Bytes of a page of memory.
#[must_use]
pub fn page_size() -> usize {
    rustix::param::page_size()
}

/// Has the allocator keep up to 16 MiB of freed memory instead of giving it back to the kernel at every turn: buffers
/// of bodies come and go, and each return costs page faults and cleared pages.
pub fn keep_freed_memory() {
    const KEEP: libc::c_int = 16 * 1024 * 1024;
    // SAFETY: takes two integers; an option that is not understood changes nothing.
    unsafe { libc::mallopt(libc::M_TRIM_THRESHOLD, KEEP) };
    // SAFETY: as above. Setting one threshold ends glibc's own tuning of the other.
    unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, KEEP) };
}

/// A memory file of `size` bytes that nobody can shrink or grow any more, so that no peer can turn an access
/// of ours into SIGBUS.
///
/// # Errors
/// Out of descriptors or memory.
pub fn sealed(name: &str, size: usize) -> io::Result<OwnedFd> {
    let file = rustix::fs::memfd_create(name, MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    rustix::fs::ftruncate(&file, size as u64)?;
    rustix::fs::fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
    Ok(file)
}

/// The same for one that its maker maps first and closes to other writers then, see [`seal_writes`].
///
/// # Errors
/// Out of descriptors or memory.
pub fn unsealed(name: &str, size: usize) -> io::Result<OwnedFd> {
    let file = rustix::fs::memfd_create(name, MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    rustix::fs::ftruncate(&file, size as u64)?;
    rustix::fs::fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::GROW)?;
    Ok(file)
}

/// Has the kernel refuse every further way to write to a memory file; mappings that are there can go on.
///
/// # Errors
/// It was sealed before.
pub fn seal_writes(file: &impl AsFd) -> io::Result<()> {
    Ok(rustix::fs::fcntl_add_seals(file, SealFlags::FUTURE_WRITE | SealFlags::SEAL)?)
}

/// Bytes of a memory file.
///
/// # Errors
/// Not a file.
pub fn size(file: &impl AsFd) -> io::Result<u64> {
    Ok(u64::try_from(rustix::fs::fstat(file)?.st_size).unwrap_or(0))
}

/// Where a part of a file appears in a [`Mapping`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// First byte in the file; a multiple of the page size.
    pub offset: usize,
    /// Bytes; a multiple of the page size.
    pub length: usize,
    /// Map it a second time right behind itself, so that a frame that wraps is contiguous.
    pub twice: bool,
}

/// Parts of a file mapped one behind the other, readable and writable, shared.
#[derive(Debug)]
pub struct Mapping {
    base: NonNull<u8>,
    length: usize,
    starts: Vec<usize>,
}

// SAFETY: the mapping is plain memory owned by this value (O2); who reads and writes it concurrently is the
// business of rr-shm, which only hands out access under its own rules.
unsafe impl Send for Mapping {}
// SAFETY: as above; `&Mapping` gives out addresses only.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps `parts` of `file` in order.
    ///
    /// # Errors
    /// Out of address space or mappings (`vm.max_map_count`), or a part outside the file.
    pub fn new(file: &impl AsFd, parts: &[Part]) -> io::Result<Self> {
        Self::with(file, parts, ProtFlags::READ | ProtFlags::WRITE)
    }

    /// The same for reading only: a write through it ends the process.
    ///
    /// # Errors
    /// As with [`Mapping::new`].
    pub fn read_only(file: &impl AsFd, parts: &[Part]) -> io::Result<Self> {
        Self::with(file, parts, ProtFlags::READ)
    }

    fn with(file: &impl AsFd, parts: &[Part], access: ProtFlags) -> io::Result<Self> {
        let page = page_size();
        let whole = |bytes: usize| bytes.is_multiple_of(page);
        let aligned = |part: &Part| part.length > 0 && whole(part.offset) && whole(part.length);
        if !parts.iter().all(aligned) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "a part that is no whole number of pages",
            ));
        }
        let end = parts.iter().map(|part| part.offset + part.length).max().unwrap_or(0);
        if size(file)? < end as u64 {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "the shared memory is smaller than agreed",
            ));
        }
        let length = parts.iter().map(|part| part.length << usize::from(part.twice)).sum();
        // SAFETY: an anonymous reservation at an address of the kernel's choice touches nothing that exists.
        let base = unsafe {
            rustix::mm::mmap_anonymous(std::ptr::null_mut(), length, ProtFlags::empty(), MapFlags::PRIVATE)
        }?;
        let base = NonNull::new(base.cast::<u8>()).ok_or_else(|| io::Error::other("mmap gave address 0"))?;
        let mut mapping = Self { base, length, starts: Vec::with_capacity(parts.len()) };
        let mut at = 0;
        for part in parts {
            mapping.starts.push(at);
            for _ in 0..=usize::from(part.twice) {
                mapping.place(file, part, at, access)?;
                at += part.length;
            }
        }
        Ok(mapping)
    }

    fn place(&self, file: &impl AsFd, part: &Part, at: usize, access: ProtFlags) -> io::Result<()> {
        let address = self.base.as_ptr().wrapping_add(at).cast::<c_void>();
        // SAFETY: `address..address + length` lies inside the reservation made in `new`, which this value owns
        // (O2), so MAP_FIXED replaces nothing but that.
        unsafe {
            rustix::mm::mmap(
                address,
                part.length,
                access,
                MapFlags::SHARED | MapFlags::FIXED,
                file,
                part.offset as u64,
            )
        }?;
        Ok(())
    }

    /// The address of part `index`; valid as long as this value lives.
    #[must_use]
    pub fn part(&self, index: usize) -> NonNull<u8> {
        // SAFETY: `starts` holds offsets inside the mapping (built in `new`).
        unsafe { self.base.add(self.starts[index]) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the range was mapped in `new`, is owned by this value (O2) and not used after.
        let _ = unsafe { rustix::mm::munmap(self.base.as_ptr().cast(), self.length) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_mapped_twice_is_contiguous_over_its_end() {
        let page = page_size();
        let file = sealed("rr-test", 2 * page).expect("memfd");
        let parts = [
            Part { offset: 0, length: page, twice: false },
            Part { offset: page, length: page, twice: true },
        ];
        let mapping = Mapping::new(&file, &parts).expect("maps");
        let ring = mapping.part(1).as_ptr();
        // SAFETY: the part is `2 * page` bytes long as mapped.
        let over_the_end = unsafe { ring.add(page - 2) };
        // SAFETY: as above, and nobody else uses it.
        unsafe { std::ptr::write_bytes(over_the_end, 7, 4) };
        // SAFETY: as above.
        let wrapped = unsafe { std::slice::from_raw_parts(ring, 2) };
        assert_eq!(wrapped, [7, 7]);
    }

    #[test]
    fn a_sealed_file_cannot_be_truncated() {
        let file = sealed("rr-test", page_size()).expect("memfd");
        assert!(rustix::fs::ftruncate(&file, 0).is_err());
    }

    #[test]
    fn a_file_that_is_too_small_is_refused() {
        let file = sealed("rr-test", page_size()).expect("memfd");
        let part = Part { offset: 0, length: 2 * page_size(), twice: false };
        assert!(Mapping::new(&file, &[part]).is_err());
    }
}
