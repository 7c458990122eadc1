//! The LPC bridge (Intel ICH9 datasheet §13): where the power management registers lie, and how
//! PCI interrupts reach the interrupt controllers.

use std::sync::Arc;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::bus::{Bus, BusDevice};
use crate::interrupt::InterruptController;
use crate::pci::{
    ClassCode, ConfigSpace, ConfigState, Identity, Intx, IntxRouter, PciDevice, PciFunction, Slot,
    reg,
};
use crate::state::{Persist, Reset, RestoreError};

/// ACPI base address (§13.1.13): 128 ports.
const PMBASE: u16 = 0x40;
const PMBASE_LEN: u64 = 128;
/// ACPI control (§13.1.14).
const ACPI_CNTL: u16 = 0x44;
const ACPI_CNTL_ENABLE: u8 = 0x80;
/// PIRQA to PIRQD and PIRQE to PIRQH routing (§13.1.17, §13.1.19).
const PIRQ_A: u16 = 0x60;
const PIRQ_E: u16 = 0x68;
/// Bit 7: not routed to the 8259.
const PIRQ_UNROUTED: u8 = 0x80;
/// Root complex base address (§13.1.35). The registers there are not modelled.
const RCBA: u16 = 0xf0;
/// Number of PIRQ lines.
const PIRQS: usize = 8;
/// PIRQA is this input of the I/O APIC, the others follow.
const PIRQ_GSI: u32 = 16;

/// Turns INTx pins into interrupt lines.
///
/// Pin p (0 for INTA#) of device d drives PIRQ line (d + p) mod 4 for d up to 24 and line p for
/// the chipset's own devices from 25, which is how stock firmware fills interrupt line registers
/// and what the ACPI `_PRT` says. Each PIRQ line is an input of the I/O APIC of its own and, when
/// routed, of the 8259 as well.
pub struct PirqRouter {
    controller: Arc<dyn InterruptController>,
    inner: Mutex<Wires>,
}

#[derive(Default)]
struct Wires {
    /// For each PIRQ line, which functions' pins assert it: bit `device * 8 + function` of 256.
    asserted: [[u64; 4]; PIRQS],
    /// The routing registers.
    routes: [u8; PIRQS],
    /// The 8259 inputs last driven high.
    high: u16,
}

/// Which pins are asserted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PirqState {
    asserted: [[u64; 4]; PIRQS],
}

impl PirqRouter {
    /// A router without routes to the 8259.
    pub fn new(controller: Arc<dyn InterruptController>) -> Self {
        let wires = Wires { routes: [PIRQ_UNROUTED; PIRQS], ..Wires::default() };
        Self { controller, inner: Mutex::new(wires) }
    }

    /// The PIRQ line that a pin drives.
    fn line(slot: Slot, pin: u8) -> usize {
        let rotation = if slot.device <= 24 { slot.device } else { 0 };
        usize::from((rotation + pin) % 4)
    }

    fn set_routes(&self, routes: [u8; PIRQS]) {
        let mut wires = self.inner.lock();
        wires.routes = routes;
        self.drive_pic(&mut wires);
    }

    /// Drives the 8259's inputs as the lines and routes now stand.
    fn drive_pic(&self, wires: &mut Wires) {
        let mut wanted = 0u16;
        for (asserted, route) in wires.asserted.iter().zip(wires.routes) {
            if route & PIRQ_UNROUTED == 0 && asserted.iter().any(|&bits| bits != 0) {
                wanted |= 1 << (route & 0xf);
            }
        }
        let changed = wanted ^ wires.high;
        for irq in (0..16).filter(|irq| changed & 1 << irq != 0) {
            self.controller.set_line(irq, wanted & 1 << irq != 0);
        }
        wires.high = wanted;
    }

    fn save(&self) -> PirqState {
        PirqState { asserted: self.inner.lock().asserted }
    }

    fn restore(&self, state: &PirqState) {
        let mut wires = self.inner.lock();
        wires.asserted = state.asserted;
        for (line, asserted) in (PIRQ_GSI..).zip(wires.asserted) {
            self.controller.set_line(line, asserted.iter().any(|&bits| bits != 0));
        }
        self.drive_pic(&mut wires);
    }
}

