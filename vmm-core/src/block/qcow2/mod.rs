//! What this crate itself knows of qcow2: checking an image before the driver sees it, and
//! keeping its metadata consistent on disk at every moment.
//!
//! The driver (`imago`) maps, allocates and caches. Its caches order refcount blocks and L2
//! tables with each other, but it links new L2 tables and refcount blocks before their own
//! refcounts are written, uses freed clusters again before the file has stopped to refer to them,
//! and never waits for the disk in between. [`MetadataOrder`] sits between it and the file, and
//! [`Volume`] between it and the disk, and see to that.

mod error;
mod header;
mod order;
mod volume;

pub use error::Qcow2Error;
pub(super) use header::{Header, MAGIC};
pub(super) use order::MetadataOrder;
pub(super) use volume::{Mapped, Volume};
