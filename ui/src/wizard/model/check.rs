//! What is wrong, or to be said, about what was typed.

use gettextrs::{gettext, ngettext, npgettext};
use vmm_core::definition::{Firmware, Invalid, MIN_MEMORY, Name};
use vmm_core::media::BootKinds;
use vmm_core::units::Bytes;

use super::{Draft, Source};
use crate::wizard::size;

/// Below this no system can be installed; it is still a disk.
pub(in crate::wizard) const MIN_DISK: Bytes = Bytes::mib(64);
/// The largest that is offered, far from what the format can.
pub(in crate::wizard) const MAX_DISK: Bytes = Bytes::gib(16 << 10);
/// How much a remark matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::wizard) enum Weight {
    /// Good to know.
    Hint,
    /// Probably not what is wanted; it is possible, though.
    Warning,
    /// It cannot be so.
    Error,
}

/// A sentence about what was typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::wizard) struct Remark {
    pub(in crate::wizard) weight: Weight,
    pub(in crate::wizard) text: String,
}

impl Remark {
    pub(in crate::wizard) fn hint(text: impl Into<String>) -> Self {
        Self { weight: Weight::Hint, text: text.into() }
    }
    pub(in crate::wizard) fn warning(text: impl Into<String>) -> Self {
        Self { weight: Weight::Warning, text: text.into() }
    }
    pub(in crate::wizard) fn error(text: impl Into<String>) -> Self {
        Self { weight: Weight::Error, text: text.into() }
    }
}

/// What was typed, if it can be used, and what is to be said about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::wizard) struct Checked<T> {
    pub(in crate::wizard) value: Option<T>,
    pub(in crate::wizard) remark: Option<Remark>,
}

impl<T> Checked<T> {
    fn good(value: T, remark: Option<Remark>) -> Self {
        Self { value: Some(value), remark }
    }
    fn bad(text: impl Into<String>) -> Self {
        Self { value: None, remark: Some(Remark::error(text)) }
    }
}

impl Draft {
    /// What is to be said about the chosen file, once it has been read.
    pub(in crate::wizard) fn source_remark(&self) -> Option<Remark> {
        let chosen = self.chosen()?;
        let inspected = match chosen.holds.as_ref()? {
            Ok(inspected) => inspected,
            Err(failure) => return Some(Remark::error(failure.message.clone())),
        };
        if let Some((_, owner)) = self.around.disks.iter().find(|(disk, _)| *disk == chosen.path)
            && self.source == Source::Image
        {
            let text =
                gettext("This is a disk of “{name}”. Only one of the two can run at a time.");
            return Some(Remark::warning(text.replace("{name}", owner)));
        }
        if let Some(system) = inspected.system.as_ref().filter(|system| !system.runs_here()) {
            let text =
                gettext("It is made for another kind of processor ({kind}) and will not start.");
            return Some(Remark::warning(text.replace("{kind}", &system.architecture)));
        }
        let bootable = self.boot_kinds().is_none_or(BootKinds::any);
        (!bootable).then(|| {
            Remark::warning(gettext("Nothing can start from this image; it may hold data only."))
        })
    }

    pub(in crate::wizard) fn check_memory(&self) -> Checked<Bytes> {
        // A bare number is of GiB, but who writes 2048 on a computer with less means MiB.
        let typed = size::parse(&self.memory.value, Bytes::gib(1));
        let plain = self.memory.value.trim().bytes().all(|byte| byte.is_ascii_digit());
        let typed = match typed {
            Some(size) if plain && size >= Bytes::gib(128) && size > self.around.host.memory => {
                Some(Bytes(size.0 >> 10))
            }
            other => other,
        };
        let Some(memory) = typed else {
            return Checked::bad(gettext("Write a size, such as 2 GiB or 512 MiB."));
        };
        let memory = Bytes(memory.0 >> 20 << 20);
        let host = self.around.host.memory;
        if memory < MIN_MEMORY {
            let text = gettext("A machine needs at least {size}.");
            return Checked::bad(text.replace("{size}", &size::text(MIN_MEMORY)));
        }
        if memory > host {
            let text = gettext("This computer has {size}; a machine cannot have more.");
            return Checked::bad(text.replace("{size}", &size::text(host)));
        }
        Checked::good(memory, self.memory_remark(memory))
    }

    fn memory_remark(&self, memory: Bytes) -> Option<Remark> {
        let (host, held) = (self.around.host.memory, self.around.held_memory);
        if let Some(minimum) = self.minimum().memory.filter(|minimum| memory < *minimum) {
            let text = gettext("{system} needs at least {size} and may not start.");
            return Some(Remark::warning(self.about(&text, &size::text(minimum))));
        }
        if memory.0.saturating_add(held.0) > host.0 {
            let text = gettext(
                "Running machines hold {held} of {host}. All together, they have more than there \
                 is: things may become slow.",
            );
            let text = text.replace("{held}", &size::text(held));
            return Some(Remark::warning(text.replace("{host}", &size::text(host))));
        }
        if memory.0 > host.0 / 10 * 9 {
            let text = gettext("This leaves little of the {host} for this computer itself.");
            return Some(Remark::warning(text.replace("{host}", &size::text(host))));
        }
        self.recommended().memory.filter(|wanted| memory < *wanted).map(|wanted| {
            let text = gettext("{system} runs better with {size}.");
            Remark::hint(self.about(&text, &size::text(wanted)))
        })
    }

