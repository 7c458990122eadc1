//! Disk images, made and checked by the reference implementation.

use std::path::{Path, PathBuf};
use std::process::Command;

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

/// Checks that an image is consistent.
///
/// # Panics
/// When it is not.
pub fn check(path: &Path) {
    qemu_img(Command::new("qemu-img").args(["check", "-f", "qcow2"]).arg(path));
}

fn qemu_img(command: &mut Command) {
    let output = command.output().expect("qemu-img starts");
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
