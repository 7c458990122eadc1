//! What can go wrong with definitions.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::path::PathBuf;

use thiserror::Error;

use super::model::Invalid;
use crate::block::ImageError;

/// Why a definition cannot be read, written or used.
#[derive(Debug, Error)]
pub enum DefinitionError {
    /// No machine has the name.
    #[error("there is no machine called “{0}”")]
    NotFound(String),
    /// A machine has the name already.
    #[error("there is a machine called “{0}” already; choose another name")]
    Exists(String),
    /// The machine's lock is held.
    #[error("“{0}” is running in another Berth; shut it down there first")]
    Running(String),
    /// The file makes no sense. It is left as it is.
    #[error("{0}")]
    Damaged(Damage),
    /// The file is from a version of Berth that knows more. It is left as it is.
    #[error("{} is from a newer version of Berth (its format is {version}); update Berth to use it", .file.display())]
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
    #[error("{} has been changed meanwhile; nothing was saved", .0.display())]
    Changed(PathBuf),
    /// A path that TOML cannot hold.
    #[error("the file name {} is not UTF-8, so it cannot be kept; rename the file", .0.display())]
    NotUtf8(PathBuf),
    /// The place of the store is unknown.
    #[error("neither XDG_DATA_HOME nor HOME names a folder; set HOME")]
    NoHome,
    /// The system refused something.
    #[error("cannot {action} {}", .path.display())]
    Io {
        /// What was tried.
        action: &'static str,
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
    #[error(
        "“{}” lies on “{}”, which a copy elsewhere would not find; make it independent with \
         “qemu-img convert -O qcow2”", .image.display(), .backing.display()
    )]
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
        action: &'static str,
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
        write!(f, "{}", self.file.display())?;
        if let Some((line, column)) = self.place {
            write!(f, ", line {line}, column {column}")?;
        }
        write!(f, ": {}", self.reason)
    }
}
