//! Direct kernel boot: without firmware, straight into a bzImage or a PVH ELF file.
//!
//! What lives here: reading and checking the kernel and its initial RAM disk, placing them and
//! what they need to know (memory map, command line, ACPI tables) in guest RAM, and the registers
//! the first vCPU starts with. What does not: setting those registers, and putting the chipset
//! into the state that firmware would (the machine does both).

mod bzimage;
pub mod e820;
mod elf;
mod error;
mod initrd;
mod layout;
mod pvh;
mod registers;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

use vm_memory::{Bytes, GuestAddress};

pub use error::BootError;
pub use layout::{ACPI_BASE, SMBIOS_BASE};
pub use registers::{DescriptorTable, InitialRegisters, Segment};

use crate::acpi::AcpiImage;
use crate::memory::GuestRam;
use crate::text;

/// What to boot.
#[derive(Debug, Clone, Copy)]
pub struct DirectBoot<'a> {
    /// The kernel: a bzImage, or an ELF file with a PVH entry point.
    pub kernel: &'a Path,
    /// The initial RAM disk.
    pub initrd: Option<&'a Path>,
    /// The kernel's command line.
    pub command_line: &'a str,
}

/// What firmware would have told the kernel of the platform.
#[derive(Debug, Clone, Copy)]
pub struct Platform<'a> {
    /// ACPI tables linked for [`ACPI_BASE`].
    pub acpi: &'a AcpiImage,
    /// SMBIOS entry point and structures made for [`SMBIOS_BASE`].
    pub smbios: Option<&'a [u8]>,
    /// Ranges that are not RAM and that nothing may be put over: the configuration window, and
    /// what the virtual machine monitor keeps for itself.
    pub reserved: &'a [Range<u64>],
}

/// A kernel in RAM: how it wants to be entered.
struct Loaded {
    protocol: Protocol,
    /// End of the memory that the kernel needs to unpack itself.
    end: u64,
    /// Highest address at which an initial RAM disk may end, exclusive.
    initrd_limit: u64,
    /// Longest command line, without its NUL.
    command_line_max: usize,
}

enum Protocol {
    Linux(bzimage::BzImage),
    Pvh { entry: u32 },
}

/// Enough of a file to tell what it is: the setup header ends at 0x26C.
const HEAD: usize = 1024;

impl DirectBoot<'_> {
    /// Places everything in `ram`, which must begin at 0 and is otherwise left as it is, and
    /// returns what the first vCPU's registers must hold.
    ///
    /// # Errors
    /// When a file cannot be read, is not what it should be, or RAM is too small for it.
    pub fn load(&self, ram: &GuestRam, platform: &Platform) -> Result<InitialRegisters, BootError> {
        let low_end = e820::low_ram_end(ram);
        if low_end <= layout::KERNEL_BASE {
            return Err(BootError::TooLittleMemory { needed: layout::KERNEL_BASE + 1 });
        }
        let kernel = self.load_kernel(ram, low_end)?;
        self.check_command_line(kernel.command_line_max)?;
        let initrd = match self.initrd {
            Some(path) => {
                let limit = kernel.initrd_limit.min(low_end);
                Some(initrd::load(ram, path, kernel.end..limit)?)
            }
            None => None,
        };

        let write = |bytes: &[u8], at: u64| ram.write_slice(bytes, GuestAddress(at));
        let mut command_line = self.command_line.as_bytes().to_vec();
        command_line.push(0);
        write(&command_line, layout::COMMAND_LINE)?;
        write(&platform.acpi.bytes, platform.acpi.base.into())?;
        write(platform.smbios.unwrap_or_default(), SMBIOS_BASE.into())?;

        let map = e820::kernel_map(ram, platform.reserved);
        let rsdp = u64::from(platform.acpi.base);
        match kernel.protocol {
            Protocol::Linux(image) => {
                let page = image.zero_page(initrd, &map, rsdp);
                ram.write_obj(page, GuestAddress(layout::ZERO_PAGE))?;
                registers::linux(ram, &image)
            }
            Protocol::Pvh { entry } => {
                pvh::write_start_info(ram, initrd, &map, rsdp)?;
                registers::pvh(ram, entry)
            }
        }
    }

    fn load_kernel(&self, ram: &GuestRam, low_end: u64) -> Result<Loaded, BootError> {
        let path = self.kernel;
        let (mut file, size) = open(path)?;
        let mut head = vec![0; HEAD.min(usize::try_from(size).unwrap_or(HEAD))];
        file.read_exact_at(&mut head, 0)
            .map_err(|source| BootError::Unreadable { path: path.into(), source })?;
        let unusable = |reason: String| BootError::NotAKernel { path: path.into(), reason };
        if head.starts_with(b"\x7fELF") {
            return elf::load(ram, &mut file, size, low_end).map_err(|fault| fault.at(path));
        }
        if let Some(image) = bzimage::BzImage::parse(&head, size).map_err(|fault| fault.at(path))? {
            return image.load(ram, &mut file, low_end).map_err(|fault| fault.at(path));
        }
        Err(unusable(describe(&head)))
    }

    fn check_command_line(&self, max: usize) -> Result<(), BootError> {
        let max = max.min(layout::COMMAND_LINE_MAX);
        let len = self.command_line.len();
        if len > max {
            return Err(BootError::CommandLineTooLong { len, max });
        }
        if self.command_line.contains('\0') {
            return Err(BootError::CommandLineNul);
        }
        Ok(())
    }
}

/// Opens a regular file that is not empty; returns it with its size.
fn open(path: &Path) -> Result<(File, u64), BootError> {
    let unreadable = |source| BootError::Unreadable { path: path.into(), source };
    let file = File::open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(BootError::NotAFile { path: path.into() });
    }
    if metadata.len() == 0 {
        return Err(BootError::Empty { path: path.into() });
    }
    Ok((file, metadata.len()))
}

/// What a file that is not a kernel seems to be.
fn describe(head: &[u8]) -> String {
    /// Linux `Documentation/arch/arm64/booting.rst`; and riscv's `boot-image-header.rst`.
    const ARM64: (usize, &[u8]) = (0x38, b"ARM\x64");
    const RISCV: (usize, &[u8]) = (0x38, b"RSC\x05");
    let has = |(at, magic): (usize, &[u8])| head.get(at..).is_some_and(|s| s.starts_with(magic));
    if has(ARM64) {
        text!("it is a kernel for 64-bit ARM, not x86")
    } else if has(RISCV) {
        text!("it is a kernel for RISC-V, not x86")
    } else if has((0x24, &[0x18, 0x28, 0x6f, 0x01])) {
        text!("it is a kernel for 32-bit ARM, not x86")
    } else if has((0, &[0x1f, 0x8b])) || has((0, b"\xfd7zXZ")) || has((0, b"\x28\xb5\x2f\xfd")) {
        text!("it is a compressed file; unpack it first")
    } else {
        text!("it is neither a Linux bzImage nor an ELF file")
    }
}
