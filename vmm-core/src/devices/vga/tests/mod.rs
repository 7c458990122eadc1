//! Tests of the device as a whole, and what they stand on: a guest's view of the machine, and
//! the register values that a BIOS sets modes with.

mod graphics;
mod guest;
mod hostile;
mod linear;
mod text;

use std::sync::Arc;

use parking_lot::Mutex;

use super::device::{Vga, VgaConfig};
use super::pages::{PAGE, WORDS};
use super::vram;
use crate::bus::{Bus, BusDevice};
use crate::clock::VmClock;
use crate::display::{Damage, Display, Frame, Rect};
use crate::memory::{Access, MapError, MemoryMapper, SlotId};
use crate::pci::{EcamWindow, Intx, IntxRouter, RootBus, Slot};

/// Where the tests put BAR 0 and BAR 2.
const FRAME_BUFFER: u64 = 0xfd00_0000;
const REGISTERS: u64 = 0xfebf_0000;

/// A mapper that remembers one mapping, with a log of writes made through it.
struct FakeMapper {
    mapped: Mutex<Option<(u64, usize)>>,
    log: Mutex<[u64; WORDS]>,
    refuse: Mutex<bool>,
}

impl Default for FakeMapper {
    fn default() -> Self {
        Self { mapped: Mutex::new(None), log: Mutex::new([0; WORDS]), refuse: Mutex::new(false) }
    }
}

impl MemoryMapper for FakeMapper {
    unsafe fn map(
        &self,
        guest: u64,
        host: *mut u8,
        len: u64,
        access: Access,
    ) -> Result<SlotId, MapError> {
        if *self.refuse.lock() {
            return Err(MapError::NoSlot);
        }
        assert_eq!((len, access), (vram::SIZE as u64, Access::ReadWriteLogged));
        let earlier = self.mapped.lock().replace((guest, host.addr()));
        assert!(earlier.is_none(), "mapped twice");
        Ok(SlotId(7))
    }

    fn unmap(&self, slot: SlotId) {
        assert_eq!(slot, SlotId(7));
        assert!(self.mapped.lock().take().is_some());
    }

    fn take_dirty(&self, slot: SlotId, bitmap: &mut [u64]) -> Result<(), MapError> {
        assert_eq!(slot, SlotId(7));
        if *self.refuse.lock() {
            return Err(MapError::NoSlot);
        }
        bitmap.copy_from_slice(&std::mem::replace(&mut *self.log.lock(), [0; WORDS]));
        Ok(())
    }
}

/// A machine with nothing but a VGA, as its guest sees it.
struct Guest {
    vga: Arc<Vga>,
    ports: Arc<Bus>,
    mmio: Arc<Bus>,
    config: EcamWindow,
    root: Arc<RootBus>,
    mapper: Arc<FakeMapper>,
}

/// Pins that lead nowhere: a VGA has none.
struct NoWires;

impl IntxRouter for NoWires {
    fn set_pin(&self, _: Slot, _: u8, _: bool) {
        unreachable!("a VGA does not interrupt");
    }
}

fn intx() -> Intx {
    let controller = Arc::new(crate::interrupt::Recorder::default());
    Intx { slot: Slot::new(1, 0), router: Arc::new(NoWires), controller }
}

fn build(mapper: Arc<FakeMapper>, rom: Option<Vec<u8>>) -> Vga {
    let config = VgaConfig { rom, ..VgaConfig::default() };
    Vga::build(config, intx(), mapper, VmClock::new()).unwrap()
}

impl Guest {
    fn new() -> Self {
        Self::with_rom(None)
    }

    fn with_rom(rom: Option<Vec<u8>>) -> Self {
        let mapper = Arc::new(FakeMapper::default());
        let vga = Arc::new(build(mapper.clone(), rom));
        let (ports, mmio) = (Arc::new(Bus::new()), Arc::new(Bus::new()));
        let root = Arc::new(RootBus::new(ports.clone(), mmio.clone()));
        root.insert(vga.clone());
        for (base, len, device) in vga.legacy_ports() {
            ports.insert(base, len, device).unwrap();
        }
        mmio.insert(super::WINDOW_BASE, super::WINDOW_LEN, vga.window()).unwrap();
        let config = EcamWindow::new(&root);
        Self { vga, ports, mmio, config, root, mapper }
    }

