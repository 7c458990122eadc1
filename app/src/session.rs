//! A machine in the foreground: its serial port on the terminal, its script, its end.
//!
//! One thread, the caller's, decides; the others only carry: serial output to the terminal,
//! standard input to the guest, events and signals to the caller.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use thiserror::Error;
use vmm_core::display::Display;
use vmm_core::machine::{
    Command, Event, Machine, PauseReason, SerialInput, SerialOutput, SerialPort, SerialStart,
    State, StopReason, Watch,
};
use vmm_core::text;

use crate::report::{self, Outcome};
use crate::screenshot;
use crate::script::{Connections, Progress, Runner, Script, ScriptError};
use crate::terminal::{self, RawMode};

/// How long a machine may take to stop: its disks are flushed.
const STOP: Duration = Duration::from_secs(30);

/// How long the last serial output may take to reach a terminal that does not read.
const DRAIN: Duration = Duration::from_secs(1);

/// How often a machine held up by its disk is asked to try again.
const RETRY: Duration = Duration::from_secs(3);

/// Chunks of standard input waiting for the guest.
const INPUT_QUEUE: usize = 256;

/// Why a run failed.
#[derive(Debug, Error)]
pub(crate) enum SessionError {
    #[error("{}", text!("cannot put the terminal in raw mode"))]
    Terminal(#[source] io::Error),
    #[error("{}", text!("cannot watch for signals"))]
    Signals(#[source] io::Error),
    #[error("{}", text!("cannot start a thread"))]
    Thread(#[source] io::Error),
    #[error("{}", text!("cannot pass on what the guest writes to its serial port"))]
    Output(#[source] io::Error),
    #[error("{0}")]
    Machine(String),
    #[error("{0}")]
    Refused(String),
    #[error("{}", text!("the guest has locked the drive; eject the medium in the guest"))]
    MediumHeld,
    #[error("{}", text!("the machine does not stop; it is given up"))]
    Stuck,
    #[error(transparent)]
    Script(#[from] ScriptError),
}

/// What the carrying threads bring.
enum Message {
    Event(Event),
    Serial(Vec<u8>),
    SerialEnd,
    OutputFailed(io::Error),
    Leave,
    Signal(i32),
}

/// A machine and what is done with it.
pub(crate) struct Session {
    /// Until it is over.
    machine: Option<Machine>,
    commands: async_channel::Sender<Command>,
    display: Arc<dyn Display>,
    runner: Runner,
    /// What is typed at the terminal, on its way to the serial port.
    typed: async_channel::Sender<Vec<u8>>,
    deadline: Option<Instant>,
    sender: SyncSender<Message>,
    messages: Receiver<Message>,
    raw: Option<RawMode>,
    stopped: Option<StopReason>,
    serial_ended: bool,
    /// When a machine held up by its disk is asked to try again.
    retry_at: Option<Instant>,
    /// The last fault told, so that a retry in vain is not told again.
    fault: Option<String>,
}

impl Session {
    /// Gets `machine` ready to run `script`, whose media go into the drive `optical`.
    ///
    /// # Errors
    /// When the script could not be carried out, whatever the guest does.
    pub(crate) fn new(
        machine: Machine,
        optical: Option<usize>,
        script: &Script,
    ) -> Result<Self, SessionError> {
        // Bounded: a guest that writes faster than its output is watched has to wait.
        let (sender, messages) = sync_channel(64);
        let (typed, queue) = async_channel::bounded(INPUT_QUEUE);
        let (commands, display) = (machine.commands(), machine.display());
        let connections = Connections {
            commands: commands.clone(),
            serial_input: machine.serial(SerialStart::Now).input,
            display: display.clone(),
            optical,
        };
        let session = Self {
            runner: Runner::new(script, connections)?,
            commands,
            display,
            typed,
            deadline: script.timeout.map(|timeout| Instant::now() + timeout),
            sender,
            messages,
            raw: None,
            stopped: None,
            serial_ended: false,
            retry_at: None,
            fault: None,
            machine: None,
        };
        session.carry_events(machine.subscribe())?;
        let SerialPort { input, output } = machine.serial(SerialStart::Scrollback);
        session.carry_output(output)?;
        carry_input(queue, input)?;
        Ok(Self { machine: Some(machine), ..session })
    }

    /// Runs the machine until it is off, the script is done, time is out or somebody ends it.
    ///
    /// # Errors
    /// When the machine or the script fails, or the terminal is gone.
    pub(crate) fn run(mut self) -> Result<Outcome, SessionError> {
        let signals = watch_signals(self.sender.clone())?;
        self.raw = RawMode::enter().map_err(SessionError::Terminal)?;
        self.carry_keys()?;
        let outcome = self.drive();
        signals.close();
        outcome
    }

    fn carry_events(&self, events: async_channel::Receiver<Event>) -> Result<(), SessionError> {
        let sender = self.sender.clone();
        spawn("events", move || {
            while let Ok(event) = events.recv_blocking() {
                if sender.send(Message::Event(event)).is_err() {
                    return;
                }
            }
        })
    }

    fn carry_output(&self, output: SerialOutput) -> Result<(), SessionError> {
        let sender = self.sender.clone();
        spawn("serial-output", move || {
            while let Some(bytes) = output.recv_blocking() {
                let message = match terminal::write_output(&bytes) {
                    Ok(()) => Message::Serial(bytes),
                    Err(error) => Message::OutputFailed(error),
                };
                if sender.send(message).is_err() {
                    return;
                }
            }
            let _ = sender.send(Message::SerialEnd);
        })
    }

    fn carry_keys(&self) -> Result<(), SessionError> {
        let (typed, sender) = (self.typed.clone(), self.sender.clone());
        spawn("keyboard", move || {
            terminal::forward_input(&typed, || {
                // Nobody to tell: the run is over anyway.
                let _ = sender.send(Message::Leave);
            });
        })
    }

    fn drive(&mut self) -> Result<Outcome, SessionError> {
        // There are no charts here.
        self.send(Command::Watch(Watch::Not));
        self.send(Command::Start);
        loop {
            let now = Instant::now();
            let off = self.stopped == Some(StopReason::GuestPowerOff);
            match &self.stopped {
                Some(StopReason::Failed(reason)) => {
                    let reason = reason.clone();
                    return self.end(Err(SessionError::Machine(reason)));
                }
                Some(StopReason::Requested) => return self.end(Ok(Outcome::Done)),
                Some(StopReason::GuestPowerOff) | None => {}
            }
            let wake = match self.runner.advance(now, off) {
                Ok(Progress::Done) => return self.end(Ok(Outcome::Done)),
                Ok(Progress::Waiting(wake)) => wake,
                Err(error) => return self.end(Err(error.into())),
            };
            if off {
                if let Some(condition) = self.runner.waits_for() {
                    report::message(&text!(
                        "the guest is off; still waited for {condition}",
                        condition
                    ));
                }
                return self.end(Ok(Outcome::Done));
            }
            if self.deadline.is_some_and(|deadline| now >= deadline) {
                let awaited = self.runner.waits_for().map(ToString::to_string);
                // Translators: put into “time is out; still waited for {condition}”.
                let awaited = awaited.unwrap_or_else(|| text!("the guest"));
                report::message(&text!(
                    "time is out; still waited for {condition}",
                    condition = awaited
                ));
                return self.end(Ok(Outcome::TimedOut));
            }
            if self.retry_at.is_some_and(|time| now >= time) {
                self.retry_at = None;
                self.send(Command::Resume);
            }
            let wake = [wake, self.deadline, self.retry_at].into_iter().flatten().min();
            if let Some(end) = self.receive(wake) {
                return self.end(end);
            }
        }
    }

    /// Takes messages until none is left, waiting for the first until `wake`. How the run ends, if
    /// it does by one of them.
    fn receive(&mut self, wake: Option<Instant>) -> Option<Result<Outcome, SessionError>> {
        let first = match wake {
            Some(time) => {
                self.messages.recv_timeout(time.saturating_duration_since(Instant::now()))
            }
            None => self.messages.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        let mut messages: VecDeque<_> = match first {
            Ok(message) => [message].into(),
            Err(RecvTimeoutError::Timeout) => return None,
            Err(RecvTimeoutError::Disconnected) => {
                return Some(Err(SessionError::Machine(text!("the machine is gone"))));
            }
        };
        messages.extend(self.messages.try_iter());
        messages.into_iter().find_map(|message| self.take(message))
    }

    fn take(&mut self, message: Message) -> Option<Result<Outcome, SessionError>> {
        match message {
            Message::Event(event) => return self.take_event(event).map(Err),
            Message::Serial(bytes) => self.runner.serial_output(&bytes),
            Message::SerialEnd => self.serial_ended = true,
            Message::OutputFailed(error) => return Some(Err(SessionError::Output(error))),
            Message::Leave => return Some(Ok(Outcome::Done)),
            Message::Signal(SIGCONT) => {
                if let Some(raw) = &self.raw {
                    raw.enter_again();
                }
            }
            Message::Signal(signal) => return Some(Ok(Outcome::Signal(signal))),
        }
        None
    }

    fn take_event(&mut self, event: Event) -> Option<SessionError> {
        match event {
            Event::State(State::Stopped(reason)) => self.stopped = Some(reason),
            Event::State(State::Paused(PauseReason::DiskFault(fault))) => {
                if self.fault.as_ref() != Some(&fault) {
                    let reason = fault.trim_end_matches(['.', '。']);
                    report::message(&text!(
                        "paused: {reason}; trying again until it works",
                        reason
                    ));
                    self.fault = Some(fault);
                    self.send(Command::Watch(Watch::Loosely));
                }
                self.retry_at = Some(Instant::now() + RETRY);
            }
            Event::State(State::Created | State::Running | State::Paused(_)) => {}
            Event::Refused(reason) => return Some(SessionError::Refused(reason)),
            Event::MediumHeld { .. } => return Some(SessionError::MediumHeld),
            Event::Warning(warning) => report::message(&warning),
            Event::Reset
            | Event::Medium { .. }
            | Event::DiskGrown { .. }
            | Event::Leds(_)
            | Event::Tablet(_) => {}
            Event::Statistics(_) => {
                // A second of running since the retry: it worked.
                if self.retry_at.is_none() && self.fault.take().is_some() {
                    report::message(&text!("the disk works again, the machine runs on"));
                    self.send(Command::Watch(Watch::Not));
                }
            }
        }
        None
    }

    fn send(&self, command: Command) {
        // A machine that is over takes no commands, and says so by itself.
        let _ = self.commands.try_send(command);
    }

    /// Takes the pictures still due, powers the machine off and waits until it is.
    fn end(&mut self, end: Result<Outcome, SessionError>) -> Result<Outcome, SessionError> {
        for path in self.runner.remaining_screenshots() {
            if let Err(error) = screenshot::take(&*self.display, &path) {
                report::message(&error.to_string());
            }
        }
        let limit = Instant::now() + STOP;
        if self.stopped.is_none() {
            self.send(Command::PowerOff);
        }
        while self.stopped.is_none() {
            match self.messages.recv_timeout(limit.saturating_duration_since(Instant::now())) {
                Ok(Message::Event(Event::State(State::Stopped(reason)))) => {
                    self.stopped = Some(reason);
                }
                Ok(Message::SerialEnd) => self.serial_ended = true,
                Ok(_) => {}
                Err(_) => return end.and(Err(SessionError::Stuck)),
            }
        }
        // Closes the serial port, whose last words follow.
        self.machine = None;
        let limit = Instant::now() + DRAIN;
        while !self.serial_ended {
            match self.messages.recv_timeout(limit.saturating_duration_since(Instant::now())) {
                Ok(Message::SerialEnd) => self.serial_ended = true,
                Ok(_) => {}
                Err(_) => break,
            }
        }
        // What the machine failed with while it was powering off is worth more than success.
        match (end, self.stopped.take()) {
            (Ok(_), Some(StopReason::Failed(reason))) => Err(SessionError::Machine(reason)),
            (end, _) => end,
        }
    }
}

fn carry_input(
    queue: async_channel::Receiver<Vec<u8>>,
    input: SerialInput,
) -> Result<(), SessionError> {
    spawn("serial-input", move || {
        while let Ok(bytes) = queue.recv_blocking() {
            if input.send_blocking(&bytes).is_err() {
                return;
            }
        }
    })
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> Result<(), SessionError> {
    // Detached: a read from a terminal cannot be interrupted, and the end of the process ends it.
    thread::Builder::new().name(name.into()).spawn(body).map_err(SessionError::Thread)?;
    Ok(())
}

fn watch_signals(
    sender: SyncSender<Message>,
) -> Result<signal_hook::iterator::Handle, SessionError> {
    let mut signals =
        signal_hook::iterator::Signals::new([SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGCONT])
            .map_err(SessionError::Signals)?;
    let handle = signals.handle();
    spawn("signals", move || {
        for signal in signals.forever() {
            if sender.send(Message::Signal(signal)).is_err() {
                return;
            }
        }
    })?;
    Ok(handle)
}
