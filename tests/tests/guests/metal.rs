//! A guest without a system (`tests/metal`), which drives a virtio disk by itself.

use berth_tests::{Berth, image, metal_disk};

use crate::SHORT;

#[test]
fn a_guest_without_a_system_reads_a_disk() {
    let scratch = tempfile::tempdir().expect("a folder for the disk");
    let disk = metal_disk(scratch.path());
    let mut running = Berth::boot("metal", SHORT)
        .arg("--kernel")
        .arg(image("metal"))
        .arg("--disk")
        .arg(format!("{},format=raw,bus=virtio", disk.display()))
        .start();
    assert_eq!(running.expect("read, done|failed: .*"), "read, done");
}
