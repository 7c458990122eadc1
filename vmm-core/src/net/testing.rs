//! A network for tests: everything that a card sends comes back.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use super::{Cable, NetBackend};

/// A network in which everything comes back to who sent it.
#[derive(Default)]
pub(crate) struct Echo {
    /// How many connections were made.
    pub(crate) connections: AtomicU32,
}

impl NetBackend for Echo {
    fn connect(&self, cable: &Arc<Cable>) {
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
