//! KVM: the one place that makes its system calls.
//!
//! What lives here: opening `/dev/kvm`, the VM with its memory slots and interrupt controllers,
//! vCPUs with their state, CPUID, and the ring of coalesced writes. What does not: devices, and
//! the decision what to run when.

mod coalesced;
mod cpuid;
mod routes;
mod slots;
mod state;
#[cfg(test)]
mod tests;
mod vcpu;
mod vm;

pub use coalesced::CoalescedRing;
pub use cpuid::Processor;
pub use state::{ChipsetState, VcpuState};
pub use vcpu::{Exit, KickHandle, Vcpu, prepare_kicks};
pub use vm::{Vm, check};

use std::io;

use thiserror::Error;

use crate::text;

/// Why KVM cannot be used.
#[derive(Debug, Error)]
pub enum KvmError {
    /// `/dev/kvm` is not there.
    #[error("{}", text!(
        "/dev/kvm does not exist; switch on virtualization (VT-x or AMD-V) in the computer's \
         firmware setup, then load the module: sudo modprobe kvm_intel || sudo modprobe kvm_amd"
    ))]
    Absent,
    /// `/dev/kvm` is there but not ours to open.
    #[error("{}", text!(
        "no permission to open /dev/kvm; join the group kvm and log in again: sudo usermod -aG \
         kvm $USER"
    ))]
    Forbidden,
    /// The KVM there is too old or of another kind.
    // Translators: {feature} is always English, such as “read-only memory”.
    #[error("{}", text!("this system's KVM lacks {feature}; update its kernel", feature = .0))]
    Lacks(&'static str),
    /// A system call failed.
    // Translators: {action} is always English, such as “create a vCPU”: it is for a report.
    #[error("{}", text!("KVM refused to {action}", action))]
    Refused {
        /// What was tried, as in “create a vCPU”: English for whoever reads a report.
        action: &'static str,
        /// KVM's reason.
        #[source]
        source: io::Error,
    },
}

/// Names the action of a failed system call.
trait Refusal<T> {
    fn or_refused(self, action: &'static str) -> Result<T, KvmError>;
}

impl<T> Refusal<T> for Result<T, kvm_ioctls::Error> {
    fn or_refused(self, action: &'static str) -> Result<T, KvmError> {
        self.map_err(|error| KvmError::Refused { action, source: error.into() })
    }
}
