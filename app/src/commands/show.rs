//! `berth show`: what a machine is made of.

use clap::Args;
use vmm_core::block::info;
use vmm_core::definition::{Definition, Drive, Vm};
use vmm_core::machine::DriveConfig;
use vmm_core::units::Bytes;

use super::{Result, print, store};
use crate::report::Outcome;

/// Show what a machine is made of
#[derive(Debug, Args)]
pub(crate) struct Show {
    /// What it is called
    name: String,
}

impl Show {
    pub(crate) fn run(self) -> Result<Outcome> {
        let vm = store()?.load(&self.name)?;
        let definition = vm.definition();
        let mut lines = vec![
            field("Name", &definition.name),
            field("State", if vm.is_running() { "running" } else { "off" }),
            field("Identity", definition.uuid),
            field("Memory", definition.memory),
            field("CPUs", definition.cpus),
            field("Firmware", definition.firmware),
        ];
        for (number, text) in drives(&vm).into_iter().enumerate() {
            lines.push(field(&format!("Drive {}", number + 1), text));
        }
        lines.push(field("Network", network(definition)));
        lines.push(field("Folder", vm.folder().display()));
        for (number, line) in definition.notes.lines().enumerate() {
            lines.push(field(if number == 0 { "Notes" } else { "" }, line));
        }
        print(&lines)?;
        Ok(Outcome::Done)
    }
}

/// The network card in words.
fn network(definition: &Definition) -> String {
    let Some(network) = definition.network.as_ref().filter(|network| network.enabled) else {
        return "none".to_owned();
    };
    let mut text = format!("card {}", network.mac);
    if let Some(tap) = &network.tap {
        text.push_str(&format!(", TAP device {tap}"));
        return text;
    }
    for forward in &network.forwards {
        text.push_str(&format!(", forward {forward}"));
    }
    if network.reach_host {
        text.push_str(", reaches localhost");
    }
    text
}

fn field(name: &str, value: impl std::fmt::Display) -> String {
    format!("{name:<10} {value}")
}

/// Each drive in words. An image that cannot be used is said to be so: that is why one looks.
fn drives(vm: &Vm) -> Vec<String> {
    let definition = vm.definition();
    let paths = vm.machine_config().drives;
    let texts = definition.drives.iter().zip(paths).enumerate().map(|(index, (drive, config))| {
        let mut text = match (drive, config) {
            (Drive::Disk { format, read_only, bus, .. }, DriveConfig::Disk { path, .. }) => {
                let state = match info::info(&path, Some(*format)) {
                    Ok(image) => {
                        format!("{}, takes up {}", image.virtual_size, rounded(image.actual_size))
                    }
                    Err(error) => format!("unusable: {error}"),
                };
                let read_only = if *read_only { ", read-only" } else { "" };
                format!("disk {} ({format} on {bus}{read_only}, {state})", path.display())
            }
            (_, DriveConfig::Optical { medium: Some(medium) }) => {
                let missing = if medium.exists() { "" } else { " (which is not there)" };
                format!("optical, {}{missing}", medium.display())
            }
            _ => "optical, empty".to_owned(),
        };
        if definition.boot_first == Some(index) {
            text.push_str(", started from first");
        }
        text
    });
    texts.collect()
}

/// A size to the next MiB, or KiB if it is small.
fn rounded(size: Bytes) -> Bytes {
    let unit = if size < Bytes::mib(1) { 1 << 10 } else { 1 << 20 };
    Bytes(size.0.next_multiple_of(unit))
}
