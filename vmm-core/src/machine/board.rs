//! The board: every device of a machine, wired up.

use std::path::Path;
use std::sync::Arc;

use async_channel::Sender;

use super::agent::{self, SocketFile};
use super::config::{Boot, MachineConfig};
use super::drives::Drives;
use super::error::{MachineError, device_failed};
use super::firmware_files::Bridges;
use super::keyboards::Keyboards;
use super::log::Log;
use super::media::Medium;
use super::message::{DiskStatistics, KeyEvent, NetStatistics, PointerEvent};
use super::network;
use super::start::Start;
use super::supervisor::Order;
use super::vcpus::ExitContext;
use crate::boot::InitialRegisters;
use crate::bus::{Bus, BusDevice};
use crate::chipset::{self, HostBridge, LpcBridge, PirqRouter};
use crate::clock::VmClock;
use crate::devices::ahci::{Ahci, MediumLocked};
use crate::devices::debug_console::{DEBUG_PORT, DebugConsole};
use crate::devices::fw_cfg::FwCfg;
use crate::devices::i8042::{self, Buttons, I8042, KeyCode};
use crate::devices::lpc::{
    APM_PORT, APM_PORTS, ApmControl, PowerManagement, ResetControl, SCI_IRQ,
};
use crate::devices::rtc::{self, CmosLayout, Rtc};
use crate::devices::serial::{self, Serial};
use crate::devices::vga::{Vga, VgaConfig};
use crate::devices::virtio::balloon::{Balloon, BalloonFigures};
use crate::devices::virtio::input::{Keyboard, Tablet};
use crate::devices::virtio::rng::Entropy;
use crate::devices::virtio::{VirtioDevice, VirtioPci, Wiring};
use crate::firmware::{FirmwareKind, SearchPath};
use crate::interrupt::{InterruptController, IrqLine};
use crate::kvm::{Vcpu, Vm};
use crate::memory::{LEGACY_VGA, MappedRam, RamAllocation};
use crate::net::Cable;
use crate::pci::{ConfigMechanism1, EcamWindow, Intx, RootBus, Slot};
use crate::request::{GuestRequest, RequestSink};
use crate::state::{Reset, Resume};
use crate::timer::Timers;
use crate::units::Bytes;
use crate::{sentence, text};

/// What the guest's monitor prefers, in pixels.
const PREFERRED_MODE: (u32, u32) = (1280, 800);

/// The two buses. Devices on a bus also hold on to it, to move their own ranges: only taking all
/// of them off at the end lets them go.
#[derive(Default)]
struct Buses {
    ports: Arc<Bus>,
    mmio: Arc<Bus>,
}

impl Drop for Buses {
    fn drop(&mut self) {
        self.ports.clear();
        self.mmio.clear();
    }
}

/// Every device of a machine.
pub(super) struct Board {
    pub(super) timers: Timers,
    pub(super) display: Arc<Vga>,
    pub(super) serial: Arc<Serial>,
    pub(super) keyboards: Keyboards,
    pub(super) log: Arc<Log>,
    resettable: Vec<Arc<dyn Reset + Send + Sync>>,
    resumable: Vec<Arc<dyn Resume + Send + Sync>>,
    root: Arc<RootBus>,
    _buses: Buses,
    power: Arc<PowerManagement>,
    start: Start,
    drives: Drives,
    cable: Option<Arc<Cable>>,
    _agent: Option<SocketFile>,
    tablet: Arc<VirtioPci<Tablet>>,
    balloon: Arc<VirtioPci<Balloon>>,
    vm: Arc<Vm>,
    /// Dropped last, as the shadow RAM is part of it.
    ram: MappedRam,
}

/// A board with its vCPUs, which are not on it: their threads end before anything else does.
pub(super) struct Assembly {
    pub(super) board: Board,
    pub(super) vcpus: Vec<Vcpu>,
    pub(super) exits: ExitContext,
}

