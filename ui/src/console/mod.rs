//! The serial console of a machine: a terminal on its first serial port.
//!
//! What lives here: [`ConsoleView`] and its parts: `pace` and `outbox` keep floods of output and
//! input from stalling the window, `find`, `save`, `links` and `look` are what a person does with
//! the text. What does not: the serial port, which is `vmm-core`'s; whoever shows a machine
//! attaches it.
//!
//! # What a hostile guest can do
//! Write what it likes on the terminal, and answer itself. VTE has no sequence for the clipboard,
//! this view listens to none for windows and titles, and pictures, bells and notifications are
//! off. A link is opened only by a person, with Control, and only to the web.

mod find;
mod links;
mod look;
mod outbox;
mod pace;
mod rows;
mod save;
mod search;
mod view;

pub use self::look::add_style;
pub use self::view::ConsoleView;
