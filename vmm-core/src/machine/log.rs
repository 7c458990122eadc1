//! A machine's log file.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use parking_lot::Mutex;

/// What one run may write: the guest decides what firmware prints, and must not fill the disk.
const LIMIT: usize = 1 << 20;

struct Inner {
    file: File,
    room: usize,
}

/// Appends lines to a file, up to 1 MiB a run. Without a file, lines go nowhere.
pub(super) struct Log {
    inner: Option<Mutex<Inner>>,
}

impl Log {
    pub(super) fn open(path: Option<&Path>) -> io::Result<Self> {
        let inner = path
            .map(|path| {
                let file = OpenOptions::new().create(true).append(true).open(path)?;
                io::Result::Ok(Mutex::new(Inner { file, room: LIMIT }))
            })
            .transpose()?;
        Ok(Self { inner })
    }

    /// Appends `line`. A log that cannot be written is no reason to stop a machine.
    pub(super) fn line(&self, line: &str) {
        let Some(inner) = &self.inner else { return };
        let mut inner = inner.lock();
        let text = format!("{line}\n");
        if text.len() > inner.room {
            if inner.room > 0 {
                let _ = inner.file.write_all(b"(the log is full; nothing more is kept)\n");
                inner.room = 0;
            }
            return;
        }
        inner.room -= text.len();
        let _ = inner.file.write_all(text.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chatty_guest_does_not_fill_the_disk() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let log = Log::open(Some(&path)).unwrap();
        let line = "x".repeat(1000);
        for _ in 0..2000 {
            log.line(&line);
        }
        let len = std::fs::metadata(&path).unwrap().len();
        assert!(len > 900_000 && len < 1_100_000, "{len}");
    }
}
