//! What tests of widgets share: a window, its picture, and a watch on the GUI's thread.
#![allow(dead_code, missing_docs)] // Each test program uses a part of it.

use std::cell::Cell;
use std::path::PathBuf;
use std::process::Command;
use std::rc::Rc;
use std::time::{Duration, Instant};

use adw::prelude::*;
use gtk::{glib, graphene};

/// Shows `content` in a window of this size.
pub(crate) async fn show(content: &impl IsA<gtk::Widget>, width: i32, height: i32) -> adw::Window {
    adw::init().unwrap();
    let window = adw::Window::builder().default_width(width).default_height(height).build();
    window.set_content(Some(content));
    window.present();
    wait(|| content.is_mapped()).await;
    pause(100).await;
    window
}

/// Lets the main loop run for `milliseconds`.
pub(crate) async fn pause(milliseconds: u64) {
    glib::timeout_future(Duration::from_millis(milliseconds)).await;
}

/// Lets the main loop run until `done`, for a minute at most.
#[track_caller]
pub(crate) fn wait(done: impl Fn() -> bool) -> impl Future<Output = ()> {
    wait_at(done, std::panic::Location::caller())
}

async fn wait_at(done: impl Fn() -> bool, place: &std::panic::Location<'_>) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(60), "waited in vain at {place}");
        pause(10).await;
    }
}

/// What the window draws, `scale` pixels to one of the layout; `None` while it is about to draw
/// something else.
fn node(window: &impl IsA<gtk::Window>, scale: u32) -> Option<gtk::gsk::RenderNode> {
    let window: &gtk::Window = window.as_ref();
    let paintable = gtk::WidgetPaintable::new(Some(window));
    let snapshot = gtk::Snapshot::new();
    snapshot.scale(scale as f32, scale as f32);
    paintable.snapshot(&snapshot, window.width().into(), window.height().into());
    snapshot.to_node()
}

/// Keeps a picture of the window under target/screens, `scale` pixels to one of the layout.
pub(crate) async fn picture(window: &impl IsA<gtk::Window>, name: &str, scale: u32) {
    wait(|| node(window, scale).is_some()).await;
    let node = node(window, scale).unwrap();
    let window: &gtk::Window = window.as_ref();
    let (width, height) = (window.width() as f32, window.height() as f32);
    let renderer = window.native().and_then(|native| native.renderer()).unwrap();
    let bounds = graphene::Rect::new(0.0, 0.0, width * scale as f32, height * scale as f32);
    let texture = renderer.render_texture(&node, Some(&bounds));
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target/screens"));
    std::fs::create_dir_all(&folder).unwrap();
    texture.save_to_png(folder.join(format!("{name}-{scale}x.png"))).unwrap();
}

/// Pictures of the window in light and dark, or in high contrast where this process has it.
pub(crate) async fn pictures(window: &impl IsA<gtk::Window>, name: &str) {
    let style = adw::StyleManager::default();
    for (scheme, mode) in
        [(adw::ColorScheme::ForceLight, "light"), (adw::ColorScheme::ForceDark, "dark")]
    {
        style.set_color_scheme(scheme);
        pause(400).await;
        let contrast = if style.is_high_contrast() { "-contrast" } else { "" };
        for scale in [1, 2] {
            picture(window, &format!("{name}-{mode}{contrast}"), scale).await;
        }
    }
    style.set_color_scheme(adw::ColorScheme::Default);
}

/// Runs the test `name` of this program again in a process with high contrast.
pub(crate) fn again_in_high_contrast(name: &str) {
    const VARIABLE: &str = "ADW_DEBUG_HIGH_CONTRAST";
    if std::env::var_os(VARIABLE).is_some() {
        assert!(adw::StyleManager::default().is_high_contrast());
        return;
    }
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name])
        .env(VARIABLE, "1")
        .status()
        .unwrap();
    assert!(status.success(), "{name} in high contrast");
}

/// Measures how long the main loop is away at most.
pub(crate) struct Watchdog {
    worst: Rc<Cell<Away>>,
    source: Option<glib::SourceId>,
}

/// For how long something else could not happen.
#[derive(Clone, Copy, Default, Debug)]
struct Away {
    /// What this thread worked meanwhile.
    working: Duration,
    /// By the clock, without the time in which other processes had the processor.
    waiting: Duration,
}

impl Watchdog {
    pub(crate) fn start() -> Self {
        let worst = Rc::new(Cell::new(Away::default()));
        let last = Cell::new((Instant::now(), processor_time()));
        let seen = worst.clone();
        let every = Duration::from_millis(5);
        let beat = move || {
            let now = (Instant::now(), processor_time());
            let before = last.replace(now);
            let (worked, queued) = (now.1.0 - before.1.0, now.1.1 - before.1.1);
            let late = now.0.duration_since(before.0).saturating_sub(every + queued);
            let worst = seen.get();
            seen.set(Away { working: worst.working.max(worked), waiting: worst.waiting.max(late) });
            glib::ControlFlow::Continue
        };
        let source = glib::timeout_add_local_full(every, glib::Priority::HIGH, beat);
        Self { worst, source: Some(source) }
    }

    /// Fails when the window was held up for 100 ms or more. What the thread slept counts from
    /// half a second on: on a busy computer the X server, too, waits for its turn.
    pub(crate) fn check(&self) {
        let worst = self.worst.get();
        println!("longest stall: {worst:?}");
        assert!(worst.working < Duration::from_millis(100), "{worst:?}");
        assert!(worst.waiting < Duration::from_millis(500), "{worst:?}");
    }
}

/// How long this thread has worked and how long it has waited for a processor: the first fields of
/// `schedstat`, in nanoseconds (Linux, Documentation/scheduler/sched-stats.rst).
fn processor_time() -> (Duration, Duration) {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    let mut fields = text.split_whitespace().map(|field| field.parse().unwrap());
    let mut next = || Duration::from_nanos(fields.next().unwrap());
    (next(), next())
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        if let Some(source) = self.source.take() {
            source.remove();
        }
    }
}
