//! The registers of a 16550A, apart from what is on the other end of the line.
//!
//! Follows National Semiconductor's PC16550D datasheet; section numbers below are its. The chip
//! has no notion of time here: a character takes none to send, and the receiver's time-out of
//! four character times (§8.5) has always passed.

use std::collections::VecDeque;

use bitflags::bitflags;
use serde::{Deserialize, Serialize};

/// Registers by offset; some mean two things, by direction or by `Lcr::DLAB` (table II).
mod reg {
    /// Receiver buffer (read), transmitter holding register (write), divisor latch low byte.
    pub(super) const DATA: u8 = 0;
    /// Interrupt enable, divisor latch high byte.
    pub(super) const IER: u8 = 1;
    /// Interrupt identification (read), FIFO control (write).
    pub(super) const IIR_FCR: u8 = 2;
    pub(super) const LCR: u8 = 3;
    pub(super) const MCR: u8 = 4;
    pub(super) const LSR: u8 = 5;
    pub(super) const MSR: u8 = 6;
    pub(super) const SCR: u8 = 7;
}

bitflags! {
    /// Interrupt enable register (§8.7).
    #[derive(Clone, Copy)]
    struct Ier: u8 {
        const RECEIVED = 0x01;
        const TRANSMIT_EMPTY = 0x02;
        const LINE_STATUS = 0x04;
        const MODEM_STATUS = 0x08;
    }

    /// Line control register (§8.1).
    #[derive(Clone, Copy)]
    struct Lcr: u8 {
        const WORD_LENGTH = 0x03;
        const SET_BREAK = 0x40;
        const DLAB = 0x80;
    }

    /// FIFO control register (§8.4).
    #[derive(Clone, Copy)]
    struct Fcr: u8 {
        const ENABLE = 0x01;
        const CLEAR_RECEIVER = 0x02;
        const DMA_MODE = 0x08;
        const TRIGGER = 0xc0;
    }

    /// Modem control register (§8.8).
    #[derive(Clone, Copy)]
    struct Mcr: u8 {
        const DTR = 0x01;
        const RTS = 0x02;
        const OUT1 = 0x04;
        const OUT2 = 0x08;
        const LOOP = 0x10;
    }

    /// Line status register (§8.3).
    #[derive(Clone, Copy)]
    struct Lsr: u8 {
        const DATA_READY = 0x01;
        const OVERRUN = 0x02;
        const BREAK = 0x10;
        const HOLDING_EMPTY = 0x20;
        const TRANSMITTER_EMPTY = 0x40;
        const FIFO_ERROR = 0x80;
    }

    /// Modem status register (§8.9): changes in the low half, levels in the high half.
    #[derive(Clone, Copy)]
    struct Msr: u8 {
        const DELTA_CTS = 0x01;
        const DELTA_DSR = 0x02;
        /// Trailing edge: the ring indicator has gone off.
        const TRAILING_RI = 0x04;
        const DELTA_DCD = 0x08;
        const CTS = 0x10;
        const DSR = 0x20;
        const RI = 0x40;
        const DCD = 0x80;
    }
}

/// Interrupt identification (table IV), in order of priority.
mod iir {
    pub(super) const LINE_STATUS: u8 = 0x06;
    pub(super) const RECEIVED: u8 = 0x04;
    pub(super) const TIMEOUT: u8 = 0x0c;
    pub(super) const TRANSMIT_EMPTY: u8 = 0x02;
    pub(super) const MODEM_STATUS: u8 = 0x00;
    pub(super) const NONE: u8 = 0x01;
    /// Set while the FIFOs are on: how software tells a 16550A.
    pub(super) const FIFOS: u8 = 0xc0;
}

/// Depth of each FIFO.
pub(super) const FIFO_DEPTH: usize = 16;

/// Divisor after power-on. The datasheet leaves it undefined; this one is 9600 baud.
const DEFAULT_DIVISOR: u16 = 12;

/// A character in the receiver FIFO.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Received {
    byte: u8,
    is_break: bool,
}

