//! Where firmware lies, and reading it.

use std::ffi::OsStr;
use std::fmt;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::descriptor::{self, UefiPair};
use super::{FirmwareError, package};
use crate::text;

/// Environment variable with directories to search first, separated by colons: for packages that
/// bring their own firmware, and for people who build theirs.
const PATH_VARIABLE: &str = "BERTH_FIRMWARE_PATH";

/// The BIOS is mapped once below 4 GiB and its last 128 KiB below 1 MiB.
const BIOS_MIN: u64 = 128 << 10;
const BIOS_MAX: u64 = 4 << 20;
/// The space for option ROMs that a video BIOS may fill: 0xC0000 to 0xCFFFF.
const VGA_MAX: u64 = 64 << 10;
/// What fits between the local APICs' page and 4 GiB.
const FLASH_MAX: u64 = 16 << 20;
const PAGE: u64 = 4096;

const BIOS_NAME: &str = "bios-256k.bin";
const VGA_NAME: &str = "vgabios-stdvga.bin";

/// Directories of SeaBIOS and its video BIOS: Debian, Alpine and Gentoo; Fedora; Arch, openSUSE
/// and Void; QEMU built from source; NixOS; a Flatpak.
const BIOS_DIRECTORIES: [&str; 6] = [
    "usr/share/seabios",
    "usr/share/seavgabios",
    "usr/share/qemu",
    "usr/local/share/qemu",
    "run/current-system/sw/share/qemu",
    "app/share/qemu",
];

/// Directory and names of OVMF builds that need no system management mode, in case there are no
/// descriptors: Debian; Debian before 12, Alpine; Fedora; Arch; Gentoo; openSUSE; QEMU's own.
const UEFI_PAIRS: [(&str, &str, &str); 11] = [
    ("usr/share/OVMF", "OVMF_CODE_4M.fd", "OVMF_VARS_4M.fd"),
    ("usr/share/OVMF", "OVMF_CODE.fd", "OVMF_VARS.fd"),
    ("usr/share/edk2/ovmf", "OVMF_CODE.fd", "OVMF_VARS.fd"),
    ("usr/share/edk2/x64", "OVMF_CODE.4m.fd", "OVMF_VARS.4m.fd"),
    ("usr/share/edk2-ovmf/x64", "OVMF_CODE.fd", "OVMF_VARS.fd"),
    ("usr/share/edk2/OvmfX64", "OVMF_CODE.fd", "OVMF_VARS.fd"),
    ("usr/share/edk2-ovmf", "OVMF_CODE.fd", "OVMF_VARS.fd"),
    ("usr/share/qemu", "ovmf-x86_64-4m-code.bin", "ovmf-x86_64-4m-vars.bin"),
    ("usr/share/qemu", "ovmf-x86_64-code.bin", "ovmf-x86_64-vars.bin"),
    ("usr/share/qemu", "edk2-x86_64-code.fd", "edk2-i386-vars.fd"),
    ("usr/local/share/qemu", "edk2-x86_64-code.fd", "edk2-i386-vars.fd"),
];

/// Which firmware a machine boots with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FirmwareKind {
    /// SeaBIOS.
    Bios,
    /// OVMF.
    Uefi,
}

impl fmt::Display for FirmwareKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bios => "BIOS (SeaBIOS)",
            Self::Uefi => "UEFI (OVMF)",
        })
    }
}

/// Firmware read and checked, ready to be mapped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Firmware {
    /// A legacy BIOS.
    Bios {
        /// The image that ends at 4 GiB; a multiple of 4 KiB.
        image: Vec<u8>,
        /// The video BIOS for the Bochs display.
        vga_rom: Vec<u8>,
    },
    /// UEFI in two flash devices: the code ends at 4 GiB, the variables lie right below it.
    Uefi {
        /// Read-only code; a multiple of 4 KiB.
        code: Vec<u8>,
        /// What a new machine's variables start as; a multiple of 4 KiB.
        vars_template: Vec<u8>,
    },
}

impl Firmware {
    /// Which firmware this is.
    pub fn kind(&self) -> FirmwareKind {
        match self {
            Self::Bios { .. } => FirmwareKind::Bios,
            Self::Uefi { .. } => FirmwareKind::Uefi,
        }
    }
}

/// Where to look for firmware.
#[derive(Debug, Clone)]
pub struct SearchPath {
    /// Directories looked at first, for images under any of their usual names.
    extra: Vec<PathBuf>,
    /// What stands for `/`.
    root: PathBuf,
    /// The user's own descriptors, `$XDG_CONFIG_HOME/qemu/firmware`.
    user_descriptors: Option<PathBuf>,
}