impl IntxRouter for PirqRouter {
    fn set_pin(&self, slot: Slot, pin: u8, level: bool) {
        let line = Self::line(slot, pin);
        let index = usize::from(slot.device) * 8 + usize::from(slot.function);
        let mut wires = self.inner.lock();
        let asserted = &mut wires.asserted[line];
        let before = asserted.iter().any(|&bits| bits != 0);
        let bit = 1 << (index % 64);
        if level {
            asserted[index / 64] |= bit;
        } else {
            asserted[index / 64] &= !bit;
        }
        let after = asserted.iter().any(|&bits| bits != 0);
        if before != after {
            self.controller.set_line(PIRQ_GSI + line as u32, after);
            self.drive_pic(&mut wires);
        }
    }
}

/// Function 00:1f.0.
pub struct LpcBridge {
    function: PciFunction,
    router: Arc<PirqRouter>,
    ports: Arc<Bus>,
    power: Arc<dyn BusDevice>,
    /// Where the power management registers answer.
    power_base: Mutex<Option<u64>>,
}

/// The LPC bridge's registers and the levels of the lines it routes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LpcBridgeState {
    config: ConfigState,
    pirq: PirqState,
}

impl LpcBridge {
    /// A bridge in power-on state. `power` is the power management register block, that appears
    /// on `ports` where the guest asks.
    pub fn new(
        intx: Intx,
        router: Arc<PirqRouter>,
        ports: Arc<Bus>,
        power: Arc<dyn BusDevice>,
    ) -> Self {
        const ROUTE: u8 = 0x8f;
        let identity = Identity {
            vendor: 0x8086,
            device: 0x2918,
            revision: 2,
            class: ClassCode(6, 1, 0),
            subsystem: (0x8086, 0x2918),
        };
        let mut config = ConfigSpace::new(identity, 0);
        // The chipset's other functions share this device number.
        config.set_initial(reg::HEADER_TYPE, &[0x80]);
        config.set_initial(PMBASE, &[0x01]);
        config.make_writable(PMBASE, &[0x80, 0xff]);
        config.make_writable(ACPI_CNTL, &[0x87]);
        for routes in [PIRQ_A, PIRQ_E] {
            config.set_initial(routes, &[PIRQ_UNROUTED; 4]);
            config.make_writable(routes, &[ROUTE; 4]);
        }
        config.make_writable(RCBA, &[0x01, 0xc0, 0xff, 0xff]);
        // GEN_PMCON_1 to 3 (§13.8.1): kept for firmware that reads back what it wrote.
        config.make_writable(0xa0, &[0xff, 0x06, 0, 0, 0x1f]);
        let function = PciFunction::new(config, intx);
        Self { function, router, ports, power, power_base: Mutex::default() }
    }

    /// First port of the power management registers, when the firmware has switched them on.
    pub fn power_base(&self) -> Option<u16> {
        self.function.with_config(|c| {
            let base = c.u16(PMBASE) & 0xff80;
            (c.u8(ACPI_CNTL) & ACPI_CNTL_ENABLE != 0 && base != 0).then_some(base)
        })
    }

    /// Sets up the registers as firmware does, for kernels started without any.
    pub fn set_up_for_kernel(&self, power_base: u16, routes: [u8; 4]) {
        self.function.update_config(|c| {
            c.set(PMBASE, &(power_base | 1).to_le_bytes());
            c.set(ACPI_CNTL, &[ACPI_CNTL_ENABLE]);
            c.set(PIRQ_A, &routes);
            c.set(PIRQ_E, &routes);
        });
        self.apply();
    }

    fn apply(&self) {
        let routes = self.function.with_config(|c| {
            let mut routes = [0; PIRQS];
            for (register, route) in (PIRQ_A..).take(4).chain((PIRQ_E..).take(4)).zip(&mut routes) {
                *route = c.u8(register);
            }
            routes
        });
        self.router.set_routes(routes);
        let wanted = self.power_base().map(u64::from);
        let mut current = self.power_base.lock();
        if *current != wanted {
            if let Some(base) = current.take() {
                self.ports.remove(base);
            }
            if let Some(base) = wanted {
                match self.ports.insert(base, PMBASE_LEN, self.power.clone()) {
                    Ok(()) => *current = Some(base),
                    Err(error) => tracing::warn!("power management registers: {error}"),
                }
            }
        }
    }
}