impl Board {
    /// Builds everything in its power-on state. `orders` is where devices send what concerns the
    /// machine as a whole.
    pub(super) fn build(
        config: &MachineConfig,
        orders: &Sender<Order>,
    ) -> Result<Assembly, MachineError> {
        let log = Arc::new(open_log(config)?);
        let ram = RamAllocation::new(config.memory)?;
        let vm = Arc::new(Vm::new()?);
        let ram = MappedRam::new(ram, vm.clone())?;
        let search = SearchPath::system([]);
        let firmware = match &config.boot {
            Boot::Bios => Some(search.find(FirmwareKind::Bios)?),
            Boot::Uefi { .. } => Some(search.find(FirmwareKind::Uefi)?),
            Boot::Kernel { .. } => None,
        };
        let (mut drives, plugs) = Drives::open(config, &ram.ram, orders)?;
        let vcpus = vm.create_vcpus(config.cpus)?;
        // SAFETY: it becomes part of the host bridge, and the board drops its RAM last.
        let shadow = unsafe { ram.shadow()? };

        let clock = VmClock::new();
        let timers = new_timers(orders)?;
        let request = request_sink(orders);
        let buses = Buses::default();
        let (ports, mmio) = (&buses.ports, &buses.mmio);
        let root = Arc::new(RootBus::new(ports.clone(), mmio.clone()));
        let controller: Arc<dyn InterruptController> = vm.clone();
        let router = Arc::new(PirqRouter::new(controller.clone()));
        let intx =
            |slot: Slot| Intx { slot, router: router.clone(), controller: controller.clone() };
        let irq = |line| IrqLine::new(controller.clone(), line);

        let ecam = Arc::new(EcamWindow::new(&root));
        let host = HostBridge::new(intx(chipset::HOST_BRIDGE), shadow, mmio.clone(), ecam);
        let host = Arc::new(host);
        root.insert(host.clone());
        let power = PowerManagement::new(irq(SCI_IRQ), &timers, clock.clone(), request.clone());
        let power = Arc::new(power);
        let lpc_intx = intx(chipset::LPC_BRIDGE);
        let lpc = Arc::new(LpcBridge::new(lpc_intx, router.clone(), ports.clone(), power.clone()));
        root.insert(lpc.clone());
        let vga = VgaConfig { rom: None, preferred: PREFERRED_MODE };
        let display = Vga::new(vga, intx(chipset::DISPLAY), vm.clone(), clock.clone())
            .map_err(MachineError::System)?;
        root.insert(display.clone());
        // Guests spend time on a controller, even one that has nothing connected.
        let ahci =
            plugs.need_sata().then(|| Ahci::new(intx(chipset::AHCI), ram.ram.clone(), plugs.sata));
        if let Some(ahci) = &ahci {
            root.insert(ahci.clone());
            drives.connect_sata(ahci.clone());
        }

        let mut virtio = VirtioFunctions {
            root: &root,
            wiring: &|slot| Wiring {
                intx: intx(slot),
                ram: ram.ram.clone(),
                doorbells: vm.clone(),
                on_panic: panic_sink(orders),
            },
            resettable: Vec::new(),
            resumable: Vec::new(),
        };
        virtio.add(Entropy, chipset::ENTROPY)?;
        let tablet = virtio.add(tablet(orders)?, chipset::TABLET)?;
        let virtio_keyboard = Keyboard::new(|_| ()).map_err(MachineError::System)?;
        let virtio_keyboard = virtio.add(virtio_keyboard, chipset::KEYBOARD)?;
        let balloon = Balloon::new().map_err(MachineError::System)?;
        let balloon = virtio.add(balloon, chipset::BALLOON)?;
        let mut agent = None;
        if let Some(path) = &config.agent {
            match agent::console(path) {
                Ok((console, file)) => {
                    virtio.add(console, chipset::CONSOLE)?;
                    agent = Some(file);
                }
                Err(error) => warn(
                    orders,
                    text!(
                        "The guest's agent cannot be reached at {path}: {reason}.",
                        path = path.display(),
                        reason = error
                    ),
                ),
            }
        }
        let mut cable = None;
        if let Some(config) = &config.network {
            let card = virtio.add(network::card(config, orders)?, chipset::NETWORK)?;
            cable = Some(card.device().cable().clone());
        }
        for (index, disk) in plugs.virtio {
            drives.connect(index, virtio.add(disk, chipset::virtio_disk(index))?);
        }
        let VirtioFunctions { resettable: virtio_resettable, resumable, .. } = virtio;

        let reset_control = Arc::new(ResetControl::new(request.clone()));
        let config_ports = Arc::new(ConfigMechanism1::new(root.clone(), reset_control.clone()));
        let apm = Arc::new(ApmControl::new(power.clone()));
        let serial = Arc::new(Serial::new(irq(serial::COM1_IRQ)));
        let keyboard_irq = irq(i8042::KEYBOARD_IRQ);
        let mouse_irq = irq(i8042::MOUSE_IRQ);
        let keyboard = Arc::new(I8042::new(keyboard_irq, mouse_irq, &timers, request));
        let rtc = Rtc::new(irq(rtc::RTC_IRQ), &timers, clock, cmos(config, &ram));
        let rtc = Arc::new(rtc);
        let bridges = Bridges { host: host.clone(), lpc: lpc.clone() };
        let start = Start::new(config, firmware, &vm, &ram, bridges, orders)?;
        let mut resettable: Vec<Arc<dyn Reset + Send + Sync>> = vec![
            host,
            lpc,
            display.clone(),
            power.clone(),
            apm.clone(),
            reset_control,
            config_ports.clone(),
            serial.clone(),
            keyboard.clone(),
            rtc.clone(),
        ];
        if let Some(ahci) = ahci {
            resettable.push(ahci);
        }
        resettable.extend(virtio_resettable);

        let port_devices: [(u64, u64, Arc<dyn BusDevice>); 7] = [
            (ConfigMechanism1::BASE, ConfigMechanism1::LEN, config_ports),
            (APM_PORT, APM_PORTS, apm),
            (serial::COM1_PORT, serial::PORTS, serial.clone()),
            (i8042::DATA_PORT, 1, keyboard.data_port()),
            (i8042::COMMAND_PORT, 1, keyboard.command_port()),
            (i8042::SYSTEM_CONTROL_PORT, 1, keyboard.system_control_port()),
            (rtc::RTC_PORT, rtc::PORTS, rtc),
        ];
        for (base, len, device) in port_devices.into_iter().chain(display.legacy_ports()) {
            ports.insert(base, len, device)?;
        }
        // Firmware that finds no console there writes no messages, each character of which would
        // be an exit.
        if config.log.is_some() {
            let log = log.clone();
            let console = Arc::new(DebugConsole::new(move |line: &str| log.line(line)));
            ports.insert(DEBUG_PORT, 1, console.clone())?;
            resettable.push(console);
        }
        let window_len = LEGACY_VGA.end - LEGACY_VGA.start;
        mmio.insert(LEGACY_VGA.start, window_len, display.window())?;
        if let Start::Firmware(firmware) = &start {
            ports.insert(FwCfg::BASE, FwCfg::LEN, firmware.fw_cfg.clone())?;
            resettable.push(firmware.fw_cfg.clone());
            if let Some(flash) = &firmware.flash {
                mmio.insert(flash.base(), flash.size(), flash.clone())?;
                resettable.push(flash.clone());
            }
        }

        // Only the order of these writes matters, not the moment.
        let gathered = [(LEGACY_VGA.start, window_len as u32)];
        let ring = vm.coalesce(&vcpus[0], ports, mmio, &gathered, &[(DEBUG_PORT, 1)]).map(Arc::new);
        if let Some(ring) = &ring {
            let ring = Arc::downgrade(ring);
            display.set_flush_writes(Arc::new(move || {
                if let Some(ring) = ring.upgrade() {
                    ring.drain();
                }
            }));
        }
        let exits = ExitContext { ports: ports.clone(), mmio: mmio.clone(), ring };
        let board = Self {
            timers,
            display,
            serial,
            keyboards: Keyboards { ps2: keyboard, virtio: virtio_keyboard },
            log,
            resettable,
            resumable,
            root,
            _buses: buses,
            power,
            start,
            drives,
            cable,
            _agent: agent,
            tablet,
            balloon,
            vm,
            ram,
        };
        Ok(Assembly { board, vcpus, exits })
    }

