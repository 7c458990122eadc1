//! Machine definitions on disk.
//!
//! What lives here: what a machine is made of in the words of its owner ([`Definition`]), the TOML
//! file that keeps it (`document`), and the folder of all machines ([`Store`]) with creation,
//! deletion (to be undone or for good), clones, and the lock that keeps two processes from running the same machine. What does not:
//! opening disks or running anything. Front ends list, create and load here, and hand
//! [`Vm::machine_config`] to the machine.
//!
//! ```text
//! $XDG_DATA_HOME/berth/       the store
//!   debian/                   a machine, its folder named after it
//!     machine.toml            the definition
//!     disk.qcow2 …            its own disks
//!     VARS.fd                 the variables of its UEFI firmware
//!     berth.log               what its firmware and Berth had to say
//!     lock                    locked while it runs
//!   .lock                     locked while the store changes
//!   .new-…, .trash-…          machines being created or deleted
//!   .discarded-…/debian/      a machine that can still be brought back
//! ```
//!
//! A definition is somebody's work. It is replaced atomically, with its comments and the keys this
//! version does not know; a file that is damaged or from a newer version is never written.

mod clone;
mod discard;
mod document;
mod error;
mod file;
mod folder;
pub(crate) mod lock;
mod model;
mod own_files;
mod store;
mod vm;

pub use discard::Discarded;
pub use error::{Damage, DefinitionError, FileAction};
pub use folder::LOG;
pub use lock::VmLock;
pub use model::{
    Definition, DiskBus, Drive, Firmware, Invalid, MAX_CPUS, MAX_DRIVES, MAX_NAME, MEMORY_UNIT,
    MIN_MEMORY, Name, Network,
};
pub use store::{Entry, Store};
pub use vm::Vm;