impl PciDevice for LpcBridge {
    fn function(&self) -> &PciFunction {
        &self.function
    }

    fn read_bar(&self, _: usize, _: u64, _: &mut [u8]) {}

    fn write_bar(&self, _: usize, _: u64, _: &[u8]) {}

    fn config_written(&self, offset: u16, len: usize) {
        let end = usize::from(offset) + len;
        if end > usize::from(PMBASE) && offset < PIRQ_E + 4 {
            self.apply();
        }
    }
}

impl Persist for LpcBridge {
    type State = LpcBridgeState;

    fn save(&self) -> Self::State {
        LpcBridgeState { config: self.function.save(), pirq: self.router.save() }
    }

    fn restore(&self, state: Self::State) -> Result<(), RestoreError> {
        self.function.restore(&state.config)?;
        self.router.restore(&state.pirq);
        self.apply();
        Ok(())
    }
}

impl Reset for LpcBridge {
    fn reset(&self) {
        self.function.reset();
        self.apply();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interrupt::Recorder;
    use crate::state::conformance;

    struct Nothing;
    impl BusDevice for Nothing {
        fn read(&self, _: u64, data: &mut [u8]) {
            data.fill(0);
        }
        fn write(&self, _: u64, _: &[u8]) {}
    }

    fn rig() -> (LpcBridge, Arc<PirqRouter>, Arc<Recorder>, Arc<Bus>) {
        let recorder = Arc::new(Recorder::default());
        let router = Arc::new(PirqRouter::new(recorder.clone()));
        let ports = Arc::new(Bus::new());
        let intx = Intx {
            slot: super::super::LPC_BRIDGE,
            router: router.clone(),
            controller: recorder.clone(),
        };
        let bridge = LpcBridge::new(intx, router.clone(), ports.clone(), Arc::new(Nothing));
        (bridge, router, recorder, ports)
    }

    fn write(bridge: &LpcBridge, offset: u16, data: &[u8]) {
        bridge.function.write_config(offset, data);
        bridge.config_written(offset, data.len());
    }

    #[test]
    fn lines_shared_by_two_pins_stay_high_until_both_are_low() {
        let (bridge, router, recorder, _) = rig();
        write(&bridge, PIRQ_A, &[10, 10, 11, 11]);
        let (display, ahci) = (Slot::new(4, 0), Slot::new(0x1f, 2));
        router.set_pin(display, 0, true);
        router.set_pin(ahci, 0, true);
        assert!(recorder.line(16) && recorder.line(10));
        router.set_pin(display, 0, false);
        assert!(recorder.line(16) && recorder.line(10));
        router.set_pin(ahci, 1, true);
        router.set_pin(ahci, 0, false);
        assert!(!recorder.line(16) && recorder.line(17) && recorder.line(10));
        write(&bridge, PIRQ_A + 1, &[PIRQ_UNROUTED]);
        assert!(!recorder.line(10) && recorder.line(17));
    }

    #[test]
    fn power_management_moves_where_the_guest_asks() {
        let (bridge, _, _, ports) = rig();
        let reads = |port| {
            let mut data = [0xaa];
            ports.read(port, &mut data);
            data[0]
        };
        write(&bridge, PMBASE, &[0x01, 0x06]);
        assert_eq!(reads(0x600), 0xff);
        write(&bridge, ACPI_CNTL, &[0x80]);
        assert_eq!(reads(0x600), 0);
        write(&bridge, PMBASE, &[0x01, 0x0b]);
        assert_eq!((reads(0x600), reads(0xb00)), (0xff, 0));
        bridge.reset();
        assert_eq!(reads(0xb00), 0xff);
    }

    #[test]
    fn conforms() {
        conformance::check(
            || rig().0,
            |bridge| {
                write(bridge, PIRQ_A, &[10, 10, 11, 11]);
                write(bridge, PMBASE, &[0x01, 0x06, 0, 0, 0x80]);
            },
            |bridge| {
                let mut bytes = vec![0; 256];
                bridge.function.read_config(0, &mut bytes);
                bytes
            },
        );
    }
}
