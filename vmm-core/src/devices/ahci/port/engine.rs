//! The command engine: takes commands from the list, has the device begin them, hands work to
//! the block layer and reports the end (AHCI 1.3.1 §5.3 and §5.6).
//!
//! Queued commands run together. Any other runs alone: it waits, in its slot, until queued ones
//! have ended. (A drive would abort the queue instead; no driver mixes them on purpose.)

use std::io;
use std::sync::Arc;

use parking_lot::MutexGuard;
use vm_memory::GuestAddress;

use super::super::fis::{self, HostFis};
use super::super::prdt::{BufferError, CommandHeader};
use super::super::registers::{SLOTS, cmd, irq, serr};
use super::super::task::{Command, Outcome, Phase, TaskFile, Work, error, status};
use super::{Inner, Port};
use crate::block::{BlockDevice, Operation, Request, Segment};

/// A command whose work the block layer does.
pub(in super::super) struct Running {
    fis: HostFis,
    phase: Phase,
    done: TaskFile,
    rest: Rest,
    kind: Kind,
    /// Bytes moved or given back.
    bytes: u64,
    /// Where to report how many bytes were moved.
    byte_count: GuestAddress,
    /// What PxIS gets besides what the phase sets.
    interrupts: u32,
}

/// What is still to do when the request in flight has ended.
enum Rest {
    Nothing,
    Flush,
    Discard(Vec<(u64, u64)>),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Read,
    Write,
    Flush,
    Discard,
}

/// A request and what it is for.
pub(in super::super) struct Outgoing {
    backend: Arc<dyn BlockDevice>,
    request: Request,
}

/// The end of a command.
struct Ending {
    phase: Phase,
    task_file: TaskFile,
    bytes: u64,
    byte_count: GuestAddress,
    interrupts: u32,
}

impl Port {
    /// Does all there is to do. One thread at a time: whoever comes meanwhile leaves its work to
    /// the one that is here, so that a backend that ends requests during `submit` does not make
    /// the stack grow.
    pub(in super::super) fn pump(self: &Arc<Self>) {
        let mut inner = self.inner.lock();
        if inner.pumping {
            return;
        }
        inner.pumping = true;
        loop {
            if let Some(Outgoing { backend, request }) = inner.outbox.pop_front() {
                inner.submitting = true;
                MutexGuard::unlocked(&mut inner, || {
                    self.host.port_event(self.index);
                    backend.submit(request);
                    drop(backend);
                });
                inner.submitting = false;
            } else if let Some(notice) = inner.device.take_notice() {
                MutexGuard::unlocked(&mut inner, notice);
            } else if !self.fetch(&mut inner) {
                break;
            }
        }
        inner.pumping = false;
        if inner.is_quiet() {
            self.quiet.notify_all();
        }
        drop(inner);
        self.host.port_event(self.index);
    }

    /// Begins one command; `false` when there is none to begin.
    fn fetch(self: &Arc<Self>, inner: &mut Inner) -> bool {
        if !inner.may_fetch() || !self.host.bus_master() {
            return false;
        }
        let ram = &*self.host.ram;
        let slot = inner.next_slot();
        let read = CommandHeader::read(ram, inner.clb, slot)
            .and_then(|header| Some((header, header.read_command(ram)?)));
        let Some((header, (fis, packet))) = read else {
            self.fatal(inner, irq::HBFS);
            return true;
        };
        // A command FIS has 2 to 16 double words (§4.2.2).
        let valid = (2..=16).contains(&header.fis_len());
        let Some(fis) = HostFis::parse(&fis).filter(|_| valid) else {
            self.fatal(inner, irq::IFS);
            return true;
        };
        let queued = inner.device.is_queued(&fis);
        if inner.soft_reset && fis.is_command {
            // A device in reset answers nothing.
            inner.status |= status::BSY;
            return true;
        }
        if fis.is_command && !queued && inner.in_flight > 0 {
            return false;
        }
        if inner.running[usize::from(slot)].is_some() {
            // Software reuses the tag of a command that has not ended.
            self.fatal(inner, irq::IFS);
            return true;
        }
        inner.current_slot = slot;
        if fis.is_command {
            let packet = header.is_packet().then_some(packet);
            let command = Command { slot, fis, packet, buffer: header.buffer(ram) };
            self.execute(inner, &header, &command);
        } else {
            self.control(inner, slot, &header, &fis);
        }
        true
    }

