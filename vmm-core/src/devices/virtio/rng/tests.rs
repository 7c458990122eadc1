//! The entropy source and its driver.

use vm_memory::{Bytes, GuestAddress};

use super::Entropy;
use crate::devices::virtio::tests::conformance::{self, Subject};
use crate::devices::virtio::tests::hostile;
use crate::devices::virtio::tests::rig::{DATA, INDIRECT, Rig, WRITE};

fn ask(rig: &Rig<Entropy>) {
    rig.ram.write_slice(&[0; 600], GuestAddress(DATA)).unwrap();
    assert_eq!(rig.exchange(0, &[(DATA, 300, WRITE), (DATA + 300, 200, WRITE)]), 500);
    let mut data = [0; 600];
    rig.ram.read_slice(&mut data, GuestAddress(DATA)).unwrap();
    // Eight zero bytes in a row come by chance once in 10¹⁷ times.
    assert!(data[..500].chunks_exact(20).all(|part| part.iter().any(|byte| *byte != 0)));
    assert_eq!(data[500..], [0; 100]);
}

const SUBJECT: Subject<Entropy> = Subject { make: |_| Entropy, works: ask, eager: &[0] };

#[test]
fn it_conforms() {
    conformance::check(&SUBJECT);
}

#[test]
fn requests_are_bounded() {
    let rig = Rig::hot(Entropy);
    let len = rig.exchange(0, &[(DATA, 4 << 20, WRITE)]);
    assert_eq!(len, 64 << 10);
    // Nothing to write to, and through a table.
    assert_eq!(rig.exchange(0, &[(DATA, 100, 0)]), 0);
    rig.write_descriptor(DATA, 0, (DATA + 64, 100, WRITE), 0);
    assert_eq!(rig.exchange(0, &[(DATA, 16, INDIRECT)]), 100);
}

#[test]
fn hostile_drivers() {
    hostile::check(&SUBJECT);
}
