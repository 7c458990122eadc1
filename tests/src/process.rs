//! A virtual machine monitor as a process, `berth` as a rule: started, talked to over the guest's
//! serial port, ended.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use regex::Regex;
use rustix::process::{Pid, Signal, kill_process};

use crate::{berth, output};

/// How long the process may go on after its own `--timeout`.
const GRACE: Duration = Duration::from_secs(60);

/// How much of a log a failure shows.
const TAIL: usize = 1500;

/// A `berth boot` to be started, with a folder for what it leaves.
#[derive(Debug)]
pub struct Berth {
    command: Command,
    folder: PathBuf,
    limit: Duration,
}

impl Berth {
    /// A run of the test called `name` that may take `limit`. Its folder gets `serial.log`,
    /// `messages.log`, `firmware.log` and, when it ends, `screen.png`.
    ///
    /// # Panics
    /// When the folder cannot be made.
    #[must_use]
    pub fn boot(name: &str, limit: Duration) -> Self {
        let berth = Self::boot_unlogged(name, limit);
        let log = berth.folder.join("firmware.log");
        berth.arg("--log").arg(log)
    }

    /// As [`Berth::boot`], without the firmware's log, which takes the firmware time to write.
    ///
    /// # Panics
    /// When the folder cannot be made.
    #[must_use]
    pub fn boot_unlogged(name: &str, limit: Duration) -> Self {
        let folder = output(name).expect("a folder for what the test leaves");
        let mut command = Command::new(berth());
        command.args(["boot", "--no-display", "--timeout", &limit.as_secs().to_string()]);
        // Only tests of the network have one; a later --net replaces this.
        command.args(["--net", "none"]);
        Self { command, folder, limit }
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.command.arg(argument);
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<A: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.command.args(arguments);
        self
    }

    /// Adds `--screenshot` for a file of this name in the test's folder.
    #[must_use]
    pub fn screenshot(self, name: &str) -> Self {
        let path = self.folder.join(name);
        self.arg("--screenshot").arg(path)
    }

    /// The folder for what the run leaves.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Starts it.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn start(self) -> Running {
        Running::start(self.command, &self.folder, self.limit)
    }

    /// Starts it and waits for its end.
    ///
    /// # Panics
    /// As [`Running::wait`].
    #[must_use]
    pub fn run(self) -> Ended {
        self.start().wait()
    }
}

/// A monitor at work. Killed when dropped.
#[derive(Debug)]
pub struct Running {
    child: Child,
    stdin: Option<ChildStdin>,
    serial: Log,
    messages: Log,
    readers: Vec<thread::JoinHandle<()>>,
    /// How much of the serial output earlier matches have used up.
    seen: usize,
    started: Instant,
    deadline: Instant,
}

impl Running {
    /// Starts `command`, which has the guest's serial port as its standard input and output.
    ///
    /// # Panics
    /// When it cannot be started.
    pub(crate) fn start(mut command: Command, folder: &Path, limit: Duration) -> Self {
        let started = Instant::now();
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", command.get_program().display()));
        let serial = Log::default();
        let messages = Log::default();
        let stdout = child.stdout.take().expect("stdout is piped");
        let stderr = child.stderr.take().expect("stderr is piped");
        let readers = vec![
            serial.fill(stdout, &folder.join("serial.log")),
            messages.fill(stderr, &folder.join("messages.log")),
        ];
        Self {
            stdin: child.stdin.take(),
            child,
            serial,
            messages,
            readers,
            seen: 0,
            started,
            deadline: started + limit + GRACE,
        }
    }

    /// The process's id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// How long ago it was started.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Waits for `pattern` in what the guest has written to its serial port since the last match;
    /// answers with the first group, or the whole match.
    ///
    /// # Panics
    /// When it does not come in time, or the process has ended.
    pub fn expect(&mut self, pattern: &str) -> String {
        let regex = Regex::new(pattern).expect("a regular expression");
        let (matched, end) = self.await_in(&self.serial.clone(), self.seen, &regex);
        self.seen = end;
        matched
    }

    /// Waits for `pattern` in what the program itself says.
    ///
    /// # Panics
    /// When it does not come in time, or the process has ended.
    pub fn expect_message(&mut self, pattern: &str) {
        let regex = Regex::new(pattern).expect("a regular expression");
        self.await_in(&self.messages.clone(), 0, &regex);
    }

    /// Types on the serial port.
    ///
    /// # Panics
    /// When the process has ended.
    pub fn send(&mut self, text: &str) {
        let stdin = self.stdin.as_mut().expect("standard input is open");
        stdin.write_all(text.as_bytes()).expect("the process reads its input");
    }

