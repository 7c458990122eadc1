//! All that is shown of one machine.
//!
//! What lives here: its pages behind tabs, wired to its life. What does not: the pages themselves,
//! which are features of their own, and the tabs' bar, which is the window's.

mod screen;
mod send_keys;

use adw::prelude::*;
use gettextrs::gettext;
use gtk::glib;

pub use self::screen::ScreenPage;
pub use self::send_keys::send_keys_menu;
use crate::machines::{Machines, Status, Vm};
use crate::resources::ResourcesPage;

/// One machine's pages.
pub struct VmPage {
    root: gtk::Box,
    stack: adw::ViewStack,
    screen: ScreenPage,
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
        let _ = machines;
        let resources = ResourcesPage::new();
        resources.set_history(Some(vm.history()));
        add(resources.upcast_ref(), "resources", gettext("_Resources"), "speedometer-symbolic");
        for page in stack.pages().iter::<adw::ViewStackPage>().flatten() {
            page.set_use_underline(true);
        }

        let root = gtk::Box::new(gtk::Orientation::Vertical, 0);
        root.append(&notice(vm));
        root.append(&stack);
        Self { root, stack, screen }
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
