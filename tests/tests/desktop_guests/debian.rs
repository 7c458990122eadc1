//! An installed Debian from its disk image: its console takes a login, its work is charted, and it
//! is paused, resumed, shut down, and there when Berth is started again.

use std::time::Duration;

use berth_tests::desktop::{App, Desktop, Wizard};
use berth_tests::{check_image, overlay};
use regex::Regex;

/// How long a boot may take in the lab, which also draws the window.
const BOOT: Duration = Duration::from_secs(900);

/// How long a command may take there.
const COMMAND: Duration = Duration::from_secs(180);

#[test]
fn from_its_disk_to_the_next_start_of_berth() {
    let desktop = Desktop::start("debian");
    let disk = overlay("disk.qcow2", desktop.home());
    let mut app = App::start(&desktop, [&disk]);
    let wizard = Wizard::shown(&app);
    app.milestone("chosen");
    wizard.next("Memory and Processors");
    wizard.enter("Memory", "512 MiB");
    wizard.next("Review");
    app.press("combo box", "Firmware");
    app.key("Down");
    app.key("Return");
    wizard.enter("Name", "debian");
    app.milestone("review");
    wizard.create();
    app.find("list item", "debian, Running");

    app.show_page("Console");
    app.until_within(BOOT, "a login", || console(&app).contains("berth-guest login:"));
    app.milestone("login");
    app.tab_to("Serial console");
    app.type_text("root\n");
    app.until_within(COMMAND, "a password is asked for", || console(&app).contains("Password:"));
    app.type_text("berth\n");
    app.until_within(COMMAND, "a shell", || console(&app).contains("root@berth-guest:"));
    app.type_text("clear; echo B$((6*7))B\n");
    app.until_within(COMMAND, "an answer", || console(&app).contains("B42B"));
    app.milestone("answered");

    // Idle, it uses little; at work, much, though the window wants its share of the lab's two processors
    // and the guest has work for one; then little again.
    app.show_page("Resources");
    let idle = || app.until_within(COMMAND, "idle", || processor(&app).is_some_and(|p| p < 10.0));
    idle();
    app.milestone("idle");
    app.show_page("Console");
    app.tab_to("Serial console");
    app.type_text("while :; do :; done\n");
    app.until_within(COMMAND, "the command", || console(&app).contains("do :; done"));
    app.show_page("Resources");
    app.until_within(COMMAND, "work", || processor(&app).is_some_and(|share| share > 20.0));
    app.milestone("working");
    app.portrait("resources");
    app.show_page("Console");
    app.tab_to("Serial console");
    app.key("ctrl+c");
    app.show_page("Resources");
    idle();

    app.press("button", "Pause");
    app.find("list item", "debian, Paused");
    app.milestone("paused");
    app.press("button", "Resume");
    app.find("list item", "debian, Running");
    app.show_page("Console");
    app.tab_to("Serial console");
    app.type_text("clear; echo B$((6*8))B\n");
    app.until_within(COMMAND, "an answer", || console(&app).contains("B48B"));

    app.press("toggle button", "Machine Menu");
    app.press("menu item", "Shut Down");
    app.until_within(BOOT, "the end", || app.look("list item", "debian, Off").is_some());
    app.milestone("off");
    app.was_responsive();
    app.quit();
    check_image(&disk);

    let app = App::start(&desktop, [""; 0]);
    app.find("list item", "debian, Off");
    app.milestone("again");
    app.quit();
}

/// What stands in the console.
fn console(app: &App) -> String {
    let terminal = app.look("terminal", "Serial console");
    terminal.and_then(|terminal| terminal.text().ok()).unwrap_or_default()
}

/// The share of its processors that the machine uses, in percent, as the chart tells it.
fn processor(app: &App) -> Option<f64> {
    let chart = app.look("image", "Processor.*")?;
    let text = chart.description().ok()?;
    let share = Regex::new(r"^CPU ([0-9.]+) %").expect("a regular expression");
    share.captures(&text)?.get(1)?.as_str().parse().ok()
}
