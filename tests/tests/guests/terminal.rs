//! The terminal that a guest's serial port is on.

use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use berth_tests::{berth, image};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, OutputModes, tcgetattr};

/// A `berth` on a terminal, with a guest that never reaches anything.
struct OnTerminal {
    child: Child,
    /// The other side of the terminal.
    terminal: File,
    /// Its modes are looked at through this one.
    inner: OwnedFd,
}

impl OnTerminal {
    fn start() -> Self {
        let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
        grantpt(&terminal).expect("a terminal");
        unlockpt(&terminal).expect("a terminal");
        let path = ptsname(&terminal, Vec::new()).expect("a terminal's name");
        let path = path.to_str().expect("an ASCII name");
        let open = || File::options().read(true).write(true).open(path).expect("the terminal");
        let inner: OwnedFd = open().into();
        let child = Command::new(berth())
            .args(["boot", "--no-display", "--timeout", "120", "--iso"])
            .arg(image("grub.iso"))
            .stdin(open())
            .stdout(open())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("berth starts");
        Self { child, terminal: terminal.into(), inner }
    }

    fn is_raw(&self) -> bool {
        let modes = tcgetattr(&self.inner).expect("modes");
        !modes.local_modes.intersects(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG)
            && !modes.output_modes.contains(OutputModes::OPOST)
    }

    fn wait_until(&mut self, what: &str, mut reached: impl FnMut(&mut Self) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !reached(self) {
            assert!(Instant::now() < deadline, "{what}: not within a minute");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// As soon as it is in charge of the terminal.
    fn wait_until_raw(&mut self) {
        self.wait_until("raw mode", |this| {
            assert!(this.child.try_wait().expect("our child").is_none(), "berth ended");
            this.is_raw()
        });
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).expect("a process id"));
        kill_process(pid.expect("a process id"), signal).expect("berth is there");
    }

    fn wait_for_end(&mut self) -> std::process::ExitStatus {
        self.wait_until("the end", |this| this.child.try_wait().expect("our child").is_some());
        self.child.wait().expect("our child")
    }
}

impl Drop for OnTerminal {
    fn drop(&mut self) {
        // Nothing to end when it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn ctrl_bracket_leaves_and_ctrl_c_does_not() {
    let mut session = OnTerminal::start();
    assert!(!session.is_raw());
    session.wait_until_raw();
    session.terminal.write_all(b"\x03").expect("the terminal");
    std::thread::sleep(Duration::from_secs(1));
    assert!(session.child.try_wait().expect("our child").is_none(), "Ctrl-C is the guest's");
    session.terminal.write_all(b"abc\x1d").expect("the terminal");
    assert_eq!(session.wait_for_end().code(), Some(0));
    assert!(!session.is_raw(), "the terminal is given back");
}

#[test]
fn a_signal_ends_it_in_order() {
    for signal in [Signal::TERM, Signal::HUP] {
        let mut session = OnTerminal::start();
        session.wait_until_raw();
        session.signal(signal);
        let status = session.wait_for_end();
        assert_eq!(
            std::os::unix::process::ExitStatusExt::signal(&status),
            Some(signal.as_raw()),
            "a parent sees which signal it was"
        );
        assert!(!session.is_raw(), "the terminal is given back");
    }
}

#[test]
fn a_terminal_without_a_reader_does_not_keep_anybody_in() {
    let mut session = OnTerminal::start();
    session.wait_until_raw();
    // More than the guest's port takes.
    let text = [b'x'; 1000];
    for _ in 0..200 {
        session.terminal.write_all(&text).expect("the terminal");
    }
    session.terminal.write_all(b"\x1d").expect("the terminal");
    assert_eq!(session.wait_for_end().code(), Some(0));
}
