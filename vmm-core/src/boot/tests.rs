//! Tests with kernels made up on the spot.

use std::io::Write;

use proptest::prelude::*;
use tempfile::NamedTempFile;

use super::*;
use crate::acpi::AcpiImage;

const MIB: usize = 1 << 20;

fn ram(size: usize) -> GuestRam {
    GuestRam::from_ranges(&[(GuestAddress(0), size)]).unwrap()
}

fn file(bytes: &[u8]) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    file
}

fn put<const N: usize>(bytes: &mut [u8], at: usize, value: [u8; N]) {
    bytes[at..at + N].copy_from_slice(&value);
}

/// A bzImage of one setup sector and 8 KiB of kernel.
fn bzimage() -> Vec<u8> {
    let mut image = vec![0; 1024 + 8192];
    image[0x1f1] = 1;
    put(&mut image, 0x1f4, (8192u32 / 16).to_le_bytes());
    put(&mut image, 0x1fe, 0xaa55u16.to_le_bytes());
    put(&mut image, 0x200, [0xeb, 0x6a]);
    put(&mut image, 0x202, *b"HdrS");
    put(&mut image, 0x206, 0x020fu16.to_le_bytes());
    image[0x211] = 1;
    put(&mut image, 0x22c, 0x7fff_ffffu32.to_le_bytes());
    put(&mut image, 0x230, 0x20_0000u32.to_le_bytes());
    put(&mut image, 0x236, 1u16.to_le_bytes());
    put(&mut image, 0x238, 2047u32.to_le_bytes());
    put(&mut image, 0x258, 0x40_0000u64.to_le_bytes());
    put(&mut image, 0x260, 0x20_0000u32.to_le_bytes());
    image[1024..].fill(0xcc);
    image
}

/// An ELF file with one segment at 1 MiB, of a page and a page of zeroes, and a PVH note.
fn pvh_elf() -> Vec<u8> {
    const NOTE: usize = 64 + 2 * 56;
    let mut image = vec![0; 8192];
    put(&mut image, 0, *b"\x7fELF\x02\x01\x01");
    put(&mut image, 16, 2u16.to_le_bytes());
    put(&mut image, 18, 62u16.to_le_bytes());
    put(&mut image, 32, 64u64.to_le_bytes());
    put(&mut image, 54, 56u16.to_le_bytes());
    put(&mut image, 56, 2u16.to_le_bytes());
    let mut segment = |index: usize, kind: u32, fields: [u64; 6]| {
        let at = 64 + 56 * index;
        put(&mut image, at, kind.to_le_bytes());
        for (n, field) in fields.into_iter().enumerate() {
            put(&mut image, at + 8 + 8 * n, field.to_le_bytes());
        }
    };
    segment(0, 1, [4096, 0, 0x10_0000, 4096, 8192, 4096]);
    segment(1, 4, [NOTE as u64, 0, 0, 20, 20, 4]);
    put(&mut image, NOTE, 4u32.to_le_bytes());
    put(&mut image, NOTE + 4, 4u32.to_le_bytes());
    put(&mut image, NOTE + 8, 18u32.to_le_bytes());
    put(&mut image, NOTE + 12, *b"Xen\0");
    put(&mut image, NOTE + 16, 0x10_0040u32.to_le_bytes());
    image[4096..].fill(0x90);
    image
}

fn boot_with(
    ram: &GuestRam,
    kernel: &[u8],
    initrd: Option<&[u8]>,
    command_line: &str,
) -> Result<InitialRegisters, BootError> {
    let kernel = file(kernel);
    let initrd = initrd.map(file);
    let acpi = AcpiImage { base: ACPI_BASE, bytes: b"RSD PTR ".to_vec() };
    let ecam = 0xb000_0000..0xc000_0000;
    DirectBoot {
        kernel: kernel.path(),
        initrd: initrd.as_ref().map(NamedTempFile::path),
        command_line,
    }
    .load(ram, &Platform { acpi: &acpi, smbios: None, reserved: std::slice::from_ref(&ecam) })
}

fn refusal(size: usize, kernel: &[u8]) -> String {
    boot_with(&ram(size), kernel, None, "").unwrap_err().to_string()
}