/// What a saved serial port remembers: the chip's registers and its receiver FIFO. What waits on
/// the host's side of the line is not part of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    ier: u8,
    fcr: u8,
    lcr: u8,
    mcr: u8,
    scr: u8,
    divisor: u16,
    /// Overrun and break, until the line status is read.
    errors: u8,
    /// The low half of the modem status.
    modem_changes: u8,
    /// The transmitter has become empty and nobody has been told.
    empty_pending: bool,
    /// The other end has room for a FIFO's worth: the transmitter counts as empty.
    transmitter_empty: bool,
    receiver: VecDeque<Received>,
}

impl Default for State {
    /// After power-on (table III).
    fn default() -> Self {
        Self {
            ier: 0,
            fcr: 0,
            lcr: 0,
            mcr: 0,
            scr: 0,
            divisor: DEFAULT_DIVISOR,
            errors: 0,
            modem_changes: 0,
            empty_pending: false,
            transmitter_empty: true,
            receiver: VecDeque::new(),
        }
    }
}

/// The chip.
#[derive(Default)]
pub(super) struct Uart {
    state: State,
}

impl Uart {
    pub(super) fn save(&self) -> State {
        self.state.clone()
    }

    /// Takes a saved state, or says what is wrong with it.
    pub(super) fn restore(&mut self, state: State) -> Result<(), String> {
        let known = state.ier & !Ier::all().bits() == 0
            && state.fcr & !(Fcr::ENABLE | Fcr::DMA_MODE | Fcr::TRIGGER).bits() == 0
            && state.mcr & !Mcr::all().bits() == 0
            && state.errors & !(Lsr::OVERRUN | Lsr::BREAK).bits() == 0
            && state.modem_changes & 0xf0 == 0;
        if !known {
            return Err("a register has bits that do not exist".into());
        }
        let depth = depth(state.fcr);
        if state.receiver.len() > depth {
            return Err(format!("{} characters in a FIFO of {depth}", state.receiver.len()));
        }
        self.state = state;
        Ok(())
    }

    pub(super) fn reset(&mut self) {
        self.state = State::default();
    }

    fn ier(&self) -> Ier {
        Ier::from_bits_truncate(self.state.ier)
    }

    fn fifos(&self) -> bool {
        Fcr::from_bits_truncate(self.state.fcr).contains(Fcr::ENABLE)
    }

    fn loopback(&self) -> bool {
        Mcr::from_bits_truncate(self.state.mcr).contains(Mcr::LOOP)
    }

    fn divisor_latch(&self) -> bool {
        self.state.lcr & Lcr::DLAB.bits() != 0
    }

    /// Level of the interrupt line as it reaches the PC's interrupt controller: `OUT2` drives the
    /// buffer between the two.
    pub(super) fn interrupt(&self) -> bool {
        self.state.mcr & Mcr::OUT2.bits() != 0 && self.identify() != iir::NONE
    }

    /// How many characters the receiver can take from the line. None in loop-back, where the line
    /// is cut off (§8.8).
    pub(super) fn receiver_room(&self) -> usize {
        if self.loopback() { 0 } else { depth(self.state.fcr) - self.state.receiver.len() }
    }

    /// A character arrives from the line.
    pub(super) fn receive(&mut self, byte: u8) {
        self.push(Received { byte, is_break: false });
    }

    /// A break arrives from the line: a character of zeros, marked (§8.3).
    pub(super) fn receive_break(&mut self) {
        self.push(Received { byte: 0, is_break: true });
    }

    fn push(&mut self, character: Received) {
        let depth = depth(self.state.fcr);
        if self.state.receiver.len() >= depth {
            self.state.errors |= Lsr::OVERRUN.bits();
            if self.fifos() {
                // The character is lost in the shift register, the FIFO keeps what it has.
                return;
            }
            self.state.receiver.clear();
        }
        self.state.receiver.push_back(character);
        if self.state.receiver.len() == 1 {
            self.reveal_errors();
        }
    }

    /// Errors belong to a character and show when it is the next to be read (§8.3).
    fn reveal_errors(&mut self) {
        if self.state.receiver.front().is_some_and(|next| next.is_break) {
            self.state.errors |= Lsr::BREAK.bits();
        }
    }

    /// Says whether the other end can take a FIFO's worth of characters. Becoming able to is what
    /// the transmitter's interrupt reports.
    pub(super) fn set_transmitter_empty(&mut self, empty: bool) {
        if empty && !self.state.transmitter_empty {
            self.state.empty_pending = true;
        }
        self.state.transmitter_empty = empty;
    }

