//! The memory controller hub (Intel 82Q35 datasheet §5.1): where the ECAM window lies, and the
//! write protection of the shadow RAM.

use std::sync::Arc;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::bus::{Bus, BusDevice};
use crate::memory::{ShadowRam, ShadowState};
use crate::pci::{ClassCode, ConfigSpace, ConfigState, Identity, Intx, PciDevice, PciFunction};
use crate::state::{Persist, Reset, RestoreError};

/// PCI Express register range base address, 64 bits (§5.1.15).
const PCIEXBAR: u16 = 0x60;
const PCIEXBAR_ENABLE: u64 = 1;
/// Programmable attribute map, seven registers (§5.1.18).
const PAM: u16 = 0x90;
/// SMRAM control (§5.1.26): kept for firmware that reads back what it wrote. There is no SMRAM.
const SMRAM: u16 = 0x9d;
/// PAM0 after reset: the segment at 0xF0000 is read from RAM. Not what the datasheet says, but
/// what is true here: the machine has filled that RAM with the firmware before its first
/// instruction, so SeaBIOS need not copy itself.
const PAM0_INITIAL: u8 = 0x10;

/// Subsystem IDs by which SeaBIOS (`src/fw/paravirt.c`) recognises a virtual machine that has
/// fw_cfg and shadow RAM; without them it takes the board for a real one it does not know.
const VIRTUAL_MACHINE: (u16, u16) = (0x1af4, 0x1100);

/// Function 00:00.0.
pub struct HostBridge {
    function: PciFunction,
    shadow: ShadowRam,
    mmio: Arc<Bus>,
    ecam: Arc<dyn BusDevice>,
    /// Where the ECAM window answers.
    ecam_base: Mutex<Option<u64>>,
}

/// The host bridge's registers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostBridgeState {
    config: ConfigState,
}

impl HostBridge {
    /// A host bridge in power-on state, that puts `ecam` onto `mmio` where the guest asks.
    pub fn new(intx: Intx, shadow: ShadowRam, mmio: Arc<Bus>, ecam: Arc<dyn BusDevice>) -> Self {
        let identity = Identity {
            vendor: 0x8086,
            device: 0x29c0,
            revision: 2,
            class: ClassCode(6, 0, 0),
            subsystem: VIRTUAL_MACHINE,
        };
        let mut config = ConfigSpace::new(identity, 0);
        config.make_writable(PCIEXBAR, &[0x07, 0, 0, 0xf0, 0x0f, 0, 0, 0]);
        config.make_writable(PAM, &[0x30, 0x33, 0x33, 0x33, 0x33, 0x33, 0x33]);
        config.set_initial(PAM, &[PAM0_INITIAL]);
        config.make_writable(SMRAM, &[0x78]);
        config.set_initial(SMRAM, &[0x02]);
        Self {
            function: PciFunction::new(config, intx),
            shadow,
            mmio,
            ecam,
            ecam_base: Mutex::default(),
        }
    }

    /// Base and length of the ECAM window, when the firmware has switched it on.
    pub fn ecam(&self) -> Option<(u64, u64)> {
        let bar = self
            .function
            .with_config(|c| u64::from(c.u32(PCIEXBAR)) | u64::from(c.u32(PCIEXBAR + 4)) << 32);
        // Lengths of 256, 128 and 64 MiB (§5.1.15, bits 2:1).
        let len = match bar >> 1 & 3 {
            0 => 256 << 20,
            1 => 128 << 20,
            2 => 64 << 20,
            _ => return None,
        };
        let base = bar & 0xf_f000_0000;
        (bar & PCIEXBAR_ENABLE != 0 && base != 0).then_some((base, len))
    }

    /// Sets up the registers as firmware does, for kernels started without any: the ECAM window
    /// for all 256 buses at `ecam_base`, the shadow RAM writable.
    pub fn set_up_for_kernel(&self, ecam_base: u32) {
        self.function.update_config(|c| {
            c.set(PCIEXBAR, &(u64::from(ecam_base) | PCIEXBAR_ENABLE).to_le_bytes());
            c.set(PAM, &[0x30, 0x33, 0x33, 0x33, 0x33, 0x33, 0x33]);
        });
        self.apply();
    }

    fn apply(&self) {
        let pam = self.function.with_config(|c| {
            let mut pam = [0; 7];
            for (register, value) in (PAM..).zip(&mut pam) {
                *value = c.u8(register);
            }
            pam
        });
        if let Err(error) = self.shadow.set(ShadowState(pam)) {
            tracing::error!("shadow RAM: {error}");
        }
        let wanted = self.ecam();
        let mut current = self.ecam_base.lock();
        if *current != wanted.map(|(base, _)| base) {
            if let Some(base) = current.take() {
                self.mmio.remove(base);
            }
            if let Some((base, len)) = wanted {
                match self.mmio.insert(base, len, self.ecam.clone()) {
                    Ok(()) => *current = Some(base),
                    Err(error) => tracing::warn!("ECAM: {error}"),
                }
            }
        }
    }
}

impl PciDevice for HostBridge {
    fn function(&self) -> &PciFunction {
        &self.function
    }

