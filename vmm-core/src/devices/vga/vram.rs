//! Video memory: 16 MiB of host memory that the guest may also have mapped.
//!
//! vCPUs write here while the display side reads, so nobody ever holds a reference into it:
//! every access is a volatile read or write, or a raw copy. Offsets wrap at the end of the
//! memory, as the address lines of the hardware do, so no offset is out of bounds.
//!
//! The four planes of VGA are interleaved: plane `p` of plane offset `n` is byte `4n + p`, so
//! that one 32-bit access is what the latches hold.

use std::io;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous, munmap};

use super::pages::{PAGE, PAGES, PageSet, WORDS};

/// Bytes of video memory.
pub(super) const SIZE: usize = 16 << 20;
/// Plane offsets that fit in all of video memory.
pub(super) const PLANE_SIZE: u32 = (SIZE / 4) as u32;

/// The memory and which of its pages the device itself wrote (what the guest writes through its
/// mapping is in KVM's log).
pub(super) struct Vram {
    base: NonNull<u8>,
    written: [AtomicU64; WORDS],
}

// SAFETY: `base` is a mapping that this value owns until it is dropped; all access to it goes
// through raw volatile operations that tolerate concurrent writers.
unsafe impl Send for Vram {}
// SAFETY: as above; the bookkeeping is atomic.
unsafe impl Sync for Vram {}

impl Vram {
    /// Zeroed memory. The host provides pages as they are touched.
    pub(super) fn new() -> io::Result<Self> {
        // SAFETY: a new mapping at an address of the kernel's choice touches nothing that exists.
        let base = unsafe {
            mmap_anonymous(
                ptr::null_mut(),
                SIZE,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::PRIVATE | MapFlags::NORESERVE,
            )?
        };
        let base = NonNull::new(base.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { base, written: [const { AtomicU64::new(0) }; WORDS] })
    }

    /// Where it is, for mapping into the guest.
    pub(super) fn host(&self) -> *mut u8 {
        self.base.as_ptr()
    }

    fn byte(&self, at: usize) -> *mut u8 {
        // SAFETY: the remainder is below SIZE, the length of the mapping.
        unsafe { self.base.as_ptr().add(at % SIZE) }
    }

    fn quad(&self, offset: u32) -> *mut u32 {
        self.byte(offset as usize * 4).cast()
    }

    fn mark(&self, at: usize) {
        let page = at % SIZE / PAGE;
        let (word, bit) = (&self.written[page / 64], 1 << (page % 64));
        // Most writes hit a page already marked; looking first keeps the line shared.
        if word.load(Ordering::Relaxed) & bit == 0 {
            word.fetch_or(bit, Ordering::Release);
        }
    }

    /// The byte at `at`.
    pub(super) fn read(&self, at: usize) -> u8 {
        // SAFETY: `byte` points into the mapping.
        unsafe { self.byte(at).read_volatile() }
    }

    /// Writes the byte at `at`.
    pub(super) fn write(&self, at: usize, value: u8) {
        // SAFETY: `byte` points into the mapping.
        unsafe { self.byte(at).write_volatile(value) }
        self.mark(at);
    }

    /// The four planes at plane offset `offset`, plane 0 lowest.
    pub(super) fn planes(&self, offset: u32) -> u32 {
        // SAFETY: SIZE is a multiple of four and so is the offset: the pointer is aligned and
        // its four bytes are inside the mapping.
        u32::from_le(unsafe { self.quad(offset).read_volatile() })
    }

    /// Replaces the bits of `mask` at plane offset `offset`.
    pub(super) fn set_planes(&self, offset: u32, value: u32, mask: u32) {
        let merged = (self.planes(offset) & !mask) | (value & mask);
        // SAFETY: as in `planes`.
        unsafe { self.quad(offset).write_volatile(merged.to_le()) }
        self.mark(offset as usize * 4);
    }

    /// Copies out from `at`; what would lie past the end is left as it is.
    pub(super) fn copy_to(&self, at: usize, out: &mut [u8]) {
        let len = out.len().min(SIZE.saturating_sub(at));
        // SAFETY: `at + len` is at most SIZE, `len` at most the length of `out`, and `out`, being
        // an exclusive reference, does not overlap the mapping. A vCPU may write meanwhile; the
        // bytes copied are then old or new, and the page is drawn again.
        unsafe { ptr::copy_nonoverlapping(self.byte(at), out.as_mut_ptr(), len) }
    }

