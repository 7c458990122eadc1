//! Which interrupt inputs lead where, those of messages among them (KVM_SET_GSI_ROUTING), and
//! the eventfds that drive them (KVM_IRQFD).

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use kvm_bindings::{
    KVM_IRQ_ROUTING_IRQCHIP, KVM_IRQ_ROUTING_MSI, KVM_IRQCHIP_IOAPIC, KVM_IRQCHIP_PIC_MASTER,
    KVM_IRQCHIP_PIC_SLAVE, KvmIrqRouting, kvm_irq_routing_entry, kvm_irq_routing_irqchip,
    kvm_irq_routing_msi,
};
use kvm_ioctls::VmFd;
use parking_lot::Mutex;
use vmm_sys_util::eventfd::EventFd;

use crate::interrupt::{MsiMessage, RouteId};

/// Inputs of the I/O APIC.
const IOAPIC_INPUTS: u32 = 24;
/// What KVM cannot be told to call otherwise: the interval timer's interrupt.
const TIMER_GSI: u32 = 0;
/// Input of the I/O APIC that the timer is wired to on a PC (MADT: interrupt source override).
const TIMER_INPUT: u32 = 2;
/// Most routes for messages, below KVM's limit of 4096 for all.
const MAX_ROUTES: u32 = 3072;

#[derive(Default)]
struct Messages {
    /// Routes in use, with what they send.
    used: BTreeMap<u32, Option<MsiMessage>>,
    /// Routes whose eventfd is connected.
    connected: BTreeSet<u32>,
}

/// The routes of a VM.
#[derive(Default)]
pub(super) struct Routes {
    messages: Mutex<Messages>,
}

impl Routes {
    /// Tells KVM the wiring of a PC.
    pub(super) fn wire(&self, vm: &VmFd) -> Result<(), kvm_ioctls::Error> {
        program(vm, &self.messages.lock().used)
    }

    pub(super) fn add(&self) -> Option<RouteId> {
        let mut messages = self.messages.lock();
        let first = IOAPIC_INPUTS;
        let id = (first..first + MAX_ROUTES).find(|id| !messages.used.contains_key(id))?;
        messages.used.insert(id, None);
        Some(RouteId(id))
    }

    pub(super) fn connect(
        &self,
        vm: &VmFd,
        RouteId(id): RouteId,
        event: &EventFd,
        message: MsiMessage,
    ) -> io::Result<()> {
        let mut messages = self.messages.lock();
        let before = messages.used.insert(id, Some(message)).flatten();
        if before != Some(message)
            && let Err(error) = program(vm, &messages.used)
        {
            // The guest chose what KVM does not take: the others' routes stay as they were.
            messages.used.insert(id, None);
            if messages.connected.remove(&id) {
                let _ = vm.unregister_irqfd(event, id);
            }
            return Err(error.into());
        }
        if messages.connected.insert(id)
            && let Err(error) = vm.register_irqfd(event, id)
        {
            messages.connected.remove(&id);
            return Err(error.into());
        }
        Ok(())
    }

    pub(super) fn disconnect(&self, vm: &VmFd, RouteId(id): RouteId, event: &EventFd) {
        if self.messages.lock().connected.remove(&id)
            && let Err(error) = vm.unregister_irqfd(event, id)
        {
            tracing::warn!("interrupt route {id}: {error}");
        }
    }

    /// KVM keeps the entry until the next route is programmed; nothing drives it any more.
    pub(super) fn remove(&self, RouteId(id): RouteId) {
        self.messages.lock().used.remove(&id);
    }
}

fn program(
    vm: &VmFd,
    messages: &BTreeMap<u32, Option<MsiMessage>>,
) -> Result<(), kvm_ioctls::Error> {
    let messages = messages.iter().filter_map(|(gsi, message)| Some(to_entry(*gsi, (*message)?)));
    let entries: Vec<_> = pc_wiring().chain(messages).collect();
    let table = KvmIrqRouting::from_entries(&entries).expect("the routes are within KVM's limit");
    vm.set_gsi_routing(&table)
}

fn to_entry(gsi: u32, message: MsiMessage) -> kvm_irq_routing_entry {
    let mut entry = kvm_irq_routing_entry { gsi, type_: KVM_IRQ_ROUTING_MSI, ..Default::default() };
    entry.u.msi = kvm_irq_routing_msi {
        address_lo: message.address as u32,
        address_hi: (message.address >> 32) as u32,
        data: message.data,
        ..Default::default()
    };
    entry
}

/// The wiring of a PC: GSIs below 16 reach both the 8259s and the I/O APIC at their own input,
/// but the timer reaches input 2, where the 8259s' own cascade is.
fn pc_wiring() -> impl Iterator<Item = kvm_irq_routing_entry> {
    let entry = |gsi, irqchip, pin| {
        let mut entry =
            kvm_irq_routing_entry { gsi, type_: KVM_IRQ_ROUTING_IRQCHIP, ..Default::default() };
        entry.u.irqchip = kvm_irq_routing_irqchip { irqchip, pin };
        entry
    };
    let pics = (0..16).map(move |gsi| {
        let chip = if gsi < 8 { KVM_IRQCHIP_PIC_MASTER } else { KVM_IRQCHIP_PIC_SLAVE };
        entry(gsi, chip, gsi % 8)
    });
    let ioapic = (0..IOAPIC_INPUTS).filter(|gsi| *gsi != TIMER_INPUT).map(move |gsi| {
        let pin = if gsi == TIMER_GSI { TIMER_INPUT } else { gsi };
        entry(gsi, KVM_IRQCHIP_IOAPIC, pin)
    });
    pics.chain(ioapic)
}
