//! The New VM wizard.

mod model;
mod size;
