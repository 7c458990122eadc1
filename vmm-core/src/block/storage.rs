//! Lends a [`HostFile`] to the qcow2 driver of `imago`.
//!
//! Compared with the driver's own file type this one never holds a lock during I/O (a sync would
//! keep all other requests waiting), takes vectors of any length, and sends what a writable qcow2
//! image's metadata consists of through [`MetadataOrder`].

use std::fmt;
use std::io;
use std::sync::Arc;

use imago::io_buffers::{IoVector, IoVectorMut};
use imago::storage::drivers::CommonStorageHelper;
use imago::{Storage, StorageOpenOptions};

use super::host_file::{HostFile, zero_rest};
use super::qcow2::MetadataOrder;

/// A file as the qcow2 driver sees it.
#[derive(Debug)]
pub(super) struct ImageStorage {
    file: Arc<HostFile>,
    /// There for images that are written.
    order: Option<Arc<MetadataOrder>>,
    helper: CommonStorageHelper,
}

impl ImageStorage {
    pub(super) fn new(file: Arc<HostFile>, order: Option<Arc<MetadataOrder>>) -> Self {
        Self { file, order, helper: CommonStorageHelper::default() }
    }
}

impl fmt::Display for ImageStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.file.path().display().fmt(f)
    }
}

impl Storage for ImageStorage {
    fn open(_: StorageOpenOptions) -> io::Result<Self> {
        // Files are opened by `image` alone, which checks them first.
        Err(io::ErrorKind::Unsupported.into())
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.file.len())
    }

    unsafe fn pure_readv(&self, buffers: IoVectorMut<'_>, offset: u64) -> io::Result<()> {
        // SAFETY: the vectors are used only while `buffers` is borrowed mutably, below.
        let vectors = unsafe { buffers.as_iovec() };
        // SAFETY: they describe the memory `buffers` borrows.
        unsafe {
            let done = self.file.read_vectored(vectors, offset)?;
            zero_rest(vectors, done);
        }
        Ok(())
    }

    unsafe fn pure_writev(&self, buffers: IoVector<'_>, offset: u64) -> io::Result<()> {
        if let Some(order) = &self.order
            && order.concerns(offset, buffers.len())
        {
            let data = buffers.try_into_owned(1)?;
            return order.write(&self.file, data.as_ref().into_slice(), offset);
        }
        // SAFETY: the vectors are used only while `buffers` lives, below.
        let vectors = unsafe { buffers.as_iovec() };
        // SAFETY: they describe the memory `buffers` borrows.
        unsafe { self.file.write_vectored(vectors, offset) }
    }

    unsafe fn pure_write_zeroes(&self, offset: u64, length: u64) -> io::Result<()> {
        // The driver zeroes clusters of data only, of which reads beyond the end give zeroes.
        self.file.punch(offset, length)
    }

    unsafe fn pure_write_allocated_zeroes(&self, offset: u64, length: u64) -> io::Result<()> {
        self.file.punch(offset, length)?;
        self.file.allocate(offset, length)
    }

    unsafe fn pure_discard(&self, offset: u64, length: u64) -> io::Result<()> {
        self.file.punch(offset, length)
    }

    fn flush(&self) -> io::Result<()> {
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        match &self.order {
            Some(order) => order.sync(&self.file),
            None => self.file.sync(),
        }
    }

    unsafe fn invalidate_cache(&self) -> io::Result<()> {
        Ok(())
    }

    fn get_storage_helper(&self) -> &CommonStorageHelper {
        &self.helper
    }

    fn resize(&self, new_size: u64, _: imago::storage::PreallocateMode) -> io::Result<()> {
        self.file.set_len(new_size)
    }
}
