//! Text modes.

use std::time::Duration;

use super::super::scanout::Scanout;
use super::super::screen::Screen;
use super::super::text::Phase;
use super::*;
use crate::display::Mode;

const CELLS: u64 = 0xb_8000;

/// Mode 3 with a font in which every row of glyph n is the byte n, and no cursor.
fn text_mode() -> Guest {
    let guest = Guest::mapped();
    guest.set_mode(&MODE_03);
    guest.out_indexed(0x3d4, 0x0a, &[0x20]);
    load_font(&guest, 0, |code| code);
    guest
}

/// Loads a font the way a BIOS does: plane 2 alone, at 0xA0000.
fn load_font(guest: &Guest, map: u64, shape: impl Fn(u8) -> u8) {
    guest.out_indexed(0x3c4, 2, &[0x04, 0x00, 0x07]);
    guest.out_indexed(0x3ce, 4, &[0x02, 0x00, 0x04]);
    for code in 0..=255u8 {
        for row in 0..16 {
            let at = 0xa_0000 + map + u64::from(code) * 32 + row;
            guest.mmio.write(at, &[shape(code)]);
        }
    }
    guest.out_indexed(0x3c4, 2, &[0x03, 0x00, 0x02]);
    guest.out_indexed(0x3ce, 4, &[0x00, 0x10, 0x0e]);
}

fn put(guest: &Guest, column: u64, row: u64, text: &[u8], attribute: u8) {
    for (at, &byte) in (column + row * 80..).zip(text) {
        guest.mmio.write(CELLS + at * 2, &[byte, attribute]);
    }
}

/// Nine dots of scan line `y` from the cell at `column`: whether each is `on`.
fn dots(frame: &Frame, column: u32, y: u32, on: u8) -> Vec<bool> {
    (0..9).map(|x| level(frame, column * 9 + x, y) == on).collect()
}

#[test]
fn characters_are_drawn_and_read() {
    let guest = text_mode();
    put(&guest, 0, 0, b"Hello \xc9\xcd", 0x07);
    put(&guest, 3, 24, b"end", 0x1f);
    assert_eq!(guest.vga.mode(), Mode::Text { columns: 80, rows: 25 });
    let text = guest.vga.text().unwrap();
    let lines: Vec<&str> = text.split('\n').collect();
    assert_eq!(lines.len(), 25);
    assert_eq!((lines[0], lines[1], lines[24]), ("Hello ╔═", "", "   end"));

    let frame = guest.frame();
    assert_eq!((frame.width, frame.height), (720, 400));
    // 'H' is 0x48, and attribute 7 is grey 7 on 0.
    let on = grey(7);
    let expected = [false, true, false, false, true, false, false, false, false];
    for y in 0..16 {
        assert_eq!(dots(&frame, 0, y, on), expected, "line {y}");
    }
    // 0xCD ends in a one, which line-drawing characters repeat; 'o' does too, and is not.
    assert_eq!(&dots(&frame, 7, 0, on)[7..], [true, true]);
    assert_eq!(&dots(&frame, 4, 0, on)[7..], [true, false]);
    // White (0x3f) on blue (1): bit 7 of 'e' (0x65) is clear, bit 6 is set.
    assert_eq!(level(&frame, 27, 384), grey(1));
    assert_eq!(level(&frame, 28, 399), grey(0x3f));
}

#[test]
fn only_changed_cells_are_damage() {
    let guest = text_mode();
    put(&guest, 0, 0, b"prompt>", 0x07);
    let mut frame = guest.frame();
    assert_eq!(guest.refresh(&mut frame), Damage::None);
    put(&guest, 7, 0, b"x", 0x07);
    put(&guest, 9, 0, b"y", 0x07);
    put(&guest, 10, 5, b"z", 0x07);
    // The same again is no change.
    put(&guest, 0, 0, b"prompt>", 0x07);
    assert_eq!(
        guest.refresh(&mut frame),
        Damage::Rects(vec![rect(63, 0, 27, 16), rect(90, 80, 9, 16)])
    );
    assert_eq!(frame.pixels, guest.frame().pixels);
    assert_eq!(guest.refresh(&mut frame), Damage::None);
    // A new shape may be anywhere.
    load_font(&guest, 0, |code| !code);
    assert_eq!(guest.refresh(&mut frame), Damage::All);
}