fn u32_at(ram: &GuestRam, at: u64) -> u32 {
    ram.read_obj(GuestAddress(at)).unwrap()
}

#[test]
fn bzimage_is_entered_in_64_bit_mode() {
    let ram = ram(16 * MIB);
    let registers = boot_with(&ram, &bzimage(), Some(&[7; 5000]), "quiet").unwrap();
    assert_eq!((registers.rip, registers.rsi), (0x10_0200, layout::ZERO_PAGE));
    assert_eq!(registers.efer, 0x500);
    assert_eq!((registers.code.selector, registers.data.selector), (0x10, 0x18));
    assert_eq!(registers.code.descriptor(), 0x00af_9b00_0000_ffff);
    let gdt: u64 = ram.read_obj(GuestAddress(registers.gdt.base + 0x10)).unwrap();
    assert_eq!(gdt, registers.code.descriptor());
    // The page that maps the entry point maps it to itself.
    let entry: u64 = ram.read_obj(GuestAddress(layout::PAGE_DIRECTORIES)).unwrap();
    assert_eq!(entry, 0x83);
    let last: u64 = ram.read_obj(GuestAddress(layout::PAGE_DIRECTORIES + 2047 * 8)).unwrap();
    assert_eq!(last, 0xffe0_0083);

    let page = layout::ZERO_PAGE;
    assert_eq!(u32_at(&ram, page + 0x202).to_le_bytes(), *b"HdrS");
    assert_eq!(u32_at(&ram, page + 0x228), layout::COMMAND_LINE as u32);
    assert_eq!(u32_at(&ram, page + 0x70), ACPI_BASE);
    let (initrd, size) = (u32_at(&ram, page + 0x218), u32_at(&ram, page + 0x21c));
    assert_eq!((initrd, size), (16 * MIB as u32 - 8192, 5000));
    assert_eq!(u32_at(&ram, initrd.into()), 0x0707_0707);
    let entries: u8 = ram.read_obj(GuestAddress(page + 0x1e8)).unwrap();
    assert_eq!(entries, 5);
    let mut command_line = [0; 6];
    ram.read_slice(&mut command_line, GuestAddress(layout::COMMAND_LINE)).unwrap();
    assert_eq!(&command_line, b"quiet\0");
    assert_eq!(u32_at(&ram, 0x10_0000), 0xcccc_cccc);
}

#[test]
fn older_kernels_are_entered_in_protected_mode() {
    let mut image = bzimage();
    put(&mut image, 0x236, 0u16.to_le_bytes());
    let registers = boot_with(&ram(16 * MIB), &image, None, "").unwrap();
    assert_eq!((registers.rip, registers.efer, registers.cr4), (0x10_0000, 0, 0));
    assert_eq!(registers.cr0, 0x11);
    assert_eq!(registers.code.descriptor(), 0x00cf_9b00_0000_ffff);
}

#[test]
fn pvh_elf_is_entered_with_start_info() {
    let ram = ram(16 * MIB);
    ram.write_slice(&[1; 8192], GuestAddress(0x10_0000)).unwrap();
    let registers = boot_with(&ram, &pvh_elf(), Some(b"disk"), "x").unwrap();
    assert_eq!((registers.rip, registers.rbx), (0x10_0040, layout::START_INFO));
    assert_eq!((registers.cr0, registers.cr4, registers.efer), (0x11, 0, 0));
    assert_eq!(u32_at(&ram, 0x10_0ffc), 0x9090_9090);
    assert_eq!(u32_at(&ram, 0x10_1000), 0, "what the file does not fill is cleared");
    let info = layout::START_INFO;
    assert_eq!(u32_at(&ram, info), 0x336e_c578);
    assert_eq!((u32_at(&ram, info + 4), u32_at(&ram, info + 12)), (1, 1));
    assert_eq!(u32_at(&ram, info + 32), ACPI_BASE);
    assert_eq!(u32_at(&ram, info + 48), 5);
    let initrd = u32_at(&ram, layout::MODULE_LIST);
    assert_eq!(u32_at(&ram, initrd.into()).to_le_bytes(), *b"disk");
}

