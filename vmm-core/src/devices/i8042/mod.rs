//! The keyboard controller with a keyboard and a mouse: ports 0x60, 0x64 and 0x92, ISA interrupts
//! 1 and 12.
//!
//! `controller` is the controller, `keyboard` and `mouse` what is plugged into it, `keys`
//! and `translate` the scan codes, `chars` the way from text to keys. This file ties them to
//! ports, interrupt lines, the repeat timer and the front end.
//!
//! The gate on address line 20 can be set and read back, and gates nothing: no program has needed
//! addresses to wrap at 1 MiB for decades, and firmware opens the gate first thing.

mod chars;
mod controller;
mod keyboard;
mod keys;
mod mouse;
mod translate;

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};

use async_channel::{Receiver, Sender};
use parking_lot::Mutex;

use crate::bus::BusDevice;
use crate::interrupt::IrqLine;
use crate::request::{GuestRequest, RequestSink};
use crate::state::{Persist, Reset, RestoreError};
use crate::timer::{Timer, Timers};

pub use chars::keys_for_char;
pub use controller::State;
pub use keyboard::Leds;
pub use keys::KeyCode;
pub use mouse::Buttons;

use controller::Controller;
use keyboard::Repeat;

/// Port of data, one byte wide.
pub const DATA_PORT: u64 = 0x60;
/// Port of status and commands, one byte wide.
pub const COMMAND_PORT: u64 = 0x64;
/// System control port A, one byte wide: the other way to address line 20 and reset.
pub const SYSTEM_CONTROL_PORT: u64 = 0x92;
/// ISA interrupt of the keyboard.
pub const KEYBOARD_IRQ: u32 = 1;
/// ISA interrupt of the mouse.
pub const MOUSE_IRQ: u32 = 12;

struct Wire {
    irq: IrqLine,
    level: bool,
}

impl Wire {
    fn drive(&mut self, level: bool) {
        if level != self.level {
            self.level = level;
            self.irq.set(level);
        }
    }
}

struct Inner {
    controller: Controller,
    keyboard_irq: Wire,
    mouse_irq: Wire,
    idle: bool,
    leds: Leds,
    idle_watchers: Vec<Sender<()>>,
    led_watchers: Vec<Sender<Leds>>,
}

struct Core {
    inner: Mutex<Inner>,
    /// Copy of the status register: firmware polls it thousands of times, and takes no lock.
    status: AtomicU8,
    timer: OnceLock<Timer>,
    requests: RequestSink,
}

impl Core {
    /// Runs `action` and lets its consequences happen.
    fn with<T>(&self, action: impl FnOnce(&mut Controller) -> T) -> T {
        let mut inner = self.inner.lock();
        let result = action(&mut inner.controller);
        // The line falls before it rises for the next byte: an edge each.
        inner.drive_irqs();
        inner.controller.load();
        self.status.store(inner.controller.status(), Ordering::Release);
        inner.drive_irqs();
        inner.tell_watchers();
        if let Some(timer) = self.timer.get() {
            match inner.controller.keyboard.take_repeat_change() {
                Some(Repeat::After(delay)) => timer.arm(delay),
                Some(Repeat::Never) => timer.disarm(),
                None => {}
            }
        }
        let reset = inner.controller.take_reset_request();
        drop(inner);
        if reset {
            (self.requests)(GuestRequest::Reset);
        }
        result
    }
}

impl Inner {
    fn drive_irqs(&mut self) {
        let (keyboard, mouse) = self.controller.interrupts();
        self.keyboard_irq.drive(keyboard);
        self.mouse_irq.drive(mouse);
    }

    fn tell_watchers(&mut self) {
        let idle = self.controller.keyboard_idle();
        if idle && !self.idle {
            self.idle_watchers.retain(|watcher| {
                // A token that is still there says the same.
                !matches!(watcher.try_send(()), Err(async_channel::TrySendError::Closed(())))
            });
        }
        self.idle = idle;
        let leds = self.controller.keyboard.leds();
        if leds != self.leds {
            self.leds = leds;
            self.led_watchers.retain(|watcher| watcher.force_send(leds).is_ok());
        }
    }
}

/// The keyboard controller, its keyboard and its mouse.
pub struct I8042 {
    core: Arc<Core>,
}

impl I8042 {
    /// A controller that interrupts on `keyboard_irq` and `mouse_irq` and asks for resets through
    /// `requests`.
    pub fn new(
        keyboard_irq: IrqLine,
        mouse_irq: IrqLine,
        timers: &Timers,
        requests: RequestSink,
    ) -> Self {
        let controller = Controller::new();
        let status = AtomicU8::new(controller.status());
        let inner = Inner {
            controller,
            keyboard_irq: Wire { irq: keyboard_irq, level: false },
            mouse_irq: Wire { irq: mouse_irq, level: false },
            idle: true,
            leds: Leds::empty(),
            idle_watchers: Vec::new(),
            led_watchers: Vec::new(),
        };
        let core =
            Arc::new(Core { inner: Mutex::new(inner), status, timer: OnceLock::new(), requests });
        let weak = Arc::downgrade(&core);
        core.timer.get_or_init(|| {
            timers.timer(move || {
                if let Some(core) = weak.upgrade() {
                    core.with(|controller| controller.keyboard.repeat());
                }
            })
        });
        Self { core }
    }

