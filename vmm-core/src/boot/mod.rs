//! Direct kernel boot.

/// A segment register's hidden part (Intel SDM vol. 3 §3.4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Segment {
    pub selector: u16,
    pub base: u64,
    pub limit: u32,
    pub kind: u8,
    pub code_or_data: bool,
    pub long: bool,
    pub default_32: bool,
    pub granularity_4k: bool,
}

/// What the processor is entered with.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct InitialRegisters {
    pub rip: u64,
    pub rsp: u64,
    pub rsi: u64,
    pub rbx: u64,
    pub cr0: u64,
    pub cr3: u64,
    pub cr4: u64,
    pub efer: u64,
    pub gdt_base: u64,
    pub gdt_limit: u16,
    pub code: Segment,
    pub data: Segment,
    pub task: Segment,
}