    fn read_bar(&self, _: usize, _: u64, _: &mut [u8]) {}

    fn write_bar(&self, _: usize, _: u64, _: &[u8]) {}

    fn config_written(&self, offset: u16, len: usize) {
        let end = usize::from(offset) + len;
        if end > usize::from(PCIEXBAR) && usize::from(offset) < usize::from(PAM) + 7 {
            self.apply();
        }
    }
}

impl Persist for HostBridge {
    type State = HostBridgeState;

    fn save(&self) -> Self::State {
        HostBridgeState { config: self.function.save() }
    }

    fn restore(&self, state: Self::State) -> Result<(), RestoreError> {
        self.function.restore(&state.config)?;
        self.apply();
        Ok(())
    }
}

impl Reset for HostBridge {
    fn reset(&self) {
        self.function.reset();
        self.apply();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::{Access, MapError, MemoryMapper, SlotId};
    use crate::pci::test_rig;
    use crate::state::conformance;

    /// Remembers what is mapped where.
    #[derive(Default)]
    struct Mappings(Mutex<Vec<(SlotId, u64, u64, Access)>>);

    impl MemoryMapper for Mappings {
        unsafe fn map(
            &self,
            guest: u64,
            _: *mut u8,
            len: u64,
            access: Access,
        ) -> Result<SlotId, MapError> {
            let mut mappings = self.0.lock();
            let slot = SlotId(mappings.iter().map(|m| m.0.0 + 1).max().unwrap_or(0));
            mappings.push((slot, guest, len, access));
            Ok(slot)
        }

        fn unmap(&self, slot: SlotId) {
            self.0.lock().retain(|mapping| mapping.0 != slot);
        }

        fn take_dirty(&self, _: SlotId, _: &mut [u64]) -> Result<(), MapError> {
            Ok(())
        }
    }

    struct Zeroes;
    impl BusDevice for Zeroes {
        fn read(&self, _: u64, data: &mut [u8]) {
            data.fill(0);
        }
        fn write(&self, _: u64, _: &[u8]) {}
    }

    fn rig() -> (HostBridge, Arc<Mappings>, Arc<Bus>) {
        let mappings = Arc::new(Mappings::default());
        // SAFETY: the mapper never touches the memory.
        let shadow = unsafe { ShadowRam::new(mappings.clone(), std::ptr::null_mut()) }.unwrap();
        let (intx, _) = test_rig::intx(super::super::HOST_BRIDGE);
        let mmio = Arc::new(Bus::new());
        (HostBridge::new(intx, shadow, mmio.clone(), Arc::new(Zeroes)), mappings, mmio)
    }

    fn write(bridge: &HostBridge, offset: u16, data: &[u8]) {
        bridge.function.write_config(offset, data);
        bridge.config_written(offset, data.len());
    }

    #[test]
    fn the_configuration_window_follows_its_register() {
        let (bridge, _, mmio) = rig();
        let answers = |at| {
            let mut data = [0xaa];
            mmio.read(at, &mut data);
            data[0] == 0
        };
        assert_eq!(bridge.ecam(), None);
        write(&bridge, PCIEXBAR, &0xb000_0001u32.to_le_bytes());
        assert_eq!(bridge.ecam(), Some((0xb000_0000, 256 << 20)));
        assert!(answers(0xb000_0000) && answers(0xbfff_ffff) && !answers(0xc000_0000));
        write(&bridge, PCIEXBAR, &0xe000_0005u32.to_le_bytes());
        assert!(!answers(0xb000_0000) && answers(0xe3ff_ffff) && !answers(0xe400_0000));
        bridge.reset();
        assert!(!answers(0xe000_0000));
    }

    #[test]
    fn shadow_ram_opens_and_closes() {
        let (bridge, mappings, _) = rig();
        let access = |at: u64| {
            let mappings = mappings.0.lock();
            let hit = mappings.iter().filter(|m| (m.1..m.1 + m.2).contains(&at));
            hit.map(|m| m.3).collect::<Vec<_>>()
        };
        assert_eq!(access(0xf_0000), [Access::ReadOnly]);
        write(&bridge, PAM, &[0x30, 0x33, 0x33, 0x33]);
        assert_eq!(access(0xf_0000), [Access::ReadWrite]);
        assert_eq!(access(0xc_0000), [Access::ReadWrite]);
        assert_eq!(access(0xd_8000), [Access::ReadOnly]);
        bridge.reset();
        assert_eq!(access(0xf_0000), [Access::ReadOnly]);
    }

    #[test]
    fn conforms() {
        conformance::check(
            || rig().0,
            |bridge| {
                write(bridge, PCIEXBAR, &0xb000_0001u32.to_le_bytes());
                write(bridge, PAM, &[0x30, 0x11, 0x33, 0, 0, 0x33, 0x33]);
            },
            |bridge| {
                let mut bytes = vec![0; 256];
                bridge.function.read_config(0, &mut bytes);
                bytes.push(u8::from(bridge.ecam_base.lock().is_some()));
                bytes
            },
        );
    }
}
