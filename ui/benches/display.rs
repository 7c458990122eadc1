//! What showing a guest's screen costs: processor time and frames a second.
//!
//! `xvfb-run -a -s "-screen 0 1920x1200x24" cargo bench -p ui --bench display` prints the figures
//! and writes them to `target/bench/display.json`. The processor time is that of this process
//! without the thread that draws in the guest's place, as a share of one core.

#[path = "../../vmm-core/benches/report/mod.rs"]
mod report;

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use gtk::glib;
use gtk::prelude::*;
use rustix::time::{ClockId, clock_gettime};
use ui::display::DisplayView;
use ui::fake::FakeDisplay;
use vmm_core::display::Rect;

use report::Report;

/// The guest's screen.
const GUEST: (u32, u32) = (1920, 1080);
/// A tenth of it.
const CHANGING: Rect = Rect { x: 301, y: 203, width: 608, height: 341 };
/// How long each case is measured.
const TIME: Duration = Duration::from_secs(5);

fn main() -> Result<(), Box<dyn Error>> {
    if std::env::var_os("GSK_RENDERER").is_none() {
        // SAFETY: no other thread exists yet.
        unsafe { std::env::set_var("GSK_RENDERER", "cairo") };
    }
    gtk::init()?;
    let mut report = Report::default();
    let core = "% of a core";

    let stage = Stage::open(1920, 1080);
    let busy = stage.measure_changing();
    report.figure("display: 10 % of 1920x1080 at 60 Hz", core, busy.cpu, 12.0);
    report.rate("display: frames shown of 60", "frames/s", busy.frames, 55.0);
    let idle = stage.measure_idle();
    report.figure("display: 1920x1080, nothing changes", core, idle.cpu, 1.5);
    drop(stage);

    let stage = Stage::open(1280, 720);
    let scaled = stage.measure_changing();
    report.figure("display: the same, scaled to 1280x720", core, scaled.cpu, 12.0);
    report.write("display");
    Ok(())
}

struct Measured {
    /// Percent of a core.
    cpu: f64,
    /// A second.
    frames: f64,
}

struct Stage {
    window: gtk::Window,
    view: DisplayView,
    display: Arc<FakeDisplay>,
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.window.destroy();
    }
}

impl Stage {
    fn open(width: i32, height: i32) -> Self {
        let view = DisplayView::new();
        let display = Arc::new(FakeDisplay::new(GUEST.0, GUEST.1));
        let (sender, _) = async_channel::unbounded();
        view.attach(display.clone(), sender);
        let window = gtk::Window::builder()
            .decorated(false)
            .default_width(width)
            .default_height(height)
            .child(&view)
            .build();
        window.present();
        run_for(Duration::from_secs(1));
        assert_eq!((view.width(), view.height()), (width, height), "the X screen is too small");
        Self { window, view, display }
    }

    /// With a guest that changes a tenth of its screen at every frame.
    fn measure_changing(&self) -> Measured {
        let guest = Guest::draw(self.display.clone());
        run_for(Duration::from_secs(1));
        let measured = self.measure(|| guest.cpu());
        guest.stop();
        measured
    }

    /// With a guest that does nothing.
    fn measure_idle(&self) -> Measured {
        run_for(Duration::from_secs(4));
        self.measure(|| Duration::ZERO)
    }

    fn measure(&self, others: impl Fn() -> Duration) -> Measured {
        let used = || process_cpu().saturating_sub(others());
        let (start, cpu, frames) = (Instant::now(), used(), self.view.frames());
        run_for(TIME);
        let seconds = start.elapsed().as_secs_f64();
        Measured {
            cpu: (used() - cpu).as_secs_f64() / seconds * 100.0,
            frames: (self.view.frames() - frames) as f64 / seconds,
        }
    }
}

/// A thread that draws as a guest would.
struct Guest {
    over: Arc<AtomicBool>,
    /// Nanoseconds of processor time it has used.
    cpu: Arc<AtomicU64>,
    thread: JoinHandle<()>,
}

impl Guest {
    fn draw(display: Arc<FakeDisplay>) -> Self {
        let (over, cpu) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let thread = std::thread::spawn({
            let (over, cpu) = (over.clone(), cpu.clone());
            move || {
                let mut due = Instant::now();
                for shade in (0..=255).cycle() {
                    if over.load(Ordering::Relaxed) {
                        break;
                    }
                    display.fill(CHANGING, [shade, 255 - shade, 64]);
                    let used = time(ClockId::ThreadCPUTime).as_nanos();
                    cpu.store(u64::try_from(used).unwrap_or(u64::MAX), Ordering::Relaxed);
                    due += Duration::from_nanos(16_666_667);
                    std::thread::sleep(due.saturating_duration_since(Instant::now()));
                }
            }
        });
        Self { over, cpu, thread }
    }

    fn cpu(&self) -> Duration {
        Duration::from_nanos(self.cpu.load(Ordering::Relaxed))
    }

    fn stop(self) {
        self.over.store(true, Ordering::Relaxed);
        let _ = self.thread.join();
    }
}

fn time(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    Duration::new(time.tv_sec.try_into().unwrap_or(0), time.tv_nsec.try_into().unwrap_or(0))
}

fn process_cpu() -> Duration {
    time(ClockId::ProcessCPUTime)
}

/// Lets GTK work for a while, without using the processor itself.
fn run_for(time: Duration) {
    let main_loop = glib::MainLoop::new(None, false);
    let end = main_loop.clone();
    glib::timeout_add_local_once(time, move || end.quit());
    main_loop.run();
}
