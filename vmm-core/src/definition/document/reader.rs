//! Reading a definition, with the place of what is wrong.

use std::ops::Range;
use std::path::Path;
use std::str::FromStr;

use toml_edit::{Document, InlineTable, Item, Table, TableLike, TomlError, Value};
use uuid::Uuid;

use super::*;
use crate::block::Format;
use crate::definition::error::{Damage, DefinitionError};
use crate::definition::model::{Definition, DiskBus, Drive, Firmware, Invalid, Name, Network};
use crate::net::{PortForward, TapName};
use crate::text;

/// What `text`, which stands in `file`, defines.
///
/// # Errors
/// [`DefinitionError::Damaged`] or [`DefinitionError::Newer`].
pub(in crate::definition) fn read(text: &str, file: &Path) -> Result<Definition, DefinitionError> {
    let reader = Reader { text, file };
    let document = Document::parse(text).map_err(|error| reader.syntax(&error))?;
    let table = document.as_table();
    let version = reader.required(table, VERSION_KEY, None, "1", Item::as_integer)?;
    if version > VERSION {
        return Err(DefinitionError::Newer { file: file.into(), version });
    }
    if version < 1 {
        return Err(reader
            .damage(span(table, VERSION_KEY), &text!("there is no such version"))
            .into());
    }
    Ok(reader.definition(table)?)
}

/// Reads values, and knows where they stand.
pub(super) struct Reader<'a> {
    pub(super) text: &'a str,
    pub(super) file: &'a Path,
}