    /// One with its BARs where firmware would put them.
    fn mapped() -> Self {
        let guest = Self::new();
        guest.write_config(0x10, FRAME_BUFFER as u32);
        guest.write_config(0x18, REGISTERS as u32);
        guest.write_config(0x04, 0x0003);
        guest
    }

    fn write_config(&self, register: u64, value: u32) {
        self.config.write(1 << 15 | register, &value.to_le_bytes());
    }

    fn read_config(&self, register: u64) -> u32 {
        let mut data = [0; 4];
        self.config.read(1 << 15 | register, &mut data);
        u32::from_le_bytes(data)
    }

    fn outb(&self, port: u64, value: u8) {
        self.ports.write(port, &[value]);
    }

    /// Writes bytes to one port, one after the other.
    fn outs(&self, port: u64, values: &[u8]) {
        values.iter().for_each(|&value| self.outb(port, value));
    }

    fn inb(&self, port: u64) -> u8 {
        let mut data = [0];
        self.ports.read(port, &mut data);
        data[0]
    }

    /// Writes `values` to the registers from `first` on, through index port and data port.
    fn out_indexed(&self, port: u64, first: u8, values: &[u8]) {
        for (index, value) in (first..).zip(values) {
            self.ports.write(port, &[index, *value]);
        }
    }

    fn out_attributes(&self, values: &[u8]) {
        self.inb(0x3da);
        for (index, value) in (0..).zip(values) {
            self.outb(0x3c0, index);
            self.outb(0x3c0, *value);
        }
        self.outb(0x3c0, 0x20);
    }

    fn dispi(&self, index: u16, value: u16) {
        self.ports.write(0x1ce, &index.to_le_bytes());
        self.ports.write(0x1d0, &value.to_le_bytes());
    }

    /// Sets a linear mode as drivers do.
    fn set_linear(&self, width: u16, height: u16, bpp: u16) {
        self.inb(0x3da);
        self.outb(0x3c0, 0x20);
        for (index, value) in [(4, 0), (3, bpp), (1, width), (2, height), (4, 0x41)] {
            self.dispi(index, value);
        }
    }

    /// Writes to the frame buffer as a vCPU does: into memory, seen by the log alone.
    fn poke(&self, offset: usize, data: &[u8]) {
        let (_, host) = self.mapper.mapped.lock().expect("BAR 0 is mapped");
        assert!(offset + data.len() <= vram::SIZE);
        let host = std::ptr::with_exposed_provenance_mut::<u8>(host);
        // SAFETY: in bounds of the memory that the device mapped here, as just checked.
        unsafe { std::ptr::copy_nonoverlapping(data.as_ptr(), host.add(offset), data.len()) };
        let mut log = self.mapper.log.lock();
        for page in offset / PAGE..=(offset + data.len() - 1) / PAGE {
            log[page / 64] |= 1 << (page % 64);
        }
    }

    /// Sets a VGA mode and a grey ramp in the DAC: colour n is n modulo 64, spread to 8 bits.
    fn set_mode(&self, mode: &VgaMode) {
        self.outb(0x3c2, mode.misc);
        self.out_indexed(0x3c4, 0, &mode.seq);
        self.out_indexed(0x3d4, 0x11, &[0]);
        self.out_indexed(0x3d4, 0, &mode.crtc);
        self.out_indexed(0x3ce, 0, &mode.gfx);
        self.out_attributes(&mode.attr);
        self.outb(0x3c6, 0xff);
        self.outb(0x3c8, 0);
        for index in 0..=255u8 {
            (0..3).for_each(|_| self.outb(0x3c9, index));
        }
    }

    fn refresh(&self, frame: &mut Frame) -> Damage {
        self.vga.refresh(frame)
    }

    /// A frame of the current picture.
    fn frame(&self) -> Frame {
        let mut frame = Frame::new();
        assert_eq!(self.refresh(&mut frame), Damage::All);
        frame
    }
}

/// The grey that [`Guest::set_mode`] gives colour `index`.
fn grey(index: u8) -> u8 {
    let value = index & 0x3f;
    value << 2 | value >> 4
}

