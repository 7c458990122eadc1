//! The host's side of the serial line: what was said, who listens, and what waits to be heard.
//!
//! No thread moves the bytes. The guest's writes go into one ring, listeners take them out from
//! where each has got to, and both ends wake the other through a channel of one token.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};

use async_channel::{Receiver, Sender, TryRecvError};
use thiserror::Error;

use super::Line;
use crate::text;

/// How much of the guest's output is kept for those who come later, and how far a listener may
/// fall behind before the guest has to wait. Some 4000 full lines of a terminal.
pub(super) const LOG_BYTES: usize = 256 << 10;
/// Most that one call of [`SerialOutput::recv`] gives.
const CHUNK_BYTES: usize = 64 << 10;
/// How much input waits for the guest before senders have to.
const INPUT_BYTES: usize = 16 << 10;

/// Where a new listener starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// With all that is still kept of what the guest has said (the last 256 KiB).
    Scrollback,
    /// With what the guest says from now on.
    Now,
}

/// One end of the serial line, for a console.
pub struct SerialPort {
    /// What the guest says.
    pub output: SerialOutput,
    /// What the guest hears.
    pub input: SerialInput,
}

/// The machine that the serial port belonged to is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{}", text!("the serial port is gone with its machine"))]
pub struct Closed;

struct Listener {
    id: u64,
    /// Position of the next byte to take, counted from the first byte ever sent.
    position: u64,
    wake: Sender<()>,
}

struct Speaker {
    id: u64,
    /// Was refused bytes and waits for room.
    waiting: bool,
    wake: Sender<()>,
}

/// Both directions, between the chip and the consoles. Guarded by the lock around [`Line`].
#[derive(Default)]
pub(super) struct Host {
    /// The last bytes the guest sent.
    log: VecDeque<u8>,
    /// How many bytes the guest ever sent: the position after the last byte of `log`.
    end: u64,
    listeners: Vec<Listener>,
    input: VecDeque<u8>,
    break_waiting: bool,
    speakers: Vec<Speaker>,
    next_id: u64,
    /// The machine is gone: nothing more will come.
    closed: bool,
}

impl Host {
    /// The guest sends `byte`. Lost when a listener is so far behind that there is no room: the
    /// chip has said so before, in its line status.
    pub(super) fn send(&mut self, byte: u8) {
        if self.room() == 0 {
            return;
        }
        if self.log.len() == LOG_BYTES {
            self.log.pop_front();
        }
        self.log.push_back(byte);
        for listener in self.listeners.iter().filter(|l| l.position == self.end) {
            // A token that is still there wakes as well as another would.
            let _ = listener.wake.try_send(());
        }
        self.end += 1;
    }

    /// How many bytes the guest can send before one would be lost to a listener.
    pub(super) fn room(&self) -> usize {
        let behind = self.listeners.iter().map(|l| self.end - l.position).max().unwrap_or(0);
        LOG_BYTES.saturating_sub(usize::try_from(behind).unwrap_or(usize::MAX))
    }

    /// The next thing the guest is to hear: `Some(None)` is a break.
    pub(super) fn next_input(&mut self) -> Option<Option<u8>> {
        if std::mem::take(&mut self.break_waiting) {
            return Some(None);
        }
        let byte = self.input.pop_front()?;
        // Half empty, so that a long paste wakes its sender for more than a byte each time.
        if self.input.len() <= INPUT_BYTES / 2 {
            for speaker in self.speakers.iter_mut().filter(|s| s.waiting) {
                speaker.waiting = false;
                let _ = speaker.wake.try_send(());
            }
        }
        Some(Some(byte))
    }

    pub(super) fn log(&self) -> Vec<u8> {
        self.log.iter().copied().collect()
    }

    /// Nothing more will come: wakes all who wait. What is in the log can still be taken.
    pub(super) fn close(&mut self) {
        self.closed = true;
        for listener in &self.listeners {
            listener.wake.close();
        }
        for speaker in &self.speakers {
            speaker.wake.close();
        }
    }

    fn start_of_log(&self) -> u64 {
        self.end - self.log.len() as u64
    }

    fn take(&mut self, id: u64) -> Result<Vec<u8>, TryRecvError> {
        let start = self.start_of_log();
        let listener = self.listeners.iter_mut().find(|l| l.id == id);
        let Some(listener) = listener else { return Err(TryRecvError::Closed) };
        // Never behind the log: the guest waits instead.
        let skip = usize::try_from(listener.position - start).unwrap_or(usize::MAX);
        let chunk: Vec<u8> = self.log.iter().skip(skip).take(CHUNK_BYTES).copied().collect();
        listener.position += chunk.len() as u64;
        match chunk.is_empty() {
            false => Ok(chunk),
            true if self.closed => Err(TryRecvError::Closed),
            true => Err(TryRecvError::Empty),
        }
    }

