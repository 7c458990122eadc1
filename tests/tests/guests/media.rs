//! The optical drive of a running guest.

use std::fs::File;
use std::path::Path;

use berth_tests::{Debian, Running, image, overlay};

/// Size of a medium in sectors of 512 bytes, as the guest counts it.
fn sectors(path: &Path) -> String {
    (File::open(path).and_then(|file| file.metadata()).expect("the image").len() / 512).to_string()
}

/// The medium's size, once the guest has noticed that there is a medium, or another.
const SIZE: &str = "for i in $(seq 50); do blockdev --getsz /dev/sr0 && break; sleep 0.2; done";

#[test]
#[ignore = "fails: a change of a medium that the guest has locked has to wait for the guest to open the tray"]
fn media_change_and_eject() {
    let scratch = tempfile::tempdir().expect("a folder for the disk");
    let disk = overlay("disk.qcow2", scratch.path());
    let (first, second) = (image("grub.iso"), image("memtest.iso"));
    let running: Running = Debian::boot("media", &disk)
        .arg("--iso")
        .arg(&first)
        .args(["--until-serial", "another medium please", "--insert"])
        .arg(&second)
        .args(["--until-serial", "no medium please", "--eject"])
        .args(["--until-serial", "the first medium please", "--insert"])
        .arg(&first)
        .screenshot("screen.png")
        .arg("--until-off")
        .start();
    let mut debian = Debian::login(running);
    assert_eq!(debian.run(SIZE), sectors(&first));
    debian.run("mount -o ro /dev/sr0 /mnt && ls /mnt/boot/grub/grub.cfg && umount /mnt");

    debian.run("echo another medium $(echo please); sleep 2");
    assert_eq!(debian.run(SIZE), sectors(&second));

    debian.run("echo no medium $(echo please); sleep 2");
    debian.run("! dd if=/dev/sr0 of=/dev/null count=1 2>/dev/null");

    debian.run("echo the first medium $(echo please); sleep 2");
    assert_eq!(debian.run(SIZE), sectors(&first));
    // From inside: the drive is empty then.
    debian.run("eject /dev/sr0");
    debian.run("! dd if=/dev/sr0 of=/dev/null count=1 2>/dev/null");
    debian.power_off().expect_success();
}
