//! What processes take of processors.

use std::fs;
use std::time::Duration;

/// Fields of `/proc/PID/stat` after the name, from 0: time in user mode, in the kernel, and in
/// guests, which is part of the first, in ticks (proc_pid_stat(5)).
const USER: usize = 11;
const KERNEL: usize = 12;
const GUEST: usize = 40;

/// Processor time of process `id` on its own account: without that of its guest.
///
/// # Panics
/// When it has ended.
#[must_use]
pub fn host_time(id: u32) -> Duration {
    let text = fs::read_to_string(format!("/proc/{id}/stat")).expect("a process that runs");
    let (_, fields) = text.rsplit_once(')').expect("a name in parentheses");
    let fields: Vec<_> = fields.split_whitespace().collect();
    let ticks = |field: usize| fields[field].parse::<u64>().expect("a number of ticks");
    let ticks = (ticks(USER) + ticks(KERNEL)).saturating_sub(ticks(GUEST));
    Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
}
