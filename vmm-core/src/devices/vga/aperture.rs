//! BAR 0: video memory as the guest sees it directly.
//!
//! Owns the memory and its mapping, so that the mapping always goes first.

use std::io;
use std::sync::Arc;

use parking_lot::Mutex;

use super::pages::PageSet;
use super::vram::{self, Vram};
use crate::memory::{Access, MapError, MemoryMapper, SlotId};

/// Video memory with its place in the guest's address space.
pub(super) struct Aperture {
    vram: Vram,
    mapper: Arc<dyn MemoryMapper>,
    /// The mapping, while the guest has one.
    slot: Mutex<Option<SlotId>>,
}

impl Aperture {
    /// Zeroed memory, mapped nowhere.
    pub(super) fn new(mapper: Arc<dyn MemoryMapper>) -> io::Result<Self> {
        Ok(Self { vram: Vram::new()?, mapper, slot: Mutex::new(None) })
    }

    /// The memory.
    pub(super) fn vram(&self) -> &Vram {
        &self.vram
    }

    /// Moves the mapping to `address`, or takes it away.
    pub(super) fn move_to(&self, address: Option<u64>) {
        let mut slot = self.slot.lock();
        if let Some(old) = slot.take() {
            self.mapper.unmap(old);
            // The log of writes went with the mapping.
            self.vram.mark_all();
        }
        let Some(guest) = address else { return };
        let (host, len) = (self.vram.host(), vram::SIZE as u64);
        // SAFETY: the memory lives as long as `self.vram`; the mapping ends before, here or in
        // `drop`.
        match unsafe { self.mapper.map(guest, host, len, Access::ReadWriteLogged) } {
            Ok(new) => *slot = Some(new),
            // The guest chose the place; it sees an unmapped frame buffer, as it would with two
            // devices at one address.
            Err(error) => tracing::warn!("frame buffer at {guest:#x}: {error}"),
        }
    }

    /// The pages written since the last call, by the device or by the guest. What the guest wrote
    /// waits for the next call while mappings change.
    pub(super) fn take_dirty(&self) -> PageSet {
        let mut dirty = PageSet::default();
        self.vram.take_written(&mut dirty);
        // Being moved, it is marked as a whole.
        if let Some(slot) = self.slot.try_lock().and_then(|slot| *slot) {
            let mut logged = PageSet::default();
            match self.mapper.take_dirty(slot, logged.words_mut()) {
                Ok(()) => dirty.merge(&logged),
                Err(MapError::Busy) => {}
                Err(error) => {
                    tracing::debug!("no log of frame buffer writes: {error}");
                    dirty.fill();
                }
            }
        }
        dirty
    }
}

impl Drop for Aperture {
    fn drop(&mut self) {
        if let Some(slot) = self.slot.get_mut().take() {
            self.mapper.unmap(slot);
        }
    }
}
