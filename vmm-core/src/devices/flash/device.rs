//! The device on the memory bus, its mapping, and the thread that saves its contents.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::command::FlashState;
use super::memory::Cells;
use super::store::{FlashError, OnFailure, VarsFile};
use crate::bus::BusDevice;
use crate::memory::{Access, MemoryMapper, SlotId};
use crate::state::{Persist, Reset, RestoreError};
use crate::thread;

/// How long the guest has to leave the flash alone before its contents are saved.
const QUIET: Duration = Duration::from_millis(200);
/// The longest that a change waits while the guest keeps writing.
const LATEST: Duration = Duration::from_secs(5);
/// How long after a failure saving is tried again.
const RETRY: Duration = Duration::from_secs(5);

/// How the flash is mapped into the guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mapping {
    None,
    Mapped(SlotId),
    /// Mapping failed; reads exit until the guest next used commands.
    Refused,
}

struct Inner {
    cells: Cells,
    state: FlashState,
    mapping: Mapping,
    /// When the oldest and the newest change not saved yet were made.
    unsaved: Option<(Instant, Instant)>,
    /// Saving failed and was reported.
    failing: bool,
    closed: bool,
}

struct Shared {
    inner: Mutex<Inner>,
    changed: Condvar,
    /// Held while saving, so that an older copy never overwrites a newer one.
    file: Mutex<VarsFile>,
    on_failure: OnFailure,
}

/// UEFI variable flash. Writes of the guest are saved by a thread of its own; dropping the device
/// saves what is left and ends the thread.
pub struct Flash {
    shared: Arc<Shared>,
    base: u64,
    mapper: Arc<dyn MemoryMapper>,
    thread: Option<JoinHandle<()>>,
}

impl Flash {
    /// A flash at guest-physical `base` with the contents of `file`, which is made from
    /// `template` when there is none. `on_panic` hears of a panic in the saving thread.
    ///
    /// # Errors
    /// When the file cannot be read or made, or has another size than `template`; when the
    /// system is out of memory or threads.
    pub fn new(
        base: u64,
        file: VarsFile,
        template: &[u8],
        mapper: Arc<dyn MemoryMapper>,
        on_failure: OnFailure,
        on_panic: impl FnOnce(String) + Send + 'static,
    ) -> Result<Self, FlashError> {
        let contents = file.load(template)?;
        let inner = Inner {
            cells: Cells::new(&contents).map_err(FlashError::Resources)?,
            state: FlashState::power_on(),
            mapping: Mapping::None,
            unsaved: None,
            failing: false,
            closed: false,
        };
        let shared = Arc::new(Shared {
            inner: Mutex::new(inner),
            changed: Condvar::new(),
            file: Mutex::new(file),
            on_failure,
        });
        let saver = shared.clone();
        let thread =
            thread::spawn("flash", move || saver.run(), on_panic).map_err(FlashError::Resources)?;
        let flash = Self { shared, base, mapper, thread: Some(thread) };
        flash.map(&mut flash.shared.inner.lock());
        Ok(flash)
    }

    /// Where it lies in guest-physical memory.
    pub fn base(&self) -> u64 {
        self.base
    }

    /// Size in bytes.
    pub fn size(&self) -> u64 {
        self.shared.inner.lock().cells.bytes().len() as u64
    }

    /// Saves what is not saved yet; on return it is on disk.
    ///
    /// # Errors
    /// When the file cannot be replaced. The contents stay in memory and saving is tried again
    /// later.
    pub fn flush(&self) -> Result<(), FlashError> {
        self.shared.save()
    }

    fn map(&self, inner: &mut Inner) {
        if inner.mapping != Mapping::None || !inner.state.is_array() {
            return;
        }
        let (host, len) = (inner.cells.as_ptr(), inner.cells.bytes().len() as u64);
        // SAFETY: the cells are unmapped from the guest before they are freed: `drop` sees to it,
        // and `shared` lives at least as long as `self`.
        let mapped = unsafe { self.mapper.map(self.base, host, len, Access::ReadOnly) };
        inner.mapping = match mapped {
            Ok(slot) => Mapping::Mapped(slot),
            Err(error) => {
                tracing::warn!("the UEFI variables are not mapped, reads will be slow: {error}");
                Mapping::Refused
            }
        };
    }

