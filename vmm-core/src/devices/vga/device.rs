//! The device as a whole: what it is made of, its PCI function, and the viewers' interface.

use std::io;
use std::sync::Arc;

use parking_lot::Mutex;

use super::aperture::Aperture;
use super::chip::Chip;
use super::scanout::{Picture, Scanout};
use super::screen::Screen;
use super::text::Phase;
use super::{dispi, edid, retrace, vram};
use crate::clock::VmClock;
use crate::display::{Damage, Display, Frame, Mode};
use crate::memory::MemoryMapper;
use crate::pci::{Bar, BarKind, ClassCode, ConfigSpace, Identity, Intx, PciDevice, PciFunction};
use crate::state::Reset;

/// BAR of the linear frame buffer.
const FRAME_BUFFER: usize = 0;
/// BAR of the registers.
const REGISTERS: usize = 2;
const REGISTERS_LEN: u32 = 4096;
/// The expansion ROM, as a BAR.
const ROM: usize = 6;

/// Largest option ROM taken; the window firmware runs it in is 128 KiB.
const MAX_ROM: usize = 1 << 20;
/// Smallest window an expansion ROM can have (PCI 3.0 §6.2.5.2).
const MIN_ROM_WINDOW: usize = 2048;

/// Makes buffered writes to the memory window arrive: see [`Vga::set_flush_writes`].
pub type FlushWrites = Arc<dyn Fn() + Send + Sync>;

/// What a VGA is made with.
#[derive(Debug, Clone)]
pub struct VgaConfig {
    /// The option ROM (`vgabios-stdvga.bin`) that the expansion ROM window shows; without one
    /// there is no such window.
    pub rom: Option<Vec<u8>>,
    /// Width and height that the monitor prefers, in pixels; at most 2560 by 1600.
    pub preferred: (u32, u32),
}

impl Default for VgaConfig {
    fn default() -> Self {
        Self { rom: None, preferred: (1024, 768) }
    }
}

/// The VGA. All of it is callable from any thread.
///
/// Locks: `screen` before `chip`; neither is held while the flush hook runs. vCPUs take only
/// `chip`, and that never for longer than one access takes.
pub struct Vga {
    function: PciFunction,
    pub(super) aperture: Aperture,
    pub(super) chip: Mutex<Chip>,
    screen: Mutex<Screen>,
    rom: Vec<u8>,
    pub(super) edid: [u8; edid::LEN],
    clock: VmClock,
    flush_writes: Mutex<Option<FlushWrites>>,
}

impl Vga {
    /// A VGA in power-on state. `intx` says where it sits (it never interrupts), `mapper` maps
    /// its frame buffer, and `clock` moves the beam.
    ///
    /// # Errors
    /// When `config` asks for an impossible ROM or resolution, or the host has no memory.
    pub fn new(
        config: VgaConfig,
        intx: Intx,
        mapper: Arc<dyn MemoryMapper>,
        clock: VmClock,
    ) -> io::Result<Arc<Self>> {
        Self::build(config, intx, mapper, clock).map(Arc::new)
    }

    pub(super) fn build(
        config: VgaConfig,
        intx: Intx,
        mapper: Arc<dyn MemoryMapper>,
        clock: VmClock,
    ) -> io::Result<Self> {
        let invalid = |what: String| Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        let (width, height) = config.preferred;
        let (max_width, max_height) = (u32::from(dispi::MAX_XRES), u32::from(dispi::MAX_YRES));
        if !(64..=max_width).contains(&width) || !(64..=max_height).contains(&height) {
            return invalid(format!(
                "the VGA cannot show {width}x{height}; choose 64x64 to {max_width}x{max_height}"
            ));
        }
        let rom = config.rom.unwrap_or_default();
        if rom.len() > MAX_ROM {
            return invalid(format!("a VGA ROM of {} bytes is too large", rom.len()));
        }
        Ok(Self {
            function: PciFunction::new(config_space(rom.len()), intx),
            aperture: Aperture::new(mapper)?,
            chip: Mutex::default(),
            screen: Mutex::default(),
            rom,
            edid: edid::build(width, height),
            clock,
            flush_writes: Mutex::new(None),
        })
    }

