//! What is on disk is not as it should be: it is said, nothing is lost, the window lives.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use berth_tests::desktop::{App, Desktop, new_machine, store};

use crate::guest::grub;

const DAMAGED: [(&str, &str); 3] = [
    ("broken", "version = 1\nname = "),
    ("newer", "version = 99\nname = \"newer\"\n"),
    ("wild", "\u{1b}[31m\u{0}<b>&amp;"),
];

#[test]
fn definitions_that_cannot_be_read_are_shown_and_kept() {
    let desktop = Desktop::start("damaged");
    new_machine(&desktop, &["good", "--firmware", "bios", "--memory", "64M", "--size", "1G"]);
    for (folder, text) in DAMAGED {
        fs::create_dir_all(store(&desktop).join(folder)).expect("a folder");
        fs::write(store(&desktop).join(folder).join("machine.toml"), text).expect("a definition");
    }
    fs::create_dir_all(store(&desktop).join("folder/machine.toml")).expect("a folder");
    let mut app = App::start(&desktop, [""; 0]);
    app.find("list item", "good, Off");
    for name in ["broken", "newer", "wild", "folder"] {
        app.find("list item", &format!("{name}, Cannot be read"));
        app.choose(name);
        app.find("label", &format!("“{name}” Cannot Be Read"));
        app.milestone(name);
    }
    // What is good works beside it.
    app.choose("good");
    app.key("F2");
    app.find("alert dialog", "Rename “good”");
    app.type_over("better");
    app.key("Return");
    app.find("list item", "better, Off");
    app.was_responsive();
    app.quit();
    for (folder, text) in DAMAGED {
        let path = store(&desktop).join(folder).join("machine.toml");
        assert_eq!(fs::read_to_string(path).expect("the definition"), text);
    }
}

#[test]
fn files_that_are_missing_are_told_at_start() {
    let desktop = Desktop::start("missing");
    for name in ["no disk", "no medium", "a folder"] {
        grub(&desktop, name);
    }
    let machine = |name: &str| store(&desktop).join(name.replace(' ', "-"));
    let folders: Vec<_> = fs::read_dir(store(&desktop))
        .expect("the store")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.is_dir())
        .collect();
    assert_eq!(folders.len(), 3, "{folders:?}");
    let replace = |name: &str, by: &str| {
        let path = machine(name).join("machine.toml");
        let text = fs::read_to_string(&path).unwrap_or_else(|_| panic!("{folders:?}"));
        let line = text.lines().find(|line| line.contains("grub.iso")).expect("the medium");
        let (before, _) = line.split_once('=').expect("a file");
        let changed = text.replace(line, &format!("{before}= \"{by}\""));
        fs::write(path, changed).expect("the definition");
    };
    replace("no medium", "/nowhere/at-all.iso");
    replace("a folder", "/usr");
    let mut app = App::start(&desktop, [""; 0]);
    for (name, word) in [("no medium", "at-all.iso"), ("a folder", "/usr")] {
        app.choose(name);
        app.press("button", "Start");
        app.find("alert dialog", &format!("“{name}” Cannot Be Started"));
        app.find("label", &format!(".*{word}.*"));
        app.milestone(&name.replace(' ', "-"));
        app.key("Escape");
        app.gone("alert dialog", &format!("“{name}” Cannot Be Started"));
        app.find("list item", &format!("{name}, Off"));
    }
    app.was_responsive();
    app.quit();
}

#[test]
fn a_folder_that_goes_while_its_machine_runs_is_survived() {
    let desktop = Desktop::start("folder-gone");
    grub(&desktop, "grub");
    new_machine(&desktop, &["other", "--firmware", "bios", "--memory", "64M", "--size", "1G"]);
    let mut app = App::start(&desktop, [""; 0]);
    app.choose("grub");
    app.press("button", "Start");
    app.find("list item", "grub, Running");
    fs::remove_dir_all(store(&desktop).join("grub")).expect("the folder");
    // Whatever makes the window look at the store again.
    app.key("ctrl+n");
    app.find("dialog", "New Virtual Machine");
    app.key("Escape");
    app.gone("dialog", "New Virtual Machine");
    app.choose("other");
    app.choose("grub");
    app.milestone("folder-gone");
    app.find("list item", "grub, Running");
    app.press("toggle button", "Machine Menu");
    app.press("menu item", "Force Off…");
    app.press("button", "Force Off");
    app.gone("list item", "grub, Running");
    app.milestone("machine-gone");
    app.was_responsive();
    app.quit();
}

#[test]
fn a_store_that_cannot_be_read_is_told() {
    let desktop = Desktop::start("no-store");
    let path = store(&desktop);
    fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    fs::write(&path, "a file where a folder belongs").expect("a file");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("permissions");
    let mut app = App::start(&desktop, [""; 0]);
    app.find("alert dialog", "The Machines Cannot Be Listed");
    app.milestone("no-store");
    app.key("Escape");
    app.gone("alert dialog", "The Machines Cannot Be Listed");
    app.was_responsive();
    app.quit();
    assert_eq!(fs::read_to_string(path).expect("the file"), "a file where a folder belongs");
}
