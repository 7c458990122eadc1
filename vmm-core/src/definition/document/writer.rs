//! Writing a definition, touching nothing but what changed.

use std::path::Path;

use toml_edit::{Array, ArrayOfTables, DocumentMut, Item, Table, TableLike, TomlError, Value};

use super::reader::Reader;
use super::*;
use crate::block::Format;
use crate::definition::error::DefinitionError;
use crate::definition::model::{Definition, DiskBus, Drive, Network};

/// What a new definition begins with.
const HEADER: &str = "\
# A virtual machine of Berth. You may edit this file while the machine is off;
# comments and keys that Berth does not know are kept.

";

/// What stands above the drives of a new definition.
const DRIVES: &str = "
# Drives in the order in which they are started from, unless one has “boot-first = true”. A file
# without a leading slash is in this folder. A disk is on “virtio” or, without a “bus”, on “sata”.
";

/// What stands above the network card of a new definition.
const NETWORK_HEADER: &str = "
# The network card. “forwards” are ports of this computer that lead into the machine, such as
# \"2222:22\"; “reach-host” lets the machine reach services that listen on localhost.
# “tap = \"tap0\"” connects it to a TAP device of this computer's instead.
";

/// The text of a new definition.
///
/// # Errors
/// When a file name is not UTF-8.
pub(in crate::definition) fn write(definition: &Definition) -> Result<String, DefinitionError> {
    let mut document = DocumentMut::new();
    let table = document.as_table_mut();
    table.insert(VERSION_KEY, toml_edit::value(VERSION));
    table.insert(NAME, toml_edit::value(definition.name.as_str()));
    table.insert(UUID, toml_edit::value(definition.uuid.to_string()));
    table.insert(MEMORY, toml_edit::value(definition.memory.to_string()));
    table.insert(CPUS, toml_edit::value(i64::from(definition.cpus)));
    table.insert(FIRMWARE, toml_edit::value(definition.firmware.as_str()));
    if !definition.notes.is_empty() {
        table.insert(NOTES, toml_edit::value(definition.notes.as_str()));
    }
    if let Some(network) = &definition.network {
        write_network(table, None, network);
        if let Some(entry) = table.get_mut(NETWORK).and_then(Item::as_table_mut) {
            entry.decor_mut().set_prefix(NETWORK_HEADER);
        }
    }
    write_drives(table, definition)?;
    if let Some(first) = table
        .get_mut(DRIVE)
        .and_then(Item::as_array_of_tables_mut)
        .and_then(|drives| drives.get_mut(0))
    {
        first.decor_mut().set_prefix(DRIVES);
    }
    Ok(format!("{HEADER}{document}"))
}

/// `text`, which defines `old`, changed to define `new`.
///
/// # Errors
/// When a file name is not UTF-8.
pub(in crate::definition) fn rewrite(
    text: &str,
    file: &Path,
    old: &Definition,
    new: &Definition,
) -> Result<String, DefinitionError> {
    let reader = Reader { text, file };
    let mut document: DocumentMut =
        text.parse().map_err(|error: TomlError| reader.syntax(&error))?;
    let table = document.as_table_mut();
    if new.name != old.name {
        set(table, NAME, new.name.as_str());
    }
    if new.uuid != old.uuid {
        set(table, UUID, new.uuid.to_string());
    }
    if new.memory != old.memory {
        set(table, MEMORY, new.memory.to_string());
    }
    if new.cpus != old.cpus {
        set(table, CPUS, i64::from(new.cpus));
    }
    if new.firmware != old.firmware {
        set(table, FIRMWARE, new.firmware.as_str());
    }
    if new.notes != old.notes {
        set(table, NOTES, new.notes.as_str());
    }
    match (&old.network, &new.network) {
        (Some(_), None) => drop(table.remove(NETWORK)),
        (old, Some(new)) if old.as_ref() != Some(new) => write_network(table, old.as_ref(), new),
        _ => {}
    }
    if (&new.drives, new.boot_first) != (&old.drives, old.boot_first) {
        write_drives(table, new)?;
    }
    Ok(document.to_string())
}

