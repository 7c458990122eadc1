//! `berth show`: what a machine is made of.

use std::path::Path;

use clap::Args;
use unicode_width::UnicodeWidthStr;
use vmm_core::block::info;
use vmm_core::definition::{Definition, Drive, Vm};
use vmm_core::machine::DriveConfig;
use vmm_core::text;
use vmm_core::units::Bytes;

use super::columns::padded;
use super::{Result, print, store};
use crate::report::Outcome;

/// Show what a machine is made of
#[derive(Debug, Args)]
pub(crate) struct Show {
    /// What it is called
    name: String,
}

/// The least that a field's name takes.
const NAMES: usize = 10;

impl Show {
    pub(crate) fn run(self) -> Result<Outcome> {
        let vm = store()?.load(&self.name)?;
        let fields = fields(&vm);
        let widths = fields.iter().map(|(name, _)| name.width());
        let names = widths.max().unwrap_or_default().max(NAMES);
        let line = |(name, value): &(String, String)| format!("{} {value}", padded(name, names));
        print(&fields.iter().map(line).collect::<Vec<_>>())?;
        Ok(Outcome::Done)
    }
}

/// What there is to tell, each with its name.
fn fields(vm: &Vm) -> Vec<(String, String)> {
    let definition = vm.definition();
    let state = if vm.is_running() { text!("running") } else { text!("off") };
    let mut fields = vec![
        (text!("Name"), definition.name.to_string()),
        (text!("State"), state),
        (text!("Identity"), definition.uuid.to_string()),
        (text!("Memory"), definition.memory.to_string()),
        (text!("CPUs"), definition.cpus.to_string()),
        (text!("Firmware"), definition.firmware.to_string()),
    ];
    for (number, text) in drives(vm).into_iter().enumerate() {
        fields.push((text!("Drive {n}", n = number + 1), text));
    }
    fields.push((text!("Network"), network(definition)));
    fields.push((text!("Folder"), vm.folder().display().to_string()));
    for (number, line) in definition.notes.lines().enumerate() {
        let name = if number == 0 { text!("Notes") } else { String::new() };
        fields.push((name, line.to_owned()));
    }
    fields
}

/// The network card in words.
fn network(definition: &Definition) -> String {
    let Some(network) = definition.network.as_ref().filter(|network| network.enabled) else {
        return text!("none");
    };
    let mut facts = vec![text!("card {address}", address = network.mac)];
    if let Some(tap) = &network.tap {
        facts.push(text!("TAP device {name}", name = tap));
        return list(&facts);
    }
    facts.extend(network.forwards.iter().map(|forward| text!("forward {forward}", forward)));
    if network.reach_host {
        facts.push(text!("reaches localhost"));
    }
    list(&facts)
}

/// Facts one after the other.
fn list(facts: &[String]) -> String {
    let one_more = |list: String, fact: &String| text!("{list}, {fact}", list, fact);
    let (first, others) = facts.split_first().map_or(("", facts), |(first, rest)| (first, rest));
    others.iter().fold(first.to_owned(), one_more)
}

/// Each drive in words. An image that cannot be used is said to be so: that is why one looks.
fn drives(vm: &Vm) -> Vec<String> {
    let definition = vm.definition();
    let drives = definition.drives.iter().zip(vm.machine_config().drives);
    let facts = drives.enumerate().map(|(index, (drive, config))| {
        let mut facts = match config {
            DriveConfig::Disk { path, .. } => vec![disk(drive, &path)],
            DriveConfig::Optical { medium: Some(medium) } => vec![optical(&medium)],
            DriveConfig::Optical { medium: None } => vec![text!("optical, empty")],
        };
        if definition.boot_first == Some(index) {
            facts.push(text!("started from first"));
        }
        list(&facts)
    });
    facts.collect()
}

fn disk(drive: &Drive, path: &Path) -> String {
    let mut facts = Vec::new();
    let mut known = None;
    if let Drive::Disk { format, read_only, bus, .. } = drive {
        facts.push(text!("{format} on {bus}", format, bus));
        facts.extend(read_only.then(|| text!("read-only")));
        known = Some(*format);
    }
    facts.push(match info::info(path, known) {
        Ok(image) => {
            let (size, used) = (image.virtual_size, rounded(image.actual_size));
            text!("{size}, takes up {used}", size, used)
        }
        Err(error) => text!("unusable: {reason}", reason = error),
    });
    text!("disk {path} ({facts})", path = path.display(), facts = list(&facts))
}

fn optical(medium: &Path) -> String {
    let path = medium.display();
    if medium.exists() {
        text!("optical, {path}", path)
    } else {
        text!("optical, {path} (which is not there)", path)
    }
}

/// A size to the next MiB, or KiB if it is small.
fn rounded(size: Bytes) -> Bytes {
    let unit = if size < Bytes::mib(1) { 1 << 10 } else { 1 << 20 };
    Bytes(size.0.next_multiple_of(unit))
}
