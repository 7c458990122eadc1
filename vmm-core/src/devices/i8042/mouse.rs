//! The mouse: a PS/2 mouse that becomes an IntelliMouse, with a wheel, and one with five buttons
//! when asked by the sequences of sample rates that those answer to (IBM PS/2 Hardware Interface
//! Technical Reference, "Mouse"; Microsoft's "IntelliMouse" supplement).
//!
//! Movement that the guest has not fetched adds up; presses and releases of buttons are kept
//! apart, in order.

use std::collections::VecDeque;

use bitflags::bitflags;
use serde::{Deserialize, Serialize};

mod command {
    pub(super) const SCALING_1_1: u8 = 0xe6;
    pub(super) const SCALING_2_1: u8 = 0xe7;
    pub(super) const RESOLUTION: u8 = 0xe8;
    pub(super) const STATUS: u8 = 0xe9;
    pub(super) const STREAM: u8 = 0xea;
    pub(super) const READ: u8 = 0xeb;
    pub(super) const END_WRAP: u8 = 0xec;
    pub(super) const WRAP: u8 = 0xee;
    pub(super) const REMOTE: u8 = 0xf0;
    pub(super) const IDENTIFY: u8 = 0xf2;
    pub(super) const SAMPLE_RATE: u8 = 0xf3;
    pub(super) const ENABLE: u8 = 0xf4;
    pub(super) const DISABLE: u8 = 0xf5;
    pub(super) const DEFAULTS: u8 = 0xf6;
    pub(super) const RESEND: u8 = 0xfe;
    pub(super) const RESET: u8 = 0xff;
}

const ACK: u8 = 0xfa;
const TEST_PASSED: u8 = 0xaa;
const RESEND: u8 = 0xfe;

/// What "read device type" answers.
mod id {
    pub(super) const STANDARD: u8 = 0;
    pub(super) const WHEEL: u8 = 3;
    pub(super) const FIVE_BUTTONS: u8 = 4;
}
/// Sample rates that, set one after the other, turn on the wheel and the two further buttons.
const KNOCKS: [([u8; 3], u8); 2] =
    [([200, 100, 80], id::WHEEL), ([200, 200, 80], id::FIVE_BUTTONS)];

const DEFAULT_RATE: u8 = 100;
/// 4 counts a millimetre.
const DEFAULT_RESOLUTION: u8 = 2;
const MAX_RESOLUTION: u8 = 3;

/// Most that a packet carries: 9 bits with their sign, and half of it before 2:1 scaling.
const MAX_STEP: i32 = 255;
/// Most that the wheel's four bits carry either way.
const MAX_WHEEL: i32 = 7;
/// Events kept apart; beyond, they run together.
const EVENTS: usize = 32;
/// Longest packet or answer.
const PACKET_BYTES: usize = 4;

bitflags! {
    /// Buttons of the mouse.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
    pub struct Buttons: u8 {
        /// Left.
        const LEFT = 0x01;
        /// Right.
        const RIGHT = 0x02;
        /// Middle, or the wheel pressed.
        const MIDDLE = 0x04;
        /// The fourth, usually "back".
        const SIDE = 0x08;
        /// The fifth, usually "forward".
        const EXTRA = 0x10;
    }
}

/// The three that every mouse has.
const THREE_BUTTONS: u8 = 0x07;

/// Movement, and the buttons at its end. Right, down and away from the user are positive.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Event {
    dx: i32,
    dy: i32,
    wheel: i32,
    buttons: u8,
}

impl Event {
    fn moves(self) -> bool {
        (self.dx, self.dy, self.wheel) != (0, 0, 0)
    }

    fn add(&mut self, later: Self) {
        self.dx = self.dx.saturating_add(later.dx);
        self.dy = self.dy.saturating_add(later.dy);
        self.wheel = self.wheel.saturating_add(later.wheel);
        self.buttons = later.buttons;
    }
}

