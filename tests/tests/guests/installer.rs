//! Debian's text installer on the frame buffer, to its first dialogue.

use berth_tests::{Berth, Picture, image};

use super::LONG;

fn first_dialogue(name: &str, firmware: &str) {
    let berth = Berth::boot(name, LONG);
    let folder = berth.folder().to_owned();
    berth
        .arg("--iso")
        .arg(image("installer.iso"))
        .args(["--memory", "1G", "--firmware", firmware])
        // The dialogue is a grey box, its chosen line red, on blue.
        .args(["--until-color", "aaaaaa,20", "--until-color", "aa0000,0.5", "--until-still", "3"])
        .screenshot("dialogue.png")
        .args(["--type", "<down>", "--until-change", "--until-still", "3"])
        .screenshot("screen.png")
        .run()
        .expect_success();
    let [dialogue, moved] =
        ["dialogue.png", "screen.png"].map(|name| Picture::read(&folder.join(name)));
    assert_eq!((dialogue.width, dialogue.height), (800, 600));
    let difference = dialogue.difference(&moved);
    assert!((0.2..20.0).contains(&difference), "the selection moves by a line: {difference} %");
}

#[test]
fn first_dialogue_under_bios() {
    first_dialogue("installer-bios", "bios");
}

#[test]
fn first_dialogue_under_uefi() {
    first_dialogue("installer-uefi", "uefi");
}
