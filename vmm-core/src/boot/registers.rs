//! The state the first vCPU starts in, with its descriptor and page tables.

use vm_memory::{Bytes, GuestAddress};

use super::bzimage::{BzImage, Entry};
use super::{BootError, layout};
use crate::memory::GuestRam;

/// A segment register with its hidden part (Intel SDM vol. 3 §3.4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// The visible part.
    pub selector: u16,
    /// Linear base.
    pub base: u32,
    /// Limit in bytes.
    pub limit: u32,
    /// Type, S, DPL and P: bits 8 to 15 of a descriptor's upper half.
    pub access: u8,
    /// AVL, L, D/B and G: bits 20 to 23 of a descriptor's upper half.
    pub flags: u8,
}

impl Segment {
    /// The descriptor for the global descriptor table (Intel SDM vol. 3 §3.4.5).
    pub fn descriptor(self) -> u64 {
        const GRANULARITY: u8 = 1 << 3;
        let limit = if self.flags & GRANULARITY == 0 { self.limit } else { self.limit >> 12 };
        let (base, limit) = (u64::from(self.base), u64::from(limit));
        (limit & 0xffff)
            | (base & 0xff_ffff) << 16
            | u64::from(self.access) << 40
            | (limit >> 16 & 0xf) << 48
            | u64::from(self.flags & 0xf) << 52
            | (base >> 24) << 56
    }

    fn flat(selector: u16, access: u8, flags: u8) -> Self {
        Self { selector, base: 0, limit: u32::MAX, access, flags }
    }
}

/// GDTR or IDTR.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DescriptorTable {
    /// Linear base.
    pub base: u64,
    /// Last valid byte.
    pub limit: u16,
}

/// What the first vCPU's registers must hold. Those not named are zero, but for the fixed bits
/// of RFLAGS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InitialRegisters {
    /// Where it starts.
    pub rip: u64,
    /// A stack of one page.
    pub rsp: u64,
    /// Linux: the boot parameters.
    pub rsi: u64,
    /// PVH: the start information.
    pub rbx: u64,
    /// RFLAGS: bit 1, which is always set.
    pub rflags: u64,
    /// CR0.
    pub cr0: u64,
    /// CR3.
    pub cr3: u64,
    /// CR4.
    pub cr4: u64,
    /// The extended feature enable register.
    pub efer: u64,
    /// Global descriptor table.
    pub gdt: DescriptorTable,
    /// Interrupt descriptor table.
    pub idt: DescriptorTable,
    /// CS.
    pub code: Segment,
    /// DS, ES, FS, GS and SS.
    pub data: Segment,
    /// The task register.
    pub task: Segment,
}

const CR0_PE: u64 = 1 << 0;
const CR0_ET: u64 = 1 << 4;
const CR0_PG: u64 = 1 << 31;
const CR4_PAE: u64 = 1 << 5;
const EFER_LME: u64 = 1 << 8;
const EFER_LMA: u64 = 1 << 10;
const RFLAGS_FIXED: u64 = 1 << 1;

/// Selectors that the Linux boot protocol prescribes.
const CODE_SELECTOR: u16 = 0x10;
const DATA_SELECTOR: u16 = 0x18;
const TASK_SELECTOR: u16 = 0x20;

/// Present, code or data, read and execute, accessed; and read and write, accessed.
const CODE_ACCESS: u8 = 0x9b;
const DATA_ACCESS: u8 = 0x93;
/// Present, busy 32-bit or 64-bit task state segment.
const TASK_ACCESS: u8 = 0x8b;
/// Granularity of 4 KiB with 32-bit or 64-bit default.
const FLAGS_32: u8 = 0b1100;
const FLAGS_64: u8 = 0b1010;

fn task() -> Segment {
    Segment { selector: TASK_SELECTOR, base: 0, limit: 0x67, access: TASK_ACCESS, flags: 0 }
}

