//! Making, growing and looking at images.

use super::*;
use crate::block::create::{self, Backing, Preallocation, create_qcow2, create_raw, grow};
use crate::block::image::Image;
use crate::block::info::info;
use crate::block::{ImageError, MAX_DISK_SIZE};
use crate::units::Bytes;

const NONE: Preallocation = Preallocation::None;

fn names(dir: &tempfile::TempDir) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn images_are_what_was_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    for (i, size) in [Bytes(512), Bytes::mib(3), Bytes::gib(20), MAX_DISK_SIZE].iter().enumerate() {
        let path = dir.path().join(format!("{i}.qcow2"));
        create_qcow2(&path, *size, NONE, None, &mut patient()).unwrap();
        testing::assert_checked(&path, false);
        let found = info(&path, None).unwrap();
        assert_eq!((found.format, found.virtual_size), (Format::Qcow2, *size));
        assert!(found.actual_size < Bytes::mib(8), "{found:?}");
        let guest = Guest::open(&path, &DiskOptions::default()).unwrap();
        assert_eq!(guest.read(size.0 - 512, 512).unwrap(), [0; 512]);
        guest.write(size.0 - 512, &[1; 512]).unwrap();
        drop(guest);
        testing::assert_checked(&path, false);
    }
    let path = dir.path().join("d.img");
    create_raw(&path, Bytes::gib(1), NONE, &mut patient()).unwrap();
    let found = info(&path, None).unwrap();
    assert_eq!((found.format, found.virtual_size), (Format::Raw, Bytes::gib(1)));
    assert!(found.actual_size < Bytes::mib(1));
}

#[test]
fn preallocated_images_have_their_space() {
    let dir = tempfile::tempdir().unwrap();
    let size = Bytes::mib(700);
    for format in [Format::Raw, Format::Qcow2] {
        let path = dir.path().join(format.to_string());
        let mut seen = Vec::new();
        let progress: create::Progress<'_> = &mut |done, all| {
            assert_eq!(all, size);
            seen.push(done);
            true
        };
        let full = Preallocation::Full;
        match format {
            Format::Raw => create_raw(&path, size, full, progress).unwrap(),
            Format::Qcow2 => create_qcow2(&path, size, full, None, progress).unwrap(),
        }
        assert!(seen.is_sorted() && seen.len() > 1);
        assert_eq!(seen.last(), Some(&size));
        assert!(info(&path, Some(format)).unwrap().actual_size >= size);
        if format == Format::Qcow2 {
            testing::assert_checked(&path, false);
        }
        let guest = Guest::open(&path, &options(format)).unwrap();
        assert_eq!(guest.read(size.0 / 2, 4096).unwrap(), [0; 4096]);
    }
}

#[test]
fn what_fails_or_is_cancelled_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("d");
    let mut calls = 0;
    let mut cancel = |_, _| {
        calls += 1;
        calls < 2
    };
    let full = Preallocation::Full;
    let result = create_qcow2(&path, Bytes::gib(1), full, None, &mut cancel);
    assert!(matches!(result, Err(ImageError::Cancelled)));
    let result = create_raw(&path, Bytes::gib(1), full, &mut |_, _| false);
    assert!(matches!(result, Err(ImageError::Cancelled)));
    let result = create_raw(&path, Bytes(60 << 40), full, &mut patient());
    assert!(matches!(result, Err(ImageError::NoSpace { .. })), "{result:?}");
    for size in [0, 511, 513, MAX_DISK_SIZE.0 + 512, u64::MAX] {
        let result = create_qcow2(&path, Bytes(size), NONE, None, &mut patient());
        assert!(matches!(result, Err(ImageError::InvalidSize { .. })));
    }
    let backing = Backing { path: "none".into(), format: Format::Raw };
    let result = create_qcow2(&path, Bytes(512), NONE, Some(&backing), &mut patient());
    assert!(matches!(result, Err(ImageError::Backing { .. })));
    let result = create_qcow2(&path, Bytes(512), full, Some(&backing), &mut patient());
    assert!(matches!(result, Err(ImageError::PreallocatedOverlay)));
    let result = create_raw(&dir.path().join("no/d"), Bytes(512), NONE, &mut patient());
    assert!(matches!(result, Err(ImageError::NotFound(_))));
    assert_eq!(names(&dir), [""; 0]);
}

