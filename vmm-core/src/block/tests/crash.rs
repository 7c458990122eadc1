//! What is left of an image when the process is killed or the power fails.
//!
//! At whatever moment that happens, the image must pass `qemu-img check` (leaked clusters aside),
//! and what the guest had flushed and not touched since must be there.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::testing::Event;
use super::*;
use crate::block::create::{self, Preallocation};
use crate::block::image::Image;
use crate::block::lock;
use crate::units::Bytes;

/// The guest's blocks, and thus the host's pages, which a write changes whole.
const BLOCK: u64 = 4096;

/// What each block may hold.
#[derive(Debug, Clone)]
struct Model {
    /// Stamp of blocks that are not in `blocks`.
    start: u64,
    blocks: HashMap<u64, Block>,
}

/// A block is filled with a stamp, 0 at first.
#[derive(Debug, Clone)]
struct Block {
    /// What may be there by the last flush: one stamp, and zeroes if it was discarded since.
    flushed: Vec<u64>,
    /// What was done after that: `None` for a discard.
    later: Vec<Option<u64>>,
}

impl Block {
    fn new(stamp: u64) -> Self {
        Self { flushed: vec![stamp], later: Vec::new() }
    }

    fn allows(&self, found: u64) -> bool {
        self.flushed.contains(&found)
            || self.later.contains(&Some(found))
            // Discarded, or mapped already while the data has not arrived.
            || (!self.later.is_empty() && found == 0)
    }
}

impl Model {
    fn new(start: u64) -> Self {
        Self { start, blocks: HashMap::new() }
    }

    fn block(&mut self, number: u64) -> &mut Block {
        self.blocks.entry(number).or_insert_with(|| Block::new(self.start))
    }

    fn write(&mut self, block: u64, stamp: u64) {
        self.block(block).later.push(Some(stamp));
    }

    fn discard(&mut self, block: u64) {
        self.block(block).later.push(None);
    }

    fn flush(&mut self) {
        for block in self.blocks.values_mut() {
            for step in std::mem::take(&mut block.later) {
                match step {
                    Some(stamp) => block.flushed = vec![stamp],
                    None => block.flushed.push(0),
                }
            }
        }
    }

    /// Checks what an image holds after all.
    fn check(&self, image: &Image, size: u64) {
        for number in 0..size / BLOCK {
            let block = self.blocks.get(&number).cloned();
            let block = block.unwrap_or_else(|| Block::new(self.start));
            let mut data = vec![0; BLOCK as usize];
            image.read((&mut data).into(), number * BLOCK).unwrap();
            // With smaller clusters than blocks, part of a block may be older.
            for word in data.as_chunks::<8>().0 {
                let found = u64::from_le_bytes(*word);
                assert!(block.allows(found), "block {number}: {found}, not {block:?}");
            }
        }
    }
}

fn stamped(stamp: u64, blocks: u64) -> Vec<u8> {
    stamp.to_le_bytes().repeat((blocks * BLOCK / 8) as usize)
}

/// An image with everything that was ever done to it.
struct Recording {
    start: Vec<u8>,
    events: Vec<Event>,
    /// The model after each step, and how many events there were then.
    models: Vec<(usize, Model)>,
    size: u64,
}

