//! Machine definitions on disk.
