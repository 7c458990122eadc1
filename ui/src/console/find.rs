//! The bar in which a person says what to find in the terminal.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use gettextrs::gettext;
use gtk::glib;
use gtk::prelude::*;
use vte::prelude::*;

use super::links::MULTILINE;
use super::search::{self, Line, Pattern};

/// `PCRE2_CASELESS` and `PCRE2_UTF` (pcre2.h).
const CASELESS: u32 = 0x8;
const UTF: u32 = 0x8_0000;
/// Keeps a pattern that tries everything from taking for ever (pcre2pattern(3)).
const EFFORT: &str = "(*LIMIT_MATCH=20000)";
/// Longest text that can be looked for, in characters.
const LONGEST: i32 = 500;

/// The bar in which a person says what to find.
#[derive(Clone)]
pub(super) struct FindBar {
    bar: gtk::SearchBar,
    entry: gtk::SearchEntry,
    case: gtk::ToggleButton,
    regex: gtk::ToggleButton,
    missing: gtk::Label,
    terminal: vte::Terminal,
    searching: Rc<Searching>,
}

/// What is looked for, and how far that is.
#[derive(Default)]
struct Searching {
    pattern: RefCell<Option<Pattern>>,
    /// Where something was found last.
    at: Cell<Option<Line>>,
    task: RefCell<Option<glib::JoinHandle<()>>>,
}

impl Searching {
    fn stop(&self) {
        if let Some(task) = self.task.take() {
            task.abort();
        }
    }
}

impl FindBar {
    /// A hidden one, for `terminal`.
    pub(super) fn new(terminal: &vte::Terminal) -> Self {
        let entry = gtk::SearchEntry::builder()
            .placeholder_text(gettext("Find in the output"))
            .hexpand(true)
            .build();
        entry.update_property(&[gtk::accessible::Property::Label(&gettext("Find in the output"))]);
        if let Some(text) = entry.delegate().and_downcast::<gtk::Text>() {
            text.set_max_length(LONGEST);
        }
        let toggle = |label: &str, tooltip: &str| {
            let toggle = gtk::ToggleButton::builder().label(label).tooltip_text(tooltip).build();
            toggle.update_property(&[gtk::accessible::Property::Label(tooltip)]);
            toggle
        };
        let case = toggle("Aa", &gettext("Match Upper and Lower Case"));
        let regex = toggle(".*", &gettext("Regular Expression"));
        let missing = gtk::Label::builder().label(gettext("Not found")).visible(false).build();
        missing.add_css_class("dimmed");
        let this = Self {
            bar: gtk::SearchBar::builder().show_close_button(true).build(),
            entry,
            case,
            regex,
            missing,
            terminal: terminal.clone(),
            searching: Rc::default(),
        };
        this.build();
        this
    }

    /// The widget.
    pub(super) fn widget(&self) -> &gtk::SearchBar {
        &self.bar
    }

    /// Shows the bar, with the selected text in it if that is a short one.
    pub(super) fn open(&self) {
        let selected = self.terminal.text_selected(vte::Format::Text);
        let short = |text: &glib::GString| text.lines().count() == 1 && text.len() < 100;
        self.bar.set_search_mode(true);
        if let Some(text) = selected.filter(short) {
            self.entry.set_text(text.trim_end());
        }
        self.entry.select_region(0, -1);
        self.entry.grab_focus();
    }

    fn build(&self) {
        let button = |icon: &str, tooltip: &str| {
            let button = gtk::Button::builder().icon_name(icon).tooltip_text(tooltip).build();
            button.update_property(&[gtk::accessible::Property::Label(tooltip)]);
            button
        };
        let up = button("go-up-symbolic", &gettext("Find Previous"));
        let down = button("go-down-symbolic", &gettext("Find Next"));
        let steps = gtk::Box::new(gtk::Orientation::Horizontal, 0);
        steps.add_css_class("linked");
        steps.append(&up);
        steps.append(&down);
        let row = gtk::Box::new(gtk::Orientation::Horizontal, 6);
        row.append(&self.entry);
        row.append(&self.missing);
        row.append(&steps);
        row.append(&self.case);
        row.append(&self.regex);
        let clamp = adw::Clamp::builder().maximum_size(640).hexpand(true).child(&row).build();
        self.bar.set_child(Some(&clamp));
        self.bar.connect_entry(&self.entry);
        self.terminal.search_set_wrap_around(true);

        // Nothing here keeps the view alive: what is called finds it, or does nothing.
        let step = |back: bool| {
            let this = self.weak();
            move || {
                if let Some(this) = this() {
                    this.step(back);
                }
            }
        };
        let (clicked, activated, key) = (step(true), step(true), step(true));
        up.connect_clicked(move |_| clicked());
        self.entry.connect_activate(move |_| activated());
        self.entry.connect_previous_match(move |_| key());
        let (clicked, key) = (step(false), step(false));
        down.connect_clicked(move |_| clicked());
        self.entry.connect_next_match(move |_| key());
        let this = self.weak();
        self.entry.connect_search_changed(move |_| {
            if let Some(this) = this() {
                this.search();
            }
        });
        for toggle in [&self.case, &self.regex] {
            let this = self.weak();
            toggle.connect_toggled(move |_| {
                if let Some(this) = this() {
                    this.search();
                }
            });
        }
        let this = self.weak();
        self.bar.connect_search_mode_enabled_notify(move |bar| {
            if let Some(this) = this().filter(|_| !bar.is_search_mode()) {
                this.searching.stop();
                this.searching.pattern.take();
                this.terminal.search_set_regex(None, 0);
                this.terminal.grab_focus();
            }
        });
    }

