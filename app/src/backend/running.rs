//! A machine that runs in this process.

use std::sync::Arc;

use async_channel::{Receiver, Sender};
use gtk::gio;
use ui::backend::Running;
use vmm_core::display::{Damage, Display, Frame, Mode};
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
        Arc::new(Screen(Some(self.machine().display())))
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

/// A machine's display, for the GUI's thread to let go of.
///
/// Whoever lets go of it last takes it out of the guest's address space and may end the machine in
/// the kernel, which waits for all that still looks at it.
struct Screen(Option<Arc<dyn Display>>);

impl Screen {
    fn display(&self) -> &dyn Display {
        self.0.as_deref().expect("it is taken only when this is dropped")
    }
}

impl Display for Screen {
    fn mode(&self) -> Mode {
        self.display().mode()
    }

    fn refresh(&self, frame: &mut Frame) -> Damage {
        self.display().refresh(frame)
    }

    fn text(&self) -> Option<String> {
        self.display().text()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let display = self.0.take();
        drop(gio::spawn_blocking(move || drop(display)));
    }
}
