//! The keyboard controller itself: registers, commands and the one-byte buffer that both devices
//! share (IBM PS/2 Hardware Interface Technical Reference, "Keyboard and Auxiliary Device
//! Controller").

use std::collections::VecDeque;

use bitflags::bitflags;
use serde::{Deserialize, Serialize};

use super::keyboard::{Keyboard, KeyboardState};
use super::mouse::{Mouse, MouseState};
use super::translate::Translator;

bitflags! {
    /// Status register, port 0x64.
    #[derive(Clone, Copy)]
    struct Status: u8 {
        const OUTPUT_FULL = 0x01;
        /// The self-test has passed.
        const SYSTEM = 0x04;
        /// The last write was to port 0x64.
        const COMMAND = 0x08;
        /// No key locks the keyboard.
        const UNLOCKED = 0x10;
        const FROM_MOUSE = 0x20;
    }

    /// Command byte: byte 0 of the controller's memory.
    #[derive(Clone, Copy)]
    struct Mode: u8 {
        const KEYBOARD_INTERRUPT = 0x01;
        const MOUSE_INTERRUPT = 0x02;
        const SYSTEM = 0x04;
        const KEYBOARD_OFF = 0x10;
        const MOUSE_OFF = 0x20;
        const TRANSLATE = 0x40;
    }

    /// Output port.
    #[derive(Clone, Copy)]
    struct OutputPort: u8 {
        /// The processor runs; 0 resets it.
        const NO_RESET = 0x01;
        const A20 = 0x02;
        const KEYBOARD_FULL = 0x10;
        const MOUSE_FULL = 0x20;
        const KEYBOARD_LINES = 0xc0;
    }

    /// System control port A, port 0x92.
    #[derive(Clone, Copy)]
    struct PortA: u8 {
        const RESET = 0x01;
        const A20 = 0x02;
    }
}

/// Commands, written to port 0x64.
mod command {
    pub(super) const READ_RAM: u8 = 0x20;
    pub(super) const READ_RAM_LAST: u8 = 0x3f;
    pub(super) const WRITE_RAM: u8 = 0x60;
    pub(super) const WRITE_RAM_LAST: u8 = 0x7f;
    pub(super) const TEST_PASSWORD: u8 = 0xa4;
    pub(super) const MOUSE_OFF: u8 = 0xa7;
    pub(super) const MOUSE_ON: u8 = 0xa8;
    pub(super) const TEST_MOUSE: u8 = 0xa9;
    pub(super) const SELF_TEST: u8 = 0xaa;
    pub(super) const TEST_KEYBOARD: u8 = 0xab;
    pub(super) const DUMP: u8 = 0xac;
    pub(super) const KEYBOARD_OFF: u8 = 0xad;
    pub(super) const KEYBOARD_ON: u8 = 0xae;
    pub(super) const READ_INPUT_PORT: u8 = 0xc0;
    pub(super) const READ_OUTPUT_PORT: u8 = 0xd0;
    pub(super) const WRITE_OUTPUT_PORT: u8 = 0xd1;
    pub(super) const WRITE_AS_KEYBOARD: u8 = 0xd2;
    pub(super) const WRITE_AS_MOUSE: u8 = 0xd3;
    pub(super) const WRITE_TO_MOUSE: u8 = 0xd4;
    /// To 0xFF: pulses the output port's low bits whose bits here are 0.
    pub(super) const PULSE: u8 = 0xf0;
}

const SELF_TEST_PASSED: u8 = 0x55;
const TEST_PASSED: u8 = 0x00;
const NO_PASSWORD: u8 = 0xf1;
/// Input port: the keyboard is not locked, the display is not monochrome.
const INPUT_PORT: u8 = 0xa0;

const RAM_BYTES: usize = 32;
/// How much of its memory the controller dumps.
const DUMP_BYTES: usize = 16;

/// Whose byte is in the output buffer, for status and interrupts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Source {
    Controller,
    Keyboard,
    Mouse,
}

/// What a saved controller remembers, with the devices plugged into it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Byte 0 is the command byte.
    ram: [u8; RAM_BYTES],
    self_tested: bool,
    last_write_command: bool,
    /// A command whose argument comes on port 0x60.
    pending: Option<u8>,
    output: Option<(u8, Source)>,
    /// What port 0x60 reads as when nothing new is there.
    last_output: u8,
    replies: VecDeque<(u8, Source)>,
    translator: Translator,
    a20: bool,
    /// Port 0x92, without the bits that act.
    port_a: u8,
    keyboard: KeyboardState,
    mouse: MouseState,
}

/// The controller and its two devices.
pub(super) struct Controller {
    ram: [u8; RAM_BYTES],
    self_tested: bool,
    last_write_command: bool,
    pending: Option<u8>,
    output: Option<(u8, Source)>,
    last_output: u8,
    replies: VecDeque<(u8, Source)>,
    translator: Translator,
    a20: bool,
    port_a: u8,
    pub(super) keyboard: Keyboard,
    pub(super) mouse: Mouse,
    reset_requested: bool,
}

