//! A function's configuration space together with the way it interrupts.

use std::sync::Arc;

use parking_lot::Mutex;

use super::Slot;
use super::config::{ConfigSpace, ConfigState};
use crate::interrupt::InterruptController;
use crate::state::RestoreError;

/// What turns the INTx pins of all functions into interrupts: the LPC bridge's PIRQ router.
pub trait IntxRouter: Send + Sync {
    /// The function in `slot` drives its pin (0 for INTA#) high (asserted) or low.
    fn set_pin(&self, slot: Slot, pin: u8, level: bool);
}

/// The interrupt wiring of one function.
#[derive(Clone)]
pub struct Intx {
    /// Where the function sits.
    pub slot: Slot,
    /// What its pins are connected to.
    pub router: Arc<dyn IntxRouter>,
    /// What takes its messages.
    pub controller: Arc<dyn InterruptController>,
}

struct Inner {
    config: ConfigSpace,
    /// What the device wants of its pin, whether or not the guest disabled it.
    level: bool,
}

/// Configuration space and interrupt of one function. Every method is callable from any thread.
pub struct PciFunction {
    inner: Mutex<Inner>,
    intx: Intx,
    pin: u8,
}

impl PciFunction {
    /// A function in power-on state.
    pub fn new(config: ConfigSpace, intx: Intx) -> Self {
        let pin = config.u8(super::reg::INTERRUPT_PIN);
        Self { inner: Mutex::new(Inner { config, level: false }), intx, pin }
    }

    /// What takes the function's messages.
    pub fn controller(&self) -> &Arc<dyn InterruptController> {
        &self.intx.controller
    }

    /// Where the function sits.
    pub fn slot(&self) -> Slot {
        self.intx.slot
    }

    /// Looks at the configuration space.
    pub fn with_config<R>(&self, look: impl FnOnce(&ConfigSpace) -> R) -> R {
        look(&self.inner.lock().config)
    }

    /// Changes the configuration space as the device itself does (not as the guest would).
    pub fn update_config<R>(&self, change: impl FnOnce(&mut ConfigSpace) -> R) -> R {
        change(&mut self.inner.lock().config)
    }

    /// Whether the guest lets the function access memory (bus master enable). A device checks
    /// this before every DMA.
    pub fn bus_master(&self) -> bool {
        self.with_config(ConfigSpace::bus_master)
    }

    /// The device's interrupt condition is now `level`. With MSI enabled a rise sends the
    /// message; otherwise the INTx pin follows.
    pub fn set_interrupt(&self, level: bool) {
        let mut inner = self.inner.lock();
        let rise = level && !inner.level;
        inner.level = level;
        inner.config.set_interrupt_status(level);
        let message = inner.config.msi();
        self.drive_pin(&inner);
        drop(inner);
        if let Some(message) = message.filter(|_| rise) {
            self.intx.controller.signal_msi(message);
        }
    }

    /// Another event happened while the interrupt condition was already set: with MSI enabled
    /// the message is sent once more, as level-triggered pins have no need to.
    pub fn repeat_interrupt(&self) {
        let message = self.with_config(ConfigSpace::msi);
        if let Some(message) = message {
            self.intx.controller.signal_msi(message);
        }
    }

    fn drive_pin(&self, inner: &Inner) {
        if self.pin == 0 {
            return;
        }
        let masked = inner.config.intx_disabled() || inner.config.uses_messages();
        self.intx.router.set_pin(self.intx.slot, self.pin - 1, inner.level && !masked);
    }

    pub(crate) fn read_config(&self, offset: u16, data: &mut [u8]) {
        self.inner.lock().config.read(offset, data);
    }

    pub(crate) fn write_config(&self, offset: u16, data: &[u8]) {
        let mut inner = self.inner.lock();
        inner.config.write(offset, data);
        self.drive_pin(&inner);
    }

    /// Puts the configuration space into its power-on state and lowers the pin. The root bus
    /// unmaps the BARs.
    pub fn reset(&self) {
        let mut inner = self.inner.lock();
        inner.config.reset();
        inner.level = false;
        self.drive_pin(&inner);
    }

    /// Takes the configuration space's state out.
    pub fn save(&self) -> ConfigState {
        self.inner.lock().config.save()
    }

    /// Puts a configuration space's state in. The device then calls
    /// [`Self::set_interrupt`] with its own condition, and the root bus maps the BARs.
    ///
    /// # Errors
    /// When the state has the wrong length.
    pub fn restore(&self, state: &ConfigState) -> Result<(), RestoreError> {
        let mut inner = self.inner.lock();
        inner.config.restore(state)?;
        // Without an edge: a message already sent before the state was saved is in the
        // interrupt controller's state.
        self.drive_pin(&inner);
        Ok(())
    }

    /// Sets the interrupt condition of a restored device without sending a message.
    pub fn restore_interrupt(&self, level: bool) {
        let mut inner = self.inner.lock();
        inner.level = level;
        inner.config.set_interrupt_status(level);
        self.drive_pin(&inner);
    }
}

#[cfg(test)]
pub(crate) mod test_rig {
    //! A function's surroundings for tests of device models.

    use super::*;
    use crate::interrupt::Recorder;

    /// Every INTx pin drives GSI 100 of the recorder.
    struct OneLine(Arc<Recorder>);

    impl IntxRouter for OneLine {
        fn set_pin(&self, _: Slot, _: u8, level: bool) {
            self.0.set_line(100, level);
        }
    }

    /// Wiring whose pins show as line 100 of the returned recorder.
    pub(crate) fn intx(slot: Slot) -> (Intx, Arc<Recorder>) {
        let recorder = Arc::new(Recorder::default());
        let router = Arc::new(OneLine(recorder.clone()));
        (Intx { slot, router, controller: recorder.clone() }, recorder)
    }
}