    /// What answers at [`DATA_PORT`].
    pub fn data_port(&self) -> Arc<dyn BusDevice> {
        Arc::new(DataPort(self.core.clone()))
    }

    /// What answers at [`COMMAND_PORT`].
    pub fn command_port(&self) -> Arc<dyn BusDevice> {
        Arc::new(CommandPort(self.core.clone()))
    }

    /// What answers at [`SYSTEM_CONTROL_PORT`].
    pub fn system_control_port(&self) -> Arc<dyn BusDevice> {
        Arc::new(SystemControlPort(self.core.clone()))
    }

    /// Presses a key; pressing one that is down does nothing. Says whether the guest will hear of
    /// it: a guest that does not read loses whole key presses beyond the keyboard's 16 bytes.
    pub fn press(&self, key: KeyCode) -> bool {
        self.core.with(|controller| controller.keyboard.press(key))
    }

    /// Releases a key; the guest hears of it sooner or later.
    pub fn release(&self, key: KeyCode) {
        self.core.with(|controller| controller.keyboard.release(key));
    }

    /// Releases all keys, as when a window loses the keyboard.
    pub fn release_all(&self) {
        self.core.with(|controller| controller.keyboard.release_all());
    }

    /// Whether the guest has taken all that was typed: whoever types text without losing any
    /// waits for this before each key.
    pub fn is_idle(&self) -> bool {
        self.core.inner.lock().idle
    }

    /// Gives a token each time the keyboard becomes idle. Look at [`I8042::is_idle`] first, and
    /// after each token.
    pub fn watch_idle(&self) -> Receiver<()> {
        let (sender, receiver) = async_channel::bounded(1);
        self.core.inner.lock().idle_watchers.push(sender);
        receiver
    }

    /// Moves the mouse by `dx` to the right and `dy` down, turns its wheel by `wheel` notches away
    /// from the user, and leaves its buttons as `buttons` say.
    pub fn pointer(&self, dx: i32, dy: i32, wheel: i32, buttons: Buttons) {
        self.core.with(|controller| controller.mouse.pointer(dx, dy, wheel, buttons));
    }

    /// The lamps that the guest has lit.
    pub fn leds(&self) -> Leds {
        self.core.inner.lock().leds
    }

    /// Gives the lamps each time they change; of several changes the last.
    pub fn watch_leds(&self) -> Receiver<Leds> {
        let (sender, receiver) = async_channel::bounded(1);
        self.core.inner.lock().led_watchers.push(sender);
        receiver
    }
}

struct DataPort(Arc<Core>);

impl BusDevice for DataPort {
    fn read(&self, _: u64, data: &mut [u8]) {
        if let Some(byte) = data.first_mut() {
            *byte = self.0.with(Controller::read_data);
        }
    }

    fn write(&self, _: u64, data: &[u8]) {
        if let Some(byte) = data.first() {
            self.0.with(|controller| controller.write_data(*byte));
        }
    }
}

struct CommandPort(Arc<Core>);

impl BusDevice for CommandPort {
    fn read(&self, _: u64, data: &mut [u8]) {
        if let Some(byte) = data.first_mut() {
            *byte = self.0.status.load(Ordering::Acquire);
        }
    }

    fn write(&self, _: u64, data: &[u8]) {
        if let Some(byte) = data.first() {
            self.0.with(|controller| controller.write_command(*byte));
        }
    }
}

struct SystemControlPort(Arc<Core>);

impl BusDevice for SystemControlPort {
    fn read(&self, _: u64, data: &mut [u8]) {
        if let Some(byte) = data.first_mut() {
            *byte = self.0.inner.lock().controller.read_port_a();
        }
    }

    fn write(&self, _: u64, data: &[u8]) {
        if let Some(byte) = data.first() {
            self.0.with(|controller| controller.write_port_a(*byte));
        }
    }
}

impl Persist for I8042 {
    type State = State;

    fn save(&self) -> State {
        self.core.inner.lock().controller.save()
    }

    fn restore(&self, state: State) -> Result<(), RestoreError> {
        self.core
            .with(|controller| controller.restore(state))
            .map_err(|reason| RestoreError { device: "keyboard controller", reason })
    }
}

impl Reset for I8042 {
    fn reset(&self) {
        self.core.with(Controller::reset);
    }
}

#[cfg(test)]
mod tests;
