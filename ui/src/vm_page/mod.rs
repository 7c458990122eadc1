use crate::machines::{Machines, Vm};
use relm4::prelude::*;
pub struct VmPage {
    stack: adw::ViewStack,
}
impl VmPage {
    pub fn new(vm: &Vm, _m: &Machines) -> Self {
        let stack = adw::ViewStack::new();
        stack.add_titled_with_icon(
            &gtk::Label::new(Some(&vm.name())),
            Some("display"),
            "Display",
            "video-display-symbolic",
        );
        stack.add_titled_with_icon(
            &gtk::Label::new(Some(&vm.name())),
            Some("console"),
            "Console",
            "utilities-terminal-symbolic",
        );
        Self { stack }
    }
    pub fn widget(&self) -> &adw::ViewStack {
        &self.stack
    }
    pub fn stack(&self) -> &adw::ViewStack {
        &self.stack
    }
    pub fn show(&self, n: &str) {
        self.stack.set_visible_child_name(n);
    }
    pub fn set_full_screen(&self, _f: bool) {}
    pub fn open_own_window(&self, _r: &adw::ApplicationWindow) {}
    pub fn copy_screenshot(&self) -> bool {
        false
    }
    pub fn save_screenshot(
        &self,
        _r: &adw::ApplicationWindow,
        _s: &relm4::Sender<crate::window::WindowInput>,
    ) {
    }
}
pub fn send_keys_menu(_a: &str) -> gtk::gio::MenuModel {
    use gtk::prelude::*;
    gtk::gio::Menu::new().upcast()
}
