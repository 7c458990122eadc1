//! What every other test relies on. When one of these fails, look here first.

use std::fs::File;

use berth_tests::{berth, image, output};

#[test]
fn kvm_can_be_opened() {
    File::options().read(true).write(true).open("/dev/kvm").expect("/dev/kvm");
}

#[test]
fn every_image_is_there() {
    let images = [
        "demo.iso",
        "disk.qcow2",
        "disk.raw",
        "grub.iso",
        "initrd",
        "installer.iso",
        "memtest.iso",
        "vmlinux",
        "vmlinuz",
    ];
    for name in images {
        assert!(image(name).metadata().expect(name).len() > 0, "{name} is empty");
    }
}

#[test]
fn berth_is_there() {
    assert!(berth().is_file(), "{} is no file", berth().display());
}

#[test]
fn output_can_be_written() {
    let folder = output("environment").expect("folder");
    std::fs::write(folder.join("written"), "by the test\n").expect("file");
}
