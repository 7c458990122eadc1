//! Every dialog: it comes by its key, every control in it has a name, and Escape closes it.

use berth_tests::desktop::{App, Desktop, new_machine};

const OFF: [&str; 7] = ["one", "--firmware", "bios", "--memory", "64M", "--size", "1G"];

#[test]
fn come_by_keys_and_go_by_escape() {
    let desktop = Desktop::start("dialogs");
    new_machine(&desktop, &OFF);
    let mut app = App::start(&desktop, [""; 0]);
    app.find("list item", "one, Off");
    for (keys, role, title) in [
        ("ctrl+n", "dialog", "New Virtual Machine"),
        ("ctrl+comma", "dialog", "Preferences"),
        ("ctrl+question", "dialog", "Keyboard Shortcuts"),
        ("F1", "dialog", "Help"),
        ("F2", "alert dialog", "Rename “one”"),
        ("ctrl+shift+n", "alert dialog", "Clone “one”"),
        ("ctrl+l", "dialog", "Log of “one”"),
    ] {
        app.key(keys);
        app.find(role, title);
        app.milestone(&title.to_lowercase().replace(['“', '”'], "").replace(' ', "-"));
        app.key("Escape");
        app.gone(role, title);
    }
    app.was_responsive();
    app.quit();
}

#[test]
fn come_by_the_main_menu() {
    let desktop = Desktop::start("menu");
    let mut app = App::start(&desktop, [""; 0]);
    app.key("F10");
    app.find("menu item", "About Berth");
    app.milestone("main-menu");
    app.press("menu item", "About Berth");
    app.find("dialog", "About.*");
    app.milestone("about");
    app.key("Escape");
    app.gone("dialog", "About.*");
    app.was_responsive();
    app.quit();
}
