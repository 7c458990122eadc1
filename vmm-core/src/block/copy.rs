//! Copying image files, whatever is in them.
//!
//! Where the file system can, the copy shares the original's blocks until one of the two is
//! written, which takes no time and no space. Elsewhere the data is copied and the holes are kept.

use std::path::Path;

use super::create::{NewFile, Progress, check_space};
use super::error::{ImageAction, ImageError};
use super::host_file::{Access, HostFile};
use crate::units::Bytes;

/// How much is copied between two calls of [`Progress`]: what slow disks do in about a second.
const STEP: u64 = 32 << 20;
/// What is read and written at a time where the kernel does not copy by itself.
const CHUNK: usize = 1 << 20;

/// How many bytes of the file at `path` are data, not holes: what copying it takes at most.
///
/// # Errors
/// When it is no file or cannot be read.
pub fn data_len(path: &Path) -> Result<Bytes, ImageError> {
    data(&open(path, Access::Peek)?).map(Bytes)
}

/// Copies the file at `from` to `to`, which must not exist. Nobody can write the original
/// meanwhile. `progress` counts bytes of data, as [`data_len`] does.
///
/// # Errors
/// When the original is no regular file, cannot be read or is in use, `to` exists, there is no
/// space, or `progress` cancels. Nothing is left behind then.
pub fn copy(from: &Path, to: &Path, progress: Progress<'_>) -> Result<(), ImageError> {
    let source = open(from, Access::Read)?;
    let new = NewFile::create(to)?;
    let total = data(&source)?;
    if !progress(Bytes(0), Bytes(total)) {
        return Err(ImageError::Cancelled);
    }
    match new.file.share_blocks(&source) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::Unsupported => {
            check_space(to, total)?;
            let mut done = 0;
            copy_data(&source, &new, Engine::Kernel, |len| {
                done += len;
                progress(Bytes(done.min(total)), Bytes(total))
            })?;
        }
        Err(error) => return Err(new.failed(error)),
    }
    new.finish()?;
    if progress(Bytes(total), Bytes(total)) {
        return Ok(());
    }
    // Nobody can have seen it yet.
    let _ = std::fs::remove_file(to);
    Err(ImageError::Cancelled)
}

/// Who moves the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Engine {
    Kernel,
    Ourselves,
}

/// Copies all data to its place; `copied` hears how much more there is, and says whether to go on.
fn copy_data(
    source: &HostFile,
    new: &NewFile,
    mut engine: Engine,
    mut copied: impl FnMut(u64) -> bool,
) -> Result<(), ImageError> {
    let reading = |error| ImageError::io(source.path(), ImageAction::Read)(error);
    // First, so that the end is a hole where the original's is.
    new.file.set_len(source.len()).map_err(|error| new.failed(error))?;
    let mut buffer = Vec::new();
    let mut offset = 0;
    while let Some((start, end)) = source.next_data(offset).map_err(reading)? {
        offset = start;
        while offset < end {
            let wanted = STEP.min(end - offset);
            let len = match engine {
                Engine::Kernel => match new.file.copy_range(source, offset, wanted) {
                    // Some file systems say so where there is data: look ourselves.
                    Ok(0) => {
                        engine = Engine::Ourselves;
                        continue;
                    }
                    Err(error) if error.kind() == std::io::ErrorKind::Unsupported => {
                        engine = Engine::Ourselves;
                        continue;
                    }
                    other => other.map_err(|error| new.failed(error))?,
                },
                Engine::Ourselves => {
                    buffer.resize(CHUNK, 0);
                    let part = &mut buffer[..CHUNK.min(wanted as usize)];
                    source.read_at(part, offset).map_err(reading)?;
                    new.file.write_at(part, offset).map_err(|error| new.failed(error))?;
                    part.len() as u64
                }
            };
            offset += len;
            if !copied(len) {
                return Err(ImageError::Cancelled);
            }
        }
    }
    Ok(())
}

