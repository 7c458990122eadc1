//! The PCI function of a virtio device (VIRTIO 1.2 §4.1): its capabilities and its BAR.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use vmm_sys_util::eventfd::EventFd;

use super::MAX_QUEUE_SIZE;
use super::device::{Activation, Kind, VirtioDevice};
use super::queue::{QueueState, VirtQueue};
use super::registers::{self, Effect, Registers};
use super::signals::{ConfigNotifier, Signals};
use super::worker::WorkerThread;
use crate::interrupt::Doorbells;
use crate::memory::GuestRam;
use crate::pci::{Bar, BarKind, ConfigSpace, Identity, Intx, PciDevice, PciFunction};

/// The one BAR and what lies in it, each part in a page of its own.
const BAR: usize = 0;
const BAR_LEN: u32 = 0x8000;
const PAGE: u64 = 0x1000;
const COMMON: u64 = 0x0000;
const ISR: u64 = 0x1000;
const DEVICE: u64 = 0x2000;
const NOTIFY: u64 = 0x3000;
const MSIX_TABLE: u64 = 0x4000;
const MSIX_PENDING: u64 = 0x5000;
/// Distance between the addresses that queues are rung at.
const NOTIFY_STRIDE: u64 = 4;
/// Most queues: each has a vector in the page of the MSI-X table, and there is one more.
const MAX_QUEUES: usize = 255;

/// Vendor-specific capability (§4.1.4) and the kinds of structures it points to.
const CAPABILITY: u8 = 0x09;
const CAP_COMMON: u8 = 1;
const CAP_NOTIFY: u8 = 2;
const CAP_ISR: u8 = 3;
const CAP_DEVICE: u8 = 4;
const CAP_PCI: u8 = 5;
/// The capability of the window in configuration space (§4.1.4.9): where its fields are, counted
/// from the capability's start.
const WINDOW_BAR: u16 = 4;
const WINDOW_OFFSET: u16 = 8;
const WINDOW_LEN: u16 = 12;
const WINDOW_DATA: u16 = 16;

/// How long a vCPU that resets the device waits for requests in flight. After that the guest is
/// told to wait, which the specification has it do anyway.
const RESET_PATIENCE: Duration = Duration::from_millis(50);

/// What the machine gives a virtio device.
#[derive(Clone)]
pub struct Wiring {
    /// Where the function sits and how it interrupts.
    pub intx: Intx,
    /// Guest memory.
    pub ram: Arc<GuestRam>,
    /// What lets the guest ring without leaving the kernel.
    pub doorbells: Arc<dyn Doorbells>,
    /// Hears of a worker that panicked; the message is no sentence. Called on its thread.
    pub on_panic: Arc<dyn Fn(String) + Send + Sync>,
}

/// What serves an active device.
#[derive(Default)]
pub(super) struct Running {
    pub(super) queues: Vec<Option<Arc<VirtQueue>>>,
    pub(super) workers: Vec<WorkerThread>,
}

/// What has to happen before the driver goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    Nothing,
    /// The driver has reset the device and its workers have not stopped yet.
    Reset,
    /// A state was restored in which the device was active.
    Activation,
}

pub(super) struct Inner {
    pub(super) registers: Registers,
    pub(super) running: Running,
    pub(super) due: Due,
    /// Where queues stand that are to be activated.
    pub(super) restored: Vec<QueueState>,
}

/// Where doorbells are installed.
#[derive(Default)]
struct Bells {
    /// The BAR's address.
    bar: Option<u64>,
    installed: Vec<(u64, Arc<EventFd>)>,
}

/// A virtio device on PCI.
pub struct VirtioPci<D: VirtioDevice> {
    pub(super) device: D,
    pub(super) signals: Arc<Signals>,
    pub(super) inner: Mutex<Inner>,
    kicks: Vec<Arc<EventFd>>,
    bells: Mutex<Bells>,
    /// Offset of the window's capability.
    window: u16,
    ram: Arc<GuestRam>,
    doorbells: Arc<dyn Doorbells>,
    on_panic: Arc<dyn Fn(String) + Send + Sync>,
}

