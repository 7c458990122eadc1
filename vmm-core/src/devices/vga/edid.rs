//! The monitor's description (VESA E-EDID 1.4 with one CTA-861 extension block).

/// Length of one block.
const BLOCK: usize = 128;
/// Length of the whole: the base block and one extension.
pub(super) const LEN: usize = 2 * BLOCK;

/// Refresh rate of every timing given here, in Hz.
const REFRESH: u32 = 60;
/// Pixels an inch that the monitor's size claims, so that desktops do not scale.
const DPI: u32 = 96;

/// Modes beyond what standard timings can name; drivers take them from the extension.
const EXTRA: [(u32, u32); 3] = [(1920, 1200), (2560, 1440), (2560, 1600)];

/// Ratio of width to height in a standard timing (E-EDID 1.4 §3.9).
#[derive(Clone, Copy)]
enum Aspect {
    A16x10 = 0,
    A4x3 = 1,
    A5x4 = 2,
    A16x9 = 3,
}

/// The eight standard timings; 640x480, 800x600 and 1024x768 are among the established ones.
const STANDARD: [(u32, Aspect); 8] = [
    (1280, Aspect::A16x9),
    (1280, Aspect::A16x10),
    (1280, Aspect::A5x4),
    (1440, Aspect::A16x10),
    (1600, Aspect::A16x9),
    (1600, Aspect::A4x3),
    (1680, Aspect::A16x10),
    (1920, Aspect::A16x9),
];

/// Established timings (E-EDID 1.4 §3.8): 720x400 at 70 Hz, 640x480, 800x600, and 1024x768 at
/// 60 Hz.
const ESTABLISHED: [u8; 3] = [1 << 7 | 1 << 5 | 1 << 0, 1 << 3, 0];

/// Chromaticity of sRGB's primaries and white point (E-EDID 1.4 §3.7).
const SRGB: [u8; 10] = [0xee, 0x91, 0xa3, 0x54, 0x4c, 0x99, 0x26, 0x0f, 0x50, 0x54];

/// The description of a monitor whose preferred mode is `width` by `height`, both below 4096.
pub(super) fn build(width: u32, height: u32) -> [u8; LEN] {
    let mut edid = [0; LEN];
    let (base, extension) = edid.split_at_mut(BLOCK);
    base_block(base, width, height);
    extension_block(extension);
    edid
}

fn base_block(block: &mut [u8], width: u32, height: u32) {
    block[..8].copy_from_slice(&[0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0]);
    block[8..10].copy_from_slice(&manufacturer(b"BRT").to_be_bytes());
    block[10..12].copy_from_slice(&1u16.to_le_bytes());
    // Week unknown, model year 2025.
    block[16..18].copy_from_slice(&[0, (2025 - 1990) as u8]);
    block[18..20].copy_from_slice(&[1, 4]);
    // Digital, eight bits a colour, interface not defined.
    block[20] = 0x80 | 0x20;
    block[21] = centimetres(width);
    block[22] = centimetres(height);
    // Gamma 2.2.
    block[23] = 120;
    // sRGB; the preferred timing is the native one; any timing in the range limits.
    block[24] = 0x04 | 0x02 | 0x01;
    block[25..35].copy_from_slice(&SRGB);
    block[35..38].copy_from_slice(&ESTABLISHED);
    for (slot, (width, aspect)) in block[38..54].chunks_exact_mut(2).zip(STANDARD) {
        slot[0] = (width / 8 - 31) as u8;
        slot[1] = (aspect as u8) << 6 | (REFRESH - 60) as u8;
    }
    block[54..72].copy_from_slice(&detailed_timing(width, height));
    block[72..90].copy_from_slice(&range_limits());
    block[90..108].copy_from_slice(&text_descriptor(0xfc, b"Berth"));
    block[108..126].copy_from_slice(&text_descriptor(0xff, b"0"));
    block[126] = 1;
    set_checksum(block);
}

fn extension_block(block: &mut [u8]) {
    // CTA-861 revision 3, no data blocks, timings from byte 4, none of them native.
    block[..4].copy_from_slice(&[0x02, 0x03, 0x04, 0x00]);
    for (slot, (width, height)) in block[4..].chunks_exact_mut(18).zip(EXTRA) {
        slot.copy_from_slice(&detailed_timing(width, height));
    }
    set_checksum(block);
}

/// Three letters of five bits (E-EDID 1.4 §3.4.1).
fn manufacturer(letters: &[u8; 3]) -> u16 {
    letters.iter().fold(0, |id, letter| id << 5 | u16::from(letter - b'A' + 1))
}

fn millimetres(pixels: u32) -> u32 {
    pixels * 254 / (DPI * 10)
}

