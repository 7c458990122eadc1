//! What can go wrong with definitions.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::model::Invalid;
use crate::block::ImageError;
use crate::text;

/// Why a definition cannot be read, written or used.
#[derive(Debug, Error)]
pub enum DefinitionError {
    /// No machine has the name.
    #[error("{}", text!("there is no machine called “{name}”", name = .0))]
    NotFound(String),
    /// A machine has the name already.
    #[error("{}", text!(
        "there is a machine called “{name}” already; choose another name",
        name = .0
    ))]
    Exists(String),
    /// The machine's lock is held.
    #[error("{}", text!(
        "“{name}” is running in another Berth; shut it down there first",
        name = .0
    ))]
    Running(String),
    /// The file makes no sense. It is left as it is.
    #[error("{0}")]
    Damaged(Damage),
    /// The file is from a version of Berth that knows more. It is left as it is.
    #[error("{}", text!(
        "{file} is from a newer version of Berth (its format is {version}); update Berth to use it",
        file = .file.display(), version
    ))]
    Newer {
        /// The definition.
        file: PathBuf,
        /// Its version.
        version: i64,
    },
    /// What should be kept makes no sense.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// Somebody else wrote the file since it was read.
    #[error("{}", text!(
        "{path} has been changed meanwhile; nothing was saved",
        path = .0.display()
    ))]
    Changed(PathBuf),
    /// A path that TOML cannot hold.
    #[error("{}", text!(
        "the file name {path} is not UTF-8, so it cannot be kept; rename the file",
        path = .0.display()
    ))]
    NotUtf8(PathBuf),
    /// The place of the store is unknown.
    #[error("{}", text!("neither XDG_DATA_HOME nor HOME names a folder; set HOME"))]
    NoHome,
    /// The system refused something.
    #[error("{}", .action.refused(.path))]
    Io {
        /// What was tried.
        action: FileAction,
        /// On what.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// An image file cannot be copied.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// A disk image that would not find the one beneath it from another folder.
    #[error("{}", text!(
        "“{image}” lies on “{backing}”, which a copy elsewhere would not find; make it \
         independent with “qemu-img convert -O qcow2”",
        image = .image.display(), backing = .backing.display()
    ))]
    Backing {
        /// The image.
        image: PathBuf,
        /// What it calls the one beneath.
        backing: PathBuf,
    },
    /// What a new machine's folder should be filled with could not be made.
    #[error(transparent)]
    Fill(Box<dyn StdError + Send + Sync>),
}

/// What is done with a file or folder of a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileAction {
    /// It is made.
    Create,
    /// It is read.
    Read,
    /// It is written.
    Write,
    /// It is locked against other programs.
    Lock,
    /// It is deleted.
    Delete,
    /// It is put back.
    Restore,
}

impl FileAction {
    /// That it was refused.
    fn refused(self, path: &Path) -> String {
        let path = path.display();
        match self {
            Self::Create => text!("cannot create {path}", path),
            Self::Read => text!("cannot read {path}", path),
            Self::Write => text!("cannot write {path}", path),
            Self::Lock => text!("cannot lock {path}", path),
            Self::Delete => text!("cannot delete {path}", path),
            Self::Restore => text!("cannot restore {path}", path),
        }
    }
}

impl DefinitionError {
    /// Whether it is none: whoever wanted it took the wish back.
    pub fn is_cancelled(&self) -> bool {
        match self {
            Self::Image(error) => matches!(error, ImageError::Cancelled),
            Self::Fill(error) => matches!(error.downcast_ref(), Some(ImageError::Cancelled)),
            _ => false,
        }
    }

    /// An [`DefinitionError::Io`] about `path`, for `map_err`.
    pub(super) fn io(
        action: FileAction,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }
}

/// What is wrong in a definition file, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The file.
    pub file: PathBuf,
    /// The line, from 1, and the column in it, from 1, in characters; `None` where the file as a
    /// whole is meant.
    pub place: Option<(usize, usize)>,
    /// What is wrong.
    pub reason: String,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (file, reason) = (self.file.display(), &self.reason);
        f.write_str(&match self.place {
            Some((line, column)) => {
                text!("{file}, line {line}, column {column}: {reason}", file, line, column, reason)
            }
            None => text!("{file}: {reason}", file, reason),
        })
    }
}
