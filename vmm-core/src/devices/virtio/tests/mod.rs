//! Tests of the transport and of all devices: a driver (`rig`), and what every device passes
//! (`conformance`).

pub(super) mod conformance;
pub(super) mod hostile;
pub(super) mod rig;
mod transport;