impl<D: VirtioDevice> VirtioPci<D> {
    /// Puts `device` behind a PCI function in power-on state.
    ///
    /// # Errors
    /// When the system refuses descriptors.
    pub fn new(device: D, wiring: Wiring) -> io::Result<Arc<Self>> {
        let kind = device.kind();
        let sizes = device.queue_sizes();
        assert!(sizes.len() <= MAX_QUEUES, "{}: too many queues", kind.name);
        let valid = |size: &u16| size.is_power_of_two() && *size <= MAX_QUEUE_SIZE;
        assert!(sizes.iter().all(valid), "{}: a bad queue size", kind.name);
        let (config, window) = config_space(&kind, sizes.len());
        let function = PciFunction::new(config, wiring.intx);
        let signals = Arc::new(Signals::new(kind.name, function, sizes.len()));
        let kick = || EventFd::new(libc::EFD_NONBLOCK | libc::EFD_CLOEXEC).map(Arc::new);
        let kicks = sizes.iter().map(|_| kick()).collect::<io::Result<_>>()?;
        let registers = Registers::new(device.features(), &sizes);
        device.attach(ConfigNotifier::new(&signals));
        Ok(Arc::new(Self {
            device,
            signals,
            inner: Mutex::new(Inner {
                registers,
                running: Running::default(),
                due: Due::Nothing,
                restored: Vec::new(),
            }),
            kicks,
            bells: Mutex::default(),
            window,
            ram: wiring.ram,
            doorbells: wiring.doorbells,
            on_panic: wiring.on_panic,
        }))
    }

    /// The device.
    pub fn device(&self) -> &D {
        &self.device
    }

    fn read_common(&self, offset: u64, data: &mut [u8]) {
        let mut inner = self.inner.lock();
        self.finish_reset(&mut inner, Some(Duration::ZERO));
        inner.registers.read(&self.signals, offset, data);
    }

    fn write_common(&self, offset: u64, data: &[u8]) {
        let mut inner = self.inner.lock();
        self.finish_reset(&mut inner, Some(Duration::ZERO));
        if inner.due == Due::Reset {
            // The driver does not wait as it must (§4.1.4.3.2).
            return;
        }
        match inner.registers.write(&self.signals, offset, data) {
            Effect::None => {}
            Effect::Broken(problem) => self.signals.fail(problem),
            Effect::DriverOk => self.activate(&mut inner),
            Effect::Reset => {
                self.begin_reset(&mut inner);
                self.finish_reset(&mut inner, Some(RESET_PATIENCE));
            }
        }
    }

    /// The driver is ready: starts the device.
    pub(super) fn activate(&self, inner: &mut Inner) {
        let restored = std::mem::take(&mut inner.restored);
        if self.signals.broken() {
            return;
        }
        self.signals.set_active(true);
        let features = inner.registers.features();
        let mut queues = Vec::new();
        for (index, registers) in inner.registers.queues().iter().enumerate() {
            if !registers.enabled {
                queues.push(None);
                continue;
            }
            let kick = self.kicks[index].clone();
            // What was rung before counts for nothing: workers look at every queue first.
            let _ = kick.read();
            let state = restored.get(index).cloned().unwrap_or_default();
            let (ram, signals) = (self.ram.clone(), self.signals.clone());
            let index = index as u16;
            match VirtQueue::new(index, registers, features, &state, kick, ram, signals) {
                Ok(queue) => queues.push(Some(Arc::new(queue))),
                Err(error) => return self.signals.fail(&error.to_string()),
            }
        }
        inner.running.queues = queues.clone();
        let activation = Activation { features, queues, ram: self.ram.clone() };
        if let Err(error) = self.start_workers(activation, &mut inner.running) {
            tracing::warn!("{} cannot start: {error}", self.signals.name);
            self.signals.fail("the host lacks what the device needs");
        }
        self.place_bells(&mut self.bells.lock(), &inner.running);
    }

