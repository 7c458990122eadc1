//! A host file system that is full: what cannot be made is told and leaves nothing, and what runs
//! waits. The file systems are in memory, and the program alone sees them.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use berth_tests::desktop::{App, Desktop, State, Wizard, store};

use crate::empty::where_changed;
use crate::guest::BOOT;
use crate::own::writer;

const MIB: u64 = 1 << 20;

/// Where `path` is found that the program sees.
fn seen_by(app: &App, path: &Path) -> PathBuf {
    let path = path.strip_prefix("/").expect("a whole path");
    Path::new("/proc").join(app.id().to_string()).join("root").join(path)
}

#[test]
fn a_disk_that_does_not_fit_is_told_and_leaves_nothing() {
    let desktop = Desktop::start("no-space");
    let folder = desktop.home().join("data");
    let script = format!("mount -t tmpfs -o size=100M none {}", folder.display());
    let mut app = App::run(&desktop, where_changed(&desktop, &script));
    app.find("label", "No Virtual Machines Yet");
    app.key("ctrl+n");
    let wizard = Wizard::shown(&app);
    app.press("radio", "Nothing Yet");
    wizard.next("Memory and Processors");
    wizard.enter("Memory", "64 MiB");
    wizard.next("Disk");
    // What does not fit is told before anything is made …
    wizard.enter("Size", "1 GiB");
    app.press("switch", "Reserve the Space Now");
    app.find("label", "Only .* are free. Choose a smaller size, or do not reserve it.");
    assert!(!app.find("button", "Next").is(State::Sensitive));
    app.milestone("too-large");
    wizard.enter("Size", "64 MiB");
    wizard.next("Review");
    app.press("switch", "Start Now");
    // … and what no longer fits, because somebody else has taken the space, when it is made.
    let filler = seen_by(&app, &folder.join("filler"));
    fs::write(&filler, vec![0; 70 << 20]).expect("a large file");
    app.press("button", "Create");
    app.find("alert dialog", "The Machine Was Not Created");
    app.find("label", ".*(?i)space.*");
    app.milestone("not-created");
    app.key("Escape");
    app.gone("alert dialog", "The Machine Was Not Created");
    let kept = || -> Vec<String> {
        let entries = fs::read_dir(seen_by(&app, &store(&desktop))).into_iter().flatten();
        let names = entries.map(|entry| entry.expect("an entry").file_name());
        names.map(|name| name.to_string_lossy().into_owned()).collect()
    };
    // The store's lock is no machine.
    app.until("nothing is left", || kept().iter().all(|name| name.ends_with("lock")));
    // The wizard has seen it by now.
    assert!(!app.find("button", "Create").is(State::Sensitive));
    app.press("button", "Cancel");
    app.gone("dialog", Wizard::TITLE);
    app.find("label", "No Virtual Machines Yet");
    app.was_responsive();
    app.quit();
}

#[test]
fn a_machine_whose_disk_cannot_grow_waits_for_space() {
    let desktop = Desktop::start("disk-full");
    let small = desktop.home().join("small");
    fs::create_dir(&small).expect("a folder");
    let disk = small.join("disk.img");
    writer(&desktop, "full", &disk, 64 * MIB);
    // The same disk where there is not much space, most of which is taken.
    let (small, copy) = (small.display(), desktop.home().join("copy.img"));
    fs::copy(&disk, &copy).expect("a copy");
    let script = format!(
        "mount -t tmpfs -o size=24M none {small}; cp --sparse=always {} {small}/disk.img; \
         head -c 18M /dev/zero >{small}/filler",
        copy.display()
    );
    let mut app = App::run(&desktop, where_changed(&desktop, &script));
    app.choose("full");
    app.press("button", "Start");
    app.find_within(BOOT, "list item", "full, Paused");
    app.find("label", "The disk .*file system is full; make space.*");
    app.milestone("paused");
    let inside = seen_by(&app, &disk);
    let written = || fs::metadata(&inside).expect("the disk").blocks() * 512;
    let before = written();
    assert!(before > MIB, "it has written: {before}");

    // With space again, it goes on where it was, until that is used up as well.
    fs::remove_file(seen_by(&app, &disk.with_file_name("filler"))).expect("the large file");
    app.press("button", "Resume");
    app.until_within(BOOT, "more is written", || written() > before + 8 * MIB);
    app.find_within(BOOT, "list item", "full, Paused");
    app.milestone("paused-again");
    app.press("toggle button", "Machine Menu");
    app.press("menu item", "Force Off…");
    // What could not be written is lost then, and that is said.
    app.press("button", "Force Off");
    app.find("list item", "full, Stopped by an error");
    app.was_responsive();
    app.quit();
}