fn open(path: &Path, access: Access) -> Result<HostFile, ImageError> {
    let metadata =
        std::fs::metadata(path).map_err(|error| ImageError::opening(path, false, error))?;
    if std::os::unix::fs::FileTypeExt::is_block_device(&metadata.file_type()) {
        return Err(ImageError::CopyDevice(path.to_path_buf()));
    }
    HostFile::open(path, access)
}

fn data(file: &HostFile) -> Result<u64, ImageError> {
    let (mut sum, mut offset) = (0, 0);
    while let Some((start, end)) =
        file.next_data(offset).map_err(ImageError::io(file.path(), ImageAction::Read))?
    {
        sum += end - start;
        offset = end;
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::fs::{FileExt, MetadataExt};

    use super::*;

    const MIB: u64 = 1 << 20;

    /// A file of 1 GiB with data at its beginning and in its middle.
    fn sparse(path: &Path) {
        let file = File::create(path).unwrap();
        file.set_len(1 << 30).unwrap();
        file.write_all_at(&vec![1; MIB as usize], 0).unwrap();
        file.write_all_at(&vec![2; 3 * MIB as usize], 512 * MIB).unwrap();
    }

    fn check_sparse(path: &Path) {
        let file = File::open(path).unwrap();
        let metadata = file.metadata().unwrap();
        assert_eq!(metadata.len(), 1 << 30);
        assert!(metadata.blocks() * 512 < 16 * MIB, "holes stay holes");
        for (offset, value) in [(0, 1), (MIB - 1, 1), (MIB, 0), (512 * MIB, 2), (515 * MIB, 0)] {
            let mut byte = [9];
            file.read_exact_at(&mut byte, offset).unwrap();
            assert_eq!(byte, [value], "at {offset}");
        }
    }

    #[test]
    fn a_copy_keeps_the_holes_and_tells_how_far_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("a"), folder.path().join("b"));
        sparse(&from);
        let mut told = Vec::new();
        copy(&from, &to, &mut |done, total| {
            told.push((done.0, total.0));
            true
        })
        .unwrap();
        check_sparse(&to);
        let total = data_len(&from).unwrap().0;
        assert!((4 * MIB..16 * MIB).contains(&total), "{total}");
        assert!(told.is_sorted() && told.iter().all(|(_, all)| *all == total), "{told:?}");
        assert_eq!((told[0].0, told.last().unwrap().0), (0, total));
    }

    #[test]
    fn each_way_of_copying_gives_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let from = folder.path().join("a");
        sparse(&from);
        let source = open(&from, Access::Read).unwrap();
        for (engine, name) in [(Engine::Kernel, "b"), (Engine::Ourselves, "c")] {
            let to = folder.path().join(name);
            let new = NewFile::create(&to).unwrap();
            copy_data(&source, &new, engine, |_| true).unwrap();
            new.finish().unwrap();
            check_sparse(&to);
        }
    }

    #[test]
    fn cancelling_at_any_time_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("a"), folder.path().join("b"));
        sparse(&from);
        for calls in 0.. {
            let mut left = calls;
            let result = copy(&from, &to, &mut |_, _| {
                let go_on = left != 0;
                left -= i32::from(go_on);
                go_on
            });
            if result.is_ok() {
                assert!(calls >= 2);
                break;
            }
            assert!(matches!(result, Err(ImageError::Cancelled)));
            assert_eq!(folder.path().read_dir().unwrap().count(), 1);
        }
    }

    #[test]
    fn what_is_in_use_or_no_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("a"), folder.path().join("b"));
        sparse(&from);
        let copying = |from: &Path| copy(from, &to, &mut |_, _| true);
        let used = HostFile::open(&from, Access::Write).unwrap();
        assert!(matches!(copying(&from), Err(ImageError::InUse(_))));
        drop(used);
        assert!(matches!(copying(folder.path()), Err(ImageError::Directory(_))));
        assert!(matches!(copying(&folder.path().join("x")), Err(ImageError::NotFound(_))));
        assert!(matches!(copying(Path::new("/dev/null")), Err(ImageError::NotAFile(_))));
        copying(&from).unwrap();
        assert!(matches!(copying(&from), Err(ImageError::Exists(_))));
    }
}
