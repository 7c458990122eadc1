//! What a PVH kernel is told (Xen `public/arch-x86/hvm/start_info.h`, version 1).

use linux_loader::start_info::{
    XEN_HVM_START_MAGIC_VALUE, hvm_memmap_table_entry, hvm_modlist_entry, hvm_start_info,
};
use vm_memory::{Bytes, GuestAddress, GuestMemoryError};

use super::e820::E820Entry;
use super::initrd::Initrd;
use super::layout;
use crate::memory::GuestRam;

/// The memory map has one page.
const MAP_MAX: usize = 4096 / size_of::<hvm_memmap_table_entry>();

/// Writes the start information to [`layout::START_INFO`], and what it points to.
pub(super) fn write_start_info(
    ram: &GuestRam,
    initrd: Option<Initrd>,
    map: &[E820Entry],
    rsdp: u64,
) -> Result<(), GuestMemoryError> {
    let count = map.len().min(MAP_MAX);
    let mut at = layout::PVH_MEMORY_MAP;
    for entry in &map[..count] {
        let entry = hvm_memmap_table_entry {
            addr: entry.range.start,
            size: entry.len(),
            // The kinds have the numbers of E820.
            type_: entry.kind as u32,
            reserved: 0,
        };
        ram.write_obj(entry, GuestAddress(at))?;
        at += size_of::<hvm_memmap_table_entry>() as u64;
    }
    if let Some(initrd) = initrd {
        let module = hvm_modlist_entry {
            paddr: initrd.address.into(),
            size: initrd.size.into(),
            ..Default::default()
        };
        ram.write_obj(module, GuestAddress(layout::MODULE_LIST))?;
    }
    let info = hvm_start_info {
        magic: XEN_HVM_START_MAGIC_VALUE,
        version: 1,
        nr_modules: initrd.is_some().into(),
        modlist_paddr: initrd.map_or(0, |_| layout::MODULE_LIST),
        cmdline_paddr: layout::COMMAND_LINE,
        rsdp_paddr: rsdp,
        memmap_paddr: layout::PVH_MEMORY_MAP,
        // At most 170.
        memmap_entries: count as u32,
        ..Default::default()
    };
    ram.write_obj(info, GuestAddress(layout::START_INFO))
}
