//! What this host has for machines, and what it lacks.

use gettextrs::gettext;
use ui::backend::{Host, Problem};
use vmm_core::firmware::{FirmwareError, FirmwareKind, SearchPath};
use vmm_core::kvm::{self, KvmError};
use vmm_core::units::Bytes;

/// What this host has.
pub(super) fn host() -> Host {
    let memory = rustix::system::sysinfo();
    let unit = u64::from(memory.mem_unit.max(1));
    Host {
        memory: Bytes((memory.totalram as u64).saturating_mul(unit)),
        cpus: std::thread::available_parallelism().map_or(1, |n| n.get() as u32),
    }
}

/// What this host lacks. Opens files.
pub(super) fn problems() -> Vec<Problem> {
    let firmware = [FirmwareKind::Bios, FirmwareKind::Uefi]
        .into_iter()
        .filter_map(|kind| SearchPath::system([]).find(kind).err())
        .map(|error| no_firmware(&error));
    kvm::check().err().map(|error| no_kvm(&error)).into_iter().chain(firmware).collect()
}

fn no_kvm(error: &KvmError) -> Problem {
    match error {
        KvmError::Absent => Problem {
            title: gettext("Virtualization Is Not Available"),
            advice: gettext(
                "Switch on virtualization (VT-x or AMD-V) in the computer's firmware setup, then \
                 load the kernel's module:",
            ),
            command: Some("sudo modprobe kvm_intel || sudo modprobe kvm_amd".into()),
        },
        KvmError::Forbidden => Problem {
            title: gettext("No Permission to Use Virtualization"),
            advice: gettext("Join the group “kvm”, then log out and in again:"),
            command: Some("sudo usermod -aG kvm $USER".into()),
        },
        error => Problem {
            title: gettext("Virtualization Cannot Be Used"),
            advice: error.to_string(),
            command: None,
        },
    }
}

fn no_firmware(error: &FirmwareError) -> Problem {
    match error {
        FirmwareError::Missing { kind, command, .. } => Problem {
            title: match kind {
                FirmwareKind::Bios => gettext("No BIOS Firmware Is Installed"),
                FirmwareKind::Uefi => gettext("No UEFI Firmware Is Installed"),
            },
            advice: match command {
                Some(_) => gettext("Machines need firmware to start. Install it:"),
                None => gettext("Machines need firmware to start. Install SeaBIOS and OVMF."),
            },
            command: command.map(Into::into),
        },
        error => Problem {
            title: gettext("The Firmware Cannot Be Used"),
            advice: error.to_string(),
            command: None,
        },
    }
}
