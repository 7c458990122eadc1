//! fw_cfg.
