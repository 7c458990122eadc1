//! A network for tests: everything that a card sends comes back.

use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use parking_lot::Mutex;

use super::{Cable, NetBackend, Offloads, Wire};

/// A network in which everything comes back to who sent it.
#[derive(Default)]
pub(crate) struct Echo {
    /// How many connections were made.
    pub(crate) connections: AtomicU32,
}

impl NetBackend for Echo {
    fn connect(&self, cable: &Arc<Cable>, _: Offloads) {
        if cable.is_connected() {
            return;
        }
        self.connections.fetch_add(1, SeqCst);
        let (card, mut network) = UnixStream::pair().unwrap();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(len @ 1..) = network.read(&mut buffer) {
                if network.write_all(&buffer[..len]).is_err() {
                    return;
                }
            }
        });
        cable.plug(card).unwrap();
    }
}

/// The same, with virtio headers and all work on them.
#[derive(Default)]
pub(crate) struct PacketEcho {
    /// What the guest was last said to take.
    pub(crate) offloads: Mutex<Option<Offloads>>,
}

impl NetBackend for PacketEcho {
    fn connect(&self, cable: &Arc<Cable>, offloads: Offloads) {
        *self.offloads.lock() = Some(offloads);
        if cable.is_connected() {
            return;
        }
        let (card, network) = UnixDatagram::pair().unwrap();
        std::thread::spawn(move || {
            let mut buffer = [0; 1 << 17];
            while let Ok(len @ 1..) = network.recv(&mut buffer) {
                if network.send(&buffer[..len]).is_err() {
                    return;
                }
            }
        });
        cable.plug(Wire::Packets(OwnedFd::from(card).into())).unwrap();
    }

    fn has_offloads(&self) -> bool {
        true
    }

    fn mtu(&self) -> u16 {
        1500
    }
}
