//! The controller's state, saved and restored, and its reset.

use std::sync::atomic::Ordering::SeqCst;

use serde::{Deserialize, Serialize};

use super::hba::{Ahci, INDEX_MASK};
use super::port::PortState;
use super::registers::PORTS;
use crate::pci::ConfigState;
use crate::state::{Persist, Reset, RestoreError};

/// All that a guest sees of the controller and its drives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AhciState {
    config: ConfigState,
    interrupts_enabled: bool,
    interrupt_status: u32,
    index: u32,
    ports: [PortState; PORTS],
}

impl Persist for Ahci {
    type State = AhciState;

    /// Waits until no command is in flight.
    fn save(&self) -> AhciState {
        let ports = std::array::from_fn(|port| self.ports[port].save());
        AhciState {
            config: self.host.function.save(),
            interrupts_enabled: self.host.enabled(),
            interrupt_status: self.host.interrupt_status(),
            index: self.index.load(SeqCst),
            ports,
        }
    }

    fn restore(&self, state: AhciState) -> Result<(), RestoreError> {
        for (port, state) in self.ports.iter().zip(&state.ports) {
            port.check(state).map_err(|reason| RestoreError { device: "AHCI", reason })?;
        }
        // The last step that can fail, and nothing has changed yet when it does.
        self.host.function.restore(&state.config)?;
        self.host.config_changed();
        for (port, state) in self.ports.iter().zip(state.ports) {
            port.restore(state);
        }
        self.index.store(state.index & INDEX_MASK, SeqCst);
        self.resetting.store(false, SeqCst);
        let implemented = state.interrupt_status & ((1 << PORTS) - 1);
        self.host.restore_interrupts(implemented, state.interrupts_enabled);
        Ok(())
    }
}

impl Reset for Ahci {
    /// Waits until the block layer has ended what is in flight.
    fn reset(&self) {
        self.host.reset_interrupts();
        for port in &self.ports {
            port.reset();
        }
        self.host.function.reset();
        self.host.config_changed();
        self.index.store(0, SeqCst);
        self.resetting.store(false, SeqCst);
    }
}
