//! What every device promises about its guest-visible state.

use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

/// A saved state that a device cannot take.
#[derive(Debug, Error)]
#[error("the saved state of {device} is not valid: {reason}")]
pub struct RestoreError {
    /// Which device refused.
    pub device: &'static str,
    /// What is wrong with the state.
    pub reason: String,
}

/// A device whose guest-visible state can be taken out and put into a fresh one.
///
/// The state may come from a file that somebody tampered with: `restore` checks every index and
/// length it later relies on. Called while no vCPU runs and no request is in flight.
pub trait Persist {
    /// All that the guest could tell two instances apart by, and nothing of the host's.
    type State: Serialize + DeserializeOwned;

    /// Takes the state out.
    fn save(&self) -> Self::State;

    /// Puts a state in, interrupt lines included.
    ///
    /// # Errors
    /// When the state is not one that `save` could have made; the device is then unchanged.
    fn restore(&self, state: Self::State) -> Result<(), RestoreError>;
}

/// A device that the machine's reset line reaches.
pub trait Reset {
    /// Puts the device into the state it has after power-on. What lies outside the machine
    /// (disk images, the host's end of a serial line, a medium in a drive) stays.
    fn reset(&self);
}

/// A device that works by itself, besides answering vCPUs.
pub trait Resume {
    /// Called each time before vCPUs run: a device whose state was restored takes up its work.
    /// Until then it leaves guest memory and interrupts alone.
    fn resume(&self);
}

#[cfg(test)]
pub(crate) mod conformance {
    //! The one test that every device passes.

    use super::*;

    /// Exercises a device, moves its state into a fresh one through its serialized form, and
    /// checks that both then answer `observe` alike. `observe` should touch all that a guest can
    /// see, with reads that have effects last. Then resets the copy and checks that it answers
    /// like a new one.
    pub(crate) fn check<D: Persist + Reset>(
        make: impl Fn() -> D,
        exercise: impl Fn(&D),
        observe: impl Fn(&D) -> Vec<u8>,
    ) {
        let original = make();
        exercise(&original);
        let saved = serde_json::to_value(original.save()).expect("state serializes");
        let copy = make();
        copy.restore(serde_json::from_value(saved.clone()).expect("state deserializes"))
            .expect("a saved state is valid");
        let again = serde_json::to_value(copy.save()).expect("state serializes");
        assert_eq!(saved, again, "state changed on its way through a fresh device");
        assert_eq!(observe(&original), observe(&copy), "the restored device behaves differently");

        copy.reset();
        let fresh = make();
        fresh.reset();
        let reset = serde_json::to_value(copy.save()).expect("state serializes");
        let new = serde_json::to_value(fresh.save()).expect("state serializes");
        assert_eq!(reset, new, "reset leaves something behind");
    }
}
