//! What the tests share: a window with the wizard in it, time, and a user's hands.

use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use adw::prelude::*;
use gtk::glib;
use ui::fake::FakeBackend;
use ui::machines::{Machines, Vm};

pub(crate) use crate::program::{run_for, wait_for, xdotool};

/// The wizard in a window on the display, gone with this.
pub(crate) struct Stage {
    pub(crate) window: adw::ApplicationWindow,
    pub(crate) backend: FakeBackend,
    /// Machines that were made, and whether they should start.
    pub(crate) made: Rc<RefCell<Vec<(Vm, bool)>>>,
}

impl Stage {
    pub(crate) fn new(file: Option<&str>) -> Self {
        Self::with(FakeBackend::default(), file)
    }

    /// The wizard, with these machines there already.
    pub(crate) fn with(backend: FakeBackend, file: Option<&str>) -> Self {
        Self::sized((900, 760), backend, file)
    }

    /// The wizard in a window of this size.
    pub(crate) fn sized(size: (i32, i32), backend: FakeBackend, file: Option<&str>) -> Self {
        crate::files::add(&backend);
        let machines = Machines::new(Rc::new(backend.clone()));
        glib::MainContext::default().block_on(machines.reload()).unwrap();
        let window = adw::ApplicationWindow::builder()
            .title("stage")
            .default_width(size.0)
            .default_height(size.1)
            .content(&adw::StatusPage::builder().title("Berth").build())
            .build();
        window.present();
        wait_for("the window", || window.is_mapped() && window.width() > 0);
        // Without a window manager nobody gives the window the keyboard.
        xdotool("search --sync --name ^stage$ windowfocus --sync");
        wait_for("an active window", || window.is_active());
        let made = Rc::new(RefCell::new(Vec::new()));
        let told = made.clone();
        ui::wizard::present(&window, &machines, file.map(PathBuf::from), move |vm, start| {
            told.borrow_mut().push((vm, start));
        });
        let stage = Self { window, backend, made };
        wait_for("the wizard", || stage.dialog().is_some());
        run_for(Duration::from_millis(100));
        stage
    }

    pub(crate) fn dialog(&self) -> Option<adw::Dialog> {
        self.window.visible_dialog()
    }

    pub(crate) fn navigation(&self) -> adw::NavigationView {
        self.find(|_: &adw::NavigationView| true).expect("the wizard's steps")
    }

    /// The step that is shown.
    pub(crate) fn step(&self) -> String {
        self.navigation().visible_page_tag().unwrap().into()
    }

    /// The first widget that can be seen and that `wanted` wants.
    pub(crate) fn find<W: IsA<gtk::Widget>>(&self, wanted: impl Fn(&W) -> bool) -> Option<W> {
        all(self.window.upcast_ref()).into_iter().find_map(|widget| {
            let widget = widget.downcast::<W>().ok()?;
            (widget.is_mapped() && wanted(&widget)).then_some(widget)
        })
    }

    pub(crate) fn button(&self, label: &str) -> gtk::Button {
        self.find(|button: &gtk::Button| {
            button.label().is_some_and(|text| text.replace('_', "") == label)
        })
        .unwrap_or_else(|| panic!("no button “{label}”"))
    }

    /// The row called so.
    pub(crate) fn row<R: IsA<gtk::Widget> + IsA<adw::PreferencesRow>>(&self, title: &str) -> R {
        self.find(|row: &R| {
            AsRef::<adw::PreferencesRow>::as_ref(row).title().replace('_', "") == title
        })
        .unwrap_or_else(|| panic!("no row “{title}”"))
    }

    /// Activates the row called so.
    pub(crate) fn choose_row(&self, title: &str) {
        adw::prelude::ActionRowExt::activate(&self.row::<adw::ActionRow>(title));
        settle();
    }

    /// The entry that a label with this text is for.
    pub(crate) fn entry(&self, title: &str) -> gtk::Entry {
        let label = self.find(|label: &gtk::Label| label.text() == title);
        label.and_then(|label| label.mnemonic_widget()).and_downcast().unwrap()
    }

    /// Whether a text can be read somewhere.
    pub(crate) fn reads(&self, text: &str) -> bool {
        self.find(|label: &gtk::Label| label.text().contains(text)).is_some()
    }

    pub(crate) fn expect_text(&self, text: &str) {
        wait_for(&format!("“{text}”"), || self.reads(text));
    }

    /// Clicks a button that can be clicked.
    pub(crate) fn click(&self, label: &str) {
        wait_for(&format!("a button “{label}”"), || {
            self.find(|button: &gtk::Button| {
                button.label().is_some_and(|text| text.replace('_', "") == label)
                    && button.is_sensitive()
            })
            .is_some()
        });
        self.button(label).emit_clicked();
        settle();
    }

    /// Goes on to the next step.
    pub(crate) fn next(&self, step: &str) {
        self.click("Next");
        wait_for(step, || self.step() == step);
        settle();
    }

    /// Whether one can go on.
    pub(crate) fn can_go_on(&self) -> bool {
        settle();
        let label = if self.step() == "review" { "Create" } else { "Next" };
        self.button(label).is_sensitive()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.window.destroy();
        run_for(Duration::from_millis(20));
    }
}

/// A widget and all below it, in the order they are drawn.
pub(crate) fn all(widget: &gtk::Widget) -> Vec<gtk::Widget> {
    let mut found = vec![widget.clone()];
    let mut child = widget.first_child();
    while let Some(next) = child {
        found.extend(all(&next));
        child = next.next_sibling();
    }
    found
}

/// Lets GTK and the wizard do what they have to do.
pub(crate) fn settle() {
    run_for(Duration::from_millis(50));
}

/// Presses a key.
pub(crate) fn key(name: &str) {
    xdotool(&format!("key {name}"));
    settle();
}
