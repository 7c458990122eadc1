//! Real vCPUs running a few instructions from the reset vector. They need no hardware
//! virtualization: KVM's instruction emulator knows all of them.

use std::sync::Arc;

use parking_lot::Mutex;
use vmm_sys_util::eventfd::EventFd;

use super::*;
use crate::bus::{Bus, BusDevice};
use crate::interrupt::{Doorbells, InterruptController, MsiMessage};
use crate::memory::FirmwareRom;

/// Records writes; reads give 0x5a.
#[derive(Default)]
struct Probe(Mutex<Vec<(u64, Vec<u8>)>>);

impl BusDevice for Probe {
    fn read(&self, _: u64, data: &mut [u8]) {
        data.fill(0x5a);
    }
    fn write(&self, offset: u64, data: &[u8]) {
        self.0.lock().push((offset, data.to_vec()));
    }
}

struct Rig {
    ports: Arc<Bus>,
    mmio: Arc<Bus>,
    probe: Arc<Probe>,
    vcpu: Vcpu,
    vm: Arc<Vm>,
    _rom: FirmwareRom,
}

/// A vCPU whose first instructions, at 0xFFFFFFF0 - 0x70, are `code`.
fn rig(code: &[u8]) -> Option<Rig> {
    let vm = match Vm::new() {
        Err(error @ (KvmError::Absent | KvmError::Forbidden)) => {
            eprintln!("skipped: {error}");
            return None;
        }
        vm => Arc::new(vm.unwrap()),
    };
    let mut image = vec![0xf4; 4096];
    image[0xf80..0xf80 + code.len()].copy_from_slice(code);
    image[0xff0..0xff2].copy_from_slice(&[0xeb, 0x8e]); // jmp 0xf80
    let rom = FirmwareRom::new(vm.clone(), &image).unwrap();
    let vcpu = vm.create_vcpus(1).unwrap().remove(0);
    let (ports, mmio) = (Arc::new(Bus::new()), Arc::new(Bus::new()));
    let probe = Arc::new(Probe::default());
    ports.insert(0x400, 0x10, probe.clone()).unwrap();
    mmio.insert(0xb_8000, 0x1000, probe.clone()).unwrap();
    prepare_kicks();
    vcpu.register();
    Some(Rig { ports, mmio, probe, vcpu, vm, _rom: rom })
}

impl Rig {
    fn run(&mut self) -> Exit {
        self.vcpu.run(&self.ports, &self.mmio, || {}).unwrap()
    }
}

/// in al, dx from 0x400; out it to 0x402; then for ever.
const PORTS: [u8; 12] = [0xba, 0x00, 0x04, 0xec, 0xba, 0x02, 0x04, 0xee, 0xeb, 0xfe, 0x90, 0x90];

#[test]
fn ports_reach_their_devices_and_reset_starts_again() {
    let Some(mut rig) = rig(&PORTS) else { return };
    for round in 1..3 {
        assert_eq!(rig.run(), Exit::Io);
        assert_eq!(rig.run(), Exit::Io);
        assert_eq!(*rig.probe.0.lock(), vec![(2, vec![0x5a]); round]);
        // Without settling, the finished OUT would move the instruction pointer after the reset.
        rig.vcpu.settle(&rig.ports, &rig.mmio, || {}).unwrap();
        rig.vcpu.arm();
        rig.vm.reset_chipset().unwrap();
        rig.vcpu.reset().unwrap();
    }
}

#[test]
fn a_kick_ends_a_loop_and_is_not_lost_beforehand() {
    let Some(mut rig) = rig(&[0xeb, 0xfe]) else { return };
    let kick = rig.vcpu.kick_handle();
    kick.kick();
    assert_eq!(rig.run(), Exit::Interrupted);
    rig.vcpu.arm();
    let kicker = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(50));
        kick.kick();
    });
    assert_eq!(rig.run(), Exit::Interrupted);
    kicker.join().unwrap();
}

#[test]
fn gathered_writes_arrive_in_order() {
    // mov ax, 0xb800; mov ds, ax; then bytes 0 to 2; out 0x402, al; loop for ever
    let code = [
        0xb8, 0x00, 0xb8, 0x8e, 0xd8, 0xc6, 0x06, 0x00, 0x00, 0x01, 0xc6, 0x06, 0x01, 0x00, 0x02,
        0xc6, 0x06, 0x02, 0x00, 0x03, 0xba, 0x02, 0x04, 0xee, 0xeb, 0xfe,
    ];
    let Some(mut rig) = rig(&code) else { return };
    let Some(ring) = rig.vm.coalesce(&rig.vcpu, &rig.ports, &rig.mmio, &[(0xb_8000, 0x1000)], &[])
    else {
        eprintln!("skipped: this KVM gathers no writes");
        return;
    };
    let exit = rig.vcpu.run(&rig.ports, &rig.mmio, || ring.drain()).unwrap();
    assert_eq!(exit, Exit::Io);
    let seen: Vec<_> = rig.probe.0.lock().iter().map(|(at, data)| (*at, data[0])).collect();
    assert_eq!(seen, [(0, 1), (1, 2), (2, 3), (2, 0)]);
}

