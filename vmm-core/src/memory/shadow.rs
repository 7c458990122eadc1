//! The RAM between 768 KiB and 1 MiB and its write protection (Q35 datasheet §5.1.4, PAM0-PAM6).
//!
//! The machine fills this RAM with the firmware's tail at reset, which is also what the ROM
//! behind it would show. Reads therefore always come from RAM, and only the registers' write
//! enables matter.

use std::sync::Arc;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::{Access, MapError, MemoryMapper, SHADOW, SlotId};

/// 0xC0000 to 0xEFFFF in 16 KiB pieces, then 0xF0000 to 0xFFFFF as one.
const SEGMENTS: usize = 13;
const PAM_WRITE_ENABLE: u8 = 2;

/// The seven PAM registers, PAM0 first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ShadowState(pub [u8; 7]);

impl ShadowState {
    fn writable(self, segment: usize) -> bool {
        // PAM0's high nibble is the last segment; PAM1 to PAM6 hold two segments each, the lower
        // address in the low nibble.
        let nibble = match segment {
            12 => self.0[0] >> 4,
            n if n % 2 == 0 => self.0[1 + n / 2] & 0xf,
            n => self.0[1 + n / 2] >> 4,
        };
        nibble & PAM_WRITE_ENABLE != 0
    }

    /// Runs of equal protection, as offsets from the start of [`SHADOW`].
    fn runs(self) -> Vec<(u64, u64, bool)> {
        let mut runs: Vec<(u64, u64, bool)> = Vec::new();
        for segment in 0..SEGMENTS {
            let start = segment as u64 * 0x4000;
            let end = if segment == 12 { SHADOW.end - SHADOW.start } else { start + 0x4000 };
            let writable = self.writable(segment);
            match runs.last_mut() {
                Some(last) if last.2 == writable => last.1 = end,
                _ => runs.push((start, end, writable)),
            }
        }
        runs
    }
}

struct Inner {
    state: ShadowState,
    mapped: Vec<((u64, u64, bool), SlotId)>,
}

/// Maps the shadow RAM with the protection that the PAM registers ask for.
pub struct ShadowRam {
    mapper: Arc<dyn MemoryMapper>,
    host: *mut u8,
    inner: Mutex<Inner>,
}

// SAFETY: `host` is only handed to the mapper, never dereferenced here.
unsafe impl Send for ShadowRam {}
// SAFETY: as above; all mutable state is behind the lock.
unsafe impl Sync for ShadowRam {}

impl ShadowRam {
    /// Maps everything write-protected.
    ///
    /// # Errors
    /// When KVM refuses.
    ///
    /// # Safety
    /// `host` points to the host memory of [`SHADOW`], which outlives the mapper's use of it.
    pub unsafe fn new(mapper: Arc<dyn MemoryMapper>, host: *mut u8) -> Result<Self, MapError> {
        let inner = Mutex::new(Inner { state: ShadowState::default(), mapped: Vec::new() });
        let shadow = Self { mapper, host, inner };
        shadow.apply(&mut shadow.inner.lock(), ShadowState::default())?;
        Ok(shadow)
    }

    /// Takes new register values.
    ///
    /// # Errors
    /// When KVM refuses.
    pub fn set(&self, state: ShadowState) -> Result<(), MapError> {
        let mut inner = self.inner.lock();
        if inner.state == state {
            return Ok(());
        }
        self.apply(&mut inner, state)
    }

    fn apply(&self, inner: &mut Inner, state: ShadowState) -> Result<(), MapError> {
        let wanted = state.runs();
        inner.mapped.retain(|(run, slot)| {
            let keep = wanted.contains(run);
            if !keep {
                self.mapper.unmap(*slot);
            }
            keep
        });
        for run @ (start, end, writable) in wanted {
            if inner.mapped.iter().any(|(mapped, _)| *mapped == run) {
                continue;
            }
            let access = if writable { Access::ReadWrite } else { Access::ReadOnly };
            let host = self.host.wrapping_add(start as usize);
            // SAFETY: the run lies within the shadow RAM, which `new`'s caller keeps alive.
            let slot = unsafe { self.mapper.map(SHADOW.start + start, host, end - start, access)? };
            inner.mapped.push((run, slot));
        }
        inner.state = state;
        Ok(())
    }
}

impl Drop for ShadowRam {
    fn drop(&mut self) {
        for (_, slot) in self.inner.get_mut().mapped.drain(..) {
            self.mapper.unmap(slot);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_neighbours_share_a_mapping() {
        assert_eq!(ShadowState::default().runs(), [(0, 0x4_0000, false)]);
        let all = ShadowState([0x30, 0x33, 0x33, 0x33, 0x33, 0x33, 0x33]);
        assert_eq!(all.runs(), [(0, 0x4_0000, true)]);
        // What SeaBIOS leaves behind: option ROM space and the BIOS protected, 0xE4000 to
        // 0xEFFFF writable.
        let seabios = ShadowState([0x10, 0x11, 0x11, 0x11, 0x11, 0x31, 0x33]);
        let expected =
            [(0, 0x2_4000, false), (0x2_4000, 0x3_0000, true), (0x3_0000, 0x4_0000, false)];
        assert_eq!(seabios.runs(), expected);
    }
}
