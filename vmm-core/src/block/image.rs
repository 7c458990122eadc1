//! An open disk image with all its backing files, and blocking I/O on it.
//!
//! Everything the driver would trip over is checked before it sees the file; see
//! [`super::format`] for how a format is told and [`super::qcow2`] for the checks.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use imago::format::PreallocateMode;
use imago::io_buffers::{IoVector, IoVectorMut};
use imago::qcow2::Qcow2;
use imago::raw::Raw;
use imago::{FormatAccess, ShallowMapping};
use parking_lot::RwLock;

use super::error::ImageError;
use super::host_file::{Access, HostFile};
use super::qcow2::{Header, MetadataOrder, Qcow2Error};
use super::storage::ImageStorage;
use super::{Format, format};
use crate::units::Bytes;

/// Largest disk: 64 TiB, the same as VHDX has.
pub const MAX_DISK_SIZE: Bytes = Bytes(64 << 40);
/// Most backing files beneath an image.
pub const MAX_BACKING_FILES: usize = 64;
/// Largest buffer of zeroes written where nothing cheaper works.
const ZERO_CHUNK: u64 = 1 << 20;
/// How much of a disk is discarded at a time, so that a discard of all of it does not keep other
/// requests waiting.
const DISCARD_CHUNK: u64 = 512 << 20;

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
    len: u64,
    layout: Layout,
}