    /// A write of the device's control register: software reset (ATA8-ACS §9.2).
    fn control(&self, inner: &mut Inner, slot: u8, header: &CommandHeader, fis: &HostFis) {
        inner.ci &= !(1 << slot);
        if fis.resets() {
            inner.abort();
            inner.device.soft_reset();
            inner.soft_reset = true;
            inner.status = if header.clears_busy() { status::READY } else { status::BSY };
        } else if inner.soft_reset {
            inner.soft_reset = false;
            inner.signature_due = true;
            inner.status = status::BSY;
            self.settle(inner);
        }
    }

    fn execute(self: &Arc<Self>, inner: &mut Inner, header: &CommandHeader, command: &Command<'_>) {
        let byte_count = header.byte_count_address();
        let slot = command.slot;
        match inner.device.execute(command) {
            Outcome::Reply { task_file, phase, data } => {
                let written = if data.is_empty() { Ok(0) } else { command.buffer.write(&data) };
                match written {
                    Ok(bytes) => {
                        let interrupts = if bytes < data.len() { irq::OFS } else { 0 };
                        let bytes = bytes as u64;
                        let ending = Ending { phase, task_file, bytes, byte_count, interrupts };
                        self.finish(inner, slot, &ending);
                    }
                    Err(problem) => self.bad_buffer(inner, command, phase, problem, byte_count),
                }
            }
            Outcome::Work { work, phase, done } => {
                match self.begin(inner, command, work, phase, done, byte_count) {
                    Ok(()) if phase == Phase::Queued => {
                        inner.ci &= !(1 << slot);
                        // The device releases BSY once it has queued the command.
                        let queued = TaskFile::ok(&command.fis);
                        inner.status = queued.status;
                        inner.error = queued.error;
                        self.post_register(inner, &queued, false);
                    }
                    Ok(()) => inner.status = status::BSY | status::READY,
                    Err(problem) => self.bad_buffer(inner, command, phase, problem, byte_count),
                }
            }
            Outcome::BadBuffer(problem) => {
                self.bad_buffer(inner, command, Phase::Register, problem, byte_count);
            }
        }
    }

    /// Makes the first request of `work`.
    fn begin(
        self: &Arc<Self>,
        inner: &mut Inner,
        command: &Command<'_>,
        work: Work,
        phase: Phase,
        done: TaskFile,
        byte_count: GuestAddress,
    ) -> Result<(), BufferError> {
        let mut interrupts = 0;
        let mut segments = Vec::new();
        let (kind, operation, offset, bytes, rest) = match work {
            Work::Transfer { write, offset, bytes, then_flush } => {
                let scatter = command.buffer.scatter(bytes)?;
                interrupts = if scatter.interrupt { irq::DPS } else { 0 };
                segments = scatter.segments;
                let rest = if then_flush { Rest::Flush } else { Rest::Nothing };
                match write {
                    true => (Kind::Write, Operation::Write, offset, bytes, rest),
                    false => (Kind::Read, Operation::Read, offset, bytes, rest),
                }
            }
            Work::Flush => (Kind::Flush, Operation::Flush, 0, 0, Rest::Nothing),
            Work::Discard(mut ranges) => {
                let bytes = ranges.iter().map(|(_, len)| len).sum();
                let (offset, len) = ranges.pop().unwrap_or_default();
                (Kind::Discard, Operation::Discard { len }, offset, bytes, Rest::Discard(ranges))
            }
        };
        let fis = command.fis;
        let running = Running { fis, phase, done, rest, kind, bytes, byte_count, interrupts };
        inner.running[usize::from(command.slot)] = Some(running);
        self.enqueue(inner, command.slot, operation, offset, segments);
        Ok(())
    }

