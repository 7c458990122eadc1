//! The New VM wizard, on files that are what they seem, and on others.

use std::fs;
use std::path::Path;

use berth_tests::desktop::{App, Desktop, State, Wizard, new_machine, store};
use berth_tests::image;

/// What stands in the store, sorted; nothing when there is no store.
fn kept(desktop: &Desktop) -> Vec<String> {
    let entries = fs::read_dir(store(desktop)).into_iter().flatten();
    let names = entries.map(|entry| entry.expect("an entry").file_name());
    let mut names: Vec<_> = names.map(|name| name.to_string_lossy().into_owned()).collect();
    names.retain(|name| !name.starts_with('.'));
    names.sort();
    names
}

#[test]
fn next_next_next_create_makes_a_machine() {
    let desktop = Desktop::start("wizard");
    let mut app = App::start(&desktop, [""; 0]);
    app.press("button", "New Virtual Machine…");
    let wizard = Wizard::shown(&app);
    app.milestone("source");
    wizard.choose(&image("grub.iso"));
    app.milestone("source-chosen");
    wizard.next("Memory and Processors");
    app.milestone("processing");
    wizard.next("Disk");
    app.milestone("disk");
    wizard.next("Review");
    app.milestone("review");
    assert_eq!(kept(&desktop), [""; 0], "nothing is on disk before Create");
    app.press("switch", "Start Now");
    wizard.create();
    app.find("list item", "[^,]*, Off");
    app.milestone("made");
    let made = kept(&desktop);
    assert_eq!(made.len(), 1, "{made:?}");
    let folder = store(&desktop).join(&made[0]);
    let definition = fs::read_to_string(folder.join("machine.toml")).expect("a definition");
    assert!(definition.contains("grub.iso"), "{definition}");
    berth_tests::check_image(&folder.join("disk.qcow2"));
    app.was_responsive();
    app.quit();
}

#[test]
fn each_invalid_entry_is_told_and_keeps_from_going_on() {
    let desktop = Desktop::start("wizard-invalid");
    new_machine(&desktop, &["taken", "--firmware", "bios", "--memory", "64M", "--size", "1G"]);
    let mut app = App::start(&desktop, [""; 0]);
    app.find("list item", "taken, Off");
    app.key("ctrl+n");
    let wizard = Wizard::shown(&app);
    app.press("radio", "Nothing Yet");
    wizard.next("Memory and Processors");
    for (field, text, told) in [
        ("Memory", "much", "Write a size, such as 2 GiB or 512 MiB."),
        ("Memory", "-1", "Write a size, such as 2 GiB or 512 MiB."),
        ("Memory", "1 MiB", "A machine needs at least 64 MiB."),
        ("Memory", "1000 TiB", "This computer has .*; a machine cannot have more."),
    ] {
        wizard.is_refused(field, text, told);
    }
    app.milestone("memory");
    wizard.enter("Memory", "64 MiB");
    for (text, told) in [
        ("0", "Write a whole number, 1 or more."),
        ("two", "Write a whole number, 1 or more."),
        ("1000", ".* can have .*|This computer has .*"),
    ] {
        wizard.is_refused("Processors", text, told);
    }
    app.milestone("processors");
    wizard.enter("Processors", "1");
    wizard.next("Disk");
    for (text, told) in [
        ("", "Write a size, such as 32 GiB."),
        ("big", "Write a size, such as 32 GiB."),
        ("1 MiB", "A disk has at least 64 MiB."),
        ("99999 TiB", "A disk has at most 16 TiB."),
    ] {
        wizard.is_refused("Size", text, told);
    }
    app.milestone("size");
    wizard.enter("Size", "1 GiB");
    wizard.next("Review");
    for (text, told) in [
        ("", "Give the machine a name."),
        ("taken", "Another machine has this name already."),
        (&"x".repeat(101), "This name is too long; 100 characters are the most."),
    ] {
        wizard.is_refused("Name", text, told);
    }
    app.milestone("name");
    wizard.enter("Name", "a/b <i>&amp;");
    app.press("switch", "Start Now");
    wizard.create();
    app.find("list item", "a/b <i>&amp;, Off");
    app.milestone("made");
    app.was_responsive();
    app.quit();
}

