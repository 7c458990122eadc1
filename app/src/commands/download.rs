//! `berth download`: systems that can be downloaded, and downloading one.

use std::sync::Mutex;

use clap::Args;
use vmm_core::download::{self, DownloadError, System};
use vmm_core::text;
use vmm_core::units::Bytes;

use super::columns::table;
use super::long_work::{ProgressLine, Signalled};
use super::{Result, print, store};
use crate::report::Outcome;

/// Download an operating system, or list those there are
#[derive(Debug, Args)]
pub(crate) struct Download {
    /// What it is called in the list; its first words are enough
    name: Option<String>,
}

impl Download {
    pub(crate) fn run(self) -> Result<Outcome> {
        let systems = download::systems();
        match self.name {
            Some(name) => fetch(chosen(&systems, &name)?),
            None => {
                let heading = [text!("NAME"), text!("SIZE"), text!("PUBLISHER")];
                let row = |s: &System| [s.name.clone(), s.size.to_string(), s.publisher.clone()];
                let rows: Vec<_> =
                    std::iter::once(heading).chain(systems.iter().map(row)).collect();
                print(&table(&rows))?;
                Ok(Outcome::Done)
            }
        }
    }
}

/// The only system whose name is `name`, or begins with it.
fn chosen<'a>(systems: &'a [System], name: &str) -> Result<&'a System> {
    let wanted = name.to_lowercase();
    let exact = systems.iter().find(|system| system.name.to_lowercase() == wanted);
    let mut like = systems.iter().filter(|system| system.name.to_lowercase().starts_with(&wanted));
    match (exact, like.next(), like.next()) {
        (Some(system), ..) | (None, Some(system), None) => Ok(system),
        (None, Some(one), Some(other)) => {
            let (one, other) = (&one.name, &other.name);
            Err(text!("“{name}” may be “{one}” or “{other}”; write more", name, one, other).into())
        }
        (None, None, _) => Err(text!(
            "there is no “{name}” to download; “berth download” lists what there is",
            name
        )
        .into()),
    }
}

fn fetch(system: &System) -> Result<Outcome> {
    // What has arrived stays for the next attempt.
    let signal = Signalled::watch()?;
    let line = Mutex::new(ProgressLine::new(text!("Downloading")));
    let folder = store()?.root().join(download::FOLDER);
    let fetched = download::fetch(system, &folder, &|done, total: Bytes| {
        if total.0 > 0
            && let Ok(mut line) = line.lock()
        {
            line.show(done, total);
        }
        signal.number().is_none()
    });
    if let Ok(line) = line.lock() {
        line.clear();
    }
    match fetched {
        Err(DownloadError::Cancelled) => Ok(Outcome::Signal(signal.number().unwrap_or_default())),
        other => {
            print(&[other?.display().to_string()])?;
            Ok(Outcome::Done)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_words_of_a_name_are_enough() {
        let systems = download::systems();
        let name = |text: &str| chosen(&systems, text).map(|system| system.name.clone());
        let first = systems[0].name.clone();
        assert_eq!(name(&first.to_uppercase()).unwrap(), first);
        assert_eq!(name("arch").unwrap(), "Arch Linux");
        assert!(name("").unwrap_err().to_string().contains("write more"));
        assert!(name("nonesuch").unwrap_err().to_string().contains("no “nonesuch”"));
    }
}
