//! The narrow interface between the window and the machines.
//!
//! What lives here: [`Backend`], everything the window asks for, and the plain types that cross.
//! What does not: how it is done; the program, `app`, does it with `vmm-core`, and `fake` pretends
//! to. All methods are called on the GUI's thread and return at once: what takes time is a
//! [`Task`], awaited there and carried out elsewhere.

mod failure;
mod progress;

use std::ffi::OsString;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;

use async_channel::{Receiver, Sender};
use vmm_core::block::Format;
use vmm_core::definition::{Definition, Name};
use vmm_core::display::Display;
use vmm_core::download::Kind;
use vmm_core::machine::{Command, Event, SerialPort, SerialStart};
use vmm_core::media::Found;
use vmm_core::media::osinfo::OperatingSystem;
use vmm_core::net::TapName;
use vmm_core::units::Bytes;

pub use self::failure::Failure;
pub(crate) use self::failure::as_sentence;
pub use self::progress::Progress;

/// Something under way, to be awaited on the GUI's thread. It goes on when dropped, unless it has
/// a [`Progress`] that is cancelled.
pub type Task<T> = Pin<Box<dyn Future<Output = T>>>;

/// What tells machines apart while their names change: the name of a machine's folder.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VmId(pub OsString);

/// What tells discarded machines apart: the names of their folders can be used again meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DiscardId(pub u64);

/// What this host has for machines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Host {
    /// RAM.
    pub memory: Bytes,
    /// Processors, as many as can run at once.
    pub cpus: u32,
}

/// What stands in the way of running machines, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What is wrong, in a few words.
    pub title: String,
    /// What to do, in a sentence or two.
    pub advice: String,
    /// A command for a terminal that mends it.
    pub command: Option<String>,
}

/// A machine in the list.
#[derive(Debug, Clone)]
pub struct Listed {
    /// Which one.
    pub id: VmId,
    /// The folder that holds its files.
    pub folder: PathBuf,
    /// What it is made of, or why that cannot be read.
    pub definition: Result<Definition, Failure>,
    /// Whether another process runs it.
    pub elsewhere: bool,
}

/// A qcow2 disk to be made in a machine's folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDisk {
    /// File name in the folder; a drive of the definition has the same.
    pub file: PathBuf,
    /// What the guest sees.
    pub size: Bytes,
    /// Whether its space on the host is reserved now.
    pub preallocate: bool,
}

/// A machine to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMachine {
    /// What it is made of.
    pub definition: Definition,
    /// Disks of the definition that do not exist yet.
    pub disks: Vec<NewDisk>,
}

/// What is known of the disk in an image file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiskFacts {
    /// What the guest sees.
    pub size: Bytes,
    /// What the file takes up on the host.
    pub used: Bytes,
}

/// What a file holds that somebody chose for a new machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspected {
    /// An ISO image or a disk image.
    pub found: Found,
    /// The system on it, when that is known.
    pub system: Option<OperatingSystem>,
}

/// A system whose image can be downloaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// Its name, which no other has.
    pub name: String,
    /// Who makes it.
    pub publisher: String,
    /// What the image is for.
    pub kind: Kind,
    /// How large the image is, more or less.
    pub size: Bytes,
    /// What has arrived of it already, when that was interrupted.
    pub begun: Option<Bytes>,
}

/// Where new machines go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Storage {
    /// The folder in which each gets one of its own.
    pub folder: PathBuf,
    /// What is free there; `None` when that is not known.
    pub free: Option<Bytes>,
}

/// All machines of this user.
pub trait Backend {
    /// What this host has.
    fn host(&self) -> Host;

    /// The host's TAP devices, which the kernel lists at once.
    fn tap_devices(&self) -> Vec<TapName>;

    /// What stands in the way of running machines; empty when nothing does.
    fn problems(&self) -> Task<Vec<Problem>>;

    /// Every machine, those that cannot be read included.
    fn list(&self) -> Task<Result<Vec<Listed>, Failure>>;