#[test]
fn nothing_is_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("d");
    std::fs::write(&path, "precious").unwrap();
    for result in [
        create_raw(&path, Bytes(512), NONE, &mut patient()),
        create_qcow2(&path, Bytes(512), NONE, None, &mut patient()),
    ] {
        assert!(matches!(result, Err(ImageError::Exists(_))));
    }
    // Nor what appears meanwhile.
    let late = dir.path().join("late");
    let mut appear = |_, _| std::fs::write(&late, "precious").is_ok();
    let result = create_raw(&late, Bytes::mib(1), Preallocation::Full, &mut appear);
    assert!(matches!(result, Err(ImageError::Exists(_))));
    for path in [&path, &late] {
        assert_eq!(std::fs::read(path).unwrap(), b"precious");
    }
    assert_eq!(names(&dir), ["d", "late"]);
}

/// An image of 1 MiB.
fn make_small(path: &std::path::Path, format: Format) {
    let made = match format {
        Format::Raw => create_raw(path, Bytes::mib(1), NONE, &mut patient()),
        Format::Qcow2 => create_qcow2(path, Bytes::mib(1), NONE, None, &mut patient()),
    };
    made.unwrap();
}

#[test]
fn disks_grow() {
    let dir = tempfile::tempdir().unwrap();
    for format in [Format::Raw, Format::Qcow2] {
        let path = dir.path().join(format.to_string());
        make_small(&path, format);
        let guest = Guest::open(&path, &options(format)).unwrap();
        guest.write(0, &[7; 4096]).unwrap();
        assert!(matches!(grow(&path, Some(format), Bytes::mib(2)), Err(ImageError::InUse(_))));
        drop(guest);
        for size in [Bytes::mib(2), Bytes::gib(5), Bytes(10 << 40)] {
            // An ordinary file system holds no raw file of 10 TiB everywhere.
            if format == Format::Raw && size > Bytes::gib(5) {
                continue;
            }
            grow(&path, Some(format), size).unwrap();
            let guest = Guest::open(&path, &options(format)).unwrap();
            assert_eq!(guest.disk.len(), size.0);
            assert_eq!(guest.read(0, 4096).unwrap(), [7; 4096]);
            assert_eq!(guest.read(size.0 - 4096, 4096).unwrap(), [0; 4096]);
            guest.write(size.0 - 4096, &[8; 4096]).unwrap();
            drop(guest);
            if format == Format::Qcow2 {
                testing::assert_checked(&path, false);
            }
        }
        let result = grow(&path, Some(format), Bytes::mib(1));
        assert!(matches!(result, Err(ImageError::WouldShrink { .. })));
    }
}

