//! A window without machines: the greeting, and what stands in the way of running any.

use std::process::Command;

use berth_tests::berth;
use berth_tests::desktop::{App, Desktop, State};

#[test]
fn the_greeting_offers_a_new_machine() {
    let desktop = Desktop::start("empty");
    let app = App::start(&desktop, [""; 0]);
    app.find("label", "No Virtual Machines Yet");
    let button = app.find("button", "New Virtual Machine…");
    assert!(button.is(State::Sensitive));
    app.milestone("greeting");
    
    app.quit();
}
