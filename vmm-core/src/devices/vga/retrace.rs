//! The beam: what input status register 1 says at a moment.
//!
//! The beam's place follows the machine's clock alone, so it moves however the guest polls.

use std::time::Duration;

use super::crtc::Crtc;

/// One scan line at VGA's horizontal rate of 31.469 kHz, in nanoseconds.
const LINE: u64 = 31_778;
/// Where in a line the beam leaves the picture: 640 of 800 dot clocks.
const LINE_SHOWN: u64 = LINE * 640 / 800;
/// Line totals outside this range are not a mode that a monitor locks to; the CRTC is not set
/// up, or a driver that knows only DISPI left it alone.
const PLAUSIBLE: std::ops::RangeInclusive<u32> = 200..=1100;
/// Total and shown lines of 640x480 at 60 Hz.
const DEFAULT: (u32, u32) = (525, 480);
/// Lines from the end of the picture to the vertical retrace (as in 720x400 and 640x480).
const FRONT_PORCH: u64 = 10;

/// The beam is not drawing: horizontal or vertical blanking.
const DISPLAY_DISABLED: u8 = 1 << 0;
/// Vertical retrace.
const RETRACE: u8 = 1 << 3;

/// Input status register 1 (port 0x3DA) at `now`.
///
/// The retrace bit stays set to the end of the frame, longer than the two lines of hardware: a
/// vCPU polls some ten times slower and would miss it.
pub(super) fn input_status_1(crtc: &Crtc, now: Duration) -> u8 {
    let (total, shown) = match crtc.total_lines() {
        total if PLAUSIBLE.contains(&total) => (total, crtc.lines().min(total - 20)),
        _ => DEFAULT,
    };
    let now = now.as_nanos() % (u128::from(total) * u128::from(LINE));
    let now = u64::try_from(now).unwrap_or(0);
    let (line, dot) = (now / LINE, now % LINE);
    let mut status = 0;
    if line >= u64::from(shown) || dot >= LINE_SHOWN {
        status |= DISPLAY_DISABLED;
    }
    if line >= u64::from(shown) + FRONT_PORCH {
        status |= RETRACE;
    }
    status
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bit_toggles_in_every_mode() {
        for (total, overflow, end) in
            [(0, 0, 0), (0xbf, 0x1f, 0x8f), (0xff, 0xff, 0xff), (250, 0, 255)]
        {
            let mut crtc = Crtc::default();
            for (index, value) in [(6, total), (7, overflow), (0x12, end)] {
                crtc.set_index(index);
                crtc.write(value);
            }
            let status: Vec<u8> =
                (0..40_000).map(|us| input_status_1(&crtc, Duration::from_micros(us))).collect();
            for bit in [DISPLAY_DISABLED, RETRACE] {
                assert!(status.iter().any(|s| s & bit != 0));
                assert!(status.iter().any(|s| s & bit == 0));
            }
        }
    }

    #[test]
    fn text_mode_runs_at_70_hertz() {
        let mut crtc = Crtc::default();
        // 449 lines in total, 400 shown.
        for (index, value) in [(6, 0xbf), (7, 0x1f), (0x12, 0x8f)] {
            crtc.set_index(index);
            crtc.write(value);
        }
        let retrace: Vec<bool> = (0..100_000)
            .map(|n| input_status_1(&crtc, Duration::from_micros(n * 10)) & RETRACE != 0)
            .collect();
        assert_eq!(retrace.windows(2).filter(|w| !w[0] && w[1]).count(), 70);
    }
}
