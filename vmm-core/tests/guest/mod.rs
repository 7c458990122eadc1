//! Guests of a few instructions.

use std::fs;
use std::path::{Path, PathBuf};

/// An ELF file with `code` at 1 MiB and a PVH note that names it as the entry point (Xen
/// `docs/misc/pvh.pandoc`).
pub(crate) fn kernel(folder: &Path, name: &str, code: &[&[u8]]) -> PathBuf {
    const LOAD: u32 = 0x10_0000;
    let code = code.concat();
    let mut elf = vec![0; 0x1000];
    let mut put = |at: usize, bytes: &[u8]| elf[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"\x7fELF\x02\x01\x01");
    put(16, &[2, 0, 62, 0, 1]);
    put(24, &u64::from(LOAD).to_le_bytes());
    put(32, &64u64.to_le_bytes());
    put(52, &[64, 0, 56, 0, 2, 0]);
    let mut header = |at: usize, kind: u32, offset: u64, address: u64, len: u64| {
        put(at, &kind.to_le_bytes());
        put(at + 4, &7u32.to_le_bytes());
        for (n, value) in [offset, address, address, len, len, 4].into_iter().enumerate() {
            put(at + 8 + 8 * n, &value.to_le_bytes());
        }
    };
    header(64, 1, 0x1000, LOAD.into(), code.len() as u64);
    header(120, 4, 0x200, 0, 20);
    put(0x200, &[4, 0, 0, 0, 4, 0, 0, 0, 18, 0, 0, 0]);
    put(0x20c, b"Xen\0");
    put(0x210, &LOAD.to_le_bytes());
    elf.extend(&code);
    let path = folder.join(name);
    fs::write(&path, elf).expect("a folder for the kernel");
    path
}
