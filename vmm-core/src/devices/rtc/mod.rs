//! RTC.
