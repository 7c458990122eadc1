//! ICH9 LPC bridge.
