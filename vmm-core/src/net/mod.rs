//! Where the cable of a guest's network card ends.
//!
//! What lives here: what a card is connected to ([`NetBackend`]: [`Passt`] or a [`Tap`] device),
//! the [`Cable`] between the two, the framing of what goes over it, and the plain types that
//! describe a card ([`MacAddress`], [`PortForward`], [`TapName`]). What does not: the card itself,
//! which is a device ([`crate::devices::virtio::net`]).
//!
//! A cable carries Ethernet frames over a [`Wire`]. The card asks for one when the guest has a
//! driver for it; the backend makes one in its own time and plugs it in. When it breaks the card
//! asks again. No thread waits for any of that while nothing happens.

mod cable;
mod forward;
mod frames;
mod mac;
mod passt;
mod tap;
#[cfg(test)]
pub(crate) mod testing;
mod wire;

use std::sync::Arc;

use bitflags::bitflags;

pub use self::cable::{Cable, Traffic};
pub use self::forward::{ForwardError, MAX_FORWARDS, PortForward, Protocol};
pub(crate) use self::frames::{Connection, FrameError, Outcome};
pub use self::mac::{MacAddress, MacError};
pub use self::passt::{Passt, PasstOptions};
pub use self::tap::{Tap, TapName, TapNameError};
pub use self::wire::Wire;

/// Length of an Ethernet header: two addresses and a type. No frame is shorter.
pub const ETHERNET_HEADER: usize = 14;
/// The longest frame that is passed on either way, which is what passt takes.
pub const MAX_FRAME: usize = u16::MAX as usize;
/// The largest packet in a frame: what passt tells guests by DHCP, a multiple of 4 that
/// leaves room for the Ethernet header in 64 KiB.
pub const MTU: u16 = 65520;

/// Length of the header that virtio has before each frame.
pub const VIRTIO_HEADER: usize = 12;

bitflags! {
    /// Work on received frames that a guest does not need to have done.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Offloads: u32 {
        /// A packet's checksum may be partial.
        const CHECKSUM = 1;
        /// A TCP segment over IPv4 may be longer than the network's packets; with
        /// [`Self::CHECKSUM`] only.
        const TCP4 = 2;
        /// The same over IPv6.
        const TCP6 = 4;
    }
}

/// What network cards are connected to.
pub trait NetBackend: Send + Sync + 'static {
    /// The card has a driver: makes a connection if there is none, in its own time, and ends with
    /// [`Cable::plug`], or with [`Cable::unplug`] when there can be none. Returns at once. Called
    /// again whenever a connection has broken, and each time the guest starts its driver.
    /// `offloads` is empty unless [`Self::has_offloads`].
    fn connect(&self, cable: &Arc<Cable>, offloads: Offloads);

    /// Whether it deals with checksums that are partial and segments that are yet to be cut, both
    /// ways; its wires are then such that carry virtio headers.
    fn has_offloads(&self) -> bool {
        false
    }

    /// The largest packet that the guest may send, in bytes.
    fn mtu(&self) -> u16 {
        MTU
    }
}