fn centimetres(pixels: u32) -> u8 {
    u8::try_from(millimetres(pixels) / 10).unwrap_or(u8::MAX)
}

/// A detailed timing descriptor (E-EDID 1.4 §3.10.2) by VESA's CVT 1.1 with reduced blanking.
fn detailed_timing(width: u32, height: u32) -> [u8; 18] {
    // CVT 1.1 §3.4: fixed horizontal blanking of 160 dots, vertical blanking of at least 460 µs,
    // a sync width that tells the aspect ratio.
    const H_BLANK: u32 = 160;
    const H_FRONT: u32 = 48;
    const H_SYNC: u32 = 32;
    const V_FRONT: u32 = 3;
    const V_BACK_MIN: u32 = 6;
    const V_BLANK_MICROS: u32 = 460;
    let v_sync = match (width * 9, height * 16) {
        (w, h) if w == h => 5,
        _ if width * 10 == height * 16 => 6,
        _ if width * 3 == height * 4 => 4,
        _ => 10,
    };
    let blank_lines = V_BLANK_MICROS * height / (1_000_000 / REFRESH - V_BLANK_MICROS) + 1;
    let v_blank = blank_lines.max(V_FRONT + v_sync + V_BACK_MIN);
    // In steps of 0.25 MHz, given in units of 10 kHz.
    let clock = (width + H_BLANK) * (height + v_blank) * REFRESH / 250_000 * 25;
    let (mm_width, mm_height) = (millimetres(width), millimetres(height));
    let [clock_low, clock_high] = u16::try_from(clock).unwrap_or(u16::MAX).to_le_bytes();
    let low = |value: u32| (value & 0xff) as u8;
    let high = |a: u32, b: u32| ((a >> 8 & 0xf) << 4 | (b >> 8 & 0xf)) as u8;
    [
        clock_low,
        clock_high,
        low(width),
        low(H_BLANK),
        high(width, H_BLANK),
        low(height),
        low(v_blank),
        high(height, v_blank),
        H_FRONT as u8,
        H_SYNC as u8,
        ((V_FRONT & 0xf) << 4 | (v_sync & 0xf)) as u8,
        0,
        low(mm_width),
        low(mm_height),
        high(mm_width, mm_height),
        0,
        0,
        // Separate digital syncs, horizontal positive and vertical negative: reduced blanking.
        0x1a,
    ]
}

/// Display range limits (E-EDID 1.4 §3.10.3.3): 50 to 75 Hz, 30 to 120 kHz, 300 MHz.
fn range_limits() -> [u8; 18] {
    let mut descriptor = [0x20; 18];
    descriptor[..12].copy_from_slice(&[0, 0, 0, 0xfd, 0, 50, 75, 30, 120, 30, 0x01, 0x0a]);
    descriptor
}

/// A descriptor that holds a text of up to 13 characters (E-EDID 1.4 §3.10.3).
fn text_descriptor(tag: u8, text: &[u8]) -> [u8; 18] {
    let mut descriptor = [b' '; 18];
    descriptor[..5].copy_from_slice(&[0, 0, 0, tag, 0]);
    for (place, byte) in descriptor[5..].iter_mut().zip(text.iter().chain(b"\n")) {
        *place = *byte;
    }
    descriptor
}

/// The last byte makes the sum of all a multiple of 256.
fn set_checksum(block: &mut [u8]) {
    if let Some((last, rest)) = block.split_last_mut() {
        *last = rest.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte)).wrapping_neg();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_sum_to_zero() {
        for (width, height) in [(640, 480), (1024, 768), (1366, 768), (2560, 1600), (4095, 4095)] {
            let edid = build(width, height);
            for block in edid.chunks(BLOCK) {
                assert_eq!(block.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte)), 0);
            }
            assert_eq!(u32::from(edid[56]) | u32::from(edid[58] >> 4) << 8, width);
            assert_eq!(u32::from(edid[59]) | u32::from(edid[61] >> 4) << 8, height);
        }
    }

    #[test]
    fn the_timing_is_cvt_reduced() {
        // CVT 1.1 gives 1920x1080R at 60 Hz a clock of 138.5 MHz and 1111 lines in total.
        let timing = detailed_timing(1920, 1080);
        assert_eq!(u16::from_le_bytes([timing[0], timing[1]]), 13_850);
        assert_eq!(timing[6], 31);
        // And 1024x768R 56 MHz and 790 lines.
        let timing = detailed_timing(1024, 768);
        assert_eq!(u16::from_le_bytes([timing[0], timing[1]]), 5_600);
        assert_eq!(timing[6], 22);
    }

    #[test]
    fn the_name_is_there() {
        let edid = build(1024, 768);
        assert_eq!(&edid[90..102], b"\0\0\0\xfc\0Berth\n ");
    }
}
