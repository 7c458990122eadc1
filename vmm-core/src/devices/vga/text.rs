//! Drawing text modes: cells of a character and an attribute, and fonts in plane 2.
//!
//! Cells are remembered, so that only those that changed are drawn again.

use std::time::Duration;

use super::canvas::Canvas;
use super::cp437;
use super::crtc::Cursor;
use super::damage::DamageList;
use super::scan::{Addressing, Line, Scan};
use super::vram::Vram;
use crate::display::Rect;

/// Bytes a character's shape takes in a font, however many are shown.
const GLYPH: usize = 32;
/// Characters in a font.
const GLYPHS: usize = 256;
/// Length of a font in plane offsets.
const FONT: usize = GLYPH * GLYPHS;

/// Attribute bit that blinks.
const ATTR_BLINK: u8 = 1 << 7;
/// Attribute bit that chooses the second font.
const ATTR_FONT: u8 = 1 << 3;

/// All that determines how cells are drawn.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct TextGeometry {
    /// Characters a row.
    pub(super) columns: u32,
    /// Dots a character, 8 or 9.
    pub(super) dots: u32,
    /// Pixels a dot, 1 or 2.
    pub(super) dot_width: u32,
    /// The walk through the rows, but for where it starts.
    pub(super) scan: Scan,
    pub(super) addressing: Addressing,
    /// Dots by which the picture moves to the left.
    pub(super) pan: u32,
    /// No panning below the line compare.
    pub(super) pan_split: bool,
    /// The ninth dot of codes 0xC0 to 0xDF repeats the eighth.
    pub(super) line_graphics: bool,
    /// Attribute bit 7 blinks.
    pub(super) blink: bool,
    /// In monochrome modes, the scan line that underlines.
    pub(super) underline: Option<u8>,
    /// Plane offsets of the fonts for attribute bit 3 clear and set.
    pub(super) fonts: [u32; 2],
    pub(super) palette: [u32; 16],
}

/// A text mode.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct TextLayout {
    pub(super) geometry: TextGeometry,
    /// The address counter at the top left.
    pub(super) start: u32,
    pub(super) cursor: Option<Cursor>,
}

/// Which half of their period blinking things are in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Phase {
    cursor_hidden: bool,
    text_hidden: bool,
}

impl Phase {
    /// The phase at `now`. The cursor changes every 16 frames and characters every 32, at 60
    /// frames a second.
    pub(super) fn at(now: Duration) -> Self {
        let sixteenths = now.as_millis() * 60 / 16_000;
        Self { cursor_hidden: sixteenths & 1 != 0, text_hidden: sixteenths & 2 != 0 }
    }
}

/// A row of characters on the screen.
struct Row {
    /// The first of its scan lines.
    line: Line,
    /// How many of them are shown.
    height: u32,
}

impl TextLayout {
    /// Calls `each` for every scan line, and collects them into rows.
    fn walk(&self, mut each: impl FnMut(&Line)) -> Vec<Row> {
        let scan = Scan { start: self.start, ..self.geometry.scan };
        let mut rows: Vec<Row> = Vec::new();
        let mut last_scan = 0;
        for line in scan.lines() {
            each(&line);
            match rows.last_mut() {
                Some(row)
                    if (row.line.counter, row.line.below_split)
                        == (line.counter, line.below_split)
                        && line.row_scan >= last_scan =>
                {
                    row.height += 1;
                }
                _ => rows.push(Row { line, height: 1 }),
            }
            last_scan = line.row_scan;
        }
        rows
    }

    /// How many rows of characters are shown, at least in part.
    pub(super) fn rows(&self) -> u32 {
        self.walk(|_| {}).len() as u32
    }

    /// Character code and attribute of a cell.
    fn cell(&self, vram: &Vram, line: &Line, column: u32) -> (u8, u8) {
        let [code, attribute, ..] =
            vram.planes(self.geometry.addressing.offset(line, column)).to_le_bytes();
        (code, attribute)
    }