    /// The character of the last write has gone.
    pub(super) fn transmitted(&mut self) {
        if self.state.transmitter_empty {
            self.state.empty_pending = true;
        }
    }

    /// What the interrupt identification register shows, without the FIFO bits.
    fn identify(&self) -> u8 {
        let enabled = self.ier();
        let waiting = self.state.receiver.len();
        if enabled.contains(Ier::LINE_STATUS) && self.state.errors != 0 {
            iir::LINE_STATUS
        } else if enabled.contains(Ier::RECEIVED) && waiting >= trigger_level(self.state.fcr) {
            iir::RECEIVED
        } else if enabled.contains(Ier::RECEIVED) && waiting > 0 {
            iir::TIMEOUT
        } else if enabled.contains(Ier::TRANSMIT_EMPTY) && self.state.empty_pending {
            iir::TRANSMIT_EMPTY
        } else if enabled.contains(Ier::MODEM_STATUS) && self.state.modem_changes != 0 {
            iir::MODEM_STATUS
        } else {
            iir::NONE
        }
    }

    fn line_status(&self) -> u8 {
        let mut status = Lsr::from_bits_truncate(self.state.errors);
        status.set(Lsr::DATA_READY, !self.state.receiver.is_empty());
        status.set(Lsr::HOLDING_EMPTY, self.state.transmitter_empty);
        status.set(Lsr::TRANSMITTER_EMPTY, self.state.transmitter_empty);
        let error = self.fifos() && self.state.receiver.iter().any(|c| c.is_break);
        status.set(Lsr::FIFO_ERROR, error);
        status.bits()
    }

    /// The modem's lines: a modem that is always ready, or in loop-back the chip's own outputs
    /// (§8.8).
    fn modem_lines(&self) -> Msr {
        let mcr = Mcr::from_bits_truncate(self.state.mcr);
        if !mcr.contains(Mcr::LOOP) {
            return Msr::CTS | Msr::DSR | Msr::DCD;
        }
        let mut lines = Msr::empty();
        lines.set(Msr::CTS, mcr.contains(Mcr::RTS));
        lines.set(Msr::DSR, mcr.contains(Mcr::DTR));
        lines.set(Msr::RI, mcr.contains(Mcr::OUT1));
        lines.set(Msr::DCD, mcr.contains(Mcr::OUT2));
        lines
    }

    /// Reads register `register` (0 to 7).
    pub(super) fn read(&mut self, register: u8) -> u8 {
        let [low, high] = self.state.divisor.to_le_bytes();
        match register {
            reg::DATA if self.divisor_latch() => low,
            reg::IER if self.divisor_latch() => high,
            reg::DATA => {
                let byte = self.state.receiver.pop_front().map_or(0, |c| c.byte);
                self.reveal_errors();
                byte
            }
            reg::IER => self.state.ier,
            reg::IIR_FCR => {
                let source = self.identify();
                if source == iir::TRANSMIT_EMPTY {
                    self.state.empty_pending = false;
                }
                source | if self.fifos() { iir::FIFOS } else { 0 }
            }
            reg::LCR => self.state.lcr,
            reg::MCR => self.state.mcr,
            reg::LSR => {
                let status = self.line_status();
                self.state.errors = 0;
                status
            }
            reg::MSR => {
                let status = self.modem_lines().bits() | self.state.modem_changes;
                self.state.modem_changes = 0;
                status
            }
            reg::SCR => self.state.scr,
            _ => 0xff,
        }
    }

    /// Writes register `register` (0 to 7). Gives the character that is to go out on the line;
    /// [`Uart::transmitted`] is to be called when it has gone.
    pub(super) fn write(&mut self, register: u8, value: u8) -> Option<u8> {
        let [low, high] = self.state.divisor.to_le_bytes();
        match register {
            reg::DATA if self.divisor_latch() => {
                self.state.divisor = u16::from_le_bytes([value, high]);
            }
            reg::IER if self.divisor_latch() => {
                self.state.divisor = u16::from_le_bytes([low, value]);
            }
            reg::DATA => return self.send(value),
            reg::IER => self.write_ier(value),
            reg::IIR_FCR => self.write_fcr(value),
            reg::LCR => self.write_lcr(value),
            reg::MCR => self.write_mcr(value),
            reg::SCR => self.state.scr = value,
            // The line and modem status are written in the factory only (§8.3).
            _ => {}
        }
        None
    }

