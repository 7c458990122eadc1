//! The Linux boot protocol (Linux `Documentation/arch/x86/boot.rst`).

use std::fs::File;
use std::io::{Seek, SeekFrom};

use linux_loader::bootparam::{self, boot_e820_entry, boot_params, setup_header};
use vm_memory::{ByteValued, Bytes, GuestAddress};

use super::e820::E820Entry;
use super::error::Fault;
use super::initrd::Initrd;
use super::{Loaded, Protocol, layout};
use crate::memory::GuestRam;
use crate::text;

/// Where the setup header begins in the file and in the zero page.
const HEADER: usize = 0x1f1;
/// The header ends at 0x202 plus the byte at 0x201.
const HEADER_END_BASE: usize = 0x202;
const HEADER_END_BYTE: usize = 0x201;

const BOOT_FLAG: u16 = 0xaa55;
const MAGIC: u32 = u32::from_le_bytes(*b"HdrS");
/// 2.12, of 2013, brought the 64-bit entry point.
const MIN_VERSION: u16 = 0x020c;
const SECTOR: u64 = 512;
/// What 0 setup sectors mean.
const DEFAULT_SETUP_SECTORS: u8 = 4;
/// Boot loader type of loaders without a number of their own.
const LOADER_UNDEFINED: u8 = 0xff;
/// Ask for no video mode.
const VIDEO_NORMAL: u16 = 0xffff;
/// The 64-bit entry point's distance from the start of the kernel.
const ENTRY_64: u64 = 0x200;

/// A bzImage whose header has been checked.
#[derive(Debug, Clone, Copy)]
pub(super) struct BzImage {
    header: setup_header,
    /// Where in the file the kernel proper begins, and its size.
    payload: u64,
    payload_size: u64,
}

/// How a bzImage wants to be entered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Entry {
    Long64(u64),
    Protected32(u64),
}

impl BzImage {
    /// Reads the header from the first bytes of a file of `size` bytes. `None` when the file is
    /// no Linux kernel at all.
    pub(super) fn parse(head: &[u8], size: u64) -> Result<Option<Self>, Fault> {
        let magic_at = HEADER_END_BASE..HEADER_END_BASE + 4;
        if head.get(magic_at) != Some(&MAGIC.to_le_bytes()) {
            return Ok(None);
        }
        let mut header = setup_header::default();
        let end = HEADER_END_BASE + usize::from(head[HEADER_END_BYTE]);
        let bytes = head.get(HEADER..end).ok_or_else(Fault::truncated)?;
        // What a newer kernel adds is not ours to interpret, what an older one lacks stays zero.
        let known = bytes.len().min(size_of::<setup_header>());
        header.as_mut_slice()[..known].copy_from_slice(&bytes[..known]);

        let (flag, version, paragraphs) = (header.boot_flag, header.version, header.syssize);
        if flag != BOOT_FLAG {
            return Err(Fault::Invalid(text!("its boot sector is damaged")));
        }
        if version < MIN_VERSION {
            let (major, minor) = (version >> 8, version & 0xff);
            return Err(Fault::Invalid(text!(
                "it speaks version {version} of the Linux boot protocol, and 2.12 (Linux 3.8) is \
                 needed",
                version = format_args!("{major}.{minor:02}")
            )));
        }
        if header.loadflags & bootparam::LOADED_HIGH == 0 {
            return Err(Fault::Invalid(text!("it is a zImage, which only runs below 1 MiB")));
        }
        let sectors = match header.setup_sects {
            0 => DEFAULT_SETUP_SECTORS,
            sectors => sectors,
        };
        let payload = (u64::from(sectors) + 1) * SECTOR;
        let payload_size = size.checked_sub(payload).ok_or_else(Fault::truncated)?;
        // The kernel's own idea of its size, in units of 16 bytes; signed images are longer.
        if payload_size == 0 || payload_size < u64::from(paragraphs).saturating_sub(1) * 16 {
            return Err(Fault::truncated());
        }
        Ok(Some(Self { header, payload, payload_size }))
    }

    /// Reads the kernel into `ram`, whose first region ends at `low_end`.
    pub(super) fn load(
        self,
        ram: &GuestRam,
        file: &mut File,
        low_end: u64,
    ) -> Result<Loaded, Fault> {
        let end = self.memory_end();
        if end > 1 << 32 {
            return Err(Fault::Invalid(text!("its header asks for memory above 4 GiB")));
        }
        if end > low_end {
            return Err(Fault::TooLittleMemory(end));
        }
        file.seek(SeekFrom::Start(self.payload)).map_err(Fault::Read)?;
        // Below `end`, hence below 4 GiB.
        let len = self.payload_size as usize;
        ram.read_exact_volatile_from(GuestAddress(layout::KERNEL_BASE), file, len)
            .map_err(|error| Fault::Read(std::io::Error::other(error)))?;
        Ok(Loaded {
            protocol: Protocol::Linux(self),
            end,
            initrd_limit: u64::from(self.header.initrd_addr_max) + 1,
            command_line_max: self.header.cmdline_size as usize,
        })
    }

    /// End of the memory that the kernel occupies until it has unpacked itself, which it does at
    /// its preferred address or, when that is lower, where it was loaded.
    fn memory_end(&self) -> u64 {
        let loaded = layout::KERNEL_BASE.saturating_add(self.payload_size);
        let alignment = u64::from(self.header.kernel_alignment).max(1);
        let own = layout::KERNEL_BASE.next_multiple_of(alignment);
        let unpacked = own.max(self.header.pref_address);
        loaded.max(unpacked.saturating_add(self.header.init_size.into()))
    }

    pub(super) fn entry(&self) -> Entry {
        if self.header.xloadflags & bootparam::XLF_KERNEL_64 == 0 {
            Entry::Protected32(layout::KERNEL_BASE)
        } else {
            Entry::Long64(layout::KERNEL_BASE + ENTRY_64)
        }
    }

    /// The boot parameters for the kernel, with the command line at [`layout::COMMAND_LINE`].
    pub(super) fn zero_page(
        &self,
        initrd: Option<Initrd>,
        map: &[E820Entry],
        rsdp: u64,
    ) -> boot_params {
        let mut page = boot_params { hdr: self.header, acpi_rsdp_addr: rsdp, ..Default::default() };
        page.hdr.type_of_loader = LOADER_UNDEFINED;
        page.hdr.vid_mode = VIDEO_NORMAL;
        page.hdr.code32_start = layout::KERNEL_BASE as u32;
        page.hdr.cmd_line_ptr = layout::COMMAND_LINE as u32;
        // What the file holds here is not the loader's.
        page.hdr.setup_data = 0;
        page.hdr.ramdisk_image = initrd.map_or(0, |initrd| initrd.address);
        page.hdr.ramdisk_size = initrd.map_or(0, |initrd| initrd.size);
        let mut table = page.e820_table;
        let count = map.len().min(table.len());
        for (slot, entry) in table.iter_mut().zip(map) {
            *slot = boot_e820_entry {
                addr: entry.range.start,
                size: entry.len(),
                r#type: entry.kind as u32,
            };
        }
        page.e820_table = table;
        // At most 128.
        page.e820_entries = count as u8;
        page
    }
}