impl Controller {
    pub(super) fn new() -> Self {
        let mut ram = [0; RAM_BYTES];
        ram[0] = Mode::TRANSLATE.bits();
        Self {
            ram,
            self_tested: false,
            last_write_command: false,
            pending: None,
            output: None,
            last_output: 0,
            replies: VecDeque::new(),
            translator: Translator::default(),
            // Nothing is ever gated: firmware may find the gate open.
            a20: true,
            port_a: 0,
            keyboard: Keyboard::default(),
            mouse: Mouse::default(),
            reset_requested: false,
        }
    }

    pub(super) fn save(&self) -> State {
        State {
            ram: self.ram,
            self_tested: self.self_tested,
            last_write_command: self.last_write_command,
            pending: self.pending,
            output: self.output,
            last_output: self.last_output,
            replies: self.replies.clone(),
            translator: self.translator.clone(),
            a20: self.a20,
            port_a: self.port_a,
            keyboard: self.keyboard.save(),
            mouse: self.mouse.save(),
        }
    }

    /// Takes a saved state, or says what is wrong with it.
    pub(super) fn restore(&mut self, state: State) -> Result<(), String> {
        if Mode::from_bits(state.ram[0]).is_none()
            || state.replies.len() > DUMP_BYTES
            || state.port_a & (PortA::RESET | PortA::A20).bits() != 0
        {
            return Err("the controller's registers are not its own".into());
        }
        Keyboard::check(&state.keyboard)?;
        Mouse::check(&state.mouse)?;
        self.ram = state.ram;
        self.self_tested = state.self_tested;
        self.last_write_command = state.last_write_command;
        self.pending = state.pending;
        self.output = state.output;
        self.last_output = state.last_output;
        self.replies = state.replies;
        self.translator = state.translator;
        self.a20 = state.a20;
        self.port_a = state.port_a;
        self.keyboard.restore(state.keyboard);
        self.mouse.restore(state.mouse);
        Ok(())
    }

    pub(super) fn reset(&mut self) {
        let mut keyboard = std::mem::take(&mut self.keyboard);
        keyboard.reset();
        *self = Self { keyboard, ..Self::new() };
    }

    /// The guest has asked for a reset since the last call.
    pub(super) fn take_reset_request(&mut self) -> bool {
        std::mem::take(&mut self.reset_requested)
    }

    fn mode(&self) -> Mode {
        Mode::from_bits_truncate(self.ram[0])
    }

    fn set_mode(&mut self, bits: Mode, on: bool) {
        let mut mode = self.mode();
        mode.set(bits, on);
        self.ram[0] = mode.bits();
    }

    /// What port 0x64 reads as.
    pub(super) fn status(&self) -> u8 {
        let mut status = Status::UNLOCKED;
        status.set(Status::OUTPUT_FULL, self.output.is_some());
        status.set(Status::FROM_MOUSE, matches!(self.output, Some((_, Source::Mouse))));
        status.set(Status::SYSTEM, self.self_tested || self.mode().contains(Mode::SYSTEM));
        status.set(Status::COMMAND, self.last_write_command);
        status.bits()
    }

    /// Levels of the keyboard's and the mouse's interrupt lines.
    pub(super) fn interrupts(&self) -> (bool, bool) {
        let mode = self.mode();
        match self.output {
            None => (false, false),
            Some((_, Source::Mouse)) => (false, mode.contains(Mode::MOUSE_INTERRUPT)),
            Some(_) => (mode.contains(Mode::KEYBOARD_INTERRUPT), false),
        }
    }

    /// Whether the guest has taken all that was typed.
    pub(super) fn keyboard_idle(&self) -> bool {
        self.keyboard.is_idle() && !matches!(self.output, Some((_, Source::Keyboard)))
    }

    /// Fills the output buffer when it is empty and somebody has something to say.
    pub(super) fn load(&mut self) {
        if self.output.is_some() {
            return;
        }
        self.output = self
            .replies
            .pop_front()
            .or_else(|| self.next_from_keyboard().map(|byte| (byte, Source::Keyboard)))
            .or_else(|| {
                let on = !self.mode().contains(Mode::MOUSE_OFF);
                on.then(|| self.mouse.next()).flatten().map(|byte| (byte, Source::Mouse))
            });
    }

    fn next_from_keyboard(&mut self) -> Option<u8> {
        if self.mode().contains(Mode::KEYBOARD_OFF) {
            return None;
        }
        // Ends: the keyboard's queue is finite, and translation swallows only part of it.
        loop {
            let byte = self.keyboard.next()?;
            if !self.mode().contains(Mode::TRANSLATE) {
                return Some(byte);
            }
            if let Some(byte) = self.translator.translate(byte) {
                return Some(byte);
            }
        }
    }

