//! Firmware and boot loader: GRUB's menu from an ISO image, chosen from by keyboard.

use berth_tests::{Berth, Picture, image};

use super::SHORT;

/// Chooses the second entry, whose text then stands on the screen, where a PC's BIOS puts it.
fn bios(name: &str, cpus: &str) {
    Berth::boot(name, SHORT)
        .arg("--iso")
        .arg(image("grub.iso"))
        .args(["--cpus", cpus, "--until-screen", "BERTH GRUB ready"])
        .screenshot("menu.png")
        .args(["--type", "<down>\\n", "--until-screen", "BERTH second entry chosen"])
        .screenshot("screen.png")
        .run()
        .expect_success();
}

/// Under UEFI GRUB draws its text, so its menu is told by the bar behind the chosen entry, in
/// EFI's light grey. It moves by a key; the second entry clears the screen.
fn uefi(name: &str, cpus: &str) {
    const BAR: &str = "989898,1";
    let berth = Berth::boot(name, SHORT);
    let folder = berth.folder().to_owned();
    berth
        .arg("--iso")
        .arg(image("grub.iso"))
        .args(["--firmware", "uefi", "--cpus", cpus])
        .args(["--until-color", BAR, "--until-still", "2"])
        .screenshot("menu.png")
        .args(["--type", "<down>", "--until-change", "--until-still", "2"])
        .screenshot("moved.png")
        .args(["--type", "\\n", "--until-change", "--until-still", "2"])
        .screenshot("screen.png")
        .run()
        .expect_success();
    let [menu, moved, chosen] =
        ["menu.png", "moved.png", "screen.png"].map(|name| Picture::read(&folder.join(name)));
    let difference = menu.difference(&moved);
    assert!((0.5..20.0).contains(&difference), "the bar moves by a row: {difference} %");
    assert!(chosen.lit() < menu.lit() / 2.0, "the second entry clears the screen");
    assert!(chosen.lit() > 0.0, "the second entry says something");
}

#[test]
fn bios_menu_one_cpu() {
    bios("grub-bios-1", "1");
}

#[test]
fn bios_menu_two_cpus() {
    bios("grub-bios-2", "2");
}

#[test]
fn uefi_menu_one_cpu() {
    uefi("grub-uefi-1", "1");
}

#[test]
fn uefi_menu_two_cpus() {
    uefi("grub-uefi-2", "2");
}

#[test]
fn bios_menu_in_pixels() {
    let berth = Berth::boot("grub-bios-pixels", SHORT);
    let folder = berth.folder().to_owned();
    berth
        .arg("--iso")
        .arg(image("grub.iso"))
        .args(["--until-screen", "BERTH GRUB ready", "--type", "<down><down><down>\\n"])
        .args(["--until-graphics", "--until-still", "2"])
        .screenshot("screen.png")
        .run()
        .expect_success();
    let picture = Picture::read(&folder.join("screen.png"));
    assert_eq!((picture.width, picture.height), (800, 600));
    assert!(picture.lit() > 1.0);
}

#[test]
fn restart_by_the_boot_loader() {
    Berth::boot("grub-restart", SHORT)
        .arg("--iso")
        .arg(image("grub.iso"))
        .args(["--until-screen", "BERTH GRUB ready", "--type", "<down><down>\\n"])
        .args(["--until-screen", "SeaBIOS", "--until-screen", "BERTH GRUB ready"])
        .args(["--reset", "--until-screen", "SeaBIOS", "--until-screen", "BERTH GRUB ready"])
        .screenshot("screen.png")
        .run()
        .expect_success();
}