    /// Puts a request into the outbox; the caller pumps.
    fn enqueue(
        self: &Arc<Self>,
        inner: &mut Inner,
        slot: u8,
        operation: Operation,
        offset: u64,
        segments: Vec<Segment>,
    ) {
        let Some(backend) = inner.device.backend() else {
            // The medium left between two steps of one command.
            return self.advance(inner, slot, Err(io::ErrorKind::NotFound.into()));
        };
        // Weak: the block layer may keep a request for long, when the host's disk is full, and
        // must not keep its own disk open through it once the machine is gone.
        let (port, epoch) = (Arc::downgrade(self), inner.epoch);
        let done = Box::new(move |result| {
            if let Some(port) = port.upgrade() {
                port.request_done(slot, epoch, result);
            }
        });
        inner.in_flight += 1;
        let request = Request { operation, offset, segments, done };
        inner.outbox.push_back(Outgoing { backend, request });
    }

    /// The block layer has ended a request, on any thread.
    fn request_done(self: &Arc<Self>, slot: u8, epoch: u64, result: io::Result<()>) {
        let mut inner = self.inner.lock();
        if epoch == inner.epoch {
            inner.in_flight -= 1;
            self.advance(&mut inner, slot, result);
        } else {
            inner.stale -= 1;
            self.settle(&mut inner);
        }
        let more = !inner.pumping && (!inner.outbox.is_empty() || inner.may_fetch());
        if inner.is_quiet() {
            self.quiet.notify_all();
        }
        drop(inner);
        self.host.port_event(self.index);
        if more {
            self.pump();
        }
    }

    /// Goes on with the command in `slot`, whose request has ended.
    fn advance(self: &Arc<Self>, inner: &mut Inner, slot: u8, result: io::Result<()>) {
        let Some(mut running) = inner.running[usize::from(slot)].take() else { return };
        let Running { phase, byte_count, .. } = running;
        if let Err(problem) = result {
            tracing::warn!("port {}: {problem}", self.index);
            let task_file = inner.device.work_failed(&running.fis, running.kind != Kind::Read);
            let ending = Ending { phase, task_file, bytes: 0, byte_count, interrupts: 0 };
            return self.finish(inner, slot, &ending);
        }
        match &mut running.rest {
            Rest::Flush => {
                running.rest = Rest::Nothing;
                inner.running[usize::from(slot)] = Some(running);
                self.counters.flushed();
                return self.enqueue(inner, slot, Operation::Flush, 0, Vec::new());
            }
            Rest::Discard(ranges) => {
                if let Some((offset, len)) = ranges.pop() {
                    inner.running[usize::from(slot)] = Some(running);
                    let operation = Operation::Discard { len };
                    return self.enqueue(inner, slot, operation, offset, Vec::new());
                }
            }
            Rest::Nothing => {}
        }
        match running.kind {
            Kind::Read => self.counters.read(running.bytes),
            Kind::Write => self.counters.wrote(running.bytes),
            Kind::Flush => self.counters.flushed(),
            Kind::Discard => self.counters.discarded(running.bytes),
        }
        let Running { done: task_file, bytes, interrupts, .. } = running;
        self.finish(inner, slot, &Ending { phase, task_file, bytes, byte_count, interrupts });
    }