#[test]
fn cursor_and_blinking_follow_the_clock() {
    let guest = text_mode();
    guest.out_indexed(0x3d4, 0x0a, &[0x0d, 0x0e, 0x00, 0x00, 0x00, 81]);
    put(&guest, 4, 0, b"\xff", 0x87);
    let mut screen = Screen::default();
    let mut frame = Frame::new();
    let mut look = |millis| {
        let scanout = Scanout::of(&guest.vga.chip.lock());
        screen.advance(scanout, Phase::at(Duration::from_millis(millis)), &guest.vga.aperture);
        let damage = screen.draw(guest.vga.aperture.vram(), &mut frame);
        let cursor: Vec<u8> = (0..16).map(|y| level(&frame, 9, 16 + y)).collect();
        (damage, cursor, level(&frame, 36, 0))
    };
    // The cell below has attribute 0, and so has the cursor.
    put(&guest, 1, 1, b" ", 0x07);
    let (_, cursor, character) = look(0);
    let lines = |set: &[usize]| -> Vec<u8> {
        (0..16)
            .map(|y| if set.contains(&y) || y == 5 && set.is_empty() { grey(7) } else { 0 })
            .collect()
    };
    // A space has dot 2 set in the test font, so column 0 shows the cursor alone.
    assert_eq!(cursor, lines(&[13, 14]));
    assert_eq!(character, grey(7));
    let (damage, cursor, character) = look(300);
    assert_eq!(damage, Damage::Rects(vec![rect(9, 16, 9, 16)]));
    assert!(cursor.iter().all(|&dot| dot == 0));
    assert_eq!(character, grey(7));
    // Both change: the cursor comes back, the character goes.
    let (damage, cursor, character) = look(600);
    assert_eq!(damage, Damage::Rects(vec![rect(36, 0, 9, 16), rect(9, 16, 9, 16)]));
    assert_eq!(cursor, lines(&[13, 14]));
    assert_eq!(character, 0);
    assert_eq!(look(610).0, Damage::None);
}

#[test]
fn two_fonts_make_512_characters() {
    let guest = text_mode();
    load_font(&guest, 0x4000, |_| 0xff);
    // Attribute bit 3 set takes map 1, clear takes map 0.
    guest.out_indexed(0x3c4, 3, &[0x04]);
    put(&guest, 0, 0, b"\0", 0x07);
    put(&guest, 1, 0, b"\0", 0x0f);
    let frame = guest.frame();
    assert_eq!(level(&frame, 0, 0), 0);
    assert_eq!(level(&frame, 9, 0), grey(0x3f));
}

#[test]
fn scrolling_by_start_address_and_split() {
    let guest = text_mode();
    for row in 0..30u8 {
        put(&guest, 0, u64::from(row), &[b'A' + row], 0x07);
    }
    let mut frame = guest.frame();
    // Five rows down; below scan line 319 row 0 again.
    guest.out_indexed(0x3d4, 0x0c, &[(400u16 >> 8) as u8, 400u16 as u8]);
    guest.out_indexed(0x3d4, 0x07, &[0x0f]);
    guest.out_indexed(0x3d4, 0x11, &[0x00]);
    guest.out_indexed(0x3d4, 0x07, &[0x0f]);
    guest.out_indexed(0x3d4, 0x09, &[0x0f]);
    guest.out_indexed(0x3d4, 0x18, &[319u16 as u8]);
    guest.out_indexed(0x3d4, 0x07, &[0x1f]);
    assert_ne!(guest.refresh(&mut frame), Damage::None);
    let text = guest.vga.text().unwrap();
    let expected: Vec<String> = (5..25).chain(0..5).map(|r| char::from(b'A' + r).into()).collect();
    assert_eq!(text.split('\n').collect::<Vec<_>>(), expected);
    assert_eq!(frame.pixels, guest.frame().pixels);
}

