//! The New VM wizard.

mod model;
pub(crate) mod size;

use crate::machines::{Machines, Vm};
pub fn present(
    _p: &adw::ApplicationWindow,
    _m: &Machines,
    _f: Option<std::path::PathBuf>,
    _done: impl Fn(Vm, bool) + 'static,
) {
}