    /// The characters, rows separated by line feeds, trailing blanks cut.
    pub(super) fn text(&self, vram: &Vram) -> String {
        let mut text = String::new();
        for (index, row) in self.walk(|_| {}).iter().enumerate() {
            if index > 0 {
                text.push('\n');
            }
            let codes: Vec<u8> = (0..self.geometry.columns)
                .map(|column| self.cell(vram, &row.line, column).0)
                .collect();
            let blank = |code: &u8| !matches!(code, 0 | b' ' | 0xff);
            let len = codes.iter().rposition(blank).map_or(0, |last| last + 1);
            cp437::append(&mut text, &codes[..len]);
        }
        text
    }
}

/// A cell as it is drawn: everything that decides its pixels but the geometry.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Cell {
    code: u8,
    attribute: u8,
    /// First and last scan line of the cursor, where it is and shows.
    cursor: Option<(u8, u8)>,
    /// Blinked away.
    hidden: bool,
}

/// What an update of the cells found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// Nothing changed.
    None,
    /// Some cells did.
    Cells,
    /// The fonts did.
    All,
}

/// The cells on the screen, when each last changed, and the fonts.
#[derive(Default)]
pub(super) struct TextScreen {
    rows: Vec<Row>,
    /// Row-scan line of every scan line.
    row_scans: Vec<u8>,
    /// Cells of all rows, [`Self::stride`] each.
    cells: Vec<Cell>,
    stamps: Vec<u64>,
    stride: usize,
    fonts: Vec<u8>,
}

impl TextScreen {
    /// Looks at video memory again; what changed is stamped with `generation`.
    pub(super) fn update(
        &mut self,
        layout: &TextLayout,
        vram: &Vram,
        phase: Phase,
        generation: u64,
    ) -> Change {
        let row_scans = &mut self.row_scans;
        row_scans.clear();
        self.rows = layout.walk(|line| row_scans.push(line.row_scan));
        // Panning shows a part of one more.
        self.stride = layout.geometry.columns as usize + usize::from(layout.geometry.pan > 0);
        let before = std::mem::take(&mut self.cells);
        self.cells.reserve(self.rows.len() * self.stride);
        for row in &self.rows {
            for column in 0..self.stride as u32 {
                self.cells.push(Self::look(layout, vram, &row.line, column, phase));
            }
        }
        let fonts = read_fonts(vram, &layout.geometry.fonts);
        let mut change = Change::None;
        if fonts != self.fonts || before.len() != self.cells.len() {
            self.fonts = fonts;
            self.stamps.clear();
            change = Change::All;
        }
        self.stamps.resize(self.cells.len(), generation);
        for ((old, new), stamp) in before.iter().zip(&self.cells).zip(&mut self.stamps) {
            if old != new {
                *stamp = generation;
                change = if change == Change::None { Change::Cells } else { change };
            }
        }
        change
    }

    fn look(layout: &TextLayout, vram: &Vram, line: &Line, column: u32, phase: Phase) -> Cell {
        let (code, attribute) = layout.cell(vram, line, column);
        let counter = line.counter.wrapping_add(column) & 0xffff;
        let cursor = layout
            .cursor
            .filter(|cursor| !phase.cursor_hidden && cursor.counter == counter)
            .map(|cursor| (cursor.first, cursor.last));
        let blinks = layout.geometry.blink && attribute & ATTR_BLINK != 0;
        Cell { code, attribute, cursor, hidden: blinks && phase.text_hidden }
    }