    /// Puts everything but the vCPUs into its power-on state, while they stand still. Gives the
    /// registers that the first vCPU is to have instead of those of a reset.
    pub(super) fn reset(&self) -> Result<Option<InitialRegisters>, MachineError> {
        self.drives.give_up();
        for device in &self.resettable {
            device.reset();
        }
        self.root.refresh();
        self.vm.reset_chipset()?;
        self.start.prepare(&self.ram)
    }

    /// Called each time before the vCPUs run.
    pub(super) fn resume(&self) {
        for device in &self.resumable {
            device.resume();
        }
    }

    pub(super) fn press_power_button(&self) {
        self.power.press_power_button();
    }

    pub(super) fn key(&self, event: KeyEvent) {
        if event.pressed {
            self.keyboards.press(KeyCode(event.code));
        } else {
            self.keyboards.release(KeyCode(event.code));
        }
    }

    pub(super) fn pointer(&self, event: PointerEvent) {
        let buttons = Buttons::from_bits_truncate(event.buttons);
        let tablet = self.tablet.device();
        // A guest with both has one pointer for them: each click goes to one of them.
        let (wheel, buttons) = if tablet.is_active() {
            tablet.press(event.wheel, event.buttons);
            (0, Buttons::empty())
        } else {
            (event.wheel, buttons)
        };
        // The mouse counts its wheel away from the user.
        self.keyboards.ps2.pointer(event.dx, event.dy, wheel.saturating_neg(), buttons);
    }

    pub(super) fn point_at(&self, x: u16, y: u16) {
        self.tablet.device().point(x, y);
    }

    /// As [`Drives::open_medium`].
    pub(super) fn open_medium(&self, drive: usize, path: Option<&Path>) -> Result<Medium, String> {
        self.drives.open_medium(drive, path)
    }

