//! What the desktop's shell asks of Berth, and hears from it.

use std::fs;
use std::process::Child;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use berth_tests::berth;
use berth_tests::desktop::{App, Desktop, Wizard, new_machine, patience, wait};
use gio::glib::{MainContext, Variant};
use gio::prelude::*;
use gio::{DBusCallFlags, DBusConnection, DBusConnectionFlags, DBusNodeInfo};

use crate::guest::BOOT;

/// A boot sector that turns its machine off after 10 s, as ICH9's power management does it.
///
/// ```text
///       sti
///       mov ax, 0x40
///       mov ds, ax
///       mov bx, [0x6c]      ; the BIOS's clock, 18.2 Hz
/// wait: hlt
///       mov ax, [0x6c]
///       sub ax, bx
///       cmp ax, 182
///       jb wait
///       mov dx, 0x604       ; PM1_CNT
///       mov ax, 0x3c00      ; SLP_EN, SLP_TYP 7
///       out dx, ax
///       jmp $
/// ```
const OFF_SOON: [u8; 30] = [
    0xfb, 0xb8, 0x40, 0x00, 0x8e, 0xd8, 0x8b, 0x1e, 0x6c, 0x00, 0xf4, 0xa1, 0x6c, 0x00, 0x29, 0xd8,
    0x3d, 0xb6, 0x00, 0x72, 0xf5, 0xba, 0x04, 0x06, 0xb8, 0x00, 0x3c, 0xef, 0xeb, 0xfe,
];

const SMALL: [&str; 6] = ["--firmware", "bios", "--memory", "64M", "--size", "0"];

/// A process that ends with this.
struct Ending(Child);