#[derive(Debug)]
enum Layout {
    Raw {
        /// The format was told from the contents, so these must not come to tell another.
        probed: bool,
    },
    Qcow2 {
        access: FormatAccess<ImageStorage>,
        /// Taken for reading by reads and writes, and for writing by what takes clusters away:
        /// a read must not be left with a mapping that has become somebody else's, and the driver
        /// zeroes whole clusters whose rest it has found to be zero a moment before.
        mappings: RwLock<()>,
    },
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
                Ok(Self { file, len, layout: Layout::Raw { probed } })
            }
            Format::Qcow2 => {
                let mut chain = Chain::new(path, options);
                let (access, len) = chain.open_qcow2(&file, true)?;
                let mappings = RwLock::default();
                Ok(Self { file, len, layout: Layout::Qcow2 { access, mappings } })
            }
        }
    }

    /// Opens the file at `path` read-only as it is, unchecked.
    pub(super) fn plain(file: HostFile) -> Self {
        let len = file.len();
        Self { file: Arc::new(file), len, layout: Layout::Raw { probed: false } }
    }

    pub(super) fn format(&self) -> Format {
        match self.layout {
            Layout::Raw { .. } => Format::Raw,
            Layout::Qcow2 { .. } => Format::Qcow2,
        }
    }

    /// Size of the disk in bytes.
    pub(super) fn len(&self) -> u64 {
        self.len
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
            Layout::Qcow2 { access, mappings } => {
                let _shared = mappings.read();
                access.readv(buffers, offset)
            }
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
            Layout::Qcow2 { access, mappings } => {
                let _shared = mappings.read();
                access.writev(buffers, offset)
            }
        }
    }

    /// Brings all completed writes to stable storage.
    pub(super) fn flush(&self) -> io::Result<()> {
        if self.read_only() {
            return Ok(());
        }
        match &self.layout {
            Layout::Raw { .. } => self.file.sync(),
            Layout::Qcow2 { access, .. } => {
                access.flush()?;
                access.sync()
            }
        }
    }

    /// Gives back the space of `len` bytes from `offset`, where that is possible; they then read
    /// as zeroes or as before.
    pub(super) fn discard(&self, offset: u64, len: u64) -> io::Result<()> {
        self.check_write(offset, len)?;
        match &self.layout {
            Layout::Raw { .. } => or_unsupported(self.file.punch(offset, len)),
            Layout::Qcow2 { access, mappings } => {
                for (start, len) in chunks(offset, len, DISCARD_CHUNK) {
                    let _exclusive = mappings.write();
                    self.discard_clusters(access, start, len)?;
                }
                Ok(())
            }
        }
    }

    /// Makes `len` bytes from `offset` read as zeroes.
    pub(super) fn write_zeroes(&self, offset: u64, len: u64) -> io::Result<()> {
        self.check_write(offset, len)?;
        match &self.layout {
            Layout::Raw { .. } => match self.file.punch(offset, len) {
                Err(error) if error.kind() == io::ErrorKind::Unsupported => {
                    self.write_zero_buffers(offset, len)
                }
                result => result,
            },
            Layout::Qcow2 { access, mappings } => {
                for (start, len) in chunks(offset, len, DISCARD_CHUNK) {
                    let exclusive = mappings.write();
                    for (start, len, what) in runs(access, start, len)? {
                        if matches!(what, Run::Zero) {
                            continue;
                        }
                        match access.write_zeroes(start, len) {
                            // Version 2 has no zero clusters.
                            Err(error) if error.kind() == io::ErrorKind::Unsupported => {
                                write_zero_buffers(start, len, |zeroes, at| {
                                    access.write(zeroes, at)
                                })?;
                            }
                            result => result?,
                        }
                    }
                    drop(exclusive);
                }
                Ok(())
            }
        }
    }

    /// Makes the disk larger. The object is not for use after that.
    pub(super) fn grow(mut self, len: u64) -> io::Result<()> {
        match &mut self.layout {
            Layout::Raw { .. } => self.file.set_len(len)?,
            Layout::Qcow2 { access, .. } => {
                access.resize_grow(len, PreallocateMode::None)?;
            }
        }
        self.flush()
    }

    fn write_zero_buffers(&self, offset: u64, len: u64) -> io::Result<()> {
        write_zero_buffers(offset, len, |zeroes, at| self.file.write_at(zeroes, at))
    }

    /// Frees the clusters that lie wholly within the range and gives their space back to the
    /// host. The caller holds `mappings` for writing.
    fn discard_clusters(
        &self,
        access: &FormatAccess<ImageStorage>,
        offset: u64,
        len: u64,
    ) -> io::Result<()> {
        let Some(cluster) = access.inner().zero_granularity() else {
            // Version 2 cannot free clusters without showing the backing file again.
            return Ok(());
        };
        let start = offset.next_multiple_of(cluster);
        let end = offset + len;
        let end = if end == self.len { end } else { end - end % cluster };
        if start >= end {
            return Ok(());
        }
        for (start, len, what) in runs(access, start, end - start)? {
            // What is zero or comes from a backing file takes no space here.
            let host = match what {
                Run::Zero | Run::Backing => continue,
                Run::Compressed => None,
                Run::Data { host, sole } => sole.then_some(host),
            };
            // SAFETY: mappings are looked up and used under `mappings` alone, which nobody
            // else holds.
            unsafe { access.discard_to_any_unsafe(start, len) }?;
            // Nobody can have been given these clusters anew, for the same reason. Should the
            // process be killed before the mapping is written, it shows zeroes, which is allowed.
            if let Some(host) = host {
                or_unsupported(self.file.punch(host, len))?;
            }
        }
        Ok(())
    }

    fn check_range(&self, offset: u64, len: u64) -> io::Result<()> {
        match offset.checked_add(len) {
            Some(end) if end <= self.len => Ok(()),
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

/// Where a stretch of a qcow2 disk's data is.
#[derive(Debug, Clone, Copy)]
enum Run {
    Zero,
    Backing,
    Compressed,
    Data {
        /// Offset in the file.
        host: u64,
        /// Nobody else, such as a snapshot, has the data, too.
        sole: bool,
    },
}

/// Looks up where the range's data is: offset and length of each stretch, in order.
fn runs(
    access: &FormatAccess<ImageStorage>,
    mut offset: u64,
    len: u64,
) -> io::Result<Vec<(u64, u64, Run)>> {
    let end = offset + len;
    let mut runs = Vec::new();
    while offset < end {
        let (mapping, len) = access.get_shallow_mapping(offset, end - offset)?;
        if len == 0 {
            break;
        }
        let run = match mapping {
            ShallowMapping::Raw { offset, writable, .. } => {
                Run::Data { host: offset, sole: writable }
            }
            ShallowMapping::Indirect { .. } => Run::Backing,
            ShallowMapping::Zero { .. } | ShallowMapping::Eof { .. } => Run::Zero,
            _ => Run::Compressed,
        };
        runs.push((offset, len, run));
        offset += len;
    }
    Ok(runs)
}

/// Cuts a range at multiples of `size`.
fn chunks(offset: u64, len: u64, size: u64) -> impl Iterator<Item = (u64, u64)> {
    let end = offset + len;
    let mut next = offset;
    std::iter::from_fn(move || {
        let start = next;
        next = (start - start % size).saturating_add(size).min(end);
        (start < end).then_some((start, next - start))
    })
}

fn write_zero_buffers(
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
fn or_unsupported(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::Unsupported => Ok(()),
        result => result,
    }
}

fn check_size(path: &Path, size: u64) -> Result<(), ImageError> {
    if size <= MAX_DISK_SIZE.0 {
        return Ok(());
    }
    Err(ImageError::TooLarge { path: path.to_path_buf(), size: Bytes(size), max: MAX_DISK_SIZE })
}

/// A qcow2 image and its backing files while they are being opened.
struct Chain<'a> {
    top: &'a Path,
    options: &'a DiskOptions,
    /// Device and inode of each file so far.
    files: Vec<(u64, u64)>,
}

impl<'a> Chain<'a> {
    fn new(top: &'a Path, options: &'a DiskOptions) -> Self {
        Self { top, options, files: Vec::new() }
    }

    /// Opens the qcow2 image in `file` and what is beneath it, and gives the disk's size, too.
    fn open_qcow2(
        &mut self,
        file: &Arc<HostFile>,
        top: bool,
    ) -> Result<(FormatAccess<ImageStorage>, u64), ImageError> {
        let path = file.path();
        let failed = |source: Qcow2Error| ImageError::Qcow2 { path: path.to_path_buf(), source };
        if file.len() == 0 {
            return Err(ImageError::Empty(path.to_path_buf()));
        }
        if !format::is_qcow2(file)? {
            return Err(ImageError::NotQcow2(path.to_path_buf()));
        }
        let header = Header::read(file).map_err(failed)?;
        check_size(path, header.size)?;
        let tables = header.check_tables(file).map_err(failed)?;

        self.files.push(file.identity().map_err(ImageError::io(path, "read"))?);
        let backing = match &header.backing {
            Some(name) => Some(
                self.open_backing(path, name, header.backing_format.as_deref())
                    .map_err(|error| self.beneath(path, error))?,
            ),
            None => None,
        };

        let writable = top && file.writable();
        let size = header.size;
        let order = writable.then(|| {
            file.set_limit(header.length_limit(file.len()));
            Arc::new(MetadataOrder::new(header, tables))
        });
        let storage = ImageStorage::new(Arc::clone(file), order.clone());
        let mut driver = Qcow2::<ImageStorage>::open_image(storage, writable)
            .map_err(|error| failed(Qcow2Error::Driver(error)))?;
        driver.set_data_file(None);
        driver.set_backing(backing);
        if let Some(order) = order {
            order.start();
        }
        Ok((FormatAccess::new(driver), size))
    }

    /// Says of which image a backing file cannot be used; errors of the chain as a whole stay.
    fn beneath(&self, path: &Path, error: ImageError) -> ImageError {
        match error {
            ImageError::BackingLoop(_) | ImageError::ChainTooDeep { .. } => error,
            error => ImageError::Backing { path: path.to_path_buf(), source: Box::new(error) },
        }
    }

    fn open_backing(
        &mut self,
        overlay: &Path,
        name: &str,
        declared: Option<&str>,
    ) -> Result<FormatAccess<ImageStorage>, ImageError> {
        if self.files.len() > MAX_BACKING_FILES {
            let path = self.top.to_path_buf();
            return Err(ImageError::ChainTooDeep { path, max: MAX_BACKING_FILES });
        }
        let path = resolve_backing(overlay, name)?;
        self.check_rule(&path)?;
        // Before locking, which would only find the file in use.
        let identity = HostFile::open(&path, Access::Peek)?
            .identity()
            .map_err(ImageError::io(&path, "read"))?;
        if self.files.contains(&identity) {
            return Err(ImageError::BackingLoop(self.top.to_path_buf()));
        }
        let file = Arc::new(HostFile::open(&path, Access::Read)?);
        let format = match declared {
            Some("qcow2") => Format::Qcow2,
            Some("raw" | "file") => Format::Raw,
            Some(other) => {
                return Err(ImageError::BackingFormat(other.chars().take(40).collect()));
            }
            // Images made before 2021 often leave the format out. If the backing file was a
            // guest's raw disk, that guest may have made it look like qcow2; then it must not
            // reach any further file.
            None if format::is_qcow2(&file)? => {
                let source = |source| ImageError::Qcow2 { path: path.clone(), source };
                if Header::read(&file).map_err(source)?.backing.is_some() {
                    return Err(ImageError::BackingUndeclared(path));
                }
                Format::Qcow2
            }
            None => Format::Raw,
        };
        match format {
            Format::Qcow2 => Ok(self.open_qcow2(&file, false)?.0),
            Format::Raw => {
                // An overlay from somewhere else must not show the guest a secret of the host:
                // those are mostly text.
                format::check_raw_contents(&file)?;
                let storage = ImageStorage::new(Arc::clone(&file), None);
                let driver =
                    Raw::open_image(storage, false).map_err(ImageError::io(&path, "opened"))?;
                Ok(FormatAccess::new(driver))
            }
        }
    }

    fn check_rule(&self, path: &Path) -> Result<(), ImageError> {
        let Some(directories) = &self.options.backing_directories else { return Ok(()) };
        let opening = |error| ImageError::opening(path, false, error);
        let real = path.canonicalize().map_err(opening)?;
        let allowed = directories
            .iter()
            .filter_map(|directory| directory.canonicalize().ok())
            .any(|directory| real.starts_with(directory));
        if allowed { Ok(()) } else { Err(ImageError::BackingForbidden(path.to_path_buf())) }
    }
}

/// The path that a header in `overlay` means by `name`.
pub(super) fn resolve_backing(overlay: &Path, name: &str) -> Result<PathBuf, ImageError> {
    let name = name.strip_prefix("file:").unwrap_or(name);
    // As QEMU tells protocols from paths: a colon before the first slash.
    let protocol = name.find(':').is_some_and(|colon| !name[..colon].contains('/'));
    if protocol || name.is_empty() {
        return Err(ImageError::BackingNotLocal(name.chars().take(200).collect()));
    }
    Ok(overlay.parent().unwrap_or(Path::new("")).join(name))
}
