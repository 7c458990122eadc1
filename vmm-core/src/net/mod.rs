//! Where the cable of a guest's network card ends.
//!
//! What lives here: what a card is connected to ([`NetBackend`], [`Passt`] to begin with), the
//! [`Cable`] between the two, the framing of what goes over it, and the plain types that describe
//! a card ([`MacAddress`], [`PortForward`]). What does not: the card itself, which is a device
//! ([`crate::devices::virtio::net`]).
//!
//! A cable carries Ethernet frames over a stream socket, each preceded by its length. The card asks
//! for a connection when the guest has a driver for it; the backend makes one in its own time and
//! plugs it in. When it breaks the card asks again. No thread waits for any of that while nothing
//! happens.

mod cable;
mod forward;
mod frames;
mod mac;
mod passt;
#[cfg(test)]
pub(crate) mod testing;

use std::sync::Arc;

pub use self::cable::{Cable, Traffic};
pub use self::forward::{ForwardError, MAX_FORWARDS, PortForward, Protocol};
pub(crate) use self::frames::{Connection, FrameError, Outcome};
pub use self::mac::{MacAddress, MacError};
pub use self::passt::{Passt, PasstOptions};

/// Length of an Ethernet header: two addresses and a type. No frame is shorter.
pub const ETHERNET_HEADER: usize = 14;
/// The longest frame that is passed on either way, which is what passt takes.
pub const MAX_FRAME: usize = u16::MAX as usize;
/// The largest packet in a frame: what passt tells guests by DHCP, a multiple of 4 that
/// leaves room for the Ethernet header in 64 KiB.
pub const MTU: u16 = 65520;

/// What network cards are connected to.
pub trait NetBackend: Send + Sync + 'static {
    /// The card has a driver and no connection: makes one, in its own time, and ends with
    /// [`Cable::plug`], or with [`Cable::unplug`] when there can be none. Returns at once. Called
    /// again whenever a connection has broken, and each time the guest starts its driver without
    /// one.
    fn connect(&self, cable: &Arc<Cable>);
}