/// Writes the descriptor tables and returns where they are.
fn write_tables(
    ram: &GuestRam,
    code: Segment,
    data: Segment,
) -> Result<(DescriptorTable, DescriptorTable), BootError> {
    // In 64-bit mode the task's descriptor takes two entries.
    let gdt = [0, 0, code.descriptor(), data.descriptor(), task().descriptor(), 0];
    for (index, descriptor) in (0u64..).zip(gdt) {
        ram.write_obj(descriptor, GuestAddress(layout::GDT + index * 8))?;
    }
    ram.write_obj(0u64, GuestAddress(layout::IDT))?;
    let table = |base, entries: u16| DescriptorTable { base, limit: entries * 8 - 1 };
    Ok((table(layout::GDT, 6), table(layout::IDT, 1)))
}

/// Writes page tables that map the first 4 GiB one to one, in pages of 2 MiB.
fn write_page_tables(ram: &GuestRam) -> Result<(), BootError> {
    const PRESENT_WRITABLE: u64 = 0b11;
    const LARGE: u64 = 1 << 7;
    const DIRECTORIES: u64 = 4;
    const ENTRIES: u64 = 512;
    ram.write_slice(&[0; 4096], GuestAddress(layout::PML4))?;
    ram.write_slice(&[0; 4096], GuestAddress(layout::PDPT))?;
    ram.write_obj(layout::PDPT | PRESENT_WRITABLE, GuestAddress(layout::PML4))?;
    for directory in 0..DIRECTORIES {
        let entry = (layout::PAGE_DIRECTORIES + directory * 4096) | PRESENT_WRITABLE;
        ram.write_obj(entry, GuestAddress(layout::PDPT + directory * 8))?;
    }
    for page in 0..DIRECTORIES * ENTRIES {
        let entry = page << 21 | LARGE | PRESENT_WRITABLE;
        ram.write_obj(entry, GuestAddress(layout::PAGE_DIRECTORIES + page * 8))?;
    }
    Ok(())
}

/// Protected mode without paging.
fn protected(ram: &GuestRam, rip: u64) -> Result<InitialRegisters, BootError> {
    let code = Segment::flat(CODE_SELECTOR, CODE_ACCESS, FLAGS_32);
    let data = Segment::flat(DATA_SELECTOR, DATA_ACCESS, FLAGS_32);
    let (gdt, idt) = write_tables(ram, code, data)?;
    Ok(InitialRegisters {
        rip,
        rsp: layout::STACK_TOP,
        rsi: 0,
        rbx: 0,
        rflags: RFLAGS_FIXED,
        cr0: CR0_PE | CR0_ET,
        cr3: 0,
        cr4: 0,
        efer: 0,
        gdt,
        idt,
        code,
        data,
        task: task(),
    })
}

/// For the Linux boot protocol: 64-bit where the kernel has such an entry point.
pub(super) fn linux(ram: &GuestRam, image: &BzImage) -> Result<InitialRegisters, BootError> {
    let rsi = layout::ZERO_PAGE;
    let rip = match image.entry() {
        Entry::Protected32(rip) => return Ok(InitialRegisters { rsi, ..protected(ram, rip)? }),
        Entry::Long64(rip) => rip,
    };
    write_page_tables(ram)?;
    let code = Segment::flat(CODE_SELECTOR, CODE_ACCESS, FLAGS_64);
    let base = protected(ram, rip)?;
    let (gdt, idt) = write_tables(ram, code, base.data)?;
    Ok(InitialRegisters {
        rsi,
        code,
        gdt,
        idt,
        cr0: base.cr0 | CR0_PG,
        cr3: layout::PML4,
        cr4: CR4_PAE,
        efer: EFER_LME | EFER_LMA,
        ..base
    })
}

/// For PVH (Xen `docs/misc/pvh.pandoc`).
pub(super) fn pvh(ram: &GuestRam, entry: u32) -> Result<InitialRegisters, BootError> {
    Ok(InitialRegisters { rbx: layout::START_INFO, ..protected(ram, entry.into())? })
}
