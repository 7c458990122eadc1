//! User-mode networking through [passt](https://passt.top): a process of its own for each machine,
//! without any privileges, that speaks to the host's sockets on behalf of the guest. It answers
//! DHCP, DHCPv6 and router solicitations with the host's own addresses.
//!
//! passt is started when the guest first has a driver for its card, puts itself into a sandbox, and
//! ends when the cable is dropped. When it ends by itself it is started again, with longer and
//! longer breaks when that happens often. The thread that starts it lives only that long.
//!
//! Frames go over a stream, though passt speaks vhost-user, too. With that, the guest's memory is a
//! file that passt maps: the process that reads what the network sends could read and write all of
//! the guest, nobody could count what goes through, and most systems give such a file no huge pages,
//! which slows down all that the guest does, not its network alone (see `memory/ram.rs`).

mod launch;

use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use vmm_sys_util::eventfd::EventFd;

use self::launch::{LaunchError, launch};
use super::{Cable, NetBackend, Offloads, PortForward};
use crate::{text, thread};

/// A passt that has run this long may end without being taken for broken.
const STABLE: Duration = Duration::from_secs(60);
/// The longest break before it is started again.
const LONGEST_BREAK: Duration = Duration::from_secs(60);

/// Hears, in a sentence, of what the user should know.
type Warn = Arc<dyn Fn(String) + Send + Sync>;

/// What passt is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PasstOptions {
    /// The program; without a slash it is looked for in `PATH`.
    pub program: PathBuf,
    /// Ports of the host that lead into the guest.
    pub forwards: Vec<PortForward>,
    /// Whether what the guest sends to its gateway's address gets to the host's loopback address,
    /// where many programs listen that trust whoever gets there.
    pub reach_host: bool,
}

impl Default for PasstOptions {
    /// The installed program, no forwards, no way to the host's loopback address.
    fn default() -> Self {
        Self { program: "passt".into(), forwards: Vec::new(), reach_host: false }
    }
}

/// passt at the other end of a cable.
pub struct Passt {
    shared: Arc<Shared>,
    starter: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    options: PasstOptions,
    warn: Warn,
    /// Readable when everything is to end.
    stop: EventFd,
    progress: Mutex<Progress>,
}

#[derive(Default)]
struct Progress {
    /// Whether a thread is at it.
    starting: bool,
    /// Starts since it last was stable, and when the latest was.
    starts: u32,
    latest: Option<Instant>,
    /// What was told already, since it last was stable.
    told: Vec<String>,
}

impl Progress {
    /// How long to wait before the next start, which is taken note of.
    fn next_start(&mut self, now: Instant) -> Duration {
        if self.latest.is_some_and(|latest| now.duration_since(latest) >= STABLE) {
            (self.starts, self.told) = (0, Vec::new());
        }
        let wait = match self.starts {
            0 => Duration::ZERO,
            starts => Duration::from_secs(1 << (starts - 1).min(10)).min(LONGEST_BREAK),
        };
        self.starts += 1;
        self.latest = Some(now + wait);
        wait
    }
}

impl Passt {
    /// A passt that starts when it is needed. `warn` is called on any thread.
    ///
    /// # Errors
    /// When the system refuses a descriptor.
    pub fn new(
        options: PasstOptions,
        warn: impl Fn(String) + Send + Sync + 'static,
    ) -> std::io::Result<Self> {
        let shared = Shared {
            options,
            warn: Arc::new(warn),
            stop: EventFd::new(libc::EFD_NONBLOCK | libc::EFD_CLOEXEC)?,
            progress: Mutex::default(),
        };
        Ok(Self { shared: Arc::new(shared), starter: Mutex::default() })
    }
}

impl NetBackend for Passt {
    fn connect(&self, cable: &Arc<Cable>, _: Offloads) {
        let mut starter = self.starter.lock();
        {
            let mut progress = self.shared.progress.lock();
            if std::mem::replace(&mut progress.starting, true) {
                return;
            }
        }
        if let Some(last) = starter.take() {
            // It has done its work. A panic was reported.
            let _ = last.join();
        }
        if cable.is_connected() {
            // By the thread that has ended just now: another passt would want the same ports.
            self.shared.progress.lock().starting = false;
            return;
        }
        let (shared, plugged) = (self.shared.clone(), cable.clone());
        let warn = self.shared.warn.clone();
        let on_panic = move |message| {
            warn(text!("The machine's network failed: {reason}.", reason = message));
        };
        match thread::spawn("passt-start", move || shared.start(&plugged), on_panic) {
            Ok(handle) => *starter = Some(handle),
            Err(error) => {
                self.shared.progress.lock().starting = false;
                cable.unplug();
                self.shared.tell(no_network(&error));
            }
        }
    }
}

impl Drop for Passt {
    fn drop(&mut self) {
        // Fails only when the counter is at its end, and then it is rung anyway.
        let _ = self.shared.stop.write(1);
        if let Some(starter) = self.starter.get_mut().take() {
            // A panic was reported.
            let _ = starter.join();
        }
    }
}

impl Shared {
    /// Starts passt and plugs it in. Gives up when it is not installed.
    fn start(&self, cable: &Cable) {
        loop {
            let (wait, again) = {
                let mut progress = self.progress.lock();
                let wait = progress.next_start(Instant::now());
                (wait, progress.starts > 1)
            };
            if again && !wait.is_zero() {
                // The guest is to know for as long as there is nothing at the other end.
                cable.unplug();
            }
            if self.stopped_within(wait) {
                return;
            }
            let problem = match launch(&self.options, &self.stop) {
                Ok(stream) => {
                    // From here on it may break, and the card ask again.
                    self.progress.lock().starting = false;
                    if let Err(error) = cable.plug(stream) {
                        cable.unplug();
                        self.tell(no_network(&error));
                    }
                    return;
                }
                Err(LaunchError::Stopped) => return,
                Err(LaunchError::Missing) => {
                    cable.unplug();
                    {
                        // Until the guest starts its driver again, which may be soon.
                        let mut progress = self.progress.lock();
                        (progress.starting, progress.starts) = (false, 0);
                    }
                    self.tell(text!(
                        "The machine has no network, as passt is not there. Install the package \
                         “passt”, then restart the machine."
                    ));
                    return;
                }
                Err(error) => error,
            };
            cable.unplug();
            self.tell(text!(
                "The machine has no network: {reason}. Berth keeps trying.",
                reason = problem
            ));
        }
    }

    /// Tells the user, once.
    fn tell(&self, text: String) {
        {
            let told = &mut self.progress.lock().told;
            if told.contains(&text) {
                return;
            }
            told.push(text.clone());
        }
        (self.warn)(text);
    }

    /// Waits. `true` when everything ends before.
    fn stopped_within(&self, wait: Duration) -> bool {
        use std::os::fd::{AsRawFd, BorrowedFd};
        // SAFETY: the event stays open as long as `self`.
        let stop = unsafe { BorrowedFd::borrow_raw(self.stop.as_raw_fd()) };
        let timeout = Timespec {
            tv_sec: i64::try_from(wait.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: wait.subsec_nanos().into(),
        };
        let mut fds = [PollFd::from_borrowed_fd(stop, PollFlags::IN)];
        // No signal is handled on this thread; one would only start again too early.
        poll(&mut fds, Some(&timeout)).is_ok_and(|ready| ready > 0)
    }
}

fn no_network(error: &std::io::Error) -> String {
    text!("The machine has no network: {reason}.", reason = error)
}

#[cfg(test)]
mod tests;
