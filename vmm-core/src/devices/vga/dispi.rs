//! DISPI: the register interface of Bochs' VBE extension (`vbe_display_api.txt`, version B0C5).
//!
//! Registers keep what the guest wrote; [`Dispi::mode`] says what of it makes sense, and every
//! mode it returns lies inside video memory.

use serde::{Deserialize, Serialize};

use super::vram;

/// Register indices.
mod reg {
    pub(super) const ID: u16 = 0x0;
    pub(super) const XRES: u16 = 0x1;
    pub(super) const YRES: u16 = 0x2;
    pub(super) const BPP: u16 = 0x3;
    pub(super) const ENABLE: u16 = 0x4;
    pub(super) const BANK: u16 = 0x5;
    pub(super) const VIRT_WIDTH: u16 = 0x6;
    pub(super) const VIRT_HEIGHT: u16 = 0x7;
    pub(super) const X_OFFSET: u16 = 0x8;
    pub(super) const Y_OFFSET: u16 = 0x9;
    pub(super) const VIDEO_MEMORY_64K: u16 = 0xa;
}

/// Versions a driver may ask for, and the newest of them.
const IDS: std::ops::RangeInclusive<u16> = 0xb0c0..=NEWEST_ID;
const NEWEST_ID: u16 = 0xb0c5;

/// Bits of the enable register.
const ENABLED: u16 = 0x01;
const GETCAPS: u16 = 0x02;
const DAC_8BIT: u16 = 0x20;
const LFB_ENABLED: u16 = 0x40;
const NOCLEARMEM: u16 = 0x80;

/// Largest mode, in pixels.
pub(super) const MAX_XRES: u16 = 2560;
/// Largest mode, in rows.
pub(super) const MAX_YRES: u16 = 1600;
const MAX_BPP: u16 = 32;

/// Bytes in a bank: what the window at 0xA0000 shows at once.
pub(super) const BANK_SIZE: usize = 64 << 10;
const BANKS: u16 = (vram::SIZE / BANK_SIZE) as u16;

/// How pixels are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Depth {
    /// Four planes, as in VGA's 16-colour modes.
    Planar4,
    /// One byte, through the palette.
    Indexed8,
    /// Little-endian 1:5:5:5.
    Rgb555,
    /// Little-endian 5:6:5.
    Rgb565,
    /// Blue, green, red.
    Rgb888,
    /// Blue, green, red, unused.
    Xrgb8888,
}

impl Depth {
    fn from_bpp(bpp: u16) -> Option<Self> {
        Some(match bpp {
            4 => Self::Planar4,
            8 => Self::Indexed8,
            15 => Self::Rgb555,
            16 => Self::Rgb565,
            24 => Self::Rgb888,
            32 => Self::Xrgb8888,
            _ => return None,
        })
    }

    /// Bits of video memory a pixel takes.
    fn bits(self) -> usize {
        match self {
            Self::Planar4 => 4,
            Self::Indexed8 => 8,
            Self::Rgb555 | Self::Rgb565 => 16,
            Self::Rgb888 => 24,
            Self::Xrgb8888 => 32,
        }
    }

    /// Bytes a pixel takes; planar pixels have no byte of their own.
    pub(super) fn bytes(self) -> usize {
        self.bits() / 8
    }
}

/// What an enabled DISPI shows.
///
/// Invariant: `(y + height) * pitch` bytes fit in video memory, and so do `x + width` pixels in
/// `pitch` bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DispiMode {
    pub(super) depth: Depth,
    /// Pixels shown a row.
    pub(super) width: usize,
    /// Rows shown.
    pub(super) height: usize,
    /// Bytes from a row to the next, over all planes.
    pub(super) pitch: usize,
    /// The first pixel shown.
    pub(super) x: usize,
    /// The first row shown.
    pub(super) y: usize,
}

/// What a write asks of the rest of the device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Effect {
    /// Zero this many bytes of video memory, from the start.
    pub(super) clear: usize,
    /// The DAC's data port is now eight bits wide, or six.
    pub(super) wide_dac: Option<bool>,
}

/// The registers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Dispi {
    index: u16,
    id: u16,
    xres: u16,
    yres: u16,
    bpp: u16,
    enable: u16,
    bank: u16,
    virt_width: u16,
    x_offset: u16,
    y_offset: u16,
}

impl Default for Dispi {
    fn default() -> Self {
        Self {
            index: 0,
            id: NEWEST_ID,
            xres: 0,
            yres: 0,
            bpp: 8,
            enable: 0,
            bank: 0,
            virt_width: 0,
            x_offset: 0,
            y_offset: 0,
        }
    }
}

