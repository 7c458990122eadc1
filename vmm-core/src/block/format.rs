//! Telling an image's format, and what is no image at all, from its contents.
//!
//! A guest writes what it likes into a raw disk, a qcow2 header that names a file of the host
//! as its backing file included; whoever then looks at the contents to learn the format hands that
//! file to the guest. So a format that is known is never looked for: virtual machine definitions
//! say it, and so do qcow2 headers of their backing file. Only an image that somebody names
//! without a format is looked at, and then [`super::Image`] keeps the guest from writing what would
//! make a raw disk look like something else.
//!
//! Nothing marks a raw disk, so what looks like something else is refused:
//!
//! - images of other programs, compressed files, and a few kinds of files that are confused with
//!   images easily, by their magic numbers;
//! - text: the first 4 KiB are valid UTF-8 without control characters other than white space.
//!   Boot sectors, file systems and empty disks all have zeroes there;
//! - anything whose length is not a multiple of 512 bytes.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use super::error::{ImageAction, ImageError};
use super::host_file::HostFile;
use super::{Format, qcow2};
use crate::{gettext_noop, text};

/// How much of a file's beginning is looked at.
const HEAD: usize = 4096;
/// Size of a sector.
const SECTOR: u64 = 512;

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Raw => "raw",
            Self::Qcow2 => "qcow2",
        })
    }
}

/// A text that names no image format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", text!("“{text}” is not an image format; use raw or qcow2", text = .0))]
pub struct ParseFormatError(String);

impl FromStr for Format {
    type Err = ParseFormatError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "raw" => Ok(Self::Raw),
            "qcow2" => Ok(Self::Qcow2),
            _ => Err(ParseFormatError(text.chars().take(40).collect())),
        }
    }
}

/// Where a magic number is.
enum At {
    Start(usize),
    /// In the last sector.
    Footer,
}

/// Images of other programs: name, place, magic number.
const FOREIGN: &[(&str, At, &[u8])] = &[
    ("VMDK", At::Start(0), b"KDMV"),
    ("VMDK", At::Start(0), b"COWD"),
    ("VMDK", At::Start(0), b"# Disk DescriptorFile"),
    ("VDI", At::Start(64), &[0x7f, 0x10, 0xda, 0xbe]),
    ("VHDX", At::Start(0), b"vhdxfile"),
    ("VHD", At::Start(0), b"conectix"),
    ("VHD", At::Footer, b"conectix"),
    ("QED", At::Start(0), b"QED\0"),
    ("Parallels", At::Start(0), b"WithoutFreeSpace"),
    ("Parallels", At::Start(0), b"WithouFreSpacExt"),
    ("Bochs", At::Start(0), b"Bochs Virtual HD Image"),
    ("DMG", At::Footer, b"koly"),
];

/// Compressed files: what unpacks them, magic number.
const PACKED: &[(&str, &[u8])] = &[
    ("gzip", &[0x1f, 0x8b, 8]),
    ("xz", b"\xfd7zXZ\0"),
    ("zstd", &[0x28, 0xb5, 0x2f, 0xfd]),
    ("bzip2", b"BZh"),
    ("zip", b"PK\x03\x04"),
    ("7-Zip", b"7z\xbc\xaf\x27\x1c"),
];

/// A file that people read.
const TEXT_FILE: &str = gettext_noop!("a text file");

/// Other files: what they are, magic number.
const OTHER: &[(&str, &[u8])] = &[
    (gettext_noop!("a program"), b"\x7fELF"),
    (gettext_noop!("a PDF document"), b"%PDF-"),
    (gettext_noop!("a PNG picture"), b"\x89PNG"),
];

/// The format of an image nobody has named the format of.
///
/// # Errors
/// When it is no image, or one that is not supported.
pub(super) fn probe(file: &HostFile) -> Result<Format, ImageError> {
    let head = Head::read(file)?;
    if head.text.starts_with(&qcow2::MAGIC) {
        return Ok(Format::Qcow2);
    }
    head.check_raw(file)?;
    Ok(Format::Raw)
}

