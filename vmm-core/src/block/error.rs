//! Why an image cannot be opened, made or grown.
//!
//! Each variant is one clear sentence that ends in what to do; where something lies beneath it,
//! `source` tells the rest.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::qcow2::Qcow2Error;
use crate::units::Bytes;

/// An image that cannot be opened, made or grown.
#[derive(Debug, Error)]
pub enum ImageError {
    /// No such file.
    #[error("“{}” does not exist; check the name", .0.display())]
    NotFound(PathBuf),
    /// The file's permissions forbid it.
    #[error("“{}” may not be {}; change its permissions", .path.display(), if *.write { "written" } else { "read" })]
    Permission {
        /// The file.
        path: PathBuf,
        /// Whether it was to be written.
        write: bool,
    },
    /// The file lies on a file system that cannot be written.
    #[error("“{}” is on a read-only file system; use the disk read-only or copy it elsewhere", .0.display())]
    ReadOnlyFileSystem(PathBuf),
    /// A directory.
    #[error("“{}” is a directory; name a file in it", .0.display())]
    Directory(PathBuf),
    /// A socket, pipe or character device.
    #[error("“{}” is neither a file nor a block device; name an image file", .0.display())]
    NotAFile(PathBuf),
    /// Nothing in it.
    #[error("“{}” is empty; name a file that holds an image or make a new one", .0.display())]
    Empty(PathBuf),
    /// Contents that no disk has.
    #[error("“{}” is not a disk image but {what}; name an image file", .path.display())]
    NotADisk {
        /// The file.
        path: PathBuf,
        /// What it is, as after “but”.
        what: &'static str,
    },
    /// A raw image whose end is missing, or no image at all.
    #[error(
        "“{}” is not a disk image, or a truncated one: its length of {len} bytes is not a multiple of 512; get it anew",
        .path.display()
    )]
    UnevenLength {
        /// The file.
        path: PathBuf,
        /// Its length in bytes.
        len: u64,
    },
    /// An image of a kind this crate does not read.
    #[error(
        "“{}” is a {format} image, which is not supported; convert it with “qemu-img convert -O qcow2”",
        .path.display()
    )]
    ForeignFormat {
        /// The file.
        path: PathBuf,
        /// The kind's name.
        format: &'static str,
    },
    /// A compressed file that may hold an image.
    #[error("“{}” is compressed with {tool}; unpack it first", .path.display())]
    Packed {
        /// The file.
        path: PathBuf,
        /// What it was compressed with.
        tool: &'static str,
    },
    /// Said to be qcow2 but without the magic number.
    #[error("“{}” is not a qcow2 image; check its format", .0.display())]
    NotQcow2(PathBuf),
    /// A qcow2 image that is damaged or uses what is not supported.
    #[error("the qcow2 image “{}” cannot be used", .path.display())]
    Qcow2 {
        /// The file.
        path: PathBuf,
        /// What is the matter with it.
        #[source]
        source: Qcow2Error,
    },
    /// A disk larger than this crate handles.
    #[error("“{}” is a disk of {size}; the largest possible is {max}", .path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its virtual size.
        size: Bytes,
        /// The limit.
        max: Bytes,
    },
    /// The image's backing file cannot be used.
    #[error("the backing file of “{}” cannot be used", .path.display())]
    Backing {
        /// The image that names the backing file.
        path: PathBuf,
        /// What is the matter with the backing file.
        #[source]
        source: Box<ImageError>,
    },
    /// An image that is, through others, its own backing file.
    #[error("the backing files of “{}” form a loop; give it another with “qemu-img rebase -u”", .0.display())]
    BackingLoop(PathBuf),
    /// Too many images on top of each other.
    #[error(
        "“{}” has more than {max} backing files beneath it; merge some with “qemu-img commit”",
        .path.display()
    )]
    ChainTooDeep {
        /// The topmost image.
        path: PathBuf,
        /// The limit.
        max: usize,
    },
    /// A backing file that is not a path of this machine.
    #[error(
        "its backing file “{0}” is not a local file; copy it here and use “qemu-img rebase -u”"
    )]
    BackingNotLocal(String),
    /// A backing file of a kind other than raw and qcow2.
    #[error("its format “{0}” is not supported; convert it with “qemu-img convert -O qcow2”")]
    BackingFormat(String),
    /// A backing file whose format had to be guessed and that reaches for further files.
    #[error(
        "the image above “{}” does not say its format; say it with “qemu-img rebase -u -F qcow2 -b”",
        .0.display()
    )]
    BackingUndeclared(PathBuf),
    /// A backing file outside the directories the caller allows.
    #[error("“{}” is outside the directories that backing files may be in; move it there", .0.display())]
    BackingForbidden(PathBuf),
    /// Another program, or another disk of this one, uses the image.
    #[error("“{}” is in use by another program; close that first", .0.display())]
    InUse(PathBuf),
    /// An optical medium that is shorter than its own description.
    #[error(
        "“{}” is truncated: {actual} of {expected} bytes are there; download it again",
        .path.display()
    )]
    TruncatedMedium {
        /// The file.
        path: PathBuf,
        /// Its length in bytes.
        actual: u64,
        /// The length its volume descriptor names, in bytes.
        expected: u64,
    },
    /// No optical medium.
    #[error("“{}” is not an ISO image but {what}; name an ISO image", .path.display())]
    NotAMedium {
        /// The file.
        path: PathBuf,
        /// What it is, as after “but”.
        what: &'static str,
    },
    /// The file to be made is there already.
    #[error("“{}” exists already; choose another name or delete it first", .0.display())]
    Exists(PathBuf),
    /// A size no disk can have.
    #[error("a disk cannot have {size}; choose a multiple of 512 bytes up to {max}")]
    InvalidSize {
        /// What was asked for.
        size: Bytes,
        /// The limit.
        max: Bytes,
    },
    /// A disk that would lose its end.
    #[error("“{}” has {current} and cannot shrink to {wanted}; choose a larger size", .path.display())]
    WouldShrink {
        /// The image.
        path: PathBuf,
        /// Its virtual size.
        current: Bytes,
        /// What was asked for.
        wanted: Bytes,
    },
    /// A full file system.
    #[error(
        "there is no space for “{}”: {needed} are needed and {free} are free; make space or choose a smaller size",
        .path.display()
    )]
    NoSpace {
        /// The image.
        path: PathBuf,
        /// Bytes needed.
        needed: Bytes,
        /// Bytes the file system has left.
        free: Bytes,
    },
    /// A disk on top of another cannot be preallocated.
    #[error("a disk with a backing file cannot be preallocated; leave out one of the two")]
    PreallocatedOverlay,
    /// A block device, of which there cannot be a second.
    #[error("“{}” is a device, which cannot be copied; take it out of the machine first", .0.display())]
    CopyDevice(PathBuf),
    /// A disk with internal snapshots cannot grow.
    #[error(
        "“{}” has internal snapshots and cannot grow; delete them with “qemu-img snapshot -d”",
        .0.display()
    )]
    GrowWithSnapshots(PathBuf),
    /// The caller took its wish back.
    #[error("cancelled")]
    Cancelled,
    /// The system refused.
    #[error("“{}” cannot be {action}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What was tried, as after “cannot be”.
        action: &'static str,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
}

impl ImageError {
    /// The error for `path` that could not be opened.
    pub(super) fn opening(path: &Path, write: bool, source: io::Error) -> Self {
        let path = path.to_path_buf();
        match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Self::NotFound(path),
            io::ErrorKind::PermissionDenied => Self::Permission { path, write },
            io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnlyFileSystem(path),
            io::ErrorKind::IsADirectory => Self::Directory(path),
            _ => Self::Io { path, action: "opened", source },
        }
    }

    /// For `map_err`: the system refused `action` on `path`.
    pub(crate) fn io(path: &Path, action: &'static str) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { path, action, source }
    }

    /// The error and all that lies beneath it, in one line.
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        text
    }
}
