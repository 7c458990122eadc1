//! A hard disk whose contents are an image file.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::engine::{Engine, FaultSink};
use super::error::ImageError;
use super::fault::DiskFault;
use super::image::{DiskOptions, Image};
use super::{BlockDevice, Format, Request};
use crate::memory::GuestRam;
use crate::units::Bytes;

/// A hard disk on a raw or qcow2 image.
///
/// The image is locked while the disk exists; dropping the disk ends its threads, flushes the
/// image and unlocks it. Requests run on up to four threads of the disk's own, in the kernel
/// (io_uring(7)), or where they come from ([`BlockDevice::run_or_submit`]).
///
/// Requests that change the image and fail because of the host are parked, as are those that come
/// after them, and the fault is reported once. They are no longer in flight: [`Self::drain`] does
/// not wait for them. A machine that stands still because of a fault is resumed by
/// [`Self::retry`], which runs them again; it must not save its state before, since the guest
/// waits for requests that only this disk knows.
pub struct Disk {
    engine: Engine,
}

impl Disk {
    /// Opens the image at `path` for a guest with this RAM. `on_fault` is called on one of the
    /// threads that run requests each time the disk stops, and must not wait for the disk.
    ///
    /// # Errors
    /// When the file is not an image, cannot be used, or is in use.
    pub fn open(
        path: &Path,
        options: &DiskOptions,
        ram: Arc<GuestRam>,
        on_fault: FaultSink,
    ) -> Result<Arc<Self>, ImageError> {
        let image = Image::open(path, options)?;
        Ok(Arc::new(Self { engine: Engine::new(image, ram, on_fault) }))
    }

    /// The image's format; worth remembering when it was opened without one.
    pub fn format(&self) -> Format {
        self.engine.image().format()
    }

    /// Why the disk has stopped, if it has.
    pub fn fault(&self) -> Option<DiskFault> {
        self.engine.fault()
    }

    /// Brings all completed writes to stable storage, at the end of a machine's life.
    ///
    /// # Errors
    /// When the system cannot.
    pub fn flush(&self) -> io::Result<()> {
        self.engine.image().flush()
    }

    /// Makes the disk larger; what is added reads as zeroes. Waits for requests that are being run
    /// and for the image to be on stable storage. The guest has yet to be told.
    ///
    /// # Errors
    /// When the size is impossible or smaller than now, or the image cannot grow. The disk then
    /// goes on as before.
    pub fn grow(&self, size: Bytes) -> Result<(), ImageError> {
        self.engine.image().grow(size)
    }

    /// Makes the next request believe that requests wait for the host's storage, or do not.
    #[cfg(test)]
    pub(super) fn pretend_to_wait(&self, waiting: bool) {
        self.engine.pretend_to_wait(waiting);
    }

    /// Goes on after a fault. If that persists, it is reported again.
    pub fn retry(&self) {
        self.engine.retry();
    }
}

impl BlockDevice for Disk {
    fn len(&self) -> u64 {
        self.engine.image().len()
    }

    fn read_only(&self) -> bool {
        self.engine.image().read_only()
    }

    fn submit(&self, request: Request) {
        self.engine.submit(request);
    }

    fn run_or_submit(&self, request: Request) {
        self.engine.run_or_submit(request);
    }

    fn drain(&self) {
        self.engine.drain();
    }

    fn give_up(&self) {
        self.engine.give_up();
    }
}
