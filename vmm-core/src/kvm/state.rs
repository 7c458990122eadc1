//! What KVM keeps of a machine: its vCPUs, interrupt controllers, timer and clock.

use kvm_bindings::{
    KVM_IRQCHIP_IOAPIC, KVM_IRQCHIP_PIC_MASTER, KVM_IRQCHIP_PIC_SLAVE, KVM_MAX_CPUID_ENTRIES, Msrs,
    kvm_clock_data, kvm_debugregs, kvm_irqchip, kvm_lapic_state, kvm_mp_state, kvm_msr_entry,
    kvm_pit_state2, kvm_regs, kvm_sregs, kvm_vcpu_events, kvm_xcrs, kvm_xsave,
};
use kvm_ioctls::{VcpuFd, VmFd};
use serde::{Deserialize, Serialize};

use super::{KvmError, Refusal};

/// The time-stamp counter, which goes on through a reset of the machine.
const IA32_TSC: u32 = 0x10;
/// The TSC's offset, which moves with it.
const IA32_TSC_ADJUST: u32 = 0x3b;
/// Armed only relative to the TSC; has to follow the local APIC's state.
const IA32_TSC_DEADLINE: u32 = 0x6e0;

/// One model-specific register.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Msr {
    index: u32,
    data: u64,
}

/// All of one vCPU.
#[derive(Debug, Serialize, Deserialize)]
pub struct VcpuState {
    regs: kvm_regs,
    sregs: kvm_sregs,
    xsave: kvm_xsave,
    xcrs: kvm_xcrs,
    debugregs: kvm_debugregs,
    lapic: kvm_lapic_state,
    msrs: Vec<Msr>,
    mp_state: kvm_mp_state,
    events: kvm_vcpu_events,
}

/// How much of a state is put in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Restore {
    /// Everything, into a new machine.
    All,
    /// All but the time-stamp counter, for a reset.
    Reset,
}

impl VcpuState {
    /// Takes a vCPU's state out. `msrs` are the indices KVM lists; those it then cannot read are
    /// dropped from the list.
    pub(super) fn save(vcpu: &VcpuFd, msrs: &mut Vec<u32>) -> Result<Self, KvmError> {
        // The multiprocessing state comes first: reading it lets a pending INIT or SIPI take
        // effect, which changes all else.
        let mp_state = vcpu.get_mp_state().or_refused("read a vCPU's run state")?;
        Ok(Self {
            mp_state,
            regs: vcpu.get_regs().or_refused("read a vCPU's registers")?,
            sregs: vcpu.get_sregs().or_refused("read a vCPU's system registers")?,
            xsave: vcpu.get_xsave().or_refused("read a vCPU's extended state")?,
            xcrs: vcpu.get_xcrs().or_refused("read a vCPU's extended control registers")?,
            debugregs: vcpu.get_debug_regs().or_refused("read a vCPU's debug registers")?,
            lapic: vcpu.get_lapic().or_refused("read a local APIC")?,
            msrs: save_msrs(vcpu, msrs)?,
            events: vcpu.get_vcpu_events().or_refused("read a vCPU's pending events")?,
        })
    }

    pub(super) fn restore(&self, vcpu: &VcpuFd, what: Restore) -> Result<(), KvmError> {
        // System registers before the local APIC, whose base address and mode they hold; the
        // local APIC before the deadline timer's MSR; events last, as they refer to all of it.
        vcpu.set_mp_state(self.mp_state).or_refused("set a vCPU's run state")?;
        vcpu.set_sregs(&self.sregs).or_refused("set a vCPU's system registers")?;
        vcpu.set_regs(&self.regs).or_refused("set a vCPU's registers")?;
        // SAFETY: without dynamically enabled features, which Berth does not ask for, the
        // structure is as large as KVM's.
        unsafe { vcpu.set_xsave(&self.xsave) }.or_refused("set a vCPU's extended state")?;
        vcpu.set_xcrs(&self.xcrs).or_refused("set a vCPU's extended control registers")?;
        vcpu.set_debug_regs(&self.debugregs).or_refused("set a vCPU's debug registers")?;
        vcpu.set_lapic(&self.lapic).or_refused("set a local APIC")?;
        restore_msrs(vcpu, &self.msrs, what)?;
        vcpu.set_vcpu_events(&self.events).or_refused("set a vCPU's pending events")
    }
}

/// MSRs per call: what the kernel takes at once.
const MSR_BATCH: usize = KVM_MAX_CPUID_ENTRIES;

