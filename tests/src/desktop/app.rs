//! Berth's window on a test's desktop.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use regex::Regex;
use rustix::process::{Pid, Signal, kill_process};

use super::accessible::{Accessible, Node, State};
use super::{Desktop, Stall, Watchdog, patience, unnamed, wait};
use crate::{Picture, berth};

/// More than any page has of what Tab comes to.
const TABS: usize = 40;

/// A Berth with its window. Killed when dropped.
///
/// Roles are AT-SPI's, such as `button`. Names are regular expressions for the whole of the name.
#[derive(Debug)]
pub struct App<'d> {
    desktop: &'d Desktop,
    child: Child,
    root: Accessible,
    watchdog: Option<Watchdog>,
    log: PathBuf,
}

impl<'d> App<'d> {
    /// Starts `berth open` with these files and waits for its window.
    ///
    /// # Panics
    /// When it does not appear.
    #[must_use]
    pub fn start<A: AsRef<OsStr>>(
        desktop: &'d Desktop,
        files: impl IntoIterator<Item = A>,
    ) -> Self {
        let mut command = desktop.command(berth());
        command.arg("open").args(files);
        Self::run(desktop, command)
    }

    /// Starts a command that becomes a `berth open`, and waits for its window.
    ///
    /// # Panics
    /// When it does not appear.
    #[must_use]
    pub fn run(desktop: &'d Desktop, command: std::process::Command) -> Self {
        let mut app = Self::spawn(desktop, command, |child| desktop.program(child.id()));
        app.watchdog = Some(Watchdog::start(desktop, &app.root, app.id()));
        app
    }

    /// Starts a command that has `berth open` started where its processes are not seen, such as in
    /// a sandbox, and waits for its window. Nobody watches over its main thread.
    ///
    /// # Panics
    /// When it does not appear.
    #[must_use]
    pub fn run_out_of_sight(desktop: &'d Desktop, command: std::process::Command) -> Self {
        let is_berth = |program: &Accessible| program.name().is_ok_and(|name| name == "berth");
        Self::spawn(desktop, command, |_| desktop.programs().into_iter().find(is_berth))
    }

    fn spawn(
        desktop: &'d Desktop,
        mut command: std::process::Command,
        seen: impl Fn(&Child) -> Option<Accessible>,
    ) -> Self {
        let log = desktop.out().join("berth.log");
        // It may be started several times in a test.
        let file = File::options().append(true).create(true).open(&log).expect("a log file");
        command.stdin(Stdio::null()).stdout(file.try_clone().expect("the file")).stderr(file);
        let mut child = command.spawn().expect("berth starts");
        let root = wait(patience(), || {
            let ended = child.try_wait().expect("our child");
            assert!(
                ended.is_none(),
                "berth ended: {}",
                fs::read_to_string(&log).unwrap_or_default()
            );
            seen(&child)
        });
        let root = root.unwrap_or_else(|| {
            let _ = child.kill();
            desktop.screenshot("failure");
            panic!("no window: {}", fs::read_to_string(&log).unwrap_or_default())
        });
        let app = Self { desktop, child, root, watchdog: None, log };
        app.find("window", ".*");
        app
    }

