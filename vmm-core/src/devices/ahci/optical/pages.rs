//! Fixed answers: inquiry data, mode pages, features, disc and track information.

use super::super::identity::{Identity, padded};

/// A CD holds at most 80 minutes; an image with more blocks is taken for a DVD.
const MAX_CD_BLOCKS: u32 = 80 * 60 * 75;

/// Profiles (MMC-6 table 93).
const PROFILE_CD_ROM: u16 = 0x0008;
const PROFILE_DVD_ROM: u16 = 0x0010;

/// Whether a medium of that many blocks is a DVD.
pub(super) fn is_dvd(blocks: u32) -> bool {
    blocks > MAX_CD_BLOCKS
}

/// Standard inquiry data (SPC-4 §6.4.2) of an ATAPI CD/DVD device.
pub(super) fn inquiry(identity: &Identity) -> Vec<u8> {
    // CD/DVD device, removable medium; no claim of an SPC version, as SFF-8020 wants it.
    let mut data = vec![0x05, 0x80, 0x00, 0x21, 31, 0, 0, 0];
    let (vendor, product) = identity.model.split_once(' ').unwrap_or(("", &identity.model));
    data.extend(padded::<8>(vendor));
    data.extend(padded::<16>(product));
    data.extend(padded::<4>(&identity.firmware));
    data
}

