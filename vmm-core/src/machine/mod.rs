//! The machine: what it is made of, its life, and the front end's handle on it.
//!
//! A [`Machine`] owns its threads, its guest's memory and its files. Commands go in and events
//! come out over `async-channel`; the screen and the serial port have interfaces of their own.
//! Dropping it stops the guest and gives everything back.

mod agent;
mod board;
mod config;
mod drives;
mod error;
mod firmware_files;
mod keyboards;
mod log;
mod media;
mod message;
mod network;
mod start;
mod subscribers;
mod supervisor;
mod typist;
mod vcpus;

use std::sync::Arc;
use std::thread::JoinHandle;

use async_channel::{Receiver, Sender, unbounded};

use self::board::{Assembly, Board};
pub use self::config::{
    Boot, DiskBus, DriveConfig, MAX_CPUS, MAX_DRIVES, MIN_MEMORY, MachineConfig, NetworkConfig,
    ParseDiskBusError,
};
pub use self::error::MachineError;
pub use self::message::{
    BalloonFigures, Command, DiskStatistics, Event, ExitCounts, GuestMemory, KeyEvent,
    NetStatistics, PauseReason, PointerEvent, State, Statistics, StopReason, Watch,
};
use self::subscribers::Subscribers;
use self::supervisor::{Channels, Order, Supervisor};
use self::vcpus::{VcpuGroup, VcpuReport};
use crate::devices::serial::Serial;
pub use crate::devices::serial::{SerialInput, SerialOutput, SerialPort, Start as SerialStart};
use crate::devices::vga::Vga;
use crate::display::Display;
use crate::{text, thread};

/// A machine, from its making to its end. It never starts again after it has stopped: make
/// another.
///
/// ```no_run
/// use vmm_core::machine::{Boot, Command, Event, Machine, MachineConfig, State};
/// use vmm_core::units::Bytes;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let machine = Machine::new(&MachineConfig {
///     name: "test".into(),
///     uuid: uuid::Uuid::new_v4(),
///     memory: Bytes::mib(512),
///     cpus: 1,
///     boot: Boot::Bios,
///     drives: Vec::new(),
///     boot_first: None,
///     network: None,
///     agent: None,
///     log: None,
/// })?;
/// let events = machine.subscribe();
/// machine.commands().send_blocking(Command::Start)?;
/// while let Ok(event) = events.recv_blocking() {
///     if let Event::State(State::Stopped(reason)) = event {
///         println!("{reason:?}");
///     }
/// }
/// # Ok(())
/// # }
/// ```
pub struct Machine {
    orders: Sender<Order>,
    commands: Sender<Command>,
    subscribers: Arc<Subscribers>,
    display: Arc<Vga>,
    serial: Arc<Serial>,
    supervisor: Option<JoinHandle<()>>,
}

impl Machine {
    /// Builds a machine, which then waits for [`Command::Start`]. Opens and locks its files; may
    /// take a while on slow storage.
    ///
    /// # Errors
    /// When the configuration is not possible here; nothing is left behind.
    pub fn new(config: &MachineConfig) -> Result<Self, MachineError> {
        Self::holding(config, ())
    }

    /// As [`Self::new`], with something to keep for as long as the machine has its files, such as
    /// the lock on its definition: dropped before anybody hears that the machine is over.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn holding(
        config: &MachineConfig,
        held: impl Send + 'static,
    ) -> Result<Self, MachineError> {
        config.check()?;
        let (orders, order_receiver) = unbounded();
        let (commands, command_receiver) = unbounded();
        let subscribers = Arc::new(Subscribers::new());
        let Assembly { board, vcpus, exits } = Board::build(config, &orders)?;
        let report = {
            let orders = orders.clone();
            move |report: VcpuReport| {
                let _ = orders.try_send(Order::Vcpu(report));
            }
        };
        let vcpus =
            VcpuGroup::new(vcpus, &exits, Arc::new(report)).map_err(MachineError::System)?;
        let (display, serial) = (board.display.clone(), board.serial.clone());
        let channels = Channels {
            orders: order_receiver,
            order_sender: orders.clone(),
            commands: command_receiver,
            command_sender: commands.clone(),
        };
        let supervisor =
            Supervisor::new(channels, subscribers.clone(), vcpus, board, Box::new(held));
        supervisor.power_on_state()?;
        let on_panic = {
            let subscribers = subscribers.clone();
            move |message| {
                let text = text!("The machine's own thread failed: {reason}.", reason = message);
                subscribers.tell(&Event::State(State::Stopped(StopReason::Failed(text))));
            }
        };
        let thread = thread::spawn("machine", move || supervisor.run(), on_panic)
            .map_err(MachineError::System)?;
        Ok(Self { orders, commands, subscribers, display, serial, supervisor: Some(thread) })
    }

    /// Where commands go. Sending fails once the machine is over.
    pub fn commands(&self) -> Sender<Command> {
        self.commands.clone()
    }

    /// Events from now on; the first gives the current state, the last is
    /// [`State::Stopped`].
    pub fn subscribe(&self) -> Receiver<Event> {
        self.subscribers.subscribe()
    }

    /// Where the machine is in its life.
    pub fn state(&self) -> State {
        self.subscribers.state()
    }

    /// The screen. It keeps showing the last picture when the machine is over.
    pub fn display(&self) -> Arc<dyn Display> {
        self.display.clone()
    }

    /// A console on the first serial port.
    pub fn serial(&self, start: SerialStart) -> SerialPort {
        self.serial.attach(start)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.orders.try_send(Order::End);
        if let Some(supervisor) = self.supervisor.take() {
            // A panic was reported through `on_panic`.
            let _ = supervisor.join();
        }
    }
}
