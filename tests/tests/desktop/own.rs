//! Guests of a few instructions, for what no boot loader does. A `/dev/kvm` that emulates runs them
//! as well.

use std::fs::{self, File};
use std::path::Path;

use berth_tests::desktop::{Desktop, new_machine};

/// Waits for the power button and turns the machine off, as a system does that shuts down. The
/// firmware puts the registers at 0x600: PM1_STS, and PM1_CNT at 4 (ACPI 6.5 §4.8.3).
///
/// ```text
///       mov dx, 0x600
/// wait: sti
///       hlt               ; the firmware's timer wakes it
///       in ax, dx
///       test ax, 0x100    ; PWRBTN_STS
///       jz wait
///       mov dx, 0x604
///       mov ax, 0x3c00    ; SLP_EN, and 7 for S5
///       out dx, ax
/// end:  hlt
///       jmp end
/// ```
const OBEYS: [u8; 21] = [
    0xba, 0x00, 0x06, 0xfb, 0xf4, 0xed, 0xa9, 0x00, 0x01, 0x74, 0xf8, 0xba, 0x04, 0x06, 0xb8, 0x00,
    0x3c, 0xef, 0xf4, 0xeb, 0xfd,
];

/// Writes 16 KiB after 16 KiB to the disk it is on, by the firmware (Enhanced Disk Drive 3.0,
/// INT 13h function 43h).
///
/// ```text
///       xor ax, ax
///       mov ds, ax
///       mov ss, ax
///       mov sp, 0x7c00
/// next: mov ax, 0x4300
///       mov dl, 0x80
///       mov si, 0x7c20
///       int 0x13
///       add dword [0x7c28], 32
///       jmp next
/// 7c20: db 0x10, 0        ; what is written: 32 sectors from 0x7c00 on, first to sector 32
///       dw 32, 0x7c00, 0
///       dq 32
/// ```
const WRITES: [u8; 48] = [
    0x31, 0xc0, 0x8e, 0xd8, 0x8e, 0xd0, 0xbc, 0x00, 0x7c, 0xb8, 0x00, 0x43, 0xb2, 0x80, 0xbe, 0x20,
    0x7c, 0xcd, 0x13, 0x66, 0x83, 0x06, 0x28, 0x7c, 0x20, 0xeb, 0xee, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x10, 0x00, 0x20, 0x00, 0x00, 0x7c, 0x00, 0x00, 0x20, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
];

/// Makes a machine that listens to its power button.
pub(crate) fn obedient(desktop: &Desktop, name: &str) {
    let disk = desktop.home().join(name).with_extension("img");
    write(&disk, &OBEYS, 1 << 20);
    machine(desktop, name, &disk);
}

/// Makes a machine that writes to its whole disk, the file at `disk`, of `size` bytes.
pub(crate) fn writer(desktop: &Desktop, name: &str, disk: &Path, size: u64) {
    write(disk, &WRITES, size);
    machine(desktop, name, disk);
}

/// A disk that begins with a boot sector. What follows takes no space.
fn write(disk: &Path, code: &[u8], size: u64) {
    let mut sector = [0; 512];
    sector[..code.len()].copy_from_slice(code);
    sector[510..].copy_from_slice(&[0x55, 0xaa]);
    fs::write(disk, sector).expect("the disk");
    File::options().write(true).open(disk).and_then(|file| file.set_len(size)).expect("the disk");
}

fn machine(desktop: &Desktop, name: &str, disk: &Path) {
    let disk = format!("{},format=raw", disk.display());
    new_machine(desktop, &[name, "--disk", &disk, "--firmware", "bios", "--memory", "64M"]);
}
