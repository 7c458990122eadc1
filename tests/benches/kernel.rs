//! A distribution's kernel started directly: as bzImage and as ELF, to the first line that its first
//! program writes to the serial port, and with an installed system's disk on virtio, to its login:
//! how long it takes, and how much of it the machine takes beside the guest's own instructions.

use std::time::Duration;

use berth_tests::{Bench, Berth, Better, Debian, Qemu, Row, Side, host_time, image, overlay};

const LIMIT: Duration = Duration::from_secs(600);

const WORDS: &str = "console=ttyS0 quiet berth.sleep";
/// What the installed system's boot loader says, too.
const SYSTEM_WORDS: &str =
    "root=LABEL=berth-guest console=tty0 console=ttyS0,115200 quiet mitigations=off";

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
    let name = "direct boot to login, virtio disk";
    if bench.wants(name) {
        let mut whole = Row::new(name, "s", 0.8, Better::Lower);
        let mut own = Row::new(format!("{name}, beside the guest"), "s", 0.8, Better::Lower);
        for side in bench.turns() {
            let (elapsed, host) = boot_system(side);
            whole.add(side, elapsed.as_secs_f64());
            own.add(side, host.as_secs_f64());
        }
        rows.extend([whole, own]);
    }
    bench.finish(&rows);
}

/// How long it takes, and the processor time of it that is not the guest's.
fn boot_system(side: Side) -> (Duration, Duration) {
    let scratch = tempfile::tempdir().expect("a folder for the disk");
    let disk = overlay("disk.qcow2", scratch.path());
    let name = format!("system-{}", side.name());
    let (kernel, initrd) = (image("debian-vmlinuz"), image("debian-initrd"));
    let mut running = match side {
        Side::Berth => Berth::boot_unlogged(&name, LIMIT)
            .arg("--kernel")
            .arg(kernel)
            .arg("--initrd")
            .arg(initrd)
            .args(["--append", SYSTEM_WORDS, "--disk"])
            .arg(format!("{},format=qcow2,bus=virtio", disk.display()))
            .start(),
        Side::Peer => Qemu::microvm_with_pci(&name, LIMIT)
            .arg("-kernel")
            .arg(kernel)
            .arg("-initrd")
            .arg(initrd)
            .args(["-append", SYSTEM_WORDS, "-m", "512"])
            .virtio_disk(&disk, "qcow2")
            .start(),
    };
    running.expect(Debian::PROMPT);
    (running.elapsed(), host_time(running.id()))
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
