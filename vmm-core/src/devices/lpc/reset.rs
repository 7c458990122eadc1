//! The reset control register, port 0xCF9 (ICH9 datasheet §13.7.5).

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::bus::BusDevice;
use crate::request::{GuestRequest, RequestSink};
use crate::state::{Persist, Reset, RestoreError};

/// The one port. It lies inside the 32-bit PCI address register at 0xCF8, which answers only to
/// accesses of four bytes.
pub const RESET_PORT: u64 = 0xcf9;
/// What to write for a reset of the whole machine, for the FADT's reset register.
pub const RESET_FULL: u8 = FULL_RST | RST_CPU | SYS_RST;

const SYS_RST: u8 = 0x02;
/// The transition from 0 to 1 resets.
const RST_CPU: u8 = 0x04;
const FULL_RST: u8 = 0x08;

/// What a saved reset control register remembers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResetState {
    value: u8,
}

/// The register. A machine has no reset of its CPUs alone: each kind resets all of it.
pub struct ResetControl {
    value: Mutex<u8>,
    requests: RequestSink,
}

impl ResetControl {
    /// A register that asks for resets through `requests`.
    pub fn new(requests: RequestSink) -> Self {
        Self { value: Mutex::new(0), requests }
    }
}

impl BusDevice for ResetControl {
    fn read(&self, _: u64, data: &mut [u8]) {
        if let Some(byte) = data.first_mut() {
            *byte = *self.value.lock();
        }
    }

    fn write(&self, _: u64, data: &[u8]) {
        let Some(new) = data.first() else { return };
        let new = new & RESET_FULL;
        let old = std::mem::replace(&mut *self.value.lock(), new);
        if new & !old & RST_CPU != 0 {
            (self.requests)(GuestRequest::Reset);
        }
    }
}

impl Persist for ResetControl {
    type State = ResetState;

    fn save(&self) -> ResetState {
        ResetState { value: *self.value.lock() }
    }

    fn restore(&self, state: ResetState) -> Result<(), RestoreError> {
        if state.value & !RESET_FULL != 0 {
            let reason = format!("value {:#x}", state.value);
            return Err(RestoreError { device: "reset control register", reason });
        }
        *self.value.lock() = state.value;
        Ok(())
    }
}

impl Reset for ResetControl {
    fn reset(&self) {
        *self.value.lock() = 0;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::state::conformance;

    #[test]
    fn the_rising_bit_resets() {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let sink = asked.clone();
        let control = ResetControl::new(Arc::new(move |request| sink.lock().push(request)));
        control.write(0, &[0x02]);
        assert!(asked.lock().is_empty());
        control.write(0, &[0x06]);
        control.write(0, &[0x06]);
        assert_eq!(*asked.lock(), [GuestRequest::Reset]);
    }

    #[test]
    fn conforms() {
        conformance::check(
            || ResetControl::new(Arc::new(|_| {})),
            |control| control.write(0, &[0xff, 0xff]),
            |control| {
                let mut data = [0; 2];
                control.read(0, &mut data);
                data.to_vec()
            },
        );
        let control = ResetControl::new(Arc::new(|_| {}));
        assert!(control.restore(ResetState { value: 1 }).is_err());
    }
}