    /// The process's id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The desktop that it is on.
    #[must_use]
    pub fn desktop(&self) -> &'d Desktop {
        self.desktop
    }

    /// Everything that is seen of it now.
    #[must_use]
    pub fn tree(&self) -> Node {
        self.root.tree()
    }

    /// What is seen of it now, if it is.
    #[must_use]
    pub fn look(&self, role: &str, name: &str) -> Option<Accessible> {
        self.root.find(role, &whole(name))
    }

    /// Waits until something is seen.
    ///
    /// # Panics
    /// When it does not come.
    pub fn find(&self, role: &str, name: &str) -> Accessible {
        self.find_within(patience(), role, name)
    }

    /// Waits for `limit` until something is seen.
    ///
    /// # Panics
    /// When it does not come.
    pub fn find_within(&self, limit: Duration, role: &str, name: &str) -> Accessible {
        let name = whole(name);
        wait(limit, || self.root.find(role, &name))
            .unwrap_or_else(|| panic!("there is no {role} “{name}”"))
    }

    /// Waits until something is not seen any more.
    ///
    /// # Panics
    /// When it stays.
    pub fn gone(&self, role: &str, name: &str) {
        let name = whole(name);
        wait(patience(), || self.root.find(role, &name).is_none().then_some(()))
            .unwrap_or_else(|| panic!("{role} “{name}” stays"));
    }

    /// Waits until something holds.
    ///
    /// # Panics
    /// When it does not come to that.
    pub fn until(&self, what: &str, mut holds: impl FnMut() -> bool) {
        self.until_within(patience(), what, &mut holds);
    }

    /// Waits for `limit` until something holds.
    ///
    /// # Panics
    /// When it does not come to that.
    pub fn until_within(&self, limit: Duration, what: &str, mut holds: impl FnMut() -> bool) {
        wait(limit, || holds().then_some(())).unwrap_or_else(|| panic!("not in time: {what}"));
    }

    /// Waits until something is seen and does with it what a click does.
    ///
    /// # Panics
    /// When it does not come or cannot be clicked.
    pub fn press(&self, role: &str, name: &str) {
        let object = self.find(role, name);
        self.until(&format!("{role} “{name}” can be used"), || object.is(State::Sensitive));
        match object.has_action() {
            true => object.click().unwrap_or_else(|error| panic!("{role} “{name}”: {error}")),
            // Switches and rows have none; what a person does with them is a click.
            false => self.click_on(&object, 1),
        }
    }

    /// Presses keys, such as `ctrl+n`.
    ///
    /// # Panics
    /// As [`super::X11::key`].
    pub fn key(&self, chord: &str) {
        self.desktop.x11().key(chord);
    }

    /// Types a text.
    ///
    /// # Panics
    /// As [`super::X11::type_text`].
    pub fn type_text(&self, text: &str) {
        self.desktop.x11().type_text(text);
    }

    /// Replaces what stands in the field that has the keyboard.
    ///
    /// # Panics
    /// As [`super::X11::type_text`].
    pub fn type_over(&self, text: &str) {
        self.key("ctrl+a");
        self.key("Delete");
        self.type_text(text);
    }

    /// What has the keyboard: the object, its role and its name.
    #[must_use]
    pub fn focused(&self) -> Option<(Accessible, String, String)> {
        let object = self.root.focused()?;
        let (role, name) = (object.role().ok()?, object.name().ok()?);
        Some((object, role, name))
    }

    /// Presses Tab until what has this name has the keyboard.
    ///
    /// # Panics
    /// When it does not come to that.
    pub fn tab_to(&self, name: &str) {
        let whole = whole(name);
        let mut seen = Vec::new();
        for _ in 0..TABS {
            if let Some((_, role, name)) = self.focused() {
                if whole.is_match(&name) {
                    return;
                }
                seen.push(format!("{role} “{name}”"));
            }
            self.key("Tab");
        }
        panic!("Tab does not come to “{name}”, but to {}", seen.join(", "));
    }

    /// Chooses the machine of this name in the list.
    ///
    /// # Panics
    /// When it is not there.
    pub fn choose(&self, name: &str) {
        let wanted = whole(&format!("{}, .*", regex::escape(name)));
        let chosen = wait(patience(), || {
            let list = self.look("list", "Machines")?;
            let mut children = list.children().ok()?.into_iter();
            let index =
                children.position(|child| child.name().is_ok_and(|name| wanted.is_match(&name)))?;
            list.select(i32::try_from(index).ok()?).ok()
        });
        assert!(chosen.is_some(), "there is no machine “{name}”");
        self.find("window", &format!("{} — Berth", regex::escape(name)));
    }

    /// Shows a page of the machine that is chosen, by its tab.
    ///
    /// # Panics
    /// When there is none.
    pub fn show_page(&self, title: &str) {
        self.click_on(&self.find("tab", title), 1);
        self.until("the page is shown", || {
            self.look("tab", title).is_some_and(|tab| tab.is(State::Selected))
        });
    }

    /// Presses keys for the guest that is shown.
    ///
    /// # Panics
    /// When there is none.
    pub fn type_to_guest(&self, chord: &str) {
        self.tab_to("Guest display");
        self.key(chord);
    }

    /// What is seen of the guest's screen.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn display_picture(&self) -> Picture {
        let (x, y, width, height) = self.display().extents().expect("the display has a place");
        let number = |number: i32| u32::try_from(number).expect("on the screen");
        let all = self.desktop.x11().picture();
        all.part(number(x), number(y), number(width), number(height))
    }

    /// Puts the pointer on the middle of something and clicks.
    ///
    /// # Panics
    /// When it is gone.
    pub fn click_on(&self, what: &Accessible, button: u8) {
        let (x, y) = self.middle(what);
        self.desktop.x11().point(x, y);
        self.desktop.x11().click(button);
    }

    /// Drags a file out of another window onto the middle of something. Whether it was taken.
    ///
    /// # Panics
    /// When it is gone.
    #[must_use]
    pub fn drag_onto(&self, what: &Accessible, file: &Path) -> bool {
        self.desktop.x11().drag(file, self.middle(what))
    }

    /// The place on the screen of the middle of something.
    fn middle(&self, what: &Accessible) -> (i32, i32) {
        // Without a window manager, windows are at the corner of the screen. Pages slide in.
        let mut last = None;
        let place = wait(patience(), || {
            let before = std::mem::replace(&mut last, what.extents().ok());
            last.filter(|now| before == Some(*now))
        });
        let (x, y, width, height) = place.expect("something that keeps its place");
        (x + width / 2, y + height / 2)
    }

    /// The screen of the machine that is shown.
    ///
    /// # Panics
    /// When none is.
    pub fn display(&self) -> Accessible {
        self.find("image", "Guest display")
    }

    /// The text on the machine's screen, as a screen reader has it; nothing when there is none.
    #[must_use]
    pub fn screen(&self) -> String {
        let display = self.look("image", "Guest display");
        display.and_then(|display| display.description().ok()).unwrap_or_default()
    }

    /// Something worth a picture was reached; what comes next is to be checked by the watchdog
    /// under this name. Every control in sight must have a name.
    ///
    /// # Panics
    /// When one has not.
    pub fn milestone(&self, name: &str) {
        self.desktop.screenshot(name);
        if let Some(watchdog) = &self.watchdog {
            watchdog.during(&format!("after {name}"));
        }
        self.check_names();
    }

    /// Keeps a picture of the window alone as NAME.png, for those who read about Berth: see
    /// `tests/lab/pictures`.
    ///
    /// # Panics
    /// When there is none.
    pub fn portrait(&self, name: &str) {
        let (x, y, width, height) =
            self.find("window", ".*").extents().expect("the window has a place");
        // Its shadow may reach beyond the screen.
        let number = |number: i32| u32::try_from(number.max(0)).unwrap_or_default();
        let all = self.desktop.x11().picture();
        let picture = all.part(number(x), number(y), number(width), number(height));
        picture.write(&self.desktop.out().join(name).with_extension("png"));
    }

    /// Checks that every control in sight has a name.
    ///
    /// # Panics
    /// When one has not.
    pub fn check_names(&self) {
        let unnamed = unnamed(&self.tree());
        assert!(unnamed.is_empty(), "controls without a name:\n{}", unnamed.join("\n"));
    }

    /// Sends a signal.
    ///
    /// # Panics
    /// When the process has ended.
    pub fn signal(&self, signal: Signal) {
        let id = Pid::from_raw(i32::try_from(self.child.id()).expect("a process id"));
        kill_process(id.expect("a process id"), signal).expect("the process is there");
    }

    /// Checks that nobody was kept waiting so far, and watches no more.
    ///
    /// # Panics
    /// When somebody was.
    pub fn was_responsive(&mut self) {
        let stalls: Vec<_> = self.stalls().iter().map(ToString::to_string).collect();
        assert!(stalls.is_empty(), "the window did not answer for\n{}", stalls.join("\n"));
    }

    /// Whenever somebody was kept waiting so far; watches no more.
    pub fn stalls(&mut self) -> Vec<Stall> {
        self.watchdog.take().map_or_else(Vec::new, Watchdog::stalls)
    }

    /// Waits for the end of the process, which was asked to end.
    ///
    /// # Panics
    /// When it does not end, or the window did not answer for too long on the way here.
    pub fn ended(mut self) -> ExitStatus {
        let status = wait(patience() * 2, || self.child.try_wait().expect("our child"));
        let status = status.expect("berth ends");
        self.was_responsive();
        status
    }

    /// Ends it with Ctrl+Q. No machine may run.
    ///
    /// # Panics
    /// When it does not end well.
    pub fn quit(self) {
        self.key("ctrl+q");
        assert!(self.ended().success(), "it ends well");
    }

    /// What the program has said on the terminal.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Where Berth keeps its machines.
    #[must_use]
    pub fn store(&self) -> PathBuf {
        store(self.desktop)
    }
}

