//! A host file system that fills up while a guest writes.

use std::path::{Path, PathBuf};
use std::process::Command;

use berth_tests::{Debian, check_image, overlay};

/// A file system in memory, of a limited size; unmounted when dropped.
struct Small(PathBuf);

impl Small {
    fn mount(path: &Path, size: &str) -> Self {
        mount(&["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"], path);
        Self(path.into())
    }

    fn grow(&self, size: &str) {
        mount(&["-o", &format!("remount,size={size}")], &self.0);
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        // Lazily: a test that fails may still have files open.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

fn mount(arguments: &[&str], path: &Path) {
    let status = Command::new("mount").args(arguments).arg(path).status().expect("mount starts");
    assert!(status.success(), "mount {arguments:?}: {status}; this test needs root");
}

#[test]
fn the_machine_pauses_says_so_and_goes_on() {
    let scratch = tempfile::tempdir().expect("a folder for the disk");
    let small = Small::mount(scratch.path(), "40M");
    let disk = overlay("disk.qcow2", scratch.path());
    let mut debian =
        Debian::login(Debian::boot("disk-full", &disk).screenshot("screen.png").start());
    debian.begin(concat!(
        "dd if=/dev/urandom of=/root/large bs=1M count=80 conv=fsync 2>/dev/null; ",
        "sha256sum </root/large; echo dd $(echo done)"
    ));
    debian.process().expect_message("berth: paused: .*\n");
    small.grow("400M");
    debian.process().expect_message("berth: the disk works again");
    let sum = debian.process().expect("([0-9a-f]{64})  -\r\ndd done");
    let read = debian.run("echo 3 >/proc/sys/vm/drop_caches; sha256sum </root/large");
    assert_eq!(read.split(' ').next(), Some(&*sum), "what was held up is on the disk");
    debian.power_off().expect_status(0);
    check_image(&disk);
}
