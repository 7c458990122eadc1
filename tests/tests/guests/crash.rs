//! A crash of the host while a guest writes.

use berth_tests::{Debian, check_image, overlay};

#[test]
fn what_was_flushed_survives_a_kill() {
    let scratch = tempfile::tempdir().expect("a folder for the disk");
    let disk = overlay("disk.qcow2", scratch.path());
    let mut debian = Debian::login(Debian::boot("crash", &disk).screenshot("screen.png").start());
    // New blocks all the time, so that the image's own tables change, too; each line is on disk
    // before it is told.
    debian.begin(concat!(
        "for i in $(seq 1000); do head -c 300000 /dev/urandom >/root/data-$i; ",
        "echo line $i >>/root/log; sync; echo flushed $i; done"
    ));
    debian.process().expect("flushed 15\r?\n");
    debian.process().kill();
    assert_eq!(debian.wait().status.code(), None);
    check_image(&disk);

    let mut debian =
        Debian::login(Debian::boot("crash-again", &disk).screenshot("screen.png").start());
    let count: u32 = debian.run("wc -l </root/log").parse().expect("a number of lines");
    assert!(count >= 15, "{count} lines are left of 15");
    let lost = debian
        .run("for i in $(seq 15); do test $(stat -c %s /root/data-$i) = 300000 || echo lost; done");
    assert_eq!(lost, "");
    debian.power_off().expect_success();
    check_image(&disk);
}
