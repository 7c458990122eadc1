//! What processes take of processors.

use std::fs;
use std::time::Duration;

/// Fields of `/proc/PID/stat` after the name, from 0: time in user mode, in the kernel, and in
/// guests, which is part of the first, in ticks (proc_pid_stat(5)).
const USER: usize = 11;
const KERNEL: usize = 12;
const GUEST: usize = 40;

/// Processor time of process `id`, its guest's included.
///
/// # Panics
/// When it has ended.
#[must_use]
pub fn whole_time(id: u32) -> Duration {
    let [user, kernel, _] = times(id);
    user + kernel
}

/// Processor time of process `id` on its own account: without that of its guest.
///
/// # Panics
/// When it has ended.
#[must_use]
pub fn host_time(id: u32) -> Duration {
    let [user, kernel, guest] = times(id);
    (user + kernel).saturating_sub(guest)
}

/// Processor time of those threads of process `id` that run no vCPU, here or in the peer, to the
/// nanosecond: those that live now.
///
/// # Panics
/// When it has ended.
#[must_use]
pub fn time_beside_vcpus(id: u32) -> Duration {
    let tasks = fs::read_dir(format!("/proc/{id}/task")).expect("a process that runs");
    let time = |task: fs::DirEntry| {
        let name = fs::read_to_string(task.path().join("comm")).ok()?;
        let statistics = fs::read_to_string(task.path().join("schedstat")).ok()?;
        let runs_a_guest = name.starts_with("vcpu") || name.starts_with("CPU ");
        let time = statistics.split(' ').next()?.parse().ok()?;
        (!runs_a_guest).then_some(Duration::from_nanos(time))
    };
    tasks.flatten().filter_map(time).sum()
}

/// How often threads of process `id` have gone to sleep, and so been woken, since it began: those
/// that live now.
///
/// # Panics
/// When it has ended.
#[must_use]
pub fn sleeps(id: u32) -> u64 {
    let tasks = fs::read_dir(format!("/proc/{id}/task")).expect("a process that runs");
    let sleeps = |task: fs::DirEntry| {
        let text = fs::read_to_string(task.path().join("status")).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
        line.trim().parse::<u64>().ok()
    };
    tasks.flatten().filter_map(sleeps).sum()
}

fn times(id: u32) -> [Duration; 3] {
    let text = fs::read_to_string(format!("/proc/{id}/stat")).expect("a process that runs");
    let (_, fields) = text.rsplit_once(')').expect("a name in parentheses");
    let fields: Vec<_> = fields.split_whitespace().collect();
    [USER, KERNEL, GUEST].map(|field| {
        let ticks: u64 = fields[field].parse().expect("a number of ticks");
        Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
    })
}
