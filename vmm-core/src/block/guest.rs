//! Guest memory as the buffers of a request.

use std::io;

use imago::io_buffers::{IoVector, IoVectorMut};
use vm_memory::{GuestMemoryBackend, VolatileSlice};

use super::Segment;
use crate::memory::GuestRam;

/// The host's view of a request's segments, checked to be within guest RAM.
pub(super) struct GuestBuffers<'a> {
    slices: Vec<VolatileSlice<'a>>,
}

impl<'a> GuestBuffers<'a> {
    /// Looks up the segments.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidInput`] when one is not wholly within guest RAM.
    pub(super) fn new(ram: &'a GuestRam, segments: &[Segment]) -> io::Result<Self> {
        let mut slices = Vec::with_capacity(segments.len());
        for segment in segments.iter().filter(|segment| segment.len != 0) {
            // One segment may lie in several regions that follow each other.
            for slice in ram.get_slices(segment.address, segment.len as usize) {
                slices.push(slice.map_err(|_| io::ErrorKind::InvalidInput)?);
            }
        }
        Ok(Self { slices })
    }

    /// The memory's addresses, as system calls take them. They are good as long as the RAM is.
    pub(super) fn vectors(&self) -> Vec<libc::iovec> {
        let vector = |slice: &VolatileSlice<'_>| libc::iovec {
            iov_base: slice.ptr_guard_mut().as_ptr().cast(),
            iov_len: slice.len(),
        };
        self.slices.iter().map(vector).collect()
    }

    /// Calls `read` with the memory to be filled.
    pub(super) fn fill(
        &self,
        read: impl FnOnce(IoVectorMut<'_>) -> io::Result<()>,
    ) -> io::Result<()> {
        let (buffers, _mapped) = IoVectorMut::from_volatile_slice(self.slices.as_slice());
        read(buffers)
    }

    /// Calls `write` with the memory to be taken.
    pub(super) fn take(
        &self,
        write: impl FnOnce(IoVector<'_>) -> io::Result<()>,
    ) -> io::Result<()> {
        let (buffers, _mapped) = IoVector::from_volatile_slice(self.slices.as_slice());
        write(buffers)
    }
}
