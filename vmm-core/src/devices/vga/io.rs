//! The guest's ways in: I/O ports, the memory window, and the register BAR.

use std::sync::Arc;

use super::device::Vga;
use super::window;
use crate::bus::BusDevice;

/// Ports of the VGA: base and length. 0x3B0 to 0x3BF has only the monochrome CRTC's, the rest
/// being a printer's.
pub const PORT_RANGES: [(u64, u64); 4] = [
    (MONO_CRTC, 2),
    (MONO_STATUS, 1),
    (VGA_PORTS, VGA_PORTS_LEN),
    // Four rather than three: a word written to the second data port must fit.
    (DISPI_PORTS, 4),
];
const MONO_CRTC: u64 = 0x3b4;
const MONO_STATUS: u64 = 0x3ba;
const VGA_PORTS: u64 = 0x3c0;
const VGA_PORTS_LEN: u64 = 0x20;
const DISPI_PORTS: u64 = 0x1ce;

/// Where the memory window begins.
pub const WINDOW_BASE: u64 = 0xa_0000;
/// Its length in bytes.
pub const WINDOW_LEN: u64 = window::WINDOW;

/// Offsets in the register BAR (QEMU `docs/specs/standard-vga.rst`).
mod bar {
    pub(super) const EDID_END: u64 = 0x400;
    pub(super) const PORTS: u64 = 0x400;
    pub(super) const PORTS_END: u64 = 0x420;
    pub(super) const DISPI: u64 = 0x500;
    pub(super) const DISPI_END: u64 = 0x516;
}

/// A range of VGA ports.
struct Ports {
    vga: Arc<Vga>,
    base: u16,
}

impl BusDevice for Ports {
    fn read(&self, offset: u64, data: &mut [u8]) {
        let mut chip = self.vga.chip.lock();
        for (port, byte) in (self.base.wrapping_add(offset as u16)..).zip(data) {
            *byte = chip.vga.read(port, self.vga.input_status_1());
        }
    }

    fn write(&self, offset: u64, data: &[u8]) {
        let mut chip = self.vga.chip.lock();
        for (port, &byte) in (self.base.wrapping_add(offset as u16)..).zip(data) {
            chip.vga.write(port, byte);
        }
    }
}

/// DISPI's index port and, following it and once more on an even address, its data port.
struct DispiPorts(Arc<Vga>);

impl BusDevice for DispiPorts {
    fn read(&self, offset: u64, data: &mut [u8]) {
        let chip = self.0.chip.lock();
        let value = match offset {
            0 => chip.dispi.index(),
            1 | 2 => chip.dispi.read(chip.dispi.index()),
            _ => return,
        };
        for (byte, value) in data.iter_mut().zip(value.to_le_bytes()) {
            *byte = value;
        }
    }

    fn write(&self, offset: u64, data: &[u8]) {
        // Registers are written whole: half a resolution means nothing.
        let &[low, high, ..] = data else { return };
        let value = u16::from_le_bytes([low, high]);
        let mut chip = self.0.chip.lock();
        match offset {
            0 => chip.dispi.set_index(value),
            1 | 2 => {
                let index = chip.dispi.index();
                chip.write_dispi(self.0.aperture.vram(), index, value);
            }
            _ => {}
        }
    }
}

struct Window(Arc<Vga>);

impl BusDevice for Window {
    fn read(&self, offset: u64, data: &mut [u8]) {
        self.0.chip.lock().read_window(self.0.aperture.vram(), offset, data);
    }

    fn write(&self, offset: u64, data: &[u8]) {
        self.0.chip.lock().write_window(self.0.aperture.vram(), offset, data);
    }
}

impl Vga {
    /// What answers the ports, with base and length of each range: [`PORT_RANGES`].
    pub fn legacy_ports(self: &Arc<Self>) -> Vec<(u64, u64, Arc<dyn BusDevice>)> {
        PORT_RANGES
            .iter()
            .map(|&(base, len)| {
                let vga = self.clone();
                let device: Arc<dyn BusDevice> = if base == DISPI_PORTS {
                    Arc::new(DispiPorts(vga))
                } else {
                    Arc::new(Ports { vga, base: base as u16 })
                };
                (base, len, device)
            })
            .collect()
    }

    /// What answers at [`WINDOW_BASE`] for [`WINDOW_LEN`] bytes. Writes may be buffered and
    /// arrive later, in order: see [`Self::set_flush_writes`].
    pub fn window(self: &Arc<Self>) -> Arc<dyn BusDevice> {
        Arc::new(Window(self.clone()))
    }

    /// Reads the register BAR.
    pub(super) fn read_registers(&self, offset: u64, data: &mut [u8]) {
        let mut chip = self.chip.lock();
        for (at, byte) in (offset..).zip(data) {
            *byte = match at {
                0..bar::EDID_END => self.edid.get(at as usize).copied().unwrap_or(0),
                bar::PORTS..bar::PORTS_END => {
                    chip.vga.read_decoded(bar_port(at), self.input_status_1())
                }
                bar::DISPI..bar::DISPI_END => {
                    let register = (at - bar::DISPI) as u16;
                    chip.dispi.read(register / 2).to_le_bytes()[usize::from(register % 2)]
                }
                _ => 0xff,
            };
        }
    }

    /// Writes the register BAR.
    pub(super) fn write_registers(&self, offset: u64, data: &[u8]) {
        let mut chip = self.chip.lock();
        match offset {
            bar::PORTS..bar::PORTS_END => {
                // An index and its data may come as one word.
                for (at, &byte) in (offset..bar::PORTS_END).zip(data) {
                    chip.vga.write_decoded(bar_port(at), byte);
                }
            }
            bar::DISPI..bar::DISPI_END if offset.is_multiple_of(2) => {
                for (index, word) in ((offset - bar::DISPI) / 2..).zip(data.chunks_exact(2)) {
                    let value = u16::from_le_bytes([word[0], word[1]]);
                    chip.write_dispi(self.aperture.vram(), index as u16, value);
                }
            }
            _ => {}
        }
    }
}

/// The port that an offset in the register BAR stands for. The CRTC is always at 0x3Dx here:
/// drivers that use the BAR know nothing of monochrome monitors, and may not have set the misc
/// output register up.
fn bar_port(at: u64) -> u16 {
    (VGA_PORTS + (at - bar::PORTS)) as u16
}
