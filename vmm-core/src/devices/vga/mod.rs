//! Bochs-compatible VGA.
