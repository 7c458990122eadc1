//! From the start of the process to GRUB's menu from an ISO image.

use std::time::Duration;

use berth_tests::{Bench, Berth, Better, Qemu, Row, Side, image};

const LIMIT: Duration = Duration::from_secs(400);

/// What stands in the menu.
const MENU: &str = "BERTH GRUB ready";

/// How often the peer's screen is looked at: as often as Berth's script looks at its own.
const LOOK: Duration = Duration::from_millis(100);

fn main() {
    let bench = Bench::from_environment("firmware");
    let mut rows = Vec::new();
    for (name, measure) in [
        ("start to GRUB menu, BIOS", bios as fn(Side) -> Duration),
        ("start to GRUB menu, UEFI", uefi),
    ] {
        if bench.wants(name) {
            let mut row = Row::new(name, "s", 1.0, Better::Lower);
            for side in bench.turns() {
                row.add(side, measure(side).as_secs_f64());
            }
            rows.push(row);
        }
    }
    bench.finish(&rows);
}

/// Read off the screen. Berth's time goes on to the end of the process, which the script ends at
/// once.
fn bios(side: Side) -> Duration {
    match side {
        Side::Berth => {
            let berth = Berth::boot_unlogged("firmware-bios-berth", LIMIT)
                .arg("--iso")
                .arg(image("grub.iso"))
                .args(["--until-screen", MENU]);
            berth.run().expect_success().elapsed
        }
        Side::Peer => {
            let (running, mut monitor) = Qemu::q35("firmware-bios-peer", LIMIT)
                .args(["-m", "512"])
                .iso(&image("grub.iso"))
                .start_with_monitor();
            monitor.until_screen(MENU, LOOK, LIMIT);
            running.elapsed()
        }
    }
}

/// Read off the serial port, where OVMF shows its text console, too.
fn uefi(side: Side) -> Duration {
    let mut running = match side {
        Side::Berth => Berth::boot_unlogged("firmware-uefi-berth", LIMIT)
            .arg("--iso")
            .arg(image("grub.iso"))
            .args(["--firmware", "uefi"])
            .start(),
        Side::Peer => Qemu::q35("firmware-uefi-peer", LIMIT)
            .args(["-m", "512"])
            .uefi()
            .iso(&image("grub.iso"))
            .start(),
    };
    running.expect(MENU);
    running.elapsed()
}
