//! `berth open`, or `berth` alone: the window.

use std::path::PathBuf;
use std::rc::Rc;

use clap::Args;

use super::{Result, store};
use crate::backend::LocalBackend;
use crate::report::Outcome;
use crate::translations;

/// Show the window; what `berth` alone does
#[derive(Debug, Default, Args)]
pub(crate) struct Open {
    /// ISO or disk image to make a machine from
    files: Vec<PathBuf>,
}

impl Open {
    pub(crate) fn run(self) -> Result<Outcome> {
        translations::set_up();
        if gtk::init().is_err() {
            return Err(
                "there is no display to show a window on; `berth --help` tells what works \
                        on a terminal"
                    .into(),
            );
        }
        let files: Vec<_> = self.files.iter().map(std::path::absolute).collect::<Result<_, _>>()?;
        let store = store()?;
        let backend = move || Rc::new(LocalBackend::new(store)) as Rc<dyn ui::backend::Backend>;
        if !ui::application::run(&files, backend) {
            return Err("the window could not be shown".into());
        }
        Ok(Outcome::Done)
    }
}