    fn send(&mut self, byte: u8) -> Option<u8> {
        self.state.empty_pending = false;
        if !self.loopback() {
            return Some(byte);
        }
        let word_length = 5 + (self.state.lcr & Lcr::WORD_LENGTH.bits());
        self.receive(byte & (0xff >> (8 - word_length)));
        self.transmitted();
        None
    }

    fn write_ier(&mut self, value: u8) {
        let value = Ier::from_bits_truncate(value);
        let newly = value & !self.ier();
        // Asking to hear of an empty transmitter when it is empty is answered at once (§8.6);
        // drivers start sending that way.
        if newly.contains(Ier::TRANSMIT_EMPTY) && self.state.transmitter_empty {
            self.state.empty_pending = true;
        }
        self.state.ier = value.bits();
    }

    fn write_fcr(&mut self, value: u8) {
        let value = Fcr::from_bits_truncate(value);
        let on = value.contains(Fcr::ENABLE);
        if on != self.fifos() || (on && value.contains(Fcr::CLEAR_RECEIVER)) {
            self.state.receiver.clear();
        }
        // The other bits are programmed only together with the first (§8.4).
        let kept = if on { value & !Fcr::CLEAR_RECEIVER } else { Fcr::empty() };
        self.state.fcr = kept.bits();
    }

    fn write_lcr(&mut self, value: u8) {
        let begins = value & !self.state.lcr & Lcr::SET_BREAK.bits() != 0;
        self.state.lcr = value;
        if begins && self.loopback() {
            self.receive_break();
        }
    }

    fn write_mcr(&mut self, value: u8) {
        let before = self.modem_lines();
        self.state.mcr = Mcr::from_bits_truncate(value).bits();
        let after = self.modem_lines();
        let changed = before ^ after;
        let mut delta = Msr::empty();
        delta.set(Msr::DELTA_CTS, changed.contains(Msr::CTS));
        delta.set(Msr::DELTA_DSR, changed.contains(Msr::DSR));
        delta.set(Msr::TRAILING_RI, (before & !after).contains(Msr::RI));
        delta.set(Msr::DELTA_DCD, changed.contains(Msr::DCD));
        self.state.modem_changes |= delta.bits();
    }
}

fn depth(fcr: u8) -> usize {
    if fcr & Fcr::ENABLE.bits() != 0 { FIFO_DEPTH } else { 1 }
}

