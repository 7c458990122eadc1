//! The machine's screen while it has one, and what to do when it has not.

use adw::prelude::*;
use gettextrs::gettext;
use gtk::{gdk, glib};

use crate::display::{DisplayPage, DisplayView, PointerMode, SendKeys};
use crate::machines::{Status, Vm};
use crate::preferences::Preferences;

/// The screen's page of a machine.
#[derive(Clone)]
pub struct ScreenPage {
    vm: Vm,
    stack: gtk::Stack,
    off: adw::StatusPage,
    start: gtk::Button,
    display: DisplayPage,
}

impl ScreenPage {
    pub(super) fn new(vm: &Vm) -> Self {
        let start = gtk::Button::builder()
            .label(gettext("_Start"))
            .use_underline(true)
            .halign(gtk::Align::Center)
            .action_name("vm.play")
            .css_classes(["suggested-action", "pill"])
            .build();
        let off =
            adw::StatusPage::builder().icon_name("system-shutdown-symbolic").child(&start).build();
        let display = DisplayPage::new();
        Preferences::shared().bind_display(&display.view());
        let stack = gtk::Stack::builder().vhomogeneous(false).hhomogeneous(false).build();
        stack.add_named(&off, Some("off"));
        stack.add_named(&display, Some("on"));
        let page = Self { vm: vm.clone(), stack, off, start, display };
        page.follow();
        page
    }

    /// The widget.
    pub fn widget(&self) -> &gtk::Widget {
        self.stack.upcast_ref()
    }

    /// The display.
    pub fn display(&self) -> &DisplayPage {
        &self.display
    }

    /// A picture of the screen; `None` when there is none.
    pub fn picture(&self) -> Option<gdk::Texture> {
        self.vm.running()?;
        self.display.view().texture()
    }

    /// Presses the keys of the combination called `id`.
    pub fn send_keys(&self, id: &str) {
        if let Some(combo) = SendKeys::new().get(id) {
            self.display.view().send_combo(combo);
        }
    }

    fn follow(&self) {
        let vm = &self.vm;
        let attach = {
            let display = self.display.downgrade();
            move |vm: &Vm| {
                let (Some(display), Some(running)) = (display.upgrade(), vm.running()) else {
                    return;
                };
                display.view().attach(running.display(), running.commands());
            }
        };
        attach(vm);
        vm.connect_launched(attach);
        let display = self.display.downgrade();
        vm.connect_ended(move |_| {
            if let Some(display) = display.upgrade() {
                display.view().detach();
            }
        });
        bind_pointer(vm, &self.display.view());
        let refresh = {
            let (stack, off) = (self.stack.downgrade(), self.off.downgrade());
            let (start, display) = (self.start.downgrade(), self.display.downgrade());
            move |vm: &Vm| {
                let parts = (stack.upgrade(), off.upgrade(), start.upgrade(), display.upgrade());
                let (Some(stack), Some(off), Some(start), Some(display)) = parts else { return };
                let status = vm.status();
                let on = status.is_live() && status != Status::Starting;
                let had_focus = stack.focus_child().is_some();
                stack.set_visible_child_name(if on { "on" } else { "off" });
                display.view().set_running(status.is_running());
                if on && had_focus {
                    // Whoever pressed Start wants to type into the machine next.
                    display.grab_focus();
                }
                off.set_title(&glib::markup_escape_text(&title(vm)));
                off.set_icon_name(Some(icon(status)));
                start.set_visible(status == Status::Off);
            }
        };
        refresh(vm);
        vm.connect_status_notify(refresh.clone());
        vm.connect_name_notify(refresh);
    }
}

/// Has a display follow the pointer as the guest does.
pub(crate) fn bind_pointer(vm: &Vm, view: &DisplayView) {
    vm.bind_property("tablet", view, "pointer-mode")
        .transform_to(|_, by_place: bool| {
            Some(if by_place { PointerMode::Absolute } else { PointerMode::Relative })
        })
        .sync_create()
        .build();
}

fn title(vm: &Vm) -> String {
    let text = match vm.status() {
        Status::Starting => gettext("“{name}” Is Starting…"),
        Status::Elsewhere => gettext("“{name}” Is Running in Another Berth"),
        Status::Damaged => gettext("“{name}” Cannot Be Read"),
        _ => gettext("“{name}” Is Off"),
    };
    text.replace("{name}", &vm.name())
}

fn icon(status: Status) -> &'static str {
    match status {
        Status::Damaged => "dialog-warning-symbolic",
        _ => "computer-symbolic",
    }
}