impl SearchPath {
    /// This system: `BERTH_FIRMWARE_PATH`, `extra`, then the distribution's places.
    pub fn system(extra: impl IntoIterator<Item = PathBuf>) -> Self {
        let variable = std::env::var_os(PATH_VARIABLE).unwrap_or_default();
        let config = std::env::var_os("XDG_CONFIG_HOME")
            .map(PathBuf::from)
            .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".config")));
        Self {
            extra: split_path(&variable).chain(extra).collect(),
            root: "/".into(),
            user_descriptors: config.map(|config| config.join("qemu/firmware")),
        }
    }

    /// The system whose root directory is `root`, and nothing else.
    pub fn below(root: impl Into<PathBuf>) -> Self {
        Self { extra: Vec::new(), root: root.into(), user_descriptors: None }
    }

    /// Finds and reads firmware of `kind`.
    ///
    /// # Errors
    /// When none is installed, or the one that is cannot be read or used.
    pub fn find(&self, kind: FirmwareKind) -> Result<Firmware, FirmwareError> {
        let found = match kind {
            FirmwareKind::Bios => self.bios(),
            FirmwareKind::Uefi => self.uefi(),
        };
        let missing = || {
            let command = package::install_command(&self.root, kind);
            FirmwareError::Missing { kind, command }
        };
        found.unwrap_or_else(|| Err(missing()))
    }

    /// The video BIOS alone: OVMF has its own driver, but a directly booted kernel or a machine
    /// switched to BIOS may want it. `None` when it is not installed or not usable.
    pub fn vga_rom(&self) -> Option<Vec<u8>> {
        read_vga(&self.bios_file(VGA_NAME)?).ok()
    }

    fn bios_file(&self, name: &str) -> Option<PathBuf> {
        let known = BIOS_DIRECTORIES.iter().map(|directory| self.root.join(directory));
        self.extra.iter().cloned().chain(known).map(|dir| dir.join(name)).find(|path| path.exists())
    }

    fn bios(&self) -> Option<Result<Firmware, FirmwareError>> {
        let bios = self.bios_file(BIOS_NAME)?;
        // Without its video BIOS a machine would have a black screen: one without the other is
        // as good as neither.
        let vga = self.bios_file(VGA_NAME)?;
        Some(
            read_bios(&bios)
                .and_then(|image| Ok(Firmware::Bios { image, vga_rom: read_vga(&vga)? })),
        )
    }

    fn uefi(&self) -> Option<Result<Firmware, FirmwareError>> {
        let candidates = self.extra_pairs().chain(self.described_pairs()).chain(self.known_pairs());
        let mut refusal = None;
        for pair in candidates.filter(|pair| pair.code.exists() && pair.vars.exists()) {
            match read_uefi(&pair) {
                Ok(firmware) => return Some(Ok(firmware)),
                // Another may do; if none does, the best one's fault is what to report.
                Err(error) => refusal = refusal.or(Some(error)),
            }
        }
        refusal.map(Err)
    }

    fn extra_pairs(&self) -> impl Iterator<Item = UefiPair> {
        self.extra.iter().flat_map(|directory| {
            UEFI_PAIRS.iter().map(|(_, code, vars)| UefiPair {
                code: directory.join(code),
                vars: directory.join(vars),
            })
        })
    }

    fn described_pairs(&self) -> impl Iterator<Item = UefiPair> {
        let mut directories =
            vec![self.root.join("usr/share/qemu/firmware"), self.root.join("etc/qemu/firmware")];
        directories.extend(self.user_descriptors.clone());
        descriptor::uefi_pairs(&directories)
            .into_iter()
            .map(|pair| UefiPair { code: self.rooted(&pair.code), vars: self.rooted(&pair.vars) })
    }

    fn known_pairs(&self) -> impl Iterator<Item = UefiPair> {
        UEFI_PAIRS.iter().map(|(directory, code, vars)| {
            let directory = self.root.join(directory);
            UefiPair { code: directory.join(code), vars: directory.join(vars) }
        })
    }

    /// An absolute path that a descriptor names, below the root.
    fn rooted(&self, path: &Path) -> PathBuf {
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }
}

fn split_path(variable: &OsStr) -> impl Iterator<Item = PathBuf> {
    std::env::split_paths(variable).filter(|path| !path.as_os_str().is_empty())
}

/// Reads an image whose size is in `sizes` and a multiple of `unit`.
fn read_image(
    path: &Path,
    sizes: std::ops::RangeInclusive<u64>,
    unit: u64,
) -> Result<Vec<u8>, FirmwareError> {
    let unreadable = |source| FirmwareError::Unreadable { path: path.into(), source };
    let unusable = |reason| FirmwareError::Unusable { path: path.into(), reason };
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(unusable(text!("it is not a regular file")));
    }
    let size = metadata.len();
    if !sizes.contains(&size) || size % unit != 0 {
        return Err(unusable(text!("its size, {size} bytes, is not that of such an image", size)));
    }
    let mut image = Vec::new();
    file.take(size).read_to_end(&mut image).map_err(unreadable)?;
    if image.len() as u64 != size {
        return Err(unreadable(io::ErrorKind::UnexpectedEof.into()));
    }
    Ok(image)
}

fn read_bios(path: &Path) -> Result<Vec<u8>, FirmwareError> {
    read_image(path, BIOS_MIN..=BIOS_MAX, PAGE)
}

/// Reads a video BIOS: an option ROM as PCI 3.0 §6.3.1 has it, in units of 512 bytes.
fn read_vga(path: &Path) -> Result<Vec<u8>, FirmwareError> {
    let rom = read_image(path, 512..=VGA_MAX, 512)?;
    if !rom.starts_with(&[0x55, 0xaa]) {
        let reason = text!("it is not an option ROM");
        return Err(FirmwareError::Unusable { path: path.into(), reason });
    }
    Ok(rom)
}

fn read_uefi(pair: &UefiPair) -> Result<Firmware, FirmwareError> {
    let vars_template = read_image(&pair.vars, PAGE..=FLASH_MAX, PAGE)?;
    let room = FLASH_MAX - vars_template.len() as u64;
    let code = read_image(&pair.code, PAGE..=room, PAGE)?;
    Ok(Firmware::Uefi { code, vars_template })
}
