//! The thread that lives a machine's life: it takes orders one at a time and owns all the rest.

use std::any::Any;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_channel::{Receiver, Sender};
use futures_lite::future::{block_on, or};

use super::board::Board;
use super::error::MachineError;
use super::media::{MediaChanges, Medium};
use super::message::{Command, Event, PauseReason, State, Statistics, StopReason, Watch};
use super::subscribers::Subscribers;
use super::typist::Typist;
use super::vcpus::{VcpuGroup, VcpuReport};
use crate::devices::i8042::Leds;
use crate::request::GuestRequest;
use crate::text;
use crate::timer::Timer;

/// Something for the supervisor to act on.
#[derive(Debug)]
pub(super) enum Order {
    /// From a front end.
    Command(Command),
    /// From a device.
    Guest(GuestRequest),
    /// From a vCPU thread.
    Vcpu(VcpuReport),
    /// A disk image cannot be written; the text says which and why.
    DiskFault(String),
    /// The guest opened a drive's tray.
    TrayOpened {
        /// Index of the drive.
        drive: usize,
    },
    /// The guest set the keyboard's lights.
    Leds(Leds),
    /// Whether the guest has a driver for the tablet.
    Tablet(bool),
    /// Something is wrong that the machine can live with; the text says what, in a sentence.
    Warning(String),
    /// Part of the machine broke; the text says what, in a sentence.
    Failed(String),
    /// Time for figures.
    Tick,
    /// Time to type on.
    Type,
    /// A guest had time enough to open a tray.
    TrayTimeout,
    /// The machine is dropped.
    End,
}

/// How often figures are taken.
const TICK: Duration = Duration::from_secs(1);
/// How many times figures are taken for each time that a guest is asked of its memory, which wakes
/// it, unless somebody looks at just that.
const TICKS_PER_QUESTION: u32 = 10;
/// A guest that triple-faults is reset, as hardware does; one that does nothing else is stopped.
const TRIPLE_FAULTS: u32 = 5;
const TRIPLE_FAULT_SPAN: Duration = Duration::from_secs(10);

pub(super) struct Supervisor {
    orders: Receiver<Order>,
    commands: Receiver<Command>,
    /// Keeps `commands` open, so that waiting for it waits.
    _commands_open: Sender<Command>,
    leds: Receiver<Leds>,
    subscribers: Arc<Subscribers>,
    // Dropped before the board: vCPUs use what is on it.
    vcpus: VcpuGroup,
    board: Board,
    tick: Timer,
    watch: Watch,
    /// Figures that are still taken before the guest is asked of its memory.
    before_question: u32,
    typist: Typist,
    media: MediaChanges,
    started: Option<Instant>,
    /// When the first of the latest triple faults was, and how many there were since.
    triple_faults: Option<(Instant, u32)>,
    /// Somebody's, to be dropped last.
    _held: Box<dyn Any + Send>,
}

pub(super) struct Channels {
    pub(super) orders: Receiver<Order>,
    pub(super) order_sender: Sender<Order>,
    pub(super) commands: Receiver<Command>,
    pub(super) command_sender: Sender<Command>,
}

impl Supervisor {
    pub(super) fn new(
        channels: Channels,
        subscribers: Arc<Subscribers>,
        vcpus: VcpuGroup,
        board: Board,
        held: Box<dyn Any + Send>,
    ) -> Self {
        let orders = channels.order_sender;
        let send = move |order| {
            // The receiver is gone only when the machine is, and then nobody minds.
            let _ = orders.try_send(order);
        };
        let tick = board.timers.timer({
            let send = send.clone();
            move || send(Order::Tick)
        });
        let typist = Typist::new(board.timers.timer({
            let send = send.clone();
            move || send(Order::Type)
        }));
        let media = MediaChanges::new(board.timers.timer(move || send(Order::TrayTimeout)));
        Self {
            orders: channels.orders,
            commands: channels.commands,
            leds: board.keyboards.ps2.watch_leds(),
            _commands_open: channels.command_sender,
            subscribers,
            vcpus,
            board,
            tick,
            watch: Watch::Loosely,
            before_question: 0,
            typist,
            media,
            started: None,
            triple_faults: None,
            _held: held,
        }
    }

    /// Lives until the machine is over, gives everything back, and says so.
    pub(super) fn run(mut self) {
        let reason = loop {
            if let Some(reason) = self.take(self.next()) {
                break reason;
            }
        };
        self.vcpus.park();
        let subscribers = self.subscribers.clone();
        let unsaved = self.board.shut_down();
        // Files are unlocked and memory is free before anybody hears that the machine is over.
        drop(self);
        let reason = match (reason, unsaved) {
            (StopReason::Failed(text), _) => StopReason::Failed(text),
            (_, Err(text)) => StopReason::Failed(text),
            (reason, Ok(())) => reason,
        };
        subscribers.tell(&Event::State(State::Stopped(reason)));
    }