#[test]
fn back_and_forth_keeps_what_was_typed_and_cancel_leaves_nothing() {
    let desktop = Desktop::start("wizard-back");
    let mut app = App::start(&desktop, [""; 0]);
    app.press("button", "New Virtual Machine…");
    let wizard = Wizard::shown(&app);
    wizard.choose(&image("grub.iso"));
    wizard.next("Memory and Processors");
    wizard.enter("Memory", "777 MiB");
    wizard.enter("Processors", "1");
    wizard.next("Disk");
    wizard.enter("Size", "7 GiB");
    app.press("switch", "Reserve the Space Now");
    wizard.next("Review");
    wizard.enter("Name", "kept");
    app.press("switch", "Start Now");
    for page in ["Disk", "Memory and Processors", "Install From"] {
        wizard.back(page);
    }
    app.find("label", "grub.iso");
    wizard.next("Memory and Processors");
    assert_eq!(wizard.text("Memory"), "777 MiB");
    assert_eq!(wizard.text("Processors"), "1");
    wizard.next("Disk");
    assert_eq!(wizard.text("Size"), "7 GiB");
    assert!(app.find("switch", "Reserve the Space Now").is(State::Checked));
    wizard.next("Review");
    assert_eq!(wizard.text("Name"), "kept");
    assert!(!app.find("switch", "Start Now").is(State::Checked));
    app.milestone("kept");
    app.press("button", "Cancel");
    app.gone("dialog", Wizard::TITLE);
    app.was_responsive();
    app.quit();
    assert_eq!(kept(&desktop), [""; 0], "Cancel leaves nothing");
}

/// A file that no machine can be made from, and what is said about it.
fn bad_files(folder: &Path) -> Vec<(String, &'static str)> {
    let write = |name: &str, content: &[u8]| fs::write(folder.join(name), content).expect("a file");
    write("empty.iso", b"");
    write("text.iso", "no medium\n".repeat(10_000).as_bytes());
    fs::create_dir(folder.join("folder.iso")).expect("a folder");
    let mut cut = fs::read(image("grub.iso")).expect("the image");
    cut.truncate(1_000_000);
    write("cut.iso", &cut);
    let path = |name: &str| folder.join(name).display().to_string();
    vec![
        (path("empty.iso"), "(?i).*empty.*"),
        (path("text.iso"), ".*text.iso.*|.*(?i)neither.*|.*(?i)no .*"),
        (path("folder.iso"), "(?i).*folder.*|.*directory.*"),
        (path("cut.iso"), ".*cut.*|.*short.*|.*incomplete.*|.*(?i)missing.*"),
        (path("missing.iso"), "(?i).*missing.iso.*|.*no such.*"),
    ]
}

#[test]
fn files_that_nothing_can_be_made_from_are_told() {
    let desktop = Desktop::start("wizard-files");
    let files = bad_files(desktop.home());
    let mut app = App::start(&desktop, [""; 0]);
    for (path, told) in &files {
        // Asked from outside, as a file manager does it.
        let status = desktop.command(berth_tests::berth()).arg("open").arg(path).status();
        assert!(status.expect("berth starts").success());
        app.find("dialog", Wizard::TITLE);
        let name = Path::new(path).file_name().expect("a name").to_string_lossy().into_owned();
        app.find("label", &regex::escape(&name));
        app.gone("label", "Looking at it…");
        let next = app.find("button", "Next");
        assert!(!next.is(State::Sensitive), "{name}: nothing can be made from it");
        app.find("label", told);
        app.milestone(&name);
        app.press("button", "Cancel");
        app.gone("dialog", Wizard::TITLE);
    }
    app.was_responsive();
    app.quit();
    assert_eq!(kept(&desktop), [""; 0]);
}
