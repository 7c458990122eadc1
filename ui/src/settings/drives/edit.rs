//! Changes to a list of drives. No widgets in here.

use vmm_core::definition::{Definition, DiskBus, Drive};

/// Takes drive `index` away, if it is still `drive`.
pub(super) fn remove(definition: &mut Definition, index: usize, drive: &Drive) {
    if definition.drives.get(index) != Some(drive) {
        return;
    }
    definition.drives.remove(index);
    definition.boot_first = match definition.boot_first {
        Some(first) if first == index => None,
        Some(first) if first > index => Some(first - 1),
        first => first,
    };
}

/// Lets drives `one` and `other` change places.
pub(super) fn swap(definition: &mut Definition, one: usize, other: usize) {
    let count = definition.drives.len();
    if one >= count || other >= count {
        return;
    }
    definition.drives.swap(one, other);
    definition.boot_first = match definition.boot_first {
        Some(first) if first == one => Some(other),
        Some(first) if first == other => Some(one),
        first => first,
    };
}

/// What another disk is connected to: the same as the first, which the system starts from or is to
/// be installed on.
pub(super) fn usual_bus(definition: &Definition) -> DiskBus {
    let bus = |drive: &Drive| match drive {
        Drive::Disk { bus, .. } => Some(*bus),
        Drive::Optical { .. } => None,
    };
    definition.drives.iter().find_map(bus).unwrap_or_default()
}

/// Puts a disk behind the last disk, before the optical drives: it is tried before those then, as
/// the others are.
pub(super) fn add(definition: &mut Definition, drive: Drive) {
    let disks = |drive: &Drive| matches!(drive, Drive::Disk { .. });
    let place = match drive {
        Drive::Disk { .. } => definition.drives.iter().rposition(disks).map_or(0, |last| last + 1),
        Drive::Optical { .. } => definition.drives.len(),
    };
    definition.drives.insert(place, drive);
    definition.boot_first = definition.boot_first.map(|first| first + usize::from(first >= place));
}

/// Which drive of a machine started as `started` is drive `index` of `wanted`. Optical drives are
/// all alike: those with the same medium are the same, and the others are in their order.
pub(super) fn running_drive(wanted: &[Drive], started: &[Drive], index: usize) -> Option<usize> {
    let optical = |drives: &[Drive]| -> Vec<usize> {
        (0..drives.len()).filter(|at| matches!(drives[*at], Drive::Optical { .. })).collect()
    };
    let mut free = optical(started);
    let mut pairs = Vec::new();
    let mut left = Vec::new();
    for at in optical(wanted) {
        match free
            .iter()
            .position(|other| wanted[at].file().is_some() && started[*other] == wanted[at])
        {
            Some(place) => pairs.push((at, free.remove(place))),
            None => left.push(at),
        }
    }
    pairs.extend(left.into_iter().zip(free));
    pairs.into_iter().find(|(at, _)| *at == index).map(|(_, other)| other)
}

#[cfg(test)]
mod tests {
    use vmm_core::block::Format;

    use super::*;
    use crate::fake::definition;

    fn disk(file: &str) -> Drive {
        let (format, bus) = (Format::Qcow2, DiskBus::Virtio);
        Drive::Disk { file: file.into(), format, read_only: false, bus }
    }

    fn optical(file: Option<&str>) -> Drive {
        Drive::Optical { file: file.map(Into::into) }
    }

    #[test]
    fn what_is_started_from_first_stays_the_same_drive() {
        let mut machine = definition("a");
        machine.boot_first = Some(1);
        add(&mut machine, disk("b"));
        assert_eq!(machine.drives[1], disk("b"));
        assert_eq!(usual_bus(&machine), DiskBus::Virtio);
        assert_eq!(machine.boot_first, Some(2));
        swap(&mut machine, 1, 2);
        assert_eq!(machine.boot_first, Some(1));
        remove(&mut machine, 0, &disk("disk.qcow2"));
        assert_eq!((machine.boot_first, machine.drives.len()), (Some(0), 2));
        // Not what it was any more.
        remove(&mut machine, 0, &disk("disk.qcow2"));
        assert_eq!(machine.drives.len(), 2);
        remove(&mut machine, 0, &optical(None));
        assert_eq!(machine.boot_first, None);
        swap(&mut machine, 0, 7);
    }

    #[test]
    fn optical_drives_are_found_again_while_others_come_and_go() {
        let started = [disk("a"), optical(Some("/x.iso")), optical(None)];
        let find = |wanted: &[Drive], index| running_drive(wanted, &started, index);
        assert_eq!(find(&started, 1), Some(1));
        assert_eq!(find(&started, 2), Some(2));
        assert_eq!(find(&[optical(None), disk("a"), optical(Some("/x.iso"))], 0), Some(2));
        assert_eq!(find(&[optical(None), optical(Some("/x.iso"))], 1), Some(1));
        assert_eq!(find(&[optical(Some("/y.iso"))], 0), Some(1));
        // New since the start, or no optical drive.
        assert_eq!(find(&[optical(None), optical(None), optical(None)], 2), None);
        assert_eq!(find(&started, 0), None);
    }
}