    pub(in crate::wizard) fn check_cpus(&self) -> Checked<u32> {
        let Some(cpus) = self.cpus.value.trim().parse::<u32>().ok().filter(|cpus| *cpus > 0) else {
            return Checked::bad(gettext("Write a whole number, 1 or more."));
        };
        let (host, most) = (self.around.host.cpus, self.most_cpus());
        if cpus > most {
            let text = if most < host {
                npgettext(
                    "processors",
                    "A machine can have {n}.",
                    "A machine can have at most {n}.",
                    most,
                )
            } else {
                npgettext(
                    "processors",
                    "This computer has {n}; a machine cannot have more.",
                    "This computer has {n}; a machine cannot have more.",
                    most,
                )
            };
            return Checked::bad(text.replace("{n}", &most.to_string()));
        }
        Checked::good(cpus, self.cpus_remark(cpus))
    }

    fn cpus_remark(&self, cpus: u32) -> Option<Remark> {
        let (host, held) = (self.around.host.cpus, self.around.held_cpus);
        if let Some(minimum) = self.minimum().cpus.filter(|minimum| cpus < *minimum) {
            let text = ngettext(
                "{system} needs at least {size} processor and may not start.",
                "{system} needs at least {size} processors and may not start.",
                minimum,
            );
            return Some(Remark::warning(self.about(&text, &minimum.to_string())));
        }
        // They take turns, which hurts only when all are busy.
        (cpus.saturating_add(held) > host && held > 0).then(|| {
            let text = gettext(
                "Running machines hold {held} of {host}. When all are busy, they have to take \
                 turns.",
            );
            let text = text.replace("{held}", &held.to_string());
            Remark::hint(text.replace("{host}", &host.to_string()))
        })
    }

    pub(in crate::wizard) fn check_disk(&self) -> Checked<Bytes> {
        let Some(disk) = size::parse(&self.disk.value, Bytes::gib(1)) else {
            return Checked::bad(gettext("Write a size, such as 32 GiB."));
        };
        let disk = Bytes(disk.0 >> 20 << 20);
        if disk < MIN_DISK {
            let text = gettext("A disk has at least {size}.");
            return Checked::bad(text.replace("{size}", &size::text(MIN_DISK)));
        }
        if disk > MAX_DISK {
            let text = gettext("A disk has at most {size}.");
            return Checked::bad(text.replace("{size}", &size::text(MAX_DISK)));
        }
        let free = self.around.storage.as_ref().and_then(|storage| storage.free);
        let short = free.filter(|free| *free < disk);
        if let Some(free) = short.filter(|_| self.preallocate) {
            let text =
                gettext("Only {free} are free. Choose a smaller size, or do not reserve it.");
            return Checked::bad(text.replace("{free}", &size::text(free)));
        }
        let remark = match (self.minimum().storage, short) {
            (Some(minimum), _) if disk < minimum => {
                let text = gettext("{system} needs at least {size} and may not install.");
                Some(Remark::warning(self.about(&text, &size::text(minimum))))
            }
            (_, Some(free)) => {
                let text =
                    gettext("Only {free} are free. The machine pauses when they are used up.");
                Some(Remark::warning(text.replace("{free}", &size::text(free))))
            }
            _ => self.recommended().storage.filter(|wanted| disk < *wanted).map(|wanted| {
                let text = gettext("{system} runs better with {size}.");
                Remark::hint(self.about(&text, &size::text(wanted)))
            }),
        };
        Checked::good(disk, remark)
    }

    pub(in crate::wizard) fn check_name(&self) -> Checked<Name> {
        let name = self.name.value.trim();
        if name.is_empty() {
            return Checked::bad(gettext("Give the machine a name."));
        }
        if self.around.names.iter().any(|taken| taken == name) {
            return Checked::bad(gettext("Another machine has this name already."));
        }
        match name.parse::<Name>() {
            Ok(name) => Checked::good(name, None),
            Err(Invalid::NameLong(_)) => {
                Checked::bad(gettext("This name is too long; 100 characters are the most."))
            }
            Err(_) => Checked::bad(gettext("A name cannot hold line breaks and the like.")),
        }
    }

    /// What is to be said about the firmware chosen.
    pub(in crate::wizard) fn firmware_remark(&self) -> Option<Remark> {
        let uefi = self.firmware.value == Firmware::Uefi;
        if let Some(boot) = self.boot_kinds().filter(|boot| boot.any()) {
            if uefi && !boot.uefi {
                return Some(Remark::warning(gettext("The medium starts with BIOS only.")));
            }
            if !uefi && !boot.bios {
                return Some(Remark::warning(gettext("The medium starts with UEFI only.")));
            }
        }
        let system = self.system()?;
        let supported = if uefi { system.uefi } else { system.bios };
        (supported == Some(false)).then(|| {
            let text = gettext("{system} does not start with this firmware.");
            Remark::warning(self.about(&text, ""))
        })
    }

    fn about(&self, text: &str, size: &str) -> String {
        let system = self.system().map_or("", |system| system.name.as_str());
        text.replace("{size}", size).replace("{system}", system)
    }
}