    /// Draws the cells that changed after generation `since`, or all.
    pub(super) fn draw(
        &self,
        geometry: &TextGeometry,
        canvas: &mut Canvas<'_>,
        since: Option<u64>,
        damage: &mut DamageList,
    ) {
        let since = since.unwrap_or(0);
        let cell_width = (geometry.dots * geometry.dot_width) as usize;
        let width = geometry.columns as usize * cell_width;
        for (index, row) in self.rows.iter().enumerate() {
            let range = index * self.stride..(index + 1) * self.stride;
            let panned = !(row.line.below_split && geometry.pan_split);
            let pan = if panned { (geometry.pan * geometry.dot_width) as usize } else { 0 };
            let mut changed: Option<(usize, usize)> = None;
            let cells = self.cells[range.clone()].iter().zip(&self.stamps[range]);
            for (column, (cell, &stamp)) in cells.enumerate() {
                if stamp <= since {
                    continue;
                }
                let left = (column * cell_width).saturating_sub(pan);
                let right = ((column + 1) * cell_width).saturating_sub(pan).min(width);
                if left < right {
                    // Dots of the cell that lie left of the screen.
                    let skip = pan.saturating_sub(column * cell_width);
                    self.draw_cell(geometry, canvas, row, cell, left..right, skip);
                    changed = Some((changed.map_or(left, |(first, _)| first), right));
                }
            }
            if let Some((left, right)) = changed {
                damage.add(Rect {
                    x: left as u32,
                    y: row.line.y,
                    width: (right - left) as u32,
                    height: row.height,
                });
            }
        }
    }

    /// Draws the pixels of `cell` from the `skip`th on into columns `place`.
    fn draw_cell(
        &self,
        geometry: &TextGeometry,
        canvas: &mut Canvas<'_>,
        row: &Row,
        cell: &Cell,
        place: std::ops::Range<usize>,
        skip: usize,
    ) {
        let attribute = cell.attribute;
        let background = (attribute >> 4) & if geometry.blink { 0x07 } else { 0x0f };
        let foreground = if cell.hidden { background } else { attribute & 0x0f };
        let colours = [background, foreground].map(|c| geometry.palette[usize::from(c)]);
        let font = if attribute & ATTR_FONT != 0 { FONT } else { 0 };
        let glyph = &self.fonts[font + usize::from(cell.code) * GLYPH..][..GLYPH];
        let ninth = geometry.line_graphics && (0xc0..=0xdf).contains(&cell.code);
        for y in row.line.y as usize..(row.line.y + row.height) as usize {
            let scan = self.row_scans[y];
            // Nine dots, leftmost in bit 8.
            let shape = u16::from(glyph[usize::from(scan % 32)]);
            let mut dots = shape << 1 | u16::from(ninth) & shape;
            let underlined = geometry.underline == Some(scan) && attribute & 0x07 == 1;
            // The cursor has the colour of the character, even while that blinks.
            let cursor = cell.cursor.is_some_and(|(first, last)| (first..=last).contains(&scan));
            if underlined || cursor {
                dots = 0x1ff;
            }
            let colours = if cursor {
                [colours[0], geometry.palette[usize::from(attribute & 0x0f)]]
            } else {
                colours
            };
            let Some(pixels) = canvas.row(y).get_mut(place.start * 4..place.end * 4) else {
                continue;
            };
            for (x, pixel) in pixels.chunks_exact_mut(4).enumerate() {
                let dot = (x + skip) / geometry.dot_width as usize;
                let colour = colours[usize::from(dots >> (8 - dot.min(8)) & 1)];
                pixel.copy_from_slice(&colour.to_le_bytes());
            }
        }
    }
}

/// Both fonts, one after the other.
fn read_fonts(vram: &Vram, at: &[u32; 2]) -> Vec<u8> {
    let mut fonts = Vec::with_capacity(2 * FONT);
    for (index, &start) in at.iter().enumerate() {
        if index > 0 && start == at[0] {
            // Nearly always: 512 characters are rare.
            fonts.extend_from_within(..FONT);
            continue;
        }
        let offsets = (start..).take(FONT);
        fonts.extend(offsets.map(|offset| vram.planes(offset & 0xffff).to_le_bytes()[2]));
    }
    fonts
}