#[test]
fn disks_grow_while_the_guest_uses_them() {
    let dir = tempfile::tempdir().unwrap();
    for format in [Format::Raw, Format::Qcow2] {
        let path = dir.path().join(format.to_string());
        make_small(&path, format);
        let guest = Guest::open(&path, &options(format)).unwrap();
        guest.write(0, &[7; 4096]).unwrap();
        // Freed a moment before the tables move.
        guest.run(Operation::Discard { len: 1 << 16 }, 1 << 16, Vec::new()).unwrap();
        let mut end = Bytes::mib(1).0;
        for size in [Bytes::mib(2), Bytes::gib(1), Bytes::gib(5)] {
            assert!(guest.read(end, 4096).is_err(), "not there yet");
            // Requests on their way meanwhile.
            let writes: Vec<_> = (0..8)
                .map(|i| guest.start(Operation::Write, i * 65536, guest.scatter(4096)))
                .collect();
            guest.disk.grow(size).unwrap();
            for write in writes {
                write.recv().unwrap().unwrap();
            }
            assert_eq!(guest.disk.len(), size.0);
            assert_eq!(guest.read(end, 4096).unwrap(), [0; 4096]);
            guest.write(size.0 - 4096, &[8; 4096]).unwrap();
            assert_eq!(guest.read(size.0 - 4096, 4096).unwrap(), [8; 4096]);
            end = size.0;
        }
        let shrunk = guest.disk.grow(Bytes::gib(4));
        assert!(matches!(shrunk, Err(ImageError::WouldShrink { .. })));
        assert!(matches!(guest.disk.grow(Bytes(1)), Err(ImageError::InvalidSize { .. })));
        assert_eq!(guest.disk.len(), end);
        drop(guest);
        if format == Format::Qcow2 {
            testing::assert_checked(&path, false);
        }
        let guest = Guest::open(&path, &read_only(format)).unwrap();
        assert_eq!(guest.disk.len(), end);
        assert_eq!(guest.read(end - 4096, 4096).unwrap(), [8; 4096]);
        assert!(guest.disk.grow(Bytes::gib(6)).is_err(), "a disk that is only read");
    }
}

#[test]
fn what_is_added_hides_a_longer_backing_file() {
    let dir = tempfile::tempdir().unwrap();
    let base = dir.path().join("base");
    std::fs::write(&base, vec![0xd5; 3 << 20]).unwrap();
    // Version 2, which has no zero clusters, is not made here.
    for compat in ["0.10", "1.1"] {
        let path = dir.path().join(compat);
        let shape = format!("compat={compat}");
        let backing = base.to_str().unwrap();
        let words = ["-f", "qcow2", "-o", &shape, "-b", backing, "-F", "raw"];
        if !testing::qemu_create(&path, &words, "1M") {
            return;
        }
        let guest = Guest::open(&path, &options(Format::Qcow2)).unwrap();
        guest.disk.grow(Bytes::mib(5)).unwrap();
        for at in 0..5u64 {
            let expected = vec![if at == 0 { 0xd5 } else { 0 }; 1 << 20];
            assert_eq!(guest.read(at << 20, 1 << 20).unwrap(), expected, "{compat}, MiB {at}");
        }
        drop(guest);
        testing::assert_checked(&path, false);
    }
}

#[test]
fn a_disk_that_cannot_grow_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("disk");
    create_qcow2(&path, Bytes::mib(1), NONE, None, &mut patient()).unwrap();
    let image = Image::open(&path, &options(Format::Qcow2)).unwrap();
    *image.file().probe.fail_writes.lock() = Some(Box::new(|_, _| Some(libc::ENOSPC)));
    assert!(matches!(image.grow(Bytes::gib(1)), Err(ImageError::Io { .. })));
    *image.file().probe.fail_writes.lock() = None;
    assert_eq!(image.len(), Bytes::mib(1).0);
    image.grow(Bytes::gib(1)).unwrap();
    assert_eq!(image.len(), Bytes::gib(1).0);
    drop(image);
    // What the failed attempt had taken may stay counted.
    testing::assert_checked(&path, true);
}

#[test]
fn a_chain_is_described() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    create_raw(&at("base"), Bytes::mib(1), NONE, &mut patient()).unwrap();
    let on = |path: &str, format| Some(Backing { path: path.into(), format });
    create_qcow2(&at("mid"), Bytes::mib(1), NONE, on("base", Format::Raw).as_ref(), &mut patient())
        .unwrap();
    let mid = on("mid", Format::Qcow2);
    create_qcow2(&at("top"), Bytes::mib(2), NONE, mid.as_ref(), &mut patient()).unwrap();
    let _running = Guest::open(&at("top"), &options(Format::Qcow2)).unwrap();
    let found = info(&at("top"), None).unwrap();
    assert_eq!(found.virtual_size, Bytes::mib(2));
    let beneath: Vec<_> = found.backing.iter().map(|i| (i.path.clone(), i.format)).collect();
    assert_eq!(beneath, [(at("mid"), Format::Qcow2), (at("base"), Format::Raw)]);
}
