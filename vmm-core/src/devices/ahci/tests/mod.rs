//! The controller as drivers use it: a small driver in [`rig`], and tests by subject.

mod controller;
mod disk;
mod hostile;
mod optical;
mod resets;
mod rig;
mod threads;