    /// Reads port 0x60.
    pub(super) fn read_data(&mut self) -> u8 {
        if let Some((byte, _)) = self.output.take() {
            self.last_output = byte;
        }
        self.last_output
    }

    /// The controller's own answers replace each other: it has one thing to say at a time.
    fn reply(&mut self, bytes: &[u8], source: Source) {
        self.replies.clear();
        self.replies.extend(bytes.iter().map(|byte| (*byte, source)));
    }

    /// Writes port 0x60.
    pub(super) fn write_data(&mut self, value: u8) {
        self.last_write_command = false;
        match self.pending.take() {
            Some(command @ command::WRITE_RAM..=command::WRITE_RAM_LAST) => {
                self.write_ram(command - command::WRITE_RAM, value);
            }
            Some(command::WRITE_OUTPUT_PORT) => {
                let port = OutputPort::from_bits_truncate(value);
                self.a20 = port.contains(OutputPort::A20);
                self.reset_requested |= !port.contains(OutputPort::NO_RESET);
            }
            Some(command::WRITE_AS_KEYBOARD) => self.reply(&[value], Source::Keyboard),
            Some(command::WRITE_AS_MOUSE) => self.reply(&[value], Source::Mouse),
            Some(command::WRITE_TO_MOUSE) => {
                // Talking to a device lets it answer.
                self.set_mode(Mode::MOUSE_OFF, false);
                self.mouse.command(value);
            }
            _ => {
                self.set_mode(Mode::KEYBOARD_OFF, false);
                self.keyboard.command(value);
            }
        }
    }

    fn write_ram(&mut self, index: u8, value: u8) {
        let value = if index == 0 { Mode::from_bits_truncate(value).bits() } else { value };
        // Commands 0x60 to 0x7F reach 32 bytes.
        self.ram[usize::from(index) % RAM_BYTES] = value;
    }

    /// Writes port 0x64.
    pub(super) fn write_command(&mut self, value: u8) {
        self.last_write_command = true;
        self.pending = None;
        match value {
            command::READ_RAM..=command::READ_RAM_LAST => {
                let byte = self.ram[usize::from(value - command::READ_RAM) % RAM_BYTES];
                self.reply(&[byte], Source::Controller);
            }
            command::WRITE_RAM..=command::WRITE_RAM_LAST
            | command::WRITE_OUTPUT_PORT..=command::WRITE_TO_MOUSE => self.pending = Some(value),
            command::TEST_PASSWORD => self.reply(&[NO_PASSWORD], Source::Controller),
            command::MOUSE_OFF => self.set_mode(Mode::MOUSE_OFF, true),
            command::MOUSE_ON => self.set_mode(Mode::MOUSE_OFF, false),
            command::TEST_MOUSE | command::TEST_KEYBOARD => {
                self.reply(&[TEST_PASSED], Source::Controller);
            }
            command::SELF_TEST => {
                self.self_tested = true;
                // What was in the buffer is lost in the test.
                self.output = None;
                self.reply(&[SELF_TEST_PASSED], Source::Controller);
            }
            command::DUMP => {
                let dump = self.ram;
                self.reply(&dump[..DUMP_BYTES], Source::Controller);
            }
            command::KEYBOARD_OFF => self.set_mode(Mode::KEYBOARD_OFF, true),
            command::KEYBOARD_ON => self.set_mode(Mode::KEYBOARD_OFF, false),
            command::READ_INPUT_PORT => self.reply(&[INPUT_PORT], Source::Controller),
            command::READ_OUTPUT_PORT => {
                let port = self.output_port();
                self.reply(&[port], Source::Controller);
            }
            command::PULSE.. => {
                self.reset_requested |= value & OutputPort::NO_RESET.bits() == 0;
            }
            _ => {}
        }
    }

    fn output_port(&self) -> u8 {
        let (keyboard, mouse) = self.interrupts();
        let mut port = OutputPort::NO_RESET | OutputPort::KEYBOARD_LINES;
        port.set(OutputPort::A20, self.a20);
        port.set(OutputPort::KEYBOARD_FULL, keyboard);
        port.set(OutputPort::MOUSE_FULL, mouse);
        port.bits()
    }

    /// Reads port 0x92.
    pub(super) fn read_port_a(&self) -> u8 {
        self.port_a | if self.a20 { PortA::A20.bits() } else { 0 }
    }

    /// Writes port 0x92.
    pub(super) fn write_port_a(&mut self, value: u8) {
        let acts = PortA::from_bits_truncate(value);
        self.a20 = acts.contains(PortA::A20);
        self.port_a = value & !PortA::all().bits();
        self.reset_requested |= acts.contains(PortA::RESET);
    }
}
