//! The Bochs-compatible VGA, PCI 1234:1111: every VGA mode that firmware and boot menus use, and
//! linear modes up to 2560x1600.
//!
//! [`Vga`] is the device. The guest programs it through [`Vga::legacy_ports`], the memory window
//! at 0xA0000 ([`Vga::window`]) and its PCI BARs; front ends look through
//! [`crate::display::Display`]. By file:
//!
//! - the device as a whole: `device`, `io` (its ports and windows), `persist` (its state);
//! - the guest's side: `chip` (all registers: `registers`, `crtc`, `dac`, `dispi`), `window` (the
//!   planes as the processor reaches them), `retrace` (the beam), `edid` (the monitor);
//! - memory: `vram`, `aperture` (its mapping into the guest), `pages` (what changed);
//! - the viewers' side: `scanout` (which picture the registers describe), `scan` (which memory
//!   a scan line shows), `text` with `cp437`, `raster`, `linear` (drawing on a `canvas`), `screen`
//!   and `damage` (what is new to whom).
//!
//! The register interface follows QEMU's `docs/specs/standard-vga.rst`, Bochs'
//! `vbe_display_api.txt` and IBM's VGA technical reference.

mod aperture;
mod canvas;
mod chip;
mod cp437;
mod crtc;
mod dac;
mod damage;
mod device;
mod dispi;
mod edid;
mod io;
mod linear;
mod pages;
mod persist;
mod raster;
mod registers;
mod retrace;
mod scan;
mod scanout;
mod screen;
#[cfg(test)]
mod tests;
mod text;
mod vram;
mod window;

pub use device::{FlushWrites, Vga, VgaConfig};
pub use io::{PORT_RANGES, WINDOW_BASE, WINDOW_LEN};
pub use persist::VgaState;