/// Blue, green and red of a pixel; that the fourth byte is 255 is checked.
fn pixel(frame: &Frame, x: u32, y: u32) -> [u8; 3] {
    let at = ((y * frame.width + x) * 4) as usize;
    assert_eq!(frame.pixels[at + 3], 0xff, "pixel {x},{y} is not opaque");
    [frame.pixels[at], frame.pixels[at + 1], frame.pixels[at + 2]]
}

/// The grey of a pixel.
fn level(frame: &Frame, x: u32, y: u32) -> u8 {
    let [blue, green, red] = pixel(frame, x, y);
    assert!(blue == green && green == red);
    blue
}

fn rect(x: u32, y: u32, width: u32, height: u32) -> Rect {
    Rect { x, y, width, height }
}

/// The register values of a BIOS mode.
struct VgaMode {
    misc: u8,
    seq: [u8; 5],
    crtc: [u8; 25],
    gfx: [u8; 9],
    attr: [u8; 21],
}

/// 16 palette entries as text and 16-colour modes have them, then the other attribute registers.
const fn attributes(rest: [u8; 5]) -> [u8; 21] {
    let [mode, overscan, planes, pan, select] = rest;
    [
        0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x14, 0x07, 0x38, 0x39, 0x3a, 0x3b, 0x3c, 0x3d, 0x3e,
        0x3f, mode, overscan, planes, pan, select,
    ]
}

/// 80x25 characters of 9x16 dots.
const MODE_03: VgaMode = VgaMode {
    misc: 0x67,
    seq: [0x03, 0x00, 0x03, 0x00, 0x02],
    crtc: [
        0x5f, 0x4f, 0x50, 0x82, 0x55, 0x81, 0xbf, 0x1f, 0x00, 0x4f, 0x0d, 0x0e, 0x00, 0x00, 0x00,
        0x00, 0x9c, 0x8e, 0x8f, 0x28, 0x1f, 0x96, 0xb9, 0xa3, 0xff,
    ],
    gfx: [0x00, 0x00, 0x00, 0x00, 0x00, 0x10, 0x0e, 0x0f, 0xff],
    attr: attributes([0x0c, 0x00, 0x0f, 0x08, 0x00]),
};

/// 320x200 in CGA's four colours.
const MODE_04: VgaMode = VgaMode {
    misc: 0x63,
    seq: [0x03, 0x09, 0x03, 0x00, 0x02],
    crtc: [
        0x2d, 0x27, 0x28, 0x90, 0x2b, 0x80, 0xbf, 0x1f, 0x00, 0xc1, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x9c, 0x8e, 0x8f, 0x14, 0x00, 0x96, 0xb9, 0xa2, 0xff,
    ],
    gfx: [0x00, 0x00, 0x00, 0x00, 0x00, 0x30, 0x0f, 0x0f, 0xff],
    attr: attributes([0x01, 0x00, 0x03, 0x00, 0x00]),
};

/// 640x480 in 16 colours.
const MODE_12: VgaMode = VgaMode {
    misc: 0xe3,
    seq: [0x03, 0x01, 0x0f, 0x00, 0x06],
    crtc: [
        0x5f, 0x4f, 0x50, 0x82, 0x54, 0x80, 0x0b, 0x3e, 0x00, 0x40, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x00, 0xea, 0x8c, 0xdf, 0x28, 0x00, 0xe7, 0x04, 0xe3, 0xff,
    ],
    gfx: [0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x05, 0x0f, 0xff],
    attr: attributes([0x01, 0x00, 0x0f, 0x00, 0x00]),
};

/// 320x200 in 256 colours.
const MODE_13: VgaMode = VgaMode {
    misc: 0x63,
    seq: [0x03, 0x01, 0x0f, 0x00, 0x0e],
    crtc: [
        0x5f, 0x4f, 0x50, 0x82, 0x54, 0x80, 0xbf, 0x1f, 0x00, 0x41, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x9c, 0x8e, 0x8f, 0x28, 0x40, 0x96, 0xb9, 0xa3, 0xff,
    ],
    gfx: [0x00, 0x00, 0x00, 0x00, 0x00, 0x40, 0x05, 0x0f, 0xff],
    attr: attributes([0x41, 0x00, 0x0f, 0x00, 0x00]),
};
