//! Guests with two disks for benchmarks, Berth's and its peer's.

use std::time::Duration;

use crate::{Berth, Debian, Qemu, Running, Side, create_image, overlay};

const LIMIT: Duration = Duration::from_secs(3000);

/// A bus for disks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bus {
    /// AHCI.
    Sata,
    /// A virtio function of its own for each, which QEMU serves from a thread of its own and by
    /// io_uring.
    Virtio,
}

impl Bus {
    fn name(self) -> &'static str {
        match self {
            Self::Sata => "sata",
            Self::Virtio => "virtio",
        }
    }

    /// How the guest's names of such disks begin.
    fn prefix(self) -> &'static str {
        match self {
            Self::Sata => "sd",
            Self::Virtio => "vd",
        }
    }
}

/// Sizes of the disks, in MiB.
#[derive(Debug, Clone, Copy)]
pub struct DiskSizes {
    /// Of the raw one.
    pub raw: usize,
    /// Of the qcow2 one; not the same.
    pub qcow2: usize,
}

/// A machine that starts, with the two disks on the bus of its system's.
#[derive(Debug)]
pub struct StartingDisks {
    running: Running,
    sizes: DiskSizes,
    bus: Bus,
    scratch: tempfile::TempDir,
}

impl StartingDisks {
    /// Starts a machine whose files are called after `name`.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn new(name: &str, side: Side, bus: Bus, sizes: DiskSizes) -> Self {
        let name = format!("{name}-{}", side.name());
        let scratch = tempfile::tempdir().expect("a folder for the disks");
        let system = overlay("disk.qcow2", scratch.path());
        let (raw, qcow2) = (scratch.path().join("raw"), scratch.path().join("qcow2"));
        create_image(&raw, "raw", &format!("{}M", sizes.raw));
        create_image(&qcow2, "qcow2", &format!("{}M", sizes.qcow2));
        let disks = [(&system, "qcow2"), (&raw, "raw"), (&qcow2, "qcow2")];
        let running = match side {
            Side::Berth => {
                let mut berth = Berth::boot_unlogged(&name, LIMIT).args(["--net", "none"]);
                for (disk, format) in disks {
                    let bus = bus.name();
                    let disk = format!("{},format={format},bus={bus}", disk.display());
                    berth = berth.arg("--disk").arg(disk);
                }
                berth.start()
            }
            Side::Peer => {
                let mut qemu = Qemu::q35(&name, LIMIT).args(["-m", "512"]);
                for (disk, format) in disks {
                    qemu = match bus {
                        Bus::Sata => qemu.disk(disk, format),
                        Bus::Virtio => qemu.virtio_disk(disk, format),
                    };
                }
                qemu.start()
            }
        };
        Self { running, sizes, bus, scratch }
    }

    /// Waits for its prompt.
    ///
    /// # Panics
    /// When it does not come, or a disk is not there.
    #[must_use]
    pub fn finish(mut self) -> DiskGuest {
        self.running.expect(Debian::PROMPT);
        let mut debian = Debian::at_prompt(self.running);
        // The guest names disks in the order in which they answer it.
        let mut device = |mebibytes: usize| {
            let (sectors, prefix) = (mebibytes * 2048, self.bus.prefix());
            debian.run(&format!("cd /sys/block; grep -lx {sectors} {prefix}*/size | cut -d/ -f1"))
        };
        let (raw, qcow2) = (device(self.sizes.raw), device(self.sizes.qcow2));
        DiskGuest { debian, raw, qcow2, _scratch: self.scratch }
    }
}

/// A guest with two disks to measure.
#[derive(Debug)]
pub struct DiskGuest {
    /// The guest, at its prompt.
    pub debian: Debian,
    /// Its name of the raw disk.
    pub raw: String,
    /// Its name of the qcow2 disk.
    pub qcow2: String,
    // Removed after the machine has ended.
    _scratch: tempfile::TempDir,
}
