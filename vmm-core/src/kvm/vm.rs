//! The VM as KVM knows it.

use std::io::{self, ErrorKind};
use std::sync::Arc;

use kvm_bindings::{CpuId, KVM_MAX_CPUID_ENTRIES, KVM_PIT_SPEAKER_DUMMY, kvm_msi, kvm_pit_config};
use kvm_ioctls::{Cap, IoEventAddress, Kvm, NoDatamatch, VmFd};
use vmm_sys_util::eventfd::EventFd;

use super::coalesced::CoalescedRing;
use super::cpuid::Processor;
use super::routes::Routes;
use super::slots::Slots;
use super::state::{ChipsetState, Restore};
use super::vcpu::Vcpu;
use super::{KvmError, Refusal, cpuid};
use crate::bus::Bus;
use crate::interrupt::{Doorbells, InterruptController, MsiMessage, RouteId};
use crate::memory::{Access, MapError, MemoryMapper, SlotId};

/// Three pages that KVM needs on Intel processors without unrestricted guests, below the flash
/// and above everything else (Linux `Documentation/virt/kvm/api.rst`, KVM_SET_TSS_ADDR).
const IDENTITY_MAP: u64 = 0xfeff_c000;
const TSS: usize = 0xfeff_d000;

const REQUIRED: [(Cap, &str); 10] = [
    (Cap::Irqchip, "in-kernel interrupt controllers"),
    (Cap::Pit2, "an in-kernel interval timer"),
    (Cap::UserMemory, "user memory"),
    (Cap::SetTssAddr, "a movable task state segment"),
    (Cap::ReadonlyMem, "read-only memory"),
    (Cap::SignalMsi, "message-signalled interrupts"),
    (Cap::ImmediateExit, "immediate exits"),
    (Cap::Xsave, "extended processor state"),
    (Cap::MpState, "the run state of vCPUs"),
    (Cap::AdjustClock, "an adjustable clock"),
];

/// One VM: its memory slots and interrupt controllers.
pub struct Vm {
    kvm: Kvm,
    fd: VmFd,
    slots: Slots,
    routes: Routes,
    /// Whether eventfds can send messages.
    irqfd: bool,
    initial: ChipsetState,
}

/// Opens `/dev/kvm` and sees whether it will do.
fn open() -> Result<Kvm, KvmError> {
    let kvm = Kvm::new().map_err(|error| {
        let source = std::io::Error::from(error);
        match source.kind() {
            ErrorKind::NotFound => KvmError::Absent,
            ErrorKind::PermissionDenied => KvmError::Forbidden,
            // A node without a driver behind it: ENODEV, ENXIO.
            _ if matches!(error.errno(), libc::ENODEV | libc::ENXIO) => KvmError::Absent,
            _ => KvmError::Refused { action: "open /dev/kvm", source },
        }
    })?;
    if kvm.get_api_version() != 12 {
        return Err(KvmError::Lacks("API version 12"));
    }
    if let Some((_, name)) = REQUIRED.iter().find(|(cap, _)| !kvm.check_extension(*cap)) {
        return Err(KvmError::Lacks(name));
    }
    Ok(kvm)
}

/// Whether machines can be made here at all.
///
/// # Errors
/// When KVM is absent, forbidden or too old.
pub fn check() -> Result<(), KvmError> {
    open().map(drop)
}

impl Vm {
    /// Opens `/dev/kvm` and makes a VM with PIC, I/O APIC and interval timer.
    ///
    /// # Errors
    /// When KVM is absent, forbidden, too old, or fails.
    pub fn new() -> Result<Self, KvmError> {
        let kvm = open()?;
        let fd = kvm.create_vm().or_refused("create a VM")?;
        fd.set_identity_map_address(IDENTITY_MAP).or_refused("place the identity map")?;
        fd.set_tss_address(TSS).or_refused("place the task state segment")?;
        fd.create_irq_chip().or_refused("create the interrupt controllers")?;
        let routes = Routes::default();
        routes.wire(&fd).or_refused("wire the interrupt controllers")?;
        let pit = kvm_pit_config { flags: KVM_PIT_SPEAKER_DUMMY, ..Default::default() };
        fd.create_pit2(pit).or_refused("create the interval timer")?;
        let slots = Slots::new(u32::try_from(kvm.get_nr_memslots()).unwrap_or(32));
        let irqfd = kvm.check_extension(Cap::Irqfd);
        let initial = ChipsetState::save(&fd)?;
        Ok(Self { kvm, fd, slots, routes, irqfd, initial })
    }

    /// What the processor calls itself, which guests see as well.
    ///
    /// # Errors
    /// When KVM fails.
    pub fn processor(&self) -> Result<Processor, KvmError> {
        Ok(Processor::of(&self.supported_cpuid()?))
    }

    fn supported_cpuid(&self) -> Result<CpuId, KvmError> {
        self.kvm.get_supported_cpuid(KVM_MAX_CPUID_ENTRIES).or_refused("list processor features")
    }

