//! An open disk image with all its backing files, and blocking I/O on it.
//!
//! Everything the driver would trip over is checked before it sees the file; see
//! [`super::format`] for how a format is told and [`super::qcow2`] for the checks.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use imago::io_buffers::{IoVector, IoVectorMut};
use parking_lot::Mutex;

use super::chain::Chain;
use super::error::{ImageAction, ImageError};
use super::host_file::{Access, HostFile};
use super::qcow2::{Mapped, Volume};
use super::{Format, Operation, format};
use crate::units::Bytes;

/// Largest disk: 64 TiB, the same as VHDX has.
pub const MAX_DISK_SIZE: Bytes = Bytes(64 << 40);
/// Most backing files beneath an image.
pub const MAX_BACKING_FILES: usize = 64;
/// Largest buffer of zeroes written where nothing cheaper works.
const ZERO_CHUNK: u64 = 1 << 20;
/// How to open an image.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DiskOptions {
    /// Whether writes fail. Others may then read the image, too.
    pub read_only: bool,
    /// The image's format. `None` looks at its contents.
    pub format: Option<Format>,
    /// Directories that backing files may be in, at any depth; `None` for anywhere.
    pub backing_directories: Option<Vec<PathBuf>>,
}

/// An open image.
#[derive(Debug)]
pub(super) struct Image {
    file: Arc<HostFile>,
    /// Size of the disk in bytes. It only grows.
    len: AtomicU64,
    /// Held while it does.
    growing: Mutex<()>,
    layout: Layout,
}

#[derive(Debug)]
enum Layout {
    Raw {
        /// The format was told from the contents, so these must not come to tell another.
        probed: bool,
    },
    Qcow2(Volume),
}

/// Where in an image's file a stretch of the disk's data is, for as long as this lives.
pub(super) struct Place {
    /// Offset in the file, in bytes.
    pub(super) offset: u64,
    /// Keeps what holds the data from being given to something else.
    pub(super) _mapped: Option<Mapped>,
}

impl Image {
    /// Opens the image at `path`.
    pub(super) fn open(path: &Path, options: &DiskOptions) -> Result<Self, ImageError> {
        let access = if options.read_only { Access::Read } else { Access::Write };
        let file = Arc::new(HostFile::open(path, access)?);
        let (found, probed) = match options.format {
            Some(format) => (format, false),
            None => (format::probe(&file)?, true),
        };
        match found {
            Format::Raw => {
                format::check_raw_length(&file)?;
                check_size(path, file.len())?;
                let len = file.len();
                Ok(Self::new(file, len, Layout::Raw { probed }))
            }
            Format::Qcow2 => {
                let volume = Chain::new(path, options).open(&file)?;
                Ok(Self::new(file, volume.len(), Layout::Qcow2(volume)))
            }
        }
    }

    fn new(file: Arc<HostFile>, len: u64, layout: Layout) -> Self {
        Self { file, len: len.into(), growing: Mutex::default(), layout }
    }

    /// Opens the file at `path` read-only as it is, unchecked.
    pub(super) fn plain(file: HostFile) -> Self {
        let len = file.len();
        Self::new(Arc::new(file), len, Layout::Raw { probed: false })
    }

    pub(super) fn format(&self) -> Format {
        match self.layout {
            Layout::Raw { .. } => Format::Raw,
            Layout::Qcow2(_) => Format::Qcow2,
        }
    }

    /// Size of the disk in bytes.
    pub(super) fn len(&self) -> u64 {
        self.len.load(Ordering::Acquire)
    }

    pub(super) fn read_only(&self) -> bool {
        !self.file.writable()
    }

    pub(super) fn file(&self) -> &HostFile {
        &self.file
    }

