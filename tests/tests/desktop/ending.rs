//! The end of the program while machines run, and what was deleted before.

use std::fs;

use berth_tests::desktop::{App, Desktop, new_machine, store};
use rustix::process::Signal;

use crate::own::obedient;

#[test]
fn sigterm_shuts_guests_down_in_order() {
    let desktop = Desktop::start("sigterm");
    for name in ["one", "two"] {
        obedient(&desktop, name);
    }
    let app = App::start(&desktop, [""; 0]);
    for name in ["one", "two"] {
        app.choose(name);
        app.press("button", "Start");
        app.find("list item", &format!("{name}, Running"));
    }
    // The firmware does not listen: the guests have to be there.
    for name in ["one", "two"] {
        app.choose(name);
        app.until_within(crate::guest::BOOT, "the guest is there", || {
            app.screen().contains("Booting from Hard Disk")
        });
    }
    app.milestone("running");
    app.signal(Signal::TERM);
    // Guests that have to be forced get 80 seconds, which is more than this waits for.
    assert!(app.ended().success());
    let app = App::start(&desktop, [""; 0]);
    for name in ["one", "two"] {
        app.find("list item", &format!("{name}, Off"));
    }
    app.quit();
}

#[test]
fn what_was_deleted_is_gone_when_the_program_ends() {
    let desktop = Desktop::start("deleted-at-end");
    new_machine(&desktop, &["gone", "--firmware", "bios", "--memory", "64M", "--size", "1G"]);
    let app = App::start(&desktop, [""; 0]);
    app.choose("gone");
    app.key("ctrl+Delete");
    app.find("label", "“gone” deleted");
    app.quit();
    let left: Vec<_> = fs::read_dir(store(&desktop))
        .expect("the store")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.is_dir())
        .collect();
    assert!(left.is_empty(), "{left:?}");
    let app = App::start(&desktop, [""; 0]);
    app.find("label", "No Virtual Machines Yet");
    app.quit();
}
