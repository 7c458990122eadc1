//! The worker of a console: carries bytes between the guest's ports and the host's sockets.

use std::io::{self, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;

use parking_lot::Mutex;

use super::control::{Control, MESSAGE_LEN};
use super::{CONTROL_IN, CONTROL_OUT, FIRST_PORT, NO_PORT_SENT};
use crate::devices::virtio::{Activation, Chain, Events, Interest, VirtQueue, Worker};

/// Bytes moved at a time.
const CHUNK: usize = 16 << 10;
/// Moves before others get their turn.
const TURN: u32 = 128;

/// Whether a connection can go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flow {
    On,
    /// It has to wait for the other end.
    Wait,
    /// The other end is gone.
    Gone,
}

/// The host's end of a port.
struct Line {
    socket: Arc<UnixListener>,
    /// Whether it takes a connection.
    listening: bool,
    client: Option<UnixStream>,
    /// What is waited for on the client's connection.
    watched: Interest,
    /// What the guest sends at the moment; what of it was taken and not yet sent.
    sending: Option<Chain>,
    outgoing: Vec<u8>,
    /// The guest has no room for what the client sends.
    stalled: bool,
}

impl Line {
    /// Sends what was taken.
    fn flush(&mut self) -> Flow {
        let Some(client) = &mut self.client else { return Flow::Gone };
        while !self.outgoing.is_empty() {
            match client.write(&self.outgoing) {
                Ok(0) => return Flow::Gone,
                Ok(len) => drop(self.outgoing.drain(..len)),
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => return Flow::Wait,
                    io::ErrorKind::Interrupted => {}
                    _ => return Flow::Gone,
                },
            }
        }
        Flow::On
    }

    /// Whether the client is gone, whatever can still be read.
    fn is_hung_up(&self) -> bool {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let Some(client) = &self.client else { return false };
        let mut fds = [PollFd::new(client, PollFlags::empty())];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut fds, Some(&now)).is_ok_and(|ready| ready > 0)
    }
}

pub(super) struct Carrier {
    queues: Vec<Option<Arc<VirtQueue>>>,
    names: Arc<[String]>,
    lines: Vec<Line>,
    control: Arc<Mutex<Control>>,
}

impl Carrier {
    pub(super) fn new(
        activation: &Activation,
        names: Arc<[String]>,
        sockets: &[Arc<UnixListener>],
        control: Arc<Mutex<Control>>,
    ) -> Self {
        let line = |socket: &Arc<UnixListener>| Line {
            socket: socket.clone(),
            listening: false,
            client: None,
            watched: Interest::NONE,
            sending: None,
            outgoing: Vec::new(),
            stalled: false,
        };
        let lines = sockets.iter().map(line).collect();
        Self { queues: activation.queues.clone(), names, lines, control }
    }

    fn queue(&self, index: usize) -> Option<Arc<VirtQueue>> {
        self.queues.get(index)?.clone()
    }

    /// Tells the driver what is new about ports.
    fn tell(&self) {
        let Some(queue) = self.queue(CONTROL_IN) else { return };
        let connected: Vec<bool> = self.lines.iter().map(|line| line.client.is_some()).collect();
        // FreeBSD's buffers are shorter than the longest name that there could be.
        let longest = MESSAGE_LEN + self.names.iter().map(String::len).max().unwrap_or(0);
        let mut left = TURN;
        queue.disable_notifications();
        while self.control.lock().has_more(&connected) && left > 0 {
            left -= 1;
            let Some(mut chain) = queue.pop_or_listen() else { break };
            // A buffer too short for the longest message is of no use.
            if chain.writable_len() as usize >= longest
                && let Some(message) = self.control.lock().next(&self.names, &connected)
            {
                chain.write(queue.ram(), &message);
            }
            queue.complete(chain);
        }
        queue.notify();
    }

    /// Takes connections where nobody is connected, once the driver has heard of the end of the
    /// last one: it must not take the next one for the same.
    fn listen(&mut self, events: &Events) -> io::Result<()> {
        for (index, line) in self.lines.iter_mut().enumerate() {
            let wanted = line.client.is_none() && !self.control.lock().told_open(index);
            if wanted != line.listening {
                let interest = if wanted { Interest::READ } else { Interest::NONE };
                events.change(&*line.socket, socket_token(index), interest)?;
                line.listening = wanted;
            }
        }
        Ok(())
    }

    /// Takes what the driver says about ports.
    fn hear(&mut self, events: &Events) -> io::Result<()> {
        if let Some(queue) = self.queue(CONTROL_OUT) {
            queue.serve(|mut chain| {
                let mut message = [0; MESSAGE_LEN];
                if chain.read_exact(queue.ram(), &mut message) {
                    self.control.lock().hear(message);
                }
                queue.complete(chain);
            });
        }
        self.tell();
        self.listen(events)?;
        (0..self.lines.len()).try_for_each(|index| self.receive(index, events))
    }

    /// Somebody connects to the socket of a port. Others wait until that one is gone.
    fn accept(&mut self, index: usize, events: &Events) -> io::Result<()> {
        let line = &mut self.lines[index];
        if !line.listening {
            return Ok(());
        }
        let client = match line.socket.accept() {
            Ok((client, _)) => client,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => {
                // Out of descriptors, say: not to be tried again and again.
                tracing::warn!("nobody can connect to “{}”: {error}", self.names[index]);
                line.listening = false;
                return events.change(&*line.socket, socket_token(index), Interest::NONE);
            }
        };
        client.set_nonblocking(true)?;
        events.watch(&client, client_token(index), Interest::NONE)?;
        (line.client, line.watched, line.stalled) = (Some(client), Interest::NONE, false);
        self.tell();
        self.listen(events)?;
        self.receive(index, events)
    }

