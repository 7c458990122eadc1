//! Tests of the tables as an operating system would find them.

use std::collections::BTreeMap;

use super::*;

fn inputs() -> AcpiInputs {
    AcpiInputs {
        pm_base: 0x600,
        ecam: Some(Ecam { base: 0xb000_0000, buses: 256 }),
        low_ram_end: 0x8000_0000,
        apic_ids: (0..4).collect(),
        ioapic_id: 0,
        high_window: Some(0x80_0000_0000..=0xff_ffff_ffff),
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
}

fn sum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum: u8, byte| sum.wrapping_add(*byte))
}

/// Follows the root pointer at the start of `memory`, which lies at `base`: each table's
/// signature and bytes. Checks all checksums.
fn walk(memory: &[u8], base: u64) -> BTreeMap<String, Vec<u8>> {
    let at = |address: u64| usize::try_from(address - base).unwrap();
    let table = |address: u64| {
        let start = at(address);
        let table = &memory[start..start + u32_at(memory, start + 4) as usize];
        let signature = String::from_utf8(table[..4].to_vec()).unwrap();
        assert!(signature == "FACS" || sum(table) == 0, "{signature}");
        (signature, table.to_vec())
    };
    assert_eq!(&memory[..8], b"RSD PTR ");
    assert_eq!((sum(&memory[..20]), sum(&memory[..36])), (0, 0));
    let (name, rsdt) = table(u32_at(memory, 16).into());
    assert_eq!(name, "RSDT");
    let (name, xsdt) = table(u64_at(memory, 24));
    assert_eq!(name, "XSDT");
    let narrow: Vec<u64> = rsdt[36..].chunks(4).map(|c| u32_at(c, 0).into()).collect();
    let wide: Vec<u64> = xsdt[36..].chunks(8).map(|c| u64_at(c, 0)).collect();
    assert_eq!(narrow, wide);
    let mut tables: BTreeMap<_, _> = wide.into_iter().map(table).collect();
    let fadt = tables["FACP"].clone();
    let facs = u32_at(&fadt, 36);
    assert_eq!(facs % 64, 0);
    tables.extend([table(facs.into())]);
    assert_eq!(u64::from(u32_at(&fadt, 40)), u64_at(&fadt, 140));
    tables.extend([table(u64_at(&fadt, 140))]);
    tables
}

/// Runs the linker script as firmware does, root pointer at 0xF5A00 and tables at 0x7FFE0000;
/// returns both in one stretch of memory seen from the former, and its base.
fn run_loader(files: &AcpiFiles) -> (Vec<u8>, u64) {
    const RSDP: u64 = 0xf_5a00;
    const TABLES: u64 = 0x10_0000;
    let mut memory: BTreeMap<String, (u64, Vec<u8>)> = BTreeMap::new();
    let name = |bytes: &[u8]| {
        let end = bytes.iter().position(|b| *b == 0).unwrap();
        String::from_utf8(bytes[..end].to_vec()).unwrap()
    };
    for command in files.loader.chunks(128) {
        let first = name(&command[4..60]);
        match u32_at(command, 0) {
            0 => {}
            1 => {
                let (base, bytes, zone) = match first.as_str() {
                    "etc/acpi/rsdp" => (RSDP, &files.rsdp, 2),
                    _ => (TABLES, &files.tables, 1),
                };
                assert_eq!(base % u64::from(u32_at(command, 60)), 0);
                assert_eq!(command[64], zone);
                memory.insert(first, (base, bytes.clone()));
            }
            2 => {
                let (target, _) = memory[&name(&command[60..116])];
                let at = u32_at(command, 116) as usize;
                let size = usize::from(command[120]);
                let (_, bytes) = memory.get_mut(&first).unwrap();
                let mut value = [0; 8];
                value[..size].copy_from_slice(&bytes[at..at + size]);
                let value = (u64::from_le_bytes(value) + target).to_le_bytes();
                bytes[at..at + size].copy_from_slice(&value[..size]);
            }
            3 => {
                let [at, start, len] = [60, 64, 68].map(|at| u32_at(command, at) as usize);
                let (_, bytes) = memory.get_mut(&first).unwrap();
                // As OVMF does it: the byte's old value counts.
                bytes[at] = 0u8.wrapping_sub(sum(&bytes[start..start + len]));
            }
            other => panic!("command {other}"),
        }
    }
    let mut all = memory["etc/acpi/rsdp"].1.clone();
    all.resize((TABLES - RSDP) as usize, 0);
    all.extend(&memory["etc/acpi/tables"].1);
    (all, RSDP)
}

#[test]
fn firmware_can_link_the_tables() {
    let files = firmware_files(&inputs());
    assert_eq!(files.tables.len(), TABLES_SIZE);
    assert_eq!(files.loader.len(), LOADER_SIZE);
    assert_eq!(files.rsdp.len(), RSDP_SIZE);
    let (memory, base) = run_loader(&files);
    let tables = walk(&memory, base);
    let names: Vec<_> = tables.keys().map(String::as_str).collect();
    assert_eq!(names, ["APIC", "DSDT", "FACP", "FACS", "MCFG", "WAET"]);
}

