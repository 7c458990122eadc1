//! An x86-64 PC on KVM, as a library.
//!
//! What lives here: the machine (Q35 and ICH9 with the devices stock firmware and operating
//! systems expect), its disks, its firmware, its definition on disk, and the threads that run it.
//! What does not: anything that draws, prints or exits. Front ends own a [`machine::Machine`],
//! send it commands and receive its events.

pub mod acpi;
pub mod block;
pub mod boot;
pub mod bus;
pub mod chipset;
pub mod clock;
pub mod definition;
pub mod devices;
pub mod display;
pub mod download;
pub mod firmware;
#[cfg(test)]
pub(crate) mod fuzz;
pub mod interrupt;
pub mod kvm;
pub mod machine;
pub mod media;
pub mod memory;
pub mod net;
pub mod pci;
pub mod request;
pub mod sentence;
pub mod smbios;
pub mod state;
pub mod text;
pub mod thread;
pub mod timer;
pub mod units;
