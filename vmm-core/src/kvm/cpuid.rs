//! The processor the guest sees: what KVM supports of the host's, with a topology of its own.
//!
//! Sources: Intel SDM vol. 2A (CPUID), AMD APM vol. 3 appendix E.

use kvm_bindings::{CpuId, KVM_CPUID_FLAG_SIGNIFCANT_INDEX, kvm_cpuid_entry2};

/// Makes `supported`, as KVM_GET_SUPPORTED_CPUID gives it, right for vCPU `id` of `count` in one
/// package of single-threaded cores. `deadline_timer` says whether KVM's local APIC has one, which
/// the supported list leaves open.
pub(super) fn for_vcpu(supported: &CpuId, id: u32, count: u32, deadline_timer: bool) -> CpuId {
    let mut cpuid = supported.clone();
    let amd = is_amd(supported);
    let id_bits = count.next_power_of_two().trailing_zeros();
    for entry in cpuid.as_mut_slice() {
        match (entry.function, entry.index) {
            (0x1, _) => basic_features(entry, id, count, deadline_timer),
            (0x4, _) => deterministic_cache(entry, count),
            (0xb | 0x1f, _) => extended_topology(entry, id, count, id_bits),
            (0x8000_0001, _) if amd => {
                // CmpLegacy: the package has more than one core; TopologyExtensions stays as
                // KVM reports it.
                entry.ecx = set_bit(entry.ecx, 1, count > 1);
            }
            (0x8000_0008, _) if amd => {
                entry.ecx = (entry.ecx & !0xf0ff) | (id_bits << 12) | (count - 1);
            }
            (0x8000_001d, _) => deterministic_cache_amd(entry, count),
            (0x8000_001e, _) => {
                // Extended APIC ID; one thread a core; one node.
                entry.eax = id;
                entry.ebx = id;
                entry.ecx = 0;
                entry.edx = 0;
            }
            _ => {}
        }
    }
    cpuid
}

/// What the processor calls itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Processor {
    /// Twelve letters (leaf 0), such as `GenuineIntel`.
    pub vendor: String,
    /// Up to 47 letters (leaves 0x80000002 to 4).
    pub name: String,
}

impl Processor {
    pub(super) fn of(cpuid: &CpuId) -> Self {
        let leaf = |function| cpuid.as_slice().iter().find(|e| e.function == function);
        let text = |words: Vec<u32>| {
            let bytes: Vec<u8> = words.into_iter().flat_map(u32::to_le_bytes).collect();
            let text = String::from_utf8_lossy(&bytes);
            text.trim_matches(['\0', ' ']).to_owned()
        };
        let vendor = leaf(0).map(|e| vec![e.ebx, e.edx, e.ecx]);
        let name = (0x8000_0002..=0x8000_0004)
            .filter_map(leaf)
            .flat_map(|e| [e.eax, e.ebx, e.ecx, e.edx])
            .collect();
        Self { vendor: text(vendor.unwrap_or_default()), name: text(name) }
    }
}

fn is_amd(cpuid: &CpuId) -> bool {
    const AUTH: u32 = u32::from_le_bytes(*b"Auth");
    const HYGO: u32 = u32::from_le_bytes(*b"Hygo");
    cpuid.as_slice().iter().any(|e| e.function == 0 && (e.ebx == AUTH || e.ebx == HYGO))
}

fn set_bit(word: u32, bit: u32, on: bool) -> u32 {
    (word & !(1 << bit)) | u32::from(on) << bit
}

fn basic_features(entry: &mut kvm_cpuid_entry2, id: u32, count: u32, deadline_timer: bool) {
    const CLFLUSH_64: u32 = 8 << 8;
    const HYPERVISOR: u32 = 31;
    const TSC_DEADLINE: u32 = 24;
    const HTT: u32 = 28;
    entry.ebx = (entry.ebx & 0xff) | CLFLUSH_64 | count << 16 | id << 24;
    entry.ecx = set_bit(entry.ecx, HYPERVISOR, true);
    entry.ecx = set_bit(entry.ecx, TSC_DEADLINE, deadline_timer);
    entry.edx = set_bit(entry.edx, HTT, count > 1);
}

/// Cores in the package, and which caches they share: the first two levels are a core's own.
fn deterministic_cache(entry: &mut kvm_cpuid_entry2, count: u32) {
    let cache_type = entry.eax & 0x1f;
    if cache_type == 0 {
        return;
    }
    let level = entry.eax >> 5 & 7;
    let sharing = if level >= 3 { count - 1 } else { 0 };
    let core_ids = count.next_power_of_two() - 1;
    entry.eax = (entry.eax & 0x3fff) | sharing << 14 | core_ids << 26;
}

fn deterministic_cache_amd(entry: &mut kvm_cpuid_entry2, count: u32) {
    if entry.eax & 0x1f == 0 {
        return;
    }
    let level = entry.eax >> 5 & 7;
    let sharing = if level >= 3 { count - 1 } else { 0 };
    entry.eax = (entry.eax & 0x3fff) | sharing << 14;
}

/// Level 0 is the thread (one a core), level 1 the core, and then the list ends.
fn extended_topology(entry: &mut kvm_cpuid_entry2, id: u32, count: u32, id_bits: u32) {
    entry.flags |= KVM_CPUID_FLAG_SIGNIFCANT_INDEX;
    entry.edx = id;
    (entry.eax, entry.ebx, entry.ecx) = match entry.index {
        0 => (0, 1, 1 << 8),
        1 => (id_bits, count, 2 << 8 | 1),
        n => (0, 0, n),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(function: u32, index: u32) -> kvm_cpuid_entry2 {
        kvm_cpuid_entry2 { function, index, ..Default::default() }
    }

    fn find(cpuid: &CpuId, function: u32, index: u32) -> kvm_cpuid_entry2 {
        *cpuid
            .as_slice()
            .iter()
            .find(|e| e.function == function && e.index == index)
            .expect("the leaf is there")
    }

    #[test]
    fn topology_agrees_across_leaves() {
        let mut cache = entry(4, 3);
        cache.eax = 3 | 3 << 5;
        let leaves = [entry(0, 0), entry(1, 0), cache, entry(0xb, 0), entry(0xb, 1), entry(0xb, 2)];
        let supported = CpuId::from_entries(&leaves).unwrap();
        let cpuid = for_vcpu(&supported, 5, 6, true);
        assert_eq!(find(&cpuid, 1, 0).ebx >> 24, 5);
        assert_eq!(find(&cpuid, 1, 0).ebx >> 16 & 0xff, 6);
        assert_eq!(find(&cpuid, 4, 3).eax >> 26, 7);
        assert_eq!(find(&cpuid, 4, 3).eax >> 14 & 0xfff, 5);
        assert_eq!(find(&cpuid, 0xb, 1).eax, 3);
        assert_eq!(find(&cpuid, 0xb, 1).ebx, 6);
        assert_eq!(find(&cpuid, 0xb, 0).edx, 5);
        assert_eq!(find(&cpuid, 0xb, 2).ecx, 2);
    }
}
