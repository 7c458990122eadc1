//! A watch over a program's main thread: it must never keep a person waiting.
//!
//! From outside: a question about the program's accessible root is answered by its main thread, in
//! turn with everything else that it does, so one question after the other tells how long the
//! longest of the things was. What the machine is to blame for is taken off:
//!
//! - what the same question takes that is asked at the same time of a process that has nothing to
//!   do, the registry of the accessibility bus: the way there and back, by the same bus;
//! - how long the main thread, and the one that talks to the bus, were ready to run and no CPU was
//!   free, which Linux counts (`/proc/PID/task/TID/schedstat`), and the most that another of the
//!   program's threads or the X server was: the main thread may wait for it, because it holds a
//!   lock, say;
//! - page faults that had to read from disk, such as the first use of a part of a library;
//! - how long a hypervisor ran something else on this machine's CPUs (`/proc/stat`).
//!
//! Where all this comes to more than half of what is tolerated, the machine was too busy to tell.
//!
//! Time in which the main thread computes, sleeps, or waits for a disk, a lock, a thread or another
//! process remains, and is the program's.
//!
//! Nothing in the program is made for this. A timer in the program would see the same stalls, but
//! could not tell its own from the machine's.

use std::collections::HashMap;
use std::fmt;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use futures_lite::future;
use gio::glib::MainContext;

use super::accessible::Accessible;
use super::session::{REGISTRY, ROOT, connect};
use super::{Desktop, in_lab};

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
    /// What the kernel was doing for the main thread whenever it was looked at: functions, as often
    /// as they were seen.
    pub waiting_in: Vec<String>,
    /// What the test was doing.
    pub during: String,
}

impl fmt::Display for Stall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { duration, computing, during, waiting_in } = self;
        let (all, some) = (duration.as_millis(), computing.as_millis());
        write!(f, "{all} ms, {some} of them computing, at “{during}”, in {waiting_in:?}")
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
    /// Watches the main thread of process `id`, which is `program` on the accessibility bus of
    /// `desktop`.
    ///
    /// # Panics
    /// When the program cannot be watched.
    #[must_use]
    pub fn start(desktop: &Desktop, program: &Accessible, id: u32) -> Self {
        let during = Arc::new(Mutex::new(String::from("start")));
        let over = Arc::new(AtomicBool::new(false));
        let bus = connect(desktop.accessibility_address());
        let program = Accessible::new(&bus, program.owner(), program.path());
        let registry = Accessible::new(&bus, REGISTRY, ROOT);
        let server = desktop.x_server();
        let thread = thread::Builder::new().name("watchdog".into()).spawn({
            let (during, over) = (during.clone(), over.clone());
            move || watch([&program, &registry], id, server, &during, &over)
        });
        Self { during, over, thread: Some(thread.expect("a thread")) }
    }

    /// Says what the test does from now on.
    pub fn during(&self, what: &str) {
        what.clone_into(&mut lock(&self.during));
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
    asked: [&Accessible; 2],
    id: u32,
    server: u32,
    during: &Mutex<String>,
    over: &AtomicBool,
) -> Vec<Stall> {
    let question = Arc::new(Mutex::new(Question::default()));
    let _witness = Witness::start(id, &question);
    let bus = bus_thread(id);
    let context = MainContext::new();
    let mut stalls = Vec::new();
    while !over.load(Ordering::Relaxed) {
        let before = Account::read(id, bus, server);
        lock(&question).since = Some(Instant::now());
        let answers = context.with_thread_default(|| context.block_on(ask(asked)));
        let waiting_in = lock(&question).answered();
        let after = Account::read(id, bus, server);
        let Ok((Some(time), Some(reference))) = answers else {
            // It has ended, or does not want to talk any more because it is about to.
            break;
        };
        let limit = LIMIT * slowness();
        let excuse = reference + after.excuse_since(&before);
        let duration = time.saturating_sub(excuse);
        if duration > limit && excuse < limit / 2 && after.faults == before.faults {
            stalls.push(Stall {
                duration,
                computing: after.main.ran.saturating_sub(before.main.ran),
                waiting_in,
                during: lock(during).clone(),
            });
        }
        thread::sleep(PAUSE);
    }
    stalls
}

