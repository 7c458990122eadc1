//! How long a key takes from the widget to the guest.
//!
//! The guest is a real one, on `/dev/kvm`: it looks at its keyboard controller's status port
//! (i8042, port 0x64) without a pause, and sends each code that it finds to the serial port at
//! once. So the figure holds, beyond what it is about, the guest's way to find the code and to
//! tell.

#[path = "../../vmm-core/tests/guest/mod.rs"]
mod guest;
#[path = "../../vmm-core/benches/report/mod.rs"]
mod report;

use std::error::Error;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use gtk::glib::translate::IntoGlib;
use gtk::prelude::*;
use gtk::{gdk, glib};
use ui::display::DisplayView;
use vmm_core::machine::{Boot, Command, Machine, MachineConfig, SerialStart};
use vmm_core::units::Bytes;

use report::Report;

/// Keys whose way is timed.
const KEYS: u32 = 500;
/// How long a code may take until the benchmark has failed.
const LIMIT: Duration = Duration::from_secs(10);

/// Enables the keyboard's interface (command 0xAE), and its scanning (0xF4), which it acknowledges.
const ENABLE: &[u8] = &[0xb0, 0xae, 0xe6, 0x64, 0xb0, 0xf4, 0xe6, 0x60];
/// mov dx, 0x3f8
const SERIAL: &[u8] = &[0x66, 0xba, 0xf8, 0x03];
/// in al, 0x64; test al, 1; jz to the start; in al, 0x60; out dx, al; jmp to the start
const ECHO: &[u8] = &[0xe4, 0x64, 0xa8, 0x01, 0x74, 0xfa, 0xe4, 0x60, 0xee, 0xeb, 0xf5];
/// What the keyboard says to a command it takes.
const ACKNOWLEDGED: u8 = 0xfa;

/// The key A: its hardware code in X11 and Wayland, and its codes in scan code set 1, into which
/// the controller translates.
const A: u32 = 38;
const A_DOWN: u8 = 0x1e;
const A_UP: u8 = 0x9e;

fn main() -> Result<(), Box<dyn Error>> {
    gtk::init()?;
    let folder = tempfile::tempdir()?;
    let kernel = guest::kernel(folder.path(), "keys", &[ENABLE, SERIAL, ECHO]);
    let machine = Machine::new(&MachineConfig {
        name: "keys".into(),
        uuid: uuid::Uuid::new_v4(),
        memory: Bytes::mib(64),
        cpus: 1,
        boot: Boot::Kernel { kernel, initrd: None, command_line: String::new() },
        drives: Vec::new(),
        boot_first: None,
        network: None,
        agent: None,
        log: None,
    })?;
    let codes = listen(&machine);
    machine.commands().send_blocking(Command::Start)?;
    expect(&codes, ACKNOWLEDGED)?;

    let view = DisplayView::new();
    view.attach(machine.display(), machine.commands());
    let window = gtk::Window::builder().child(&view).build();
    window.present();
    view.grab_focus();
    run_for(Duration::from_secs(1));

    let mut times = measure(&window, &codes)?;
    times.sort();
    let milliseconds = |share: f64| {
        let at = (times.len() as f64 * share) as usize;
        times[at].as_secs_f64() * 1000.0
    };
    let mut report = Report::default();
    let name = "display: key press to the guest's controller";
    report.figure(&format!("{name}, median"), "ms", milliseconds(0.5), 2.0);
    println!("{name}, 99th percentile: {:.2} ms", milliseconds(0.99));
    report.write("keys");
    window.destroy();
    Ok(())
}

/// The codes that the guest finds, each with when it was told.
fn listen(machine: &Machine) -> mpsc::Receiver<(Instant, u8)> {
    let (told, codes) = mpsc::channel();
    let output = machine.serial(SerialStart::Scrollback).output;
    std::thread::spawn(move || {
        while let Some(bytes) = output.recv_blocking() {
            let now = Instant::now();
            if bytes.into_iter().any(|code| told.send((now, code)).is_err()) {
                break;
            }
        }
    });
    codes
}

/// Waits for this code; when it came.
fn expect(codes: &mpsc::Receiver<(Instant, u8)>, wanted: u8) -> Result<Instant, Box<dyn Error>> {
    let (when, code) = codes.recv_timeout(LIMIT)?;
    if code != wanted {
        return Err(format!("the guest found {code:#x}, not {wanted:#x}").into());
    }
    Ok(when)
}

fn measure(
    window: &gtk::Window,
    codes: &mpsc::Receiver<(Instant, u8)>,
) -> Result<Vec<Duration>, Box<dyn Error>> {
    let controllers = window.observe_controllers();
    let keys = (0..controllers.n_items())
        .filter_map(|at| controllers.item(at).and_downcast::<gtk::EventControllerKey>())
        .find(|keys| keys.propagation_phase() == gtk::PropagationPhase::Capture)
        .ok_or("the view does not listen to keys")?;
    let (a, none) = (gdk::Key::a.into_glib(), gdk::ModifierType::empty());
    let mut times = Vec::new();
    for _ in 0..KEYS {
        let start = Instant::now();
        keys.emit_by_name::<bool>("key-pressed", &[&a, &A, &none]);
        times.push(expect(codes, A_DOWN)?.duration_since(start));
        keys.emit_by_name::<()>("key-released", &[&a, &A, &none]);
        expect(codes, A_UP)?;
        run_for(Duration::from_millis(2));
    }
    Ok(times)
}

/// Lets GTK work for a while.
fn run_for(time: Duration) {
    let main_loop = glib::MainLoop::new(None, false);
    let end = main_loop.clone();
    glib::timeout_add_local_once(time, move || end.quit());
    main_loop.run();
}
