//! Sequential reading and writing of AHCI disks, in blocks of 1 MiB past the guest's cache.
//!
//! Both machines run side by side, one of them idle, and take turns: what is measured is seconds
//! apart, not minutes. The images are where temporary files are, in the lab in memory.

use berth_tests::{Bench, Better, Bus, Debian, DiskSizes, Row, Side, StartingDisks};

/// What one measurement moves, in MiB.
const SPAN: usize = 64;

/// The qcow2 image has new clusters for more runs than anybody makes.
const SIZES: DiskSizes = DiskSizes { raw: SPAN, qcow2: 100 * SPAN };

/// MB a second, as dd finds, with the last flush.
fn write(debian: &mut Debian, device: &str, at: usize) -> f64 {
    let words = format!("if=/dev/zero of=/dev/{device} oflag=direct conv=notrunc,fsync seek={at}");
    copy(debian, &words)
}

fn read(debian: &mut Debian, device: &str, at: usize) -> f64 {
    copy(debian, &format!("if=/dev/{device} of=/dev/null iflag=direct skip={at}"))
}

fn copy(debian: &mut Debian, words: &str) -> f64 {
    let output = debian.run(&format!("LC_ALL=C dd {words} bs=1M count={SPAN} 2>&1"));
    // "67108864 bytes (67 MB, 64 MiB) copied, 0.123456 s, 544 MB/s"
    let seconds = output.split_once("copied, ").and_then(|(_, rest)| rest.split_once(" s,"));
    let seconds: f64 = seconds
        .and_then(|(seconds, _)| seconds.parse().ok())
        .unwrap_or_else(|| panic!("what dd says: {output}"));
    (SPAN << 20) as f64 / 1e6 / seconds
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
    let mut overwrite = row("AHCI sequential write, qcow2");
    let mut reread = row("AHCI sequential read, qcow2");

    let start = |side| StartingDisks::new("disk", side, Bus::Sata, SIZES);
    let (berth, peer) = (start(Side::Berth), start(Side::Peer));
    let (mut berth, mut peer) = (berth.finish(), peer.finish());
    for guest in [&mut berth, &mut peer] {
        // Memory for the image, and programs read from the system's disk.
        write(&mut guest.debian, &guest.raw, 0);
        read(&mut guest.debian, &guest.raw, 0);
    }
    for (turn, side) in bench.turns().enumerate() {
        let guest = match side {
            Side::Berth => &mut berth,
            Side::Peer => &mut peer,
        };
        // Both meet the same part of their images in the same round.
        let at = turn / 2 * SPAN;
        let debian = &mut guest.debian;
        raw_write.add(side, write(debian, &guest.raw, 0));
        raw_read.add(side, read(debian, &guest.raw, 0));
        allocate.add(side, write(debian, &guest.qcow2, at));
        overwrite.add(side, write(debian, &guest.qcow2, at));
        reread.add(side, read(debian, &guest.qcow2, at));
    }
    bench.finish(&[raw_write, raw_read, allocate, overwrite, reread]);
}
