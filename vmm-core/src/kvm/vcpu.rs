//! One vCPU: entering the guest, leaving it, and being made to leave it.

use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use kvm_bindings::{KVM_EXIT_INTERNAL_ERROR, kvm_run, kvm_segment};
use kvm_ioctls::{VcpuExit, VcpuFd};
use parking_lot::Mutex;

use super::state::{Restore, VcpuState};
use super::{KvmError, Refusal};
use crate::boot::{InitialRegisters, Segment};
use crate::bus::Bus;

/// Why the guest was left, as far as the caller has to act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// A port was accessed; done.
    Io,
    /// An address without memory was accessed; done.
    Mmio,
    /// A kick or a signal.
    Interrupted,
    /// Something without consequence.
    Other,
    /// The vCPU triple-faulted.
    TripleFault,
    /// KVM cannot go on: its exit reason, the sub-reason, and where the guest was.
    Broken {
        /// `KVM_EXIT_*`.
        reason: u32,
        /// What KVM says of it; 0 when it says nothing.
        detail: u64,
        /// The instruction pointer.
        rip: u64,
    },
}

struct KickTarget {
    thread: libc::pthread_t,
    immediate_exit: *const AtomicU8,
}

// SAFETY: both fields are only used while the target is registered, see `KickHandle`.
unsafe impl Send for KickTarget {}

/// Makes a vCPU leave the guest, from any thread; also knows how long it has run.
#[derive(Clone, Default)]
pub struct KickHandle {
    /// Set while the vCPU's thread runs it.
    target: Arc<Mutex<Option<KickTarget>>>,
}

impl KickHandle {
    /// The vCPU leaves the guest, or does not enter it the next time it tries.
    pub fn kick(&self) {
        if let Some(target) = &*self.target.lock() {
            // SAFETY: the vCPU unregisters under this lock before its mapping or thread ends.
            unsafe {
                (*target.immediate_exit).store(1, Ordering::SeqCst);
                libc::pthread_kill(target.thread, kick_signal());
            }
        }
    }

    /// Processor time the vCPU's thread has used.
    pub fn cpu_time(&self) -> Duration {
        let target = self.target.lock();
        let Some(target) = &*target else { return Duration::ZERO };
        let mut clock = 0;
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: the thread lives, as above; both out-parameters are valid.
        let failed = unsafe {
            libc::pthread_getcpuclockid(target.thread, &mut clock) != 0
                || libc::clock_gettime(clock, &mut time) != 0
        };
        if failed {
            return Duration::ZERO;
        }
        Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
    }
}

fn kick_signal() -> libc::c_int {
    libc::SIGRTMIN()
}

/// Makes the kick signal interrupt KVM_RUN and nothing else. Once a process; more often does no
/// harm.
pub fn prepare_kicks() {
    extern "C" fn nothing(_: libc::c_int) {}
    // SAFETY: an all-zero sigaction is valid, and the handler is trivially signal-safe. Without
    // SA_RESTART, KVM_RUN returns EINTR.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = nothing as extern "C" fn(libc::c_int) as usize;
        libc::sigaction(kick_signal(), &action, std::ptr::null_mut());
    }
}

/// A vCPU with its KVM file descriptor.
pub struct Vcpu {
    fd: VcpuFd,
    run: *mut kvm_run,
    kick: KickHandle,
    /// MSRs that KVM lists and gives.
    msrs: Vec<u32>,
    /// State after creation, put back by a reset.
    initial: Option<Box<VcpuState>>,
    /// The exit before has to be completed by entering KVM once more.
    unfinished: bool,
}

// SAFETY: `run` points into the mapping that `fd` owns and is only used through `&mut self`.
unsafe impl Send for Vcpu {}

impl Vcpu {
    pub(super) fn new(mut fd: VcpuFd, msrs: Vec<u32>) -> Self {
        let run: *mut kvm_run = fd.get_kvm_run();
        Self { fd, run, kick: KickHandle::default(), msrs, initial: None, unfinished: false }
    }

