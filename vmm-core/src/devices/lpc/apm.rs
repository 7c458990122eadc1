//! The APM ports, 0xB2 and 0xB3 (ICH9 datasheet §13.7.1 and 2), where operating systems ask for
//! ACPI mode.
//!
//! On a PC a write raises an SMI and the firmware's handler acts. This machine has no SMM: the
//! device does what the handler would.

use std::sync::Arc;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::PowerManagement;
use crate::bus::BusDevice;
use crate::state::{Persist, Reset, RestoreError};

/// First port: command; the second is status. The FADT's `SMI_CMD`.
pub const APM_PORT: u64 = 0xb2;
/// Number of ports.
pub const APM_PORTS: u64 = 2;
/// The command that switches ACPI mode on, for the FADT.
pub const ACPI_ENABLE: u8 = 0x02;
/// The command that switches ACPI mode off, for the FADT.
pub const ACPI_DISABLE: u8 = 0x03;

/// What saved APM ports remember.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApmState {
    command: u8,
    status: u8,
}

/// The two ports.
pub struct ApmControl {
    state: Mutex<ApmState>,
    power: Arc<PowerManagement>,
}

impl ApmControl {
    /// Ports that switch ACPI mode of `power`.
    pub fn new(power: Arc<PowerManagement>) -> Self {
        Self { state: Mutex::default(), power }
    }
}

impl BusDevice for ApmControl {
    fn read(&self, offset: u64, data: &mut [u8]) {
        let state = self.state.lock();
        for (port, byte) in (offset..APM_PORTS).zip(data) {
            *byte = if port == 0 { state.command } else { state.status };
        }
    }

    fn write(&self, offset: u64, data: &[u8]) {
        let mut state = self.state.lock();
        for (port, byte) in (offset..APM_PORTS).zip(data) {
            if port == 1 {
                state.status = *byte;
                continue;
            }
            state.command = *byte;
            match *byte {
                ACPI_ENABLE => self.power.set_acpi_mode(true),
                ACPI_DISABLE => self.power.set_acpi_mode(false),
                _ => {}
            }
        }
    }
}

impl Persist for ApmControl {
    type State = ApmState;

    fn save(&self) -> ApmState {
        self.state.lock().clone()
    }

    fn restore(&self, state: ApmState) -> Result<(), RestoreError> {
        *self.state.lock() = state;
        Ok(())
    }
}

impl Reset for ApmControl {
    fn reset(&self) {
        *self.state.lock() = ApmState::default();
    }
}
