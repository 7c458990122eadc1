//! Tests of the search on made-up systems.

use std::path::Path;

use super::*;

fn put(root: &Path, name: &str, bytes: &[u8]) {
    let path = root.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}

fn option_rom() -> Vec<u8> {
    let mut rom = vec![0; 39424];
    rom[..2].copy_from_slice(&[0x55, 0xaa]);
    rom
}

fn message(result: Result<Firmware, FirmwareError>) -> String {
    result.unwrap_err().to_string()
}

#[test]
fn missing_firmware_names_its_package() {
    let root = tempfile::tempdir().unwrap();
    let search = SearchPath::below(root.path());
    put(root.path(), "etc/os-release", b"ID=fedora\n");
    assert_eq!(
        message(search.find(FirmwareKind::Uefi)),
        "no UEFI (OVMF) firmware is installed; install it with: sudo dnf install edk2-ovmf"
    );
    // A BIOS without its video BIOS is no use.
    put(root.path(), "usr/share/seabios/bios-256k.bin", &[0; 256 << 10]);
    assert!(message(search.find(FirmwareKind::Bios)).contains("seavgabios-bin"));
}

#[test]
fn finds_a_bios_and_checks_it() {
    let root = tempfile::tempdir().unwrap();
    let search = SearchPath::below(root.path());
    put(root.path(), "usr/share/seabios/bios-256k.bin", &[1; 256 << 10]);
    put(root.path(), "usr/share/seavgabios/vgabios-stdvga.bin", &option_rom());
    let firmware = search.find(FirmwareKind::Bios).unwrap();
    assert_eq!(firmware.kind(), FirmwareKind::Bios);
    assert_eq!(search.vga_rom(), Some(option_rom()));
    put(root.path(), "usr/share/seavgabios/vgabios-stdvga.bin", &[0; 1024]);
    assert!(message(search.find(FirmwareKind::Bios)).ends_with("it is not an option ROM"));
    put(root.path(), "usr/share/seabios/bios-256k.bin", b"text");
    assert!(message(search.find(FirmwareKind::Bios)).contains("its size, 4 bytes"));
}

#[test]
fn descriptors_come_before_known_places() {
    let root = tempfile::tempdir().unwrap();
    let search = SearchPath::below(root.path());
    let vars = vec![9; 4096];
    put(root.path(), "usr/share/OVMF/OVMF_CODE_4M.fd", &[1; 8192]);
    put(root.path(), "usr/share/OVMF/OVMF_VARS_4M.fd", &vars);
    let code = |firmware: Firmware| match firmware {
        Firmware::Uefi { code, .. } => code[0],
        Firmware::Bios { .. } => panic!("a BIOS"),
    };
    assert_eq!(code(search.find(FirmwareKind::Uefi).unwrap()), 1);
    put(root.path(), "opt/code.fd", &[2; 8192]);
    put(root.path(), "opt/vars.fd", &vars);
    let descriptor = br#"{"interface-types": ["uefi"], "mapping": {"device": "flash",
        "executable": {"filename": "/opt/code.fd", "format": "raw"},
        "nvram-template": {"filename": "/opt/vars.fd", "format": "raw"}},
        "targets": [{"architecture": "x86_64", "machines": ["pc-q35-*"]}], "features": []}"#;
    put(root.path(), "etc/qemu/firmware/50-mine.json", descriptor);
    assert_eq!(code(search.find(FirmwareKind::Uefi).unwrap()), 2);
    // One that cannot be used gives way to one that can.
    put(root.path(), "opt/code.fd", &[2; 100]);
    assert_eq!(code(search.find(FirmwareKind::Uefi).unwrap()), 1);
    put(root.path(), "usr/share/OVMF/OVMF_CODE_4M.fd", &[1; 8191]);
    assert!(message(search.find(FirmwareKind::Uefi)).contains("opt/code.fd"));
}

#[test]
fn flash_fits_below_4_gib() {
    let root = tempfile::tempdir().unwrap();
    put(root.path(), "usr/share/OVMF/OVMF_CODE.fd", &vec![0; 16 << 20]);
    put(root.path(), "usr/share/OVMF/OVMF_VARS.fd", &[0; 4096]);
    let found = SearchPath::below(root.path()).find(FirmwareKind::Uefi);
    assert!(message(found).contains("its size"));
}
