//! VGA's graphics modes.

use super::*;
use crate::display::Mode;

#[test]
fn sixteen_colours_by_planes() {
    let guest = Guest::mapped();
    guest.set_mode(&MODE_12);
    assert_eq!(guest.vga.mode(), Mode::Graphics { width: 640, height: 480 });
    assert_eq!(guest.vga.text(), None);
    // Write mode 2: colour 5 at the second pixel of row 1, by bit mask.
    guest.out_indexed(0x3ce, 5, &[0x02]);
    guest.out_indexed(0x3ce, 8, &[0x40]);
    guest.mmio.write(0xa_0000 + 80, &[5]);
    // Set/reset: colour 15 for the last eight pixels.
    guest.out_indexed(0x3ce, 5, &[0x00]);
    guest.out_indexed(0x3ce, 8, &[0xff]);
    guest.out_indexed(0x3ce, 0, &[0x0f, 0x0f]);
    guest.mmio.write(0xa_0000 + 80 * 480 - 1, &[0]);
    let frame = guest.frame();
    assert_eq!([0, 1, 2].map(|x| level(&frame, x, 1)), [0, grey(5), 0]);
    assert_eq!([631, 632, 639].map(|x| level(&frame, x, 479)), [0, grey(0x3f), grey(0x3f)]);
    assert_eq!(level(&frame, 1, 0), 0);
}

#[test]
fn planar_damage_is_rows() {
    let guest = Guest::mapped();
    guest.set_mode(&MODE_12);
    let mut frame = guest.frame();
    guest.mmio.write(0xa_0000 + 80 * 100, &[0xff]);
    // A page holds 1024 plane offsets: 7168 to 8191 are parts of rows 89 to 102.
    assert_eq!(guest.refresh(&mut frame), Damage::Rects(vec![rect(0, 89, 640, 14)]));
    assert_eq!(frame.pixels, guest.frame().pixels);
}

#[test]
fn a_palette_change_is_everywhere() {
    let guest = Guest::mapped();
    guest.set_mode(&MODE_12);
    let mut frame = guest.frame();
    guest.outb(0x3c8, 0);
    guest.outs(0x3c9, &[63, 0, 0]);
    assert_eq!(guest.refresh(&mut frame), Damage::All);
    assert_eq!(pixel(&frame, 0, 0), [0, 0, 255]);
}

#[test]
fn two_hundred_lines_of_256_colours() {
    let guest = Guest::mapped();
    guest.set_mode(&MODE_13);
    guest.mmio.write(0xa_0000 + 320 * 199 + 316, &[10, 20, 30, 40]);
    guest.mmio.write(0xa_0000 + 321, &[50]);
    let frame = guest.frame();
    // As the monitor gets it: every pixel two dots wide and two lines high.
    assert_eq!((frame.width, frame.height), (640, 400));
    for y in [398, 399] {
        let row: Vec<u8> = (632..640).map(|x| level(&frame, x, y)).collect();
        assert_eq!(row, [10, 10, 20, 20, 30, 30, 40, 40].map(grey));
    }
    assert_eq!([1, 2, 3, 4].map(|x| level(&frame, x, 3)), [0, grey(50), grey(50), 0]);
    assert_eq!(level(&frame, 2, 1), 0);
}

#[test]
fn mode_x_flips_pages() {
    let guest = Guest::mapped();
    guest.set_mode(&MODE_13);
    guest.out_indexed(0x3c4, 4, &[0x06]);
    guest.out_indexed(0x3d4, 0x14, &[0x00]);
    guest.out_indexed(0x3d4, 0x17, &[0xe3]);
    // Plane 2 on the second page, which starts at 16000.
    guest.out_indexed(0x3c4, 2, &[0x04]);
    guest.mmio.write(0xa_0000 + 16000, &[9]);
    let mut frame = guest.frame();
    assert_eq!(level(&frame, 4, 0), 0);
    guest.out_indexed(0x3d4, 0x0c, &[(16000u16 >> 8) as u8, 16000u16 as u8]);
    assert_eq!(guest.refresh(&mut frame), Damage::All);
    assert_eq!([3, 4, 5, 6].map(|x| level(&frame, x, 0)), [0, grey(9), grey(9), 0]);
}

#[test]
fn cga_rows_interleave() {
    let guest = Guest::mapped();
    guest.set_mode(&MODE_04);
    // Even rows in the first 8 KiB, odd ones in the second; pixels 0, 1, 2, 3 in a byte.
    guest.mmio.write(0xb_8000, &[0b00_01_10_11, 0b11_00_00_00]);
    guest.mmio.write(0xb_8000 + 0x2000 + 80, &[0b10_00_00_00]);
    let frame = guest.frame();
    assert_eq!((frame.width, frame.height), (640, 400));
    let row: Vec<u8> = (0..5).map(|x| level(&frame, x * 2, 0)).collect();
    assert_eq!(row, [0, 1, 2, 3, 3].map(grey));
    assert_eq!(level(&frame, 0, 1), 0);
    assert_eq!([2, 4, 6, 7, 8].map(|y| level(&frame, 0, y)), [0, 0, grey(2), grey(2), 0]);
}

#[test]
fn panning_and_split() {
    let guest = Guest::mapped();
    guest.set_mode(&MODE_12);
    for y in [0, 1, 2] {
        guest.mmio.write(0xa_0000 + 80 * y, &[0x08]);
    }
    // Pan by four, but not below line 1; line compare 1 needs its high bits clear.
    guest.inb(0x3da);
    guest.outs(0x3c0, &[0x33, 0x04, 0x30, 0x21]);
    guest.out_indexed(0x3d4, 0x11, &[0x00]);
    guest.out_indexed(0x3d4, 0x07, &[0x2e]);
    guest.out_indexed(0x3d4, 0x09, &[0x00]);
    guest.out_indexed(0x3d4, 0x18, &[0x01]);
    let frame = guest.frame();
    let lit: Vec<u32> = (0..6)
        .filter_map(|y| (0..640).find(|&x| level(&frame, x, y) != 0).map(|x| y * 10 + x))
        .collect();
    assert_eq!(lit, [0, 10, 24, 34, 44]);
}

#[test]
fn four_bit_dispi_modes_are_planar() {
    let guest = Guest::mapped();
    guest.set_mode(&MODE_12);
    guest.set_linear(800, 600, 4);
    assert_eq!(guest.vga.mode(), Mode::Graphics { width: 800, height: 600 });
    // The second bank begins at plane offset 65536, which no mode of this size shows; the end
    // of the first is row 599.
    guest.out_indexed(0x3c4, 2, &[0x04]);
    guest.mmio.write(0xa_0000 + 100 * 599 + 99, &[0x01]);
    guest.dispi(5, 1);
    guest.mmio.write(0xa_0000, &[0xff]);
    let frame = guest.frame();
    assert_eq!((frame.width, frame.height), (800, 600));
    assert_eq!([798, 799].map(|x| level(&frame, x, 599)), [0, grey(4)]);
    assert_eq!(guest.vga.aperture.vram().planes(65536), 0x00ff_0000);
}
