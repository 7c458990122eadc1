//! What this module's tests share: a probe in every host file that makes operations fail and
//! records what is written, guest RAM, and QEMU's image tool.

use std::io;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use parking_lot::Mutex;
use vm_memory::GuestAddress;

use crate::memory::GuestRam;

/// One thing done to a file.
#[derive(Debug, Clone)]
pub(super) enum Event {
    Write { offset: u64, data: Vec<u8> },
    Punch { offset: u64, len: u64 },
    Sync,
}

/// Decides whether a write of this many bytes at this offset fails, and with which error number.
type Failure = Box<dyn FnMut(u64, u64) -> Option<i32> + Send>;

/// Sits in a host file.
#[derive(Default)]
pub(super) struct Probe {
    pub(super) fail_reads: Mutex<Option<i32>>,
    pub(super) fail_writes: Mutex<Option<Failure>>,
    pub(super) fail_syncs: Mutex<Option<i32>>,
    pub(super) record: Mutex<Option<Vec<Event>>>,
}

impl std::fmt::Debug for Probe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Probe")
    }
}

impl Probe {
    pub(super) fn read(&self, _: u64) -> io::Result<()> {
        match *self.fail_reads.lock() {
            Some(errno) => Err(io::Error::from_raw_os_error(errno)),
            None => Ok(()),
        }
    }

    /// # Safety
    /// Each vector describes memory that may be read.
    pub(super) unsafe fn write(&self, vectors: &[libc::iovec], offset: u64) -> io::Result<()> {
        let len = vectors.iter().map(|v| v.iov_len as u64).sum();
        if let Some(fail) = &mut *self.fail_writes.lock()
            && let Some(errno) = fail(offset, len)
        {
            return Err(io::Error::from_raw_os_error(errno));
        }
        if let Some(events) = &mut *self.record.lock() {
            let mut data = Vec::new();
            for vector in vectors.iter().filter(|v| v.iov_len != 0) {
                // SAFETY: the caller vouches for the memory.
                data.extend_from_slice(unsafe {
                    std::slice::from_raw_parts(vector.iov_base.cast::<u8>(), vector.iov_len)
                });
            }
            events.push(Event::Write { offset, data });
        }
        Ok(())
    }

    pub(super) fn punch(&self, offset: u64, len: u64) -> io::Result<()> {
        if let Some(events) = &mut *self.record.lock() {
            events.push(Event::Punch { offset, len });
        }
        Ok(())
    }

    pub(super) fn sync(&self) -> io::Result<()> {
        if let Some(errno) = *self.fail_syncs.lock() {
            return Err(io::Error::from_raw_os_error(errno));
        }
        if let Some(events) = &mut *self.record.lock() {
            events.push(Event::Sync);
        }
        Ok(())
    }
}

/// 4 MiB of guest RAM in two regions that follow each other, and 1 MiB further up.
pub(super) fn ram() -> Arc<GuestRam> {
    let ranges = [
        (GuestAddress(0), 1 << 20),
        (GuestAddress(1 << 20), 3 << 20),
        (GuestAddress(4 << 30), 1 << 20),
    ];
    Arc::new(GuestRam::from_ranges(&ranges).unwrap())
}

/// Runs `qemu-img`; `None`, loudly, when there is none.
pub(super) fn qemu_img(arguments: &[&str]) -> Option<(bool, String)> {
    match Command::new("qemu-img").args(arguments).output() {
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stdout).into_owned()
                + &String::from_utf8_lossy(&output.stderr);
            Some((output.status.success(), text))
        }
        Err(error) => {
            eprintln!("SKIPPED: qemu-img cannot be run ({error}); install qemu-utils");
            None
        }
    }
}

/// Makes an image with `qemu-img create` and tells whether there is a `qemu-img`.
pub(super) fn qemu_create(path: &Path, arguments: &[&str], size: &str) -> bool {
    let path = path.to_str().unwrap();
    let mut all = vec!["create", "-q"];
    all.extend_from_slice(arguments);
    all.push(path);
    if !size.is_empty() {
        all.push(size);
    }
    match qemu_img(&all) {
        Some((good, text)) => {
            assert!(good, "{all:?}: {text}");
            true
        }
        None => false,
    }
}

/// Asserts that `qemu-img check` finds no errors; leaks only where `leaks` allows them.
pub(super) fn assert_checked(path: &Path, leaks: bool) {
    // Exit status: 0 good, 2 errors, 3 leaks alone.
    let output = Command::new("qemu-img").args(["check", "-f", "qcow2"]).arg(path).output();
    let Ok(output) = output else {
        eprintln!("SKIPPED: qemu-img cannot be run; install qemu-utils");
        return;
    };
    let code = output.status.code();
    let text = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert!(code == Some(0) || (leaks && code == Some(3)), "{code:?}: {text}");
}
