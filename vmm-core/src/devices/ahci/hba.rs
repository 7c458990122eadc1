//! The PCI function: configuration space, BARs, and the registers that are not a port's.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};

use super::device::Device;
use super::host::Host;
use super::optical::OpticalDrive;
use super::port::Port;
use super::registers::{PORTS, ghc, px};
use super::{Drive, disk, optical};
use crate::devices::DiskStats;
use crate::memory::GuestRam;
use crate::pci::{Bar, BarKind, ClassCode, ConfigSpace, Identity, Intx, PciDevice, PciFunction};

/// ABAR: the AHCI registers in memory (AHCI 1.3.1 §2.1.11).
const ABAR: usize = 5;
const ABAR_LEN: u32 = 0x1000;
/// The same registers through an index/data pair in I/O space (AHCI 1.3.1 §2.1.10, ICH9 §14.2.1).
const IDP_BAR: usize = 4;
const IDP_LEN: u32 = 32;
const IDP_INDEX: u64 = 0x10;
const IDP_DATA: u64 = 0x14;
/// The index selects a double word of ABAR.
pub(super) const INDEX_MASK: u32 = (ABAR_LEN - 1) & !3;

/// ICH9: address map register, whose SMS field says AHCI; port control and status, by whose low
/// bits drivers enable ports and whose high bits tell where a device is (ICH9 §14.1.29, §14.1.30).
const MAP: u16 = 0x90;
const MAP_AHCI: u8 = 0x40;
const PCS: u16 = 0x92;

/// The AHCI controller of an ICH9 with its drives.
pub struct Ahci {
    pub(super) host: Arc<Host>,
    pub(super) ports: [Arc<Port>; PORTS],
    /// Ports that exist, one bit each.
    implemented: u32,
    /// The index register of the index/data pair.
    pub(super) index: AtomicU32,
    /// GHC.HR: a reset is not complete yet.
    pub(super) resetting: AtomicBool,
}

impl Ahci {
    /// A controller with `drives` behind its ports, to be put on the root bus. Ports without a
    /// drive are not implemented, so that no firmware waits for devices to appear there.
    pub fn new(intx: Intx, ram: Arc<GuestRam>, drives: [Option<Drive>; PORTS]) -> Arc<Self> {
        let used = (0..).zip(&drives).filter(|(_, drive)| drive.is_some());
        let present = used.fold(0u8, |bits, (port, _): (u8, _)| bits | 1 << port);
        let function = PciFunction::new(config_space(present), intx);
        let host = Arc::new(Host::new(function, ram));
        let mut drives = drives.into_iter();
        let ports = std::array::from_fn(|index| {
            let device = match drives.next().flatten() {
                None => Device::Empty,
                Some(Drive::Disk { image, identity }) => {
                    Device::Disk(disk::Disk::new(image, identity))
                }
                Some(Drive::Optical { medium, identity, on_tray }) => {
                    Device::Optical(optical::Optical::new(medium, identity, on_tray))
                }
            };
            Port::new(index, host.clone(), device)
        });
        // At least one port has to be (AHCI 1.3.1 §3.1.4).
        let implemented = u32::from(present).max(1);
        let (index, resetting) = (AtomicU32::new(0), AtomicBool::new(false));
        Arc::new(Self { host, ports, implemented, index, resetting })
    }

    /// The optical drive behind `port`, if there is one.
    pub fn optical(&self, port: usize) -> Option<OpticalDrive> {
        OpticalDrive::new(self.ports.get(port)?.clone())
    }

    /// How much the drive behind `port` (0 to 5) was used.
    pub fn stats(&self, port: usize) -> DiskStats {
        self.ports.get(port).map(|port| port.stats()).unwrap_or_default()
    }

    /// Waits until no command is in flight. Called while no vCPU runs, before guest memory or
    /// the disks are saved.
    pub fn drain(&self) {
        for port in &self.ports {
            port.drain();
        }
    }

    /// The port and its register at `offset` of ABAR.
    fn port_at(&self, offset: u64) -> Option<(&Arc<Port>, u64)> {
        let offset = offset.checked_sub(px::BASE)?;
        let index = usize::try_from(offset / px::LEN).ok()?;
        let port = self.ports.get(index).filter(|_| self.implemented >> index & 1 != 0)?;
        Some((port, offset % px::LEN))
    }

    fn read_register(&self, offset: u64) -> u32 {
        match offset {
            ghc::CAP => ghc::CAPABILITIES,
            ghc::GHC => {
                let enabled = if self.host.enabled() { ghc::IE } else { 0 };
                let resetting = if self.is_resetting() { ghc::HR } else { 0 };
                ghc::AE | enabled | resetting
            }
            ghc::IS => self.host.interrupt_status(),
            ghc::PI => self.implemented,
            ghc::VS => ghc::VERSION,
            _ => self.port_at(offset).map_or(0, |(port, register)| port.read(register)),
        }
    }

