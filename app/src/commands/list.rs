//! `berth list`: the machines there are.

use clap::Args;
use vmm_core::text;

use super::columns::table;
use super::{Result, print, store};
use crate::report::Outcome;

/// List the machines
#[derive(Debug, Args)]
pub(crate) struct List {}

impl List {
    pub(crate) fn run(self) -> Result<Outcome> {
        let heading =
            [text!("NAME"), text!("STATE"), text!("MEMORY"), text!("CPUS"), text!("FIRMWARE")];
        let mut rows = vec![heading];
        let mut unusable = Vec::new();
        for entry in store()?.list()? {
            match entry.vm {
                Ok(vm) => {
                    let definition = vm.definition();
                    // Words that scripts look for, in all languages.
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
                    let folder = entry.folder.to_string_lossy();
                    unusable.push(text!("{file}: {reason}", file = folder, reason = error));
                }
            }
        }
        let mut lines = table(&rows);
        if rows.len() == 1 {
            lines.clear();
        }
        if !unusable.is_empty() {
            lines.extend((!lines.is_empty()).then(String::new));
            lines.push(text!("These cannot be used:"));
            lines.extend(unusable);
        } else if lines.is_empty() {
            lines.push(text!("There are no machines yet; “berth new NAME” makes one."));
        }
        print(&lines)?;
        Ok(Outcome::Done)
    }
}
