//! The serial port COM1: a 16550A UART and the consoles on its other end.
//!
//! `uart` is the chip, `stream` the host's side. This file ties them together and to the
//! interrupt line.
//!
//! # What happens to the guest's output
//! The last 256 KiB are always kept ([`Serial::log`]). With no console attached the guest writes
//! as fast as it likes and the oldest bytes make room. A console ([`Serial::attach`]) gets every
//! byte: when it is 256 KiB behind, the transmitter stays busy (`LSR.THRE` clear, no interrupt)
//! until it reads on, which holds up whoever in the guest waits for the transmitter, and no vCPU
//! thread. The baud rate is not emulated.
//!
//! # What happens to input
//! It waits on the host's side until the receiver has room, so that a guest that is slow to read
//! loses nothing; senders wait once 16 KiB wait.
//!
//! There is no thread: an idle port costs nothing.

mod stream;
mod uart;

use std::sync::Arc;

use parking_lot::Mutex;

use crate::bus::BusDevice;
use crate::interrupt::IrqLine;
use crate::state::{Persist, Reset, RestoreError};

pub use stream::{Closed, SerialInput, SerialOutput, SerialPort, Start};
pub use uart::State;

use stream::Host;
use uart::{FIFO_DEPTH, Uart};

/// First port of COM1.
pub const COM1_PORT: u64 = 0x3f8;
/// ISA interrupt of COM1.
pub const COM1_IRQ: u32 = 4;
/// Number of ports a UART takes.
pub const PORTS: u64 = 8;

struct Wire {
    uart: Uart,
    host: Host,
    /// `None` once the port is gone: a console that is kept keeps nothing else of the machine.
    irq: Option<IrqLine>,
    level: bool,
}

impl Wire {
    fn drive_irq(&mut self) {
        let level = self.uart.interrupt();
        if level != self.level {
            self.level = level;
            if let Some(irq) = &self.irq {
                irq.set(level);
            }
        }
    }

    /// Moves what can be moved between chip and host, then drives the interrupt line.
    fn settle(&mut self) {
        while self.uart.receiver_room() > 0 {
            match self.host.next_input() {
                Some(Some(byte)) => self.uart.receive(byte),
                Some(None) => self.uart.receive_break(),
                None => break,
            }
        }
        // Drivers send a FIFO's worth each time they find the transmitter empty.
        self.uart.set_transmitter_empty(self.host.room() >= FIFO_DEPTH);
        self.drive_irq();
    }

    fn write(&mut self, register: u8, value: u8) {
        let Some(byte) = self.uart.write(register, value) else { return };
        // Writing takes the transmitter's interrupt back before the next: an edge-triggered input
        // sees one edge for each.
        self.drive_irq();
        self.host.send(byte);
        self.uart.set_transmitter_empty(self.host.room() >= FIFO_DEPTH);
        self.uart.transmitted();
    }
}

struct Line(Mutex<Wire>);

impl Line {
    /// Runs `action` and lets its consequences happen.
    fn with<T>(&self, action: impl FnOnce(&mut Uart, &mut Host) -> T) -> T {
        let mut wire = self.0.lock();
        let wire = &mut *wire;
        let result = action(&mut wire.uart, &mut wire.host);
        wire.settle();
        result
    }
}

/// A serial port. See the module's documentation.
pub struct Serial {
    line: Arc<Line>,
}

impl Serial {
    /// A port that nobody listens to yet, interrupting on `irq`.
    pub fn new(irq: IrqLine) -> Self {
        let wire =
            Wire { uart: Uart::default(), host: Host::default(), irq: Some(irq), level: false };
        Self { line: Arc::new(Line(Mutex::new(wire))) }
    }

    /// Attaches a console. Any number may be attached; the slowest sets the pace.
    pub fn attach(&self, start: Start) -> SerialPort {
        stream::attach(&self.line, start)
    }

    /// The last 256 KiB of what the guest has sent.
    pub fn log(&self) -> Vec<u8> {
        self.line.0.lock().host.log()
    }
}

impl Drop for Serial {
    fn drop(&mut self) {
        let mut wire = self.line.0.lock();
        wire.host.close();
        wire.irq = None;
    }
}

/// Sixteen-bit accesses reach two registers of this eight-bit device, as the ISA bus splits them.
impl BusDevice for Serial {
    fn read(&self, offset: u64, data: &mut [u8]) {
        let mut wire = self.line.0.lock();
        for (register, byte) in (offset..PORTS).zip(data) {
            *byte = wire.uart.read(register as u8);
        }
        wire.settle();
    }

    fn write(&self, offset: u64, data: &[u8]) {
        let mut wire = self.line.0.lock();
        for (register, byte) in (offset..PORTS).zip(data) {
            wire.write(register as u8, *byte);
        }
        wire.settle();
    }
}

impl Persist for Serial {
    type State = State;

    fn save(&self) -> State {
        self.line.0.lock().uart.save()
    }

    fn restore(&self, state: State) -> Result<(), RestoreError> {
        self.line
            .with(|uart, _| uart.restore(state))
            .map_err(|reason| RestoreError { device: "serial port", reason })
    }
}

impl Reset for Serial {
    fn reset(&self) {
        self.line.with(|uart, _| uart.reset());
    }
}

#[cfg(test)]
mod tests;
