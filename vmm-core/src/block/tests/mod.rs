//! Tests of whole disks.