#[test]
fn bad_kernels_are_refused_with_a_reason() {
    let image = bzimage();
    let change = |at: usize, value: u8| {
        let mut changed = image.clone();
        changed[at] = value;
        refusal(16 * MIB, &changed)
    };
    assert!(refusal(16 * MIB, b"").ends_with("is empty"));
    assert!(refusal(16 * MIB, b"just some text").contains("neither"));
    assert!(refusal(16 * MIB, b"\x1f\x8b compressed").contains("unpack it first"));
    let mut arm = vec![0; 512];
    put(&mut arm, 0x38, *b"ARM\x64");
    assert!(refusal(16 * MIB, &arm).contains("64-bit ARM"));
    assert!(refusal(16 * MIB, &image[..4000]).contains("cut short"));
    assert!(refusal(16 * MIB, &image[..0x210]).contains("cut short"));
    assert!(change(0x206, 4).contains("version 2.04"));
    assert!(change(0x211, 0).contains("zImage"));
    assert!(change(0x1fe, 0).contains("damaged"));
    let mut far = image.clone();
    put(&mut far, 0x258, u64::MAX.to_le_bytes());
    assert!(refusal(16 * MIB, &far).contains("above 4 GiB"));
    // 4 MiB preferred address and 2 MiB to unpack.
    assert!(refusal(5 * MIB, &image).contains("at least 6M of memory"));
    assert!(refusal(MIB / 2, &image).contains("memory"));
}

#[test]
fn bad_elf_files_are_refused_with_a_reason() {
    let image = pvh_elf();
    let change = |at: usize, value: u8| {
        let mut changed = image.clone();
        changed[at] = value;
        refusal(16 * MIB, &changed)
    };
    assert!(change(18, 183).contains("machine 183"));
    assert!(change(18, 3).contains("32-bit"));
    assert!(change(5, 2).contains("big-endian"));
    assert!(change(64 + 112 + 8, 0).contains("without a PVH entry"));
    assert!(change(64 + 112 + 18, 0x70).contains("outside it"));
    assert!(change(64 + 24 + 2, 0).contains("below 1 MiB"));
    assert!(change(64 + 24 + 4, 1).contains("above 4 GiB"));
    assert!(change(64 + 24 + 3, 1).contains("of memory"));
    assert!(refusal(16 * MIB, &image[..6000]).contains("cut short"));
    assert!(refusal(16 * MIB, &image[..80]).contains("cut short"));
}

#[test]
fn what_comes_with_the_kernel_is_checked() {
    let boot = |initrd: Option<&[u8]>, command_line: &str| {
        boot_with(&ram(8 * MIB), &bzimage(), initrd, command_line).map_err(|e| e.to_string())
    };
    assert!(boot(Some(&vec![0; 2 * MIB]), "").is_ok());
    assert!(boot(Some(&vec![0; 2 * MIB + 1]), "").unwrap_err().contains("does not fit"));
    assert!(boot(Some(b""), "").unwrap_err().ends_with("is empty"));
    assert!(boot(None, &"x".repeat(2047)).is_ok());
    assert!(boot(None, &"x".repeat(2048)).unwrap_err().contains("at most 2047"));
    assert!(boot(None, "a\0b").unwrap_err().contains("NUL"));
    let directory = tempfile::tempdir().unwrap();
    let acpi = AcpiImage { base: ACPI_BASE, bytes: Vec::new() };
    let platform = Platform { acpi: &acpi, smbios: None, reserved: &[] };
    let boot = DirectBoot { kernel: directory.path(), initrd: None, command_line: "" };
    assert!(boot.load(&ram(MIB * 2), &platform).unwrap_err().to_string().contains("regular file"));
    let boot = DirectBoot { kernel: Path::new("/nonexistent"), ..boot };
    assert!(boot.load(&ram(MIB * 2), &platform).is_err());
}

proptest! {
    #![proptest_config(crate::fuzz::cases(64))]

    #[test]
    fn damaged_kernels_never_panic(
        elf: bool,
        damage in prop::collection::vec((0usize..0x280, any::<u8>()), 0..8),
        keep in 0usize..10000,
    ) {
        let mut image = if elf { pvh_elf() } else { bzimage() };
        for (at, value) in damage {
            image[at] = value;
        }
        image.truncate(keep);
        let _ = boot_with(&ram(8 * MIB), &image, Some(b"initrd"), "x");
    }
}
