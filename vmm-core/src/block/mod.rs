//! Disks and optical media as device models see them.
//!
//! A device model turns its own commands into [`Request`]s and submits them to a [`BlockDevice`];
//! the data moves between the image and guest memory on the backend's threads, never on a vCPU's.
//!
//! [`Disk`] and [`OpticalMedium`] are the two of them; [`create`] makes and grows images and
//! [`info`] looks at them. What is wrong with an image is an [`ImageError`]; what goes wrong with
//! the host while a guest writes is a [`DiskFault`].

pub mod copy;
pub mod create;
pub mod info;

mod chain;
mod disk;
mod engine;
mod error;
mod fault;
mod format;
mod guest;
mod host_file;
mod image;
mod lock;
pub(crate) mod optical;
mod qcow2;
mod storage;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use disk::Disk;
pub use engine::FaultSink;
pub use error::{ImageAction, ImageError};
pub use fault::{DiskFault, FaultKind};
pub use format::ParseFormatError;
pub(crate) use host_file::HostFile;
pub use image::{DiskOptions, MAX_BACKING_FILES, MAX_DISK_SIZE};
pub use optical::OpticalMedium;
pub use qcow2::Qcow2Error;

use std::io;

pub use crate::memory::Segment;

/// How a disk image is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// The bytes of the disk as they are.
    Raw,
    /// QEMU's copy-on-write format, version 2 or 3.
    Qcow2,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// From the medium into guest memory.
    Read,
    /// From guest memory to the medium.
    Write,
    /// All writes completed before this one was submitted reach stable storage.
    Flush,
    /// `len` bytes are no longer needed; they read as zeroes or as before.
    Discard {
        /// Length in bytes.
        len: u64,
    },
    /// `len` bytes read as zeroes.
    WriteZeroes {
        /// Length in bytes.
        len: u64,
    },
}

/// Called once when a request has ended, on any thread. A device model must expect it during
/// `submit` itself.
pub type Completion = Box<dyn FnOnce(io::Result<()>) + Send>;

/// One request.
pub struct Request {
    /// What to do.
    pub operation: Operation,
    /// Where on the medium, in bytes.
    pub offset: u64,
    /// Guest memory, in order; empty but for reads and writes. Segments outside guest RAM fail
    /// the request.
    pub segments: Vec<Segment>,
    /// Told when the request has ended.
    pub done: Completion,
}

/// A disk or a medium.
pub trait BlockDevice: Send + Sync {
    /// Length in bytes, a multiple of 512 (2048 for optical media).
    fn len(&self) -> u64;

    /// Whether there is nothing on it.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether writes fail.
    fn read_only(&self) -> bool;

    /// Starts a request. Requests run concurrently and end in any order; a request past the end
    /// of the medium fails.
    fn submit(&self, request: Request);

    /// As [`Self::submit`], for a caller whose thread has nothing else to do: a short request
    /// that need not wait for the host's storage may be run at once, which costs less than to hand
    /// it over.
    fn run_or_submit(&self, request: Request) {
        self.submit(request);
    }

    /// Waits until every request submitted before has ended.
    fn drain(&self);

    /// Ends every request submitted before, with an error where it has not begun or is held up:
    /// for a guest that is reset and will not hear of it. Waits only for those being run.
    fn give_up(&self) {
        self.drain();
    }
}
