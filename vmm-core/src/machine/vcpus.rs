//! The vCPU threads: running together, standing still together, ending together.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::error::device_failed;
use super::message::ExitCounts;
use crate::bus::Bus;
use crate::kvm::{CoalescedRing, Exit, KickHandle, KvmError, Vcpu, prepare_kicks};
use crate::{sentence, text, thread};

/// What a vCPU thread has to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum VcpuReport {
    /// A vCPU triple-faulted and waits.
    TripleFault,
    /// A vCPU cannot go on; the text says why, in a sentence.
    Failed(String),
}

/// What a vCPU's exits are served by.
#[derive(Clone)]
pub(super) struct ExitContext {
    pub(super) ports: Arc<Bus>,
    pub(super) mmio: Arc<Bus>,
    pub(super) ring: Option<Arc<CoalescedRing>>,
}

impl ExitContext {
    fn before_access(&self) {
        if let Some(ring) = &self.ring {
            ring.drain();
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Park,
    Run,
    End,
}

struct Control {
    wanted: Wanted,
    /// Threads standing still.
    parked: usize,
    /// Threads that have ended, by order or by a panic.
    gone: usize,
}

#[derive(Default)]
struct Counters {
    io: AtomicU64,
    mmio: AtomicU64,
    other: AtomicU64,
}

struct Shared {
    control: Mutex<Control>,
    changed: Condvar,
}

impl Shared {
    fn running(&self) -> bool {
        self.control.lock().wanted == Wanted::Run
    }
}

struct Member {
    vcpu: Arc<Mutex<Vcpu>>,
    kick: KickHandle,
    counters: Arc<Counters>,
    thread: Option<JoinHandle<()>>,
}

/// All vCPUs of a machine, each with its thread.
pub(super) struct VcpuGroup {
    shared: Arc<Shared>,
    members: Vec<Member>,
}

/// Counts its thread as gone, however it ends.
struct Gone<'a> {
    shared: &'a Shared,
    vcpu: &'a Mutex<Vcpu>,
}

impl Drop for Gone<'_> {
    fn drop(&mut self) {
        self.vcpu.lock().unregister();
        self.shared.control.lock().gone += 1;
        self.shared.changed.notify_all();
    }
}

impl VcpuGroup {
    /// Starts a thread for each vCPU; all stand still. `report` is called on those threads.
    ///
    /// # Errors
    /// When the system refuses another thread.
    pub(super) fn new(
        vcpus: Vec<Vcpu>,
        context: &ExitContext,
        report: Arc<dyn Fn(VcpuReport) + Send + Sync>,
    ) -> std::io::Result<Self> {
        prepare_kicks();
        let control = Control { wanted: Wanted::Park, parked: 0, gone: 0 };
        let shared = Arc::new(Shared { control: Mutex::new(control), changed: Condvar::new() });
        let mut group = Self { shared: shared.clone(), members: Vec::new() };
        for (index, vcpu) in vcpus.into_iter().enumerate() {
            let kick = vcpu.kick_handle();
            let vcpu = Arc::new(Mutex::new(vcpu));
            let counters = Arc::new(Counters::default());
            let body = {
                let (vcpu, shared, counters) = (vcpu.clone(), shared.clone(), counters.clone());
                let (context, report) = (context.clone(), report.clone());
                move || vcpu_thread(&vcpu, &shared, &counters, &context, &*report)
            };
            let report = report.clone();
            let on_panic = move |message: String| {
                report(VcpuReport::Failed(device_failed(&message)));
            };
            let thread = thread::spawn(format!("vcpu{index}"), body, on_panic)?;
            group.members.push(Member { vcpu, kick, counters, thread: Some(thread) });
        }
        Ok(group)
    }

    /// Lets the vCPUs run.
    pub(super) fn run(&self) {
        self.shared.control.lock().wanted = Wanted::Run;
        self.shared.changed.notify_all();
    }

    /// Makes the vCPUs stand still between two instructions, and waits until they do.
    pub(super) fn park(&self) {
        self.shared.control.lock().wanted = Wanted::Park;
        self.shared.changed.notify_all();
        self.kick();
        let mut control = self.shared.control.lock();
        while control.parked + control.gone < self.members.len() {
            self.shared.changed.wait(&mut control);
        }
    }