    fn unmap(&self, inner: &mut Inner) {
        if let Mapping::Mapped(slot) = std::mem::replace(&mut inner.mapping, Mapping::None) {
            self.mapper.unmap(slot);
        }
    }
}

impl Drop for Flash {
    fn drop(&mut self) {
        self.shared.inner.lock().closed = true;
        self.shared.changed.notify_one();
        if let Some(thread) = self.thread.take() {
            // The thread's own panic was reported through `on_panic`.
            let _ = thread.join();
        }
        self.unmap(&mut self.shared.inner.lock());
    }
}

impl Shared {
    /// Saves the contents if they changed.
    fn save(&self) -> Result<(), FlashError> {
        let file = self.file.lock();
        let (contents, unsaved) = {
            let mut inner = self.inner.lock();
            let Some(unsaved) = inner.unsaved.take() else { return Ok(()) };
            (inner.cells.bytes().to_vec(), unsaved)
        };
        // Not under the device's lock: the guest goes on meanwhile.
        let saved = file.save(&contents);
        let mut inner = self.inner.lock();
        if saved.is_err() {
            let newest = inner.unsaved.map_or(unsaved.1, |(_, newest)| newest);
            inner.unsaved = Some((unsaved.0, newest));
            // The saving thread may have looked meanwhile and found nothing to do.
            self.changed.notify_one();
        } else {
            inner.failing = false;
        }
        saved
    }

    /// The saving thread.
    fn run(&self) {
        let mut inner = self.inner.lock();
        let mut not_before = Instant::now();
        loop {
            let closed = inner.closed;
            let Some((oldest, newest)) = inner.unsaved else {
                if closed {
                    return;
                }
                self.changed.wait(&mut inner);
                continue;
            };
            let due = (newest + QUIET).min(oldest + LATEST).max(not_before);
            if !closed && Instant::now() < due {
                self.changed.wait_until(&mut inner, due);
                continue;
            }
            let saved = parking_lot::MutexGuard::unlocked(&mut inner, || self.save());
            if let Err(error) = saved {
                not_before = Instant::now() + RETRY;
                let known = std::mem::replace(&mut inner.failing, true);
                // The last attempt is reported in any case: nobody will try again.
                if closed || !known {
                    parking_lot::MutexGuard::unlocked(&mut inner, || (self.on_failure)(error));
                }
                if closed {
                    return;
                }
            }
        }
    }
}

impl BusDevice for Flash {
    fn read(&self, offset: u64, data: &mut [u8]) {
        let Ok(offset) = usize::try_from(offset) else { return };
        let inner = &mut *self.shared.inner.lock();
        // The guest is done with commands: from the next read on it reads memory.
        self.map(inner);
        inner.state.read(&inner.cells, offset, data);
    }

    fn write(&self, offset: u64, data: &[u8]) {
        let Ok(offset) = usize::try_from(offset) else { return };
        let inner = &mut *self.shared.inner.lock();
        let room = inner.cells.bytes().len().saturating_sub(offset);
        if room == 0 {
            return;
        }
        let data = &data[..data.len().min(room)];
        let changed = inner.state.write(&mut inner.cells, offset, data);
        if !inner.state.is_array() {
            self.unmap(inner);
        }
        if changed {
            let now = Instant::now();
            let first = inner.unsaved.is_none();
            let oldest = inner.unsaved.map_or(now, |(oldest, _)| oldest);
            inner.unsaved = Some((oldest, now));
            if first {
                self.shared.changed.notify_one();
            }
        }
    }
}

impl Persist for Flash {
    type State = FlashState;

    fn save(&self) -> Self::State {
        self.shared.inner.lock().state.clone()
    }

    fn restore(&self, state: Self::State) -> Result<(), RestoreError> {
        let inner = &mut *self.shared.inner.lock();
        state
            .check(inner.cells.bytes().len())
            .map_err(|reason| RestoreError { device: "flash", reason: reason.into() })?;
        inner.state = state;
        if !inner.state.is_array() {
            self.unmap(inner);
        }
        self.map(inner);
        Ok(())
    }
}

impl Reset for Flash {
    /// Back to reading memory; what the cells hold stays.
    fn reset(&self) {
        let inner = &mut *self.shared.inner.lock();
        inner.state = FlashState::power_on();
        if inner.mapping == Mapping::Refused {
            inner.mapping = Mapping::None;
        }
        self.map(inner);
    }
}