    /// Sets what [`Display`] calls before it looks, where writes to the memory window are
    /// buffered (KVM's coalesced MMIO): `flush` passes them to [`Self::window`] before it
    /// returns. No lock of the device is held meanwhile. It should hold the machine weakly.
    pub fn set_flush_writes(&self, flush: FlushWrites) {
        *self.flush_writes.lock() = Some(flush);
    }

    /// Makes the guest's buffered writes arrive.
    pub(super) fn flush_writes(&self) {
        let flush = self.flush_writes.lock().clone();
        if let Some(flush) = flush {
            flush();
        }
    }

    /// Input status register 1 now.
    pub(super) fn input_status_1(&self) -> impl FnOnce(&super::crtc::Crtc) -> u8 + '_ {
        |crtc| retrace::input_status_1(crtc, self.clock.now())
    }

    fn scanout(&self) -> Scanout {
        Scanout::of(&self.chip.lock())
    }

    /// The next look finds everything changed.
    pub(super) fn invalidate(&self) {
        self.screen.lock().invalidate();
    }
}

fn config_space(rom_len: usize) -> ConfigSpace {
    let identity = Identity {
        vendor: 0x1234,
        device: 0x1111,
        // Revision 2 would promise the byte order register in BAR 2, of use to big-endian
        // guests alone.
        revision: 0,
        class: ClassCode(0x03, 0x00, 0x00),
        // By which Linux tells this device from others with the same ID.
        subsystem: (0x1af4, 0x1100),
    };
    let space = ConfigSpace::new(identity, 0)
        .with_bar(
            FRAME_BUFFER,
            Bar { kind: BarKind::Ram, size: vram::SIZE as u32, prefetchable: true },
        )
        .with_bar(REGISTERS, Bar { kind: BarKind::Mmio, size: REGISTERS_LEN, prefetchable: false });
    if rom_len == 0 {
        return space;
    }
    space.with_rom(rom_len.next_power_of_two().max(MIN_ROM_WINDOW) as u32)
}

impl PciDevice for Vga {
    fn function(&self) -> &PciFunction {
        &self.function
    }

    fn read_bar(&self, bar: usize, offset: u64, data: &mut [u8]) {
        match bar {
            REGISTERS => self.read_registers(offset, data),
            ROM => {
                for (at, byte) in (offset..).zip(data) {
                    let at = usize::try_from(at).unwrap_or(usize::MAX);
                    *byte = self.rom.get(at).copied().unwrap_or(0);
                }
            }
            _ => {}
        }
    }

    fn write_bar(&self, bar: usize, offset: u64, data: &[u8]) {
        if bar == REGISTERS {
            self.write_registers(offset, data);
        }
    }

    fn bar_moved(&self, bar: usize, address: Option<u64>) {
        if bar == FRAME_BUFFER {
            self.aperture.move_to(address);
        }
    }
}

impl Display for Vga {
    fn mode(&self) -> Mode {
        self.scanout().mode()
    }

    fn refresh(&self, frame: &mut Frame) -> Damage {
        self.flush_writes();
        let mut screen = self.screen.lock();
        let scanout = self.scanout();
        screen.advance(scanout, Phase::at(self.clock.now()), &self.aperture);
        screen.draw(self.aperture.vram(), frame)
    }

    fn text(&self) -> Option<String> {
        self.flush_writes();
        match self.scanout().picture {
            Picture::Text(layout) => Some(layout.text(self.aperture.vram())),
            _ => None,
        }
    }
}

impl Reset for Vga {
    fn reset(&self) {
        // What was written before the reset must not arrive after it.
        self.flush_writes();
        self.function.reset();
        *self.chip.lock() = Chip::default();
        self.aperture.vram().discard();
        self.invalidate();
    }
}