    fn next(&self) -> Order {
        let order = async { self.orders.recv().await.unwrap_or(Order::End) };
        let command = async { self.commands.recv().await.map_or(Order::End, Order::Command) };
        let leds = async { self.leds.recv().await.map_or(Order::End, Order::Leds) };
        block_on(or(order, or(command, leds)))
    }

    fn state(&self) -> State {
        self.subscribers.state()
    }

    fn set_state(&self, state: State) {
        self.subscribers.tell(&Event::State(state));
    }

    fn refuse(&self, why: String) {
        self.subscribers.tell(&Event::Refused(why));
    }

    /// Acts on one order. `Some` ends the machine.
    fn take(&mut self, order: Order) -> Option<StopReason> {
        match order {
            Order::Command(command) => self.command(command),
            Order::Guest(GuestRequest::PowerOff) => Some(StopReason::GuestPowerOff),
            Order::Guest(GuestRequest::Reset) => self.reset(),
            Order::Vcpu(VcpuReport::TripleFault) => self.triple_fault(),
            Order::Vcpu(VcpuReport::Failed(text)) | Order::Failed(text) => {
                Some(StopReason::Failed(text))
            }
            Order::DiskFault(text) => {
                if self.state() == State::Running {
                    self.pause(PauseReason::DiskFault(text));
                }
                None
            }
            Order::TrayOpened { drive } => {
                self.tray_opened(drive);
                None
            }
            Order::Leds(leds) => {
                self.subscribers.tell(&Event::Leds(leds.bits()));
                None
            }
            Order::Tablet(used) => {
                self.subscribers.tell(&Event::Tablet(used));
                None
            }
            Order::Warning(text) => {
                self.board.log.line(&text);
                self.subscribers.tell(&Event::Warning(text));
                None
            }
            Order::Tick => {
                if self.state() == State::Running && self.watch != Watch::Not {
                    self.measure();
                    self.tick.arm(TICK);
                }
                None
            }
            Order::Type => {
                if self.state() == State::Running {
                    self.typist.go_on(&self.board.keyboards);
                }
                None
            }
            Order::TrayTimeout => {
                self.tray_timeout();
                None
            }
            Order::End => Some(StopReason::Requested),
        }
    }

    fn command(&mut self, command: Command) -> Option<StopReason> {
        let state = self.state();
        match (command, state) {
            (Command::PowerOff, _) => return Some(StopReason::Requested),
            (Command::Start, State::Created) => {
                self.started = Some(Instant::now());
                self.go();
            }
            (Command::Pause, State::Running) => self.pause(PauseReason::Requested),
            (Command::Resume, State::Paused(_)) => return self.resume(),
            (Command::Reset, State::Running | State::Paused(_)) => return self.reset(),
            (Command::Shutdown, State::Running) => self.board.press_power_button(),
            (Command::Balloon(memory), _) => self.board.set_balloon(memory),
            (Command::Watch(watch), _) => {
                self.watch = watch;
                self.before_question = 0;
                self.tick.arm(TICK);
            }
            (Command::ChangeMedium { drive, medium, force }, _) => {
                self.change_medium(drive, medium.as_deref(), force);
            }
            (Command::GrowDisk { drive, size }, _) => match self.board.grow_disk(drive, size) {
                Ok(()) => self.subscribers.tell(&Event::DiskGrown { drive }),
                Err(why) => self.refuse(why),
            },
            (Command::Keys(keys), State::Running) => {
                for key in keys {
                    self.board.key(key);
                }
            }
            (Command::TypeText(text), State::Running) => {
                self.typist.push(&text);
                self.typist.go_on(&self.board.keyboards);
            }
            (Command::TypeKeys(keys), State::Running) => {
                self.typist.push_keys(&keys);
                self.typist.go_on(&self.board.keyboards);
            }
            (Command::Pointer(event), State::Running) => self.board.pointer(event),
            (Command::PointAt { x, y }, State::Running) => self.board.point_at(x, y),
            // Nobody meant anything by a movement across the window.
            (Command::PointAt { .. }, _) => {}
            (_, State::Created) => self.refuse(text!("The machine has not been started.")),
            (Command::Start, _) => self.refuse(text!("The machine has been started already.")),
            (Command::Resume, _) => self.refuse(text!("The machine is not paused.")),
            (_, _) => self.refuse(text!("The machine is paused; resume it first.")),
        }
        None
    }

