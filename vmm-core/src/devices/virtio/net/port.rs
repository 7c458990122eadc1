//! The worker of a network card: carries frames between the queues and the connection.

use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::Arc;

use rustix::event::{PollFd, PollFlags, poll};

use super::{RECEIVE, TRANSMIT, feature};
use crate::devices::virtio::{Activation, Chain, Events, Interest, VirtQueue, Worker};
use crate::net::{Cable, Connection, FrameError, Outcome, VIRTIO_HEADER as HEADER};

/// Tokens of what is watched.
const NEWS: u64 = 0;
const STREAM: u64 = 1;

/// Where the flags and the number of buffers are in the header before each frame in a queue (VIRTIO
/// 1.2 §5.1.6).
const FLAGS: usize = 0;
const NUM_BUFFERS: usize = 10;
/// The frame's checksums are right (`VIRTIO_NET_HDR_F_DATA_VALID`).
const DATA_VALID: u8 = 2;

/// Reads and queues served before others get their turn.
const ROUNDS: u32 = 32;

/// Hears that a cable has lost its connection.
type OnLoss = Box<dyn Fn(&Arc<Cable>) + Send>;

/// What becomes of a received frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Delivery {
    Done,
    /// It has to wait for buffers.
    NoRoom,
}

pub(super) struct Port {
    cable: Arc<Cable>,
    receive: Option<Arc<VirtQueue>>,
    transmit: Option<Arc<VirtQueue>>,
    /// The driver takes frames in several buffers.
    mergeable: bool,
    flags: u8,
    /// The connection is lost: there is to be another.
    on_loss: OnLoss,
    /// A frame waits for buffers.
    stalled: bool,
    /// What is waited for on the connection; `None` when there is none.
    watched: Option<Interest>,
}

impl Port {
    pub(super) fn new(
        activation: &Activation,
        cable: Arc<Cable>,
        on_loss: impl Fn(&Arc<Cable>) + Send + 'static,
    ) -> Self {
        Self {
            cable,
            receive: activation.queue(RECEIVE),
            transmit: activation.queue(TRANSMIT),
            mergeable: activation.has(feature::MRG_RXBUF),
            flags: if activation.has(feature::GUEST_CSUM) { DATA_VALID } else { 0 },
            on_loss: Box::new(on_loss),
            stalled: false,
            watched: None,
        }
    }

    /// Uses what was plugged in, if something was.
    fn take_over(&mut self, events: &Events) -> std::io::Result<()> {
        let next = self.cable.take_next();
        let mut connection = self.cable.connection();
        if let Some(wire) = next {
            if let Some(old) = connection.take()
                && self.watched.take().is_some()
            {
                events.forget(&old)?;
            }
            *connection = Some(Connection::new(wire));
        }
        if self.watched.is_none()
            && let Some(connection) = &*connection
        {
            events.watch(connection, STREAM, Interest::READ)?;
            self.watched = Some(Interest::READ);
            self.stalled = false;
        }
        Ok(())
    }

    /// Does all that can be done at the moment. Looking whether something has come costs a call
    /// even when nothing has, and is for who has reason to think so: `receive`.
    fn serve(&mut self, receive: bool, events: &Events) {
        let cable = self.cable.clone();
        let mut slot = cable.connection();
        let Some(connection) = slot.as_mut() else { return self.discard() };
        let done = self
            .send(connection)
            .and_then(|()| if receive { self.deliver_all(connection) } else { Ok(()) })
            .and_then(|()| self.watch(connection, events));
        if let Err(error) = done {
            tracing::debug!("virtio-net: {error}");
            if self.watched.take().is_some() {
                // Gone with the descriptor at the latest.
                let _ = events.forget(&*connection);
            }
            *slot = None;
            // The backend looks at the cable.
            drop(slot);
            (self.on_loss)(&cable);
            self.discard();
        }
    }

    /// Waits for what there is to wait for.
    fn watch(&mut self, connection: &Connection, events: &Events) -> Result<(), FrameError> {
        let wanted = Interest { read: !self.stalled, write: connection.is_writing() };
        if self.watched != Some(wanted) {
            events.change(connection, STREAM, wanted)?;
            self.watched = Some(wanted);
        }
        Ok(())
    }

    /// Sends what the guest offers, as long as the other end takes it.
    fn send(&self, connection: &mut Connection) -> Result<(), FrameError> {
        let Some(queue) = &self.transmit else { return Ok(()) };
        let mut left = 2 * u32::from(queue.size());
        let result = loop {
            queue.disable_notifications();
            let mut any = false;
            while connection.has_room()
                && left > 0
                && let Some(chain) = queue.pop()
            {
                any = true;
                left -= 1;
                self.add(queue, chain, connection);
            }
            match connection.flush() {
                Ok(Outcome::More) => {}
                // Goes on when the other end has read; the guest need not ring until then.
                Ok(Outcome::Wait) if !connection.has_room() => break Ok(()),
                Ok(Outcome::Wait) => {}
                Err(error) => break Err(error),
            }
            if left == 0 {
                // The other direction gets its turn.
                queue.kick();
                break Ok(());
            }
            // A queue that gives nothing although there is something is broken or dead.
            let goes_on = any || (queue.enable_notifications() && queue.is_usable());
            if !goes_on {
                break Ok(());
            }
        };
        queue.notify();
        result
    }

