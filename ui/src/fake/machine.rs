//! A machine without a guest.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use async_channel::{Receiver, Sender, unbounded};
use gtk::glib;
use vmm_core::bus::BusDevice;
use vmm_core::definition::{Definition, Drive};
use vmm_core::devices::serial::Serial;
use vmm_core::display::Display;
use vmm_core::interrupt::{InterruptController, IrqLine, MsiMessage};
use vmm_core::machine::{
    Command, DiskStatistics, Event, PauseReason, SerialPort, SerialStart, State, Statistics,
    StopReason,
};

use super::FakeDisplay;
use crate::backend::Running;

/// A machine without a guest: it obeys, and tells what a test lets it tell.
pub struct FakeMachine {
    commands: Sender<Command>,
    shared: Rc<Shared>,
    serial: Serial,
    display: Arc<FakeDisplay>,
}

struct Shared {
    state: RefCell<State>,
    listeners: RefCell<Vec<Sender<Event>>>,
    received: RefCell<Vec<Command>>,
    drives: usize,
    held: Cell<bool>,
}

impl FakeMachine {
    pub(super) fn new(definition: &Definition) -> Self {
        let (commands, queue) = unbounded();
        let shared = Rc::new(Shared {
            state: RefCell::new(State::Created),
            listeners: RefCell::default(),
            received: RefCell::default(),
            drives: definition.drives.len(),
            held: Cell::new(false),
        });
        glib::spawn_future_local(obey(queue, Rc::downgrade(&shared)));
        let serial = Serial::new(IrqLine::new(Arc::new(Unconnected), 4));
        Self { commands, shared, serial, display: Arc::new(FakeDisplay::new(1024, 768)) }
    }

    /// Tells all listeners.
    pub fn tell(&self, event: Event) {
        self.shared.tell(event);
    }

    /// Tells a second's figures: all vCPUs together were busy for `busy` of `second` seconds.
    pub fn tick(&self, statistics: Statistics) {
        let disks = vec![DiskStatistics::default(); self.shared.drives];
        let statistics = match statistics.disks.is_empty() {
            true => Statistics { disks, ..statistics },
            false => statistics,
        };
        self.tell(Event::Statistics(statistics));
    }

    /// The guest writes on its serial port.
    pub fn say(&self, text: &str) {
        for byte in text.bytes() {
            self.serial.write(0, &[byte]);
        }
    }

    /// Its screen, to draw on.
    pub fn screen(&self) -> &Arc<FakeDisplay> {
        &self.display
    }

    /// Lets the guest lock its optical drives, or free them.
    pub fn hold_media(&self, held: bool) {
        self.shared.held.set(held);
    }

    /// The commands it was given so far.
    pub fn received(&self) -> Vec<Command> {
        self.shared.received.borrow().clone()
    }
}

impl Running for FakeMachine {
    fn commands(&self) -> Sender<Command> {
        self.commands.clone()
    }

    fn subscribe(&self) -> Receiver<Event> {
        let (sender, receiver) = unbounded();
        // An unbounded channel whose receiver is here takes everything.
        let _ = sender.try_send(Event::State(self.shared.state.borrow().clone()));
        self.shared.listeners.borrow_mut().push(sender);
        receiver
    }

    fn display(&self) -> Arc<dyn Display> {
        self.display.clone()
    }

    fn serial(&self, start: SerialStart) -> SerialPort {
        self.serial.attach(start)
    }
}

impl Shared {
    fn tell(&self, event: Event) {
        if let Event::State(state) = &event {
            self.state.replace(state.clone());
        }
        self.listeners.borrow_mut().retain(|listener| listener.try_send(event.clone()).is_ok());
        if matches!(event, Event::State(State::Stopped(_))) {
            self.listeners.borrow_mut().clear();
        }
    }
}

async fn obey(commands: Receiver<Command>, shared: std::rc::Weak<Shared>) {
    while let Ok(command) = commands.recv().await {
        let Some(shared) = shared.upgrade() else { return };
        shared.received.borrow_mut().push(command.clone());
        match command {
            Command::Start | Command::Resume => shared.tell(Event::State(State::Running)),
            Command::Pause => shared.tell(Event::State(State::Paused(PauseReason::Requested))),
            Command::Shutdown => {
                shared.tell(Event::State(State::Stopped(StopReason::GuestPowerOff)));
            }
            Command::PowerOff => shared.tell(Event::State(State::Stopped(StopReason::Requested))),
            Command::Reset => shared.tell(Event::Reset),
            Command::ChangeMedium { drive, force: false, .. } if shared.held.get() => {
                shared.tell(Event::MediumHeld { drive });
            }
            Command::ChangeMedium { drive, medium, .. } => {
                shared.tell(Event::Medium { drive, medium });
            }
            Command::GrowDisk { drive, .. } => shared.tell(Event::DiskGrown { drive }),
            _ => {}
        }
    }
}

/// Interrupts that go nowhere.
pub(super) struct Unconnected;

impl InterruptController for Unconnected {
    fn set_line(&self, _gsi: u32, _level: bool) {}
    fn signal_msi(&self, _message: MsiMessage) {}
}

/// A definition with a disk and an optical drive, as the wizard makes them.
pub fn definition(name: &str) -> Definition {
    let mut definition = Definition::new(name.parse().expect("a valid name"));
    definition.drives = vec![
        Drive::Disk {
            file: "disk.qcow2".into(),
            format: vmm_core::block::Format::Qcow2,
            read_only: false,
            bus: vmm_core::definition::DiskBus::Virtio,
        },
        Drive::Optical { file: None },
    ];
    definition
}