impl Drop for Ending {
    fn drop(&mut self) {
        // Nothing to end when it has ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A connection to the session's bus.
fn session(desktop: &Desktop) -> DBusConnection {
    let command = desktop.command("any");
    let address = command.get_envs().find(|(name, _)| *name == "DBUS_SESSION_BUS_ADDRESS");
    let address = address.and_then(|(_, value)| value?.to_str()).expect("an address");
    let flags =
        DBusConnectionFlags::AUTHENTICATION_CLIENT | DBusConnectionFlags::MESSAGE_BUS_CONNECTION;
    DBusConnection::for_address_sync(address, flags, None, None::<&gio::Cancellable>)
        .expect("the session's bus")
}

/// What the search provider answers, once it is there.
fn search(bus: &DBusConnection, method: &str, parameters: &Variant) -> Variant {
    let answer = wait(patience(), || {
        bus.call_sync(
            Some("io.github.berth_vm.Berth.SearchProvider"),
            "/io/github/berth_vm/Berth/SearchProvider",
            "org.gnome.Shell.SearchProvider2",
            method,
            Some(parameters),
            None,
            DBusCallFlags::NONE,
            5000,
            None::<&gio::Cancellable>,
        )
        .ok()
    });
    answer.unwrap_or_else(|| panic!("{method} is not answered"))
}

fn found(bus: &DBusConnection, terms: &[&str]) -> Vec<String> {
    let answer = search(bus, "GetInitialResultSet", &(terms,).to_variant());
    answer.child_value(0).get().expect("a list of texts")
}

#[test]
fn machines_are_found_and_shown() {
    let desktop = Desktop::start("shell-search");
    for name in ["Debian 13", "My Debian", "Other"] {
        new_machine(&desktop, &[&[name], &SMALL[..]].concat());
    }
    let provider = desktop.command(berth().with_file_name("berth-search-provider")).spawn();
    let _provider = Ending(provider.expect("the search provider"));
    let bus = session(&desktop);
    assert_eq!(found(&bus, &["none"]), [""; 0]);
    let machines = found(&bus, &["DEB"]);
    assert_eq!(machines.len(), 2, "{machines:?}");
    assert_eq!(found(&bus, &["deb", "my"]), [machines[1].clone()]);
    let fewer = (&machines, vec!["13"]).to_variant();
    let fewer = search(&bus, "GetSubsearchResultSet", &fewer).child_value(0);
    assert_eq!(fewer.get::<Vec<String>>().expect("texts"), [machines[0].clone()]);
    let metas = search(&bus, "GetResultMetas", &(&machines,).to_variant()).to_string();
    for expected in ["<'Debian 13'>", "<'My Debian'>", "<'Virtual machine'>", "<'io.github."] {
        assert!(metas.contains(expected), "{metas}");
    }

    let mut app = App::start(&desktop, [""; 0]);
    app.choose("Other");
    search(&bus, "ActivateResult", &(&machines[1], vec!["deb"], 0u32).to_variant());
    app.find("window", "My Debian — Berth");
    app.milestone("found");
    app.was_responsive();
    app.quit();
}

#[test]
fn berth_is_asked_for_a_machine_or_the_wizard() {
    let desktop = Desktop::start("shell-actions");
    for name in ["one", "two"] {
        new_machine(&desktop, &[&[name], &SMALL[..]].concat());
    }
    let ask = |words: &[&str]| {
        let mut command = desktop.command(berth());
        command.arg("open").args(words);
        command
    };
    // The first one is that program, the others tell it.
    let mut app = App::run(&desktop, ask(&["--machine", "two"]));
    app.find("window", "two — Berth");
    assert!(ask(&["--machine", "one"]).status().expect("berth starts").success());
    app.find("window", "one — Berth");
    assert!(!ask(&["--machine", "three"]).status().expect("berth starts").success());
    assert!(ask(&["--new"]).status().expect("berth starts").success());
    app.find("dialog", Wizard::TITLE);
    app.milestone("wizard");
    app.key("Escape");
    app.gone("dialog", Wizard::TITLE);
    app.was_responsive();
    app.quit();
}

#[test]
fn the_end_of_a_hidden_machine_is_told() {
    let desktop = Desktop::start("shell-notification");
    let disk = desktop.home().join("off-soon.img");
    let mut content = vec![0; 1 << 20];
    content[..OFF_SOON.len()].copy_from_slice(&OFF_SOON);
    content[510..512].copy_from_slice(&[0x55, 0xaa]);
    fs::write(&disk, content).expect("the disk");
    let option = format!("{},format=raw", disk.display());
    new_machine(&desktop, &["guest", "--disk", &option, "--firmware", "bios", "--memory", "64M"]);
    let notifications = Notifications::listen(&desktop);

    let app = App::start(&desktop, [""; 0]);
    app.choose("guest");
    app.press("button", "Start");
    app.find("list item", "guest, Running");
    app.press("button", "Close");
    app.find("alert dialog", "Keep Running in the Background.");
    app.press("button", "Keep Running");
    app.until("the window is hidden", || desktop.x11().windows() == 0);
    assert_eq!(notifications.heard(), []);
    let told = wait(BOOT, || notifications.heard().pop());
    let expected = ("“guest” Is Off".to_owned(), "Its guest has shut down.".to_owned());
    assert_eq!(told, Some(expected));
    assert!(app.ended().success(), "nothing runs any more");
}

/// The desktop's notifications (Desktop Notifications Specification 1.2): what they say.
struct Notifications {
    heard: Arc<Mutex<Vec<(String, String)>>>,
    over: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Notifications {
    const INTERFACE: &str = r#"<node><interface name="org.freedesktop.Notifications">
        <method name="Notify">
          <arg type="s" direction="in"/><arg type="u" direction="in"/><arg type="s" direction="in"/>
          <arg type="s" direction="in"/><arg type="s" direction="in"/><arg type="as" direction="in"/>
          <arg type="a{sv}" direction="in"/><arg type="i" direction="in"/>
          <arg type="u" direction="out"/>
        </method>
        <method name="CloseNotification"><arg type="u" direction="in"/></method>
      </interface></node>"#;

    fn listen(desktop: &Desktop) -> Self {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let over = Arc::new(AtomicBool::new(false));
        let bus = session(desktop);
        let ready = Arc::new(AtomicBool::new(false));
        let thread = thread::spawn({
            let (heard, over, ready) = (heard.clone(), over.clone(), ready.clone());
            move || {
                let context = MainContext::new();
                let listening = context.with_thread_default(|| {
                    serve(&bus, heard);
                    ready.store(true, Ordering::Relaxed);
                    while !over.load(Ordering::Relaxed) {
                        context.iteration(false);
                        thread::sleep(Duration::from_millis(5));
                    }
                });
                listening.expect("a context of this thread's");
            }
        });
        let ready = wait(patience(), || ready.load(Ordering::Relaxed).then_some(()));
        ready.expect("a service for notifications");
        Self { heard, over, thread: Some(thread) }
    }

    /// Titles and texts so far.
    fn heard(&self) -> Vec<(String, String)> {
        self.heard.lock().expect("nobody panicked").clone()
    }
}

impl Drop for Notifications {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        // It has panicked if it has, and the test with it.
        let _ = self.thread.take().map(thread::JoinHandle::join);
    }
}

/// Answers on `bus` from now on, in this thread's context.
fn serve(bus: &DBusConnection, heard: Arc<Mutex<Vec<(String, String)>>>) {
    let description = DBusNodeInfo::for_xml(Notifications::INTERFACE).expect("a description");
    let interface = description.lookup_interface("org.freedesktop.Notifications");
    bus.register_object("/org/freedesktop/Notifications", &interface.expect("the interface"))
        .method_call(move |_, _, _, _, method, parameters, invocation| {
            let text = |index| parameters.child_value(index).get().unwrap_or_default();
            if method == "Notify" {
                heard.lock().expect("nobody panicked").push((text(3), text(4)));
                invocation.return_value(Some(&(1u32,).to_variant()));
            } else {
                invocation.return_value(None);
            }
        })
        .build()
        .expect("an object");
    let name = ("org.freedesktop.Notifications", 0u32).to_variant();
    bus.call_sync(
        Some("org.freedesktop.DBus"),
        "/org/freedesktop/DBus",
        "org.freedesktop.DBus",
        "RequestName",
        Some(&name),
        None,
        DBusCallFlags::NONE,
        5000,
        None::<&gio::Cancellable>,
    )
    .expect("the name of notifications");
}
