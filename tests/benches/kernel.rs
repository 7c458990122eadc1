//! A distribution's kernel started directly, as bzImage and as ELF, to the first line that its
//! first program writes to the serial port.

use std::time::Duration;

use berth_tests::{Bench, Berth, Better, Qemu, Row, Side, image};

const LIMIT: Duration = Duration::from_secs(120);

const WORDS: &str = "console=ttyS0 quiet berth.sleep";

fn main() {
    let bench = Bench::from_environment("kernel");
    let mut rows = Vec::new();
    for (name, kernel) in [
        ("direct boot to user space, bzImage", "vmlinuz"),
        ("direct boot to user space, ELF (PVH)", "vmlinux"),
    ] {
        if bench.wants(name) {
            let mut row = Row::new(name, "s", 0.8, Better::Lower);
            for side in bench.turns() {
                row.add(side, boot(side, kernel).as_secs_f64());
            }
            rows.push(row);
        }
    }
    bench.finish(&rows);
}

fn boot(side: Side, kernel: &str) -> Duration {
    let name = format!("{kernel}-{}", side.name());
    let (kernel, initrd) = (image(kernel), image("initrd"));
    let mut running = match side {
        Side::Berth => Berth::boot_unlogged(&name, LIMIT)
            .arg("--kernel")
            .arg(kernel)
            .arg("--initrd")
            .arg(initrd)
            .args(["--append", WORDS])
            .start(),
        Side::Peer => Qemu::microvm(&name, LIMIT)
            .arg("-kernel")
            .arg(kernel)
            .arg("-initrd")
            .arg(initrd)
            .args(["-append", WORDS, "-m", "512"])
            .start(),
    };
    running.expect("BERTH-USERLAND up ");
    running.elapsed()
}
