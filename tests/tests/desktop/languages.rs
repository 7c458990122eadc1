//! The click-through in the first users' language.

use std::fs;
use std::path::Path;
use std::process::Command;

use berth_tests::desktop::{App, Desktop, wait};
use berth_tests::image;
use tempfile::TempDir;

use super::guest::BOOT;

/// What reaches beyond what is seen of a button, in pixels.
const MARGIN: i32 = 12;

/// A language with its catalogue, as installed.
struct Language {
    locale: &'static str,
    catalogues: TempDir,
}

impl Language {
    fn new(language: &str, locale: &'static str) -> Self {
        let catalogues = tempfile::tempdir().expect("a folder for the catalogue");
        let folder = catalogues.path().join(language).join("LC_MESSAGES");
        fs::create_dir_all(&folder).expect("the catalogue's folder");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../po").join(language);
        let source = source.with_extension("po");
        let mut msgfmt = Command::new("msgfmt");
        msgfmt.arg("-o").arg(folder.join("berth.mo")).arg(source);
        assert!(msgfmt.status().expect("msgfmt starts").success(), "the catalogue is not compiled");
        Self { locale, catalogues }
    }

    /// Has a command speak it.
    fn speak(&self, command: &mut Command) {
        // glibc translates nothing in C.UTF-8, and few systems have other locales installed.
        let locales =
            std::env::var_os("BERTH_LOCALES").expect("locales, which tests/lab/e2e makes");
        command.env("LC_ALL", self.locale).env("LOCPATH", locales);
        command.env("BERTH_LOCALE_DIR", self.catalogues.path());
    }

    /// What a text is in it, as a regular expression. The texts are as in the program.
    fn say(&self, text: &str) -> String {
        let mut gettext = Command::new("gettext");
        self.speak(&mut gettext);
        gettext.args(["-d", "berth", text]).env("TEXTDOMAINDIR", self.catalogues.path());
        let output = gettext.output().expect("gettext starts");
        let said = String::from_utf8(output.stdout).expect("UTF-8");
        assert_ne!(said, text, "it is not translated");
        // As a screen reader hears it, without the mark of the mnemonic.
        regex::escape(&said.replace('_', ""))
    }
}

/// Checks that nothing in sight is wider than the window has room for.
fn fits(app: &App) {
    let (left, _, width, _) = app.find("window", ".*").extents().expect("the window has a place");
    let wide = ["button", "label", "switch", "tab", "text box"];
    for node in app.tree().all().into_iter().filter(|node| wide.contains(&&*node.role)) {
        // Gone meanwhile, it is not in sight.
        let Ok((x, _, room, _)) = node.object.extents() else { continue };
        let inside = x >= left - MARGIN && x + room <= left + width + MARGIN;
        assert!(inside, "{} “{}” is at {x}, {room} wide, in {left}, {width}", node.role, node.name);
    }
}

#[test]
fn the_click_through_in_traditional_chinese() {
    let chinese = Language::new("zh_TW", "zh_TW.UTF-8");
    let desktop = Desktop::start("chinese");
    let mut command = desktop.command(berth_tests::berth());
    command.arg("open").arg(image("grub.iso"));
    chinese.speak(&mut command);
    let mut app = App::run(&desktop, command);
    let title = chinese.say("New Virtual Machine");
    app.find("dialog", &title);
    let next = chinese.say("_Next");
    app.find("group", &chinese.say("Install From"));
    app.milestone("source");
    fits(&app);
    for page in ["Memory and Processors", "Disk", "Review"] {
        app.press("button", &next);
        app.find("group", &chinese.say(page));
        app.milestone(&page.to_lowercase().replace(' ', "-"));
        fits(&app);
    }
    // BIOS, which every KVM runs.
    app.press("combo box", &chinese.say("_Firmware"));
    app.key("Down");
    app.key("Return");
    app.press("button", &chinese.say("C_reate"));
    app.gone("dialog", &title);
    let display = chinese.say("Guest display");
    let menu = || {
        let display = app.look("image", &display)?;
        display.description().ok().filter(|text| text.contains("*BERTH GRUB ready"))
    };
    assert!(wait(BOOT, menu).is_some(), "there is no menu");
    app.milestone("menu");
    fits(&app);
    for page in ["_Console", "_Resources", "_Settings"] {
        app.show_page(&chinese.say(page));
        app.milestone(&page.to_lowercase()[1..]);
        fits(&app);
    }
    app.press("toggle button", &chinese.say("Machine Menu"));
    app.find("menu item", ".*");
    app.milestone("machine-menu");
    app.key("Escape");
    app.key("ctrl+shift+k");
    app.press("button", &chinese.say("Force _Off"));
    app.find("list item", "grub, 已關機");
    app.was_responsive();
    app.quit();
}
