//! The end of all running machines.

use std::time::Duration;

use gtk::glib;
use vmm_core::machine::Command;

use super::{Machines, Status};

/// How often it is looked whether machines are off.
const PERIOD: Duration = Duration::from_millis(100);

impl Machines {
    /// Presses the power button of every machine with a guest; paused ones go on first, to hear it.
    pub fn ask_all_to_shut_down(&self) {
        for vm in self.live() {
            if vm.status() == Status::Paused {
                vm.command(Command::Resume);
            }
            vm.command(Command::Shutdown);
        }
    }

    /// Pulls the plug of every machine with a guest. Their images are flushed.
    pub fn force_all_off(&self) {
        self.live().iter().for_each(|vm| vm.command(Command::PowerOff));
    }

    /// Waits until no machine has a guest.
    pub async fn all_off(&self) {
        while !self.live().is_empty() {
            glib::timeout_future(PERIOD).await;
        }
    }

    /// Shuts every machine down, giving guests `patience` to do it by themselves.
    pub async fn shut_all_down(&self, patience: Duration) {
        self.ask_all_to_shut_down();
        if glib::future_with_timeout(patience, self.all_off()).await.is_err() {
            self.force_all_off();
            self.all_off().await;
        }
    }
}