/// How many characters make the receiver report data (§8.4).
fn trigger_level(fcr: u8) -> usize {
    if fcr & Fcr::ENABLE.bits() == 0 {
        return 1;
    }
    [1, 4, 8, 14][usize::from(fcr >> 6)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn divisor_hides_behind_dlab() {
        let mut uart = Uart::default();
        uart.write(reg::LCR, 0x83);
        uart.write(reg::DATA, 0x34);
        uart.write(reg::IER, 0x12);
        assert_eq!((uart.read(reg::DATA), uart.read(reg::IER)), (0x34, 0x12));
        uart.write(reg::LCR, 0x03);
        assert_eq!((uart.read(reg::DATA), uart.read(reg::IER)), (0, 0));
        assert_eq!(uart.write(reg::DATA, b'x'), Some(b'x'));
    }

    #[test]
    fn loopback_carries_data_and_modem_lines() {
        let mut uart = Uart::default();
        uart.write(reg::LCR, 0x02);
        // What Linux's 8250 driver probes with: RTS and OUT2 come back as CTS and DCD.
        uart.write(reg::MCR, 0x1a);
        assert_eq!(uart.read(reg::MSR) & 0xf0, 0x90);
        assert_eq!(uart.read(reg::MSR) & 0x0f, 0, "reading clears the changes");
        uart.write(reg::MCR, 0x1e);
        assert_eq!(uart.read(reg::MSR), 0xd0);
        uart.write(reg::MCR, 0x10);
        assert_eq!(uart.read(reg::MSR), 0x0d, "ring went off: trailing edge");
        assert_eq!(uart.write(reg::DATA, 0xff), None);
        assert_eq!(uart.read(reg::DATA), 0x7f, "a word of seven bits");
        assert_eq!(uart.receiver_room(), 0, "the line is cut off");
    }

    #[test]
    fn overrun_keeps_the_fifo_but_replaces_the_buffer() {
        let mut uart = Uart::default();
        uart.write(reg::LCR, 0x03);
        uart.write(reg::MCR, 0x10);
        uart.write(reg::DATA, 1);
        uart.write(reg::DATA, 2);
        assert_eq!(uart.read(reg::LSR) & 0x83, 0x03);
        assert_eq!(uart.read(reg::LSR) & 0x83, 0x01, "reading clears the error");
        assert_eq!(uart.read(reg::DATA), 2);

        uart.write(reg::IIR_FCR, 0x01);
        for byte in 0..17 {
            uart.write(reg::DATA, byte);
        }
        assert_eq!(uart.read(reg::LSR) & 0x02, 0x02);
        for byte in 0..16 {
            assert_eq!(uart.read(reg::DATA), byte);
        }
        assert_eq!(uart.read(reg::LSR) & 0x01, 0);
    }

    #[test]
    fn interrupts_come_by_priority() {
        let mut uart = Uart::default();
        uart.write(reg::IIR_FCR, 0x41);
        assert_eq!(uart.read(reg::IIR_FCR), 0xc1);
        uart.write(reg::IER, 0x0f);
        assert!(!uart.interrupt(), "OUT2 is off");
        uart.write(reg::MCR, 0x08);
        assert!(uart.interrupt());
        uart.receive_break();
        for _ in 0..4 {
            uart.receive(b'a');
        }
        // Leaving and entering loop-back changes modem lines.
        uart.write(reg::MCR, 0x18);
        uart.write(reg::MCR, 0x08);
        assert_eq!(uart.read(reg::IIR_FCR), 0xc6);
        assert_eq!(uart.read(reg::LSR) & 0x91, 0x91);
        assert_eq!(uart.read(reg::IIR_FCR), 0xc4, "five characters, the trigger is four");
        uart.read(reg::DATA);
        uart.read(reg::DATA);
        assert_eq!(uart.read(reg::IIR_FCR), 0xcc, "three characters and silence");
        for _ in 0..3 {
            uart.read(reg::DATA);
        }
        assert_eq!(uart.read(reg::IIR_FCR), 0xc2);
        assert_eq!(uart.read(reg::IIR_FCR), 0xc0, "reading told of the empty transmitter");
        uart.read(reg::MSR);
        assert_eq!(uart.read(reg::IIR_FCR), 0xc1);
        assert!(!uart.interrupt());
    }

    #[test]
    fn enabling_the_transmit_interrupt_asks_at_once() {
        let mut uart = Uart::default();
        for _ in 0..2 {
            uart.write(reg::IER, 0x02);
            assert_eq!(uart.read(reg::IIR_FCR), 0x02);
            assert_eq!(uart.read(reg::IIR_FCR), 0x01);
            uart.write(reg::IER, 0x00);
        }
        uart.set_transmitter_empty(false);
        uart.write(reg::IER, 0x02);
        assert_eq!(uart.read(reg::IIR_FCR), 0x01);
        assert_eq!(uart.read(reg::LSR) & 0x60, 0);
        uart.set_transmitter_empty(true);
        assert_eq!(uart.read(reg::IIR_FCR), 0x02);
        assert_eq!(uart.read(reg::LSR) & 0x60, 0x60);
    }

    #[test]
    fn a_break_is_told_when_its_turn_comes() {
        let mut uart = Uart::default();
        uart.write(reg::IIR_FCR, 0x01);
        uart.receive(b'a');
        uart.receive_break();
        assert_eq!(uart.read(reg::LSR) & 0x90, 0x80);
        uart.read(reg::DATA);
        assert_eq!(uart.read(reg::LSR) & 0x90, 0x90);
        uart.write(reg::IIR_FCR, 0x03);
        assert_eq!(uart.read(reg::LSR) & 0x91, 0);
    }

    #[test]
    fn impossible_states_are_refused() {
        let mut uart = Uart::default();
        let full = State {
            receiver: std::iter::repeat_n(Received { byte: 0, is_break: false }, 2).collect(),
            ..State::default()
        };
        assert!(uart.restore(full).is_err());
        assert!(uart.restore(State { ier: 0x10, ..State::default() }).is_err());
    }
}