/// What a saved mouse remembers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct MouseState {
    id: u8,
    enabled: bool,
    remote: bool,
    wrap: bool,
    scaling_2_1: bool,
    resolution: u8,
    rate: u8,
    /// The last sample rates set, for the knocks.
    rates: [u8; 3],
    pending: Option<u8>,
    replies: VecDeque<u8>,
    /// What is left of the packet that the guest is fetching.
    packet: VecDeque<u8>,
    /// What that packet told.
    in_flight: Event,
    last_sent: u8,
    /// Buttons as last told.
    buttons: u8,
    events: VecDeque<Event>,
}

impl Default for MouseState {
    fn default() -> Self {
        Self {
            id: id::STANDARD,
            enabled: false,
            remote: false,
            wrap: false,
            scaling_2_1: false,
            resolution: DEFAULT_RESOLUTION,
            rate: DEFAULT_RATE,
            rates: [0; 3],
            pending: None,
            replies: VecDeque::new(),
            packet: VecDeque::new(),
            in_flight: Event::default(),
            last_sent: 0,
            buttons: 0,
            events: VecDeque::new(),
        }
    }
}

/// The mouse.
#[derive(Default)]
pub(super) struct Mouse {
    state: MouseState,
}

impl Mouse {
    pub(super) fn save(&self) -> MouseState {
        self.state.clone()
    }

    pub(super) fn check(state: &MouseState) -> Result<(), String> {
        let buttons = |bits: u8| Buttons::from_bits(bits).is_some();
        let valid = matches!(state.id, id::STANDARD | id::WHEEL | id::FIVE_BUTTONS)
            && state.resolution <= MAX_RESOLUTION
            && state.replies.len() <= PACKET_BYTES + 1
            && state.packet.len() <= PACKET_BYTES
            && state.events.len() <= EVENTS + 1
            && buttons(state.buttons)
            && buttons(state.in_flight.buttons)
            && state.events.iter().all(|event| buttons(event.buttons));
        if valid { Ok(()) } else { Err("the mouse's registers or queues are not its own".into()) }
    }

    pub(super) fn restore(&mut self, state: MouseState) {
        self.state = state;
    }

    pub(super) fn reset(&mut self) {
        self.state = MouseState::default();
    }

    /// The mouse moves, its wheel turns, its buttons are now `buttons`.
    pub(super) fn pointer(&mut self, dx: i32, dy: i32, wheel: i32, buttons: Buttons) {
        let event = Event { dx, dy, wheel, buttons: buttons.bits() };
        if !self.state.remote && !self.state.enabled {
            self.state.events.clear();
            self.state.buttons = event.buttons;
            return;
        }
        let last = self.buttons_before(self.state.events.len());
        let clicks = event.buttons != last;
        if !clicks && !event.moves() {
            return;
        }
        // Movement after a click must not become movement before it.
        let after_click =
            self.state.events.len().checked_sub(1).is_some_and(|n| self.buttons_before(n) != last);
        let full = self.state.events.len() >= EVENTS;
        match self.state.events.back_mut() {
            Some(back) if full || !(clicks || after_click) => back.add(event),
            _ => self.state.events.push_back(event),
        }
    }

    /// The buttons before event `n` of those that wait.
    fn buttons_before(&self, n: usize) -> u8 {
        let earlier = n.checked_sub(1).and_then(|n| self.state.events.get(n));
        earlier.map_or(self.state.buttons, |event| event.buttons)
    }

