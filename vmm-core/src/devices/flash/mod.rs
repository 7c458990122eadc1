//! CFI flash.