    /// Copies in at `at`; what would lie past the end is dropped.
    pub(super) fn copy_from(&self, at: usize, data: &[u8]) {
        let len = data.len().min(SIZE.saturating_sub(at));
        // SAFETY: as in `copy_to`, with source and destination exchanged.
        unsafe { ptr::copy_nonoverlapping(data.as_ptr(), self.byte(at), len) }
        for page in (at..at + len).step_by(PAGE) {
            self.mark(page);
        }
        if let Some(last) = len.checked_sub(1) {
            self.mark(at + last);
        }
    }

    /// Zeroes the first `len` bytes.
    pub(super) fn clear(&self, len: usize) {
        // SAFETY: at most SIZE bytes from the start of the mapping.
        unsafe { ptr::write_bytes(self.base.as_ptr(), 0, len.min(SIZE)) }
        self.mark_all();
    }

    /// Zeroes everything and gives the memory back to the host until it is touched again.
    pub(super) fn discard(&self) {
        // SAFETY: the range is this value's own private anonymous mapping: it reads as zeroes
        // afterwards and no reference into it exists.
        let done = unsafe { madvise(self.base.as_ptr().cast(), SIZE, Advice::LinuxDontNeed) };
        match done {
            Ok(()) => self.mark_all(),
            // Locked memory cannot be given back.
            Err(_) => self.clear(SIZE),
        }
    }

    /// Says that any page may have changed.
    pub(super) fn mark_all(&self) {
        for word in &self.written {
            word.store(u64::MAX, Ordering::Release);
        }
    }

    /// Moves the pages written by the device into `set`.
    pub(super) fn take_written(&self, set: &mut PageSet) {
        for (word, into) in self.written.iter().zip(set.words_mut()) {
            if word.load(Ordering::Relaxed) != 0 {
                *into |= word.swap(0, Ordering::Acquire);
            }
        }
    }

    /// The pages that are not all zeroes, with their contents.
    pub(super) fn used_pages(&self) -> impl Iterator<Item = (usize, Vec<u8>)> + '_ {
        let mut buffer = vec![0; PAGE];
        (0..PAGES).filter_map(move |page| {
            self.copy_to(page * PAGE, &mut buffer);
            buffer.iter().any(|&byte| byte != 0).then(|| (page, buffer.clone()))
        })
    }
}

impl Drop for Vram {
    fn drop(&mut self) {
        // SAFETY: the mapping is this value's own and nobody can use it any more. Failure would
        // leak address space, no more.
        let _ = unsafe { munmap(self.base.as_ptr().cast(), SIZE) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_wrap_and_writes_are_noted() {
        let vram = Vram::new().unwrap();
        vram.write(SIZE + PAGE + 1, 7);
        assert_eq!(vram.read(PAGE + 1), 7);
        vram.set_planes(PLANE_SIZE + 2048, 0x1234_5678, 0x00ff_ff00);
        assert_eq!(vram.planes(2048), 0x0034_5600);
        let mut set = PageSet::default();
        vram.take_written(&mut set);
        assert_eq!(set.iter().collect::<Vec<_>>(), [1, 2]);
        let mut again = PageSet::default();
        vram.take_written(&mut again);
        assert!(again.is_empty());
    }

    #[test]
    fn copies_stop_at_the_end() {
        let vram = Vram::new().unwrap();
        vram.copy_from(SIZE - 2, &[1, 2, 3, 4]);
        let mut out = [9; 4];
        vram.copy_to(SIZE - 2, &mut out);
        assert_eq!(out, [1, 2, 9, 9]);
        assert_eq!(vram.read(0), 0);
        vram.copy_to(SIZE + 1, &mut out);
        assert_eq!(out, [1, 2, 9, 9]);
    }

    #[test]
    fn discarding_zeroes() {
        let vram = Vram::new().unwrap();
        vram.write(12345, 1);
        assert_eq!(vram.used_pages().map(|(page, _)| page).collect::<Vec<_>>(), [3]);
        vram.discard();
        assert_eq!(vram.used_pages().count(), 0);
    }
}
