//! `berth run`: a defined machine in the foreground.

use clap::Args;
use vmm_core::machine::{DriveConfig, Machine};

use super::{Result, store};
use crate::report::Outcome;
use crate::script::Script;
use crate::session::Session;

/// Run a defined machine in the foreground, its serial port on the terminal; Ctrl-] leaves
#[derive(Debug, Args)]
pub(crate) struct Run {
    /// What it is called
    name: String,

    /// Show no window
    #[arg(long)]
    no_display: bool,

    #[command(flatten)]
    script: Script,
}

impl Run {
    pub(crate) fn run(self) -> Result<Outcome> {
        let vm = store()?.load(&self.name)?;
        let lock = vm.lock()?;
        let config = vm.machine_config();
        let is_optical = |drive: &DriveConfig| matches!(drive, DriveConfig::Optical { .. });
        let optical = config.drives.iter().position(is_optical);
        let machine = Machine::holding(&config, lock)?;
        Ok(Session::new(machine, optical, &self.script)?.run()?)
    }
}
