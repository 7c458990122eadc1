//! `berth list`: the machines there are.

use clap::Args;

use super::{Result, print, store};
use crate::report::Outcome;

/// List the machines
#[derive(Debug, Args)]
pub(crate) struct List {}

impl List {
    pub(crate) fn run(self) -> Result<Outcome> {
        let mut rows = vec![["NAME", "STATE", "MEMORY", "CPUS", "FIRMWARE"].map(str::to_owned)];
        let mut unusable = Vec::new();
        for entry in store()?.list()? {
            match entry.vm {
                Ok(vm) => {
                    let definition = vm.definition();
                    let state = if vm.is_running() { "running" } else { "off" };
                    rows.push([
                        definition.name.to_string(),
                        state.to_owned(),
                        definition.memory.to_string(),
                        definition.cpus.to_string(),
                        definition.firmware.to_string(),
                    ]);
                }
                Err(error) => {
                    unusable.push(format!("{}: {error}", entry.folder.to_string_lossy()));
                }
            }
        }
        let mut lines = table(&rows);
        if rows.len() == 1 {
            lines.clear();
        }
        if !unusable.is_empty() {
            lines.extend((!lines.is_empty()).then(String::new));
            lines.push("These cannot be used:".to_owned());
            lines.extend(unusable);
        } else if lines.is_empty() {
            lines.push("There are no machines yet; “berth new NAME” makes one.".to_owned());
        }
        print(&lines)?;
        Ok(Outcome::Done)
    }
}

/// Rows in columns, two blanks apart.
pub(super) fn table<const N: usize>(rows: &[[String; N]]) -> Vec<String> {
    let width = |column: usize| {
        rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default()
    };
    let widths: Vec<_> = (0..N).map(width).collect();
    rows.iter()
        .map(|row| {
            let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
            cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        })
        .collect()
}