/// Writes, flushes and discards at random, so that all kinds of tables come into being and grow.
/// The image is full of compressed data at first if `compressed`, else empty.
fn record(shape: &str, compressed: bool, size: u64, steps: usize, span: u64) -> Option<Recording> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("d");
    let raw = dir.path().join("raw");
    let start = if compressed { 1 << 40 } else { 0 };
    let (name, raw_name) = (path.to_str().unwrap(), raw.to_str().unwrap());
    let made = if compressed {
        std::fs::write(&raw, stamped(start, size / BLOCK)).unwrap();
        let from = ["convert", "-c", "-f", "raw", "-O", "qcow2", "-o", shape, raw_name, name];
        testing::qemu_img(&from)?.0
    } else {
        testing::qemu_create(&path, &["-f", "qcow2", "-o", shape], &size.to_string())
    };
    if !made {
        return None;
    }
    let mut model = Model::new(start);
    let start = std::fs::read(&path).unwrap();
    let image = Image::open(&path, &options(Format::Qcow2)).unwrap();
    *image.file().probe.record.lock() = Some(Vec::new());
    let count = || image.file().probe.record.lock().as_ref().unwrap().len();
    let mut random = Random(0x5eed + size);
    let mut models = vec![(0, model.clone())];
    for stamp in 1..=steps as u64 {
        let len = (random.below(span) + 1).min(size / BLOCK);
        let first = random.below(size / BLOCK - len + 1);
        match random.below(10) {
            0 | 1 => {
                image.flush().unwrap();
                model.flush();
            }
            2 => {
                for block in first..first + len {
                    model.discard(block);
                }
                models.push((count(), model.clone()));
                image.discard(first * BLOCK, len * BLOCK).unwrap();
            }
            _ => {
                for block in first..first + len {
                    model.write(block, stamp);
                }
                // From here on, the new data may be found.
                models.push((count(), model.clone()));
                image.write((&stamped(stamp, len)).into(), first * BLOCK).unwrap();
            }
        }
        models.push((count(), model.clone()));
    }
    let events = image.file().probe.record.lock().take().unwrap();
    Some(Recording { start, events, models, size })
}

impl Recording {
    /// Leaves behind what the events that `keep` keeps make of the image, of the first `end`.
    fn replay(&self, end: usize, keep: impl Fn(usize) -> bool) {
        let mut bytes = self.start.clone();
        for event in self.events[..end].iter().enumerate().filter(|(i, _)| keep(*i)) {
            match event.1 {
                Event::Write { offset, data } => {
                    let offset = *offset as usize;
                    bytes.resize(bytes.len().max(offset + data.len()), 0);
                    bytes[offset..offset + data.len()].copy_from_slice(data);
                }
                Event::Punch { offset, len } => {
                    let end = bytes.len().min((offset + len) as usize);
                    let start = end.min(*offset as usize);
                    bytes[start..end].fill(0);
                }
                Event::Sync => {}
            }
        }
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("left");
        std::fs::write(&path, &bytes).unwrap();
        testing::assert_checked(&path, true);
        // The last model at or before the end; what a step began may be there, too.
        let at = self.models.partition_point(|(count, _)| *count <= end) - 1;
        // A flush counts once it has returned, a write from when it began.
        let model = &self.models[at].1;
        let image = Image::open(&path, &read_only(Format::Qcow2)).unwrap();
        model.check(&image, self.size);
    }

    fn killed(&self, cases: u64) {
        let mut random = Random(77);
        for _ in 0..cases {
            let end = random.below(self.events.len() as u64 + 1) as usize;
            self.replay(end, |_| true);
        }
    }

    /// Of what was done since the last sync, any part may be missing.
    fn power_failed(&self, cases: u64) {
        let mut random = Random(99);
        for _ in 0..cases {
            let end = random.below(self.events.len() as u64 + 1) as usize;
            let synced =
                self.events[..end].iter().rposition(|e| matches!(e, Event::Sync)).unwrap_or(0);
            let lost: Vec<bool> = (0..end).map(|_| random.below(2) == 0).collect();
            self.replay(end, |i| i <= synced || !lost[i]);
        }
    }
}

