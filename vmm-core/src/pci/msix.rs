//! MSI-X: a table of messages in a BAR, one for each cause of an interrupt (PCI 3.0 §6.8.2).
//!
//! The capability itself is part of the configuration space ([`super::ConfigSpace::with_msix`]);
//! here are the table, the pending bits and the way a message takes. Where the interrupt
//! controller has routes (KVM's irqfd), a vector owns an eventfd whose writes send its message;
//! elsewhere messages are signalled one by one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering::SeqCst};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use vmm_sys_util::eventfd::EventFd;

use crate::interrupt::{InterruptController, MsiMessage, RouteId};
use crate::state::RestoreError;

/// Bytes of a table entry: address, upper address, data, vector control.
const ENTRY_LEN: u64 = 16;
const VECTOR_MASKED: u32 = 1;

const ENABLED: u8 = 1;
const MASK_ALL: u8 = 2;

/// A vector's table entry and pending bit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    address: u64,
    data: u32,
    masked: bool,
    pending: bool,
}

impl Entry {
    /// After reset every vector is masked (§6.8.2.9).
    const RESET: Self = Self { address: 0, data: 0, masked: true, pending: false };

    fn message(&self) -> MsiMessage {
        MsiMessage { address: self.address, data: self.data }
    }
}

/// The table and pending bits of a function.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MsixState {
    entries: Vec<Entry>,
}

/// A vector's eventfd and its route.
struct Route {
    id: RouteId,
    event: EventFd,
    /// What a write sends at the moment.
    sends: Option<MsiMessage>,
}

struct Vector {
    entry: Entry,
    route: Option<Route>,
}

/// The MSI-X table of one function. Every method is callable from any thread.
pub struct MsixTable {
    controller: Arc<dyn InterruptController>,
    control: AtomicU8,
    vectors: Box<[Mutex<Vector>]>,
}

impl MsixTable {
    /// A table of `vectors` vectors in its power-on state: disabled, everything masked.
    pub fn new(controller: Arc<dyn InterruptController>, vectors: u16) -> Self {
        let vector = || Mutex::new(Vector { entry: Entry::RESET, route: None });
        let vectors = (0..vectors).map(|_| vector()).collect();
        Self { controller, control: AtomicU8::new(0), vectors }
    }

    /// Number of vectors.
    pub fn len(&self) -> usize {
        self.vectors.len()
    }

    /// Whether there are no vectors.
    pub fn is_empty(&self) -> bool {
        self.vectors.is_empty()
    }

    /// Whether the guest has enabled MSI-X.
    pub fn enabled(&self) -> bool {
        self.control.load(SeqCst) & ENABLED != 0
    }

    /// Takes over what the configuration space says: enabled, and all vectors masked.
    pub fn set_control(&self, (enabled, mask_all): (bool, bool)) {
        let control = if enabled { ENABLED } else { 0 } | if mask_all { MASK_ALL } else { 0 };
        if self.control.swap(control, SeqCst) != control {
            for vector in &self.vectors {
                self.settle(&mut vector.lock());
            }
        }
    }

    /// The function wants to interrupt by vector `index`. Nothing happens while MSI-X is
    /// disabled or when there is no such vector; a masked vector becomes pending.
    pub fn signal(&self, index: u16) {
        let Some(vector) = self.vectors.get(usize::from(index)) else { return };
        let mut vector = vector.lock();
        if !self.enabled() {
            return;
        }
        vector.entry.pending = true;
        if self.may_send(&vector.entry) {
            self.send(&mut vector);
        }
    }

    /// Reads the table, `offset` bytes from its start.
    pub fn read_table(&self, offset: u64, data: &mut [u8]) {
        for (at, byte) in (offset..).zip(data) {
            let Some(vector) = self.vector_at(at) else { continue };
            let entry = vector.lock().entry;
            *byte = table_bytes(&entry)[(at % ENTRY_LEN) as usize];
        }
    }

