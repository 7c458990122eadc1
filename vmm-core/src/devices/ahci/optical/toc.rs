//! READ TOC/PMA/ATIP (MMC-6 §6.25) of a medium with one data track.

/// Control field of a data track, and where the sub-channel has its position.
const DATA_TRACK: u8 = 0x14;
const LEAD_OUT: u8 = 0xaa;
/// Frames of a second, and before the first block.
const FRAMES: u32 = 75;
const PREGAP: u32 = 2 * FRAMES;

/// Minute, second and frame of a block.
fn msf(block: u32) -> [u8; 3] {
    let frames = block.saturating_add(PREGAP);
    // A DVD has more minutes than the field holds.
    let minute = (frames / (60 * FRAMES)).min(255) as u8;
    [minute, (frames / FRAMES % 60) as u8, (frames % FRAMES) as u8]
}

fn address(block: u32, as_msf: bool) -> [u8; 4] {
    if !as_msf {
        return block.to_be_bytes();
    }
    let [minute, second, frame] = msf(block);
    [0, minute, second, frame]
}

/// Puts the length of what follows in front; both tracks or sessions are number 1.
fn with_header(body: &[u8]) -> Vec<u8> {
    let mut data = ((body.len() + 2) as u16).to_be_bytes().to_vec();
    data.extend([1, 1]);
    data.extend(body);
    data
}

/// The answer in `format`, from track `first` on; `None` for a format or track there is not.
pub(super) fn read(format: u8, as_msf: bool, first: u8, blocks: u32) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    let mut track = |number: u8, block| {
        body.extend([0, DATA_TRACK, number, 0]);
        body.extend(address(block, as_msf));
    };
    match format {
        // The table of contents.
        0 if first <= 1 || first == LEAD_OUT => {
            if first <= 1 {
                track(1, 0);
            }
            track(LEAD_OUT, blocks);
        }
        // The first track of the last session.
        1 => track(1, 0),
        // The lead-in's entries: first and last track, lead-out, track 1; always in MSF.
        2 => {
            let entries =
                [(0xa0, [1, 0, 0]), (0xa1, [1, 0, 0]), (0xa2, msf(blocks)), (0x01, msf(0))];
            for (point, [minute, second, frame]) in entries {
                body.extend([1, DATA_TRACK, 0, point, 0, 0, 0, 0, minute, second, frame]);
            }
        }
        _ => return None,
    }
    Some(with_header(&body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_data_track_and_a_lead_out() {
        let toc = read(0, false, 0, 0x1234).unwrap();
        assert_eq!(
            toc,
            [0, 18, 1, 1, 0, 0x14, 1, 0, 0, 0, 0, 0, 0, 0x14, 0xaa, 0, 0, 0, 0x12, 0x34]
        );
        assert_eq!(read(0, true, 0xaa, 75 * 60).unwrap()[8..], [0, 1, 2, 0]);
        assert_eq!(read(1, false, 0, 9).unwrap().len(), 12);
        assert_eq!(read(2, true, 0, u32::MAX).unwrap().len(), 4 + 4 * 11);
        assert_eq!(read(0, false, 2, 9), None);
        assert_eq!(read(5, false, 0, 9), None);
    }
}