#[test]
fn state_moves_to_another_vm() {
    let Some(mut rig) = rig(&PORTS) else { return };
    assert_eq!(rig.run(), Exit::Io);
    rig.vcpu.settle(&rig.ports, &rig.mmio, || {}).unwrap();
    let state = serde_json::to_string(&rig.vcpu.save().unwrap()).unwrap();
    let chipset = serde_json::to_string(&rig.vm.save_chipset().unwrap()).unwrap();
    drop(rig);

    let Some(mut other) = self::rig(&PORTS) else { return };
    other.vm.restore_chipset(&serde_json::from_str(&chipset).unwrap()).unwrap();
    other.vcpu.restore(&serde_json::from_str(&state).unwrap()).unwrap();
    other.vcpu.arm();
    // Goes on after the IN, with what it read.
    assert_eq!(other.run(), Exit::Io);
    assert_eq!(*other.probe.0.lock(), [(2, vec![0x5a])]);
}

/// mov ax, 0xb800; mov ds, ax; mov word [0x10], 7; mov byte [0x12], 7; out 0x80, al; for ever
const RING: [u8; 20] = [
    0xb8, 0x00, 0xb8, 0x8e, 0xd8, 0xc7, 0x06, 0x10, 0x00, 0x07, 0x00, 0xc6, 0x06, 0x12, 0x00, 0x07,
    0xe6, 0x80, 0xeb, 0xfe,
];

#[test]
fn doorbells_ring_without_an_exit() {
    let Some(mut rig) = rig(&RING) else { return };
    let event = EventFd::new(libc::EFD_NONBLOCK).unwrap();
    let Ok(()) = rig.vm.install(0xb_8010, &event) else {
        eprintln!("skipped: this KVM has no ioeventfd");
        return;
    };
    // The first exit is for the address beside the doorbell.
    assert_eq!(rig.run(), Exit::Mmio);
    assert_eq!(*rig.probe.0.lock(), [(0x12, vec![7])]);
    assert_eq!(event.read().unwrap(), 1);
    rig.vm.remove(0xb_8010, &event);
    rig.vcpu.settle(&rig.ports, &rig.mmio, || {}).unwrap();
    rig.vcpu.arm();
    rig.vcpu.reset().unwrap();
    assert_eq!(rig.run(), Exit::Mmio);
    assert!(event.read().is_err());
    assert_eq!(rig.probe.0.lock()[1], (0x10, vec![7, 0]));
}

/// Whether the vCPU's local APIC has been sent `vector`.
fn requested(rig: &Rig, vector: usize) -> bool {
    let apic = rig.vcpu.fd().get_lapic().unwrap();
    // IRR: 32 vectors a register, registers 16 bytes apart from 0x200 (SDM vol. 3 §11.8.4).
    apic.regs[0x200 + vector / 32 * 16 + vector % 32 / 8] as u8 & 1 << (vector % 8) != 0
}

#[test]
fn routes_send_what_they_were_told_last() {
    let Some(rig) = rig(&PORTS) else { return };
    let Some(route) = rig.vm.add_route() else {
        eprintln!("skipped: this KVM has no irqfd");
        return;
    };
    // Switched on by software, or it takes nothing (SDM vol. 3 §11.9, SVR).
    let mut apic = rig.vcpu.fd().get_lapic().unwrap();
    (apic.regs[0xf0], apic.regs[0xf1]) = (-1, 1);
    rig.vcpu.fd().set_lapic(&apic).unwrap();
    let event = EventFd::new(libc::EFD_NONBLOCK).unwrap();
    let message = |vector| MsiMessage { address: 0xfee0_0000, data: vector };
    rig.vm.connect(route, &event, message(0x41)).unwrap();
    event.write(1).unwrap();
    assert!(requested(&rig, 0x41));
    rig.vm.connect(route, &event, message(0x52)).unwrap();
    assert!(!requested(&rig, 0x52));
    event.write(1).unwrap();
    assert!(requested(&rig, 0x52));
    rig.vm.disconnect(route, &event);
    rig.vm.connect(route, &event, message(0x63)).unwrap();
    rig.vm.disconnect(route, &event);
    event.write(1).unwrap();
    assert!(!requested(&rig, 0x63));
    // Written while nothing was connected; KVM sends it from a thread of its own.
    rig.vm.connect(route, &event, message(0x63)).unwrap();
    let start = std::time::Instant::now();
    while !requested(&rig, 0x63) {
        assert!(start.elapsed().as_secs() < 20, "the message was not sent");
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    rig.vm.disconnect(route, &event);
    rig.vm.remove_route(route);
    assert_eq!(rig.vm.add_route(), Some(route));
}
