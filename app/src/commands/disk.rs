//! `--disk` options, and the images they ask to make.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use thiserror::Error;
use vmm_core::block::create::{Preallocation, create_qcow2, create_raw};
use vmm_core::block::{Format, ImageError};
use vmm_core::definition::DiskBus;
use vmm_core::text;
use vmm_core::units::Bytes;

/// How the value of a disk option is written.
pub(crate) const NOTATION: &str =
    "FILE[,size=10G][,format=raw|qcow2][,bus=sata|virtio][,read-only]";

/// A disk as asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DiskOption {
    /// The image.
    pub(crate) path: PathBuf,
    /// Its size, if it may be made.
    pub(crate) size: Option<Bytes>,
    /// How it is laid out, if said.
    pub(crate) format: Option<Format>,
    /// Whether the guest's writes fail.
    pub(crate) read_only: bool,
    /// What it is connected to, if said.
    pub(crate) bus: Option<DiskBus>,
}

/// Why a disk option makes no sense.
#[derive(Debug, Error)]
pub(crate) enum DiskError {
    #[error("{}", text!("there is no file name; write {notation}", notation = NOTATION))]
    NoFile,
    #[error("{0}")]
    Value(String),
    #[error("{}", text!(
        "{path} does not exist; say how large it should be to have it made: {example}",
        path = .0.display(),
        example = example(.0),
    ))]
    Missing(PathBuf),
    #[error("{}", text!("cannot make a disk that is read-only: {path}", path = .0.display()))]
    ReadOnly(PathBuf),
    #[error(transparent)]
    Create(#[from] ImageError),
}

fn example(path: &Path) -> String {
    format!("{},size=10G", path.display())
}

impl DiskOption {
    /// Reads the value of a disk option. File names may hold commas: options are taken off the end
    /// as long as they are known.
    ///
    /// # Errors
    /// When a known option has a bad value, or nothing is left for the file.
    pub(crate) fn parse(text: &OsStr) -> Result<Self, DiskError> {
        let mut path = text.as_bytes();
        let path_to_come = PathBuf::new();
        let mut disk =
            Self { path: path_to_come, size: None, format: None, read_only: false, bus: None };
        while let Some(comma) = path.iter().rposition(|byte| *byte == b',') {
            let option = String::from_utf8_lossy(&path[comma + 1..]);
            match option.split_once('=') {
                Some(("size", value)) => disk.size = Some(value_of(value)?),
                Some(("format", value)) => disk.format = Some(value_of(value)?),
                Some(("bus", value)) => disk.bus = Some(value_of(value)?),
                None if option == "read-only" => disk.read_only = true,
                _ => break,
            }
            path = &path[..comma];
        }
        if path.is_empty() {
            return Err(DiskError::NoFile);
        }
        disk.path = OsString::from_vec(path.to_vec()).into();
        Ok(disk)
    }

    /// Makes the image if it does not exist and should.
    ///
    /// # Errors
    /// When it does not exist and may not be made, or cannot.
    pub(crate) fn make(&mut self) -> Result<Option<MadeDisk>, DiskError> {
        // A link that leads nowhere is there, too: what is wrong with it is said when it is opened.
        if self.path.symlink_metadata().is_ok() {
            return Ok(None);
        }
        let size = self.size.ok_or_else(|| DiskError::Missing(self.path.clone()))?;
        if self.read_only {
            return Err(DiskError::ReadOnly(self.path.clone()));
        }
        let progress = &mut |_, _| true;
        match self.format.get_or_insert(Format::Qcow2) {
            Format::Qcow2 => create_qcow2(&self.path, size, Preallocation::None, None, progress)?,
            Format::Raw => create_raw(&self.path, size, Preallocation::None, progress)?,
        }
        Ok(Some(MadeDisk { path: Some(self.path.clone()) }))
    }
}

fn value_of<T: std::str::FromStr<Err: std::fmt::Display>>(text: &str) -> Result<T, DiskError> {
    text.parse().map_err(|error: T::Err| DiskError::Value(error.to_string()))
}

/// An image just made: removed again when dropped, unless kept.
#[derive(Debug)]
pub(crate) struct MadeDisk {
    path: Option<PathBuf>,
}

impl MadeDisk {
    /// Lets the image stay.
    pub(crate) fn keep(mut self) {
        self.path = None;
    }
}

impl Drop for MadeDisk {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            // It has not been used; why the run failed is what is told.
            let _ = std::fs::remove_file(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<DiskOption, DiskError> {
        DiskOption::parse(OsStr::new(text))
    }

    #[test]
    fn options_come_behind_the_file() {
        let disk = parse("a,b.img,size=10G,read-only,bus=virtio,format=raw").unwrap();
        assert_eq!(disk.path, Path::new("a,b.img"));
        assert_eq!(disk.size, Some(Bytes::gib(10)));
        assert_eq!(disk.format, Some(Format::Raw));
        assert!(disk.read_only);
        assert_eq!(disk.bus, Some(DiskBus::Virtio));
        assert_eq!(parse("a").unwrap().bus, None);
        assert_eq!(parse("a,siz=10G").unwrap().path, Path::new("a,siz=10G"));
        for text in ["", ",size=1G", "a,size=much", "a,size=", "a,format=vmdk", "a,bus=ide"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_was_made_in_vain_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("disk.qcow2");
        let mut disk = parse(&format!("{},size=1G", path.display())).unwrap();
        drop(disk.make().unwrap().expect("it did not exist"));
        assert!(!path.exists());
        disk.make().unwrap().expect("it does not exist again").keep();
        assert!(path.exists() && disk.make().unwrap().is_none());
        let error = parse("/none/disk").unwrap().make().unwrap_err().to_string();
        assert!(error.contains("/none/disk,size=10G"), "{error}");
    }
}
