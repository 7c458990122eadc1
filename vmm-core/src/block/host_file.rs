//! An image file or block device on the host: opened with care, locked, and accessed with
//! positioned vectored I/O.
//!
//! Nothing here knows image formats. [`super::storage`] lends the file to the qcow2 driver;
//! [`super::image`] uses it directly for raw images.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rustix::fs::FallocateFlags;

use super::error::{ImageAction, ImageError};
use super::lock::{self, Outcome};
use crate::text;

/// Most elements one `preadv` or `pwritev` takes (`IOV_MAX`, `linux/uio.h`: `UIO_MAXIOV`).
pub(super) const MAX_VECTORS: usize = 1024;

/// An open image file.
#[derive(Debug)]
pub(crate) struct HostFile {
    file: File,
    path: PathBuf,
    writable: bool,
    /// Length in bytes. Files grow by our own writes alone: the lock keeps others out.
    len: AtomicU64,
    /// Writes that end beyond this fail: no sane image reaches so far.
    limit: AtomicU64,
    /// Set once the kernel reported that it could not bring written data to the disk. It then
    /// forgets the data and reports success the next time, so this remembers.
    lost_writes: AtomicBool,
    /// Number of changes made.
    changes: AtomicU64,
    /// How many of them are known to be on stable storage.
    synced: AtomicU64,
    #[cfg(test)]
    pub(super) probe: super::testing::Probe,
}

/// What may be done with the file and who else may use it meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// Reading only; others may read too.
    Read,
    /// Reading and writing; nobody else may.
    Write,
    /// Reading without regard to others, for looking at headers.
    Peek,
}

impl HostFile {
    /// Opens the file or block device at `path` and locks it.
    pub(super) fn open(path: &Path, access: Access) -> Result<Self, ImageError> {
        let write = access == Access::Write;
        let opening = |error| ImageError::opening(path, write, error);
        // Look before opening: opening alone can block (a pipe) or do things (a tape drive).
        check_kind(path, &std::fs::metadata(path).map_err(opening)?)?;
        let file = File::options()
            .read(true)
            .write(write)
            .custom_flags(libc::O_NONBLOCK)
            .open(path)
            .map_err(opening)?;
        let metadata = file.metadata().map_err(opening)?;
        check_kind(path, &metadata)?;
        let mode = match access {
            Access::Read => Some(lock::Mode::Shared),
            Access::Write => Some(lock::Mode::Exclusive),
            Access::Peek => None,
        };
        if let Some(mode) = mode {
            match lock::lock(&file, mode).map_err(ImageError::io(path, ImageAction::Lock))? {
                Outcome::Locked => {}
                Outcome::InUse => return Err(ImageError::InUse(path.to_path_buf())),
                Outcome::Unsupported => {
                    tracing::warn!(path = %path.display(), "the file system has no locks");
                }
            }
        }
        Self::from_open(file, path, write)
    }