#[test]
fn nothing_flushed_is_lost_at_any_moment() {
    let cases = std::env::var("BLOCK_CRASH_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(25);
    for (shape, compressed, size, steps, span) in [
        // Tables of 64 entries: many of them, and a refcount table that must grow.
        ("cluster_size=512", false, 12 << 20, 400, 40),
        ("cluster_size=512,refcount_bits=1", false, 4 << 20, 200, 20),
        ("cluster_size=4k,refcount_bits=64", false, 32 << 20, 200, 30),
        ("cluster_size=64k", false, 64 << 20, 150, 40),
        ("cluster_size=4k", true, 4 << 20, 200, 20),
        ("cluster_size=16k", true, 8 << 20, 200, 20),
    ] {
        let Some(recording) = record(shape, compressed, size, steps, span) else { return };
        recording.killed(cases);
        recording.power_failed(cases);
    }
}

/// Number of blocks the killed process writes to.
const KILLED_BLOCKS: u64 = 4096;
const KILLED_IMAGE: &str = "BLOCK_TEST_KILLED_IMAGE";

/// What the process to be killed writes in one generation, the same each time.
fn generation(number: u64) -> Vec<u64> {
    let mut random = Random(number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    (0..20).map(|_| random.below(KILLED_BLOCKS)).collect()
}

/// Not a test but the process that is killed; does nothing unless told the image.
#[test]
fn process_to_be_killed() {
    let Ok(argument) = std::env::var(KILLED_IMAGE) else { return };
    let (first, path) = argument.split_once(' ').unwrap();
    let guest = Guest::open(Path::new(path), &options(Format::Qcow2)).unwrap();
    for number in first.parse::<u64>().unwrap().. {
        let writes: Vec<_> = generation(number)
            .iter()
            .enumerate()
            .map(|(i, block)| {
                let memory = GuestAddress(i as u64 * BLOCK);
                guest.ram.write_slice(&stamped(number, 1), memory).unwrap();
                let segment = Segment { address: memory, len: BLOCK as u32 };
                guest.start(Operation::Write, block * BLOCK * 16, vec![segment])
            })
            .collect();
        for write in writes {
            write.recv().unwrap().unwrap();
        }
        if number % 3 == 0 {
            // Beyond what is written above, so that clusters are freed and used again.
            let beyond = KILLED_BLOCKS * BLOCK * 16;
            guest.write(beyond, &vec![1; 1 << 20]).unwrap();
            guest.run(Operation::Discard { len: 1 << 20 }, beyond, Vec::new()).unwrap();
        }
        if number % 4 == 0 {
            guest.flush().unwrap();
            println!("flushed {number}");
        }
    }
}

#[test]
fn a_killed_process_leaves_a_whole_image() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("d");
    // Each block in a cluster of its own, and a few L2 tables.
    let size = Bytes((KILLED_BLOCKS * 16 * BLOCK) + (1 << 30));
    create::create_qcow2(&path, size, Preallocation::None, None, &mut patient()).unwrap();
    let mut model = Model::new(0);
    let mut next = 1;
    let mut random = Random(std::process::id().into());
    for _ in 0..12 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "--nocapture", "block::tests::crash::process_to_be_killed"])
            .env(KILLED_IMAGE, format!("{next} {}", path.display()))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let lines = std::thread::spawn(move || {
            let numbers = output.lines().map_while(Result::ok).filter_map(|line| {
                line.strip_prefix("flushed ").and_then(|number| number.parse::<u64>().ok())
            });
            numbers.last()
        });
        std::thread::sleep(Duration::from_millis(50 + random.below(300)));
        // SIGKILL.
        child.kill().unwrap();
        child.wait().unwrap();
        let flushed = lines.join().unwrap();

        let file = std::fs::File::options().read(true).write(true).open(&path).unwrap();
        assert_eq!(lock::lock(&file, lock::Mode::Exclusive).unwrap(), lock::Outcome::Locked);
        drop(file);
        testing::assert_checked(&path, true);
        let last = flushed.unwrap_or(next - 1);
        for number in next..=last {
            for block in generation(number) {
                model.write(block, number);
            }
        }
        model.flush();
        // It may have begun as many generations more as lie between two flushes, and then some,
        // since it may have been killed before it could say so.
        for number in last + 1..last + 9 {
            for block in generation(number) {
                model.write(block, number);
            }
        }
        let image = Image::open(&path, &options(Format::Qcow2)).unwrap();
        for (number, block) in &mut model.blocks {
            let mut data = vec![0; BLOCK as usize];
            image.read((&mut data).into(), number * BLOCK * 16).unwrap();
            let found = u64::from_le_bytes(data[..8].try_into().unwrap());
            assert!(block.allows(found), "block {number}: {found}, not {block:?}");
            assert!(data.as_chunks::<8>().0.iter().all(|word| *word == found.to_le_bytes()));
            // Whoever goes on finds this.
            *block = Block { flushed: vec![found], later: Vec::new() };
        }
        // Only now does it count as flushed.
        image.flush().unwrap();
        next = last + 9;
    }
}
