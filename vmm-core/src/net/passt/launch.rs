//! Starting one passt process.

use std::io::{self, ErrorKind, Read};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{FdFlags, fcntl_setfd};
use thiserror::Error;
use vmm_sys_util::eventfd::EventFd;

use super::PasstOptions;
use crate::net::Protocol;
use crate::text;

/// How long passt may take to get ready.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long it may take to end after it has closed its standard error.
const LAST_MOMENT: Duration = Duration::from_secs(2);
/// Most of its messages that are read.
const MESSAGES: usize = 16 << 10;
/// Most of a message that is passed on, in characters.
const MESSAGE: usize = 300;
/// Where guests that cannot reach the host's loopback address ask for names: a link-local address
/// (RFC 3927) that passt answers for. The host's own resolver may listen on its loopback address
/// alone.
const RESOLVER: &str = "169.254.1.1";

/// Between these, a descriptor of the process is one that a new process would get as well: two
/// machines that start at once must not get each other's.
static SPAWNING: Mutex<()> = Mutex::new(());

/// Why passt does not run.
#[derive(Debug, Error)]
pub(super) enum LaunchError {
    /// It is not installed.
    #[error("{}", text!("passt is not installed"))]
    Missing,
    /// It ended, and said this.
    #[error("{}", text!("passt cannot start ({reason})", reason = .0))]
    Refused(String),
    /// It is not ready in time.
    #[error("{}", text!("passt does not get ready"))]
    Late,
    /// The system refused something.
    #[error("{}", text!("passt cannot be started: {reason}", reason = .0))]
    Io(#[from] io::Error),
    /// Nobody wants it any more.
    #[error("{}", text!("passt is not needed any more"))]
    Stopped,
}

/// Starts passt and waits until it is ready; gives the card's end of the connection. passt ends when
/// that is closed. What becomes readable on `stop` ends the waiting.
pub(super) fn launch(options: &PasstOptions, stop: &EventFd) -> Result<UnixStream, LaunchError> {
    let (ours, theirs) = UnixStream::pair()?;
    let child = spawn(options, theirs.into())?;
    let mut launcher = Launcher(child);
    let messages = launcher.messages(stop)?;
    let status = launcher.end()?;
    // Ready, it goes on in the background, and the process that was started ends.
    if status.success() { Ok(ours) } else { Err(LaunchError::Refused(reason(&messages, status))) }
}

fn spawn(options: &PasstOptions, socket: OwnedFd) -> Result<Child, LaunchError> {
    let mut command = Command::new(&options.program);
    command.args(arguments(options)).arg("--fd").arg(socket.as_raw_fd().to_string());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let _alone = SPAWNING.lock();
    // Not between fork and exec, which would have the whole address space of a process with guests
    // copied. passt closes all descriptors but its own.
    fcntl_setfd(&socket, FdFlags::empty()).map_err(io::Error::from)?;
    let child = command.spawn();
    drop(socket);
    child.map_err(|error| match error.kind() {
        ErrorKind::NotFound => LaunchError::Missing,
        _ => error.into(),
    })
}

fn arguments(options: &PasstOptions) -> Vec<String> {
    let mut arguments = vec!["--quiet".to_owned()];
    if !options.reach_host {
        arguments.extend(["--no-map-gw", "--dns-forward", RESOLVER].map(str::to_owned));
    }
    for (protocol, option) in [(Protocol::Tcp, "--tcp-ports"), (Protocol::Udp, "--udp-ports")] {
        let mut forwards = options.forwards.iter().filter(|one| one.protocol == protocol);
        let mut any = false;
        for forward in &mut forwards {
            any = true;
            let text = format!("{}/{}:{}", forward.address, forward.host, forward.guest);
            arguments.extend([option.to_owned(), text]);
        }
        if !any {
            arguments.extend([option, "none"].map(str::to_owned));
        }
    }
    arguments
}

/// What passt said last, which is why it ended.
fn reason(messages: &[u8], status: ExitStatus) -> String {
    let text = String::from_utf8_lossy(messages);
    let last = text.lines().map(str::trim).rfind(|line| !line.is_empty());
    let printable =
        |line: &str| -> String { line.chars().filter(|c| !c.is_control()).take(MESSAGE).collect() };
    last.map_or_else(|| status.to_string(), |line| printable(line.trim_end_matches('.')))
}

/// The process that was started. Killed when dropped before its end.
struct Launcher(Child);

impl Launcher {
    /// What it says until it is ready or has ended.
    fn messages(&mut self, stop: &EventFd) -> Result<Vec<u8>, LaunchError> {
        let mut messages = Vec::new();
        let Some(mut stderr) = self.0.stderr.take() else { return Ok(messages) };
        // SAFETY: the event is borrowed for longer.
        let stop = unsafe { BorrowedFd::borrow_raw(stop.as_raw_fd()) };
        let timeout = Timespec { tv_sec: PATIENCE.as_secs() as i64, tv_nsec: 0 };
        let mut buffer = [0; 1024];
        loop {
            let mut fds = [
                PollFd::new(&stderr, PollFlags::IN),
                PollFd::from_borrowed_fd(stop, PollFlags::IN),
            ];
            let ready = poll(&mut fds, Some(&timeout)).map_err(io::Error::from)?;
            if !fds[1].revents().is_empty() {
                return Err(LaunchError::Stopped);
            }
            if ready == 0 {
                return Err(LaunchError::Late);
            }
            match stderr.read(&mut buffer) {
                Ok(0) => return Ok(messages),
                Ok(len) => {
                    messages.extend(&buffer[..len]);
                    let surplus = messages.len().saturating_sub(MESSAGES);
                    messages.drain(..surplus);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Waits for its end, which comes right after its last word.
    fn end(&mut self) -> Result<ExitStatus, LaunchError> {
        let start = Instant::now();
        while start.elapsed() < LAST_MOMENT {
            if let Some(status) = self.0.try_wait()? {
                return Ok(status);
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Err(LaunchError::Late)
    }
}

impl Drop for Launcher {
    fn drop(&mut self) {
        // Fails when it has ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_become_arguments() {
        let forwards = ["2222:22", "0.0.0.0/80:8080", "udp:::1/53:53"];
        let options = PasstOptions {
            forwards: forwards.map(|text| text.parse().unwrap()).to_vec(),
            reach_host: true,
            ..PasstOptions::default()
        };
        assert_eq!(
            arguments(&options).join(" "),
            "--quiet --tcp-ports 127.0.0.1/2222:22 --tcp-ports 0.0.0.0/80:8080 \
             --udp-ports ::1/53:53"
        );
        assert_eq!(
            arguments(&PasstOptions::default()).join(" "),
            "--quiet --no-map-gw --dns-forward 169.254.1.1 --tcp-ports none --udp-ports none"
        );
    }
}