/// Whether `file` starts like a qcow2 image.
pub(super) fn is_qcow2(file: &HostFile) -> Result<bool, ImageError> {
    Ok(Head::read(file)?.text.starts_with(&qcow2::MAGIC))
}

/// Checks that `file` may be a raw disk, also by its contents.
pub(super) fn check_raw_contents(file: &HostFile) -> Result<(), ImageError> {
    Head::read(file)?.check_raw(file)
}

/// Checks that `file` may be a raw disk, without looking at its contents.
pub(super) fn check_raw_length(file: &HostFile) -> Result<(), ImageError> {
    let (len, path) = (file.len(), file.path().to_path_buf());
    if len == 0 {
        Err(ImageError::Empty(path))
    } else if !len.is_multiple_of(SECTOR) {
        Err(ImageError::UnevenLength { path, len })
    } else {
        Ok(())
    }
}

/// Whether the beginning of a raw disk would be taken for another format; a guest must not write
/// such to a disk whose format was told from its contents.
pub(super) fn mimics_other_format(sector: &[u8]) -> bool {
    sector.starts_with(&qcow2::MAGIC)
}

/// What a file that should be something else looks like, as after “but”, to be translated.
pub(super) fn what_else(file: &HostFile) -> Result<&'static str, ImageError> {
    let head = Head::read(file)?;
    Ok(if head.is_text() {
        TEXT_FILE
    } else if head.text.starts_with(&qcow2::MAGIC) {
        gettext_noop!("a qcow2 disk image")
    } else {
        head.other().unwrap_or(gettext_noop!("something else"))
    })
}

/// The beginning and the last sector of a file.
struct Head {
    text: Vec<u8>,
    footer: [u8; SECTOR as usize],
}

impl Head {
    fn read(file: &HostFile) -> Result<Self, ImageError> {
        let path = file.path();
        if file.len() == 0 {
            return Err(ImageError::Empty(path.to_path_buf()));
        }
        let mut text = vec![0; HEAD.min(usize::try_from(file.len()).unwrap_or(HEAD))];
        file.read_at(&mut text, 0).map_err(ImageError::io(path, ImageAction::Read))?;
        let mut footer = [0; SECTOR as usize];
        let last = file.len().saturating_sub(SECTOR);
        file.read_at(&mut footer, last).map_err(ImageError::io(path, ImageAction::Read))?;
        Ok(Self { text, footer })
    }

    fn check_raw(&self, file: &HostFile) -> Result<(), ImageError> {
        let path = || -> std::path::PathBuf { Path::to_path_buf(file.path()) };
        for (format, at, magic) in FOREIGN {
            let found = match at {
                At::Start(at) => self.text.get(*at..).is_some_and(|text| text.starts_with(magic)),
                At::Footer => self.footer.starts_with(magic),
            };
            if found {
                return Err(ImageError::ForeignFormat { path: path(), format });
            }
        }
        if let Some((tool, _)) = PACKED.iter().find(|(_, magic)| self.text.starts_with(magic)) {
            return Err(ImageError::Packed { path: path(), tool });
        }
        if self.is_text() {
            return Err(ImageError::NotADisk { path: path(), what: TEXT_FILE });
        }
        if let Some(what) = self.other() {
            return Err(ImageError::NotADisk { path: path(), what });
        }
        check_raw_length(file)
    }

    fn other(&self) -> Option<&'static str> {
        let mut kinds = OTHER.iter();
        kinds.find(|(_, magic)| self.text.starts_with(magic)).map(|(what, _)| *what)
    }

    fn is_text(&self) -> bool {
        let text = match std::str::from_utf8(&self.text) {
            Ok(text) => text,
            // A character may be cut in two at the end of what was read.
            Err(error) if error.error_len().is_none() => {
                match std::str::from_utf8(&self.text[..error.valid_up_to()]) {
                    Ok(text) => text,
                    Err(_) => return false,
                }
            }
            Err(_) => return false,
        };
        !text.is_empty() && text.chars().all(|c| !c.is_control() || "\t\n\r\x0c\x1b".contains(c))
    }
}
