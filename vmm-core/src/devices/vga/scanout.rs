//! From registers to a picture: which mode is set, how large, and how to draw it.

use super::chip::Chip;
use super::dispi::{Depth, DispiMode, MAX_XRES};
use super::linear::Linear;
use super::raster::{Raster, Shift};
use super::registers::{attr, gfx, seq};
use super::scan::{Addressing, Scan, Unit};
use super::text::{TextGeometry, TextLayout};
use crate::display::Mode;

/// What a screen without a mode is shown as: the size of the text mode that firmware sets.
const UNSET_SIZE: (u32, u32) = (720, 400);

/// A complete description of the picture but for the contents of video memory.
///
/// Invariant: at most 2560 by 1600 pixels, at least one.
#[derive(Debug, PartialEq)]
pub(super) struct Scanout {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) picture: Picture,
}

/// What to draw.
#[derive(Debug, PartialEq)]
pub(super) enum Picture {
    /// Nothing.
    Blank,
    /// Characters.
    Text(Box<TextLayout>),
    /// VGA's graphics modes and DISPI's four-bit modes.
    Raster(Box<Raster>),
    /// DISPI's other modes.
    Linear(Linear),
}

impl Scanout {
    /// What `chip` is programmed to show.
    pub(super) fn of(chip: &Chip) -> Self {
        let mut scanout = match chip.dispi.mode() {
            Some(mode) if mode.depth == Depth::Planar4 => planar(chip, &mode),
            Some(mode) => linear(chip, &mode),
            None if !chip.vga.crtc.running() => {
                let (width, height) = UNSET_SIZE;
                Self { width, height, picture: Picture::Blank }
            }
            None if chip.vga.gfx[gfx::MISC] & gfx::GRAPHICS == 0 => text(chip),
            None => graphics(chip),
        };
        // Drivers that know only DISPI leave the sequencer alone.
        let off = !chip.dispi.enabled() && chip.vga.seq[seq::CLOCKING] & seq::SCREEN_OFF != 0;
        if off || chip.vga.attr_index & attr::PALETTE_SOURCE == 0 {
            scanout.picture = Picture::Blank;
        }
        scanout
    }

    /// The mode as front ends know it.
    pub(super) fn mode(&self) -> Mode {
        match &self.picture {
            Picture::Blank => Mode::Blank,
            Picture::Text(layout) => {
                Mode::Text { columns: layout.geometry.columns, rows: layout.rows() }
            }
            _ => Mode::Graphics { width: self.width, height: self.height },
        }
    }

    /// Whether pictures of both differ only where video memory, or a text mode's cells, differ.
    pub(super) fn same_surface(&self, other: &Self) -> bool {
        match (&self.picture, &other.picture) {
            (Picture::Text(a), Picture::Text(b)) => a.geometry == b.geometry,
            _ => self == other,
        }
    }
}

fn palette16(chip: &Chip) -> [u32; 256] {
    std::array::from_fn(|index| chip.vga.pixel16((index & 0x0f) as u8))
}

fn palette256(chip: &Chip) -> [u32; 256] {
    std::array::from_fn(|index| chip.vga.dac.pixel(index as u8))
}

/// How many times each dot is shown.
fn dot_width(chip: &Chip) -> u32 {
    if chip.vga.seq[seq::CLOCKING] & seq::HALF_CLOCK != 0 { 2 } else { 1 }
}

fn pan_split(chip: &Chip) -> bool {
    chip.vga.attr[attr::MODE] & attr::PAN_SPLIT != 0
}

