//! What showing a guest's screen costs: processor time, frames a second, and how long a key takes.
//!
//! `xvfb-run -a -s "-screen 0 1920x1200x24" cargo bench -p ui --bench display` prints the figures
//! and writes them to `target/bench/display.json`. The processor time is that of this process
//! without the thread that draws in the guest's place, as a share of one core.

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use gtk::glib::translate::IntoGlib;
use gtk::prelude::*;
use gtk::{gdk, glib};
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};
use ui::display::DisplayView;
use ui::fake::FakeDisplay;
use vmm_core::display::Rect;
use vmm_core::machine::Command;

/// The guest's screen.
const GUEST: (u32, u32) = (1920, 1080);
/// A tenth of it.
const CHANGING: Rect = Rect { x: 301, y: 203, width: 608, height: 341 };
/// How long each case is measured.
const TIME: Duration = Duration::from_secs(5);
/// Keys whose way is timed.
const KEYS: u32 = 300;

fn main() -> Result<(), Box<dyn Error>> {
    if std::env::var_os("GSK_RENDERER").is_none() {
        // SAFETY: no other thread exists yet.
        unsafe { std::env::set_var("GSK_RENDERER", "cairo") };
    }
    gtk::init()?;
    let mut figures = Vec::new();

    let stage = Stage::open(1920, 1080);
    let busy = stage.measure_changing();
    figures.push(figure("display: 10 % of 1920x1080 at 60 Hz", "% of a core", busy.cpu, 12.0));
    figures.push(rate("display: frames shown of 60", busy.frames));
    let idle = stage.measure_idle();
    figures.push(figure("display: 1920x1080, nothing changes", "% of a core", idle.cpu, 1.5));
    let key = stage.measure_keys()?;
    figures.push(figure("display: key press to command, median", "ms", key, 2.0));
    drop(stage);

    let stage = Stage::open(1280, 720);
    let scaled = stage.measure_changing();
    figures.push(figure("display: the same, scaled to 1280x720", "% of a core", scaled.cpu, 12.0));

    let path = report_path()?;
    std::fs::write(&path, serde_json::to_string_pretty(&figures)?)?;
    println!("written to {}", path.display());
    Ok(())
}

fn report_path() -> std::io::Result<PathBuf> {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target/bench"));
    std::fs::create_dir_all(&folder)?;
    Ok(folder.join("display.json"))
}

fn entry(name: &str, unit: &str, berth: f64, target: f64, higher_is_better: bool) -> Value {
    println!("{name}: {berth:.2} {unit} (target {target})");
    json!({
        "name": name, "unit": unit, "berth": berth, "peer": null, "ratio": null,
        "target": target, "higher_is_better": higher_is_better,
    })
}

/// A figure that is better when smaller.
fn figure(name: &str, unit: &str, value: f64, target: f64) -> Value {
    entry(name, unit, value, target, false)
}

fn rate(name: &str, value: f64) -> Value {
    entry(name, "frames/s", value, 55.0, true)
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
    commands: async_channel::Receiver<Command>,
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
        let (sender, commands) = async_channel::unbounded();
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
        Self { window, view, display, commands }
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

    /// How long a key press takes from GTK's controller to a thread that waits for commands, in
    /// milliseconds, median.
    fn measure_keys(&self) -> Result<f64, Box<dyn Error>> {
        self.view.grab_focus();
        run_for(Duration::from_millis(300));
        let controllers = self.window.observe_controllers();
        let keys = (0..controllers.n_items())
            .filter_map(|at| controllers.item(at).and_downcast::<gtk::EventControllerKey>())
            .find(|keys| keys.propagation_phase() == gtk::PropagationPhase::Capture)
            .ok_or("the view does not listen to keys")?;
        let (told, hear) = std::sync::mpsc::channel();
        let commands = self.commands.clone();
        let guest = std::thread::spawn(move || {
            while let Ok(Command::Keys(_)) = commands.recv_blocking() {
                if told.send(Instant::now()).is_err() {
                    break;
                }
            }
        });
        let mut times = Vec::new();
        let (a, none) = (gdk::Key::a.into_glib(), gdk::ModifierType::empty());
        for _ in 0..KEYS {
            let start = Instant::now();
            keys.emit_by_name::<bool>("key-pressed", &[&a, &38_u32, &none]);
            times.push(hear.recv()?.duration_since(start));
            keys.emit_by_name::<()>("key-released", &[&a, &38_u32, &none]);
            hear.recv()?;
            run_for(Duration::from_millis(2));
        }
        self.commands.close();
        guest.join().map_err(|_| "the thread that waits for keys failed")?;
        times.sort();
        Ok(times[times.len() / 2].as_secs_f64() * 1000.0)
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
