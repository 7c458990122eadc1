//! The variables of the UEFI firmware, which outlive the process.

use berth_tests::{Debian, overlay};

#[test]
fn a_boot_entry_survives_a_restart_of_the_process() {
    let scratch = tempfile::tempdir().expect("a folder for the disk");
    let disk = overlay("disk.qcow2", scratch.path());
    let variables = scratch.path().join("VARS.fd");
    let boot = |name| {
        let berth = Debian::boot(name, &disk).args(["--firmware", "uefi"]);
        Debian::login(berth.arg("--uefi-vars").arg(&variables).screenshot("screen.png").start())
    };
    let mut debian = boot("uefi-variables");
    debian.run(concat!(
        "efibootmgr --quiet --create --disk /dev/sda --part 1 ",
        r"--label 'Berth was here' --loader '\EFI\BOOT\BOOTX64.EFI'"
    ));
    debian.power_off().expect_success();

    let mut debian = boot("uefi-variables-again");
    let entries = debian.run("efibootmgr");
    assert!(entries.contains("Berth was here"), "{entries}");
    debian.power_off().expect_success();
}
