//! The terminal that a guest's serial port is on.
//!
//! In raw mode every key goes to the guest, Ctrl-C included, but for Ctrl-], which leaves.
//! Whatever ends the program (return, panic, signal) gives the terminal back as it was.

use std::io;
use std::os::fd::BorrowedFd;

use async_channel::Sender;
use parking_lot::Mutex;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::termios::{OptionalActions, Termios, isatty, tcgetattr, tcsetattr};

/// Ctrl-].
const LEAVE: u8 = 0x1d;

/// Bytes moved at once.
const CHUNK: usize = 4096;

/// How the terminal was before raw mode; `None` when it is not raw.
static BEFORE: Mutex<Option<Termios>> = Mutex::new(None);

fn input() -> BorrowedFd<'static> {
    rustix::stdio::stdin()
}

/// The terminal in raw mode until dropped.
#[derive(Debug)]
pub(crate) struct RawMode(());

impl RawMode {
    /// Puts the terminal on standard input in raw mode; `None` when standard input is none.
    ///
    /// # Errors
    /// When the terminal refuses.
    pub(crate) fn enter() -> io::Result<Option<Self>> {
        if !isatty(input()) {
            return Ok(None);
        }
        let mut before = BEFORE.lock();
        let now = tcgetattr(input())?;
        let mut raw = now.clone();
        raw.make_raw();
        tcsetattr(input(), OptionalActions::Now, &raw)?;
        before.get_or_insert(now);
        Ok(Some(Self(())))
    }

    /// Raw again, after a stop gave the terminal to the shell.
    pub(crate) fn enter_again(&self) {
        if let Some(before) = &*BEFORE.lock() {
            let mut raw = before.clone();
            raw.make_raw();
            // A terminal that has gone away needs no mode.
            let _ = tcsetattr(input(), OptionalActions::Now, &raw);
        }
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        restore();
    }
}

fn restore() {
    if let Some(before) = BEFORE.lock().take() {
        // A terminal that has gone away needs no mode.
        let _ = tcsetattr(input(), OptionalActions::Now, &before);
    }
}

/// Whether the terminal is in raw mode, where a line ends with a carriage return too.
pub(crate) fn is_raw() -> bool {
    BEFORE.lock().is_some()
}

/// Makes panics, wherever they happen, print to a terminal in its usual mode.
pub(crate) fn restore_on_panic() {
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        restore();
        print(panic);
    }));
}

/// Moves bytes from standard input to `guest` until it ends; the end of the input means nothing to
/// the guest. Calls `leave` at Ctrl-] on a terminal; elsewhere that is a byte like any other.
pub(crate) fn forward_input(guest: &Sender<Vec<u8>>, leave: impl Fn()) {
    let on_terminal = is_raw();
    let mut buffer = [0; CHUNK];
    loop {
        let bytes = match rustix::io::read(input(), &mut buffer[..]) {
            Ok(0) => return,
            Ok(length) => &buffer[..length],
            Err(Errno::INTR) => continue,
            Err(Errno::AGAIN) => {
                wait_for(input(), PollFlags::IN);
                continue;
            }
            Err(_) => return,
        };
        if !on_terminal {
            if guest.send_blocking(bytes.to_vec()).is_err() {
                return;
            }
            continue;
        }
        let end = bytes.iter().position(|byte| *byte == LEAVE);
        let typed = &bytes[..end.unwrap_or(bytes.len())];
        // A person must be able to leave also when the guest reads nothing: what does not fit in
        // the queue is lost, as on a real line.
        if !typed.is_empty() && guest.try_send(typed.to_vec()).is_err() && guest.is_closed() {
            return;
        }
        if end.is_some() {
            leave();
            return;
        }
    }
}

/// Writes all of `bytes` to standard output, waiting as long as its reader does not take them.
///
/// # Errors
/// When the output is closed.
pub(crate) fn write_output(mut bytes: &[u8]) -> io::Result<()> {
    let output = rustix::stdio::stdout();
    while !bytes.is_empty() {
        match rustix::io::write(output, bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(length) => bytes = &bytes[length..],
            Err(Errno::INTR) => {}
            // Whoever shares the terminal may have made it non-blocking.
            Err(Errno::AGAIN) => wait_for(output, PollFlags::OUT),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn wait_for(fd: BorrowedFd<'_>, flags: PollFlags) {
    // An interrupted or failed wait only means that the caller tries again.
    let _ = poll(&mut [PollFd::new(&fd, flags)], None);
}
