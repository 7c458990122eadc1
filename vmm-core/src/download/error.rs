//! Why a system cannot be downloaded.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::signature::SignatureError;
use crate::text;
use crate::units::Bytes;

/// A download that came to nothing. What has arrived is kept for the next attempt, unless a variant
/// says otherwise.
#[derive(Debug, Error)]
pub enum DownloadError {
    /// The caller asked to stop.
    #[error("{}", text!("the download was cancelled"))]
    Cancelled,
    /// Another process, or another thread of this one, downloads the same image.
    #[error("{}", text!("“{name}” is being downloaded already; wait for it", name = .0))]
    Busy(String),
    /// An address that is none, or that nothing protects.
    #[error("{}", text!(
        "“{address}” is no address to download from; it must begin with “https://”",
        address = .0
    ))]
    Address(String),
    /// An encrypted address led to one that is not.
    #[error("{}", text!(
        "“{address}” leads to an address that is not encrypted; try again later",
        address = .0
    ))]
    Insecure(String),
    /// One address led to the next without an end.
    #[error("{}", text!(
        "“{address}” leads from one address to the next without an end; try again later",
        address = .0
    ))]
    Redirects(String),
    /// No connection.
    #[error("{}", text!("“{host}” cannot be reached; check the network connection", host))]
    Unreachable {
        /// The server.
        host: String,
        /// What the system or the encryption says.
        #[source]
        source: Box<ureq::Error>,
    },
    /// Nothing has come for a while.
    #[error("{}", text!("“{host}” has stopped answering; try again later", host = .0))]
    Stalled(String),
    /// The connection ended before the image did.
    #[error("{}", text!(
        "the connection to “{host}” was lost; try again to go on with the rest",
        host
    ))]
    Interrupted {
        /// The server.
        host: String,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The server has no such file, or gives it to nobody.
    #[error("{}", text!(
        "“{address}” cannot be had: the server answers with status {status}; the list of systems \
         may be out of date",
        address, status
    ))]
    Status {
        /// What was asked for.
        address: String,
        /// As of RFC 9110 §15.
        status: u16,
    },
    /// The list of checksums has no image of that name.
    #[error("{}", text!(
        "“{address}” names no image like “{image}”; the list of systems may be out of date",
        address, image
    ))]
    NotListed {
        /// The list of checksums.
        address: String,
        /// The pattern.
        image: String,
    },
    /// The list of checksums is not its publisher's. Nothing of the image was downloaded.
    #[error("{}", text!(
        "the list of checksums of “{system}” is not signed by its publisher, and may have been \
         tampered with; try again later or from another network",
        system
    ))]
    Unsigned {
        /// The system's name.
        system: String,
        /// Why it counts as not signed.
        #[source]
        source: SignatureError,
    },
    /// A system that is to be signed with a key that is not there.
    #[error("{}", text!(
        "“{system}” has no publisher's key; put it into the folder “keys” beside the list of systems",
        system = .0
    ))]
    NoKey(String),
    /// More than any system needs.
    #[error("{}", text!(
        "“{address}” is larger than {limit}, which no system is; it was not downloaded",
        address, limit
    ))]
    TooLarge {
        /// The image.
        address: String,
        /// The most that is taken.
        limit: Bytes,
    },
    /// The image does not fit.
    #[error("{}", text!(
        "there is not enough space in “{folder}”; {needed} more are needed, {free} are free",
        folder = .folder.display(), needed, free
    ))]
    NoSpace {
        /// Where it was to go.
        folder: PathBuf,
        /// What is still to come, to a whole MiB.
        needed: Bytes,
        /// What there is, to a whole MiB.
        free: Bytes,
    },
    /// The disk became full.
    #[error("{}", text!(
        "“{path}” is full; make space and try again to go on with the rest",
        path = .0.display()
    ))]
    Full(PathBuf),
    /// Not what its publisher made. Nothing of it is kept.
    #[error("{}", text!(
        "“{name}” arrived damaged: its checksum is not its publisher's; it was deleted, try again",
        name = .0
    ))]
    Checksum(String),
    /// A file that cannot be made, read or renamed.
    #[error("{}", text!("cannot write “{path}”", path = .path.display()))]
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