impl Reader<'_> {
    fn definition(&self, table: &Table) -> Result<Definition, Damage> {
        let mut definition = Definition {
            name: self.parsed::<Name>(table, NAME, "\"My machine\"")?,
            uuid: self.parsed::<Uuid>(table, UUID, "\"a0d9c5b4-…\"")?,
            memory: self.parsed(table, MEMORY, "\"2G\"")?,
            cpus: self.cpus(table)?,
            firmware: self.choice(
                table,
                FIRMWARE,
                None,
                &[Firmware::Bios, Firmware::Uefi].map(|firmware| (firmware.as_str(), firmware)),
            )?,
            drives: Vec::new(),
            boot_first: None,
            network: self.network(table)?,
            notes: self.notes(table)?,
        };
        let places = self.drives(table, &mut definition)?;
        definition.validate().map_err(|invalid| {
            let drive = |number: usize, key| places.get(number - 1).and_then(|place| place(key));
            let place = match &invalid {
                Invalid::NameBlank | Invalid::NameLong(_) | Invalid::NameControl => {
                    span(table, NAME)
                }
                Invalid::MemorySmall(_) | Invalid::MemoryUneven(..) => span(table, MEMORY),
                Invalid::Cpus(_) => span(table, CPUS),
                Invalid::Drives(_) => span(table, DRIVE),
                Invalid::DriveFile(number)
                | Invalid::DriveOutside(number, _)
                | Invalid::DriveTwice(_, number) => drive(*number, FILE),
                Invalid::Forwards(_) | Invalid::ForwardTwice(_) => table
                    .get(NETWORK)
                    .and_then(Item::as_table_like)
                    .and_then(|network| span(network, FORWARDS)),
                Invalid::BootFirst(number) => drive(*number, BOOT_FIRST),
            };
            self.damage(place, &invalid.to_string())
        })?;
        Ok(definition)
    }

    fn notes(&self, table: &Table) -> Result<String, Damage> {
        let expected = || text!("“{key}” is a text", key = NOTES);
        Ok(self.optional(table, NOTES, expected, Item::as_str)?.unwrap_or_default().to_owned())
    }

    /// Reads the drives into `definition`; answers with where the keys of each stand.
    #[allow(clippy::type_complexity)]
    fn drives<'t>(
        &self,
        table: &'t Table,
        definition: &mut Definition,
    ) -> Result<Vec<Box<dyn Fn(&str) -> Option<Range<usize>> + 't>>, Damage> {
        let entries: Vec<(&dyn TableLike, Option<Range<usize>>)> = match table.get(DRIVE) {
            None => Vec::new(),
            Some(Item::ArrayOfTables(tables)) => {
                tables.iter().map(|table| (table as &dyn TableLike, table.span())).collect()
            }
            Some(item) => {
                let reason = || text!("drives are written as [[drive]] tables");
                let wrong = |span| self.damage(span, &reason());
                let array = item.as_array().ok_or_else(|| wrong(item.span()))?;
                let inline = |value: &'t Value| match value.as_inline_table() {
                    Some(table) => Ok((table as &dyn TableLike, InlineTable::span(table))),
                    None => Err(wrong(value.span())),
                };
                array.iter().map(inline).collect::<Result<_, _>>()?
            }
        };
        let mut places: Vec<Box<dyn Fn(&str) -> Option<Range<usize>>>> = Vec::new();
        for (index, (entry, whole)) in entries.into_iter().enumerate() {
            definition.drives.push(self.drive(entry, whole)?);
            let first = self.flag(entry, BOOT_FIRST)?.unwrap_or(false);
            if first && definition.boot_first.replace(index).is_some() {
                let place = span(entry, BOOT_FIRST);
                let reason = text!("only one drive can be the first to start from");
                return Err(self.damage(place, &reason));
            }
            places.push(Box::new(move |key| span(entry, key)));
        }
        Ok(places)
    }

    fn drive(&self, entry: &dyn TableLike, whole: Option<Range<usize>>) -> Result<Drive, Damage> {
        let kinds = [(DISK, true), (OPTICAL, false)];
        if !self.choice(entry, KIND, whole.clone(), &kinds)? {
            let expected = || text!("“{key}” is a file name", key = FILE);
            let file = self.optional(entry, FILE, expected, Item::as_str)?;
            return Ok(Drive::Optical { file: file.map(Into::into) });
        }
        let formats = [("qcow2", Format::Qcow2), ("raw", Format::Raw)];
        let buses = [DiskBus::Virtio, DiskBus::Sata].map(|bus| (bus.as_str(), bus));
        Ok(Drive::Disk {
            file: self.required(entry, FILE, whole.clone(), "\"disk.qcow2\"", Item::as_str)?.into(),
            format: self.choice(entry, FORMAT, whole.clone(), &formats)?,
            read_only: self.flag(entry, READ_ONLY)?.unwrap_or(false),
            bus: match entry.get(BUS) {
                // What was written before there were others.
                None => DiskBus::Sata,
                Some(_) => self.choice(entry, BUS, whole, &buses)?,
            },
        })
    }

    fn network(&self, table: &Table) -> Result<Option<Network>, Damage> {
        let expected = || text!("“{key}” is a table, [network]", key = NETWORK);
        let Some(entry) = self.optional(table, NETWORK, expected, Item::as_table_like)? else {
            return Ok(None);
        };
        let whole = span(table, NETWORK);
        Ok(Some(Network {
            enabled: self.flag(entry, ENABLED)?.unwrap_or(true),
            mac: self.parsed_in(entry, MAC, whole, "\"02:12:34:56:78:9a\"")?,
            forwards: self.forwards(entry)?,
            reach_host: self.flag(entry, REACH_HOST)?.unwrap_or(false),
            tap: self.tap(entry)?,
        }))
    }

    fn tap(&self, entry: &dyn TableLike) -> Result<Option<TapName>, Damage> {
        let expected = || text!("“{key}” is a TAP device's name, such as \"tap0\"", key = TAP);
        let name = self.optional(entry, TAP, expected, Item::as_str)?;
        let read = |name: &str| {
            let wrong = |error| self.damage(span(entry, TAP), &format!("“{TAP}”: {error}"));
            name.parse().map_err(wrong)
        };
        name.map(read).transpose()
    }

    fn forwards(&self, entry: &dyn TableLike) -> Result<Vec<PortForward>, Damage> {
        let expected =
            || text!("“{key}” is a list of texts, such as [\"2222:22\"]", key = FORWARDS);
        let Some(list) = self.optional(entry, FORWARDS, expected, Item::as_array)? else {
            return Ok(Vec::new());
        };
        let read = |value: &Value| {
            let wrong =
                |reason: &str| self.damage(value.span(), &format!("“{FORWARDS}”: {reason}"));
            let text = value.as_str().ok_or_else(|| self.damage(value.span(), &expected()))?;
            text.parse().map_err(|error: crate::net::ForwardError| wrong(&error.to_string()))
        };
        list.iter().map(read).collect()
    }

    fn cpus(&self, table: &Table) -> Result<u32, Damage> {
        let number = self.required(table, CPUS, None, "2", Item::as_integer)?;
        // What does not fit is out of range, too.
        Ok(u32::try_from(number).unwrap_or(if number < 0 { 0 } else { u32::MAX }))
    }

    fn flag(&self, table: &dyn TableLike, key: &str) -> Result<Option<bool>, Damage> {
        self.optional(table, key, || text!("“{key}” is true or false", key), Item::as_bool)
    }

    /// A text that stands for one of `choices`.
    fn choice<T: Copy>(
        &self,
        table: &dyn TableLike,
        key: &str,
        whole: Option<Range<usize>>,
        choices: &[(&str, T)],
    ) -> Result<T, Damage> {
        let quoted = choices.iter().map(|(name, _)| format!("\"{name}\""));
        // Translators: names in a file, such as “"bios" or "uefi"”.
        let either = |one, other| text!("{one} or {other}", one, other);
        let example = quoted.reduce(either).unwrap_or_default();
        let text = self.required(table, key, whole, &example, Item::as_str)?;
        let found = choices.iter().find(|(name, _)| *name == text);
        let reason = || text!("“{key}” is {choices}", key, choices = example);
        found.map(|(_, value)| *value).ok_or_else(|| self.damage(span(table, key), &reason()))
    }

    /// A text with a syntax of its own.
    fn parsed<T: FromStr<Err: std::fmt::Display>>(
        &self,
        table: &Table,
        key: &str,
        example: &str,
    ) -> Result<T, Damage> {
        self.parsed_in(table, key, None, example)
    }

    fn parsed_in<T: FromStr<Err: std::fmt::Display>>(
        &self,
        table: &dyn TableLike,
        key: &str,
        whole: Option<Range<usize>>,
        example: &str,
    ) -> Result<T, Damage> {
        let text = self.required(table, key, whole, example, Item::as_str)?;
        text.parse().map_err(|error| self.damage(span(table, key), &format!("“{key}”: {error}")))
    }

    fn required<'t, T>(
        &self,
        table: &'t dyn TableLike,
        key: &str,
        whole: Option<Range<usize>>,
        example: &str,
        read: impl Fn(&'t Item) -> Option<T>,
    ) -> Result<T, Damage> {
        let missing = || text!("“{key}” is missing; write {key} = {example}", key, example);
        let expected = || text!("“{key}” is written like {example}", key, example);
        self.optional(table, key, expected, read)?.ok_or_else(|| self.damage(whole, &missing()))
    }

    fn optional<'t, T>(
        &self,
        table: &'t dyn TableLike,
        key: &str,
        expected: impl Fn() -> String,
        read: impl Fn(&'t Item) -> Option<T>,
    ) -> Result<Option<T>, Damage> {
        let Some(item) = table.get(key) else { return Ok(None) };
        let wrong = || self.damage(item.span(), &expected());
        read(item).map(Some).ok_or_else(wrong)
    }

    pub(super) fn syntax(&self, error: &TomlError) -> Damage {
        let reason = error.message().lines().collect::<Vec<_>>().join(", ");
        self.damage(error.span(), &reason)
    }

    fn damage(&self, span: Option<Range<usize>>, reason: &str) -> Damage {
        let before = span.and_then(|span| self.text.get(..span.start));
        let place = before.map(|before| {
            let line = before.matches('\n').count() + 1;
            let begin = before.rfind('\n').map_or(0, |end| end + 1);
            (line, before[begin..].chars().count() + 1)
        });
        Damage { file: self.file.into(), place, reason: reason.to_owned() }
    }
}

fn span(table: &dyn TableLike, key: &str) -> Option<Range<usize>> {
    table.get(key).and_then(Item::span)
}

impl From<Damage> for DefinitionError {
    fn from(damage: Damage) -> Self {
        Self::Damaged(damage)
    }
}
