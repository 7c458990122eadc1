//! What can be the matter with a qcow2 image.

use std::io;

use thiserror::Error;

/// Why a qcow2 image cannot be used; reads as what follows a colon.
#[derive(Debug, Error)]
pub enum Qcow2Error {
    /// The file ends within the header.
    #[error("it is truncated; get it anew")]
    Truncated,
    /// The original QCOW format or one of the future.
    #[error("its version {0} is not supported; convert it with “qemu-img convert -O qcow2”")]
    Version(u32),
    /// A cluster size outside 512 bytes to 2 MiB.
    #[error("its cluster size of 2^{0} bytes is not possible; it is damaged, restore a copy")]
    ClusterSize(u32),
    /// A refcount width beyond 64 bits.
    #[error("its refcount width of 2^{0} bits is not possible; it is damaged, restore a copy")]
    RefcountWidth(u32),
    /// The guest's data is encrypted.
    #[error("it is encrypted; convert it with “qemu-img convert -O qcow2”")]
    Encrypted,
    /// The program that wrote it did not end properly and refcounts may be wrong.
    #[error("it was not closed properly; repair it with “qemu-img check -r all”")]
    Dirty,
    /// A program found it damaged before.
    #[error("it is marked corrupt; repair it with “qemu-img check -r all” or restore a copy")]
    Corrupt,
    /// The guest's data is in another file.
    #[error("it keeps its data in another file; convert it with “qemu-img convert -O qcow2”")]
    ExternalData,
    /// Compressed clusters that are not deflate.
    #[error("its clusters are compressed with {0}; convert it with “qemu-img convert -O qcow2”")]
    Compression(&'static str),
    /// L2 entries with subclusters.
    #[error("it has extended L2 entries; convert it with “qemu-img convert -O qcow2”")]
    ExtendedL2,
    /// Features of the future.
    #[error("it needs features this program does not know ({0:#x}); update or convert it")]
    UnknownFeatures(u64),
    /// A disk without sectors.
    #[error("it holds a disk of no size; make a new one")]
    NoSize,
    /// A size that is not a whole number of sectors.
    #[error(
        "its disk size of {0} bytes is not a multiple of 512; convert it with “qemu-img convert”"
    )]
    UnevenSize(u64),
    /// Something within the header that contradicts the format.
    #[error("its header is damaged ({0}); restore a copy")]
    Header(&'static str),
    /// A table that cannot be where or as large as the header says.
    #[error(
        "its {table} is damaged ({what}); repair it with “qemu-img check -r all” or restore a copy"
    )]
    Table {
        /// Which table.
        table: &'static str,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The driver refused what the checks let pass.
    #[error("the driver refuses it")]
    Driver(#[source] io::Error),
    /// The system refused.
    #[error("it cannot be read")]
    Io(#[from] io::Error),
}
