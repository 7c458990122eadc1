//! A machine that runs in this process.

use std::sync::Arc;

use async_channel::{Receiver, Sender};
use gtk::gio;
use ui::backend::Running;
use vmm_core::display::Display;
use vmm_core::machine::{Command, Event, Machine, SerialPort, SerialStart};

/// A machine that runs in this process.
pub(super) struct LocalMachine {
    /// Until it is dropped.
    machine: Option<Machine>,
}

impl LocalMachine {
    pub(super) fn new(machine: Machine) -> Self {
        Self { machine: Some(machine) }
    }

    fn machine(&self) -> &Machine {
        self.machine.as_ref().expect("it is taken only when this is dropped")
    }
}

impl Running for LocalMachine {
    fn commands(&self) -> Sender<Command> {
        self.machine().commands()
    }

    fn subscribe(&self) -> Receiver<Event> {
        self.machine().subscribe()
    }

    fn display(&self) -> Arc<dyn Display> {
        self.machine().display()
    }

    fn serial(&self, start: SerialStart) -> SerialPort {
        self.machine().serial(start)
    }
}

impl Drop for LocalMachine {
    fn drop(&mut self) {
        // Waits for its threads and flushes its images: nothing for the GUI's thread.
        let machine = self.machine.take();
        drop(gio::spawn_blocking(move || drop(machine)));
    }
}
