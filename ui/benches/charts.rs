//! What charts cost while nothing else happens: the processor time of a process whose window shows
//! a running machine's resources, and of one with the window alone.

#[path = "../../vmm-core/benches/report/mod.rs"]
mod report;

use std::cell::Cell;
use std::time::{Duration, Instant};

use adw::prelude::*;
use gtk::glib;
use ui::resources::{History, Limits, Quantity, ResourcesPage, Sparkline};
use vmm_core::machine::{DiskStatistics, Statistics};
use vmm_core::units::Bytes;

use report::Report;

/// Most of a core that visible charts may take, in percent.
const TARGET: f64 = 1.5;
/// How long each is measured.
const LENGTH: Duration = Duration::from_secs(20);

fn main() {
    if std::env::args().any(|argument| argument == "--list") {
        return;
    }
    adw::init().expect("a display");
    let main_loop = glib::MainContext::default();
    let rows = main_loop.block_on(async {
        let page = ResourcesPage::new();
        let history = History::new();
        page.set_history(Some(&history));
        let line = Sparkline::new(Quantity::Cpu);
        line.set_history(Some(&history));
        let content = gtk::Box::new(gtk::Orientation::Vertical, 0);
        content.append(&line);
        content.append(&page);
        page.set_vexpand(true);
        let window = adw::Window::builder().default_width(1100).default_height(750).build();
        window.set_content(Some(&content));
        window.present();
        run_machine(&history);
        // Until the minute is full, so that whole curves are drawn.
        glib::timeout_future(Duration::from_secs(3)).await;
        let mut rows = Vec::new();
        for (name, animated) in
            [("idle window, charts visible", true), ("the same without sliding", false)]
        {
            page.timeline().set_animated(animated);
            rows.push((name, share_of_a_core().await));
        }
        content.set_visible(false);
        glib::timeout_future(Duration::from_secs(1)).await;
        rows.push(("idle window, charts hidden", share_of_a_core().await));
        rows
    });
    let mut report = Report::default();
    for (name, share) in rows {
        report.figure(name, "% of a core", share, TARGET);
    }
    report.write("charts");
}

/// Feeds `history` as a running machine does, with a full minute first.
fn run_machine(history: &History) {
    let limits = Limits { cpus: 2, host_cpus: 8, memory: Bytes::gib(2) };
    history.start(limits, vec!["disk.qcow2".into()]);
    let second = Cell::new(0u64);
    let history = history.clone();
    let tick = move || {
        let n = second.get() + 1;
        second.set(n);
        let busy = Duration::from_millis(n * 900 + (n % 7) * 30);
        let statistics = Statistics {
            uptime: Duration::from_secs(n),
            vcpu_time: vec![busy, busy / 2],
            resident: (300 + n % 60) << 20,
            disks: vec![DiskStatistics {
                read_bytes: n * 1_000_000 + (n % 5) * 100_000,
                written_bytes: n * 300_000 + (n % 3) * 40_000,
                ..DiskStatistics::default()
            }],
            ..Statistics::default()
        };
        history.record_at((&statistics).into(), n as f64, n as i64);
    };
    (0..60).for_each(|_| tick());
    glib::timeout_add_local(Duration::from_secs(1), move || {
        tick();
        glib::ControlFlow::Continue
    });
}

/// Percent of a core that this process takes while its main loop runs.
async fn share_of_a_core() -> f64 {
    let (before, start) = (processor_time(), Instant::now());
    glib::timeout_future(LENGTH).await;
    let used = processor_time().saturating_sub(before);
    100.0 * used.as_secs_f64() / start.elapsed().as_secs_f64()
}

/// What all threads of this process have used: the first field of `schedstat`, in nanoseconds
/// (Linux, Documentation/scheduler/sched-stats.rst).
fn processor_time() -> Duration {
    let tasks = std::fs::read_dir("/proc/self/task").expect("/proc");
    let nanoseconds = tasks
        .flatten()
        .filter_map(|task| {
            let text = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
            text.split_whitespace().next()?.parse::<u64>().ok()
        })
        .sum();
    Duration::from_nanos(nanoseconds)
}
