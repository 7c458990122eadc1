//! Console device (VIRTIO 1.2 §5.3) as a bundle of named channels between programs of the guest and
//! programs of the host, such as a guest agent. It has no console: the serial port is that.
//!
//! The guest finds a channel by its name, the host as a Unix socket that takes one connection at a
//! time. What a guest writes while nobody is connected is lost; what is sent to a guest that has not
//! opened the channel waits in the socket. `control` is what device and driver tell each other
//! about channels, `carrier` moves the bytes.

mod carrier;
mod control;

use std::io;
use std::os::unix::net::UnixListener;
use std::sync::Arc;

use parking_lot::Mutex;

use self::carrier::Carrier;
use self::control::Control;
pub use self::control::ControlState;
use super::device::{Activation, Assignment, Kind, VirtioDevice, config_bytes};
use crate::state::{Persist, RestoreError};

/// The driver knows more than one port (§5.3.3, `VIRTIO_CONSOLE_F_MULTIPORT`).
const MULTIPORT: u64 = 1 << 1;

/// Queues (§5.3.2): those of port 0, which is only for consoles, those for control, then two for
/// each port.
const NO_PORT_SENT: usize = 1;
const CONTROL_IN: usize = 2;
const CONTROL_OUT: usize = 3;
const FIRST_PORT: usize = 4;
const QUEUE_SIZE: u16 = 64;
/// Most channels.
const MAX_CHANNELS: usize = 30;
/// The longest name of a channel, in bytes.
const MAX_NAME: usize = 200;

/// A channel.
#[derive(Debug)]
pub struct Channel {
    /// What the guest finds it by, such as `org.qemu.guest_agent.0`.
    pub name: String,
    /// Where it is reached on the host.
    pub socket: UnixListener,
}

/// A bundle of channels.
pub struct Console {
    names: Arc<[String]>,
    sockets: Vec<Arc<UnixListener>>,
    control: Arc<Mutex<Control>>,
}

impl Console {
    /// A device with these channels, at most 30, whose names are at most 200 bytes long.
    ///
    /// # Errors
    /// When there are more or longer ones, or the system refuses to make a socket non-blocking.
    pub fn new(channels: Vec<Channel>) -> io::Result<Self> {
        let too_long = |channel: &Channel| channel.name.len() > MAX_NAME;
        if channels.len() > MAX_CHANNELS || channels.iter().any(too_long) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let control = Arc::new(Mutex::new(Control::new(channels.len())));
        let mut names = Vec::new();
        let mut sockets = Vec::new();
        for channel in channels {
            channel.socket.set_nonblocking(true)?;
            names.push(channel.name);
            sockets.push(Arc::new(channel.socket));
        }
        Ok(Self { names: names.into(), sockets, control })
    }
}

impl VirtioDevice for Console {
    fn kind(&self) -> Kind {
        Kind::CONSOLE
    }

    fn features(&self) -> u64 {
        MULTIPORT
    }

    fn queue_sizes(&self) -> Vec<u16> {
        vec![QUEUE_SIZE; FIRST_PORT + 2 * self.sockets.len()]
    }

    fn read_config(&self, offset: u64, data: &mut [u8]) {
        // Columns and rows, which are of the console there is not; then the number of ports,
        // port 0 included.
        let mut config = [0; 12];
        config[4..8].copy_from_slice(&(self.sockets.len() as u32 + 1).to_le_bytes());
        config_bytes(&config, offset, data);
    }

    fn activate(&self, activation: Activation) -> io::Result<Vec<Assignment>> {
        let carrier =
            Carrier::new(&activation, self.names.clone(), &self.sockets, self.control.clone());
        Ok(activation.all_to(carrier))
    }

    fn reset(&self) {
        *self.control.lock() = Control::new(self.sockets.len());
    }
}

impl Persist for Console {
    type State = ControlState;

    fn save(&self) -> ControlState {
        self.control.lock().save()
    }

    fn restore(&self, state: ControlState) -> Result<(), RestoreError> {
        self.control.lock().restore(state)
    }
}

#[cfg(test)]
mod tests;
