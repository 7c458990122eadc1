//! An installed Debian on its disk: boots, keeps its files, restarts, powers off.

use std::time::{Duration, SystemTime};

use berth_tests::{Debian, Picture, check_image, overlay};

/// Boots from `disk`, finds what earlier boots wrote, restarts from inside, powers off from inside;
/// then again, ended by the power button.
fn keeps_its_files(name: &str, options: &[&str]) {
    let scratch = tempfile::tempdir().expect("a folder for the disk");
    let disk = overlay("disk.qcow2", scratch.path());

    let mut debian = Debian::login(Debian::boot(name, &disk).args(options).start());
    debian.run("echo written before the restart >/root/file; sync");
    debian.begin("reboot");
    debian.login_again();
    assert_eq!(debian.run("cat /root/file"), "written before the restart");
    debian.power_off().expect_success();
    check_image(&disk);

    let again = format!("{name}-again");
    let berth = Debian::boot(&again, &disk).args(options).args([
        "--until-serial",
        "ready for the power button",
        "--acpi-shutdown",
    ]);
    let picture = berth.folder().join("screen.png");
    let mut debian = Debian::login(berth.screenshot("screen.png").arg("--until-off").start());
    assert_eq!(debian.run("cat /root/file"), "written before the restart");
    // A login may come before udev and logind have got to the button.
    let watched = "until journalctl -q -b -u systemd-logind | grep 'Watching system.*Power Button'; do sleep 1; done";
    debian.run(watched);
    debian.begin("echo ready for the power $(echo button)");
    debian.wait().expect_success();
    check_image(&disk);
    assert!(Picture::read(&picture).lit() > 0.1, "there is a login on the screen, too");
}

#[test]
fn keeps_its_files_under_bios() {
    keeps_its_files("debian-bios", &["--cpus", "1"]);
}

#[test]
fn keeps_its_files_under_uefi_with_two_cpus() {
    keeps_its_files("debian-uefi-2", &["--firmware", "uefi", "--cpus", "2"]);
}

/// Seconds since 1970, here or there.
fn now() -> f64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.expect("a clock after 1970").as_secs_f64()
}

/// How far a guest's clock may be off, with the time that a command takes in the lab.
const TOLERANCE: f64 = 2.0;

/// How far the guest's clock is ahead of this one, by the command of several that took the least
/// time.
fn offset(debian: &mut Debian) -> f64 {
    let mut ask = || {
        let before = now();
        let guest: f64 = debian.run("date +%s.%N").parse().expect("seconds");
        let after = now();
        (after - before, guest - f64::midpoint(before, after))
    };
    let best = (0..5).map(|_| ask()).min_by(|one, other| one.0.total_cmp(&other.0));
    best.expect("five answers").1
}

#[test]
fn two_cpus_and_a_clock_that_survives_a_pause() {
    let scratch = tempfile::tempdir().expect("a folder for the disk");
    let disk = overlay("disk.qcow2", scratch.path());
    let mut debian = Debian::login(
        Debian::boot("debian-clock", &disk)
            .args(["--cpus", "2", "--until-serial", "time to pause", "--pause", "10"])
            .args(["--until-serial", "the end"])
            .screenshot("screen.png")
            .arg("--until-off")
            .start(),
    );
    assert_eq!(debian.run("nproc"), "2");
    let before = offset(&mut debian);
    assert!(before.abs() < TOLERANCE, "the guest's clock is off by {before} s from the beginning");
    let start = std::time::Instant::now();
    debian.run("echo time to $(echo pause)");
    // Longer than berth may take to see its word.
    debian.run("sleep 5");
    assert!(start.elapsed() >= Duration::from_secs(10), "the guest ran on during the pause");
    let after = offset(&mut debian);
    assert!((after - before).abs() < TOLERANCE, "the pause moved the clock: {before} → {after} s");
    assert_eq!(
        debian.run("cat /sys/devices/system/clocksource/*/current_clocksource"),
        "kvm-clock"
    );
    debian.run("echo the $(echo end)");
    debian.power_off().expect_success();
}
