//! Disk images; those of a format are made and checked by the reference implementation.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread;
use std::time::{Duration, Instant};

use crate::image;

/// A disk that begins as the image called `name` is, and keeps what is written in `folder`.
///
/// # Panics
/// When `qemu-img` fails.
#[must_use]
pub fn overlay(name: &str, folder: &Path) -> PathBuf {
    let path = folder.join("overlay.qcow2");
    let base = image(name).canonicalize().expect("the image is there");
    qemu_img(
        Command::new("qemu-img")
            .args(["create", "-q", "-f", "qcow2", "-F", "qcow2", "-b"])
            .arg(base)
            .arg(&path),
    );
    path
}

/// A new image of `size`, in qemu-img's notation, at `path`.
///
/// # Panics
/// When `qemu-img` fails.
pub fn create(path: &Path, format: &str, size: &str) {
    qemu_img(Command::new("qemu-img").args(["create", "-q", "-f", format]).arg(path).arg(size));
}

/// The disk of the guest `metal`, raw: each 4 KiB begin with the number of their sector.
///
/// # Panics
/// When it cannot be written.
#[must_use]
pub fn metal_disk(folder: &Path) -> PathBuf {
    let path = folder.join("metal.raw");
    let mut contents = [0; 64 * 512];
    for sector in (0..64u8).step_by(8) {
        contents[usize::from(sector) * 512] = sector;
    }
    fs::write(&path, contents).expect("a folder for the disk");
    path
}

/// How long requests of a process that was killed may hold its images.
const LINGER: Duration = Duration::from_secs(10);

/// Checks that an image is consistent, once nobody uses it any more.
///
/// # Panics
/// When it is not.
pub fn check(path: &Path) {
    let mut command = Command::new("qemu-img");
    command.args(["check", "-f", "qcow2"]).arg(path);
    let deadline = Instant::now() + LINGER;
    let output = loop {
        let output = command.output().expect("qemu-img starts");
        let in_use = String::from_utf8_lossy(&output.stderr).contains("Failed to get");
        if !in_use || Instant::now() > deadline {
            break output;
        }
        thread::sleep(Duration::from_millis(100));
    };
    succeeded(&command, &output);
}

fn qemu_img(command: &mut Command) {
    let output = command.output().expect("qemu-img starts");
    succeeded(command, &output);
}

fn succeeded(command: &Command, output: &Output) {
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
