//! The optical drive of a running guest.

use std::fs::File;
use std::path::Path;

use berth_tests::{Debian, Running, image, overlay};

/// Size of a medium in sectors of 512 bytes, as the guest counts it.
fn sectors(path: &Path) -> String {
    (File::open(path).and_then(|file| file.metadata()).expect("the image").len() / 512).to_string()
}

/// Runs `condition` in the guest until it holds, as the guest notices changes when it looks.
fn wait_until(debian: &mut Debian, condition: &str) {
    debian.run(&format!(
        "for i in $(seq 200); do {condition} && break; sleep 0.3; done; {condition}"
    ));
}

/// Waits until the medium in the drive is as large as that in `path`.
fn wait_for_medium(debian: &mut Debian, path: &Path) {
    let size = sectors(path);
    wait_until(debian, &format!("test \"$(blockdev --getsz /dev/sr0 2>/dev/null)\" = {size}"));
}

/// Waits until there is no medium in the drive.
fn wait_for_empty_drive(debian: &mut Debian) {
    wait_until(debian, "! dd if=/dev/sr0 of=/dev/null count=1 2>/dev/null");
}

/// The guest's udev locks the tray while there is a medium, so that every change is one that the
/// guest has to agree to.
#[test]
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
    wait_for_medium(&mut debian, &first);
    debian.run("mount -o ro /dev/sr0 /mnt && ls /mnt/boot/grub/grub.cfg && umount /mnt");

    debian.run("echo another medium $(echo please)");
    wait_for_medium(&mut debian, &second);

    debian.run("echo no medium $(echo please)");
    wait_for_empty_drive(&mut debian);

    debian.run("echo the first medium $(echo please)");
    wait_for_medium(&mut debian, &first);
    // From inside: the drive is empty then.
    debian.run("eject /dev/sr0");
    wait_for_empty_drive(&mut debian);
    debian.power_off().expect_success();
}
