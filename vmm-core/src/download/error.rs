//! Why a system cannot be downloaded.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::units::Bytes;

/// A download that came to nothing. What has arrived is kept for the next attempt, unless a variant
/// says otherwise.
#[derive(Debug, Error)]
pub enum DownloadError {
    /// The caller asked to stop.
    #[error("the download was cancelled")]
    Cancelled,
    /// Another process, or another thread of this one, downloads the same image.
    #[error("“{0}” is being downloaded already; wait for it")]
    Busy(String),
    /// An address that is none, or that nothing protects.
    #[error("“{0}” is no address to download from; it must begin with “https://”")]
    Address(String),
    /// An encrypted address led to one that is not.
    #[error("“{0}” leads to an address that is not encrypted; try again later")]
    Insecure(String),
    /// One address led to the next without an end.
    #[error("“{0}” leads from one address to the next without an end; try again later")]
    Redirects(String),
    /// No connection.
    #[error("“{host}” cannot be reached; check the network connection")]
    Unreachable {
        /// The server.
        host: String,
        /// What the system or the encryption says.
        #[source]
        source: Box<ureq::Error>,
    },
    /// Nothing has come for a while.
    #[error("“{0}” has stopped answering; try again later")]
    Stalled(String),
    /// The connection ended before the image did.
    #[error("the connection to “{host}” was lost; try again to go on with the rest")]
    Interrupted {
        /// The server.
        host: String,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The server has no such file, or gives it to nobody.
    #[error(
        "“{address}” cannot be had: the server answers with status {status}; the list of systems may be out of date"
    )]
    Status {
        /// What was asked for.
        address: String,
        /// As of RFC 9110 §15.
        status: u16,
    },
    /// The list of checksums has no image of that name.
    #[error("“{address}” names no image like “{image}”; the list of systems may be out of date")]
    NotListed {
        /// The list of checksums.
        address: String,
        /// The pattern.
        image: String,
    },
    /// More than any system needs.
    #[error("“{address}” is larger than {limit}, which no system is; it was not downloaded")]
    TooLarge {
        /// The image.
        address: String,
        /// The most that is taken.
        limit: Bytes,
    },
    /// The image does not fit.
    #[error("there is not enough space in “{}”; {needed} more are needed, {free} are free", .folder.display())]
    NoSpace {
        /// Where it was to go.
        folder: PathBuf,
        /// What is still to come, to a whole MiB.
        needed: Bytes,
        /// What there is, to a whole MiB.
        free: Bytes,
    },
    /// The disk became full.
    #[error("“{}” is full; make space and try again to go on with the rest", .0.display())]
    Full(PathBuf),
    /// Not what its publisher made. Nothing of it is kept.
    #[error(
        "“{0}” arrived damaged: its checksum is not its publisher's; it was deleted, try again"
    )]
    Checksum(String),
    /// A file that cannot be made, read or renamed.
    #[error("cannot write “{}”", .path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
}

impl DownloadError {
    /// What became of writing to `path`.
    pub(super) fn file(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::Full(path.parent().unwrap_or(path).to_path_buf())
            }
            _ => Self::File { path: path.to_path_buf(), source },
        }
    }
}
