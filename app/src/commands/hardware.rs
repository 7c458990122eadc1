//! Options for what a machine is made of.

use clap::ValueEnum;
use rustix::system::sysinfo;
use vmm_core::definition::{self, MAX_CPUS, MEMORY_UNIT, MIN_MEMORY};
use vmm_core::text;
use vmm_core::units::Bytes;

/// Which firmware.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Firmware {
    /// SeaBIOS
    Bios,
    /// OVMF
    Uefi,
}

impl From<Firmware> for definition::Firmware {
    fn from(firmware: Firmware) -> Self {
        match firmware {
            Firmware::Bios => Self::Bios,
            Firmware::Uefi => Self::Uefi,
        }
    }
}

/// Reads a memory size that a machine on this host can have.
pub(crate) fn memory(size: &str) -> Result<Bytes, String> {
    let memory: Bytes = size.parse().map_err(|error| format!("{error}"))?;
    let host = host_memory();
    if memory < MIN_MEMORY {
        Err(text!("a machine needs at least {size}", size = MIN_MEMORY))
    } else if !memory.0.is_multiple_of(MEMORY_UNIT.0) {
        Err(text!("write a multiple of {size}", size = MEMORY_UNIT))
    } else if memory > host {
        Err(text!("this host has {size} M of memory; give the machine less", size = host.0 >> 20))
    } else {
        Ok(memory)
    }
}

/// Reads a number of processors.
pub(crate) fn cpus(number: &str) -> Result<u32, String> {
    number
        .parse()
        .ok()
        .filter(|number| (1..=MAX_CPUS).contains(number))
        .ok_or_else(|| text!("write a whole number from 1 to {max}", max = MAX_CPUS))
}

fn host_memory() -> Bytes {
    let info = sysinfo();
    Bytes(info.totalram.saturating_mul(u64::from(info.mem_unit)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_host_can_give_is_taken() {
        assert_eq!(memory("512M"), Ok(Bytes::mib(512)));
        for text in ["0", "63M", "65537K", "lots", "-1", "1000000G", ""] {
            assert!(memory(text).is_err(), "{text}");
        }
        assert_eq!((cpus("1"), cpus("64")), (Ok(1), Ok(64)));
        for text in ["0", "65", "1000", "two", "-1", "1.5", "99999999999"] {
            assert!(cpus(text).is_err(), "{text}");
        }
    }
}