/// Makes the network card of `table`, which is `old`, be `new`.
fn write_network(table: &mut Table, old: Option<&Network>, new: &Network) {
    let item = table.entry(NETWORK).or_insert_with(|| Item::Table(Table::new()));
    let Some(entry) = item.as_table_like_mut() else { return };
    if old.is_none_or(|old| old.enabled != new.enabled) {
        set(entry, ENABLED, new.enabled);
    }
    if old.is_none_or(|old| old.mac != new.mac) {
        set(entry, MAC, new.mac.to_string());
    }
    if old.map_or(&[][..], |old| &old.forwards) != new.forwards {
        set(entry, FORWARDS, new.forwards.iter().map(ToString::to_string).collect::<Array>());
    }
    set_flag(entry, REACH_HOST, new.reach_host);
    match &new.tap {
        None => drop(entry.remove(TAP)),
        Some(tap) if old.and_then(|old| old.tap.as_ref()) != Some(tap) => {
            set(entry, TAP, tap.to_string());
        }
        Some(_) => {}
    }
}

/// Sets a value where it stands, with the comment behind it.
fn set(table: &mut dyn TableLike, key: &str, value: impl Into<Value>) {
    let mut value = value.into();
    match table.get_mut(key) {
        Some(item) => {
            if let Some(old) = item.as_value() {
                *value.decor_mut() = old.decor().clone();
            }
            *item = Item::Value(value);
        }
        None => {
            table.insert(key, Item::Value(value));
        }
    }
}

/// Makes the drives of `table` those of `definition`. A drive that was there before, by its file,
/// keeps its comments and unknown keys wherever it moves.
fn write_drives(table: &mut Table, definition: &Definition) -> Result<(), DefinitionError> {
    // Taken out of its place, not the place out of the table.
    let drive_item = table.entry(DRIVE).or_insert(Item::None);
    let mut old: Vec<Option<Table>> = match std::mem::take(drive_item) {
        Item::ArrayOfTables(tables) => tables.into_iter().map(Some).collect(),
        Item::Value(Value::Array(array)) => array
            .into_iter()
            .map(|value| match value {
                Value::InlineTable(inline) => Some(inline.into_table()),
                _ => None,
            })
            .collect(),
        _ => Vec::new(),
    };
    let mut drives = ArrayOfTables::new();
    for (index, drive) in definition.drives.iter().enumerate() {
        let kind = match drive {
            Drive::Disk { .. } => DISK,
            Drive::Optical { .. } => OPTICAL,
        };
        let file = drive.file().map(utf8).transpose()?;
        let is_kind = |table: &Table| table.get(KIND).and_then(Item::as_str) == Some(kind);
        let place = old
            .iter()
            .position(|table| {
                table.as_ref().is_some_and(|table| {
                    is_kind(table) && table.get(FILE).and_then(Item::as_str) == file
                })
            })
            .or_else(|| {
                old.get(index).and_then(Option::as_ref).is_some_and(is_kind).then_some(index)
            });
        let mut entry = place.and_then(|place| old[place].take()).unwrap_or_default();
        forget_position(&mut entry);
        set_changed(&mut entry, KIND, kind);
        match file {
            Some(file) => set_changed(&mut entry, FILE, file),
            None => drop(entry.remove(FILE)),
        }
        if let Drive::Disk { format, bus, .. } = drive {
            let format = match format {
                Format::Raw => "raw",
                Format::Qcow2 => "qcow2",
            };
            set_changed(&mut entry, FORMAT, format);
            if *bus != DiskBus::Sata || entry.contains_key(BUS) {
                set_changed(&mut entry, BUS, bus.as_str());
            }
        }
        set_flag(&mut entry, READ_ONLY, matches!(drive, Drive::Disk { read_only: true, .. }));
        set_flag(&mut entry, BOOT_FIRST, definition.boot_first == Some(index));
        drives.push(entry);
    }
    if drives.is_empty() {
        table.remove(DRIVE);
    } else {
        *drive_item = Item::ArrayOfTables(drives);
    }
    Ok(())
}

/// Tables print in the order of their positions in the text they were read from; without one,
/// in the order of the array they are in.
fn forget_position(table: &mut Table) {
    table.set_position(None);
    for (_, item) in table.iter_mut() {
        match item {
            Item::Table(table) => forget_position(table),
            Item::ArrayOfTables(tables) => tables.iter_mut().for_each(forget_position),
            Item::None | Item::Value(_) => {}
        }
    }
}

fn set_changed(table: &mut Table, key: &str, value: &str) {
    if table.get(key).and_then(Item::as_str) != Some(value) {
        set(table, key, value);
    }
}

/// A flag that is false is best left out.
fn set_flag(table: &mut dyn TableLike, key: &str, value: bool) {
    if table.get(key).and_then(Item::as_bool).unwrap_or(false) != value {
        if value {
            set(table, key, true);
        } else {
            table.remove(key);
        }
    }
}

fn utf8(path: &Path) -> Result<&str, DefinitionError> {
    path.to_str().ok_or_else(|| DefinitionError::NotUtf8(path.into()))
}
