//! memtest86+, which drives everything itself: its screen, and its counters moving.

use berth_tests::{Berth, image};

use super::SHORT;

#[test]
fn counters_move() {
    Berth::boot("memtest", SHORT)
        .arg("--iso")
        .arg(image("memtest.iso"))
        .args(["--memory", "64M"])
        .args(["--until-screen", r"Memtest86\+", "--until-screen", r"Pass +\d+%"])
        .screenshot("begin.png")
        .args(["--until-screen", r"Pass +([2-9]|[1-9]\d+)%"])
        .screenshot("screen.png")
        .run()
        .expect_success();
}

#[test]
fn counters_move_with_two_cpus() {
    Berth::boot("memtest-2", SHORT)
        .arg("--iso")
        .arg(image("memtest.iso"))
        .args(["--memory", "64M", "--cpus", "2"])
        .args(["--until-screen", r"Pass +([2-9]|[1-9]\d+)%"])
        .screenshot("screen.png")
        .run()
        .expect_success();
}
