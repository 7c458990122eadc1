//! What can be the matter with a qcow2 image.

use std::io;

use thiserror::Error;

use crate::text;

/// Why a qcow2 image cannot be used; reads as what follows a colon.
#[derive(Debug, Error)]
pub enum Qcow2Error {
    /// The file ends within the header.
    #[error("{}", text!("it is truncated; get it anew"))]
    Truncated,
    /// The original QCOW format or one of the future.
    #[error("{}", text!(
        "its version {version} is not supported; convert it with “qemu-img convert -O qcow2”",
        version = .0
    ))]
    Version(u32),
    /// A cluster size outside 512 bytes to 2 MiB.
    #[error("{}", text!(
        "its cluster size of 2^{bits} bytes is not possible; it is damaged, restore a copy",
        bits = .0
    ))]
    ClusterSize(u32),
    /// A refcount width beyond 64 bits.
    #[error("{}", text!(
        "its refcount width of 2^{bits} bits is not possible; it is damaged, restore a copy",
        bits = .0
    ))]
    RefcountWidth(u32),
    /// The guest's data is encrypted.
    #[error("{}", text!("it is encrypted; convert it with “qemu-img convert -O qcow2”"))]
    Encrypted,
    /// The program that wrote it did not end properly and refcounts may be wrong.
    #[error("{}", text!("it was not closed properly; repair it with “qemu-img check -r all”"))]
    Dirty,
    /// A program found it damaged before.
    #[error("{}", text!(
        "it is marked corrupt; repair it with “qemu-img check -r all” or restore a copy"
    ))]
    Corrupt,
    /// The guest's data is in another file.
    #[error("{}", text!(
        "it keeps its data in another file; convert it with “qemu-img convert -O qcow2”"
    ))]
    ExternalData,
    /// Compressed clusters that are not deflate.
    #[error("{}", text!(
        "its clusters are compressed with {method}; convert it with “qemu-img convert -O qcow2”",
        method = text::translated(.0)
    ))]
    Compression(&'static str),
    /// L2 entries with subclusters.
    #[error("{}", text!("it has extended L2 entries; convert it with “qemu-img convert -O qcow2”"))]
    ExtendedL2,
    /// Features of the future.
    #[error("{}", text!(
        "it needs features this program does not know ({features}); update or convert it",
        features = format_args!("{:#x}", .0)
    ))]
    UnknownFeatures(u64),
    /// A disk without sectors.
    #[error("{}", text!("it holds a disk of no size; make a new one"))]
    NoSize,
    /// A size that is not a whole number of sectors.
    #[error("{}", text!(
        "its disk size of {size} bytes is not a multiple of 512; convert it with “qemu-img \
         convert”",
        size = .0
    ))]
    UnevenSize(u64),
    /// Something within the header that contradicts the format, to be translated.
    #[error("{}", text!(
        "its header is damaged ({what}); restore a copy",
        what = text::translated(.0)
    ))]
    Header(&'static str),
    /// A table that cannot be where or as large as the header says.
    #[error("{}", text!(
        "its {table} is damaged ({what}); repair it with “qemu-img check -r all” or restore a copy",
        table = text::translated(.table), what = text::translated(.what)
    ))]
    Table {
        /// Which table, to be translated.
        table: &'static str,
        /// What is wrong with it, to be translated.
        what: &'static str,
    },
    /// The driver refused what the checks let pass.
    #[error("{}", text!("the driver refuses it"))]
    Driver(#[source] io::Error),
    /// The system refused.
    #[error("{}", text!("it cannot be read"))]
    Io(#[from] io::Error),
}
