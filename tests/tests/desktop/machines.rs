//! What is done with machines as a whole: search, rename, clone, delete, bring back.

use std::fs;

use berth_tests::desktop::{App, Desktop, new_machine, patience, store, wait};

fn small(name: &str) -> [&str; 7] {
    [name, "--firmware", "bios", "--memory", "64M", "--size", "1G"]
}

#[test]
fn are_renamed_cloned_and_deleted() {
    let desktop = Desktop::start("machines");
    new_machine(&desktop, &small("one"));
    new_machine(&desktop, &small("two"));
    let mut app = App::start(&desktop, [""; 0]);
    app.find("list item", "one, Off");
    app.find("list item", "two, Off");

    app.choose("one");
    app.key("F2");
    app.find("alert dialog", "Rename “one”");
    // A name that is taken cannot be given.
    app.type_over("two");
    app.find("label", "Another machine has this name already.");
    app.milestone("name-taken");
    app.key("Return");
    app.type_over("first");
    app.gone("label", "Another machine has this name already.");
    app.key("Return");
    app.find("list item", "first, Off");
    app.gone("list item", "one, Off");

    app.choose("first");
    app.key("ctrl+shift+n");
    app.find("alert dialog", "Clone “first”");
    app.type_over("copy");
    app.key("Return");
    app.find("list item", "copy, Off");
    app.milestone("cloned");

    app.choose("two");
    app.key("ctrl+Delete");
    app.gone("list item", "two, Off");
    app.find("label", "“two” deleted");
    app.milestone("deleted");
    app.press("button", "Undo");
    app.find("list item", "two, Off");
    app.milestone("brought-back");
    app.was_responsive();
    app.quit();

    let app = App::start(&desktop, [""; 0]);
    for name in ["copy", "first", "two"] {
        app.find("list item", &format!("{name}, Off"));
    }
    app.quit();
}

#[test]
fn are_searched() {
    let desktop = Desktop::start("search");
    for name in ["alpha", "beta", "gamma"] {
        new_machine(&desktop, &small(name));
    }
    let mut app = App::start(&desktop, [""; 0]);
    app.find("list item", "gamma, Off");
    app.key("ctrl+f");
    app.until("the search has the keyboard", || {
        app.focused().is_some_and(|f| f.1 == "text box" || f.1 == "search box")
    });
    app.type_text("BET");
    app.gone("list item", "alpha, Off");
    app.gone("list item", "gamma, Off");
    app.find("list item", "beta, Off");
    app.milestone("found");
    app.key("Escape");
    app.find("list item", "alpha, Off");
    app.was_responsive();
    app.quit();
}

#[test]
fn have_a_menu_of_their_own() {
    let desktop = Desktop::start("row-menu");
    new_machine(&desktop, &small("one"));
    new_machine(&desktop, &small("two"));
    let mut app = App::start(&desktop, [""; 0]);
    app.find("list item", "one, Off");
    // A right click is about the machine below it.
    app.click_on(&app.find("list item", "two, Off"), 3);
    app.find("window", "two — Berth");
    app.find("menu item", "Clone…");
    app.milestone("by-pointer");
    app.key("Escape");
    app.gone("menu item", "Clone…");
    app.tab_to("two, Off");
    app.key("Menu");
    app.find("menu item", "Clone…");
    app.milestone("by-keyboard");
    app.press("menu item", "Delete");
    app.gone("list item", "two, Off");
    app.was_responsive();
    app.quit();
}

#[test]
fn are_deleted_but_for_their_disks() {
    let desktop = Desktop::start("keep-disks");
    new_machine(&desktop, &small("one"));
    new_machine(&desktop, &small("two"));
    let disk = store(&desktop).join("one/disk.qcow2");
    let content = fs::read(&disk).expect("the disk");
    let place = desktop.home().join("disks");
    fs::create_dir(&place).expect("a folder");
    let mut app = App::start(&desktop, [""; 0]);
    app.choose("one");
    app.press("toggle button", "Machine Menu");
    app.press("menu item", "Delete but Keep Disks…");
    app.until("the file chooser is there", || desktop.x11().windows() == 2);
    // It takes no keys while it looks at its first folder.
    let entry = wait(patience(), || {
        app.key("ctrl+l");
        app.focused().filter(|(_, role, _)| role == "text box").map(|(object, ..)| object)
    });
    // What is typed this fast is garbled by its completion.
    let entry = entry.expect("the file chooser takes a path");
    entry.set_text(place.to_str().expect("a path of text")).expect("a field for a path");
    desktop.screenshot("where-to");
    app.press("button", "Delete and Keep Disks Here");
    app.until("the file chooser is gone", || desktop.x11().windows() == 1);
    app.gone("list item", "one, Off");
    app.find("label", "“one” deleted; its disks are in .*/disks/one");
    app.milestone("deleted");
    assert_eq!(fs::read(place.join("one/disk.qcow2")).expect("the disk"), content);
    assert!(!disk.exists());
    app.find("list item", "two, Off");
    app.was_responsive();
    app.quit();
}