/// A mode page and which of its bits can be changed: none.
fn mode_page(code: u8, locked: bool) -> Option<Vec<u8>> {
    Some(match code {
        // Read error recovery: 5 retries.
        0x01 => vec![0x01, 10, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0],
        // CD audio control: stop on track crossing, both channels at full volume.
        0x0e => vec![0x0e, 14, 4, 0, 0, 0, 0, 75, 1, 255, 2, 255, 0, 0, 0, 0],
        // Power condition, no timers.
        0x1a => vec![0x1a, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        // Capabilities and mechanical status (MMC-3 §5.5.10).
        0x2a => {
            let mut page = vec![0; 22];
            page[0] = 0x2a;
            page[1] = 20;
            // Reads DVD-ROM (3), CD-RW (1), CD-R (0).
            page[2] = 0x0b;
            // Several sessions, mode 2 form 2 and 1.
            page[4] = 0x70;
            // Tray (7:5), ejects (3), lock state (1), can lock (0).
            page[6] = 0x29 | u8::from(locked) << 1;
            // Speed: 16 x DVD, told in kB/s of a CD.
            let speed = 21600u16.to_be_bytes();
            page[8..10].copy_from_slice(&speed);
            page[12..14].copy_from_slice(&512u16.to_be_bytes());
            page[14..16].copy_from_slice(&speed);
            page
        }
        _ => return None,
    })
}

/// Mode parameters with a `header` of 4 or 8 bytes; `None` for a page there is not.
pub(super) fn mode_sense(
    header: usize,
    page: u8,
    changeable: bool,
    locked: bool,
) -> Option<Vec<u8>> {
    let codes: &[u8] = if page == 0x3f { &[0x01, 0x0e, 0x1a, 0x2a] } else { &[page] };
    let mut data = vec![0; header];
    for code in codes {
        let mut page = mode_page(*code, locked)?;
        if changeable {
            page[2..].fill(0);
        }
        data.extend(page);
    }
    if header == 4 {
        data[0] = (data.len() - 1) as u8;
    } else {
        let len = (data.len() - 2) as u16;
        data[..2].copy_from_slice(&len.to_be_bytes());
    }
    Some(data)
}

/// GET CONFIGURATION (MMC-6 §6.6): features from number `first` on, as `request` says: all, the
/// current ones, or that one.
pub(super) fn configuration(medium: Option<u32>, request: u8, first: u16) -> Vec<u8> {
    let dvd = medium.is_some_and(is_dvd);
    let cd = medium.is_some() && !dvd;
    let profile = match (cd, dvd) {
        (true, _) => PROFILE_CD_ROM,
        (_, true) => PROFILE_DVD_ROM,
        _ => 0,
    };
    let entry = |code: u16, current: bool| {
        let [high, low] = code.to_be_bytes();
        [high, low, u8::from(current), 0]
    };
    let profiles = [entry(PROFILE_DVD_ROM, dvd), entry(PROFILE_CD_ROM, cd)].concat();
    // Number, version and persistence (in bits 5:2 and 1), current, additional data.
    let features: [(u16, u8, bool, &[u8]); 7] = [
        // Profile list.
        (0x0000, 0x02, true, &profiles),
        // Core: ATAPI; events of device busy too (DBE) are not told.
        (0x0001, 0x0a, true, &[0, 0, 0, 2, 0, 0, 0, 0]),
        // Morphing: neither operational change nor asynchronous events.
        (0x0002, 0x06, true, &[0, 0, 0, 0]),
        // Removable medium: tray, loads, ejects, locks.
        (0x0003, 0x0a, true, &[0x39, 0, 0, 0]),
        // Random readable: blocks of 2048 bytes, one at a time.
        (0x0010, 0x00, medium.is_some(), &[0, 0, 8, 0, 0, 1, 0, 0]),
        // CD read.
        (0x001e, 0x08, cd, &[0, 0, 0, 0]),
        // DVD read.
        (0x001f, 0x00, dvd, &[]),
    ];
    let mut data = vec![0; 8];
    data[6..8].copy_from_slice(&profile.to_be_bytes());
    for (number, flags, current, additional) in features {
        let wanted = match request {
            0 => number >= first,
            1 => number >= first && current,
            2 => number == first,
            _ => false,
        };
        if wanted {
            data.extend(number.to_be_bytes());
            data.extend([flags | u8::from(current), additional.len() as u8]);
            data.extend(additional);
        }
    }
    let len = (data.len() - 4) as u32;
    data[..4].copy_from_slice(&len.to_be_bytes());
    data
}

/// READ DISC INFORMATION (MMC-6 §6.21): a complete, finalized disc of one session.
pub(super) fn disc_information() -> Vec<u8> {
    let mut data = vec![0; 34];
    data[1] = 32;
    data[2] = 0x0e;
    // First track, sessions, first and last track of the last session.
    data[3..7].fill(1);
    // Unrestricted use.
    data[7] = 0x20;
    // No further lead-in or lead-out position.
    data[16..24].fill(0xff);
    data
}

/// READ TRACK INFORMATION (MMC-6 §6.26) of the only track, named by block (0), track (1) or
/// session (2).
pub(super) fn track_information(by: u8, name: u32, blocks: u32) -> Option<Vec<u8>> {
    let found = match by {
        0 => name < blocks,
        1 | 2 => name == 1,
        _ => false,
    };
    found.then(|| {
        let mut data = vec![0; 36];
        data[1] = 34;
        // Track and session number.
        data[2..4].fill(1);
        // A data track, of mode 1.
        data[5] = 0x04;
        data[6] = 0x01;
        data[24..28].copy_from_slice(&blocks.to_be_bytes());
        data
    })
}

/// READ DISC STRUCTURE (MMC-6 §6.22) of a single-layer DVD-ROM.
pub(super) fn disc_structure(format: u8, layer: u8, blocks: u32) -> Option<Vec<u8>> {
    let body = match format {
        // Physical format information.
        0x00 if layer == 0 => {
            // The data area starts at this sector number.
            const START: u32 = 0x03_0000;
            let mut body = vec![0; 2048];
            // DVD-ROM, version 1; 120 mm at the lowest rate; one layer.
            body[0] = 0x01;
            body[1] = 0x02;
            body[4..8].copy_from_slice(&START.to_be_bytes());
            let last = START.saturating_add(blocks - 1).min(0xff_ffff);
            body[8..12].copy_from_slice(&last.to_be_bytes());
            body
        }
        // Copyright: none.
        0x01 => vec![0; 4],
        // Manufacturing information.
        0x04 => vec![0; 2048],
        _ => return None,
    };
    let mut data = ((body.len() + 2) as u16).to_be_bytes().to_vec();
    data.extend([0, 0]);
    data.extend(body);
    Some(data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configuration_tells_the_profile_of_the_medium() {
        let profile = |medium| configuration(medium, 0, 0)[6..8].to_vec();
        assert_eq!(profile(None), [0, 0]);
        assert_eq!(profile(Some(1000)), [0, 8]);
        assert_eq!(profile(Some(2_000_000)), [0, 16]);
        let only = configuration(Some(1), 2, 3);
        assert_eq!(only.len(), 8 + 8);
        assert_eq!(only[..4], 12u32.to_be_bytes());
        assert_eq!(configuration(Some(1), 3, 0).len(), 8);
    }

    #[test]
    fn every_mode_page_is_as_long_as_it_says() {
        for code in [0x01, 0x0e, 0x1a, 0x2a] {
            let page = mode_page(code, true).unwrap();
            assert_eq!(page.len(), usize::from(page[1]) + 2, "{code:#x}");
        }
        let all = mode_sense(8, 0x3f, false, false).unwrap();
        assert_eq!(usize::from(u16::from_be_bytes([all[0], all[1]])), all.len() - 2);
        assert_eq!(mode_sense(4, 0x05, false, false), None);
        let mask = mode_sense(8, 0x2a, true, true).unwrap();
        assert!(mask[10..].iter().all(|bits| *bits == 0));
    }
}
