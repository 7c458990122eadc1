//! Why an image cannot be opened, made or grown.
//!
//! Each variant is one clear sentence that ends in what to do; where something lies beneath it,
//! `source` tells the rest.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::qcow2::Qcow2Error;
use crate::units::Bytes;
use crate::{sentence, text};

/// An image that cannot be opened, made or grown.
#[derive(Debug, Error)]
pub enum ImageError {
    /// No such file.
    #[error("{}", text!("“{path}” does not exist; check the name", path = .0.display()))]
    NotFound(PathBuf),
    /// The file's permissions forbid it.
    #[error("{}", if *.write {
        text!("“{path}” may not be written; change its permissions", path = .path.display())
    } else {
        text!("“{path}” may not be read; change its permissions", path = .path.display())
    })]
    Permission {
        /// The file.
        path: PathBuf,
        /// Whether it was to be written.
        write: bool,
    },
    /// The file lies on a file system that cannot be written.
    #[error("{}", text!(
        "“{path}” is on a read-only file system; use the disk read-only or copy it elsewhere",
        path = .0.display()
    ))]
    ReadOnlyFileSystem(PathBuf),
    /// A directory.
    #[error("{}", text!("“{path}” is a directory; name a file in it", path = .0.display()))]
    Directory(PathBuf),
    /// A socket, pipe or character device.
    #[error("{}", text!(
        "“{path}” is neither a file nor a block device; name an image file",
        path = .0.display()
    ))]
    NotAFile(PathBuf),
    /// Nothing in it.
    #[error("{}", text!(
        "“{path}” is empty; name a file that holds an image or make a new one",
        path = .0.display()
    ))]
    Empty(PathBuf),
    /// Contents that no disk has.
    #[error("{}", text!(
        "“{path}” is not a disk image but {what}; name an image file",
        path = .path.display(), what = text::translated(.what)
    ))]
    NotADisk {
        /// The file.
        path: PathBuf,
        /// What it is, as after “but”, to be translated.
        what: &'static str,
    },
    /// A raw image whose end is missing, or no image at all.
    #[error("{}", text!(
        "“{path}” is not a disk image, or a truncated one: its length of {len} bytes is not a \
         multiple of 512; get it anew",
        path = .path.display(), len
    ))]
    UnevenLength {
        /// The file.
        path: PathBuf,
        /// Its length in bytes.
        len: u64,
    },
    /// An image of a kind this crate does not read.
    #[error("{}", text!(
        "“{path}” is a {format} image, which is not supported; convert it with “qemu-img convert \
         -O qcow2”",
        path = .path.display(), format
    ))]
    ForeignFormat {
        /// The file.
        path: PathBuf,
        /// The kind's name.
        format: &'static str,
    },
    /// A compressed file that may hold an image.
    #[error("{}", text!(
        "“{path}” is compressed with {tool}; unpack it first",
        path = .path.display(), tool
    ))]
    Packed {
        /// The file.
        path: PathBuf,
        /// What it was compressed with.
        tool: &'static str,
    },
    /// Said to be qcow2 but without the magic number.
    #[error("{}", text!("“{path}” is not a qcow2 image; check its format", path = .0.display()))]
    NotQcow2(PathBuf),
    /// A qcow2 image that is damaged or uses what is not supported.
    #[error("{}", text!("the qcow2 image “{path}” cannot be used", path = .path.display()))]
    Qcow2 {
        /// The file.
        path: PathBuf,
        /// What is the matter with it.
        #[source]
        source: Qcow2Error,
    },
    /// A disk larger than this crate handles.
    #[error("{}", text!(
        "“{path}” is a disk of {size}; the largest possible is {max}",
        path = .path.display(), size, max
    ))]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its virtual size.
        size: Bytes,
        /// The limit.
        max: Bytes,
    },
    /// The image's backing file cannot be used.
    #[error("{}", text!("the backing file of “{path}” cannot be used", path = .path.display()))]
    Backing {
        /// The image that names the backing file.
        path: PathBuf,
        /// What is the matter with the backing file.
        #[source]
        source: Box<ImageError>,
    },
    /// An image that is, through others, its own backing file.
    #[error("{}", text!(
        "the backing files of “{path}” form a loop; give it another with “qemu-img rebase -u”",
        path = .0.display()
    ))]
    BackingLoop(PathBuf),
    /// Too many images on top of each other.
    #[error("{}", text!(
        "“{path}” has more than {max} backing files beneath it; merge some with “qemu-img commit”",
        path = .path.display(), max
    ))]
    ChainTooDeep {
        /// The topmost image.
        path: PathBuf,
        /// The limit.
        max: usize,
    },
    /// A backing file that is not a path of this machine.
    #[error("{}", text!(
        "its backing file “{file}” is not a local file; copy it here and use “qemu-img rebase -u”",
        file = .0
    ))]
    BackingNotLocal(String),
    /// A backing file of a kind other than raw and qcow2.
    #[error("{}", text!(
        "its format “{format}” is not supported; convert it with “qemu-img convert -O qcow2”",
        format = .0
    ))]
    BackingFormat(String),
    /// A backing file whose format had to be guessed and that reaches for further files.
    #[error("{}", text!(
        "the image above “{path}” does not say its format; say it with “qemu-img rebase -u -F \
         qcow2 -b”",
        path = .0.display()
    ))]
    BackingUndeclared(PathBuf),
    /// A backing file outside the directories the caller allows.
    #[error("{}", text!(
        "“{path}” is outside the directories that backing files may be in; move it there",
        path = .0.display()
    ))]
    BackingForbidden(PathBuf),
    /// Another program, or another disk of this one, uses the image.
    #[error("{}", text!(
        "“{path}” is in use by another program; close that first",
        path = .0.display()
    ))]
    InUse(PathBuf),
    /// An optical medium that is shorter than its own description.
    #[error("{}", text!(
        "“{path}” is truncated: {actual} of {expected} bytes are there; download it again",
        path = .path.display(), actual, expected
    ))]
    TruncatedMedium {
        /// The file.
        path: PathBuf,
        /// Its length in bytes.
        actual: u64,
        /// The length its volume descriptor names, in bytes.
        expected: u64,
    },
    /// No optical medium.
    #[error("{}", text!(
        "“{path}” is not an ISO image but {what}; name an ISO image",
        path = .path.display(), what = text::translated(.what)
    ))]
    NotAMedium {
        /// The file.
        path: PathBuf,
        /// What it is, as after “but”, to be translated.
        what: &'static str,
    },
    /// The file to be made is there already.
    #[error("{}", text!(
        "“{path}” exists already; choose another name or delete it first",
        path = .0.display()
    ))]
    Exists(PathBuf),
    /// A size no disk can have.
    #[error("{}", text!(
        "a disk cannot have {size}; choose a multiple of 512 bytes up to {max}",
        size, max
    ))]
    InvalidSize {
        /// What was asked for.
        size: Bytes,
        /// The limit.
        max: Bytes,
    },
    /// A disk that would lose its end.
    #[error("{}", text!(
        "“{path}” has {current} and cannot shrink to {wanted}; choose a larger size",
        path = .path.display(), current, wanted
    ))]
    WouldShrink {
        /// The image.
        path: PathBuf,
        /// Its virtual size.
        current: Bytes,
        /// What was asked for.
        wanted: Bytes,
    },
    /// A full file system.
    #[error("{}", text!(
        "there is no space for “{path}”: {needed} are needed and {free} are free; make space or \
         choose a smaller size",
        path = .path.display(), needed, free
    ))]
    NoSpace {
        /// The image.
        path: PathBuf,
        /// Bytes needed.
        needed: Bytes,
        /// Bytes the file system has left.
        free: Bytes,
    },
    /// A disk on top of another cannot be preallocated.
    #[error("{}", text!(
        "a disk with a backing file cannot be preallocated; leave out one of the two"
    ))]
    PreallocatedOverlay,
    /// A block device, of which there cannot be a second.
    #[error("{}", text!(
        "“{path}” is a device, which cannot be copied; take it out of the machine first",
        path = .0.display()
    ))]
    CopyDevice(PathBuf),
    /// A disk with internal snapshots cannot grow.
    #[error("{}", text!(
        "“{path}” has internal snapshots and cannot grow; delete them with “qemu-img snapshot -d”",
        path = .0.display()
    ))]
    GrowWithSnapshots(PathBuf),
    /// The caller took its wish back.
    #[error("{}", text!("cancelled"))]
    Cancelled,
    /// The system refused.
    #[error("{}", .action.refused(.path))]
    Io {
        /// The file.
        path: PathBuf,
        /// What was tried.
        action: ImageAction,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
}

/// What is done with an image file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageAction {
    /// It is opened.
    Open,
    /// It is locked against other programs.
    Lock,
    /// It is read, or asked about.
    Read,
    /// It is made.
    Make,
    /// It is made larger.
    Grow,
}

impl ImageAction {
    /// That it was refused.
    fn refused(self, path: &Path) -> String {
        let path = path.display();
        match self {
            Self::Open => text!("“{path}” cannot be opened", path),
            Self::Lock => text!("“{path}” cannot be locked", path),
            Self::Read => text!("“{path}” cannot be read", path),
            Self::Make => text!("“{path}” cannot be made", path),
            Self::Grow => text!("“{path}” cannot be grown", path),
        }
    }
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
            _ => Self::Io { path, action: ImageAction::Open, source },
        }
    }

    /// For `map_err`: the system refused `action` on `path`.
    pub(crate) fn io(path: &Path, action: ImageAction) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { path, action, source }
    }

    /// The error and all that lies beneath it, in one line.
    pub fn chain(&self) -> String {
        let mut whole = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            whole = sentence::with_cause(&whole, error);
            cause = error.source();
        }
        whole
    }
}
