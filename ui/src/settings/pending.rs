//! What waits for the next start.

use vmm_core::definition::{Definition, Drive};

/// Whether a machine that was started as `started` has to be started again to become `wanted`.
/// Names, notes and media change at once.
pub(super) fn differs(wanted: &Definition, started: &Definition) -> bool {
    wanted.memory != started.memory
        || wanted.cpus != started.cpus
        || wanted.firmware != started.firmware
        || wanted.network != started.network
        || wanted.boot_first != started.boot_first
        || wanted.drives.len() != started.drives.len()
        || wanted.drives.iter().zip(&started.drives).any(|pair| match pair {
            (Drive::Optical { .. }, Drive::Optical { .. }) => false,
            (wanted, started) => wanted != started,
        })
}

#[cfg(test)]
mod tests {
    use vmm_core::units::Bytes;

    use super::*;
    use crate::fake::definition;

    #[test]
    fn what_the_guest_sees_only_after_a_start_differs() {
        let started = definition("a");
        let check = |change: fn(&mut Definition)| {
            let mut wanted = started.clone();
            change(&mut wanted);
            differs(&wanted, &started)
        };
        assert!(!check(|_| ()));
        assert!(!check(|d| d.notes = "b".into()));
        assert!(!check(|d| d.name = "b".parse().unwrap()));
        assert!(!check(|d| d.drives[1] = Drive::Optical { file: Some("/a.iso".into()) }));
        assert!(check(|d| d.memory = Bytes::gib(3)));
        assert!(check(|d| d.drives.swap(0, 1)));
        assert!(check(|d| d.drives.push(Drive::Optical { file: None })));
        assert!(check(|d| d.boot_first = Some(1)));
        assert!(check(|d| d.network = None));
    }
}