    /// Takes over a file that is open already.
    pub(super) fn from_open(file: File, path: &Path, writable: bool) -> Result<Self, ImageError> {
        let len = length(&file).map_err(ImageError::io(path, ImageAction::Read))?;
        Ok(Self {
            file,
            path: path.to_path_buf(),
            writable,
            len: len.into(),
            limit: u64::MAX.into(),
            lost_writes: false.into(),
            changes: 0.into(),
            synced: 0.into(),
            #[cfg(test)]
            probe: super::testing::Probe::default(),
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Length in bytes.
    pub(crate) fn len(&self) -> u64 {
        self.len.load(Ordering::Acquire)
    }

    pub(super) fn writable(&self) -> bool {
        self.writable
    }

    /// The device and inode, by which two names of one file are told.
    pub(super) fn identity(&self) -> io::Result<(u64, u64)> {
        self.file.metadata().map(|metadata| (metadata.dev(), metadata.ino()))
    }

    /// Bytes the file takes up on the host.
    pub(super) fn allocated(&self) -> io::Result<u64> {
        // `st_blocks` counts 512-byte units, whatever the block size: stat(2).
        self.file.metadata().map(|metadata| metadata.blocks().saturating_mul(512))
    }

    /// Makes writes that end beyond `limit` bytes fail.
    pub(super) fn set_limit(&self, limit: u64) {
        self.limit.store(limit, Ordering::Relaxed);
    }

    /// Whether a write may end there.
    pub(super) fn may_reach(&self, end: u64) -> bool {
        end <= self.limit.load(Ordering::Relaxed)
    }

    /// Lets writes reach `more` bytes further.
    pub(super) fn raise_limit(&self, more: u64) {
        let raised = |limit: u64| Some(limit.saturating_add(more));
        // The closure never declines.
        let _ = self.limit.fetch_update(Ordering::Relaxed, Ordering::Relaxed, raised);
    }

    /// Fills `buffer` from `offset`, with zeroes beyond the end of the file.
    pub(crate) fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let mut done = 0;
        while done < buffer.len() {
            match self.file.read_at(&mut buffer[done..], offset + done as u64) {
                Ok(0) => break,
                Ok(n) => done += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        buffer[done..].fill(0);
        Ok(())
    }

    /// Writes all of `buffer` to `offset`.
    pub(super) fn write_at(&self, buffer: &[u8], offset: u64) -> io::Result<()> {
        let vector =
            [libc::iovec { iov_base: buffer.as_ptr().cast_mut().cast(), iov_len: buffer.len() }];
        // SAFETY: the vector describes `buffer`, which is borrowed for the call, and `pwritev`
        // only reads from it.
        unsafe { self.write_vectored(&vector, offset) }
    }

    /// Fills the vectors from `offset` and tells how many bytes there were before the end of
    /// the file; what follows in the vectors is left as it was.
    ///
    /// # Safety
    /// Each vector describes memory that may be written for the length of the call.
    pub(super) unsafe fn read_vectored(
        &self,
        vectors: &[libc::iovec],
        offset: u64,
    ) -> io::Result<u64> {
        #[cfg(test)]
        self.probe.read(offset)?;
        transfer(vectors, offset, |pointer, count, at| {
            // SAFETY: the caller vouches for the memory; `transfer` passes a valid array.
            unsafe { libc::preadv(self.file.as_raw_fd(), pointer, count, at) }
        })
    }

    /// Writes all of the vectors to `offset`.
    ///
    /// # Safety
    /// Each vector describes memory that may be read for the length of the call.
    pub(super) unsafe fn write_vectored(
        &self,
        vectors: &[libc::iovec],
        offset: u64,
    ) -> io::Result<()> {
        let total: u64 = vectors.iter().map(|vector| vector.iov_len as u64).sum();
        let end = offset.checked_add(total).ok_or(io::ErrorKind::InvalidInput)?;
        if !self.may_reach(end) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                text!("the image refers to places far beyond its end"),
            ));
        }
        #[cfg(test)]
        // SAFETY: the caller's promise is the same.
        unsafe {
            self.probe.write(vectors, offset)?;
        }
        let done = self.change(|| {
            transfer(vectors, offset, |pointer, count, at| {
                // SAFETY: the caller vouches for the memory; `transfer` passes a valid array.
                unsafe { libc::pwritev(self.file.as_raw_fd(), pointer, count, at) }
            })
        })?;
        self.len.fetch_max(offset.saturating_add(done), Ordering::AcqRel);
        if done < total { Err(io::ErrorKind::WriteZero.into()) } else { Ok(()) }
    }

    /// Makes `len` bytes from `offset` read as zeroes and gives their space back. What lies
    /// beyond the end of the file reads as zeroes anyway; the file does not grow.
    ///
    /// # Errors
    /// [`io::ErrorKind::Unsupported`] when the file system has no holes.
    pub(super) fn punch(&self, offset: u64, len: u64) -> io::Result<()> {
        let len = len.min(self.len().saturating_sub(offset));
        if len == 0 {
            return Ok(());
        }
        #[cfg(test)]
        self.probe.punch(offset, len)?;
        let mode = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        self.change(|| retry(|| rustix::fs::fallocate(&self.file, mode, offset, len)))
            .map_err(unsupported)
    }

    /// Takes up space for `len` bytes from `offset`, which read as before; grows the file.
    ///
    /// # Errors
    /// [`io::ErrorKind::Unsupported`] when the file system cannot reserve space.
    pub(super) fn allocate(&self, offset: u64, len: u64) -> io::Result<()> {
        let end = offset.checked_add(len).ok_or(io::ErrorKind::InvalidInput)?;
        let mode = FallocateFlags::empty();
        self.change(|| retry(|| rustix::fs::fallocate(&self.file, mode, offset, len)))
            .map_err(unsupported)?;
        self.len.fetch_max(end, Ordering::AcqRel);
        Ok(())
    }

    /// The next stretch of data at or behind `offset`, from where to where; `None` when there is
    /// none. A file system that knows no holes takes all for data.
    pub(super) fn next_data(&self, offset: u64) -> io::Result<Option<(u64, u64)>> {
        use rustix::fs::{SeekFrom, seek};
        let len = self.len();
        if offset >= len {
            return Ok(None);
        }
        let start = match seek(&self.file, SeekFrom::Data(offset)) {
            Ok(start) => start,
            Err(rustix::io::Errno::NXIO) => return Ok(None),
            Err(rustix::io::Errno::INVAL) => return Ok(Some((offset, len))),
            Err(error) => return Err(error.into()),
        };
        let end = seek(&self.file, SeekFrom::Hole(start))?;
        Ok((start < len).then_some((start, end.min(len))))
    }

    /// Makes this file, which is new, share all blocks of `source` until one of them is written.
    ///
    /// # Errors
    /// [`io::ErrorKind::Unsupported`] when the file system cannot, or there are two.
    pub(super) fn share_blocks(&self, source: &Self) -> io::Result<()> {
        self.change(|| retry(|| rustix::fs::ioctl_ficlone(&self.file, &source.file))).map_err(
            |error| match error.raw_os_error() {
                Some(libc::EXDEV | libc::EPERM | libc::EBADF) => io::ErrorKind::Unsupported.into(),
                _ => unsupported(error),
            },
        )?;
        self.len.store(source.len(), Ordering::Release);
        Ok(())
    }

    /// Copies at most `len` bytes at `offset` of `source` to the same place of this file, without
    /// moving them through this process. How many were copied; 0 at the end of `source`.
    ///
    /// # Errors
    /// [`io::ErrorKind::Unsupported`] when the kernel cannot do it between these files.
    pub(super) fn copy_range(&self, source: &Self, offset: u64, len: u64) -> io::Result<u64> {
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        let (mut from, mut to) = (offset, offset);
        self.change(|| {
            retry(|| {
                let (from, to) = (Some(&mut from), Some(&mut to));
                rustix::fs::copy_file_range(&source.file, from, &self.file, to, len)
            })
        })
        .map(|copied| copied as u64)
        .map_err(|error| match error.raw_os_error() {
            Some(libc::EXDEV | libc::EPERM | libc::EBADF) => io::ErrorKind::Unsupported.into(),
            _ => unsupported(error),
        })
    }

    /// Sets the length; for files nobody else uses.
    pub(super) fn set_len(&self, len: u64) -> io::Result<()> {
        self.change(|| self.file.set_len(len))?;
        self.len.store(len, Ordering::Release);
        Ok(())
    }

    /// Brings all that was written to stable storage.
    pub(super) fn sync(&self) -> io::Result<()> {
        let lost = || io::Error::other(text!("earlier writes did not reach the disk and are lost"));
        if self.lost_writes.load(Ordering::Acquire) {
            return Err(lost());
        }
        // Counted once a change is made, so all that was made before this is covered.
        let changes = self.changes.load(Ordering::Acquire);
        if self.synced.load(Ordering::Acquire) >= changes {
            return Ok(());
        }
        let result = retry(|| rustix::fs::fdatasync(&self.file));
        #[cfg(test)]
        let result = self.probe.sync().and(result);
        match result {
            Ok(()) => {
                self.synced.fetch_max(changes, Ordering::AcqRel);
                Ok(())
            }
            Err(error) => {
                tracing::error!(path = %self.path.display(), %error, "data could not be synced");
                self.lost_writes.store(true, Ordering::Release);
                Err(error)
            }
        }
    }

    /// Takes note of a write through [`Self::descriptor`], of which `len` bytes were made.
    pub(super) fn wrote(&self, offset: u64, len: u64) {
        self.changes.fetch_add(1, Ordering::AcqRel);
        if len > 0 {
            // What has failed may lie beyond the end.
            self.len.fetch_max(offset.saturating_add(len), Ordering::AcqRel);
        }
    }

    /// Makes a change and counts it; one that fails may have been made in part.
    fn change<T>(&self, make: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        let result = make();
        self.changes.fetch_add(1, Ordering::AcqRel);
        result
    }

    /// The file's descriptor, for calls that end before the file is closed.
    pub(super) fn descriptor(&self) -> RawFd {
        self.file.as_raw_fd()
    }

    /// Whether a sync failed, so that a repeated one cannot mend what is lost.
    pub(super) fn lost_writes(&self) -> bool {
        self.lost_writes.load(Ordering::Acquire)
    }
}

impl Drop for HostFile {
    fn drop(&mut self) {
        lock::unlock(&self.file);
    }
}

fn check_kind(path: &Path, metadata: &std::fs::Metadata) -> Result<(), ImageError> {
    let kind = metadata.file_type();
    if kind.is_dir() {
        Err(ImageError::Directory(path.to_path_buf()))
    } else if kind.is_file() || kind.is_block_device() {
        Ok(())
    } else {
        Err(ImageError::NotAFile(path.to_path_buf()))
    }
}

fn length(file: &File) -> io::Result<u64> {
    let metadata = file.metadata()?;
    if metadata.file_type().is_block_device() {
        // A block device's inode has no length, but its end can be sought.
        Ok(rustix::fs::seek(file, rustix::fs::SeekFrom::End(0))?)
    } else {
        Ok(metadata.len())
    }
}

/// Calls a system call again while signals interrupt it.
fn retry<T>(mut call: impl FnMut() -> rustix::io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(rustix::io::Errno::INTR) => {}
            result => return result.map_err(io::Error::from),
        }
    }
}