    /// As [`Drives::insert`].
    pub(super) fn insert(
        &self,
        drive: usize,
        medium: &Medium,
        force: bool,
    ) -> Result<(), MediumLocked> {
        self.drives.insert(drive, medium, force)
    }

    pub(super) fn take_ejected(&self, drive: usize) -> bool {
        self.drives.take_ejected(drive)
    }

    /// As [`Drives::grow`].
    pub(super) fn grow_disk(&self, drive: usize, size: Bytes) -> Result<(), String> {
        self.drives.grow(drive, size)
    }

    pub(super) fn retry_disks(&self) {
        self.drives.retry();
    }

    pub(super) fn resident(&self) -> u64 {
        self.ram.resident()
    }

    /// What the guest has given up, and what it says of its memory.
    pub(super) fn balloon_figures(&self) -> BalloonFigures {
        let figures = self.balloon.device().figures();
        BalloonFigures { inflated: figures.inflated.min(self.ram.size()), ..figures }
    }

    /// Asks the guest how it uses its memory, for the next [`Self::balloon_figures`].
    pub(super) fn ask_for_memory(&self) {
        self.balloon.device().ask();
    }

    pub(super) fn set_balloon(&self, memory: Bytes) {
        self.balloon.device().set_target(memory.min(Bytes(self.ram.size())));
    }

    pub(super) fn disk_statistics(&self) -> Vec<DiskStatistics> {
        self.drives.statistics()
    }

    pub(super) fn net_statistics(&self) -> Option<NetStatistics> {
        self.cable.as_deref().map(network::statistics)
    }

    /// Brings what the guest has stored to disk, at the end. An error is a sentence for the user.
    pub(super) fn shut_down(&self) -> Result<(), String> {
        let disks = self.drives.flush();
        let variables = match &self.start {
            Start::Firmware(firmware) => firmware.flash.as_ref().map_or(Ok(()), |f| f.flush()),
            Start::Kernel(_) => Ok(()),
        };
        disks.and(variables.map_err(sentence::ended))
    }
}

fn open_log(config: &MachineConfig) -> Result<Log, MachineError> {
    let path = config.log.as_deref();
    Log::open(path).map_err(|source| MachineError::Log {
        path: path.map(Path::to_path_buf).unwrap_or_default(),
        source,
    })
}

fn new_timers(orders: &Sender<Order>) -> Result<Timers, MachineError> {
    let orders = orders.clone();
    let on_panic = move |message: String| {
        let _ = orders.try_send(Order::Failed(device_failed(&message)));
    };
    Timers::new(on_panic).map_err(MachineError::System)
}

/// Virtio devices on their way to the root bus.
struct VirtioFunctions<'a> {
    root: &'a RootBus,
    wiring: &'a dyn Fn(Slot) -> Wiring,
    resettable: Vec<Arc<dyn Reset + Send + Sync>>,
    resumable: Vec<Arc<dyn Resume + Send + Sync>>,
}

impl VirtioFunctions<'_> {
    /// Puts `device` into `slot`.
    fn add<D: VirtioDevice>(
        &mut self,
        device: D,
        slot: Slot,
    ) -> Result<Arc<VirtioPci<D>>, MachineError> {
        let function = VirtioPci::new(device, (self.wiring)(slot)).map_err(MachineError::System)?;
        self.root.insert(function.clone());
        self.resettable.push(function.clone());
        self.resumable.push(function.clone());
        Ok(function)
    }
}

fn warn(orders: &Sender<Order>, text: String) {
    let _ = orders.try_send(Order::Warning(text));
}

fn tablet(orders: &Sender<Order>) -> Result<Tablet, MachineError> {
    let orders = orders.clone();
    let on_use = move |used| {
        let _ = orders.try_send(Order::Tablet(used));
    };
    Tablet::new(on_use).map_err(MachineError::System)
}

fn panic_sink(orders: &Sender<Order>) -> Arc<dyn Fn(String) + Send + Sync> {
    let orders = orders.clone();
    Arc::new(move |message| {
        let _ = orders.try_send(Order::Failed(device_failed(&message)));
    })
}

fn request_sink(orders: &Sender<Order>) -> RequestSink {
    let orders = orders.clone();
    Arc::new(move |request: GuestRequest| {
        let _ = orders.try_send(Order::Guest(request));
    })
}

fn cmos(config: &MachineConfig, ram: &RamAllocation) -> CmosLayout {
    CmosLayout {
        ram_below_4g: Bytes(ram.layout.low),
        ram_above_4g: Bytes(ram.layout.high),
        // At most 64.
        cpus: config.cpus as u16,
        boot_order: vec![rtc::BootDevice::Disk, rtc::BootDevice::Cdrom],
    }
}