    /// Writes the table, `offset` bytes from its start.
    pub fn write_table(&self, offset: u64, data: &[u8]) {
        // Aligned double words and quad words are what software may use (§6.8.2), and neither
        // crosses an entry.
        let Some(vector) = self.vector_at(offset) else { return };
        let start = (offset % ENTRY_LEN) as usize;
        let mut vector = vector.lock();
        let mut bytes = table_bytes(&vector.entry);
        for (to, from) in bytes[start..].iter_mut().zip(data) {
            *to = *from;
        }
        let word = |at: usize| u32::from_le_bytes([0, 1, 2, 3].map(|i| bytes[at + i]));
        vector.entry.address = u64::from(word(0) & !3) | u64::from(word(4)) << 32;
        vector.entry.data = word(8);
        vector.entry.masked = word(12) & VECTOR_MASKED != 0;
        self.settle(&mut vector);
    }

    /// Reads the pending bits, `offset` bytes from their start.
    pub fn read_pending(&self, offset: u64, data: &mut [u8]) {
        for (at, byte) in (offset..).zip(data) {
            let first = at.saturating_mul(8);
            *byte = (0..8).fold(0, |bits, bit| {
                let index = usize::try_from(first + bit).unwrap_or(usize::MAX);
                let pending = self.vectors.get(index).is_some_and(|v| v.lock().entry.pending);
                bits | u8::from(pending) << bit
            });
        }
    }

    /// Back to power-on state.
    pub fn reset(&self) {
        self.control.store(0, SeqCst);
        for vector in &self.vectors {
            let mut vector = vector.lock();
            vector.entry = Entry::RESET;
            self.settle(&mut vector);
        }
    }

    /// Takes the state out.
    pub fn save(&self) -> MsixState {
        MsixState { entries: self.vectors.iter().map(|vector| vector.lock().entry).collect() }
    }

    /// Says what is wrong with `state`, if anything.
    ///
    /// # Errors
    /// When it is of another number of vectors.
    pub fn check(&self, state: &MsixState) -> Result<(), RestoreError> {
        if state.entries.len() == self.vectors.len() {
            return Ok(());
        }
        Err(RestoreError { device: "MSI-X", reason: "another number of vectors".into() })
    }

    /// Puts a state in that passed [`Self::check`]; `control` is what the configuration space
    /// says.
    pub fn restore(&self, state: &MsixState, control: (bool, bool)) {
        self.control.store(0, SeqCst);
        for (vector, entry) in self.vectors.iter().zip(&state.entries) {
            vector.lock().entry = Entry { address: entry.address & !3, ..*entry };
        }
        self.set_control(control);
    }

    fn vector_at(&self, offset: u64) -> Option<&Mutex<Vector>> {
        self.vectors.get(usize::try_from(offset / ENTRY_LEN).ok()?)
    }

    fn may_send(&self, entry: &Entry) -> bool {
        self.control.load(SeqCst) == ENABLED && !entry.masked
    }

    /// Follows a change of the entry or of what masks it.
    fn settle(&self, vector: &mut Vector) {
        if vector.entry.pending && self.may_send(&vector.entry) {
            self.send(vector);
        }
    }

    /// Sends the message of an unmasked vector.
    fn send(&self, vector: &mut Vector) {
        vector.entry.pending = false;
        if vector.route.is_none() {
            vector.route = self.new_route();
        }
        let message = vector.entry.message();
        match &mut vector.route {
            Some(route) => {
                // Fails only when the counter is at its end, and then the message is on its way.
                if self.connect(route, message) {
                    let _ = route.event.write(1);
                }
            }
            None => self.controller.signal_msi(message),
        }
    }

    /// Makes the route send `message`.
    fn connect(&self, route: &mut Route, message: MsiMessage) -> bool {
        if route.sends == Some(message) {
            return true;
        }
        match self.controller.connect(route.id, &route.event, message) {
            Ok(()) => route.sends = Some(message),
            Err(error) => {
                tracing::debug!("message-signalled interrupt {message:x?}: {error}");
                route.sends = None;
            }
        }
        route.sends.is_some()
    }

