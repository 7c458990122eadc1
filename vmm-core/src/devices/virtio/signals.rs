//! How a device reaches its driver: interrupts, the configuration generation, and the bit that
//! says that the device needs a reset.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU16, Ordering::SeqCst};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use crate::pci::{ConfigSpace, MsixTable, PciFunction};

/// No vector (VIRTIO 1.2 §4.1.5.1.2, `VIRTIO_MSI_NO_VECTOR`).
pub(super) const NO_VECTOR: u16 = 0xffff;
/// Bits of the ISR status (§4.1.4.5).
const ISR_QUEUE: u8 = 1;
const ISR_CONFIG: u8 = 2;

/// The way from the device to the driver.
pub(super) struct Signals {
    pub(super) name: &'static str,
    pub(super) function: PciFunction,
    pub(super) msix: MsixTable,
    /// ISR status: what the pin is asserted for.
    isr: Mutex<u8>,
    pub(super) config_vector: AtomicU16,
    pub(super) queue_vectors: Box<[AtomicU16]>,
    generation: AtomicU8,
    /// The driver has said DRIVER_OK.
    active: AtomicBool,
    /// The driver broke the rules: nothing more is taken from it until it resets the device.
    broken: AtomicBool,
    bus_master: AtomicBool,
}

impl Signals {
    pub(super) fn new(name: &'static str, function: PciFunction, queues: usize) -> Self {
        let vectors = queues as u16 + 1;
        let msix = MsixTable::new(function.controller().clone(), vectors);
        Self {
            name,
            function,
            msix,
            isr: Mutex::new(0),
            config_vector: AtomicU16::new(NO_VECTOR),
            queue_vectors: (0..queues).map(|_| AtomicU16::new(NO_VECTOR)).collect(),
            generation: AtomicU8::new(0),
            active: AtomicBool::new(false),
            broken: AtomicBool::new(false),
            bus_master: AtomicBool::new(false),
        }
    }

    /// Whether the driver lets the device use its queues.
    pub(super) fn may_access_memory(&self) -> bool {
        self.bus_master.load(SeqCst) && !self.broken.load(SeqCst)
    }

    /// Follows the configuration space. `true` when the device may access memory from now on and
    /// could not before.
    pub(super) fn config_changed(&self) -> bool {
        let (master, msix) = self
            .function
            .with_config(|config: &ConfigSpace| (config.bus_master(), config.msix_control()));
        self.msix.set_control(msix);
        !self.bus_master.swap(master, SeqCst) && master
    }

    /// Something in queue `index` was used.
    pub(super) fn queue_used(&self, index: u16) {
        let vector = self.queue_vectors.get(usize::from(index));
        self.interrupt(vector.map_or(NO_VECTOR, |vector| vector.load(SeqCst)), ISR_QUEUE);
    }

    fn interrupt(&self, vector: u16, cause: u8) {
        if self.msix.enabled() {
            self.msix.signal(vector);
            return;
        }
        let mut isr = self.isr.lock();
        *isr |= cause;
        self.function.set_interrupt(true);
    }

    /// The driver reads the ISR status, which clears it.
    pub(super) fn take_isr(&self) -> u8 {
        let mut isr = self.isr.lock();
        let causes = std::mem::take(&mut *isr);
        if causes != 0 {
            self.function.set_interrupt(false);
        }
        causes
    }

    pub(super) fn isr(&self) -> u8 {
        *self.isr.lock()
    }

    pub(super) fn restore_isr(&self, causes: u8) {
        let mut isr = self.isr.lock();
        *isr = causes & (ISR_QUEUE | ISR_CONFIG);
        self.function.restore_interrupt(*isr != 0);
    }

    /// Device configuration space has changed.
    fn device_config_changed(&self) {
        self.generation.fetch_add(1, SeqCst);
        self.interrupt_config();
    }

    fn interrupt_config(&self) {
        if self.active.load(SeqCst) {
            self.interrupt(self.config_vector.load(SeqCst), ISR_CONFIG);
        }
    }

    pub(super) fn generation(&self) -> u8 {
        self.generation.load(SeqCst)
    }

    pub(super) fn set_active(&self, active: bool) {
        self.active.store(active, SeqCst);
    }

    /// Whether the device needs a reset.
    pub(super) fn broken(&self) -> bool {
        self.broken.load(SeqCst)
    }

    pub(super) fn restore(&self, broken: bool, generation: u8) {
        self.broken.store(broken, SeqCst);
        self.generation.store(generation, SeqCst);
    }

    /// The driver broke the rules: the device needs a reset.
    pub(super) fn fail(&self, problem: &str) {
        if !self.broken.swap(true, SeqCst) {
            tracing::debug!("{} in {}: {problem}", self.name, self.function.slot());
            self.interrupt_config();
        }
    }

    /// The device was reset.
    pub(super) fn reset(&self) {
        self.active.store(false, SeqCst);
        self.broken.store(false, SeqCst);
        self.config_vector.store(NO_VECTOR, SeqCst);
        for vector in &self.queue_vectors {
            vector.store(NO_VECTOR, SeqCst);
        }
        self.take_isr();
    }

    /// The whole function was reset.
    pub(super) fn reset_function(&self) {
        self.reset();
        self.generation.store(0, SeqCst);
        self.function.reset();
        self.msix.reset();
        self.config_changed();
    }
}

/// Tells the driver that configuration space has changed, see
/// [`VirtioDevice::attach`](super::VirtioDevice::attach).
#[derive(Clone)]
pub struct ConfigNotifier(Weak<Signals>);

impl ConfigNotifier {
    pub(super) fn new(signals: &Arc<Signals>) -> Self {
        Self(Arc::downgrade(signals))
    }

    /// Configuration space has changed, and reads give the new contents already.
    pub fn changed(&self) {
        if let Some(signals) = self.0.upgrade() {
            signals.device_config_changed();
        }
    }
}