fn save_msrs(vcpu: &VcpuFd, indices: &mut Vec<u32>) -> Result<Vec<Msr>, KvmError> {
    let mut saved = Vec::with_capacity(indices.len());
    let mut readable = Vec::with_capacity(indices.len());
    let mut rest: &[u32] = indices;
    while !rest.is_empty() {
        let batch = &rest[..rest.len().min(MSR_BATCH)];
        let entries: Vec<_> =
            batch.iter().map(|&index| kvm_msr_entry { index, ..Default::default() }).collect();
        let mut msrs = msr_list(&entries);
        let count = vcpu.get_msrs(&mut msrs).or_refused("read model-specific registers")?;
        for entry in &msrs.as_slice()[..count] {
            saved.push(Msr { index: entry.index, data: entry.data });
            readable.push(entry.index);
        }
        // KVM stops at the first register it lists but does not give.
        let refused = usize::from(count < batch.len());
        rest = &rest[count + refused..];
    }
    *indices = readable;
    Ok(saved)
}

fn restore_msrs(vcpu: &VcpuFd, saved: &[Msr], what: Restore) -> Result<(), KvmError> {
    let goes_on = |index| matches!(index, IA32_TSC | IA32_TSC_ADJUST | IA32_TSC_DEADLINE);
    let mut entries: Vec<_> = saved
        .iter()
        .filter(|msr| what == Restore::All || !goes_on(msr.index))
        .map(|msr| kvm_msr_entry { index: msr.index, data: msr.data, ..Default::default() })
        .collect();
    entries.sort_by_key(|e| e.index == IA32_TSC_DEADLINE);
    let mut rest = entries.as_slice();
    while !rest.is_empty() {
        let batch = &rest[..rest.len().min(MSR_BATCH)];
        let msrs = msr_list(batch);
        let count = vcpu.set_msrs(&msrs).or_refused("set model-specific registers")?;
        if let Some(refused) = batch.get(count) {
            // Some registers can be read but not set, not even to what they are (KVM without
            // hardware virtualization does so): that is fine as long as they are.
            if read_msr(vcpu, refused.index)? != Some(refused.data) {
                tracing::warn!("KVM does not take MSR {:#x} = {:#x}", refused.index, refused.data);
            }
        }
        rest = &rest[batch.len().min(count + 1)..];
    }
    Ok(())
}

fn read_msr(vcpu: &VcpuFd, index: u32) -> Result<Option<u64>, KvmError> {
    let mut msrs = msr_list(&[kvm_msr_entry { index, ..Default::default() }]);
    let count = vcpu.get_msrs(&mut msrs).or_refused("read model-specific registers")?;
    Ok(msrs.as_slice()[..count].first().map(|entry| entry.data))
}

fn msr_list(entries: &[kvm_msr_entry]) -> Msrs {
    Msrs::from_entries(entries).expect("the batch is within KVM's limit")
}

/// The interrupt controllers, the interval timer and the paravirtual clock.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ChipsetState {
    pic: [kvm_irqchip; 2],
    ioapic: kvm_irqchip,
    pit: kvm_pit_state2,
    clock: kvm_clock_data,
}

const CHIPS: [u32; 3] = [KVM_IRQCHIP_PIC_MASTER, KVM_IRQCHIP_PIC_SLAVE, KVM_IRQCHIP_IOAPIC];

impl ChipsetState {
    pub(super) fn save(vm: &VmFd) -> Result<Self, KvmError> {
        let [master, slave, ioapic] = CHIPS.map(|chip_id| {
            let mut chip = kvm_irqchip { chip_id, ..Default::default() };
            vm.get_irqchip(&mut chip).or_refused("read an interrupt controller")?;
            Ok(chip)
        });
        Ok(Self {
            pic: [master?, slave?],
            ioapic: ioapic?,
            pit: vm.get_pit2().or_refused("read the interval timer")?,
            clock: vm.get_clock().or_refused("read the clock")?,
        })
    }

    pub(super) fn restore(&self, vm: &VmFd, what: Restore) -> Result<(), KvmError> {
        if what == Restore::All {
            // Only the time itself: the flags describe how it was read.
            let clock = kvm_clock_data { clock: self.clock.clock, ..Default::default() };
            vm.set_clock(&clock).or_refused("set the clock")?;
        }
        for chip in [&self.pic[0], &self.pic[1], &self.ioapic] {
            vm.set_irqchip(chip).or_refused("set an interrupt controller")?;
        }
        vm.set_pit2(&self.pit).or_refused("set the interval timer")
    }
}