    /// Makes `count` vCPUs in their power-on state.
    ///
    /// # Errors
    /// When KVM fails or offers fewer.
    pub fn create_vcpus(&self, count: u32) -> Result<Vec<Vcpu>, KvmError> {
        let supported = self
            .kvm
            .get_supported_cpuid(KVM_MAX_CPUID_ENTRIES)
            .or_refused("list processor features")?;
        let deadline_timer = self.kvm.check_extension(Cap::TscDeadlineTimer);
        let msrs = self.kvm.get_msr_index_list().or_refused("list model-specific registers")?;
        (0..count)
            .map(|id| {
                let fd = self.fd.create_vcpu(id.into()).or_refused("create a vCPU")?;
                let mut vcpu = Vcpu::new(fd, msrs.as_slice().to_vec());
                let cpuid = cpuid::for_vcpu(&supported, id, count, deadline_timer);
                vcpu.fd().set_cpuid2(&cpuid).or_refused("set processor features")?;
                vcpu.remember_initial()?;
                Ok(vcpu)
            })
            .collect()
    }

    /// Puts the interrupt controllers and the interval timer into their power-on state.
    ///
    /// # Errors
    /// When KVM fails.
    pub fn reset_chipset(&self) -> Result<(), KvmError> {
        self.initial.restore(&self.fd, Restore::Reset)
    }

    /// Takes the state of interrupt controllers, interval timer and clock out.
    ///
    /// # Errors
    /// When KVM fails.
    pub fn save_chipset(&self) -> Result<ChipsetState, KvmError> {
        ChipsetState::save(&self.fd)
    }

    /// Puts such a state in.
    ///
    /// # Errors
    /// When KVM fails or does not take the state.
    pub fn restore_chipset(&self, state: &ChipsetState) -> Result<(), KvmError> {
        state.restore(&self.fd, Restore::All)
    }

    /// Gathers writes to `mmio_ranges` and `port_ranges` (start, length) in a ring, where KVM
    /// can; `vcpu` is any vCPU of this VM. `None` where it cannot: every write then exits.
    pub fn coalesce(
        &self,
        vcpu: &Vcpu,
        ports: &Arc<Bus>,
        mmio: &Arc<Bus>,
        mmio_ranges: &[(u64, u32)],
        port_ranges: &[(u64, u32)],
    ) -> Option<CoalescedRing> {
        if !self.kvm.check_extension(Cap::CoalescedMmio) {
            return None;
        }
        let ring = CoalescedRing::new(vcpu.as_fd(), ports.clone(), mmio.clone())
            .inspect_err(|error| tracing::debug!("no ring of coalesced writes: {error}"))
            .ok()?;
        for (start, len) in mmio_ranges {
            let _ = self.fd.register_coalesced_mmio(IoEventAddress::Mmio(*start), *len);
        }
        if self.kvm.check_extension(Cap::CoalescedPio) {
            for (start, len) in port_ranges {
                let _ = self.fd.register_coalesced_mmio(IoEventAddress::Pio(*start), *len);
            }
        }
        Some(ring)
    }
}

impl InterruptController for Vm {
    fn set_line(&self, gsi: u32, level: bool) {
        if let Err(error) = self.fd.set_irq_line(gsi, level) {
            tracing::error!("interrupt line {gsi}: {error}");
        }
    }

    fn signal_msi(&self, message: MsiMessage) {
        let msi = kvm_msi {
            address_lo: message.address as u32,
            address_hi: (message.address >> 32) as u32,
            data: message.data,
            ..Default::default()
        };
        // The guest chooses address and data; KVM refuses what is no local APIC's.
        if let Err(error) = self.fd.signal_msi(msi) {
            tracing::debug!("message-signalled interrupt {message:x?}: {error}");
        }
    }

    fn add_route(&self) -> Option<RouteId> {
        if self.irqfd { self.routes.add() } else { None }
    }

    fn connect(&self, route: RouteId, event: &EventFd, message: MsiMessage) -> io::Result<()> {
        self.routes.connect(&self.fd, route, event, message)
    }

    fn disconnect(&self, route: RouteId, event: &EventFd) {
        self.routes.disconnect(&self.fd, route, event);
    }

    fn remove_route(&self, route: RouteId) {
        self.routes.remove(route);
    }
}

impl Doorbells for Vm {
    fn install(&self, address: u64, event: &EventFd) -> io::Result<()> {
        // Without a value to match, KVM needs not even decode the instruction.
        self.fd.register_ioevent(event, &IoEventAddress::Mmio(address), NoDatamatch)?;
        Ok(())
    }

    fn remove(&self, address: u64, event: &EventFd) {
        let address = IoEventAddress::Mmio(address);
        if let Err(error) = self.fd.unregister_ioevent(event, &address, NoDatamatch) {
            tracing::warn!("doorbell: {error}");
        }
    }
}

impl MemoryMapper for Vm {
    unsafe fn map(
        &self,
        guest: u64,
        host: *mut u8,
        len: u64,
        access: Access,
    ) -> Result<SlotId, MapError> {
        // SAFETY: the caller's promise is passed on.
        unsafe { self.slots.map(&self.fd, guest, host, len, access) }
    }

    fn unmap(&self, slot: SlotId) {
        self.slots.unmap(&self.fd, slot);
    }

    fn take_dirty(&self, slot: SlotId, bitmap: &mut [u64]) -> Result<(), MapError> {
        self.slots.take_dirty(&self.fd, slot, bitmap)
    }
}