/// Gives all the ways of saying “not here” the one kind that callers look for.
fn unsupported(error: io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(libc::EOPNOTSUPP | libc::ENOSYS | libc::ENODEV | libc::ENOTTY | libc::EINVAL) => {
            io::ErrorKind::Unsupported.into()
        }
        _ => error,
    }
}

/// Repeats `call` until all of `vectors` is moved or it moves nothing, and tells how many bytes
/// were moved.
fn transfer(
    vectors: &[libc::iovec],
    offset: u64,
    call: impl Fn(*const libc::iovec, libc::c_int, i64) -> isize,
) -> io::Result<u64> {
    let mut done = 0u64;
    let mut index = 0;
    // Bytes of `vectors[index]` that are moved already.
    let mut skip = 0;
    while index < vectors.len() {
        let window = &vectors[index..vectors.len().min(index + MAX_VECTORS)];
        let at = offset
            .checked_add(done)
            .and_then(|at| i64::try_from(at).ok())
            .ok_or(io::ErrorKind::InvalidInput)?;
        let moved = if skip == 0 {
            call(window.as_ptr(), window.len() as libc::c_int, at)
        } else {
            let mut rest = window.to_vec();
            // `skip` is less than the length, so the pointer stays within the memory.
            rest[0].iov_base = rest[0].iov_base.cast::<u8>().wrapping_add(skip).cast();
            rest[0].iov_len -= skip;
            call(rest.as_ptr(), rest.len() as libc::c_int, at)
        };
        if moved < 0 {
            let error = io::Error::last_os_error();
            if error.kind() == io::ErrorKind::Interrupted {
                continue;
            }
            return Err(error);
        }
        let mut left = moved as usize;
        done += left as u64;
        if left == 0 && window.iter().any(|vector| vector.iov_len != 0) {
            break;
        }
        while index < vectors.len() && left >= vectors[index].iov_len - skip {
            left -= vectors[index].iov_len - skip;
            index += 1;
            skip = 0;
        }
        skip += left;
    }
    Ok(done)
}