/// Makes a machine with `berth new` and these words, the first of which is its name.
///
/// # Panics
/// When it cannot be made.
pub fn new_machine(desktop: &Desktop, words: &[&str]) {
    let output = desktop.command(berth()).arg("new").args(words).output().expect("berth starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Makes machines of these names: one by Berth itself, the others after its model, which is faster.
///
/// # Panics
/// When they cannot be made.
pub fn new_machines(desktop: &Desktop, names: &[String]) {
    let Some((first, others)) = names.split_first() else { return };
    new_machine(desktop, &[first, "--firmware", "bios", "--memory", "512M", "--size", "10G"]);
    let model = store(desktop).join(first);
    for name in others {
        let folder = store(desktop).join(name);
        fs::create_dir(&folder).expect("a machine's folder");
        for entry in fs::read_dir(&model).expect("the model") {
            let path = entry.expect("an entry").path();
            let copy = folder.join(path.file_name().expect("a file"));
            fs::copy(&path, &copy).expect("a copy");
        }
        let path = folder.join("machine.toml");
        let text = fs::read_to_string(&path).expect("a definition");
        fs::write(&path, text.replace(first, name)).expect("a definition");
    }
}

/// Where a Berth on this desktop keeps its machines.
#[must_use]
pub fn store(desktop: &Desktop) -> PathBuf {
    Path::new(desktop.home()).join("data/berth")
}

fn whole(name: &str) -> Regex {
    Regex::new(&format!("^(?s:{name})$")).expect("a regular expression")
}

impl Drop for App<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            let tree = self.tree().to_string();
            eprintln!("--- what was seen\n{tree}--- what was said\n{}", self.log());
            self.desktop.screenshot("failure");
        }
        // Nothing to end when it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
