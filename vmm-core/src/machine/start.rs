//! What the first vCPU finds when it starts: firmware, or a kernel in memory.

use std::sync::Arc;

use async_channel::Sender;
use vm_memory::{Bytes as _, GuestAddress};

use super::config::{Boot, MachineConfig};
use super::error::MachineError;
use super::firmware_files::{self, Bridges};
use super::supervisor::Order;
use crate::acpi;
use crate::boot::{self, DirectBoot, InitialRegisters, Platform};
use crate::devices::flash::{Flash, VarsFile};
use crate::devices::fw_cfg::FwCfg;
use crate::firmware::Firmware;
use crate::kvm::Vm;
use crate::memory::{FIRMWARE_END, FirmwareRom, RamAllocation, SHADOW};
use crate::smbios::{self, SmbiosInputs};
use crate::{sentence, text};

/// What a machine starts from, with all it takes to start again after a reset.
pub(super) enum Start {
    /// Firmware at the reset vector.
    Firmware(FirmwareStart),
    /// A kernel, loaded anew on each reset as it overwrites itself.
    Kernel(Box<KernelStart>),
}

pub(super) struct FirmwareStart {
    /// The firmware's end, that a reset copies below 1 MiB.
    shadow: Vec<u8>,
    pub(super) fw_cfg: Arc<FwCfg>,
    pub(super) flash: Option<Arc<Flash>>,
    /// Mapped for as long as the machine lives.
    _rom: FirmwareRom,
}

pub(super) struct KernelStart {
    config: MachineConfig,
    smbios: SmbiosInputs,
    bridges: Bridges,
}

impl Start {
    pub(super) fn new(
        config: &MachineConfig,
        firmware: Option<Firmware>,
        vm: &Arc<Vm>,
        ram: &RamAllocation,
        bridges: Bridges,
        orders: &Sender<Order>,
    ) -> Result<Self, MachineError> {
        let smbios = firmware_files::smbios_inputs(config, ram.layout, vm.processor()?);
        let Some(firmware) = firmware else {
            return Ok(Self::Kernel(Box::new(KernelStart {
                config: config.clone(),
                smbios,
                bridges,
            })));
        };
        let (image, vga_rom, flash) = match firmware {
            Firmware::Bios { image, vga_rom } => (image, Some(vga_rom), None),
            Firmware::Uefi { code, vars_template } => {
                let flash = variables(config, &code, &vars_template, vm, orders)?;
                (code, None, Some(Arc::new(flash)))
            }
        };
        let fw_cfg = firmware_files::fw_cfg(config, &smbios, ram, bridges, vga_rom)?;
        let rom = FirmwareRom::new(vm.clone(), &image)?;
        // What SeaBIOS would have had to copy itself: it runs from all of the shadow RAM.
        let shadow_len = image.len().min((SHADOW.end - SHADOW.start) as usize);
        let shadow = image[image.len() - shadow_len..].to_vec();
        Ok(Self::Firmware(FirmwareStart { shadow, fw_cfg: Arc::new(fw_cfg), flash, _rom: rom }))
    }

    /// Fills guest memory as it is to be when the first instruction runs. Gives the registers
    /// for it, unless they are those of a reset.
    pub(super) fn prepare(
        &self,
        ram: &RamAllocation,
    ) -> Result<Option<InitialRegisters>, MachineError> {
        match self {
            Self::Firmware(firmware) => {
                let at = GuestAddress(SHADOW.end - firmware.shadow.len() as u64);
                ram.ram
                    .write_slice(&firmware.shadow, at)
                    .expect("the shadow RAM is part of the RAM of every machine");
                Ok(None)
            }
            Self::Kernel(kernel) => kernel.load(ram).map(Some),
        }
    }
}

/// The flash below the firmware that keeps its variables.
fn variables(
    config: &MachineConfig,
    code: &[u8],
    template: &[u8],
    vm: &Arc<Vm>,
    orders: &Sender<Order>,
) -> Result<Flash, MachineError> {
    let base = FIRMWARE_END - (code.len() + template.len()) as u64;
    let file = match &config.boot {
        Boot::Uefi { variables: Some(path) } => VarsFile::new(path),
        _ => VarsFile::forgotten(),
    };
    let on_failure = Box::new({
        let orders = orders.clone();
        move |error| {
            let _ = orders.try_send(Order::Warning(sentence::ended(error)));
        }
    });
    let on_panic = {
        let orders = orders.clone();
        move |message| {
            let text = text!("The firmware's flash failed: {reason}.", reason = message);
            let _ = orders.try_send(Order::Failed(text));
        }
    };
    Ok(Flash::new(base, file, template, vm.clone(), on_failure, on_panic)?)
}

impl KernelStart {
    /// Where the ACPI power management registers lie when no firmware chooses; the same as stock
    /// firmware's, as are the routes.
    const PM_BASE: u16 = 0x600;
    /// 8259 inputs of PIRQA to PIRQD.
    const PIRQ_ROUTES: [u8; 4] = [10, 10, 11, 11];
    /// Where the configuration window lies.
    const ECAM_BASE: u32 = 0xb000_0000;

    fn load(&self, ram: &RamAllocation) -> Result<InitialRegisters, MachineError> {
        let Boot::Kernel { kernel, initrd, command_line } = &self.config.boot else {
            unreachable!("only made for machines that boot a kernel")
        };
        self.bridges.lpc.set_up_for_kernel(Self::PM_BASE, Self::PIRQ_ROUTES);
        self.bridges.host.set_up_for_kernel(Self::ECAM_BASE);
        let inputs = firmware_files::acpi_inputs(&self.bridges, ram.layout, self.config.cpus);
        let ecam: Vec<_> = inputs
            .ecam
            .map(|ecam| u64::from(ecam.base)..u64::from(ecam.base) + ecam.len())
            .into_iter()
            .collect();
        let acpi = acpi::linked_at(&inputs, boot::ACPI_BASE);
        let smbios = smbios::linked_at(&self.smbios, boot::SMBIOS_BASE);
        let platform = Platform { acpi: &acpi, smbios: Some(&smbios), reserved: &ecam };
        let boot = DirectBoot { kernel, initrd: initrd.as_deref(), command_line };
        Ok(boot.load(&ram.ram, &platform)?)
    }
}