    fn add(&self, queue: &VirtQueue, mut chain: Chain, connection: &mut Connection) {
        let header = if connection.has_headers() { HEADER } else { 0 };
        if header == 0 {
            // What it could say was not offered.
            chain.take_readable(HEADER);
        }
        let len = chain.readable_len() as usize;
        if connection.add(len, |frame| chain.read_exact(queue.ram(), frame)) {
            self.cable.count_sent(len - header);
        }
        queue.complete(chain);
    }

    /// Takes what the guest sends to nowhere.
    fn discard(&self) {
        if let Some(queue) = &self.transmit {
            queue.serve(|chain| queue.complete(chain));
        }
    }

    /// Hands the guest what came, as long as it has buffers.
    fn deliver_all(&mut self, connection: &mut Connection) -> Result<(), FrameError> {
        let mut left = ROUNDS;
        let result = loop {
            match self.deliver_read(connection) {
                Ok(Delivery::Done) => self.stalled = false,
                Ok(Delivery::NoRoom) => {
                    self.stalled = true;
                    break Ok(());
                }
                Err(error) => break Err(error),
            }
            left -= 1;
            match connection.fill() {
                Ok(Outcome::More) if left > 0 => {}
                // What is still there is told of again.
                Ok(Outcome::More | Outcome::Wait) => {
                    break self.deliver_read(connection).map(|delivery| {
                        self.stalled = delivery == Delivery::NoRoom;
                    });
                }
                Err(error) => break Err(error),
            }
        };
        if let Some(queue) = &self.receive {
            queue.notify();
        }
        result
    }

    /// Hands the guest what was read.
    fn deliver_read(&self, connection: &mut Connection) -> Result<Delivery, FrameError> {
        let mut plain = [0; HEADER];
        plain[FLAGS] = self.flags;
        let has_headers = connection.has_headers();
        while let Some(frame) = connection.frame()? {
            let (header, frame) = match frame.split_first_chunk() {
                Some((header, frame)) if has_headers => (*header, frame),
                _ => (plain, frame),
            };
            if let Some(queue) = &self.receive
                && self.deliver(queue, header, frame) == Delivery::NoRoom
            {
                return Ok(Delivery::NoRoom);
            }
            connection.drop_frame();
        }
        Ok(Delivery::Done)
    }

    fn deliver(&self, queue: &VirtQueue, mut header: [u8; HEADER], frame: &[u8]) -> Delivery {
        let wanted = HEADER + frame.len();
        let most = if self.mergeable { usize::from(queue.size()) } else { 1 };
        let mut chains: Vec<Chain> = Vec::new();
        let mut room = 0;
        queue.disable_notifications();
        while room < wanted && chains.len() < most {
            if let Some(chain) = queue.pop() {
                room += chain.writable_len() as usize;
                chains.push(chain);
            } else if !queue.enable_notifications() {
                put_back(queue, chains);
                return Delivery::NoRoom;
            } else if let Some(chain) = queue.pop() {
                room += chain.writable_len() as usize;
                chains.push(chain);
            } else {
                // Broken or dead: there will be nothing.
                put_back(queue, chains);
                return Delivery::NoRoom;
            }
        }
        if room < wanted {
            // The guest can never take it.
            put_back(queue, chains);
            return Delivery::Done;
        }
        // No more than the queue has entries.
        let count = chains.len() as u16;
        header[NUM_BUFFERS..].copy_from_slice(&count.to_le_bytes());
        let (mut header, mut frame) = (&header[..], frame);
        self.cable.count_received(frame.len());
        for chain in &mut chains {
            let written = chain.write(queue.ram(), header);
            header = &header[written..];
            let written = chain.write(queue.ram(), frame);
            frame = &frame[written..];
        }
        queue.complete_all(chains);
        Delivery::Done
    }
}

/// Gives chains back to their queue, to come again in the same order.
fn put_back(queue: &VirtQueue, chains: Vec<Chain>) {
    for chain in chains.into_iter().rev() {
        queue.put_back(chain);
    }
}

/// Whether the other end is gone, whatever can still be read.
fn is_hung_up(connection: &Connection) -> bool {
    let mut fds = [PollFd::new(connection, PollFlags::empty())];
    let now = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut fds, Some(&now)).is_ok_and(|ready| ready > 0)
}

impl Worker for Port {
    fn start(&mut self, events: &Events) -> std::io::Result<()> {
        // SAFETY: the event stays open as long as the cable, which outlives the worker's thread.
        let news = unsafe { BorrowedFd::borrow_raw(self.cable.news().as_raw_fd()) };
        events.watch(news, NEWS, Interest::READ)?;
        self.take_over(events)
    }

    fn queue_rung(&mut self, index: usize, events: &Events) {
        self.serve(index == RECEIVE, events);
    }

    fn ready(&mut self, token: u64, events: &Events) {
        if token == NEWS {
            if let Err(error) = self.take_over(events) {
                tracing::warn!("virtio-net cannot use its connection: {error}");
                return;
            }
        } else if self.stalled {
            // Nobody waits to read: there is room to write, or the other end is gone, of which
            // the system would tell again and again.
            let cable = self.cable.clone();
            let mut slot = cable.connection();
            if slot.as_ref().is_some_and(is_hung_up) {
                if let Some(connection) = slot.take()
                    && self.watched.take().is_some()
                {
                    // Gone with the descriptor at the latest.
                    let _ = events.forget(&connection);
                }
                self.stalled = false;
                drop(slot);
                (self.on_loss)(&cable);
            }
        }
        self.serve(true, events);
    }
}