    /// Gives this bar back while its view is alive.
    fn weak(&self) -> impl Fn() -> Option<Self> + Clone + use<> {
        let (bar, entry) = (self.bar.downgrade(), self.entry.downgrade());
        let (case, regex) = (self.case.downgrade(), self.regex.downgrade());
        let (missing, terminal) = (self.missing.downgrade(), self.terminal.downgrade());
        let searching = self.searching.clone();
        move || {
            Some(Self {
                searching: searching.clone(),
                bar: bar.upgrade()?,
                entry: entry.upgrade()?,
                case: case.upgrade()?,
                regex: regex.upgrade()?,
                missing: missing.upgrade()?,
                terminal: terminal.upgrade()?,
            })
        }
    }

    /// Looks for what the entry says, from the end.
    fn search(&self) {
        let text = self.entry.text();
        self.searching.stop();
        self.searching.pattern.take();
        self.searching.at.take();
        self.terminal.search_set_regex(None, 0);
        self.terminal.unselect_all();
        self.show_missing(None);
        if text.is_empty() {
            return;
        }
        match compile(&text, self.regex.is_active(), self.case.is_active()) {
            Some((pattern, for_terminal)) => {
                self.terminal.search_set_regex(Some(&for_terminal), 0);
                self.searching.pattern.replace(Some(pattern));
                self.step(true);
            }
            None => self.show_missing(Some(&gettext("Not a regular expression"))),
        }
    }

    /// Goes to what is found before (or behind) what was found last.
    fn step(&self, back: bool) {
        let Some(pattern) = self.searching.pattern.borrow().clone() else { return };
        self.searching.stop();
        let (this, terminal) = (self.weak(), self.terminal.downgrade());
        let from = self.searching.at.get();
        let task = glib::spawn_future_local(async move {
            let Some(terminal) = terminal.upgrade() else { return };
            let found = search::find(&terminal, &pattern, from, back).await;
            let Some(this) = this() else { return };
            let selected = found.is_some_and(|line| search::select(&terminal, line, back));
            this.searching.at.set(found.filter(|_| selected));
            this.show_missing((!selected).then(|| gettext("Not found")).as_deref());
        });
        self.searching.task.replace(Some(task));
    }

    fn show_missing(&self, text: Option<&str>) {
        self.missing.set_visible(text.is_some());
        if let Some(text) = text {
            self.missing.set_text(text);
            self.entry.add_css_class("error");
            self.entry.announce(text, gtk::AccessibleAnnouncementPriority::Medium);
        } else {
            self.entry.remove_css_class("error");
        }
    }
}

/// The pattern for `text`, taken as it is or as a regular expression: for looking through lines,
/// and for VTE. `None` when it is no regular expression.
fn compile(text: &str, regex: bool, case: bool) -> Option<(Pattern, vte::Regex)> {
    let text = match regex {
        true => text.to_owned(),
        false => glib::Regex::escape_string(text).into(),
    };
    let text = format!("{EFFORT}{text}");
    let (mut flags, mut vte_flags) = (glib::RegexCompileFlags::MULTILINE, MULTILINE | UTF);
    if !case {
        flags |= glib::RegexCompileFlags::CASELESS;
        vte_flags |= CASELESS;
    }
    let for_terminal = vte::Regex::for_search(&text, vte_flags).ok()?;
    let pattern = Pattern { text, flags };
    pattern.compile().map(|_| (pattern, for_terminal))
}
