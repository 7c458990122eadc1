//! Real guests: what must be seen of firmware, boot loaders, systems, disks and media.
//!
//! Each test leaves its screenshots and logs in a folder of its name. Limits are several times what
//! is needed in the lab, where guests run on an emulated processor.

mod bad_input;
mod crash;
mod disk_full;
mod grub;
mod installer;
mod kernel;
mod media;
mod memtest;
mod metal;
mod network;
mod network_names;
mod system;
mod tap;
mod terminal;
mod variables;
mod virtio_blk;
mod virtio_devices;
mod virtio_rng;

use std::time::Duration;

/// Firmware, and a boot loader or a small kernel.
const SHORT: Duration = Duration::from_secs(400);

/// A system.
const LONG: Duration = Duration::from_secs(600);
