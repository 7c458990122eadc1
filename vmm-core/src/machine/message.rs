//! What passes between a machine and its front ends.

use std::path::PathBuf;
use std::time::Duration;

pub use crate::devices::virtio::balloon::{BalloonFigures, GuestMemory};
use crate::units::Bytes;

/// An order to a machine. Orders that make no sense in the current state are answered with
/// [`Event::Refused`] and change nothing.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Let the vCPUs run for the first time.
    Start,
    /// Stop the vCPUs where they are.
    Pause,
    /// Go on after a pause; also retries what a full disk held up.
    Resume,
    /// Press the power button: the guest's system shuts down if it listens.
    Shutdown,
    /// End at once, as if by pulling the plug; disk images are flushed.
    PowerOff,
    /// Press the reset button.
    Reset,
    /// Put another medium into an optical drive, or none. A guest that has locked the tray is
    /// asked to open it and has some seconds to do so.
    ChangeMedium {
        /// Index of the drive in the configuration.
        drive: usize,
        /// The ISO image; `None` empties the drive.
        medium: Option<PathBuf>,
        /// Also when the guest has locked the tray.
        force: bool,
    },
    /// Make a disk larger while the guest uses it, by VIRTIO 1.2 §5.2.5 with a configuration change
    /// interrupt; [`Event::DiskGrown`] follows. Refused for SATA disks, as their guests do not
    /// notice before the next start, and for less than the disk has.
    GrowDisk {
        /// Index of the drive in the configuration.
        drive: usize,
        /// The new size, a multiple of 512 bytes.
        size: Bytes,
    },
    /// Take so much memory from the guest, and give back what was taken beyond that. Its driver
    /// does what it can, in its own time; see [`BalloonFigures::inflated`]. Lasts until the machine
    /// is over.
    Balloon(Bytes),
    /// Measure for those who look.
    Watch(Watch),
    /// Keys go down and up, in order.
    Keys(Vec<KeyEvent>),
    /// Type a text on a US keyboard, no faster than the guest reads it. Characters such a
    /// keyboard has no key for are left out.
    TypeText(String),
    /// Keys go down and up, in order, behind texts still being typed and no faster than the guest
    /// reads them.
    TypeKeys(Vec<KeyEvent>),
    /// The pointer moves, its buttons change or its wheel turns.
    Pointer(PointerEvent),
    /// The pointer is at this place. Without effect while the machine does not run, or the guest
    /// has no driver for the tablet, see [`Event::Tablet`].
    PointAt {
        /// From the screen's left edge, 0, to its right one, 32767.
        x: u16,
        /// From its top, 0, to its bottom, 32767.
        y: u16,
    },
}

/// How closely a running machine is watched. What nobody looks at costs nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Watch {
    /// There is no [`Event::Statistics`].
    Not,
    /// [`Event::Statistics`] comes once a second; what the guest says of its memory is up to ten
    /// seconds old. So it is from the start.
    Loosely,
    /// The guest is asked of its memory as often.
    Closely,
}

/// A key of the guest's keyboard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyEvent {
    /// The key's code in Linux' `input-event-codes.h`, which is where it sits, not what it says.
    pub code: u16,
    /// Whether it goes down. The guest's keyboard repeats by itself: a front end passes on no
    /// repeats of its own.
    pub pressed: bool,
}

/// A relative pointer event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PointerEvent {
    /// Movement to the right, in the guest's counts.
    pub dx: i32,
    /// Movement down.
    pub dy: i32,
    /// Wheel clicks towards the user.
    pub wheel: i32,
    /// Buttons held: bit 0 left, 1 right, 2 middle, 3 and 4 the side buttons.
    pub buttons: u8,
}

/// Where a machine is in its life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Built; no guest instruction has run.
    Created,
    /// The vCPUs run.
    Running,
    /// The vCPUs stand still and can go on.
    Paused(PauseReason),
    /// Over; nothing runs any more. Terminal.
    Stopped(StopReason),
}

/// Why a machine stands still.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PauseReason {
    /// A front end asked.
    Requested,
    /// A disk image cannot be written; the text says which and why. [`Command::Resume`] tries
    /// again.
    DiskFault(String),
}

/// Why a machine is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StopReason {
    /// The guest turned itself off.
    GuestPowerOff,
    /// A front end asked, by [`Command::PowerOff`] or by dropping the machine.
    Requested,
    /// Something broke; the text says what, in a sentence.
    Failed(String),
}

/// What a machine tells.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The state changed. The first event of every subscription gives the current state.
    State(State),
    /// The guest was reset.
    Reset,
    /// A command could not be carried out; the text says why.
    Refused(String),
    /// A medium was not changed: the guest has locked the drive, and did not open it when asked
    /// to, or is paused. [`Command::ChangeMedium`] with `force` takes no notice of that.
    MediumHeld {
        /// Index of the drive.
        drive: usize,
    },
    /// Something is wrong that the machine can live with; the text says what, in a sentence.
    Warning(String),
    /// The medium of an optical drive changed, by command or because the guest ejected it.
    Medium {
        /// Index of the drive.
        drive: usize,
        /// The ISO image now in it.
        medium: Option<PathBuf>,
    },
    /// A disk is larger than before, by command, and the guest has been told.
    DiskGrown {
        /// Index of the drive.
        drive: usize,
    },
    /// The guest set the keyboard's lights: bit 0 scroll lock, 1 num lock, 2 caps lock.
    Leds(u8),
    /// Whether the guest has a driver for the tablet, and follows [`Command::PointAt`]. Assumed to
    /// be `false` until this says otherwise.
    Tablet(bool),
    /// Once a second while the machine runs, see [`Command::Watch`].
    Statistics(Statistics),
}

/// Figures since the machine was started.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Statistics {
    /// Time since start.
    pub uptime: Duration,
    /// Processor time each vCPU thread has used.
    pub vcpu_time: Vec<Duration>,
    /// Guest RAM that occupies host memory, in bytes.
    pub resident: u64,
    /// What the guest has given up, and what it says of its memory.
    pub balloon: BalloonFigures,
    /// Figures of each drive, in the order of the configuration.
    pub disks: Vec<DiskStatistics>,
    /// Figures of the network card, if there is one.
    pub network: Option<NetStatistics>,
    /// Returns from KVM to the VMM by kind, all vCPUs together.
    pub exits: ExitCounts,
}

/// What a drive has moved.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DiskStatistics {
    /// Bytes read by the guest.
    pub read_bytes: u64,
    /// Bytes written by the guest.
    pub written_bytes: u64,
    /// Read requests completed.
    pub reads: u64,
    /// Write requests completed.
    pub writes: u64,
}

/// What a network card has moved, as the guest sees it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NetStatistics {
    /// Bytes of frames that the guest received.
    pub received_bytes: u64,
    /// Frames that the guest received.
    pub received_packets: u64,
    /// Bytes of frames that the guest sent.
    pub sent_bytes: u64,
    /// Frames that the guest sent.
    pub sent_packets: u64,
}

/// Returns from KVM by kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ExitCounts {
    /// Port reads and writes.
    pub io: u64,
    /// Memory-mapped reads and writes.
    pub mmio: u64,
    /// Anything else.
    pub other: u64,
}
