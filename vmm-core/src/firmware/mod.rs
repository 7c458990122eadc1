//! Firmware images.
