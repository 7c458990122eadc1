//! The state of a virtio device and its transport, saved and restored, and the machine's reset.

use serde::{Deserialize, Serialize};

use super::device::VirtioDevice;
use super::pci::{Due, VirtioPci};
use super::queue::QueueState;
use super::registers::RegistersState;
use crate::pci::{ConfigState, MsixState};
use crate::state::{Persist, Reset, RestoreError, Resume};

/// All that a guest sees of a virtio device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VirtioState<S> {
    config: ConfigState,
    msix: MsixState,
    registers: RegistersState,
    isr: u8,
    needs_reset: bool,
    generation: u8,
    queues: Vec<QueueState>,
    device: S,
}

impl<D: VirtioDevice> Persist for VirtioPci<D> {
    type State = VirtioState<D::State>;

    /// Waits until no request is in flight, but for those that a full disk holds up.
    fn save(&self) -> Self::State {
        let mut inner = self.inner.lock();
        self.finish_reset(&mut inner, None);
        let still: Vec<_> = inner.running.workers.iter().map(|worker| worker.quiesce()).collect();
        let queues = if inner.due == Due::Activation {
            inner.restored.clone()
        } else {
            let count = inner.registers.queues().len();
            let queue = |index| inner.running.queues.get(index).and_then(Option::as_ref);
            (0..count).map(|index| queue(index).map(|q| q.save()).unwrap_or_default()).collect()
        };
        let state = VirtioState {
            config: self.signals.function.save(),
            msix: self.signals.msix.save(),
            registers: inner.registers.save(&self.signals),
            isr: self.signals.isr(),
            needs_reset: self.signals.broken(),
            generation: self.signals.generation(),
            queues,
            device: self.device.save(),
        };
        drop(still);
        state
    }

    /// The device starts to work at [`Resume::resume`].
    fn restore(&self, state: Self::State) -> Result<(), RestoreError> {
        let refuse = |reason: &str| RestoreError { device: "virtio", reason: reason.into() };
        let mut inner = self.inner.lock();
        let problem = inner.registers.problem(&self.signals, &state.registers);
        if let Some(problem) = problem {
            return Err(refuse(problem));
        }
        let sizes = state.registers.queue_sizes();
        if sizes.len() != state.queues.len() {
            return Err(refuse("another number of queues"));
        }
        let problem = state.queues.iter().zip(sizes).find_map(|(queue, size)| queue.problem(size));
        if let Some(problem) = problem {
            return Err(refuse(problem));
        }
        self.signals.msix.check(&state.msix)?;
        // Both leave all as it was when they refuse.
        let before = self.signals.function.save();
        self.signals.function.restore(&state.config)?;
        if let Err(error) = self.device.restore(state.device) {
            self.signals.function.restore(&before)?;
            return Err(error);
        }
        self.begin_reset(&mut inner);
        // The device's own state stays: it is the new one already.
        self.stop(&mut inner);
        self.signals.reset();
        self.signals.restore(state.needs_reset, state.generation);
        let control = self.signals.function.with_config(|config| config.msix_control());
        self.signals.msix.restore(&state.msix, control);
        self.signals.config_changed();
        self.signals.restore_isr(state.isr);
        inner.registers.restore(&self.signals, state.registers);
        inner.restored = state.queues;
        inner.due = if inner.registers.driver_ok() { Due::Activation } else { Due::Nothing };
        self.signals.set_active(inner.registers.driver_ok());
        Ok(())
    }
}

impl<D: VirtioDevice> Resume for VirtioPci<D> {
    fn resume(&self) {
        let mut inner = self.inner.lock();
        if inner.due == Due::Activation {
            inner.due = Due::Nothing;
            self.activate(&mut inner);
        }
    }
}

impl<D: VirtioDevice> Reset for VirtioPci<D> {
    /// Waits until the workers have stopped.
    fn reset(&self) {
        let mut inner = self.inner.lock();
        self.begin_reset(&mut inner);
        self.finish_reset(&mut inner, None);
        self.signals.reset_function();
    }
}
