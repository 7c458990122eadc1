//! The files that can be chosen.

use ui::backend::{Failure, Inspected};
use ui::fake::FakeBackend;
use vmm_core::block::Format;
use vmm_core::block::info::ImageInfo;
use vmm_core::media::osinfo::{OperatingSystem, Resources};
use vmm_core::media::{BootKinds, Found, Medium, Volume};
use vmm_core::units::Bytes;

/// A known system's installer.
pub(crate) const DEBIAN: &str = "/home/somebody/Downloads/debian-12.5.0-amd64-netinst.iso";
/// A medium that is not known and starts with a BIOS only.
pub(crate) const UNKNOWN: &str = "/home/somebody/Downloads/rescue.iso";
/// Data.
pub(crate) const DATA: &str = "/home/somebody/Downloads/holidays.iso";
/// No medium.
pub(crate) const BROKEN: &str = "/home/somebody/Downloads/half.iso";
/// What is wrong with it.
pub(crate) const WHY: &str =
    "“half.iso” is truncated: 4096 of 8192 bytes are there; download it again.";
/// A disk.
pub(crate) const IMAGE: &str = "/home/somebody/Disks/server.qcow2";

fn medium(path: &str, label: &str, boot: BootKinds, system: Option<OperatingSystem>) -> Inspected {
    let volume = Volume { label: label.into(), volume_id: label.into(), ..Volume::default() };
    let found = Medium { path: path.into(), size: Bytes::mib(629), volume, boot };
    Inspected { found: Found::Medium(found), system }
}

fn debian() -> OperatingSystem {
    let resources = |memory, cpus, storage| Resources {
        memory: Some(Bytes::gib(memory)),
        cpus: Some(cpus),
        storage: Some(Bytes::gib(storage)),
    };
    OperatingSystem {
        id: "http://debian.org/debian/12".into(),
        name: "Debian 12".into(),
        architecture: "x86_64".into(),
        live: false,
        installer: true,
        minimum: resources(1, 1, 10),
        recommended: resources(2, 2, 20),
        bios: None,
        uefi: Some(true),
        virtio: true,
    }
}

/// Puts the files where the wizard finds them.
pub(crate) fn add(backend: &FakeBackend) {
    let both = BootKinds { bios: true, uefi: true };
    let bios = BootKinds { bios: true, uefi: false };
    let label = "Debian 12.5.0 amd64 n";
    backend.add_file(DEBIAN, Ok(medium(DEBIAN, label, both, Some(debian()))));
    backend.add_file(UNKNOWN, Ok(medium(UNKNOWN, "RESCUE_7", bios, None)));
    backend.add_file(DATA, Ok(medium(DATA, "HOLIDAYS", BootKinds::default(), None)));
    backend.add_file(BROKEN, Err(Failure::new(WHY)));
    let image = ImageInfo {
        path: IMAGE.into(),
        format: Format::Qcow2,
        virtual_size: Bytes::gib(40),
        actual_size: Bytes::mib(7168),
        cluster_size: Some(Bytes::kib(64)),
        snapshots: 0,
        backing_name: None,
        backing: Vec::new(),
    };
    backend.add_file(IMAGE, Ok(Inspected { found: Found::Disk(image), system: None }));
}
