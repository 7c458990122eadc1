//! All that is shown of one machine.
//!
//! What lives here: its pages behind tabs, wired to its life; all but the screen are made when they
//! are first seen. What does not: the pages themselves, which are features of their own, and the
//! tabs' bar, which is the window's.

mod later;
mod screen;
mod send_keys;

use std::cell::OnceCell;
use std::rc::Rc;

use adw::prelude::*;
use gettextrs::gettext;
use gtk::glib;
use vmm_core::machine::SerialStart;

use self::later::Later;
pub use self::screen::ScreenPage;
pub(crate) use self::screen::bind_pointer;
pub use self::send_keys::send_keys_menu;
use crate::console::ConsoleView;
use crate::machines::{Machines, Status, Vm};
use crate::resources::ResourcesPage;
use crate::settings::SettingsPage;

/// One machine's pages.
pub struct VmPage {
    vm: Vm,
    root: gtk::Box,
    stack: adw::ViewStack,
    screen: ScreenPage,
    /// Once they were seen; they follow the machine for as long as this lives.
    _settings: Rc<OnceCell<SettingsPage>>,
}

impl VmPage {
    /// The pages of `vm`.
    pub fn new(vm: &Vm, machines: &Machines) -> Self {
        let stack = adw::ViewStack::builder().vexpand(true).build();
        let screen = ScreenPage::new(vm);
        let add = |page: &gtk::Widget, name: &str, title: String, icon: &str| {
            stack.add_titled_with_icon(page, Some(name), &title, icon);
        };
        add(screen.widget(), "display", gettext("_Display"), "video-display-symbolic");
        let console = Later::new({
            let vm = vm.clone();
            move || console(&vm).upcast()
        });
        // From a start on it has to note resets, whether or not somebody looks.
        vm.connect_launched({
            let console = console.downgrade();
            move |_| console.make()
        });
        add(console.widget(), "console", gettext("_Console"), "utilities-terminal-symbolic");
        let resources = Later::new({
            let vm = vm.clone();
            move || {
                let page = ResourcesPage::new();
                page.set_history(Some(vm.history()));
                page.upcast()
            }
        });
        add(resources.widget(), "resources", gettext("_Resources"), "berth-resources-symbolic");
        let kept: Rc<OnceCell<SettingsPage>> = Rc::default();
        let settings = Later::new({
            let (vm, machines, kept) = (vm.clone(), machines.clone(), kept.clone());
            move || {
                let page = kept.get_or_init(|| SettingsPage::new(&vm, &machines));
                page.widget().clone().upcast()
            }
        });
        add(settings.widget(), "settings", gettext("_Settings"), "emblem-system-symbolic");
        for page in stack.pages().iter::<adw::ViewStackPage>().flatten() {
            page.set_use_underline(true);
        }

        let root = gtk::Box::new(gtk::Orientation::Vertical, 0);
        root.append(&notice(vm));
        root.append(&stack);
        Self { vm: vm.clone(), root, stack, screen, _settings: kept }
    }

    /// Whether these are the pages of this very `vm`: another can be in a folder of the same name
    /// later.
    pub fn is_of(&self, vm: &Vm) -> bool {
        self.vm == *vm
    }

    /// The widget.
    pub fn widget(&self) -> &gtk::Box {
        &self.root
    }

    /// The pages, for their tabs.
    pub fn stack(&self) -> &adw::ViewStack {
        &self.stack
    }

    /// The machine's screen.
    pub fn screen(&self) -> &ScreenPage {
        &self.screen
    }

    /// Shows the page called `name`.
    pub fn show(&self, name: &str) {
        self.stack.set_visible_child_name(name);
    }
}

/// The console on the machine's serial port, whenever it has one.
fn console(vm: &Vm) -> ConsoleView {
    let console = ConsoleView::new();
    let attach = glib::clone!(
        #[weak]
        console,
        move |vm: &Vm| {
            if let Some(running) = vm.running() {
                console.attach(running.serial(SerialStart::Scrollback));
            }
        }
    );
    attach(vm);
    vm.connect_launched(attach);
    vm.connect_reset(glib::clone!(
        #[weak]
        console,
        move |_| console.mark_reset()
    ));
    console
}

/// Why the machine stands still, failed or cannot be read.
fn notice(vm: &Vm) -> adw::Banner {
    let banner =
        adw::Banner::builder().button_label(gettext("Show _Log")).action_name("vm.log").build();
    let refresh = glib::clone!(
        #[weak]
        banner,
        move |vm: &Vm| {
            let notice = vm.notice();
            banner.set_revealed(notice.is_some());
            if let Some(notice) = notice {
                banner.set_title(&glib::markup_escape_text(&notice));
            }
            let log = vm.status() != Status::Damaged;
            banner.set_button_label(log.then(|| gettext("Show _Log")).as_deref());
        }
    );
    refresh(vm);
    vm.connect_notice_notify(refresh);
    banner
}