    /// The client of a port is gone.
    fn disconnect(&mut self, index: usize, events: &Events) -> io::Result<()> {
        let line = &mut self.lines[index];
        if let Some(client) = line.client.take() {
            events.forget(&client)?;
        }
        line.outgoing.clear();
        self.tell();
        self.listen(events)?;
        // What the guest has on its way goes nowhere.
        self.send(index, events)
    }

    /// Waits for what there is to wait for.
    fn watch(&mut self, index: usize, events: &Events) -> io::Result<()> {
        let guest_open = self.control.lock().guest_open(index);
        let line = &mut self.lines[index];
        let wanted =
            Interest { read: guest_open && !line.stalled, write: !line.outgoing.is_empty() };
        if let Some(client) = &line.client
            && line.watched != wanted
        {
            events.change(client, client_token(index), wanted)?;
            line.watched = wanted;
        }
        Ok(())
    }

    /// Sends what the guest offers, as far as the client takes it.
    fn send(&mut self, index: usize, events: &Events) -> io::Result<()> {
        let Some(queue) = self.queue(FIRST_PORT + 2 * index + 1) else { return Ok(()) };
        let line = &mut self.lines[index];
        let mut left = TURN;
        let mut gone = false;
        queue.disable_notifications();
        loop {
            match line.flush() {
                Flow::Wait => break,
                Flow::Gone => {
                    gone = line.client.is_some();
                    line.outgoing.clear();
                    if gone {
                        break;
                    }
                    // Nobody is there to take it.
                    if let Some(chain) = line.sending.take() {
                        queue.complete(chain);
                    }
                }
                Flow::On => {}
            }
            if left == 0 {
                queue.kick();
                break;
            }
            left -= 1;
            if let Some(chain) = &mut line.sending {
                let mut chunk = [0; CHUNK];
                let len = chain.read(queue.ram(), &mut chunk);
                line.outgoing.extend_from_slice(&chunk[..len]);
                if len < CHUNK
                    && let Some(chain) = line.sending.take()
                {
                    queue.complete(chain);
                }
                continue;
            }
            line.sending = queue.pop_or_listen();
            if line.sending.is_none() {
                break;
            }
        }
        queue.notify();
        if gone {
            return self.disconnect(index, events);
        }
        self.watch(index, events)
    }

    /// Hands the guest what the client sends, as long as it has the port open and buffers for it.
    fn receive(&mut self, index: usize, events: &Events) -> io::Result<()> {
        let Some(queue) = self.queue(FIRST_PORT + 2 * index) else { return Ok(()) };
        let mut flow = Flow::On;
        let line = &mut self.lines[index];
        line.stalled = false;
        queue.disable_notifications();
        for _ in 0..TURN {
            let Some(client) = &mut line.client else { break };
            if !self.control.lock().guest_open(index) {
                break;
            }
            let Some(mut chain) = queue.pop_or_listen() else {
                line.stalled = true;
                break;
            };
            let mut chunk = [0; CHUNK];
            let room = CHUNK.min(chain.writable_len() as usize);
            if room == 0 {
                queue.complete(chain);
                continue;
            }
            match client.read(&mut chunk[..room]) {
                Ok(0) => flow = Flow::Gone,
                Ok(len) => {
                    chain.write(queue.ram(), &chunk[..len]);
                    queue.complete(chain);
                    continue;
                }
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => flow = Flow::Wait,
                    io::ErrorKind::Interrupted => {}
                    _ => flow = Flow::Gone,
                },
            }
            queue.put_back(chain);
            if flow != Flow::On {
                break;
            }
        }
        queue.notify();
        if flow == Flow::Gone {
            return self.disconnect(index, events);
        }
        self.watch(index, events)
    }

    fn rung(&mut self, index: usize, events: &Events) -> io::Result<()> {
        match index {
            CONTROL_IN => {
                self.tell();
                self.listen(events)?;
            }
            CONTROL_OUT => self.hear(events)?,
            FIRST_PORT.. if index.is_multiple_of(2) => {
                self.receive((index - FIRST_PORT) / 2, events)?;
            }
            FIRST_PORT.. => self.send((index - FIRST_PORT) / 2, events)?,
            NO_PORT_SENT => {
                // Port 0 leads nowhere.
                if let Some(queue) = self.queue(index) {
                    queue.serve(|chain| queue.complete(chain));
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn client_ready(&mut self, index: usize, events: &Events) -> io::Result<()> {
        self.send(index, events)?;
        self.receive(index, events)?;
        // Nobody waits to read, and the system would tell of its end again and again.
        if !self.lines[index].watched.read && self.lines[index].is_hung_up() {
            self.disconnect(index, events)?;
        }
        Ok(())
    }

    fn fail(&self, result: io::Result<()>) {
        if let Err(error) = result
            && let Some(queue) = self.queues.iter().flatten().next()
        {
            queue.fail(&error.to_string());
        }
    }
}

fn socket_token(index: usize) -> u64 {
    2 * index as u64
}

fn client_token(index: usize) -> u64 {
    2 * index as u64 + 1
}

impl Worker for Carrier {
    fn start(&mut self, events: &Events) -> io::Result<()> {
        for (index, line) in self.lines.iter().enumerate() {
            events.watch(&*line.socket, socket_token(index), Interest::NONE)?;
        }
        self.listen(events)
    }

    fn queue_rung(&mut self, index: usize, events: &Events) {
        let result = self.rung(index, events);
        self.fail(result);
    }

    fn ready(&mut self, token: u64, events: &Events) {
        // Tokens are twice an index, and one more for a client.
        let index = (token / 2) as usize;
        let result = if token == socket_token(index) {
            self.accept(index, events)
        } else {
            self.client_ready(index, events)
        };
        self.fail(result);
    }
}
