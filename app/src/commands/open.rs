//! `berth open`, or `berth` alone: turns into the program that shows the window.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Args;
use vmm_core::text;

use super::{Result, store};
use crate::report::Outcome;

/// The window's program, beside this one while it is developed, …
const BESIDE: &str = "berth-window";
/// … and where it is installed, seen from the folder of this one.
const INSTALLED: &str = "../libexec/berth-window";

/// Show the window; what `berth` alone does
#[derive(Debug, Default, Args)]
pub(crate) struct Open {
    /// ISO or disk image to make a machine from
    files: Vec<PathBuf>,

    /// Show the wizard for a new machine
    #[arg(long, conflicts_with_all = ["machine", "files"])]
    new: bool,

    /// Show this machine
    #[arg(long, value_name = "NAME", conflicts_with = "files")]
    machine: Option<String>,
}

impl Open {
    pub(crate) fn run(self) -> Result<Outcome> {
        let program = std::env::current_exe()?;
        let folder = program.parent().unwrap_or(Path::new(""));
        let window = [BESIDE, INSTALLED]
            .map(|place| folder.join(place))
            .into_iter()
            .find(|path| path.is_file())
            .ok_or_else(|| {
                text!("the window is not installed with this program; install Berth again")
            })?;
        let mut command = Command::new(window);
        command.arg0("berth");
        if let Some(name) = &self.machine {
            let vm = store()?.load(name)?;
            command.arg("--machine").arg(vm.folder().file_name().unwrap_or_default());
        } else if self.new {
            command.arg("--new");
        } else {
            command.arg("--").args(self.files);
        }
        // Comes back only if it fails.
        let error = command.exec();
        Err(text!("the window cannot be started: {reason}", reason = error).into())
    }
}
