//! The guest's end of a serial port.

use std::sync::Arc;

use vmm_core::bus::BusDevice;
use vmm_core::devices::serial::{COM1_IRQ, Serial};
use vmm_core::interrupt::IrqLine;
use vmm_core::machine::{SerialPort, SerialStart};

use super::machine::Unconnected;

/// Registers of a 16550 (datasheet of the PC16550D, table II).
const DATA: u64 = 0;
const LINE_STATUS: u64 = 5;
/// Bits of the line status register.
const DATA_READY: u8 = 1 << 0;
const TRANSMITTER_EMPTY: u8 = 1 << 5;

/// A real serial port, and the guest that a test plays on it through the chip's registers. Can be
/// used from any thread.
pub struct FakeSerial(Serial);

impl Default for FakeSerial {
    fn default() -> Self {
        Self(Serial::new(IrqLine::new(Arc::new(Unconnected), COM1_IRQ)))
    }
}

impl FakeSerial {
    /// A console on it.
    pub fn attach(&self, start: SerialStart) -> SerialPort {
        self.0.attach(start)
    }

    /// The guest writes as much of `bytes` as the transmitter takes now; says how much that was.
    pub fn say(&self, bytes: &[u8]) -> usize {
        bytes
            .iter()
            .take_while(|byte| {
                let ready = self.read(LINE_STATUS) & TRANSMITTER_EMPTY != 0;
                if ready {
                    self.0.write(DATA, &[**byte]);
                }
                ready
            })
            .count()
    }

    /// The guest writes all of `bytes` and waits for the transmitter as a driver does.
    pub fn say_all(&self, mut bytes: &[u8]) {
        loop {
            bytes = &bytes[self.say(bytes)..];
            if bytes.is_empty() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
    }

    /// The guest reads what it was sent, `most` bytes at most.
    pub fn hear(&self, most: usize) -> Vec<u8> {
        let next = || (self.read(LINE_STATUS) & DATA_READY != 0).then(|| self.read(DATA));
        std::iter::from_fn(next).take(most).collect()
    }

    fn read(&self, register: u64) -> u8 {
        let mut byte = [0xff];
        self.0.read(register, &mut byte);
        byte[0]
    }
}
