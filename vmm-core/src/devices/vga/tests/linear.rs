//! Linear modes: damage from the log of the guest's writes.

use super::*;
use crate::display::Mode;

fn rects(damage: Damage) -> Vec<Rect> {
    match damage {
        Damage::Rects(rects) => rects,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_log_says_what_to_draw() {
    let guest = Guest::mapped();
    guest.set_linear(1920, 1080, 32);
    assert_eq!(guest.vga.mode(), Mode::Graphics { width: 1920, height: 1080 });
    let mut frame = guest.frame();
    assert_eq!(guest.refresh(&mut frame), Damage::None);
    // Row 2 is bytes 15360 to 23039, so pixel 100 of it is in page 3: bytes 12288 to 16383,
    // which are pixels 1152 to 1919 of row 1 and 0 to 255 of row 2.
    guest.poke(15360 + 400, &[1, 2, 3, 0]);
    assert_eq!(rects(guest.refresh(&mut frame)), [rect(1152, 1, 768, 1), rect(0, 2, 256, 1)]);
    assert_eq!(pixel(&frame, 100, 2), [1, 2, 3]);
    assert_eq!(guest.refresh(&mut frame), Damage::None);
}

#[test]
fn nothing_else_is_drawn() {
    let guest = Guest::mapped();
    guest.set_linear(1024, 768, 32);
    let mut frame = guest.frame();
    // Marks of ours that drawing would remove.
    frame.pixels.fill(0x77);
    guest.poke(4096 * 10, &[1]);
    guest.poke(4096 * 11, &[1]);
    assert_eq!(rects(guest.refresh(&mut frame)), [rect(0, 10, 1024, 2)]);
    let drawn: Vec<bool> =
        frame.pixels.chunks(4096).map(|row| row.iter().any(|&b| b != 0x77)).collect();
    assert_eq!(drawn.iter().filter(|&&row| row).count(), 2);
    assert!(drawn[10] && drawn[11]);
}

#[test]
fn every_viewer_gets_its_own_damage() {
    let guest = Guest::mapped();
    guest.set_linear(1024, 768, 32);
    let (mut quick, mut slow) = (guest.frame(), guest.frame());
    guest.poke(4096 * 5, &[1]);
    assert_eq!(rects(guest.refresh(&mut quick)), [rect(0, 5, 1024, 1)]);
    guest.poke(4096 * 500, &[2]);
    assert_eq!(rects(guest.refresh(&mut quick)), [rect(0, 500, 1024, 1)]);
    let both = [rect(0, 5, 1024, 1), rect(0, 500, 1024, 1)];
    assert_eq!(rects(guest.refresh(&mut slow)), both);
    assert_eq!(quick.pixels, slow.pixels);
    assert_eq!(guest.refresh(&mut slow), Damage::None);
    assert_eq!(guest.refresh(&mut quick), Damage::None);
    // A third comes late and sees all.
    assert_eq!(guest.frame().pixels, quick.pixels);
}

#[test]
fn banked_writes_are_seen_too() {
    let guest = Guest::mapped();
    guest.set_linear(1024, 768, 32);
    let mut frame = guest.frame();
    guest.dispi(5, 2);
    guest.mmio.write(0xa_0000 + 4096, &[9, 8, 7, 6, 5, 4, 3, 2]);
    assert_eq!(rects(guest.refresh(&mut frame)), [rect(0, 33, 1024, 1)]);
    assert_eq!([pixel(&frame, 0, 33), pixel(&frame, 1, 33)], [[9, 8, 7], [5, 4, 3]]);
    // Above the 64 KiB of a bank there is nothing.
    let mut data = [0];
    guest.mmio.read(0xb_0000, &mut data);
    assert_eq!(data, [0xff]);
}

#[test]
fn scrolling_by_offset() {
    let guest = Guest::mapped();
    guest.set_linear(640, 480, 24);
    guest.dispi(6, 800);
    guest.poke(800 * 3 * 100 + 10 * 3, &[1, 2, 3]);
    let mut frame = guest.frame();
    assert_eq!(pixel(&frame, 10, 100), [1, 2, 3]);
    guest.dispi(8, 10);
    guest.dispi(9, 100);
    assert_eq!(guest.refresh(&mut frame), Damage::All);
    assert_eq!(pixel(&frame, 0, 0), [1, 2, 3]);
    // The virtual screen is wider: the page that holds row 100's hidden part is no damage to
    // the left of it.
    guest.poke(800 * 3 * 101 + 650 * 3, &[1]);
    for rect in rects(guest.refresh(&mut frame)) {
        assert!(rect.x + rect.width <= 640 && rect.y + rect.height <= 480);
    }
    assert_eq!(frame.pixels, guest.frame().pixels);
}

#[test]
fn eight_bit_colours_and_a_wide_dac() {
    let guest = Guest::mapped();
    guest.set_linear(640, 480, 8);
    guest.dispi(4, 0x61);
    guest.outb(0x3c8, 3);
    guest.outs(0x3c9, &[0xfe, 0xdc, 0xba]);
    guest.poke(0, &[3]);
    assert_eq!(pixel(&guest.frame(), 0, 0), [0xba, 0xdc, 0xfe]);
    guest.dispi(4, 0x41);
    guest.outb(0x3c7, 3);
    assert_eq!(guest.inb(0x3c9), 0xfe >> 2);
}

#[test]
fn a_move_of_the_frame_buffer_loses_nothing() {
    let guest = Guest::mapped();
    guest.set_linear(1024, 768, 32);
    let mut frame = guest.frame();
    guest.poke(4096 * 7, &[1]);
    guest.write_config(0x10, 0xe000_0000);
    assert_eq!(guest.mapper.mapped.lock().unwrap().0, 0xe000_0000);
    *guest.mapper.log.lock() = [0; WORDS];
    guest.refresh(&mut frame);
    assert_eq!(pixel(&frame, 0, 7), [1, 0, 0]);
    // Without a log everything counts as changed.
    *guest.mapper.refuse.lock() = true;
    assert_eq!(rects(guest.refresh(&mut frame)), [rect(0, 0, 1024, 768)]);
}

#[test]
fn dropping_the_device_unmaps() {
    let guest = Guest::mapped();
    let mapper = guest.mapper.clone();
    assert!(mapper.mapped.lock().is_some());
    drop(guest);
    assert!(mapper.mapped.lock().is_none());
}

#[test]
fn damage_is_enough_for_random_writes() {
    let guest = Guest::mapped();
    for (width, height, bpp) in [(1366, 768, 16), (1440, 900, 24), (800, 600, 15), (2560, 1600, 32)]
    {
        guest.set_linear(width, height, bpp);
        let mut frame = guest.frame();
        let mut copy = frame.pixels.clone();
        let mut seed = 12345u64;
        for _ in 0..8 {
            for _ in 0..20 {
                seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                guest.poke((seed >> 33) as usize % (vram::SIZE - 8), &seed.to_le_bytes());
            }
            match guest.refresh(&mut frame) {
                Damage::None => {}
                Damage::All => panic!("too much"),
                Damage::Rects(rects) => {
                    for rect in rects {
                        for y in rect.y..rect.y + rect.height {
                            let at = ((y * frame.width + rect.x) * 4) as usize;
                            let to = at + rect.width as usize * 4;
                            copy[at..to].copy_from_slice(&frame.pixels[at..to]);
                        }
                    }
                }
            }
            assert!(copy == frame.pixels, "{width}x{height}x{bpp}");
        }
        assert!(frame.pixels == guest.frame().pixels);
    }
}
