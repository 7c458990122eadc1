//! The flash's cells: pages that can be mapped into the guest.

use std::ptr::NonNull;
use std::slice;

use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};

use super::BLOCK_SIZE;

/// Page-aligned bytes. The guest may read them through a mapping at any time, but the device
/// takes that mapping away before it changes them.
pub(super) struct Cells {
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: the pages are owned by this value alone; access follows `&` and `&mut`.
unsafe impl Send for Cells {}

impl Cells {
    /// Cells that hold `contents`.
    pub(super) fn new(contents: &[u8]) -> std::io::Result<Self> {
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        let len = contents.len();
        // SAFETY: a new mapping, at an address of the kernel's choice.
        let start =
            unsafe { mmap_anonymous(std::ptr::null_mut(), len, protection, MapFlags::PRIVATE)? };
        let start = NonNull::new(start.cast()).ok_or(std::io::ErrorKind::OutOfMemory)?;
        let mut cells = Self { start, len };
        cells.bytes_mut().copy_from_slice(contents);
        Ok(cells)
    }

    pub(super) fn as_ptr(&self) -> *mut u8 {
        self.start.as_ptr()
    }

    pub(super) fn bytes(&self) -> &[u8] {
        // SAFETY: `start` and `len` are those of the mapping, which lives as long as `self`.
        unsafe { slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }

    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, and `self` is borrowed exclusively.
        unsafe { slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }

    /// Copies from `offset` on; past the end, `data` stays as it is.
    pub(super) fn read(&self, offset: usize, data: &mut [u8]) {
        let cells = self.bytes().get(offset..).unwrap_or_default();
        for (byte, cell) in data.iter_mut().zip(cells) {
            *byte = *cell;
        }
    }

    /// Sets the cells from `offset` on. Real flash only clears bits until a block is erased;
    /// firmware that keeps to that sees no difference, and the flash that stock firmware is
    /// tested with does not insist.
    pub(super) fn program(&mut self, offset: usize, data: &[u8]) {
        let cells = self.bytes_mut().get_mut(offset..).unwrap_or_default();
        for (cell, byte) in cells.iter_mut().zip(data) {
            *cell = *byte;
        }
    }

    /// Erases the block that `offset` lies in.
    pub(super) fn erase(&mut self, offset: usize) {
        if let Some(block) = self.bytes_mut().chunks_mut(BLOCK_SIZE).nth(offset / BLOCK_SIZE) {
            block.fill(0xff);
        }
    }
}

impl Drop for Cells {
    fn drop(&mut self) {
        // SAFETY: the mapping made in `new`, whose last user this is.
        if let Err(error) = unsafe { munmap(self.start.as_ptr().cast(), self.len) } {
            tracing::error!("the flash's memory cannot be freed: {error}");
        }
    }
}
