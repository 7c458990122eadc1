//! An installed Debian on a virtio disk: boots, writes, restarts, and gives space back.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use berth_tests::{Debian, check_image, overlay};

/// Host space that an image takes, in bytes.
fn allocated(image: &Path) -> u64 {
    image.metadata().expect("the image is there").blocks() * 512
}

const MIB: u64 = 1 << 20;

fn works(name: &str, options: &[&str]) {
    let scratch = tempfile::tempdir().expect("a folder for the disk");
    let disk = overlay("disk.qcow2", scratch.path());
    let mut debian = Debian::login(Debian::boot_by(name, &disk, "virtio").args(options).start());
    assert_eq!(debian.run("cat /sys/block/vda/serial"), "berth-0");
    assert_eq!(debian.run("cat /sys/block/vda/queue/write_cache"), "write back");
    let cpus = debian.run("nproc");
    assert_eq!(debian.run("ls /sys/block/vda/mq | wc -l"), cpus, "a queue for each processor");
    debian.run("dd if=/dev/urandom of=/root/large bs=1M count=64 conv=fsync status=none");
    debian.run("sha256sum /root/large >/root/sum; sync; echo 3 >/proc/sys/vm/drop_caches");
    debian.run("sha256sum -c /root/sum");
    debian.begin("reboot");
    debian.login_again();
    debian.run("sha256sum -c /root/sum");
    let full = allocated(&disk);
    debian.run("rm /root/large; sync; fstrim /; sync");
    let trimmed = allocated(&disk);
    assert!(trimmed + 48 * MIB < full, "fstrim made {full} bytes {trimmed}");
    debian.power_off().expect_success();
    check_image(&disk);
}

#[test]
fn a_virtio_disk_works_under_bios() {
    works("virtio-blk-bios", &["--cpus", "1"]);
}

#[test]
fn a_virtio_disk_works_under_uefi_with_two_cpus() {
    works("virtio-blk-uefi-2", &["--firmware", "uefi", "--cpus", "2"]);
}
