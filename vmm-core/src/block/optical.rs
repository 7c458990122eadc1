//! A CD or DVD whose contents are an ISO image.

use std::path::Path;
use std::sync::Arc;

use super::engine::Engine;
use super::error::{ImageAction, ImageError};
use super::host_file::{Access, HostFile};
use super::image::Image;
use super::{BlockDevice, Request, format};
use crate::memory::GuestRam;

/// Size of an optical medium's sector.
const SECTOR: u64 = 2048;
/// The sector of the first volume descriptor (ECMA-119 §6.7.1.1; ECMA-167 part 2 §8.3.1).
const FIRST_DESCRIPTOR: u64 = 16;
/// How many volume descriptors are looked at; media have three or four.
const MAX_DESCRIPTORS: u64 = 64;
/// Identifiers of the descriptors of UDF and ISO 9660 (ECMA-167 part 2 §9.1.2, part 3 §9.1).
const DESCRIPTOR_IDS: [&[u8; 5]; 5] = [b"CD001", b"BEA01", b"NSR02", b"NSR03", b"TEA01"];

/// An ISO image, read-only.
pub struct OpticalMedium {
    engine: Engine,
}

impl OpticalMedium {
    /// Opens the ISO image at `path` for a guest with this RAM.
    ///
    /// # Errors
    /// When the file is no ISO image, is truncated, or cannot be read.
    pub fn open(path: &Path, ram: Arc<GuestRam>) -> Result<Arc<Self>, ImageError> {
        let file = open(path, Access::Read)?;
        // Reads report their failures to the guest, so nothing is ever parked; a panic is.
        let shown = path.to_path_buf();
        let on_fault = move |fault| {
            tracing::error!(path = %shown.display(), %fault, "an optical medium has failed");
        };
        let engine = Engine::new(Image::plain(file), ram, Arc::new(on_fault));
        Ok(Arc::new(Self { engine }))
    }
}

impl BlockDevice for OpticalMedium {
    fn len(&self) -> u64 {
        let len = self.engine.image().len();
        len - len % SECTOR
    }

    fn read_only(&self) -> bool {
        true
    }

    fn submit(&self, request: Request) {
        self.engine.submit(request);
    }

    fn drain(&self) {
        self.engine.drain();
    }
}

/// Opens the ISO image at `path` to look at it, also while machines use it.
///
/// # Errors
/// The same as when a machine opens it, but for being in use.
pub(crate) fn peek(path: &Path) -> Result<HostFile, ImageError> {
    open(path, Access::Peek)
}

fn open(path: &Path, access: Access) -> Result<HostFile, ImageError> {
    let file = HostFile::open(path, access)?;
    check(&file)?;
    Ok(file)
}

/// Checks that `file` is a whole medium.
fn check(file: &HostFile) -> Result<(), ImageError> {
    let path = || file.path().to_path_buf();
    if file.len() == 0 {
        return Err(ImageError::Empty(path()));
    }
    let expected = match described(file)? {
        Some(expected) => expected,
        None => {
            return Err(ImageError::NotAMedium { path: path(), what: format::what_else(file)? });
        }
    };
    // Hybrid images may be longer, for the partitions of a USB stick.
    if file.len() < expected {
        return Err(ImageError::TruncatedMedium { path: path(), actual: file.len(), expected });
    }
    if !file.len().is_multiple_of(SECTOR) {
        // Hybrid images are made for disks with sectors of 512 bytes; anything else lost its end.
        if !file.len().is_multiple_of(512) {
            let expected = file.len().next_multiple_of(SECTOR);
            return Err(ImageError::TruncatedMedium { path: path(), actual: file.len(), expected });
        }
    }
    Ok(())
}