    /// Makes a packet of the first event, or of as much of it as fits.
    fn make_packet(&mut self) {
        let mut event = self
            .state
            .events
            .pop_front()
            .unwrap_or(Event { buttons: self.state.buttons, ..Event::default() });
        let wheel_max = if self.state.id == id::STANDARD { i32::MAX } else { MAX_WHEEL };
        let doubles = self.state.scaling_2_1 && !self.state.remote;
        let step_max = if doubles { MAX_STEP / 2 } else { MAX_STEP };
        let take = |from: &mut i32, max: i32| {
            let part = (*from).clamp(-max, max);
            *from -= part;
            part
        };
        let told = Event {
            dx: take(&mut event.dx, step_max),
            dy: take(&mut event.dy, step_max),
            wheel: take(&mut event.wheel, wheel_max),
            buttons: event.buttons,
        };
        if event.moves() {
            self.state.events.push_front(event);
        }
        self.state.in_flight = told;
        self.state.buttons = told.buttons;

        let scale = |count: i32| if doubles { double(count) } else { count };
        // On the wire, up and towards the user are positive.
        let (dx, dy, wheel) = (scale(told.dx), scale(-told.dy), -told.wheel);
        let sign = |count: i32, bit: u8| if count < 0 { bit } else { 0 };
        let first = 0x08 | (told.buttons & THREE_BUTTONS) | sign(dx, 0x10) | sign(dy, 0x20);
        self.state.packet.extend([first, dx as u8, dy as u8]);
        match self.state.id {
            id::WHEEL => self.state.packet.push_back(wheel as u8),
            id::FIVE_BUTTONS => {
                let further = (told.buttons & !THREE_BUTTONS) << 1;
                self.state.packet.push_back((wheel as u8 & 0x0f) | further);
            }
            _ => {}
        }
    }

    /// The next byte for the guest.
    pub(super) fn next(&mut self) -> Option<u8> {
        let state = &self.state;
        let reports = state.enabled && !state.remote && !state.wrap;
        if state.replies.is_empty()
            && state.packet.is_empty()
            && reports
            && !state.events.is_empty()
        {
            self.make_packet();
        }
        let byte = self.state.replies.pop_front().or_else(|| self.state.packet.pop_front())?;
        if byte != RESEND {
            self.state.last_sent = byte;
        }
        Some(byte)
    }

    fn reply(&mut self, bytes: &[u8]) {
        self.state.replies.extend(bytes);
    }

    /// A packet that a command cuts off is told again.
    fn take_back(&mut self) {
        if self.state.packet.is_empty() {
            return;
        }
        self.state.packet.clear();
        let told = self.state.in_flight;
        let full = self.state.events.len() > EVENTS;
        match self.state.events.front_mut() {
            Some(next) if full || next.buttons == told.buttons => {
                let mut event = told;
                event.add(*next);
                *next = event;
            }
            _ => self.state.events.push_front(told),
        }
    }

    fn set_defaults(&mut self) {
        let MouseState { id, last_sent, buttons, .. } = self.state;
        self.state = MouseState { id, last_sent, buttons, ..MouseState::default() };
    }

    /// A byte from the guest.
    pub(super) fn command(&mut self, byte: u8) {
        self.state.replies.clear();
        self.take_back();
        if self.state.wrap && !matches!(byte, command::END_WRAP | command::RESET) {
            self.reply(&[byte]);
            return;
        }
        if let Some(command) = self.state.pending.take() {
            self.argument(command, byte);
            return;
        }
        match byte {
            command::SCALING_1_1 => self.state.scaling_2_1 = false,
            command::SCALING_2_1 => self.state.scaling_2_1 = true,
            command::RESOLUTION | command::SAMPLE_RATE => self.state.pending = Some(byte),
            command::STREAM => self.state.remote = false,
            command::END_WRAP => self.state.wrap = false,
            command::WRAP => self.state.wrap = true,
            command::REMOTE => self.state.remote = true,
            command::ENABLE => self.state.enabled = true,
            command::DISABLE => {
                self.state.enabled = false;
                self.state.events.clear();
            }
            command::DEFAULTS => self.set_defaults(),
            command::STATUS | command::READ | command::IDENTIFY | command::RESET => {}
            command::RESEND => return self.reply(&[self.state.last_sent]),
            _ => return self.reply(&[RESEND]),
        }
        self.reply(&[ACK]);
        match byte {
            command::STATUS => {
                let status = self.status();
                self.reply(&[status, self.state.resolution, self.state.rate]);
            }
            command::READ => self.make_packet(),
            command::IDENTIFY => self.reply(&[self.state.id]),
            command::RESET => {
                self.reset();
                self.reply(&[ACK, TEST_PASSED, id::STANDARD]);
            }
            _ => {}
        }
    }