    fn write_register(&self, offset: u64, value: u32) {
        match offset {
            ghc::GHC if value & ghc::HR != 0 => self.reset_hba(),
            ghc::GHC => self.host.set_enabled(value & ghc::IE != 0),
            ghc::IS => self.host.clear_status(value),
            _ => {
                if let Some((port, register)) = self.port_at(offset) {
                    port.write(register, value);
                }
            }
        }
    }

    fn reset_hba(&self) {
        self.host.reset_interrupts();
        for port in &self.ports {
            port.reset_hba();
        }
        self.resetting.store(true, SeqCst);
    }

    /// GHC.HR: set until no request of before the reset can write memory any more.
    fn is_resetting(&self) -> bool {
        if !self.resetting.load(SeqCst) {
            return false;
        }
        let settled = self.ports.iter().all(|port| port.is_settled());
        self.resetting.store(!settled, SeqCst);
        !settled
    }

    /// Whether unwritten bytes of the register keep their value: not where writing a zero means
    /// "leave alone".
    fn merges(offset: u64) -> bool {
        let in_port = offset.checked_sub(px::BASE).map(|offset| offset % px::LEN);
        let one_acts = [px::IS, px::SERR, px::SACT, px::CI];
        offset != ghc::IS && in_port.is_none_or(|register| !one_acts.contains(&register))
    }

    fn read_abar(&self, offset: u64, data: &mut [u8]) {
        let mut at = offset;
        let mut rest = data;
        while !rest.is_empty() {
            let skip = (at & 3) as usize;
            let value = self.read_register(at & !3).to_le_bytes();
            let (now, later) = rest.split_at_mut(rest.len().min(4 - skip));
            now.copy_from_slice(&value[skip..skip + now.len()]);
            at += now.len() as u64;
            rest = later;
        }
    }

    fn write_abar(&self, offset: u64, data: &[u8]) {
        let mut at = offset;
        let mut rest = data;
        while !rest.is_empty() {
            let (register, skip) = (at & !3, (at & 3) as usize);
            let (now, later) = rest.split_at(rest.len().min(4 - skip));
            let mut value = match now.len() < 4 && Self::merges(register) {
                true => self.read_register(register).to_le_bytes(),
                false => [0; 4],
            };
            value[skip..skip + now.len()].copy_from_slice(now);
            self.write_register(register, u32::from_le_bytes(value));
            at += now.len() as u64;
            rest = later;
        }
    }
}

fn config_space(present: u8) -> ConfigSpace {
    let identity = Identity {
        vendor: 0x8086,
        device: 0x2922,
        revision: 2,
        class: ClassCode(0x01, 0x06, 0x01),
        subsystem: (0x8086, 0x2922),
    };
    let mut space = ConfigSpace::new(identity, 1)
        .with_bar(IDP_BAR, Bar { kind: BarKind::Io, size: IDP_LEN, prefetchable: false })
        .with_bar(ABAR, Bar { kind: BarKind::Mmio, size: ABAR_LEN, prefetchable: false })
        .with_msi();
    space.set_initial(MAP, &[MAP_AHCI]);
    space.set_initial(PCS, &[present, present]);
    space.make_writable(PCS, &[(1 << PORTS) - 1]);
    space
}

impl PciDevice for Ahci {
    fn function(&self) -> &PciFunction {
        &self.host.function
    }

    fn read_bar(&self, bar: usize, offset: u64, data: &mut [u8]) {
        match (bar, offset & !3) {
            (ABAR, _) => self.read_abar(offset, data),
            (IDP_BAR, IDP_INDEX) if data.len() == 4 => {
                data.copy_from_slice(&self.index.load(SeqCst).to_le_bytes());
            }
            (IDP_BAR, IDP_DATA) => {
                let index = u64::from(self.index.load(SeqCst));
                self.read_abar(index + (offset & 3), data);
            }
            (IDP_BAR, _) => data.fill(0),
            _ => {}
        }
    }

    fn write_bar(&self, bar: usize, offset: u64, data: &[u8]) {
        match (bar, offset & !3, <[u8; 4]>::try_from(data)) {
            (ABAR, ..) => self.write_abar(offset, data),
            (IDP_BAR, IDP_INDEX, Ok(index)) => {
                self.index.store(u32::from_le_bytes(index) & INDEX_MASK, SeqCst);
            }
            (IDP_BAR, IDP_DATA, _) => {
                let index = u64::from(self.index.load(SeqCst));
                self.write_abar(index + (offset & 3), data);
            }
            _ => {}
        }
    }

    fn config_written(&self, _offset: u16, _len: usize) {
        self.host.config_changed();
        if self.host.bus_master() {
            // Commands issued while it was off.
            for port in &self.ports {
                port.pump();
            }
        }
    }
}
