//! A watch over a program's main thread: it must never keep a person waiting.
//!
//! From outside: a question about the program's accessible root is answered by its main thread, in
//! turn with everything else that it does, so one question after the other tells how long the
//! longest of the things was. What the machine is to blame for is taken off: Linux counts for each
//! thread how long it was ready and no CPU was free (`/proc/PID/task/TID/schedstat`), here for the
//! threads that a question passes through, and for the machine as a whole what a hypervisor took
//! away. Time in which the main thread computes, sleeps, or waits for a disk, a lock or another
//! thread remains, and is the program's.
//!
//! Nothing in the program is made for this. A timer in the program would see the same stalls, but
//! could not tell its own from the machine's.

use std::fmt;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::accessible::Accessible;
use super::in_lab;
use super::session::{connect, process_of};

/// The longest that a person may be kept waiting.
const LIMIT: Duration = Duration::from_millis(100);

/// Between two questions.
const PAUSE: Duration = Duration::from_millis(15);

/// A time in which a program did not answer.
#[derive(Debug, Clone)]
pub struct Stall {
    /// How long, without what the machine is to blame for.
    pub duration: Duration,
    /// How long of that the main thread computed.
    pub computing: Duration,
    /// What the test was doing.
    pub during: String,
}

impl fmt::Display for Stall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { duration, computing, during } = self;
        let (all, some) = (duration.as_millis(), computing.as_millis());
        write!(f, "{all} ms, {some} of them computing, at “{during}”")
    }
}

/// The watch over one program.
#[derive(Debug)]
pub struct Watchdog {
    during: Arc<Mutex<String>>,
    over: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<Vec<Stall>>>,
}

impl Watchdog {
    /// Watches the main thread of process `id`, which is `program` on the bus at `address`.
    ///
    /// # Panics
    /// When the program cannot be watched.
    #[must_use]
    pub fn start(address: &str, program: &Accessible, id: u32) -> Self {
        let during = Arc::new(Mutex::new(String::from("start")));
        let over = Arc::new(AtomicBool::new(false));
        let bus = connect(address);
        let program = Accessible::new(&bus, program.owner(), program.path());
        let daemon = process_of(&bus, "org.freedesktop.DBus").expect("the bus's process");
        let thread = thread::Builder::new().name("watchdog".into()).spawn({
            let (during, over) = (during.clone(), over.clone());
            move || watch(&program, id, daemon, &during, &over)
        });
        Self { during, over, thread: Some(thread.expect("a thread")) }
    }

    /// Says what the test does from now on.
    pub fn during(&self, what: &str) {
        what.clone_into(&mut self.during.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Ends the watch and answers with every stall beyond the limit.
    ///
    /// # Panics
    /// When the watch broke off.
    #[must_use]
    pub fn stalls(mut self) -> Vec<Stall> {
        self.end().expect("it ends once")
    }

    fn end(&mut self) -> Option<Vec<Stall>> {
        self.over.store(true, Ordering::Relaxed);
        self.thread.take()?.join().ok()
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        // Nobody asks for the stalls any more.
        let _ = self.end();
    }
}

/// How much slower this machine is than a computer that a person would use.
fn slowness() -> u32 {
    if in_lab() { 30 } else { 1 }
}

fn watch(
    program: &Accessible,
    id: u32,
    daemon: u32,
    during: &Mutex<String>,
    over: &AtomicBool,
) -> Vec<Stall> {
    let mut path = vec![Thread { process: id, id }, Thread { process: daemon, id: daemon }];
    path.extend(bus_thread(id));
    path.extend(bus_thread(std::process::id()));
    let me = u32::try_from(rustix::thread::gettid().as_raw_nonzero().get()).expect("an id");
    path.push(Thread { process: std::process::id(), id: me });
    let mut stalls = Vec::new();
    while !over.load(Ordering::Relaxed) {
        let before = Account::read(&path);
        let start = Instant::now();
        let answered = program.role().is_ok();
        let time = start.elapsed();
        let after = Account::read(&path);
        if !answered {
            // It has ended, or does not want to talk any more because it is about to.
            break;
        }
        let duration = time.saturating_sub(after.kept_waiting.saturating_sub(before.kept_waiting));
        if duration > LIMIT * slowness() {
            stalls.push(Stall {
                duration,
                computing: after.computed.saturating_sub(before.computed),
                during: during.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            });
        }
        thread::sleep(PAUSE);
    }
    stalls
}

#[derive(Debug, Clone, Copy)]
struct Thread {
    process: u32,
    id: u32,
}

/// The thread of process `id` that talks to its buses, which GLib gives this name.
fn bus_thread(id: u32) -> Option<Thread> {
    fs::read_dir(format!("/proc/{id}/task")).ok()?.find_map(|task| {
        let task = task.ok()?;
        let name = fs::read_to_string(task.path().join("comm")).ok()?;
        let thread = task.file_name().to_str()?.parse().ok()?;
        (name.trim() == "gdbus").then_some(Thread { process: id, id: thread })
    })
}

/// What was counted so far.
struct Account {
    /// By the first thread.
    computed: Duration,
    /// All threads, for a CPU, and the machine's CPUs.
    kept_waiting: Duration,
}

impl Account {
    fn read(threads: &[Thread]) -> Self {
        let counts: Vec<_> = threads.iter().map(schedstat).collect();
        Self {
            computed: counts.first().map_or(Duration::ZERO, |count| count.0),
            kept_waiting: counts.iter().map(|count| count.1).sum::<Duration>() + stolen(),
        }
    }
}

/// How long a thread ran, and how long it was ready to but did not (Linux,
/// Documentation/scheduler/sched-stats.rst).
fn schedstat(thread: &Thread) -> (Duration, Duration) {
    let path = format!("/proc/{}/task/{}/schedstat", thread.process, thread.id);
    let text = fs::read_to_string(path).unwrap_or_default();
    let mut numbers = text.split_whitespace().map(|word| word.parse().unwrap_or_default());
    let mut next = || Duration::from_nanos(numbers.next().unwrap_or_default());
    (next(), next())
}

/// How long a hypervisor ran something else on this machine's CPUs: the eighth number of the line
/// "cpu" (proc(5)), in hundredths of a second.
fn stolen() -> Duration {
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    let line = text.lines().next().unwrap_or_default();
    let hundredths = line.split_whitespace().nth(8).and_then(|word| word.parse().ok());
    Duration::from_millis(hundredths.unwrap_or(0) * 10)
}