    /// Tells the guest that the command in `slot` has ended.
    fn finish(&self, inner: &mut Inner, slot: u8, ending: &Ending) {
        let Ending { phase, ref task_file, bytes, byte_count, interrupts } = *ending;
        if task_file.is_error() {
            return self.finish_failed(inner, slot, phase, task_file, interrupts);
        }
        let bit = 1 << slot;
        inner.error = task_file.error;
        if phase == Phase::Queued {
            // A set device bits FIS leaves BSY and DRQ alone.
            inner.status = inner.status & (status::BSY | status::DRQ) | task_file.status;
            inner.sact &= !bit;
            self.post(inner, fis::SET_DEVICE_BITS_OFFSET, &fis::set_device_bits(task_file, bit));
            self.set_interrupts(irq::SDBS | interrupts);
            return;
        }
        inner.status = task_file.status;
        inner.ci &= !bit;
        if !self.host.dma_write(byte_count, &(bytes as u32).to_le_bytes()) {
            return self.fatal(inner, irq::HBFS);
        }
        let mut raised = interrupts;
        if matches!(phase, Phase::PioIn | Phase::PacketPioIn) {
            // PIO moves one DRQ block after the other; the last one's FIS is what remains.
            let block = if phase == Phase::PioIn { bytes.min(512) } else { bytes.min(0xfffe) };
            self.post(inner, fis::PIO_SETUP_OFFSET, &fis::pio_setup(task_file, block as u16));
            raised |= irq::PSS;
        }
        if phase != Phase::PioIn {
            self.post_register(inner, task_file, true);
            raised |= irq::DHRS;
        }
        self.set_interrupts(raised);
    }

    /// A command failed: the engine halts, PxCI and PxSACT keep the bits of what did not end
    /// (AHCI 1.3.1 §6.2.2).
    fn finish_failed(
        &self,
        inner: &mut Inner,
        slot: u8,
        phase: Phase,
        task_file: &TaskFile,
        interrupts: u32,
    ) {
        let queued = phase == Phase::Queued;
        inner.error = task_file.error;
        inner.status = task_file.status;
        inner.halted = true;
        if queued {
            inner.device.queued_failed(slot, task_file);
            // The device drops the rest of the queue.
            inner.abort();
            self.post(inner, fis::SET_DEVICE_BITS_OFFSET, &fis::set_device_bits(task_file, 0));
            self.set_interrupts(irq::SDBS | irq::TFES | interrupts);
        } else {
            self.post_register(inner, task_file, true);
            self.set_interrupts(irq::DHRS | irq::TFES | interrupts);
        }
    }

    fn bad_buffer(
        &self,
        inner: &mut Inner,
        command: &Command<'_>,
        phase: Phase,
        problem: BufferError,
        byte_count: GuestAddress,
    ) {
        match problem {
            BufferError::Bus => self.fatal(inner, irq::HBFS),
            BufferError::Short => {
                if phase == Phase::Queued {
                    inner.ci &= !(1 << command.slot);
                }
                let task_file = TaskFile::failed(&command.fis, error::ABRT);
                let interrupts = irq::OFS;
                let ending = Ending { phase, task_file, bytes: 0, byte_count, interrupts };
                self.finish(inner, command.slot, &ending);
            }
        }
    }

    /// An error of the interface rather than the device (AHCI 1.3.1 §6.1): the engine halts.
    fn fatal(&self, inner: &mut Inner, interrupt: u32) {
        inner.halted = true;
        inner.abort();
        inner.serr |= if interrupt == irq::IFS { serr::PROTOCOL } else { serr::INTERNAL };
        self.set_interrupts(interrupt);
        self.settle(inner);
    }

    /// Puts a FIS into the received-FIS area.
    fn post(&self, inner: &mut Inner, offset: u64, fis: &[u8]) {
        if inner.cmd & cmd::FRE == 0 {
            return;
        }
        // PxFB is 256-byte aligned: this does not wrap.
        if !self.host.dma_write(GuestAddress(inner.fb + offset), fis) {
            inner.halted = true;
            inner.serr |= serr::INTERNAL;
            self.set_interrupts(irq::HBFS);
        }
    }

    pub(super) fn post_register(&self, inner: &mut Inner, task_file: &TaskFile, interrupt: bool) {
        self.post(inner, fis::REGISTER_OFFSET, &fis::register(task_file, interrupt));
    }
}

impl Inner {
    /// The slot to serve: the first issued one after the current, in a circle (§5.3.2.3).
    /// Called with PxCI non-zero.
    fn next_slot(&self) -> u8 {
        let turn = (u32::from(self.current_slot) + 1) % SLOTS as u32;
        ((self.ci.rotate_right(turn).trailing_zeros() + turn) % SLOTS as u32) as u8
    }
}