    fn new_route(&self) -> Option<Route> {
        let id = self.controller.add_route()?;
        match EventFd::new(libc::EFD_NONBLOCK | libc::EFD_CLOEXEC) {
            Ok(event) => Some(Route { id, event, sends: None }),
            Err(error) => {
                tracing::warn!("no eventfd for an interrupt: {error}");
                self.controller.remove_route(id);
                None
            }
        }
    }
}

impl Drop for MsixTable {
    fn drop(&mut self) {
        for vector in &mut self.vectors {
            let Some(route) = vector.get_mut().route.take() else { continue };
            if route.sends.is_some() {
                self.controller.disconnect(route.id, &route.event);
            }
            self.controller.remove_route(route.id);
        }
    }
}

fn table_bytes(entry: &Entry) -> [u8; ENTRY_LEN as usize] {
    let mut bytes = [0; ENTRY_LEN as usize];
    bytes[..8].copy_from_slice(&entry.address.to_le_bytes());
    bytes[8..12].copy_from_slice(&entry.data.to_le_bytes());
    bytes[12] = u8::from(entry.masked);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interrupt::Recorder;

    const ON: (bool, bool) = (true, false);

    fn table() -> (MsixTable, Arc<Recorder>) {
        let recorder = Arc::new(Recorder::default());
        (MsixTable::new(recorder.clone(), 3), recorder)
    }

    fn set(table: &MsixTable, vector: u64, data: u32, masked: bool) {
        let at = vector * ENTRY_LEN;
        table.write_table(at, &0xfee0_0000u64.to_le_bytes());
        table.write_table(at + 8, &data.to_le_bytes());
        table.write_table(at + 12, &u32::from(masked).to_le_bytes());
    }

    fn sent(recorder: &Recorder) -> Vec<u32> {
        std::mem::take(&mut *recorder.messages.lock()).iter().map(|message| message.data).collect()
    }

    fn pending(table: &MsixTable) -> u8 {
        let mut data = [0xff];
        table.read_pending(0, &mut data);
        data[0]
    }

    #[test]
    fn masked_vectors_wait() {
        let (table, recorder) = table();
        set(&table, 0, 40, false);
        set(&table, 1, 41, true);
        table.signal(0);
        assert!(sent(&recorder).is_empty());
        table.set_control(ON);
        // What was signalled while MSI-X was off is gone: the pin announced it.
        assert_eq!((sent(&recorder), pending(&table)), (vec![], 0));
        for vector in [0, 1, 1, 9] {
            table.signal(vector);
        }
        assert_eq!((sent(&recorder), pending(&table)), (vec![40], 2));
        set(&table, 1, 42, false);
        assert_eq!((sent(&recorder), pending(&table)), (vec![42], 0));
        table.set_control((true, true));
        table.signal(0);
        assert_eq!((sent(&recorder), pending(&table)), (vec![], 1));
        table.set_control(ON);
        assert_eq!((sent(&recorder), pending(&table)), (vec![40], 0));
    }

    #[test]
    fn the_table_reads_back_and_moves_to_another() {
        let (table, _) = table();
        set(&table, 2, 7, false);
        table.write_table(32, &[3]);
        let mut data = [0; 16];
        table.read_table(32, &mut data);
        assert_eq!(data, [0, 0, 0xe0, 0xfe, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0]);
        table.set_control((true, true));
        table.signal(2);
        let state = table.save();
        let (other, recorder) = self::table();
        other.check(&state).unwrap();
        other.restore(&state, (true, true));
        assert_eq!((other.save(), pending(&other)), (state, 4));
        other.set_control(ON);
        assert_eq!(sent(&recorder), [7]);
        other.reset();
        assert_eq!(other.save(), self::table().0.save());
    }
}
