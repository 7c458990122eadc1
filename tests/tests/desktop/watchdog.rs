//! The watch over the window's thread, which every test keeps: it must see what it is there for.

use std::thread;
use std::time::Duration;

use berth_tests::desktop::{App, Desktop};
use rustix::process::Signal;

/// More than a person may be kept waiting.
const STALL: Duration = Duration::from_millis(250);
/// On a busy machine not every one can be told from what the machine is to blame for.
const STALLS: usize = 8;

#[test]
fn a_window_that_does_not_answer_is_noticed() {
    let desktop = Desktop::start("watchdog");
    let mut app = App::start(&desktop, [""; 0]);
    app.find("label", "No Virtual Machines Yet");
    app.milestone("stops");
    for _ in 0..STALLS {
        app.signal(Signal::STOP);
        thread::sleep(STALL);
        app.signal(Signal::CONT);
        thread::sleep(STALL);
    }
    let stalls = app.stalls();
    let seen: Vec<_> = stalls.iter().map(ToString::to_string).collect();
    let noticed = stalls.iter().any(|stall| stall.during == "after stops");
    assert!(noticed, "none was noticed: {seen:?}");
    app.quit();
}
