//! The guest's screen in the window, and the way to its keyboard and mouse.
//!
//! What lives here: [`DisplayView`], the widget that shows a [`vmm_core::display::Display`] and
//! turns events into [`vmm_core::machine::Command`]s; [`DisplayPage`], which puts it into a page
//! with scrolling, hints and a bar for full screen; and what belongs to both: send-keys
//! combinations, screenshots, thumbnails. What does not: machines, their lives and their menus.
//! The window makes a page for each machine and wires its buttons.
//!
//! By file: `geometry` (where the picture goes), `picture` and `sheet` (textures that follow the
//! guest), `pace` (how often to look), `keyboard` and `pointer` (what the guest has been told),
//! `view` (the widget that puts these together), `page` and `full_screen_bar`, `send_keys`,
//! `screenshot`.

mod full_screen_bar;
mod geometry;
mod keyboard;
mod pace;
mod page;
mod picture;
mod pointer;
pub mod screenshot;
mod send_keys;
mod sheet;
mod view;

pub use self::full_screen_bar::FullScreenBar;
pub use self::geometry::{ABSOLUTE_MAX, Placement, Scaling, Space};
pub use self::keyboard::{ReleaseKey, evdev_code};
pub use self::page::{DisplayPage, add_style};
pub use self::picture::Thumbnailer;
pub use self::pointer::PointerMode;
pub use self::send_keys::{Combo, Group, SendKeys, send_combo};
pub use self::view::DisplayView;
