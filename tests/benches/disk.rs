//! Sequential reading and writing of AHCI disks, in blocks of 1 MiB past the guest's cache.
//!
//! Both machines run side by side, one of them idle, and take turns: what is measured is seconds
//! apart, not minutes. The images are where temporary files are, in the lab in memory.

use std::time::Duration;

use berth_tests::{Bench, Berth, Better, Debian, Qemu, Row, Running, Side, create_image, overlay};

const LIMIT: Duration = Duration::from_secs(3000);

/// What one measurement moves, in MiB.
const SPAN: usize = 64;

/// Sizes of the images, in MiB: the qcow2 one has new clusters for more runs than anybody makes.
const RAW: usize = SPAN;
const QCOW2: usize = 100 * SPAN;

/// A machine that starts.
struct Starting {
    running: Running,
    scratch: tempfile::TempDir,
}

impl Starting {
    fn new(side: Side) -> Self {
        let scratch = tempfile::tempdir().expect("a folder for the disks");
        let system = overlay("disk.qcow2", scratch.path());
        let (raw, qcow2) = (scratch.path().join("raw"), scratch.path().join("qcow2"));
        create_image(&raw, "raw", &format!("{RAW}M"));
        create_image(&qcow2, "qcow2", &format!("{QCOW2}M"));
        let disks = [(&system, "qcow2"), (&raw, "raw"), (&qcow2, "qcow2")];
        let running = match side {
            Side::Berth => {
                let mut berth = Berth::boot_unlogged("disk-berth", LIMIT);
                for (disk, format) in disks {
                    berth = berth.arg("--disk").arg(format!("{},format={format}", disk.display()));
                }
                berth.start()
            }
            Side::Peer => {
                let mut qemu = Qemu::q35("disk-peer", LIMIT).args(["-m", "512"]);
                for (disk, format) in disks {
                    qemu = qemu.disk(disk, format);
                }
                qemu.start()
            }
        };
        Self { running, scratch }
    }

    fn finish(mut self) -> Guest {
        self.running.expect(Debian::PROMPT);
        let mut debian = Debian::at_prompt(self.running);
        // The guest names disks in the order in which they answer it.
        let mut device = |mebibytes: usize| {
            let sectors = mebibytes * 2048;
            debian.run(&format!("cd /sys/block; grep -lx {sectors} sd*/size | cut -d/ -f1"))
        };
        let (raw, qcow2) = (device(RAW), device(QCOW2));
        Guest { debian, raw, qcow2, _scratch: self.scratch }
    }
}

/// A guest with two disks to measure, and their names.
struct Guest {
    debian: Debian,
    raw: String,
    qcow2: String,
    // Removed after the machine has ended.
    _scratch: tempfile::TempDir,
}

impl Guest {
    /// MB a second, as dd finds, with the last flush.
    fn write(&mut self, device: &str, at: usize) -> f64 {
        self.copy(&format!(
            "if=/dev/zero of=/dev/{device} oflag=direct conv=notrunc,fsync seek={at}"
        ))
    }

    fn read(&mut self, device: &str, at: usize) -> f64 {
        self.copy(&format!("if=/dev/{device} of=/dev/null iflag=direct skip={at}"))
    }

    fn copy(&mut self, words: &str) -> f64 {
        let output = self.debian.run(&format!("LC_ALL=C dd {words} bs=1M count={SPAN} 2>&1"));
        // "67108864 bytes (67 MB, 64 MiB) copied, 0.123456 s, 544 MB/s"
        let seconds = output.split_once("copied, ").and_then(|(_, rest)| rest.split_once(" s,"));
        let seconds: f64 = seconds
            .and_then(|(seconds, _)| seconds.parse().ok())
            .unwrap_or_else(|| panic!("what dd says: {output}"));
        (SPAN << 20) as f64 / 1e6 / seconds
    }
}

fn main() {
    let bench = Bench::from_environment("disk");
    if !bench.wants("AHCI") {
        return;
    }
    let row = |name| Row::new(name, "MB/s", 1.0, Better::Higher);
    let mut raw_write = row("AHCI sequential write, raw");
    let mut raw_read = row("AHCI sequential read, raw");
    let mut allocate = row("AHCI sequential write, qcow2, new clusters");
    let mut write = row("AHCI sequential write, qcow2");
    let mut read = row("AHCI sequential read, qcow2");

    let (berth, peer) = (Starting::new(Side::Berth), Starting::new(Side::Peer));
    let (mut berth, mut peer) = (berth.finish(), peer.finish());
    for guest in [&mut berth, &mut peer] {
        // Memory for the image, and programs read from the system's disk.
        let raw = guest.raw.clone();
        guest.write(&raw, 0);
        guest.read(&raw, 0);
    }
    for (turn, side) in bench.turns().enumerate() {
        let guest = match side {
            Side::Berth => &mut berth,
            Side::Peer => &mut peer,
        };
        // Both meet the same part of their images in the same round.
        let at = turn / 2 * SPAN;
        let (raw, qcow2) = (guest.raw.clone(), guest.qcow2.clone());
        raw_write.add(side, guest.write(&raw, 0));
        raw_read.add(side, guest.read(&raw, 0));
        allocate.add(side, guest.write(&qcow2, at));
        write.add(side, guest.write(&qcow2, at));
        read.add(side, guest.read(&qcow2, at));
    }
    bench.finish(&[raw_write, raw_read, allocate, write, read]);
}
