//! The register block behind BAR 5, ABAR: offsets and bits (AHCI 1.3.1 §3).

/// Number of ports of an ICH9 in AHCI mode.
pub const PORTS: usize = 6;
/// Command slots of each port.
pub(super) const SLOTS: usize = 32;

/// Generic host control (§3.1).
pub(super) mod ghc {
    /// HBA capabilities.
    pub(in super::super) const CAP: u64 = 0x00;
    /// Global HBA control.
    pub(in super::super) const GHC: u64 = 0x04;
    /// Interrupt status, one bit a port; writing a one clears it.
    pub(in super::super) const IS: u64 = 0x08;
    /// Ports implemented.
    pub(in super::super) const PI: u64 = 0x0c;
    /// AHCI version.
    pub(in super::super) const VS: u64 = 0x10;

    /// GHC: reset the HBA.
    pub(in super::super) const HR: u32 = 1 << 0;
    /// GHC: interrupts enabled.
    pub(in super::super) const IE: u32 = 1 << 1;
    /// GHC: AHCI enabled; reads as one since there is no other mode (CAP.SAM).
    pub(in super::super) const AE: u32 = 1 << 31;

    /// AHCI 1.3.1.
    pub(in super::super) const VERSION: u32 = 0x0001_0301;

    /// What this HBA can do (§3.1.1): 64-bit addresses (31), native command queuing (30),
    /// command list override (24), 3 Gbit/s (23:20), AHCI only (18), PIO of several DRQ blocks
    /// (15), 32 slots (12:8), 6 ports (4:0). Neither staggered spin-up nor port multipliers nor
    /// link power management.
    pub(in super::super) const CAPABILITIES: u32 =
        1 << 31 | 1 << 30 | 1 << 24 | 2 << 20 | 1 << 18 | 1 << 15 | 31 << 8 | 5;
}

/// The registers of one port (§3.3), relative to its block.
pub(super) mod px {
    /// Where the first port's block is.
    pub(in super::super) const BASE: u64 = 0x100;
    /// Length of a port's block.
    pub(in super::super) const LEN: u64 = 0x80;

    /// Command list base, low and high half.
    pub(in super::super) const CLB: u64 = 0x00;
    pub(in super::super) const CLBU: u64 = 0x04;
    /// Received-FIS area base, low and high half.
    pub(in super::super) const FB: u64 = 0x08;
    pub(in super::super) const FBU: u64 = 0x0c;
    /// Interrupt status and enable.
    pub(in super::super) const IS: u64 = 0x10;
    pub(in super::super) const IE: u64 = 0x14;
    /// Command and status.
    pub(in super::super) const CMD: u64 = 0x18;
    /// Task file data: status in bits 7:0, error in bits 15:8.
    pub(in super::super) const TFD: u64 = 0x20;
    /// Signature.
    pub(in super::super) const SIG: u64 = 0x24;
    /// SATA status, control, error and active.
    pub(in super::super) const SSTS: u64 = 0x28;
    pub(in super::super) const SCTL: u64 = 0x2c;
    pub(in super::super) const SERR: u64 = 0x30;
    pub(in super::super) const SACT: u64 = 0x34;
    /// Command issue.
    pub(in super::super) const CI: u64 = 0x38;
}

/// PxIS and PxIE (§3.3.5, §3.3.6).
pub(super) mod irq {
    /// A D2H register FIS with its interrupt bit arrived.
    pub(in super::super) const DHRS: u32 = 1 << 0;
    /// A PIO setup FIS with its interrupt bit arrived.
    pub(in super::super) const PSS: u32 = 1 << 1;
    /// A set device bits FIS with its interrupt bit arrived.
    pub(in super::super) const SDBS: u32 = 1 << 3;
    /// A PRD entry with its interrupt bit was transferred.
    pub(in super::super) const DPS: u32 = 1 << 5;
    /// The port's connection changed: follows PxSERR.DIAG.X.
    pub(in super::super) const PCS: u32 = 1 << 6;
    /// The PHY became ready or lost it: follows PxSERR.DIAG.N.
    pub(in super::super) const PRCS: u32 = 1 << 22;
    /// The device sent more than the PRD table describes.
    pub(in super::super) const OFS: u32 = 1 << 24;
    /// Fatal interface error.
    pub(in super::super) const IFS: u32 = 1 << 27;
    /// Fatal host bus error: a bad address.
    pub(in super::super) const HBFS: u32 = 1 << 29;
    /// The task file says error.
    pub(in super::super) const TFES: u32 = 1 << 30;