/// How long the medium's descriptors say it is at least, in bytes; `None` when there are none.
fn described(file: &HostFile) -> Result<Option<u64>, ImageError> {
    let mut found = None;
    for sector in FIRST_DESCRIPTOR..FIRST_DESCRIPTOR + MAX_DESCRIPTORS {
        let mut descriptor = [0; SECTOR as usize];
        file.read_at(&mut descriptor, sector * SECTOR)
            .map_err(ImageError::io(file.path(), ImageAction::Read))?;
        let (kind, id) = (descriptor[0], &descriptor[1..6]);
        if !DESCRIPTOR_IDS.iter().any(|known| *known == id) {
            break;
        }
        let end = (sector + 1) * SECTOR;
        found = Some(found.unwrap_or(0).max(end));
        // The primary volume descriptor (ECMA-119 §8.4): the volume space size in logical blocks
        // is at offset 80, the size of a logical block at 128, both in either byte order, the
        // little one first.
        if id == b"CD001" && kind == 1 {
            let blocks = u32::from_le_bytes([0, 1, 2, 3].map(|i| descriptor[80 + i]));
            let block_size = u16::from_le_bytes([descriptor[128], descriptor[129]]);
            let len = u64::from(blocks) * u64::from(block_size);
            found = Some(found.unwrap_or(0).max(len));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::testing;

    fn iso(blocks: u32) -> Vec<u8> {
        let mut bytes = vec![0; 40 * SECTOR as usize];
        let pvd = &mut bytes[16 * SECTOR as usize..];
        pvd[0] = 1;
        pvd[1..6].copy_from_slice(b"CD001");
        pvd[80..84].copy_from_slice(&blocks.to_le_bytes());
        pvd[128..130].copy_from_slice(&2048u16.to_le_bytes());
        let end = &mut bytes[17 * SECTOR as usize..];
        end[0] = 255;
        end[1..6].copy_from_slice(b"CD001");
        bytes
    }

    fn open(bytes: &[u8]) -> Result<u64, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        let name = file.path().display().to_string();
        OpticalMedium::open(file.path(), testing::ram())
            .map(|medium| medium.len())
            .map_err(|error| error.chain().replace(&name, "F"))
    }

    #[test]
    fn whole_media_open() {
        assert_eq!(open(&iso(40)), Ok(40 * 2048));
        // Hybrid: longer than the volume.
        assert_eq!(open(&iso(30)), Ok(40 * 2048));
        // UDF alone.
        let mut udf = vec![0; 300 * 2048];
        udf[16 * 2048 + 1..][..5].copy_from_slice(b"BEA01");
        udf[17 * 2048 + 1..][..5].copy_from_slice(b"NSR02");
        udf[18 * 2048 + 1..][..5].copy_from_slice(b"TEA01");
        assert_eq!(open(&udf), Ok(300 * 2048));
    }

    #[test]
    fn what_is_no_whole_medium_is_refused_in_one_sentence() {
        for (bytes, says) in [
            (vec![], "“F” is empty; name a file that holds an image or make a new one"),
            (iso(41), "“F” is truncated: 81920 of 83968 bytes are there; download it again"),
            (
                iso(30)[..17 * 2048 - 1].to_vec(),
                "“F” is truncated: 34815 of 61440 bytes are there; download it again",
            ),
            (
                iso(30)[..39 * 2048 + 100].to_vec(),
                "“F” is truncated: 79972 of 81920 bytes are there; download it again",
            ),
            (
                b"Hello, world\n".repeat(10_000),
                "“F” is not an ISO image but a text file; name an ISO image",
            ),
            (vec![0; 100 * 2048], "“F” is not an ISO image but something else; name an ISO image"),
        ] {
            assert_eq!(open(&bytes).unwrap_err(), says);
        }
        let dir = tempfile::tempdir().unwrap();
        let open = |path: &Path| OpticalMedium::open(path, testing::ram()).err();
        assert!(matches!(open(dir.path()), Some(ImageError::Directory(_))));
        assert!(matches!(open(&dir.path().join("no")), Some(ImageError::NotFound(_))));
    }

    #[test]
    fn truncation_at_every_place_is_no_panic() {
        let whole = iso(40);
        for len in (0..whole.len()).step_by(997) {
            assert!(open(&whole[..len]).is_err(), "{len}");
        }
    }
}