    fn start_workers(&self, activation: Activation, running: &mut Running) -> io::Result<()> {
        for assignment in self.device.activate(activation)? {
            let (signals, on_panic) = (self.signals.clone(), self.on_panic.clone());
            let on_panic = move |message: String| {
                signals.fail(&message);
                on_panic(message);
            };
            running.workers.push(WorkerThread::start(self.signals.name, assignment, on_panic)?);
        }
        Ok(())
    }

    /// Asks the workers to stop.
    pub(super) fn begin_reset(&self, inner: &mut Inner) {
        self.remove_bells();
        for worker in &inner.running.workers {
            worker.stop();
        }
        inner.due = Due::Reset;
    }

    /// Ends a reset once the workers have stopped, for which it waits no longer than `patience`.
    pub(super) fn finish_reset(&self, inner: &mut Inner, patience: Option<Duration>) {
        if inner.due != Due::Reset || !inner.running.workers.iter().all(|w| w.wait(patience)) {
            return;
        }
        self.stop(inner);
        inner.registers.reset();
        self.signals.reset();
        self.device.reset();
    }

    /// Waits until the workers have stopped and nothing uses the queues any more.
    pub(super) fn stop(&self, inner: &mut Inner) {
        inner.running.workers.clear();
        for queue in inner.running.queues.drain(..).flatten() {
            queue.close();
        }
        inner.restored.clear();
        inner.due = Due::Nothing;
    }

    /// Installs doorbells for the queues of an active device.
    fn place_bells(&self, bells: &mut Bells, running: &Running) {
        let Some(bar) = bells.bar else { return };
        for queue in running.queues.iter().flatten() {
            let address = bar + NOTIFY + NOTIFY_STRIDE * queue.index() as u64;
            let kick = &self.kicks[queue.index()];
            match self.doorbells.install(address, kick) {
                Ok(()) => bells.installed.push((address, kick.clone())),
                // The write then comes through the BAR.
                Err(error) => tracing::debug!("no doorbell for {}: {error}", self.signals.name),
            }
        }
    }

    fn remove_bells(&self) {
        for (address, kick) in self.bells.lock().installed.drain(..) {
            self.doorbells.remove(address, &kick);
        }
    }

    fn ring(&self, offset: u64) {
        if let Ok(index) = usize::try_from(offset / NOTIFY_STRIDE)
            && let Some(kick) = self.kicks.get(index)
        {
            // Fails only when the counter is at its end, and then it is rung anyway.
            let _ = kick.write(1);
        }
    }

    /// Where the window in configuration space points to, if that is a place.
    fn window_target(&self) -> Option<(u64, usize)> {
        let (bar, offset, len) = self.signals.function.with_config(|config| {
            let field = |at| config.u32(self.window + at);
            (config.u8(self.window + WINDOW_BAR), field(WINDOW_OFFSET), field(WINDOW_LEN))
        });
        let len = match len {
            1 | 2 | 4 => len,
            _ => return None,
        };
        let inside = offset < BAR_LEN && offset % len == 0;
        (usize::from(bar) == BAR && inside).then_some((offset.into(), len as usize))
    }

    fn is_window_data(&self, offset: u16, len: usize) -> bool {
        let data = self.window + WINDOW_DATA;
        (data..data + 4).contains(&offset) && len <= 4
    }
}

