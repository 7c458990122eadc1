//! The parts of the ICH9's LPC bridge that are devices of their own: ACPI power management
//! (`power`), the APM ports that switch ACPI on (`apm`), and the reset control register
//! (`reset`).
//!
//! The bridge's PCI function, which says where the power management block lies and how PIRQs are
//! routed, belongs to the machine.

mod apm;
mod power;
mod reset;
mod tco;

pub use apm::{ACPI_DISABLE, ACPI_ENABLE, APM_PORT, APM_PORTS, ApmControl, ApmState};
pub use power::{
    GPE0_BLOCK, GPE0_LEN, PM_BLOCK_LEN, PM_TIMER, PM1_CONTROL, PM1_EVENT, PM1_EVENT_LEN,
    PowerManagement, PowerState, SCI_IRQ, SLP_TYP_S3, SLP_TYP_S4, SLP_TYP_S5,
};
pub use reset::{RESET_FULL, RESET_PORT, ResetControl, ResetState};