impl Dispi {
    /// Whether a restored state is one that the registers can have.
    pub(super) fn is_valid(&self) -> bool {
        IDS.contains(&self.id)
            && self.xres <= MAX_XRES
            && self.yres <= MAX_YRES
            && Depth::from_bpp(self.bpp).is_some()
            && self.bank < BANKS
            && (!self.enabled() || self.mode().is_some())
    }

    /// The index port.
    pub(super) fn index(&self) -> u16 {
        self.index
    }

    /// Writes the index port.
    pub(super) fn set_index(&mut self, index: u16) {
        self.index = index;
    }

    pub(super) fn enabled(&self) -> bool {
        self.enable & ENABLED != 0
    }

    /// The register `index`; zero where there is none.
    pub(super) fn read(&self, index: u16) -> u16 {
        let caps = self.enable & GETCAPS != 0;
        match index {
            reg::ID => self.id,
            reg::XRES if caps => MAX_XRES,
            reg::YRES if caps => MAX_YRES,
            reg::BPP if caps => MAX_BPP,
            reg::XRES => self.xres,
            reg::YRES => self.yres,
            reg::BPP => self.bpp,
            reg::ENABLE => self.enable,
            reg::BANK => self.bank,
            reg::VIRT_WIDTH => self.virt_width,
            reg::VIRT_HEIGHT => self.virt_height(),
            reg::X_OFFSET => self.x_offset,
            reg::Y_OFFSET => self.y_offset,
            reg::VIDEO_MEMORY_64K => BANKS,
            _ => 0,
        }
    }

    /// Rows of the virtual screen: as many as fit in video memory.
    fn virt_height(&self) -> u16 {
        let depth = Depth::from_bpp(self.bpp).unwrap_or(Depth::Indexed8);
        let rows = vram::SIZE.checked_div(self.pitch(depth)).unwrap_or(0);
        u16::try_from(rows).unwrap_or(u16::MAX)
    }

    /// Bytes a row of the virtual screen takes, over all planes.
    fn pitch(&self, depth: Depth) -> usize {
        let width = usize::from(self.virt_width.max(self.xres));
        match depth {
            // Planar rows begin at a whole byte of every plane.
            Depth::Planar4 => width.div_ceil(8) * 4,
            _ => width * depth.bytes(),
        }
    }

    /// Writes register `index`. Values that no mode can have are ignored, as Bochs does.
    pub(super) fn write(&mut self, index: u16, value: u16) -> Effect {
        match index {
            reg::ID if IDS.contains(&value) => self.id = value,
            reg::XRES if (1..=MAX_XRES).contains(&value) => self.xres = value,
            reg::YRES if (1..=MAX_YRES).contains(&value) => self.yres = value,
            // Zero stood for eight before there was anything else.
            reg::BPP if value == 0 => self.bpp = 8,
            reg::BPP if Depth::from_bpp(value).is_some() => self.bpp = value,
            reg::ENABLE => return self.write_enable(value),
            // Newer interfaces keep flags for separate read and write banks in the high bits.
            reg::BANK if value < BANKS => self.bank = value,
            reg::VIRT_WIDTH => self.virt_width = value,
            reg::X_OFFSET => self.x_offset = value,
            reg::Y_OFFSET => self.y_offset = value,
            _ => {}
        }
        Effect::default()
    }

    fn write_enable(&mut self, value: u16) -> Effect {
        let rise = value & ENABLED != 0 && !self.enabled();
        self.enable = value & (ENABLED | GETCAPS | DAC_8BIT | LFB_ENABLED | NOCLEARMEM);
        let mut effect = Effect { clear: 0, wide_dac: Some(value & DAC_8BIT != 0) };
        if rise {
            (self.virt_width, self.x_offset, self.y_offset, self.bank) = (self.xres, 0, 0, 0);
            match self.mode() {
                Some(mode) if value & NOCLEARMEM == 0 => effect.clear = mode.height * mode.pitch,
                Some(_) => {}
                None => self.enable &= !ENABLED,
            }
        } else if !self.enabled() {
            self.bank = 0;
        }
        effect
    }

    /// What is shown, when DISPI is enabled: the registers, each limited to what video memory
    /// and the others allow.
    pub(super) fn mode(&self) -> Option<DispiMode> {
        let depth = Depth::from_bpp(self.bpp).filter(|_| self.enabled())?;
        let pitch = self.pitch(depth);
        let rows = vram::SIZE.checked_div(pitch)?;
        let width = usize::from(self.xres);
        let height = usize::from(self.yres).min(rows);
        if width == 0 || height == 0 {
            return None;
        }
        let virt_width = usize::from(self.virt_width.max(self.xres));
        Some(DispiMode {
            depth,
            width,
            height,
            pitch,
            x: usize::from(self.x_offset).min(virt_width - width),
            y: usize::from(self.y_offset).min(rows - height),
        })
    }

