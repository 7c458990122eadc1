//! The optical drive as the machine and its front end use it.

use std::sync::Arc;

use thiserror::Error;

use super::super::device::Device;
use super::super::port::Port;
use super::Optical;
use crate::block::BlockDevice;
use crate::text;

/// The guest keeps the medium in the drive. It has been asked to give it up, as by the button
/// on a drive's front.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{}", text!("the guest keeps the tray locked"))]
pub struct MediumLocked;

/// A handle on an optical drive. Changing the medium may wait for the block layer: not for its
/// threads or a vCPU's to do.
#[derive(Clone)]
pub struct OpticalDrive {
    port: Arc<Port>,
}

impl OpticalDrive {
    pub(in super::super) fn new(port: Arc<Port>) -> Option<Self> {
        let optical = port.with(|inner| matches!(inner.device, Device::Optical(_)));
        optical.then_some(Self { port })
    }

    fn with<R>(&self, change: impl FnOnce(&mut Optical) -> R) -> R {
        self.port.with(|inner| match &mut inner.device {
            Device::Optical(drive) => change(drive),
            _ => unreachable!("a port keeps its kind of device, and `new` saw an optical drive"),
        })
    }

    /// Puts `medium` in place of what is in the drive, or takes that out, and closes the tray.
    /// Waits until reads of the old medium have ended; it is not used afterwards.
    ///
    /// # Errors
    /// When there is a medium and the guest has locked the tray. The guest is then sent an eject
    /// request, and may open the tray itself.
    pub fn change_medium(&self, medium: Option<Arc<dyn BlockDevice>>) -> Result<(), MediumLocked> {
        self.exchange(medium, false)
    }

    /// Like [`Self::change_medium`], whether or not the guest agrees.
    pub fn force_medium(&self, medium: Option<Arc<dyn BlockDevice>>) {
        // Force never meets a lock.
        let _ = self.exchange(medium, true);
    }

    fn exchange(
        &self,
        medium: Option<Arc<dyn BlockDevice>>,
        force: bool,
    ) -> Result<(), MediumLocked> {
        let old = self.with(|drive| {
            let state = &mut drive.state;
            if state.locked && !force && !state.tray_open && drive.medium.is_some() {
                state.events.eject_request = true;
                return Err(MediumLocked);
            }
            if drive.medium.is_some() {
                state.locked = false;
            }
            // Out of an open tray the guest has seen it go already.
            let had_one = drive.ready_blocks().is_some();
            drive.state.tray_open = false;
            let old = std::mem::replace(&mut drive.medium, medium);
            drive.medium_exchanged(had_one);
            Ok(old)
        })?;
        self.port.wait_quiet();
        drop(old);
        Ok(())
    }

    /// Whether a medium is in the drive or on its open tray.
    pub fn medium_present(&self) -> bool {
        self.with(|drive| drive.medium.is_some())
    }

    /// Whether the tray is open.
    pub fn tray_open(&self) -> bool {
        self.with(|drive| drive.state.tray_open)
    }

    /// Whether the guest has locked the tray.
    pub fn locked(&self) -> bool {
        self.with(|drive| drive.state.locked)
    }
}