/// Sets what lies beyond the first `done` bytes of the vectors to zero.
///
/// # Safety
/// Each vector describes memory that may be written for the length of the call.
pub(super) unsafe fn zero_rest(vectors: &[libc::iovec], mut done: u64) {
    for vector in vectors {
        let skip = done.min(vector.iov_len as u64) as usize;
        done -= skip as u64;
        // SAFETY: the range lies within the vector's memory, for which the caller vouches.
        unsafe {
            vector.iov_base.cast::<u8>().add(skip).write_bytes(0, vector.iov_len - skip);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vectors(buffers: &mut [Vec<u8>]) -> Vec<libc::iovec> {
        buffers
            .iter_mut()
            .map(|b| libc::iovec { iov_base: b.as_mut_ptr().cast(), iov_len: b.len() })
            .collect()
    }

    #[test]
    fn short_transfers_and_many_vectors_are_completed() {
        let mut buffers: Vec<Vec<u8>> = (0..3000).map(|i| vec![0; i % 7]).collect();
        let total: usize = buffers.iter().map(Vec::len).sum();
        let vectors = vectors(&mut buffers);
        let moved = std::cell::RefCell::new(Vec::new());
        // A kernel that moves at most five bytes a call.
        let done = transfer(&vectors, 10, |pointer, count, at| {
            assert!(count as usize <= MAX_VECTORS);
            let mut left = 5;
            for i in 0..count as usize {
                // SAFETY: `transfer` passes an array of `count` elements.
                let vector = unsafe { &*pointer.add(i) };
                let n = vector.iov_len.min(left);
                moved.borrow_mut().extend((0..n).map(|k| vector.iov_base as usize + k));
                left -= n;
            }
            assert_eq!(at as usize, 10 + moved.borrow().len() - (5 - left));
            (5 - left) as isize
        })
        .unwrap();
        assert_eq!(done as usize, total);
        let expected: Vec<usize> =
            buffers.iter().flat_map(|b| (0..b.len()).map(|k| b.as_ptr() as usize + k)).collect();
        assert_eq!(*moved.borrow(), expected);
    }

    #[test]
    fn reads_stop_at_the_end_and_the_rest_is_zeroed() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let host = HostFile::open(file.path(), Access::Write).unwrap();
        host.write_at(&[7; 10], 3).unwrap();
        assert_eq!(host.len(), 13);
        let mut buffers = vec![vec![9; 4], vec![], vec![9; 20]];
        let vectors = vectors(&mut buffers);
        // SAFETY: the vectors describe `buffers`.
        let done = unsafe { host.read_vectored(&vectors, 5) }.unwrap();
        assert_eq!(done, 8);
        // SAFETY: as above.
        unsafe { zero_rest(&vectors, done) };
        assert_eq!(buffers[0], [7; 4]);
        assert_eq!(buffers[2][..4], [7; 4]);
        assert_eq!(buffers[2][4..], [0; 16]);
    }

    #[test]
    fn what_is_no_file_is_refused_without_opening_it() {
        let dir = tempfile::tempdir().unwrap();
        let open = |path: &Path| HostFile::open(path, Access::Read).unwrap_err();
        assert!(matches!(open(dir.path()), ImageError::Directory(_)));
        assert!(matches!(open(Path::new("/dev/null")), ImageError::NotAFile(_)));
        assert!(matches!(open(&dir.path().join("none")), ImageError::NotFound(_)));
        let fifo = dir.path().join("fifo");
        let name = std::ffi::CString::new(fifo.to_str().unwrap()).unwrap();
        // SAFETY: the name is a valid C string.
        assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
        assert!(matches!(open(&fifo), ImageError::NotAFile(_)));
    }
}