#[test]
fn fixed_image_holds_the_same_tables() {
    let image = linked_at(&inputs(), 0xe_0000);
    let tables = walk(&image.bytes, image.base.into());
    let (memory, base) = run_loader(&firmware_files(&inputs()));
    let linked = walk(&memory, base);
    assert_eq!(tables["DSDT"], linked["DSDT"]);
    assert_eq!(tables["APIC"], linked["APIC"]);
    assert!(image.bytes.len() < 0x2_0000);
}

#[test]
fn sizes_do_not_depend_on_the_inputs() {
    let mut most = inputs();
    most.apic_ids = (0..255).collect();
    let image = linked_at(&most, 0);
    assert!(image.bytes.len() < TABLES_SIZE, "{} bytes", image.bytes.len());
    let commands = firmware_files(&most).loader;
    assert!(commands.iter().rev().take(128).all(|byte| *byte == 0));
    walk(&image.bytes, 0);
}

#[test]
fn fadt_describes_the_registers() {
    let image = linked_at(&inputs(), 0);
    let fadt = walk(&image.bytes, 0).remove("FACP").unwrap();
    assert_eq!(fadt.len(), 276);
    assert_eq!(u32_at(&fadt, 56), 0x600);
    assert_eq!(u32_at(&fadt, 64), 0x604);
    assert_eq!(u32_at(&fadt, 76), 0x608);
    assert_eq!(u32_at(&fadt, 80), 0x620);
    assert_eq!(fadt[46], SCI);
    let flags = u32_at(&fadt, 112);
    assert_eq!(flags & (1 << 4), 0, "the power button is fixed hardware");
    assert_ne!(flags & (1 << 10), 0, "there is a reset register");
    assert_eq!((u64_at(&fadt, 120), fadt[128]), (0xcf9, 6));
}

#[test]
fn mcfg_names_no_bus_that_is_not_there() {
    let image = linked_at(&inputs(), 0);
    let mcfg = walk(&image.bytes, 0).remove("MCFG").unwrap();
    // One window (PCI Firmware 3.2 §4.1.2): its base, segment, first and last bus.
    assert_eq!(mcfg.len(), 60);
    assert_eq!((u64_at(&mcfg, 44), u32_at(&mcfg, 52)), (0xb000_0000, 0));
}

#[test]
fn madt_names_every_cpu() {
    let image = linked_at(&inputs(), 0);
    let madt = walk(&image.bytes, 0).remove("APIC").unwrap();
    let mut at = 44;
    let mut kinds = Vec::new();
    while at < madt.len() {
        kinds.push(madt[at]);
        at += usize::from(madt[at + 1]);
    }
    assert_eq!(at, madt.len());
    assert_eq!(kinds, [0, 0, 0, 0, 1, 2, 2, 2, 2, 2, 4]);
}

#[test]
fn windows_leave_out_ram_ecam_and_apics() {
    let mut inputs = inputs();
    assert_eq!(inputs.low_windows(), [0x8000_0000..=0xafff_ffff, 0xc000_0000..=0xfebf_ffff]);
    inputs.ecam = Some(Ecam { base: 0x8000_0000, buses: 64 });
    assert_eq!(inputs.low_windows(), [0x8400_0000..=0xfebf_ffff]);
    inputs.ecam = None;
    assert_eq!(inputs.low_windows(), [0x8000_0000..=0xfebf_ffff]);
    // Guests may put the window anywhere.
    for base in [0, 0x7000_0000, 0xf000_0000] {
        inputs.ecam = Some(Ecam { base, buses: 256 });
        walk(&linked_at(&inputs, 0).bytes, 0);
    }
    inputs.ecam = Some(Ecam { base: 0, buses: 0 });
    assert!(!walk(&linked_at(&inputs, 0).bytes, 0).contains_key("MCFG"));
    inputs.pm_base = 0xff80;
    walk(&linked_at(&inputs, 0).bytes, 0);
}

/// Disassembles and recompiles the tables, where ACPICA's tools are installed.
#[test]
fn iasl_accepts_the_tables() {
    use std::process::Command;
    if Command::new("iasl").arg("-v").output().is_err() {
        eprintln!("skipped: iasl is not installed");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let iasl = |args: &[&str]| {
        let output = Command::new("iasl").args(args).current_dir(&directory).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "iasl {args:?}: {text}");
        text
    };
    let image = linked_at(&inputs(), 0xe_0000);
    for (name, bytes) in walk(&image.bytes, image.base.into()) {
        std::fs::write(directory.path().join(format!("{name}.aml")), bytes).unwrap();
        iasl(&["-d", &format!("{name}.aml")]);
        let report = iasl(&["-p", "again", &format!("{name}.dsl")]);
        assert!(report.contains(" 0 Errors"), "{name}: {report}");
        if name == "DSDT" {
            assert!(report.contains(" 0 Warnings"), "{report}");
        }
    }
}
