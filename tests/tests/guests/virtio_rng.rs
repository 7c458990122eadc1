//! The entropy source that every machine has.

use berth_tests::{Debian, overlay};

#[test]
fn the_guest_draws_from_the_hosts_entropy() {
    let scratch = tempfile::tempdir().expect("a folder for the disk");
    let disk = overlay("disk.qcow2", scratch.path());
    let mut debian = Debian::login(Debian::boot("virtio-rng", &disk).start());
    let source = debian.run("cat /sys/class/misc/hw_random/rng_current");
    assert!(source.starts_with("virtio_rng"), "{source}");
    let draw = "dd if=/dev/hwrng bs=1k count=16 status=none | sha256sum";
    assert_ne!(debian.run(draw), debian.run(draw));
    // The driver goes and comes: the device is reset and set up anew.
    debian.run(concat!(
        "cd /sys/bus/virtio/drivers/virtio_rng && device=$(echo virtio*) && ",
        "echo $device >unbind && echo $device >bind && cd /"
    ));
    assert_ne!(debian.run(draw), debian.run(draw));
    debian.power_off().expect_success();
}