    /// Looks at a file that may become a machine's medium or disk.
    fn inspect(&self, file: PathBuf) -> Task<Result<Inspected, Failure>>;

    /// The systems whose images can be downloaded.
    fn offers(&self) -> Task<Vec<Offer>>;

    /// Downloads the image of the system called `name`, going on with what has arrived, and answers
    /// with its file. The steps of `progress` are bytes. What has arrived stays when that fails or is
    /// cancelled.
    fn download(&self, name: &str, progress: Progress) -> Task<Result<PathBuf, Failure>>;

    /// Deletes what has arrived of the image of the system called `name`.
    fn forget_download(&self, name: &str) -> Task<Result<(), Failure>>;

    /// Where a machine made now would go.
    fn storage(&self) -> Task<Storage>;

    /// Makes a machine with its disks: all of it, or, when that fails or is cancelled, nothing.
    fn create(&self, machine: NewMachine, progress: Progress) -> Task<Result<Listed, Failure>>;

    /// Replaces a machine's definition; also while it runs, for its next start.
    fn save(&self, id: &VmId, definition: Definition) -> Task<Result<(), Failure>>;

    /// Copies a machine with its own disks: all of it, or nothing.
    fn duplicate(&self, id: &VmId, name: Name, progress: Progress)
    -> Task<Result<Listed, Failure>>;

    /// Takes a machine with all that is in its folder off the list, so that it can still be
    /// brought back by [`Backend::restore`].
    fn discard(&self, id: &VmId) -> Task<Result<DiscardId, Failure>>;

    /// Brings a discarded machine back.
    fn restore(&self, id: DiscardId) -> Task<Result<Listed, Failure>>;

    /// Deletes a discarded machine for good.
    fn purge(&self, id: DiscardId) -> Task<Result<(), Failure>>;

    /// Deletes a machine for good, but for the disks in its folder and what else somebody keeps
    /// there, which go into a new folder in `place`: all of this, or, when that fails or is
    /// cancelled, nothing. Answers with the new folder, unless there was nothing to keep.
    fn delete_keeping_disks(
        &self,
        id: &VmId,
        place: PathBuf,
        progress: Progress,
    ) -> Task<Result<Option<PathBuf>, Failure>>;

    /// Looks at a disk image of a machine; also while it runs.
    fn disk(&self, file: PathBuf, format: Format) -> Task<Result<DiskFacts, Failure>>;

    /// Makes a qcow2 disk in a machine's folder, for a drive to be added. Answers with the file's
    /// name there.
    fn create_disk(
        &self,
        id: &VmId,
        size: Bytes,
        preallocate: bool,
        progress: Progress,
    ) -> Task<Result<PathBuf, Failure>>;

    /// Makes the disk in an image that is not in use larger.
    fn grow_disk(&self, file: PathBuf, format: Format, size: Bytes) -> Task<Result<(), Failure>>;

    /// Deletes an image in the folder of a machine that is off and has no drive with it any more.
    fn delete_disk(&self, id: &VmId, file: PathBuf) -> Task<Result<(), Failure>>;

    /// Builds a machine, which then waits for [`Command::Start`].
    fn launch(&self, id: &VmId) -> Task<Result<Rc<dyn Running>, Failure>>;

    /// The end of the machine's log, at most 1 MiB.
    fn log(&self, id: &VmId) -> Task<Result<String, Failure>>;
}

/// A machine that was launched. When the last handle is dropped it is powered off, without anybody
/// waiting for it.
pub trait Running {
    /// Where commands go. Never full; closed once the machine is over.
    fn commands(&self) -> Sender<Command>;

    /// Events from now on; the first gives the state, the last is `Stopped`.
    fn subscribe(&self) -> Receiver<Event>;

    /// The screen.
    fn display(&self) -> Arc<dyn Display>;

    /// A console on the first serial port.
    fn serial(&self, start: SerialStart) -> SerialPort;
}
