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
