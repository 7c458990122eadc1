//! AHCI.