/// A function with the capabilities of §4.1.4; also says where the window's is.
fn config_space(kind: &Kind, queues: usize) -> (ConfigSpace, u16) {
    let identity = Identity {
        vendor: 0x1af4,
        device: 0x1040 + kind.id,
        revision: 1,
        class: kind.class,
        subsystem: (0x1af4, 0x1100),
    };
    let bar = Bar { kind: BarKind::Mmio, size: BAR_LEN, prefetchable: false };
    let mut config = ConfigSpace::new(identity, 1).with_bar(BAR, bar).with_msix(
        queues as u16 + 1,
        BAR as u8,
        MSIX_TABLE as u32,
        MSIX_PENDING as u32,
    );
    let structure = |kind: u8, offset: u64, len: u64, rest: &[u8]| {
        let mut body = vec![(16 + rest.len()) as u8, kind, BAR as u8, 0, 0, 0];
        body.extend((offset as u32).to_le_bytes());
        body.extend((len as u32).to_le_bytes());
        body.extend(rest);
        body
    };
    let stride = (NOTIFY_STRIDE as u32).to_le_bytes();
    let bells = NOTIFY_STRIDE * queues as u64;
    for body in [
        structure(CAP_COMMON, COMMON, registers::LEN as u64, &[]),
        structure(CAP_NOTIFY, NOTIFY, bells, &stride),
        structure(CAP_ISR, ISR, 1, &[]),
        structure(CAP_DEVICE, DEVICE, PAGE, &[]),
    ] {
        config.add_capability(CAPABILITY, &body, &[]);
    }
    let mut writable = [0; 18];
    // The capability's bar, offset, length and data, two bytes after its ID and link.
    for field in [WINDOW_BAR..WINDOW_BAR + 1, WINDOW_OFFSET..WINDOW_DATA + 4] {
        writable[usize::from(field.start) - 2..usize::from(field.end) - 2].fill(0xff);
    }
    let window = config.add_capability(CAPABILITY, &structure(CAP_PCI, 0, 0, &[0; 4]), &writable);
    (config, window)
}

impl<D: VirtioDevice> PciDevice for VirtioPci<D> {
    fn function(&self) -> &PciFunction {
        &self.signals.function
    }

    fn read_bar(&self, bar: usize, offset: u64, data: &mut [u8]) {
        data.fill(0);
        let (page, at) = (offset & !(PAGE - 1), offset & (PAGE - 1));
        match (bar, page) {
            (BAR, COMMON) => self.read_common(at, data),
            (BAR, ISR) if at == 0 => data[0] = self.signals.take_isr(),
            (BAR, DEVICE) => self.device.read_config(at, data),
            (BAR, MSIX_TABLE) => self.signals.msix.read_table(at, data),
            (BAR, MSIX_PENDING) => self.signals.msix.read_pending(at, data),
            _ => {}
        }
    }

    fn write_bar(&self, bar: usize, offset: u64, data: &[u8]) {
        let (page, at) = (offset & !(PAGE - 1), offset & (PAGE - 1));
        match (bar, page) {
            (BAR, COMMON) => self.write_common(at, data),
            (BAR, DEVICE) => self.device.write_config(at, data),
            (BAR, NOTIFY) => self.ring(at),
            (BAR, MSIX_TABLE) => self.signals.msix.write_table(at, data),
            _ => {}
        }
    }

    fn config_reading(&self, offset: u16, len: usize) {
        if self.is_window_data(offset, len)
            && let Some((target, len)) = self.window_target()
        {
            let mut data = [0; 4];
            self.read_bar(BAR, target, &mut data[..len]);
            let at = self.window + WINDOW_DATA;
            self.signals.function.update_config(|config| config.set(at, &data[..len]));
        }
    }

    fn config_written(&self, offset: u16, len: usize) {
        if self.is_window_data(offset, len)
            && let Some((target, len)) = self.window_target()
        {
            let at = self.window + WINDOW_DATA;
            let data = self.signals.function.with_config(|config| config.u32(at)).to_le_bytes();
            self.write_bar(BAR, target, &data[..len]);
        }
        if self.signals.config_changed() {
            // What was rung while the device could not look.
            for queue in self.inner.lock().running.queues.iter().flatten() {
                queue.kick();
            }
        }
    }

    fn bar_moved(&self, bar: usize, address: Option<u64>) {
        if bar != BAR {
            return;
        }
        let inner = self.inner.lock();
        self.remove_bells();
        let mut bells = self.bells.lock();
        bells.bar = address;
        if inner.due == Due::Nothing {
            self.place_bells(&mut bells, &inner.running);
        }
    }
}

impl<D: VirtioDevice> Drop for VirtioPci<D> {
    fn drop(&mut self) {
        self.remove_bells();
        // The workers stop and are waited for.
        self.inner.get_mut().running = Running::default();
    }
}
