//! Virtio disks under fio, past the guest's cache: how fast, and what each request takes of the
//! host's processors beyond the guest's own time.
//!
//! Both machines run side by side, one of them idle, and take turns. The images are where temporary
//! files are, in the lab in memory.

use berth_tests::{Bench, Better, Bus, DiskGuest, DiskSizes, Row, Side, StartingDisks, host_time};

const SIZES: DiskSizes = DiskSizes { raw: 256, qcow2: 257 };

/// Seconds that a job runs.
const TIME: u32 = 4;

/// A job: name, fio's words, and whether what counts is bytes or requests.
const JOBS: [(&str, &str, Unit); 7] = [
    ("sequential read", "--rw=read --bs=1M --iodepth=4", Unit::Bytes),
    ("sequential write", "--rw=write --bs=1M --iodepth=4", Unit::Bytes),
    ("4k random read, depth 1", "--rw=randread --bs=4k --iodepth=1", Unit::Requests),
    ("4k random read, depth 32", "--rw=randread --bs=4k --iodepth=32", Unit::Requests),
    ("4k random write, depth 1", "--rw=randwrite --bs=4k --iodepth=1", Unit::Requests),
    ("4k random write, depth 32", "--rw=randwrite --bs=4k --iodepth=32", Unit::Requests),
    ("4k write and fsync", "--rw=randwrite --bs=4k --iodepth=1 --fsync=1", Unit::Requests),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Unit {
    Bytes,
    Requests,
}

/// What a job came to.
struct Figures {
    /// MB or requests a second.
    rate: f64,
    /// Microseconds of the host's processors for each request.
    cpu: f64,
}

/// The rows of a job on a disk.
struct Rows {
    name: String,
    words: &'static str,
    unit: Unit,
    format: &'static str,
    rate: Row,
    cpu: Row,
}

impl Rows {
    fn new(format: &'static str, (name, words, unit): (&str, &'static str, Unit)) -> Self {
        let name = format!("virtio-blk {format}, {name}");
        let rate = match unit {
            Unit::Bytes => Row::new(&*name, "MB/s", 1.0, Better::Higher),
            Unit::Requests => Row::new(&*name, "requests/s", 1.0, Better::Higher),
        };
        let cpu = Row::new(format!("{name}, CPU each"), "µs", 1.0, Better::Lower);
        Self { name, words, unit, format, rate, cpu }
    }

    fn measure(&mut self, side: Side, guest: &mut DiskGuest) {
        let device = if self.format == "raw" { &guest.raw } else { &guest.qcow2 };
        let id = guest.debian.process().id();
        let before = host_time(id);
        let output = guest.debian.run(&format!(
            "fio --minimal --name=job --filename=/dev/{device} --direct=1 --ioengine=libaio \
             --time_based --runtime={TIME} {} | cut -d';' -f6-9,47-50",
            self.words
        ));
        let used = host_time(id) - before;
        let figures = Figures::read(&output, self.unit, used.as_secs_f64());
        self.rate.add(side, figures.rate);
        self.cpu.add(side, figures.cpu);
    }
}

impl Figures {
    /// Reads the fields "total KiB; KiB/s; requests/s; milliseconds" of reading and of writing.
    fn read(text: &str, unit: Unit, cpu: f64) -> Self {
        let numbers: Vec<f64> =
            text.trim().split(';').filter_map(|field| field.parse().ok()).collect();
        let [_, read_rate, reads, read_time, _, write_rate, writes, write_time] = numbers[..]
        else {
            panic!("what fio says: {text}")
        };
        let requests = (reads * read_time + writes * write_time) / 1000.0;
        let rate = match unit {
            Unit::Bytes => (read_rate + write_rate) * 1024.0 / 1e6,
            Unit::Requests => reads + writes,
        };
        Self { rate, cpu: cpu / requests * 1e6 }
    }
}

fn main() {
    let bench = Bench::from_environment("virtio-blk");
    let mut rows: Vec<Rows> = ["raw", "qcow2"]
        .into_iter()
        .flat_map(|format| JOBS.map(|job| Rows::new(format, job)))
        .filter(|rows| bench.wants(&rows.name))
        .collect();
    if rows.is_empty() {
        return;
    }
    let start = |side| StartingDisks::new("virtio-blk", side, Bus::Virtio, SIZES);
    let (berth, peer) = (start(Side::Berth), start(Side::Peer));
    let (mut berth, mut peer) = (berth.finish(), peer.finish());
    for guest in [&mut berth, &mut peer] {
        // Memory for the images, with all their clusters, and fio read from the system's disk.
        for device in [&guest.raw, &guest.qcow2] {
            guest.debian.run(&format!(
                "fio --minimal --name=fill --filename=/dev/{device} --direct=1 --rw=write --bs=1M \
                 >/dev/null"
            ));
        }
    }
    for side in bench.turns() {
        let guest = match side {
            Side::Berth => &mut berth,
            Side::Peer => &mut peer,
        };
        for row in &mut rows {
            row.measure(side, guest);
        }
    }
    let rows: Vec<_> = rows.into_iter().flat_map(|rows| [rows.rate, rows.cpu]).collect();
    bench.finish(&rows);
}
