//! Lends a [`HostFile`] to the qcow2 driver of `imago`.
//!
//! Compared with the driver's own file type this one never holds a lock during I/O (a sync would
//! keep all other requests waiting), takes vectors of any length, and sends what a writable qcow2
//! image's metadata consists of through [`MetadataOrder`].

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use imago::io_buffers::{IoVector, IoVectorMut};
use imago::storage::drivers::CommonStorageHelper;
use imago::{FormatAccess, Storage, StorageOpenOptions};

use super::host_file::{HostFile, zero_rest};
use super::qcow2::MetadataOrder;

/// A file as the qcow2 driver sees it.
#[derive(Debug)]
pub(super) struct ImageStorage {
    file: Arc<HostFile>,
    /// There for images that are written.
    ordered: Option<Ordered>,
    helper: CommonStorageHelper,
}

#[derive(Debug)]
struct Ordered {
    order: Arc<MetadataOrder>,
    settling: Arc<Settling>,
}

impl ImageStorage {
    /// A file that is only read, or a new one that nobody relies on yet.
    pub(super) fn plain(file: Arc<HostFile>) -> Self {
        Self { file, ordered: None, helper: CommonStorageHelper::default() }
    }

    /// An image that must be whole at every moment.
    pub(super) fn ordered(
        file: Arc<HostFile>,
        order: Arc<MetadataOrder>,
        settling: Arc<Settling>,
    ) -> Self {
        let ordered = Some(Ordered { order, settling });
        Self { file, ordered, helper: CommonStorageHelper::default() }
    }
}

/// What is done before the driver marks clusters as free that the image in the file may still
/// refer to.
///
/// The driver would at once use them again, for its own tables without waiting for anything.
/// [`super::qcow2::Volume`] says what is called for while it makes the driver free something.
#[derive(Debug, Default)]
pub(super) struct Settling {
    /// A [`Settle`].
    now: AtomicU8,
    /// The image, whose caches are to be written.
    access: OnceLock<Weak<FormatAccess<ImageStorage>>>,
}

/// See [`Settling`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Settle {
    /// The clusters never were referred to by an L2 table in the file: they were to be used for
    /// something that failed, or held a top-level table that has moved.
    Links,
    /// References have been removed from L2 tables in memory; these must be on disk first.
    Tables,
    /// Likewise, but nothing will be allocated before the caller sees to it.
    Later,
}

impl Settling {
    pub(super) fn attach(&self, access: &Arc<FormatAccess<ImageStorage>>) {
        // Once for each image.
        let _ = self.access.set(Arc::downgrade(access));
    }

    /// Says what is called for until `during` has returned.
    pub(super) fn with<T>(&self, settle: Settle, during: impl FnOnce() -> T) -> T {
        self.now.store(settle as u8, Ordering::Release);
        let result = during();
        self.now.store(Settle::Links as u8, Ordering::Release);
        result
    }

    fn settle(&self, order: &MetadataOrder, file: &HostFile) -> io::Result<()> {
        let now = self.now.load(Ordering::Acquire);
        if now == Settle::Later as u8 {
            return Ok(());
        }
        if now == Settle::Tables as u8
            && let Some(access) = self.access.get().and_then(Weak::upgrade)
        {
            // The driver calls this holding its allocator's lock, which this call takes only
            // while there is something else to free; the volume sees to it that nothing is.
            access.flush()?;
            return order.sync(file);
        }
        order.sync_links(file)
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
        if let Some(Ordered { order, .. }) = &self.ordered
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
        match &self.ordered {
            Some(Ordered { order, .. }) => order.sync(&self.file),
            None => self.file.sync(),
        }
    }

    fn settle_writes(&self) -> io::Result<()> {
        match &self.ordered {
            Some(Ordered { order, settling }) => settling.settle(order, &self.file),
            None => Ok(()),
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