    fn go(&mut self) {
        self.board.resume();
        self.vcpus.run();
        self.set_state(State::Running);
        self.tick.arm(TICK);
        self.typist.go_on(&self.board.keyboards);
    }

    fn pause(&mut self, reason: PauseReason) {
        self.vcpus.park();
        self.set_state(State::Paused(reason));
    }

    fn resume(&mut self) -> Option<StopReason> {
        let told = self.vcpus.each(|vcpu| {
            vcpu.was_paused();
            Ok(())
        });
        if let Err(error) = told {
            return Some(StopReason::Failed(error.to_string()));
        }
        self.board.retry_disks();
        self.media.start_over();
        self.go();
        None
    }

    fn change_medium(&mut self, drive: usize, path: Option<&Path>, force: bool) {
        let medium = match self.board.open_medium(drive, path) {
            Ok(medium) => medium,
            Err(why) => return self.refuse(why),
        };
        self.media.forget(drive);
        if self.board.insert(drive, &medium, force).is_ok() {
            self.tell_medium(drive, medium);
        } else if self.state() == State::Running {
            self.media.wait(drive, medium);
        } else {
            // It cannot open it while it stands still.
            self.subscribers.tell(&Event::MediumHeld { drive });
        }
    }

    fn tray_opened(&mut self, drive: usize) {
        if let Some(medium) = self.media.take(drive) {
            // The guest has let go of what was there, even if the tray is closed again by now.
            self.force_medium(drive, medium);
        } else if self.board.take_ejected(drive) {
            self.tell_medium(drive, Medium::default());
        }
    }

    fn tray_timeout(&mut self) {
        if self.state() != State::Running {
            // Going on, the guest has all its time again.
            return;
        }
        for (drive, medium) in self.media.expired() {
            // It may have unlocked the tray without opening it.
            match self.board.insert(drive, &medium, false) {
                Ok(()) => self.tell_medium(drive, medium),
                Err(_) => self.subscribers.tell(&Event::MediumHeld { drive }),
            }
        }
    }

    fn force_medium(&self, drive: usize, medium: Medium) {
        // Force never meets a lock.
        let _ = self.board.insert(drive, &medium, true);
        self.tell_medium(drive, medium);
    }

    fn tell_medium(&self, drive: usize, medium: Medium) {
        self.subscribers.tell(&Event::Medium { drive, medium: medium.path });
    }

    fn reset(&mut self) -> Option<StopReason> {
        self.vcpus.park();
        if let Err(error) = self.power_on_state() {
            let text = text!("The machine cannot be started again: {reason}.", reason = error);
            return Some(StopReason::Failed(text));
        }
        for (drive, medium) in self.media.take_all() {
            self.force_medium(drive, medium);
        }
        self.subscribers.tell(&Event::Reset);
        if self.state() == State::Running {
            self.vcpus.run();
        }
        None
    }

    /// Puts the whole machine into the state in which its first instruction runs.
    ///
    /// # Errors
    /// When KVM refuses, or a kernel that is booted directly can no longer be read.
    pub(super) fn power_on_state(&self) -> Result<(), MachineError> {
        let mut entry = self.board.reset()?;
        self.vcpus.each(|vcpu| {
            vcpu.reset()?;
            // The first vCPU alone starts by itself.
            entry.take().map_or(Ok(()), |entry| vcpu.enter_kernel(&entry))
        })?;
        Ok(())
    }

    fn triple_fault(&mut self) -> Option<StopReason> {
        let now = Instant::now();
        let (since, count) = match self.triple_faults {
            Some((since, count)) if now - since < TRIPLE_FAULT_SPAN => (since, count + 1),
            _ => (now, 1),
        };
        self.triple_faults = Some((since, count));
        if count >= TRIPLE_FAULTS {
            let text =
                text!("The guest crashed again and again right after its start (triple fault).");
            return Some(StopReason::Failed(text));
        }
        self.reset()
    }

    /// Tells how the machine does, and asks the guest how its memory does, for the next time.
    fn measure(&mut self) {
        self.subscribers.tell(&Event::Statistics(self.statistics()));
        if self.before_question == 0 || self.watch == Watch::Closely {
            self.board.ask_for_memory();
            self.before_question = TICKS_PER_QUESTION;
        }
        self.before_question -= 1;
    }

    fn statistics(&self) -> Statistics {
        Statistics {
            uptime: self.started.map_or(Duration::ZERO, |started| started.elapsed()),
            vcpu_time: self.vcpus.times(),
            resident: self.board.resident(),
            balloon: self.board.balloon_figures(),
            disks: self.board.disk_statistics(),
            network: self.board.net_statistics(),
            exits: self.vcpus.exits(),
        }
    }
}
