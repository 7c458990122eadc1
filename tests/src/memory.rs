//! What a process takes of memory, from `/proc/PID/smaps`.

use std::fs;

/// A mapping in a process.
#[derive(Debug, PartialEq)]
struct Mapping {
    /// In KiB.
    size: u64,
    /// Proportional set size, in KiB: pages shared by several count in part.
    pss: u64,
}

/// The proportional set size of process `id` without its guest's RAM of `ram` bytes, in MiB.
///
/// Guest RAM is the one mapping that is as large.
///
/// # Panics
/// When the process cannot be looked at, or not exactly one mapping is as large as guest RAM.
#[must_use]
pub fn beyond_guest_ram(id: u32, ram: u64) -> f64 {
    beyond_guests_ram(id, ram, 1)
}

/// The same of a process with several guests, each with so much RAM. The kernel may have made one
/// mapping of neighbours.
///
/// # Panics
/// When the process cannot be looked at, or not as many mappings are as large.
#[must_use]
pub fn beyond_guests_ram(id: u32, ram: u64, guests: u64) -> f64 {
    let path = format!("/proc/{id}/smaps");
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let (found, rest): (Vec<_>, Vec<_>) = parse(&text).into_iter().partition(|mapping| {
        let size = mapping.size * 1024;
        size > 0 && size.is_multiple_of(ram)
    });
    let found: u64 = found.iter().map(|mapping| mapping.size * 1024 / ram).sum();
    assert_eq!(found, guests, "{path}: which is guest RAM?");
    let rest: u64 = rest.iter().map(|mapping| mapping.pss).sum();
    // KiB of a process are far below 2^53, where f64 is exact.
    rest as f64 / 1024.0
}

/// The proportional set size of process `id`, in MiB: what it shares with others counts in part.
///
/// # Panics
/// When the process cannot be looked at.
#[must_use]
pub fn proportional(id: u32) -> f64 {
    let path = format!("/proc/{id}/smaps_rollup");
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let value = text.lines().find_map(|line| line.strip_prefix("Pss:"));
    // KiB of a process are far below 2^53, where f64 is exact.
    kib(value.expect("the kernel counts shares")) as f64 / 1024.0
}

fn parse(smaps: &str) -> Vec<Mapping> {
    let mut mappings: Vec<Mapping> = Vec::new();
    for line in smaps.lines() {
        let (key, value) = line.split_once(' ').unwrap_or((line, ""));
        match (key.strip_suffix(':'), mappings.last_mut()) {
            (Some("Size"), Some(mapping)) => mapping.size = kib(value),
            (Some("Pss"), Some(mapping)) => mapping.pss = kib(value),
            (Some(_), _) => {}
            // Addresses, permissions and name of the next.
            (None, _) => mappings.push(Mapping { size: 0, pss: 0 }),
        }
    }
    mappings
}

fn kib(value: &str) -> u64 {
    let number = value.trim().strip_suffix(" kB").and_then(|number| number.parse().ok());
    number.unwrap_or_else(|| panic!("no size: {value}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mappings_are_read() {
        let mappings = parse(concat!(
            "7f0000000000-7f0020000000 rw-p 00000000 00:00 0 \n",
            "Size:             524288 kB\n",
            "Pss:               70000 kB\n",
            "Pss_Dirty:         70000 kB\n",
            "VmFlags: rd wr sh \n",
            "7ffc00000000-7ffc00021000 rw-p 00000000 00:00 0 [stack]\n",
            "Size:                132 kB\n",
            "Pss:                  12 kB\n",
            "VmFlags: rd wr \n",
        ));
        let expected = [Mapping { size: 524_288, pss: 70_000 }, Mapping { size: 132, pss: 12 }];
        assert_eq!(mappings, expected);
    }
}
