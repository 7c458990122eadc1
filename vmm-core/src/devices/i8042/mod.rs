//! Keyboard controller.
