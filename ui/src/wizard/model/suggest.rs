//! What is suggested for what nobody has touched.

use gettextrs::gettext;
use vmm_core::definition::{DiskBus, Firmware, MAX_CPUS, MIN_MEMORY, Name};
use vmm_core::media::Found;
use vmm_core::media::osinfo::Resources;
use vmm_core::units::Bytes;

use super::{Draft, MAX_DISK, MIN_DISK};
use crate::wizard::size;

/// What a machine gets whose system is unknown.
const USUAL_MEMORY: Bytes = Bytes::gib(2);
const USUAL_CPUS: u32 = 2;
const USUAL_DISK: Bytes = Bytes::gib(32);

/// What xorriso, genisoimage and others call a medium that nobody gave a label.
const NO_LABELS: [&str; 4] = ["ISOIMAGE", "CDROM", "CD_ROM", "NEW"];

impl Draft {
    /// Brings up to date what nobody has touched.
    pub(in crate::wizard) fn suggest(&mut self) {
        let (memory, cpus, disk) =
            (self.suggested_memory(), self.suggested_cpus(), self.suggested_disk());
        self.memory.suggest(size::exact(memory));
        self.cpus.suggest(cpus.to_string());
        self.disk.suggest(size::exact(disk));
        let name = self.suggested_name();
        self.name.suggest(name);
        let firmware = self.suggested_firmware();
        self.firmware.suggest(firmware);
    }

    pub(in crate::wizard) fn minimum(&self) -> Resources {
        self.system().map(|system| system.minimum).unwrap_or_default()
    }

    pub(in crate::wizard) fn recommended(&self) -> Resources {
        self.system().map(|system| system.recommended).unwrap_or_default()
    }

    fn suggested_memory(&self) -> Bytes {
        let wanted = self.recommended().memory.unwrap_or(USUAL_MEMORY).max(MIN_MEMORY);
        // The host needs some of it for itself.
        let most = Bytes(self.around.host.memory.0 / 4 * 3);
        let least = self.minimum().memory.unwrap_or(MIN_MEMORY);
        let memory = wanted.min(most).max(least).min(self.around.host.memory).max(MIN_MEMORY);
        Bytes(memory.0 / MIN_MEMORY.0 * MIN_MEMORY.0)
    }

    fn suggested_cpus(&self) -> u32 {
        let wanted = self.recommended().cpus.unwrap_or(USUAL_CPUS).max(USUAL_CPUS);
        wanted.min(self.most_cpus())
    }

    /// As many as the host has, or a machine can.
    pub(in crate::wizard) fn most_cpus(&self) -> u32 {
        self.around.host.cpus.clamp(1, MAX_CPUS)
    }

    fn suggested_disk(&self) -> Bytes {
        let wanted = self.recommended().storage.unwrap_or(USUAL_DISK);
        size::round_up(wanted, Bytes::gib(1)).clamp(MIN_DISK, MAX_DISK)
    }

    fn suggested_firmware(&self) -> Firmware {
        let boot = self.boot_kinds().filter(|boot| boot.any());
        let system = self.system();
        let bios = boot.is_none_or(|boot| boot.bios)
            && system.and_then(|system| system.bios) != Some(false);
        let uefi = boot.is_none_or(|boot| boot.uefi)
            && system.and_then(|system| system.uefi) != Some(false);
        match (bios, uefi) {
            (true, false) => Firmware::Bios,
            _ => Firmware::Uefi,
        }
    }

    /// What every system has a driver for, unless the chosen one is known to have that for the
    /// faster.
    pub(super) fn disk_bus(&self) -> DiskBus {
        match self.system() {
            Some(system) if system.virtio => DiskBus::Virtio,
            _ => DiskBus::Sata,
        }
    }

    fn suggested_name(&self) -> String {
        let file_name = || Some(self.chosen()?.path.file_stem()?.to_string_lossy().into_owned());
        let label = || match &self.chosen()?.inspected()?.found {
            Found::Medium(medium) => Some(medium.volume.label.clone()),
            Found::Disk(_) => None,
        };
        let label = || label().filter(|label| !NO_LABELS.contains(&label.trim()));
        let candidates = [self.system().map(|system| system.name.clone()), label(), file_name()];
        let name = candidates.into_iter().flatten().find_map(|name| valid(&name));
        let name = name.unwrap_or_else(|| gettext("New Machine"));
        // As many names cannot all be taken.
        (1..=self.around.names.len() + 1)
            .map(|number| if number == 1 { name.clone() } else { format!("{name} {number}") })
            .find(|name| !self.around.names.contains(name))
            .unwrap_or(name)
    }
}

/// What of a text can be a name.
fn valid(text: &str) -> Option<String> {
    let text: String = text.replace(['_', '/'], " ").chars().filter(|c| !c.is_control()).collect();
    let short: String = text.trim().chars().take(60).collect();
    short.trim().parse::<Name>().ok().map(|name| name.to_string())
}
