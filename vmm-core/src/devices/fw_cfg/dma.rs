//! The DMA interface (fw_cfg.rst, "Guest-side DMA Interface").

use vm_memory::{ByteValued, Bytes, GuestAddress};

use super::device::{FwCfg, Inner};

/// Bits of the control word.
mod control {
    pub(super) const ERROR: u32 = 1 << 0;
    pub(super) const READ: u32 = 1 << 1;
    pub(super) const SKIP: u32 = 1 << 2;
    pub(super) const SELECT: u32 = 1 << 3;
    pub(super) const WRITE: u32 = 1 << 4;
}

/// What reading the DMA address register gives: `QEMU CFG`.
pub(super) const SIGNATURE: u64 = 0x5145_4d55_2043_4647;

/// Bytes copied at a time.
const CHUNK: usize = 4096;

/// `FWCfgDmaAccess`: all fields big-endian.
#[derive(Clone, Copy, Default)]
#[repr(C)]
struct Descriptor {
    control: [u8; 4],
    length: [u8; 4],
    address: [u8; 8],
}

// SAFETY: an array of bytes in all but name: no padding, every bit pattern valid.
unsafe impl ByteValued for Descriptor {}

impl FwCfg {
    /// Carries out the descriptor at guest-physical `at` and writes its outcome back: zero, or
    /// [`control::ERROR`]. A descriptor outside RAM has nowhere to report to.
    pub(super) fn dma(&self, inner: &mut Inner, at: u64) {
        let Ok(descriptor) = self.ram.read_obj::<Descriptor>(GuestAddress(at)) else { return };
        let failed = self.transfer(inner, &descriptor).is_none();
        let outcome = if failed { control::ERROR } else { 0 };
        if let Err(error) = self.ram.write_obj(outcome.to_be_bytes(), GuestAddress(at)) {
            tracing::debug!("fw_cfg: the outcome of a DMA access is lost: {error}");
        }
    }

    fn transfer(&self, inner: &mut Inner, descriptor: &Descriptor) -> Option<()> {
        let control = u32::from_be_bytes(descriptor.control);
        let length = u32::from_be_bytes(descriptor.length) as usize;
        let address = u64::from_be_bytes(descriptor.address);
        if control & control::SELECT != 0 {
            self.select(inner, (control >> 16) as u16);
        }
        // One of these, in this order, when a guest sets several.
        if control & control::READ != 0 {
            self.dma_read(inner, address, length)
        } else if control & control::WRITE != 0 {
            self.dma_write(inner, address, length)
        } else {
            if control & control::SKIP != 0 {
                inner.cursor = inner.cursor.saturating_add(length as u64);
            }
            Some(())
        }
    }

    /// Copies from the item to the guest; past its end, zeroes.
    fn dma_read(&self, inner: &mut Inner, address: u64, length: usize) -> Option<()> {
        let mut buffer = [0; CHUNK];
        let mut done = 0;
        while done < length {
            let chunk = &mut buffer[..CHUNK.min(length - done)];
            self.read_item(inner, chunk);
            // The first address outside RAM ends the loop: it runs no longer than RAM is large.
            let at = GuestAddress(address.checked_add(done as u64)?);
            self.ram.write_slice(chunk, at).ok()?;
            done += chunk.len();
        }
        Some(())
    }

    /// Copies from the guest into a writable item, which must have room for all of it.
    fn dma_write(&self, inner: &mut Inner, address: u64, length: usize) -> Option<()> {
        let start = usize::try_from(inner.cursor).ok()?;
        let (contents, on_write) = self.writable(inner)?;
        let end = start.checked_add(length).filter(|end| *end <= contents.len())?;
        let mut bytes = vec![0; length];
        self.ram.read_slice(&mut bytes, GuestAddress(address)).ok()?;
        contents[start..end].copy_from_slice(&bytes);
        if let Some(on_write) = on_write {
            on_write(contents);
        }
        inner.cursor = end as u64;
        Some(())
    }
}