    /// Fills `buffers` from `offset`.
    pub(super) fn read(&self, buffers: IoVectorMut<'_>, offset: u64) -> io::Result<()> {
        self.check_range(offset, buffers.len())?;
        match &self.layout {
            Layout::Raw { .. } => {
                let len = buffers.len();
                // SAFETY: the vectors are used only while `buffers` is borrowed mutably.
                let vectors = unsafe { buffers.as_iovec() };
                // SAFETY: they describe the memory `buffers` borrows.
                let done = unsafe { self.file.read_vectored(vectors, offset) }?;
                // The file was long enough when it was opened.
                if done < len { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
            }
            Layout::Qcow2(volume) => volume.read(buffers, offset),
        }
    }

    /// Writes `buffers` to `offset`.
    pub(super) fn write(&self, buffers: IoVector<'_>, offset: u64) -> io::Result<()> {
        self.check_write(offset, buffers.len())?;
        match &self.layout {
            Layout::Raw { probed: true } if offset < 512 && !buffers.is_empty() => {
                // The guest may change its memory while we look, so what is looked at is a copy.
                let (head, rest) = buffers.split_at(512 - offset);
                let (head_len, mut sector) = (head.len(), [0; 512]);
                self.file.read_at(&mut sector, 0)?;
                let start = offset as usize;
                head.copy_into_slice(&mut sector[start..start + head_len as usize]);
                if format::mimics_other_format(&sector) {
                    return Err(io::ErrorKind::PermissionDenied.into());
                }
                self.file.write_at(&sector, 0)?;
                // SAFETY: the vectors are used only while `rest` lives.
                let vectors = unsafe { rest.as_iovec() };
                // SAFETY: they describe the memory `rest` borrows.
                unsafe { self.file.write_vectored(vectors, offset + head_len) }
            }
            Layout::Raw { .. } => {
                // SAFETY: the vectors are used only while `buffers` lives.
                let vectors = unsafe { buffers.as_iovec() };
                // SAFETY: they describe the memory `buffers` borrows.
                unsafe { self.file.write_vectored(vectors, offset) }
            }
            Layout::Qcow2(volume) => volume.write(buffers, offset),
        }
    }

    /// Where the `len` bytes at `offset` are, if to read or write them there is all there is to
    /// `operation`. Does not wait for others.
    pub(super) fn place(&self, operation: Operation, offset: u64, len: u64) -> Option<Place> {
        let write = match operation {
            Operation::Read => false,
            Operation::Write => true,
            _ => return None,
        };
        if write { self.check_write(offset, len) } else { self.check_range(offset, len) }.ok()?;
        match &self.layout {
            Layout::Raw { probed: true } if write && offset < 512 => None,
            Layout::Raw { .. } => Some(Place { offset, _mapped: None }),
            Layout::Qcow2(volume) => volume.place(offset, len, write),
        }
    }

    /// Brings all completed writes to stable storage.
    pub(super) fn flush(&self) -> io::Result<()> {
        if self.read_only() {
            return Ok(());
        }
        match &self.layout {
            Layout::Raw { .. } => self.file.sync(),
            Layout::Qcow2(volume) => volume.flush(),
        }
    }

    /// Gives back the space of `len` bytes from `offset`, where that is possible; they then read
    /// as zeroes or as before.
    pub(super) fn discard(&self, offset: u64, len: u64) -> io::Result<()> {
        self.check_write(offset, len)?;
        match &self.layout {
            Layout::Raw { .. } => or_unsupported(self.file.punch(offset, len)),
            Layout::Qcow2(volume) => volume.discard(offset, len),
        }
    }

    /// Makes `len` bytes from `offset` read as zeroes.
    pub(super) fn write_zeroes(&self, offset: u64, len: u64) -> io::Result<()> {
        self.check_write(offset, len)?;
        match &self.layout {
            Layout::Raw { .. } => match self.file.punch(offset, len) {
                Err(error) if error.kind() == io::ErrorKind::Unsupported => {
                    write_zero_buffers(offset, len, |zeroes, at| self.file.write_at(zeroes, at))
                }
                result => result,
            },
            Layout::Qcow2(volume) => volume.write_zeroes(offset, len),
        }
    }

    /// Makes the disk larger, also while it is in use; what is added reads as zeroes.
    ///
    /// # Errors
    /// When the size is impossible or smaller than now, or the image cannot grow. It is then used
    /// as before.
    pub(super) fn grow(&self, size: Bytes) -> Result<(), ImageError> {
        check_new_size(size)?;
        let path = self.file.path();
        let _growing = self.growing.lock();
        let current = Bytes(self.len());
        if size < current {
            let path = path.to_path_buf();
            return Err(ImageError::WouldShrink { path, current, wanted: size });
        }
        let grown = match &self.layout {
            _ if self.read_only() => Err(io::ErrorKind::PermissionDenied.into()),
            Layout::Raw { .. } => self.file.set_len(size.0),
            Layout::Qcow2(volume) if volume.has_snapshots() => {
                return Err(ImageError::GrowWithSnapshots(path.to_path_buf()));
            }
            Layout::Qcow2(volume) => volume.grow(current.0, size.0),
        };
        grown.and_then(|()| self.flush()).map_err(ImageError::io(path, ImageAction::Grow))?;
        // Only now: what is written there must not be lost with the new size.
        self.len.store(size.0, Ordering::Release);
        Ok(())
    }

    fn check_range(&self, offset: u64, len: u64) -> io::Result<()> {
        match offset.checked_add(len) {
            Some(end) if end <= self.len() => Ok(()),
            _ => Err(io::ErrorKind::InvalidInput.into()),
        }
    }

    fn check_write(&self, offset: u64, len: u64) -> io::Result<()> {
        if self.read_only() {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        self.check_range(offset, len)
    }
}

/// Cuts a range at multiples of `size`.
pub(super) fn chunks(offset: u64, len: u64, size: u64) -> impl Iterator<Item = (u64, u64)> {
    let end = offset + len;
    let mut next = offset;
    std::iter::from_fn(move || {
        let start = next;
        next = (start - start % size).saturating_add(size).min(end);
        (start < end).then_some((start, next - start))
    })
}

pub(super) fn write_zero_buffers(
    offset: u64,
    len: u64,
    write: impl Fn(&[u8], u64) -> io::Result<()>,
) -> io::Result<()> {
    let zeroes = vec![0; len.min(ZERO_CHUNK) as usize];
    for (start, len) in chunks(offset, len, ZERO_CHUNK) {
        write(&zeroes[..len as usize], start)?;
    }
    Ok(())
}

/// Not to be able to give space back is no failure.
pub(super) fn or_unsupported(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::Unsupported => Ok(()),
        result => result,
    }
}

/// Whether a disk can be made so large.
pub(super) fn check_new_size(size: Bytes) -> Result<(), ImageError> {
    if size.0 == 0 || !size.0.is_multiple_of(512) || size > MAX_DISK_SIZE {
        return Err(ImageError::InvalidSize { size, max: MAX_DISK_SIZE });
    }
    Ok(())
}

pub(super) fn check_size(path: &Path, size: u64) -> Result<(), ImageError> {
    if size <= MAX_DISK_SIZE.0 {
        return Ok(());
    }
    Err(ImageError::TooLarge { path: path.to_path_buf(), size: Bytes(size), max: MAX_DISK_SIZE })
}
