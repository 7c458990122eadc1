//! An installed Debian on a virtio disk: boots, writes, restarts, and gives space back. A second disk
//! grows while it is used, and survives that the process is killed.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use berth_tests::{Berth, Debian, check_image, create_image, overlay};

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
    let controllers = "cat /sys/bus/pci/devices/*/class | grep -c 0x0106 || true";
    assert_eq!(debian.run(controllers), "0", "nothing is connected by SATA");
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

/// The sizes of the second disk, in MiB.
const SMALL: u64 = 64;
const LARGE: u64 = 1536;

/// A Debian with a second disk, vdb.
fn with_data(name: &str, system: &Path, data: &Path) -> Berth {
    Debian::boot_by(name, system, "virtio")
        .arg("--disk")
        .arg(format!("{},format=qcow2,bus=virtio", data.display()))
}

#[test]
fn a_disk_grows_in_use_gives_space_back_and_survives_a_kill() {
    let scratch = tempfile::tempdir().expect("a folder for the disks");
    let system = overlay("disk.qcow2", scratch.path());
    let data = scratch.path().join("data.qcow2");
    create_image(&data, "qcow2", &format!("{SMALL}M"));
    let grow = format!("1,{LARGE}M");
    let berth = with_data("virtio-blk-grow", &system, &data).args([
        "--until-serial",
        "GROW NOW",
        "--grow-disk",
        &grow,
        "--until-off",
    ]);
    let mut debian = Debian::login(berth.start());

    debian.run("mkfs.ext4 -q /dev/vdb && mount /dev/vdb /mnt && echo before >/mnt/word && sync");
    assert_eq!(debian.run("cat /sys/block/vdb/size"), (SMALL * 2048).to_string());
    debian.run(&format!(
        "echo GROW' 'NOW; \
         until [ $(cat /sys/block/vdb/size) = {} ]; do sleep 0.1; done; \
         resize2fs /dev/vdb 2>&1 && cat /mnt/word",
        LARGE * 2048
    ));

    debian.run("dd if=/dev/zero of=/mnt/large bs=1M count=1024 conv=fsync status=none");
    let full = allocated(&data);
    debian.run("rm /mnt/large; sync; fstrim /mnt; sync");
    let trimmed = allocated(&data);
    assert!(trimmed + 960 * MIB < full, "fstrim made {full} bytes {trimmed}");

    // What fio was told is on disk must be there after the kill; what it writes then need not.
    let fio = "fio --directory=/mnt --size=16M --bs=4k --rw=randwrite --ioengine=libaio \
               --iodepth=16 --direct=1 --verify=crc32c";
    debian.run(&format!("{fio} --name=kept --do_verify=0 --end_fsync=1 >/root/fio && sync"));
    debian.begin(&format!(
        "({fio} --name=lost --do_verify=0 --fsync=32 --time_based --runtime=600 >/root/fio &); \
         while sleep 0.2; do dd if=/dev/urandom of=/mnt/$((i++)) bs=64k count=4 conv=fsync \
         status=none; echo wrote $i; done"
    ));
    debian.process().expect("wrote 10\r?\n");
    debian.process().kill();
    assert_eq!(debian.wait().status.code(), None);
    check_image(&system);
    check_image(&data);

    let mut debian = Debian::login(with_data("virtio-blk-killed", &system, &data).start());
    // The journal is played back first.
    debian.run("mount /dev/vdb /mnt && umount /mnt && e2fsck -fn /dev/vdb 2>&1");
    debian.run(&format!("mount /dev/vdb /mnt && {fio} --name=kept --verify_only=1 2>&1"));
    assert_eq!(debian.run("cat /mnt/word"), "before");
    debian.run("umount /mnt && blkdiscard -f /dev/vdb");
    let discarded = allocated(&data);
    assert!(discarded < 8 * MIB, "blkdiscard leaves {discarded} bytes");
    debian.power_off().expect_success();
    check_image(&system);
    check_image(&data);
}
