//! Berth's window: everything a person sees, as GTK widgets and relm4 components.
//!
//! What lives here: a folder for each feature, and `components` for what several share. What does
//! not: running machines, which is done behind a narrow interface, so that all of this also runs
//! against a fake of it. The program, `app`, puts both together.

pub mod about;
pub mod application;
pub mod backend;
pub mod console;
pub mod dialogs;
pub mod display;
#[cfg(any(test, feature = "fake"))]
pub mod fake;
pub mod guide;
pub mod machines;
mod mnemonic;
pub mod preferences;
pub mod resources;
pub mod settings;
pub mod shortcuts;
pub mod sidebar;
pub mod vm_page;
pub mod welcome;
pub mod window;
pub mod wizard;