    fn kick(&self) {
        for member in &self.members {
            member.kick.kick();
        }
    }

    /// Works on each vCPU in order. Only while they stand still.
    ///
    /// # Errors
    /// The first error of `work`.
    pub(super) fn each(
        &self,
        mut work: impl FnMut(&mut Vcpu) -> Result<(), KvmError>,
    ) -> Result<(), KvmError> {
        self.members.iter().try_for_each(|member| work(&mut member.vcpu.lock()))
    }

    /// Processor time of each vCPU's thread.
    pub(super) fn times(&self) -> Vec<Duration> {
        self.members.iter().map(|member| member.kick.cpu_time()).collect()
    }

    /// Exits of all vCPUs together.
    pub(super) fn exits(&self) -> ExitCounts {
        let sum = |count: fn(&Counters) -> &AtomicU64| {
            self.members.iter().map(|m| count(&m.counters).load(Ordering::Relaxed)).sum()
        };
        ExitCounts { io: sum(|c| &c.io), mmio: sum(|c| &c.mmio), other: sum(|c| &c.other) }
    }
}

impl Drop for VcpuGroup {
    fn drop(&mut self) {
        self.shared.control.lock().wanted = Wanted::End;
        self.shared.changed.notify_all();
        self.kick();
        for member in &mut self.members {
            if let Some(thread) = member.thread.take() {
                // A panic was reported through `on_panic`.
                let _ = thread.join();
            }
        }
    }
}

fn vcpu_thread(
    vcpu: &Mutex<Vcpu>,
    shared: &Shared,
    counters: &Counters,
    context: &ExitContext,
    report: &(dyn Fn(VcpuReport) + Send + Sync),
) {
    vcpu.lock().register();
    let _gone = Gone { shared, vcpu };
    loop {
        {
            let mut control = shared.control.lock();
            control.parked += 1;
            shared.changed.notify_all();
            while control.wanted == Wanted::Park {
                shared.changed.wait(&mut control);
            }
            control.parked -= 1;
            if control.wanted == Wanted::End {
                return;
            }
        }
        if let Some(news) = run_until_unwanted(&mut vcpu.lock(), shared, counters, context) {
            report(news);
            let mut control = shared.control.lock();
            while control.wanted == Wanted::Run {
                shared.changed.wait(&mut control);
            }
        }
    }
}

/// Runs one vCPU until the group is to stand still or the vCPU cannot go on.
fn run_until_unwanted(
    vcpu: &mut Vcpu,
    shared: &Shared,
    counters: &Counters,
    context: &ExitContext,
) -> Option<VcpuReport> {
    let news = loop {
        vcpu.arm();
        if !shared.running() {
            break None;
        }
        match enter_repeatedly(vcpu, counters, context) {
            Ok(Exit::Interrupted) => {}
            Ok(Exit::TripleFault) => break Some(VcpuReport::TripleFault),
            Ok(Exit::Broken { reason, detail, rip }) => {
                let text = text!(
                    "KVM cannot run the guest any further (exit reason {reason}, detail \
                     {detail}, at {address}).",
                    reason,
                    detail,
                    address = format_args!("{rip:#x}")
                );
                break Some(VcpuReport::Failed(text));
            }
            Ok(_) => {}
            Err(error) => break Some(VcpuReport::Failed(describe(&error))),
        }
    };
    let settled = vcpu.settle(&context.ports, &context.mmio, || context.before_access());
    match settled {
        Err(error) if news.is_none() => Some(VcpuReport::Failed(describe(&error))),
        _ => news,
    }
}

/// Enters the guest again and again without looking left or right, until a kick.
fn enter_repeatedly(
    vcpu: &mut Vcpu,
    counters: &Counters,
    context: &ExitContext,
) -> Result<Exit, KvmError> {
    loop {
        let exit = vcpu.run(&context.ports, &context.mmio, || context.before_access())?;
        let counter = match exit {
            Exit::Io => &counters.io,
            Exit::Mmio => &counters.mmio,
            Exit::Other => &counters.other,
            _ => return Ok(exit),
        };
        // Only this thread writes it.
        counter.store(counter.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }
}

fn describe(error: &KvmError) -> String {
    let event = error.to_string();
    sentence::ended(match std::error::Error::source(error) {
        Some(cause) => sentence::with_cause(&event, cause),
        None => event,
    })
}