    /// Where in video memory the window at 0xA0000 begins, in modes of linear pixels.
    pub(super) fn linear_bank(&self) -> Option<usize> {
        let linear = self.enabled() && Depth::from_bpp(self.bpp) != Some(Depth::Planar4);
        linear.then_some(usize::from(self.bank) * BANK_SIZE)
    }

    /// The plane offset at which the window begins and the last plane offset there is, in
    /// four-bit modes.
    pub(super) fn planar_bank(&self) -> Option<(u32, u32)> {
        let planar = self.enabled() && self.linear_bank().is_none();
        planar.then_some((u32::from(self.bank) * BANK_SIZE as u32, vram::PLANE_SIZE - 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn enable(dispi: &mut Dispi, xres: u16, yres: u16, bpp: u16, flags: u16) -> Effect {
        dispi.write(reg::ENABLE, 0);
        dispi.write(reg::XRES, xres);
        dispi.write(reg::YRES, yres);
        dispi.write(reg::BPP, bpp);
        dispi.write(reg::ENABLE, ENABLED | flags)
    }

    #[test]
    fn drivers_find_the_interface() {
        let mut dispi = Dispi::default();
        assert_eq!(dispi.read(reg::ID), 0xb0c5);
        dispi.write(reg::ID, 0xb0c0);
        assert_eq!(dispi.read(reg::ID), 0xb0c0);
        dispi.write(reg::ID, 0xb0c6);
        assert_eq!(dispi.read(reg::ID), 0xb0c0);
        assert_eq!(dispi.read(reg::VIDEO_MEMORY_64K), 256);
        dispi.write(reg::ENABLE, GETCAPS);
        assert_eq!([1, 2, 3].map(|i| dispi.read(i)), [2560, 1600, 32]);
        assert_eq!(dispi.mode(), None);
    }

    #[test]
    fn enabling_resets_the_view_and_clears() {
        let mut dispi = Dispi::default();
        dispi.write(reg::VIRT_WIDTH, 4000);
        dispi.write(reg::Y_OFFSET, 9);
        let effect = enable(&mut dispi, 1024, 768, 32, LFB_ENABLED);
        assert_eq!(effect.clear, 1024 * 768 * 4);
        assert_eq!(dispi.read(reg::VIRT_WIDTH), 1024);
        assert_eq!(dispi.read(reg::VIRT_HEIGHT), 4096);
        let mode = dispi.mode().unwrap();
        assert_eq!((mode.width, mode.height, mode.pitch, mode.x, mode.y), (1024, 768, 4096, 0, 0));
        assert_eq!(enable(&mut dispi, 64, 64, 8, NOCLEARMEM).clear, 0);
    }

    #[test]
    fn every_standard_mode_fits() {
        let mut dispi = Dispi::default();
        for (x, y) in [(640, 480), (1920, 1080), (1366, 768), (2560, 1600)] {
            for bpp in [4, 8, 15, 16, 24, 32] {
                enable(&mut dispi, x, y, bpp, 0);
                let mode = dispi.mode().unwrap();
                assert_eq!((mode.width, mode.height), (usize::from(x), usize::from(y)));
            }
        }
    }

    #[test]
    fn no_resolution_no_mode() {
        let mut dispi = Dispi::default();
        dispi.write(reg::ENABLE, ENABLED | LFB_ENABLED);
        assert!(!dispi.enabled());
        assert_eq!(dispi.linear_bank(), None);
        enable(&mut dispi, 4000, 4000, 77, 0);
        assert!(!dispi.enabled());
    }

    proptest::proptest! {
        #[test]
        fn modes_stay_inside_video_memory(writes: Vec<(u8, u16)>) {
            let mut dispi = Dispi::default();
            enable(&mut dispi, 800, 600, 32, 0);
            for (index, value) in writes {
                let effect = dispi.write(u16::from(index % 12), value);
                assert!(effect.clear <= vram::SIZE);
                assert!(dispi.is_valid());
                if let Some(mode) = dispi.mode() {
                    assert!((mode.y + mode.height) * mode.pitch <= vram::SIZE);
                    assert!((mode.x + mode.width) * mode.depth.bits() <= mode.pitch * 8);
                    assert!(mode.width <= 2560 && mode.height <= 1600);
                }
            }
        }
    }
}
