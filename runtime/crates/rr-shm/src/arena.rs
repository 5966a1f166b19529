//! Who has which part of a table's arena. The allocator keeps its own words in the arena, between the allocations:
//! readers map them read-only, and take them for values only until they look at the bucket again.

use crate::table::{Memory, UNIT};
use rlsf::Tlsf;
use std::alloc::Layout;
use std::ptr::NonNull;
use std::sync::Arc;

/// Blocks of 32 bytes to 64 GiB.
type Blocks = Tlsf<'static, u32, u32, 31, 32>;

/// The allocator of an arena.
pub(crate) struct Arena {
    blocks: Blocks,
    memory: Arc<Memory>,
}

// SAFETY: the pointers inside lead into the mapping that `memory` holds (S1), which can be used from any thread.
unsafe impl Send for Arena {}

impl Arena {
    pub(crate) fn new(memory: Arc<Memory>) -> Self {
        let mut arena = Self { blocks: Blocks::new(), memory };
        arena.reset();
        arena
    }

    /// Forgets all allocations.
    pub(crate) fn reset(&mut self) {
        self.blocks = Blocks::new();
        let length = self.memory.arena() - UNIT;
        // Unit 0 is nobody's.
        let Some(start) = self.memory.bytes(1, 0, length) else { return };
        // SAFETY: the part of the arena from unit 1 on is inside the mapping (checked), stays mapped for as long as
        // `memory` (S1), and nothing else writes it (S3): the old allocator is gone.
        let _ = unsafe { self.blocks.insert_free_block_ptr(NonNull::slice_from_raw_parts(start, length)) };
    }

    /// Room for so many units; the first of them.
    pub(crate) fn allocate(&mut self, units: u32) -> Option<u32> {
        let layout = Layout::from_size_align(units as usize * UNIT, UNIT).ok()?;
        let at = self.blocks.allocate(layout)?;
        self.memory.unit_of(at)
    }

    /// Gives back what `allocate` has given.
    pub(crate) fn free(&mut self, unit: u32) {
        let Some(start) = self.memory.bytes(unit, 0, UNIT) else { return };
        // SAFETY: the store frees each unit once that `allocate` gave with this alignment; it keeps them in its chains
        // and takes them out before (the only caller is `Store::free`).
        unsafe { self.blocks.deallocate(start, UNIT) };
    }
}