#[test]
fn panning_shows_part_of_one_more_column() {
    let guest = text_mode();
    put(&guest, 0, 0, b"\xff", 0x07);
    put(&guest, 80, 0, b"\xff", 0x07);
    // Three dots to the left, eight-dot characters.
    guest.out_indexed(0x3c4, 1, &[0x01]);
    guest.inb(0x3da);
    guest.outs(0x3c0, &[0x33, 3]);
    let frame = guest.frame();
    assert_eq!(frame.width, 640);
    let row: Vec<bool> = (0..640).map(|x| level(&frame, x, 0) == grey(7)).collect();
    assert_eq!(&row[..6], [true, true, true, true, true, false]);
    assert_eq!(&row[635..], [false, false, true, true, true]);
}

#[test]
fn other_sizes() {
    let guest = text_mode();
    // 40 columns: half the dot clock.
    guest.out_indexed(0x3c4, 1, &[0x08]);
    guest.out_indexed(0x3d4, 0x11, &[0x00]);
    guest.out_indexed(0x3d4, 0x01, &[39]);
    guest.out_indexed(0x3d4, 0x13, &[20]);
    put(&guest, 0, 0, b"\x80", 0x07);
    assert_eq!(guest.vga.mode(), Mode::Text { columns: 40, rows: 25 });
    let frame = guest.frame();
    assert_eq!((frame.width, frame.height), (720, 400));
    assert_eq!([0, 1, 2].map(|x| level(&frame, x, 0)), [grey(7), grey(7), 0]);
    // 50 rows of 8 lines.
    guest.out_indexed(0x3d4, 0x09, &[0x47]);
    assert_eq!(guest.vga.mode(), Mode::Text { columns: 40, rows: 50 });
}

#[test]
fn blanking_is_black_and_without_text() {
    let guest = text_mode();
    put(&guest, 0, 0, b"secret", 0x07);
    let mut frame = guest.frame();
    for by_sequencer in [true, false] {
        let blank = |dark: bool| {
            if by_sequencer {
                guest.out_indexed(0x3c4, 1, &[if dark { 0x20 } else { 0x00 }]);
            } else {
                guest.inb(0x3da);
                guest.outb(0x3c0, if dark { 0x00 } else { 0x20 });
            }
        };
        blank(true);
        assert_eq!(guest.vga.mode(), Mode::Blank);
        assert_eq!(guest.vga.text(), None);
        assert_eq!(guest.refresh(&mut frame), Damage::All);
        assert_eq!((frame.width, frame.height), (720, 400));
        assert!(frame.pixels.chunks(4).all(|p| p == [0, 0, 0, 0xff]));
        blank(false);
        assert_eq!(guest.refresh(&mut frame), Damage::All);
        assert_eq!(level(&frame, 1, 0), grey(7));
    }
}

#[test]
fn buffered_writes_arrive_before_a_look() {
    let guest = text_mode();
    let window = Arc::downgrade(&guest.vga);
    let pending = Arc::new(Mutex::new(vec![(0x1_8000u64, b'B')]));
    let queue = pending.clone();
    guest.vga.set_flush_writes(Arc::new(move || {
        let vga = window.upgrade().unwrap();
        for (offset, byte) in queue.lock().drain(..) {
            vga.window().write(offset, &[byte]);
        }
    }));
    assert!(guest.vga.text().unwrap().starts_with('B'));
    let mut frame = guest.frame();
    pending.lock().push((0x1_8002, b'C'));
    assert_eq!(guest.refresh(&mut frame), Damage::Rects(vec![rect(9, 0, 9, 16)]));
}
