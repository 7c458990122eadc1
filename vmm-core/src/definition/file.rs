//! Reading and replacing a definition file.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;

use super::error::{DefinitionError, FileAction};
use super::folder;
use crate::text;

/// The largest definition that is read. A real one has a few hundred bytes.
const MAX_BYTES: u64 = 1 << 20;

/// Why a definition's text cannot be had.
#[derive(Debug)]
pub(super) enum ReadError {
    /// The file is no definition, whatever is in it.
    Damaged(String),
    /// The system refused.
    Io(io::Error),
}

/// The text of a definition: a regular file of at most [`MAX_BYTES`], never a link.
pub(super) fn read(path: &Path) -> Result<String, ReadError> {
    // Non-blocking, or opening a FIFO would wait for its writer.
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let file = match OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => {
            return Err(ReadError::Damaged(text!(
                "it is a symbolic link; put the file itself here"
            )));
        }
        other => other.map_err(ReadError::Io)?,
    };
    let metadata = file.metadata().map_err(ReadError::Io)?;
    if !metadata.is_file() {
        return Err(ReadError::Damaged(text!("it is not a regular file")));
    }
    let mut bytes = Vec::new();
    // The length can change under us: the limit holds for what is read.
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(ReadError::Io)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(ReadError::Damaged(text!("it is too large for a definition")));
    }
    String::from_utf8(bytes).map_err(|error| {
        let line = error.as_bytes()[..error.utf8_error().valid_up_to()]
            .iter()
            .filter(|byte| **byte == b'\n')
            .count();
        ReadError::Damaged(text!("line {line} is not UTF-8 text", line = line + 1))
    })
}

/// Replaces the definition in `folder` so that whenever the machine dies, the old or the new text
/// is there, whole. The store must be locked, for the temporary file has a fixed name.
pub(super) fn replace(folder: &Path, text: &str) -> Result<(), DefinitionError> {
    let temporary = folder.join(".machine.toml.new");
    let path = folder.join(folder::DEFINITION);
    let write = || -> io::Result<()> {
        match std::fs::remove_file(&temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&temporary, &path)?;
        sync_folder(folder)
    };
    write().map_err(|source| {
        // Whether it is there or not, the next call begins by removing it.
        let _ = std::fs::remove_file(&temporary);
        DefinitionError::Io { action: FileAction::Write, path: path.clone(), source }
    })
}

/// Makes the names in `folder` durable.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_small_regular_files_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let damage = |path: &Path| match read(path) {
            Err(ReadError::Damaged(reason)) => reason,
            other => panic!("{other:?}"),
        };
        std::os::unix::fs::symlink("/dev/zero", &path).unwrap();
        assert!(damage(&path).contains("link"));
        assert!(damage(Path::new("/dev/zero")).contains("regular"));
        assert!(damage(folder.path()).contains("regular"));
        std::fs::remove_file(&path).unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &path,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR,
            0,
        )
        .unwrap();
        assert!(damage(&path).contains("regular"));
        std::fs::remove_file(&path).unwrap();
        File::create(&path).unwrap().set_len(1 << 40).unwrap();
        assert!(damage(&path).contains("large"));
        std::fs::write(&path, b"a\nb\n\xff").unwrap();
        assert!(damage(&path).contains("line 3"));
    }

    #[test]
    fn replacing_leaves_no_other_file() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(".machine.toml.new"), "left over").unwrap();
        replace(folder.path(), "one").unwrap();
        replace(folder.path(), "two").unwrap();
        let names: Vec<_> =
            folder.path().read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["machine.toml"]);
        assert_eq!(read(&folder.path().join("machine.toml")).unwrap(), "two");
    }
}