    /// Bits that are enabled one by one in PxIE.
    pub(in super::super) const ALL: u32 = 0xfdc0_00ff;
    /// Bits that only clear with what they follow.
    pub(in super::super) const FOLLOWERS: u32 = PCS | PRCS | 1 << 4;
}

/// PxCMD (§3.3.7).
pub(super) mod cmd {
    /// Start: process the command list.
    pub(in super::super) const ST: u32 = 1 << 0;
    /// Spin up device and power on device: one, as neither can be switched.
    pub(in super::super) const SUD_POD: u32 = 3 << 1;
    /// Command list override: clear BSY and DRQ.
    pub(in super::super) const CLO: u32 = 1 << 3;
    /// FIS receive enable.
    pub(in super::super) const FRE: u32 = 1 << 4;
    /// Shift of the current command slot.
    pub(in super::super) const CCS_SHIFT: u32 = 8;
    /// FIS receive running.
    pub(in super::super) const FR: u32 = 1 << 14;
    /// Command list running.
    pub(in super::super) const CR: u32 = 1 << 15;
    /// The device is ATAPI; drive the LED for it. Both for software to keep.
    pub(in super::super) const ATAPI_DLAE: u32 = 3 << 24;
    /// What software may change and reads back.
    pub(in super::super) const WRITABLE: u32 = ST | FRE | ATAPI_DLAE;
}

/// PxSERR (§3.3.12).
pub(super) mod serr {
    /// Protocol violation.
    pub(in super::super) const PROTOCOL: u32 = 1 << 10;
    /// Internal error, such as a bad address.
    pub(in super::super) const INTERNAL: u32 = 1 << 11;
    /// The PHY's readiness changed.
    pub(in super::super) const PHY_READY: u32 = 1 << 16;
    /// A device was found.
    pub(in super::super) const EXCHANGED: u32 = 1 << 26;
    /// Bits that exist.
    pub(in super::super) const ALL: u32 = 0x07ff_0f03;
}

/// PxSSTS (§3.3.10) in the states a link can be in.
pub(super) mod ssts {
    /// Nothing there, or COMRESET held.
    pub(in super::super) const NONE: u32 = 0x000;
    /// A device is there, the link is not up.
    pub(in super::super) const PRESENT: u32 = 0x001;
    /// Disabled through PxSCTL.
    pub(in super::super) const OFFLINE: u32 = 0x004;
    /// Link up (DET 3) at 3 Gbit/s (SPD 2), active (IPM 1).
    pub(in super::super) const UP: u32 = 0x123;
}

/// PxSCTL (§3.3.11).
pub(super) mod sctl {
    /// Device detection: what to do with the link.
    pub(in super::super) const DET: u32 = 0xf;
    /// Hold COMRESET.
    pub(in super::super) const DET_COMRESET: u32 = 1;
    /// Disable the link.
    pub(in super::super) const DET_OFFLINE: u32 = 4;
    /// What software may change.
    pub(in super::super) const WRITABLE: u32 = 0xfff;
}

/// PxSIG before a device has sent its signature, and PxTFD's status likewise (§3.3.8, §3.3.9).
pub(super) const NO_SIGNATURE: u32 = 0xffff_ffff;
pub(super) const NO_DEVICE_STATUS: u8 = 0x7f;
