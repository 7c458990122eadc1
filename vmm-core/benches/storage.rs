//! Random reads that wait for the host's storage, 4 KiB each, as many at a time as guests have:
//! carried out by the kernel (io_uring) and by the disk's threads.
//!
//! The image is in `target`, which should lie on a disk, and nothing of it in the page cache. What
//! limits the rates is that disk; what counts is their ratio.

mod report;

use std::error::Error;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use vm_memory::{GuestAddress, GuestMemoryMmap};
use vmm_core::block::create::{Preallocation, create_qcow2};
use vmm_core::block::{BlockDevice, Disk, DiskOptions, Format, Operation, Request, Segment};
use vmm_core::units::Bytes;

use report::Report;

/// Size of the image, in bytes.
const SIZE: u64 = 1 << 30;
/// Length of a read, in bytes.
const LEN: u64 = 4096;
/// Requests at a time.
const DEPTHS: [u64; 3] = [1, 8, 32];
/// How long each way is measured.
const TIME: Duration = Duration::from_secs(3);

fn main() -> Result<(), Box<dyn Error>> {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let mut report = Report::default();
    for format in [Format::Raw, Format::Qcow2] {
        let path = folder.join(format!("storage.{format}"));
        make(&path, format)?;
        for depth in DEPTHS {
            let threads = rate(&path, format, depth, false)?;
            let kernel = rate(&path, format, depth, true)?;
            report.ratio(&format!("random reads, {format}, depth {depth}"), "/s", kernel, threads);
        }
        std::fs::remove_file(&path)?;
    }
    report.write("storage");
    Ok(())
}

/// Makes an image without holes.
fn make(path: &Path, format: Format) -> Result<(), Box<dyn Error>> {
    // What an earlier run has left.
    let _ = std::fs::remove_file(path);
    if format == Format::Raw {
        let mut file = File::create(path)?;
        let piece: Vec<u8> = (0..1 << 20).map(|i: u32| (i / 7) as u8).collect();
        for _ in 0..SIZE >> 20 {
            file.write_all(&piece)?;
        }
        return Ok(file.sync_all()?);
    }
    create_qcow2(path, Bytes(SIZE), Preallocation::Full, None, &mut |_, _| true)?;
    let image = Image::open(path, format)?;
    for offset in (0..SIZE).step_by(1 << 20) {
        image.run(Operation::Write, offset, 1 << 20)?;
    }
    Ok(image.disk.flush()?)
}

/// Reads a second: by the kernel as soon as it is found that they wait, or by threads.
fn rate(path: &Path, format: Format, depth: u64, kernel: bool) -> Result<f64, Box<dyn Error>> {
    let file = File::open(path)?;
    rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed)?;
    let image = Image::open(path, format)?;
    let (sender, ended) = mpsc::channel();
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut start_one = |slot: u64| {
        // Xorshift64 (Marsaglia 2003).
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let sender = sender.clone();
        let segment = Segment { address: GuestAddress(slot * LEN), len: LEN as u32 };
        let request = Request {
            operation: Operation::Read,
            offset: random % (SIZE / LEN) * LEN,
            segments: vec![segment],
            done: Box::new(move |result| sender.send((slot, result)).unwrap_or(())),
        };
        if kernel { image.disk.run_or_submit(request) } else { image.disk.submit(request) }
    };
    let (start, mut count) = (Instant::now(), 0);
    (0..depth).for_each(&mut start_one);
    while start.elapsed() < TIME {
        let (slot, result) = ended.recv()?;
        result?;
        count += 1;
        start_one(slot);
    }
    Ok(f64::from(count) / start.elapsed().as_secs_f64())
}

/// An image with memory for its requests.
struct Image {
    disk: Arc<Disk>,
}

impl Image {
    fn open(path: &Path, format: Format) -> Result<Self, Box<dyn Error>> {
        let options = DiskOptions { format: Some(format), ..DiskOptions::default() };
        let ram = Arc::new(GuestMemoryMmap::from_ranges(&[(GuestAddress(0), 1 << 20)])?);
        let on_fault = Arc::new(|fault| eprintln!("{fault}"));
        Ok(Self { disk: Disk::open(path, &options, ram, on_fault)? })
    }

    fn run(&self, operation: Operation, offset: u64, len: u32) -> Result<(), Box<dyn Error>> {
        let (sender, ended) = mpsc::channel();
        let done = Box::new(move |result| sender.send(result).unwrap_or(()));
        let segments = vec![Segment { address: GuestAddress(0), len }];
        self.disk.submit(Request { operation, offset, segments, done });
        Ok(ended.recv()??)
    }
}