    /// Takes as much of `bytes` as there is room for and says how much.
    fn put(&mut self, id: u64, bytes: &[u8]) -> Result<usize, Closed> {
        if self.closed {
            return Err(Closed);
        }
        let taken = bytes.len().min(INPUT_BYTES.saturating_sub(self.input.len()));
        self.input.extend(&bytes[..taken]);
        if taken < bytes.len()
            && let Some(speaker) = self.speakers.iter_mut().find(|s| s.id == id)
        {
            speaker.waiting = true;
        }
        Ok(taken)
    }
}

pub(super) fn attach(line: &Arc<Line>, start: Start) -> SerialPort {
    line.with(|_, host| {
        let id = host.next_id;
        host.next_id += 1;
        let position = match start {
            Start::Scrollback => host.start_of_log(),
            Start::Now => host.end,
        };
        let (wake, said) = async_channel::bounded(1);
        host.listeners.push(Listener { id, position, wake });
        let (wake, room) = async_channel::bounded(1);
        host.speakers.push(Speaker { id, waiting: false, wake });
        SerialPort {
            output: SerialOutput { line: line.clone(), id, said },
            input: SerialInput { line: Arc::downgrade(line), id, room },
        }
    })
}

/// What the guest says on its serial port, from where this listener started and without gaps.
///
/// While it exists, the guest waits rather than lose a byte: a console that stops reading stops
/// the guest's output once it is 256 KiB behind. Drop it to let the guest go on.
pub struct SerialOutput {
    line: Arc<Line>,
    id: u64,
    said: Receiver<()>,
}

impl SerialOutput {
    /// What has been said since the last call, up to 64 KiB.
    ///
    /// # Errors
    /// `Empty` when there is nothing new, `Closed` when there never will be.
    pub fn try_recv(&self) -> Result<Vec<u8>, TryRecvError> {
        self.line.with(|_, host| host.take(self.id))
    }

    /// Waits for something to be said; `None` when the machine is gone and all was taken.
    /// Dropping the future loses nothing.
    pub async fn recv(&self) -> Option<Vec<u8>> {
        loop {
            match self.try_recv() {
                Ok(chunk) => return Some(chunk),
                Err(TryRecvError::Closed) => return None,
                // Closing the channel wakes too; the next turn finds out.
                Err(TryRecvError::Empty) => drop(self.said.recv().await),
            }
        }
    }

    /// [`SerialOutput::recv`] for a thread that may sleep.
    pub fn recv_blocking(&self) -> Option<Vec<u8>> {
        loop {
            match self.try_recv() {
                Ok(chunk) => return Some(chunk),
                Err(TryRecvError::Closed) => return None,
                Err(TryRecvError::Empty) => drop(self.said.recv_blocking()),
            }
        }
    }
}

impl Drop for SerialOutput {
    fn drop(&mut self) {
        self.line.with(|_, host| host.listeners.retain(|l| l.id != self.id));
    }
}

/// What the guest hears on its serial port. Bytes wait until the guest has read those before.
pub struct SerialInput {
    /// Weak: a console that only speaks does not keep the log of a machine that is gone.
    line: Weak<Line>,
    id: u64,
    room: Receiver<()>,
}

impl SerialInput {
    /// Sends as much of `bytes` as there is room for and says how much that was.
    ///
    /// # Errors
    /// When the machine is gone.
    pub fn try_send(&self, bytes: &[u8]) -> Result<usize, Closed> {
        self.line.upgrade().ok_or(Closed)?.with(|_, host| host.put(self.id, bytes))
    }

    /// Sends `bytes`, waiting for room as often as it takes. Dropping the future early leaves the
    /// tail unsent.
    ///
    /// # Errors
    /// When the machine is gone, perhaps with some of the bytes.
    pub async fn send(&self, mut bytes: &[u8]) -> Result<(), Closed> {
        loop {
            bytes = &bytes[self.try_send(bytes)?..];
            if bytes.is_empty() {
                return Ok(());
            }
            self.room.recv().await.map_err(|_| Closed)?;
        }
    }

    /// [`SerialInput::send`] for a thread that may sleep.
    ///
    /// # Errors
    /// When the machine is gone, perhaps with some of the bytes.
    pub fn send_blocking(&self, mut bytes: &[u8]) -> Result<(), Closed> {
        loop {
            bytes = &bytes[self.try_send(bytes)?..];
            if bytes.is_empty() {
                return Ok(());
            }
            self.room.recv_blocking().map_err(|_| Closed)?;
        }
    }

    /// Sends a break (what Linux takes for SysRq on a console), ahead of bytes that still wait.
    ///
    /// # Errors
    /// When the machine is gone.
    pub fn send_break(&self) -> Result<(), Closed> {
        self.line.upgrade().ok_or(Closed)?.with(|_, host| {
            host.break_waiting = true;
            if host.closed { Err(Closed) } else { Ok(()) }
        })
    }
}

impl Drop for SerialInput {
    fn drop(&mut self) {
        if let Some(line) = self.line.upgrade() {
            line.with(|_, host| host.speakers.retain(|s| s.id != self.id));
        }
    }
}