    pub(super) fn fd(&self) -> &VcpuFd {
        &self.fd
    }

    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: the descriptor is open as long as `self.fd`.
        unsafe { BorrowedFd::borrow_raw(self.fd.as_raw_fd()) }
    }

    /// The handle that makes this vCPU leave the guest.
    pub fn kick_handle(&self) -> KickHandle {
        self.kick.clone()
    }

    /// The calling thread is the one that will run this vCPU, until [`Self::unregister`].
    pub fn register(&self) {
        // SAFETY: the field lies in the mapping that `self.fd` owns; it is one byte, and the
        // kernel too treats it as shared between threads.
        let immediate_exit = unsafe { &raw const (*self.run).immediate_exit };
        // SAFETY: no preconditions.
        let thread = unsafe { libc::pthread_self() };
        *self.kick.target.lock() =
            Some(KickTarget { thread, immediate_exit: immediate_exit.cast::<AtomicU8>() });
    }

    /// The calling thread will not run this vCPU any more.
    pub fn unregister(&self) {
        *self.kick.target.lock() = None;
    }

    /// Forgets kicks so far. The caller looks for what it may be wanted for after this and
    /// before [`Self::run`].
    pub fn arm(&mut self) {
        self.set_immediate_exit(0);
    }

    fn set_immediate_exit(&mut self, value: u8) {
        // SAFETY: as in `register`.
        let flag = unsafe { AtomicU8::from_ptr(&raw mut (*self.run).immediate_exit) };
        flag.store(value, Ordering::SeqCst);
    }

    /// Enters the guest until it leaves, and serves the access that it left for. `before` runs
    /// ahead of every access, to hand over what KVM gathered in the meantime.
    ///
    /// # Errors
    /// When KVM fails for a reason that is not the guest's.
    pub fn run(&mut self, ports: &Bus, mmio: &Bus, before: impl Fn()) -> Result<Exit, KvmError> {
        self.unfinished = false;
        let exit = match self.fd.run() {
            Ok(exit) => exit,
            Err(error) if matches!(error.errno(), libc::EINTR | libc::EAGAIN) => {
                return Ok(Exit::Interrupted);
            }
            Err(error) => return Err(error).or_refused("run a vCPU"),
        };
        match exit {
            VcpuExit::IoIn(port, data) => {
                before();
                // SAFETY: the exit was for a port, so this member of the union is valid; `run`
                // points into the mapping that `fd` owns.
                let size = usize::from(unsafe { (*self.run).__bindgen_anon_1.io.size }).max(1);
                for item in data.chunks_mut(size) {
                    ports.read(port.into(), item);
                }
                self.unfinished = true;
                Ok(Exit::Io)
            }
            VcpuExit::IoOut(port, data) => {
                before();
                // SAFETY: as above.
                let size = usize::from(unsafe { (*self.run).__bindgen_anon_1.io.size }).max(1);
                for item in data.chunks(size) {
                    ports.write(port.into(), item);
                }
                self.unfinished = true;
                Ok(Exit::Io)
            }
            VcpuExit::MmioRead(address, data) => {
                before();
                mmio.read(address, data);
                self.unfinished = true;
                Ok(Exit::Mmio)
            }
            VcpuExit::MmioWrite(address, data) => {
                before();
                mmio.write(address, data);
                self.unfinished = true;
                Ok(Exit::Mmio)
            }
            VcpuExit::Shutdown => Ok(Exit::TripleFault),
            VcpuExit::Intr | VcpuExit::IrqWindowOpen | VcpuExit::IoapicEoi(_) => Ok(Exit::Other),
            VcpuExit::InternalError => {
                // SAFETY: the exit reason says that this member of the union is valid.
                let detail = unsafe { (*self.run).__bindgen_anon_1.internal.suberror };
                Ok(self.broken(KVM_EXIT_INTERNAL_ERROR, detail.into()))
            }
            VcpuExit::FailEntry(reason, _) => {
                Ok(self.broken(kvm_bindings::KVM_EXIT_FAIL_ENTRY, reason))
            }
            VcpuExit::Hlt => Ok(self.broken(kvm_bindings::KVM_EXIT_HLT, 0)),
            _ => {
                // SAFETY: the field is always valid after an exit.
                let reason = unsafe { (*self.run).exit_reason };
                Ok(self.broken(reason, 0))
            }
        }
    }

    fn broken(&self, reason: u32, detail: u64) -> Exit {
        let rip = self.fd.get_regs().map_or(0, |regs| regs.rip);
        Exit::Broken { reason, detail, rip }
    }

    /// Completes the access that the last exit was for, so that the registers are those between
    /// two instructions. To be called before the state is looked at.
    ///
    /// # Errors
    /// When KVM fails.
    pub fn settle(&mut self, ports: &Bus, mmio: &Bus, before: impl Fn()) -> Result<(), KvmError> {
        // An access of many bytes, or across two pages, takes as many rounds; no instruction
        // makes more than a page's worth.
        for _ in 0..8192 {
            if !self.unfinished {
                break;
            }
            self.set_immediate_exit(1);
            self.run(ports, mmio, &before)?;
        }
        Ok(())
    }

    /// Remembers the state as the one that a reset puts back.
    ///
    /// # Errors
    /// When KVM fails.
    pub fn remember_initial(&mut self) -> Result<(), KvmError> {
        self.initial = Some(Box::new(VcpuState::save(&self.fd, &mut self.msrs)?));
        Ok(())
    }

    /// Puts the vCPU into the state after power-on.
    ///
    /// # Errors
    /// When KVM fails.
    pub fn reset(&mut self) -> Result<(), KvmError> {
        match &self.initial {
            Some(initial) => initial.restore(&self.fd, Restore::Reset),
            None => Ok(()),
        }
    }

    /// Takes the state out.
    ///
    /// # Errors
    /// When KVM fails.
    pub fn save(&mut self) -> Result<VcpuState, KvmError> {
        VcpuState::save(&self.fd, &mut self.msrs)
    }

    /// Puts a state in.
    ///
    /// # Errors
    /// When KVM fails or does not take the state.
    pub fn restore(&mut self, state: &VcpuState) -> Result<(), KvmError> {
        state.restore(&self.fd, Restore::All)
    }

    /// Tells the guest that it was not running for a while, so that its watchdogs do not blame
    /// it. Guests that do not use kvmclock cannot be told.
    pub fn was_paused(&self) {
        let _ = self.fd.kvmclock_ctrl();
    }

    /// Sets the registers a kernel is entered with.
    ///
    /// # Errors
    /// When KVM fails.
    pub fn enter_kernel(&mut self, entry: &InitialRegisters) -> Result<(), KvmError> {
        const IA32_MTRR_DEF_TYPE: u32 = 0x2ff;
        /// MTRRs on, default type write-back: what firmware would have set.
        const WRITE_BACK: u64 = 1 << 11 | 6;

        let mut sregs = self.fd.get_sregs().or_refused("read a vCPU's system registers")?;
        let segment = |s: &Segment| kvm_segment {
            base: s.base.into(),
            limit: s.limit,
            selector: s.selector,
            type_: s.access & 0xf,
            s: s.access >> 4 & 1,
            dpl: s.access >> 5 & 3,
            present: s.access >> 7,
            avl: s.flags & 1,
            l: s.flags >> 1 & 1,
            db: s.flags >> 2 & 1,
            g: s.flags >> 3 & 1,
            unusable: 0,
            padding: 0,
        };
        sregs.cs = segment(&entry.code);
        let data = segment(&entry.data);
        (sregs.ds, sregs.es, sregs.fs, sregs.gs, sregs.ss) = (data, data, data, data, data);
        sregs.tr = segment(&entry.task);
        sregs.gdt.base = entry.gdt.base;
        sregs.gdt.limit = entry.gdt.limit;
        sregs.idt.base = entry.idt.base;
        sregs.idt.limit = entry.idt.limit;
        sregs.cr0 = entry.cr0;
        sregs.cr3 = entry.cr3;
        sregs.cr4 = entry.cr4;
        sregs.efer = entry.efer;
        self.fd.set_sregs(&sregs).or_refused("set a vCPU's system registers")?;
        let regs = kvm_bindings::kvm_regs {
            rip: entry.rip,
            rsp: entry.rsp,
            rsi: entry.rsi,
            rbx: entry.rbx,
            rflags: entry.rflags,
            ..Default::default()
        };
        self.fd.set_regs(&regs).or_refused("set a vCPU's registers")?;
        let mtrr = kvm_bindings::kvm_msr_entry {
            index: IA32_MTRR_DEF_TYPE,
            data: WRITE_BACK,
            ..Default::default()
        };
        let msrs = kvm_bindings::Msrs::from_entries(&[mtrr]).expect("one entry fits");
        // A KVM that has no MTRRs treats all memory as write-back anyway.
        self.fd.set_msrs(&msrs).or_refused("set model-specific registers")?;
        Ok(())
    }
}
