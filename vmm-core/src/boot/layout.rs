//! Where boot structures lie in guest RAM.
//!
//! All are below 0x9FC00, in memory that the map calls usable: the kernel takes what it wants
//! from them before it uses that memory itself.

/// Global descriptor table.
pub(super) const GDT: u64 = 0x500;
/// Interrupt descriptor table: one empty entry.
pub(super) const IDT: u64 = 0x600;
/// PVH start information, and the list of modules behind it.
pub(super) const START_INFO: u64 = 0x6000;
pub(super) const MODULE_LIST: u64 = 0x6100;
/// Linux boot parameters, one page.
pub(super) const ZERO_PAGE: u64 = 0x7000;
/// PVH memory map, one page.
pub(super) const PVH_MEMORY_MAP: u64 = 0x8000;
/// The stack grows down from here, over one page.
pub(super) const STACK_TOP: u64 = 0xaff0;
/// Page tables: level 4, level 3, and four of level 2 that map 4 GiB one to one.
pub(super) const PML4: u64 = 0xb000;
pub(super) const PDPT: u64 = 0xc000;
pub(super) const PAGE_DIRECTORIES: u64 = 0xd000;
/// The command line and its longest length without the NUL.
pub(super) const COMMAND_LINE: u64 = 0x2_0000;
pub(super) const COMMAND_LINE_MAX: usize = 0xffff;

/// The extended BIOS data area: reserved, as every PC has it.
pub(super) const EBDA: u64 = 0x9_fc00;
/// End of conventional memory.
pub(super) const CONVENTIONAL_END: u64 = 0xa_0000;
/// Where [`crate::acpi::linked_at`] should link the tables: operating systems search here.
pub const ACPI_BASE: u32 = 0xe_0000;
/// Where SMBIOS data should be: operating systems search from here.
pub const SMBIOS_BASE: u32 = 0xf_0000;
/// Where RAM begins again, and kernels go.
pub(super) const KERNEL_BASE: u64 = 0x10_0000;