    /// The first byte of "status request"; its buttons are in an order of their own.
    fn status(&self) -> u8 {
        let state = &self.state;
        let bit = |on: bool, bit: u8| if on { bit } else { 0 };
        let button = |button: Buttons| state.buttons & button.bits() != 0;
        bit(state.remote, 0x40)
            | bit(state.enabled, 0x20)
            | bit(state.scaling_2_1, 0x10)
            | bit(button(Buttons::LEFT), 0x04)
            | bit(button(Buttons::MIDDLE), 0x02)
            | bit(button(Buttons::RIGHT), 0x01)
    }

    fn argument(&mut self, command: u8, byte: u8) {
        match command {
            command::RESOLUTION if byte > MAX_RESOLUTION => return self.reply(&[RESEND]),
            command::RESOLUTION => self.state.resolution = byte,
            _ => {
                self.state.rate = byte;
                self.state.rates.rotate_left(1);
                self.state.rates[2] = byte;
                if let Some((_, id)) = KNOCKS.iter().find(|(rates, _)| *rates == self.state.rates) {
                    self.state.id = *id;
                }
            }
        }
        self.reply(&[ACK]);
    }
}

/// 2:1 scaling: slow movement stays fine, fast movement doubles ("Set Scaling 2:1").
fn double(count: i32) -> i32 {
    let size = match count.abs() {
        2 => 1,
        4 => 6,
        5 => 9,
        size @ (0..=1 | 3) => size,
        size => size * 2,
    };
    size * count.signum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(mouse: &mut Mouse) -> Vec<u8> {
        std::iter::from_fn(|| mouse.next()).collect()
    }

    fn send(mouse: &mut Mouse, bytes: &[u8]) -> Vec<u8> {
        let mut answer = Vec::new();
        for byte in bytes {
            mouse.command(*byte);
            answer.extend(drain(mouse));
        }
        answer
    }

    const NONE: Buttons = Buttons::empty();

    #[test]
    fn answers_commands() {
        let mut mouse = Mouse::default();
        for (bytes, answer) in [
            (&[0xff][..], &[0xfa, 0xaa, 0x00][..]),
            (&[0xf2], &[0xfa, 0x00]),
            (&[0xe9], &[0xfa, 0x00, 2, 100]),
            (&[0xe8, 3], &[0xfa, 0xfa]),
            (&[0xe8, 4], &[0xfa, 0xfe]),
            (&[0xe7, 0xf4, 0xe9], &[0xfa, 0xfa, 0xfa, 0x30, 3, 100]),
            (&[0xee, 0x12, 0xf4, 0xec], &[0xfa, 0x12, 0xf4, 0xfa]),
            (&[0xf6, 0xe9], &[0xfa, 0xfa, 0x00, 2, 100]),
            (&[0x00], &[0xfe]),
            (&[0xf0, 0xe9, 0xea], &[0xfa, 0xfa, 0x40, 2, 100, 0xfa]),
            (
                &[0xf3, 200, 0xf3, 100, 0xf3, 80, 0xf2],
                &[0xfa, 0xfa, 0xfa, 0xfa, 0xfa, 0xfa, 0xfa, 3],
            ),
            (
                &[0xf3, 200, 0xf3, 200, 0xf3, 80, 0xf2],
                &[0xfa, 0xfa, 0xfa, 0xfa, 0xfa, 0xfa, 0xfa, 4],
            ),
            (&[0xff, 0xf2], &[0xfa, 0xaa, 0x00, 0xfa, 0x00]),
        ] {
            assert_eq!(send(&mut mouse, bytes), answer, "{bytes:x?}");
        }
    }

    #[test]
    fn reports_movement_and_buttons() {
        let mut mouse = Mouse::default();
        mouse.pointer(1, 1, 0, NONE);
        assert!(drain(&mut mouse).is_empty(), "not enabled");
        send(&mut mouse, &[0xf4]);
        mouse.pointer(5, -3, 0, Buttons::RIGHT);
        assert_eq!(drain(&mut mouse), [0x0a, 5, 3]);
        mouse.pointer(-1, 1, 2, Buttons::RIGHT);
        assert_eq!(drain(&mut mouse), [0x3a, 0xff, 0xff], "no wheel yet");
        send(&mut mouse, &[0xf3, 200, 0xf3, 100, 0xf3, 80]);
        mouse.pointer(0, 0, -10, NONE);
        assert_eq!(drain(&mut mouse), [0x08, 0, 0, 7, 0x08, 0, 0, 3]);
        send(&mut mouse, &[0xf3, 200, 0xf3, 200, 0xf3, 80]);
        mouse.pointer(0, 0, 1, Buttons::SIDE);
        assert_eq!(drain(&mut mouse), [0x08, 0, 0, 0x1f]);
        mouse.pointer(0, 0, 0, Buttons::SIDE);
        assert!(drain(&mut mouse).is_empty(), "nothing new");
    }

    #[test]
    fn a_slow_guest_gets_sums_but_every_click() {
        let mut mouse = Mouse::default();
        send(&mut mouse, &[0xf4]);
        mouse.pointer(1, 0, 0, NONE);
        assert_eq!(mouse.next(), Some(0x08));
        for _ in 0..100 {
            mouse.pointer(1, 0, 0, NONE);
        }
        mouse.pointer(0, 0, 0, Buttons::LEFT);
        mouse.pointer(1, 0, 0, Buttons::LEFT);
        mouse.pointer(1, 0, 0, Buttons::LEFT);
        mouse.pointer(0, 0, 0, NONE);
        mouse.pointer(300, 0, 0, NONE);
        assert_eq!(
            drain(&mut mouse),
            [1, 0, 8, 100, 0, 9, 0, 0, 9, 2, 0, 8, 0, 0, 8, 255, 0, 8, 45, 0]
        );
        for n in 0..1000 {
            mouse.pointer(1, 0, 0, if n % 2 == 0 { Buttons::LEFT } else { NONE });
        }
        mouse.pointer(i32::MAX, i32::MIN, i32::MIN, Buttons::LEFT);
        mouse.pointer(i32::MAX, i32::MIN, i32::MIN, Buttons::LEFT);
        assert!(mouse.state.events.len() <= EVENTS);
        for _ in 0..300 {
            mouse.next();
        }
        assert_eq!(mouse.state.buttons, Buttons::LEFT.bits(), "where it ended");
    }

    #[test]
    fn a_command_cuts_a_packet_off_and_it_is_told_again() {
        let mut mouse = Mouse::default();
        send(&mut mouse, &[0xf4]);
        mouse.pointer(3, 0, 0, Buttons::LEFT);
        assert_eq!(mouse.next(), Some(0x09));
        assert_eq!(send(&mut mouse, &[0xe6]), [0xfa, 0x09, 3, 0]);
    }

    #[test]
    fn remote_mode_reports_when_asked() {
        let mut mouse = Mouse::default();
        send(&mut mouse, &[0xf0]);
        mouse.pointer(3, 0, 0, Buttons::LEFT);
        mouse.pointer(4, 0, 0, Buttons::LEFT);
        assert!(drain(&mut mouse).is_empty());
        assert_eq!(send(&mut mouse, &[0xeb]), [0xfa, 0x09, 3, 0]);
        assert_eq!(send(&mut mouse, &[0xeb]), [0xfa, 0x09, 4, 0]);
        assert_eq!(send(&mut mouse, &[0xeb]), [0xfa, 0x09, 0, 0]);
    }

    #[test]
    fn scales() {
        assert_eq!([0, 1, 2, 3, 4, 5, 6, -5, 127].map(double), [0, 1, 1, 3, 6, 9, 12, -9, 254]);
    }
}