    /// Closes standard input.
    pub fn close_input(&mut self) {
        self.stdin = None;
    }

    /// Ends the process as a crash of the host would.
    ///
    /// # Panics
    /// When it has ended already.
    pub fn kill(&mut self) {
        self.child.kill().expect("the process is there to be killed");
    }

    /// Sends a signal.
    ///
    /// # Panics
    /// When it has ended already.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).expect("a process id"));
        kill_process(pid.expect("a process id"), signal)
            .expect("the process is there to be signalled");
    }

    /// Waits for the end.
    ///
    /// # Panics
    /// When it does not come in time.
    #[must_use]
    pub fn wait(mut self) -> Ended {
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("the process is our child") {
                break status;
            }
            assert!(Instant::now() < self.deadline, "the process does not end\n{}", self.report());
            thread::sleep(Duration::from_millis(20));
        };
        for reader in self.readers.drain(..) {
            reader.join().expect("reading does not fail");
        }
        Ended {
            status,
            serial: self.serial.text(),
            messages: self.messages.text(),
            elapsed: self.started.elapsed(),
        }
    }

    fn await_in(&mut self, log: &Log, from: usize, regex: &Regex) -> (String, usize) {
        let mut content = log.lock();
        loop {
            let text = String::from_utf8_lossy(&content.bytes[from..]).into_owned();
            if let Some(found) = regex.captures(&text) {
                let whole = found.get(0).map_or(0, |all| all.end());
                let matched = found.get(1).or(found.get(0)).map_or("", |part| part.as_str());
                // Offsets in the text are those in the bytes: guests here write UTF-8.
                return (matched.to_owned(), from + whole);
            }
            let left = self.deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || content.ended {
                let why = if content.ended { "the process ended" } else { "time is out" };
                drop(content);
                panic!("{why}; waited for “{regex}”\n{}", self.report());
            }
            content = log.wait(content, left);
        }
    }

    fn report(&self) -> String {
        report(&self.serial.text(), &self.messages.text())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Nothing to end when it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A process that has ended.
#[derive(Debug)]
pub struct Ended {
    /// How.
    pub status: ExitStatus,
    /// What the guest wrote to its serial port.
    pub serial: String,
    /// What the program itself said.
    pub messages: String,
    /// From start to end.
    pub elapsed: Duration,
}

impl Ended {
    /// Checks the exit status.
    ///
    /// # Panics
    /// When it is another.
    pub fn expect_status(self, status: i32) -> Self {
        assert!(
            self.status.code() == Some(status),
            "exit status {:?}, signal {:?}, not {status}\n{}",
            self.status.code(),
            self.status.signal(),
            report(&self.serial, &self.messages)
        );
        self
    }

    /// Checks that everything went as the script says: status 0 and not a word.
    ///
    /// # Panics
    /// When it did not.
    pub fn expect_success(self) -> Self {
        let ended = self.expect_status(0);
        assert!(ended.messages.is_empty(), "{}", report(&ended.serial, &ended.messages));
        ended
    }
}

fn report(serial: &str, messages: &str) -> String {
    let mut begin = serial.len().saturating_sub(TAIL);
    while !serial.is_char_boundary(begin) {
        begin += 1;
    }
    format!(
        "--- the process said\n{messages}\n--- the end of the serial output\n{}",
        &serial[begin..]
    )
}

/// What a process writes, as it comes.
#[derive(Debug, Clone, Default)]
struct Log(Arc<(Mutex<Content>, Condvar)>);

#[derive(Debug, Default)]
struct Content {
    bytes: Vec<u8>,
    ended: bool,
}

impl Log {
    fn fill(&self, mut from: impl Read + Send + 'static, path: &Path) -> thread::JoinHandle<()> {
        let log = self.clone();
        let mut file = File::create(path).expect("a log file");
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = from.read(&mut buffer) {
                file.write_all(&buffer[..length]).expect("the log can be written");
                log.lock().bytes.extend_from_slice(&buffer[..length]);
                log.0.1.notify_all();
            }
            log.lock().ended = true;
            log.0.1.notify_all();
        })
    }

    fn lock(&self) -> MutexGuard<'_, Content> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(
        &self,
        content: MutexGuard<'a, Content>,
        time: Duration,
    ) -> MutexGuard<'a, Content> {
        self.0.1.wait_timeout(content, time).unwrap_or_else(PoisonError::into_inner).0
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.lock().bytes).into_owned()
    }
}
