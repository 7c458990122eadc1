//! Device models: each a folder, each ignorant of the others and of KVM.

pub mod ahci;
pub mod debug_console;
mod disk_stats;
#[cfg(test)]
mod fake_disk;
pub mod flash;
pub mod fw_cfg;
pub mod i8042;
pub mod lpc;
pub mod rtc;
pub mod serial;
pub mod vga;
pub mod virtio;

pub use disk_stats::DiskStats;
