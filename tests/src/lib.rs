//! What the end-to-end tests share: the program under test, the guests' images and the folder for
//! what a test leaves behind.
//!
//! The tests run the `berth` program with real guests, which need a `/dev/kvm` that can run them;
//! `make e2e` finds one or makes one (see `tests/lab/e2e`), and says in the environment where
//! things are. Without it, they are where `make` puts them in this checkout.

mod bench;
mod debian;
pub mod desktop;
mod disks;
mod image;
mod memory;
mod process;
mod processor;
mod qemu;
mod screen;

pub use bench::{Bench, Better, Row, Side};
pub use debian::Debian;
pub use disks::{Bus, DiskGuest, DiskSizes, StartingDisks};
pub use image::{check as check_image, create as create_image, metal_disk, overlay};
pub use memory::{beyond_guest_ram, beyond_guests_ram, proportional};
pub use process::{Berth, Ended, Running};
pub use processor::{host_time, sleeps, time_beside_vcpus, whole_time};
pub use qemu::{Monitor, Qemu};
pub use screen::Picture;

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The `berth` program under test.
#[must_use]
pub fn berth() -> PathBuf {
    from_environment("BERTH_BIN", "target/release/berth")
}

/// A guest's image, by its name in `tests/lab/images`, such as `grub.iso`. Not to be written: it is
/// other tests' as well.
#[must_use]
pub fn image(name: &str) -> PathBuf {
    from_environment("BERTH_IMAGES", "build/images").join(name)
}

/// A folder of this name for what a test leaves behind: screenshots, serial logs.
///
/// # Errors
/// When the folder cannot be made.
pub fn output(test: &str) -> io::Result<PathBuf> {
    let folder = from_environment("BERTH_E2E_OUT", "target/e2e").join(test);
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

fn from_environment(name: &str, default: &str) -> PathBuf {
    env::var_os(name).map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(default),
        PathBuf::from,
    )
}