fn text(chip: &Chip) -> Scanout {
    let vga = &chip.vga;
    let eight = vga.seq[seq::CLOCKING] & seq::EIGHT_DOTS != 0;
    let dots = if eight { 8 } else { 9 };
    let dot_width = dot_width(chip);
    let columns = vga.crtc.columns().min(u32::from(MAX_XRES) / (dots * dot_width));
    let pan = u32::from(vga.attr[attr::PEL_PAN]);
    let mode = vga.attr[attr::MODE];
    let map = u32::from(vga.seq[seq::CHARACTER_MAP]);
    let scan = vga.crtc.scan();
    let geometry = TextGeometry {
        columns,
        dots,
        dot_width,
        scan: Scan { start: 0, ..scan },
        addressing: vga.crtc.addressing(),
        // With nine dots a value of eight is no shift and zero is one dot.
        pan: if eight { pan & 7 } else { (pan + 1) % 9 },
        pan_split: pan_split(chip),
        line_graphics: mode & attr::LINE_GRAPHICS != 0,
        blink: mode & attr::BLINK != 0,
        underline: (mode & attr::MONO != 0).then(|| vga.crtc.underline()),
        // Maps are 8 KiB; the low bit of their number came later and sits apart.
        fonts: [(map & 3) << 1 | (map >> 4 & 1), (map >> 2 & 3) << 1 | (map >> 5 & 1)]
            .map(|number| number * 0x2000),
        palette: std::array::from_fn(|index| vga.pixel16(index as u8)),
    };
    let layout = TextLayout { geometry, start: scan.start, cursor: vga.crtc.cursor() };
    Scanout {
        width: columns * dots * dot_width,
        height: scan.height,
        picture: Picture::Text(Box::new(layout)),
    }
}

fn graphics(chip: &Chip) -> Scanout {
    let vga = &chip.vga;
    let dot_width = dot_width(chip);
    let clocks = vga.crtc.columns().min(u32::from(MAX_XRES) / (8 * dot_width));
    let mode = vga.gfx[gfx::MODE];
    let (shift, palette) = if mode & gfx::SHIFT_256 != 0 {
        (Shift::Bytes, palette256(chip))
    } else if mode & gfx::SHIFT_INTERLEAVE != 0 {
        (Shift::Pairs, palette16(chip))
    } else {
        (Shift::Bits, palette16(chip))
    };
    let scan = vga.crtc.scan();
    let width = clocks * 8 * dot_width;
    let raster = Raster {
        width,
        dot_width,
        scan,
        addressing: vga.crtc.addressing(),
        pan: u32::from(vga.attr[attr::PEL_PAN] & 7),
        pan_split: pan_split(chip),
        shift,
        palette,
    };
    Scanout { width, height: scan.height, picture: Picture::Raster(Box::new(raster)) }
}

fn planar(chip: &Chip, mode: &DispiMode) -> Scanout {
    let (width, height) = (mode.width as u32, mode.height as u32);
    let pitch = mode.pitch as u32 / 4;
    let (x, y) = (mode.x as u32, mode.y as u32);
    let raster = Raster {
        width,
        dot_width: 1,
        scan: Scan {
            height,
            start: y * pitch + x / 8,
            pitch,
            row_height: 1,
            double_scan: false,
            preset_row: 0,
            line_compare: u32::MAX,
        },
        addressing: Addressing {
            unit: Unit::Byte,
            divide: 0,
            row_bit_13: false,
            row_bit_14: false,
            wrap: super::vram::PLANE_SIZE - 1,
        },
        pan: x % 8,
        pan_split: false,
        shift: Shift::Bits,
        palette: palette16(chip),
    };
    Scanout { width, height, picture: Picture::Raster(Box::new(raster)) }
}

fn linear(chip: &Chip, mode: &DispiMode) -> Scanout {
    let palette = (mode.depth == Depth::Indexed8).then(|| Box::new(palette256(chip)));
    let linear = Linear {
        depth: mode.depth,
        start: mode.y * mode.pitch + mode.x * mode.depth.bytes(),
        pitch: mode.pitch,
        width: mode.width,
        height: mode.height,
        palette,
    };
    Scanout {
        width: mode.width as u32,
        height: mode.height as u32,
        picture: Picture::Linear(linear),
    }
}