/// How long each takes to answer, asked at once; nothing when one does not.
async fn ask([program, registry]: [&Accessible; 2]) -> (Option<Duration>, Option<Duration>) {
    let start = Instant::now();
    let answer = async |object: &Accessible| {
        let answered = object.is_there().await;
        answered.then(|| start.elapsed())
    };
    future::zip(answer(program), answer(registry)).await
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A question that may be open.
#[derive(Debug, Default)]
struct Question {
    since: Option<Instant>,
    seen: Vec<String>,
}

impl Question {
    fn answered(&mut self) -> Vec<String> {
        self.since = None;
        std::mem::take(&mut self.seen)
    }
}

/// Looks at what the kernel does for a main thread while a question to it is open for long.
struct Witness {
    over: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Witness {
    fn start(id: u32, asked: &Arc<Mutex<Question>>) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let (done, asked) = (over.clone(), asked.clone());
        let thread = thread::spawn(move || {
            while !done.load(Ordering::Relaxed) {
                thread::sleep(PAUSE);
                let mut question = lock(&asked);
                if question.since.is_some_and(|since| since.elapsed() > LIMIT / 3) {
                    let name = fs::read_to_string(format!("/proc/{id}/wchan"));
                    let name = name.ok().filter(|name| name != "0");
                    question.seen.push(name.unwrap_or_else(|| "no wait".into()));
                }
            }
        });
        Self { over, thread: Some(thread) }
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It only looks.
            let _ = thread.join();
        }
    }
}

/// What was counted so far.
struct Account {
    main: Count,
    bus: Count,
    /// The program's other threads, and the X server, by their ids.
    others: HashMap<u32, Count>,
    stolen: Duration,
    /// Of the main thread, those that read from disk.
    faults: Option<u64>,
}

impl Account {
    /// Of process `id`, whose thread `bus` talks to its buses, and of the X server.
    fn read(id: u32, bus: Option<u32>, server: u32) -> Self {
        let tasks = fs::read_dir(format!("/proc/{id}/task")).into_iter().flatten().flatten();
        let ids = tasks.filter_map(|task| task.file_name().to_str()?.parse().ok());
        let mut others: HashMap<u32, Count> =
            ids.map(|thread| (thread, Count::read(id, thread))).collect();
        let main = others.remove(&id).unwrap_or_default();
        let bus = bus.and_then(|thread| others.remove(&thread)).unwrap_or_default();
        others.insert(server, Count::read(server, server));
        Self { main, bus, others, stolen: stolen(), faults: major_faults(id) }
    }

    /// What the machine is to blame for since `before`.
    fn excuse_since(&self, before: &Self) -> Duration {
        let since = |now: &Count, then: Option<&Count>| {
            now.waited.saturating_sub(then.copied().unwrap_or_default().waited)
        };
        let others = self.others.iter().map(|(id, count)| since(count, before.others.get(id)));
        since(&self.main, Some(&before.main))
            + since(&self.bus, Some(&before.bus))
            + others.max().unwrap_or_default()
            + self.stolen.saturating_sub(before.stolen)
    }
}

/// How long a thread ran, and how long it was ready to but did not (Linux,
/// Documentation/scheduler/sched-stats.rst).
#[derive(Debug, Clone, Copy, Default)]
struct Count {
    ran: Duration,
    waited: Duration,
}

impl Count {
    fn read(process: u32, thread: u32) -> Self {
        let path = format!("/proc/{process}/task/{thread}/schedstat");
        let text = fs::read_to_string(path).unwrap_or_default();
        let mut numbers = text.split_whitespace().map(|word| word.parse().unwrap_or_default());
        let mut next = || Duration::from_nanos(numbers.next().unwrap_or_default());
        Self { ran: next(), waited: next() }
    }
}

/// The thread of process `id` that talks to its buses, which GLib gives this name.
fn bus_thread(id: u32) -> Option<u32> {
    fs::read_dir(format!("/proc/{id}/task")).ok()?.flatten().find_map(|task| {
        let name = fs::read_to_string(task.path().join("comm")).ok()?;
        let thread = task.file_name().to_str()?.parse().ok()?;
        (name.trim() == "gdbus").then_some(thread)
    })
}

/// How many pages the main thread of process `id` needed that had to be read from disk: number 12
/// of proc(5)'s `stat`, where the second is a name in parentheses.
fn major_faults(id: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{id}/task/{id}/stat")).ok()?;
    let (_, rest) = text.rsplit_once(')')?;
    rest.split_whitespace().nth(9)?.parse().ok()
}

/// How long a hypervisor kept this machine's CPUs for something else: the eighth number of the line
/// "cpu" (proc(5)), in hundredths of a second.
fn stolen() -> Duration {
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    let line = text.lines().next().unwrap_or_default();
    let hundredths = line.split_whitespace().nth(8).and_then(|word| word.parse().ok());
    Duration::from_millis(hundredths.unwrap_or(0) * 10)
}
