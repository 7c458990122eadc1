//! What is done with a machine's screen as a whole: full screen, a window of its own, pictures.

use adw::prelude::*;
use gettextrs::gettext;
use gtk::{gio, glib};
use relm4::prelude::*;

use super::{VmAction, Window, WindowInput};
use crate::backend::Failure;
use crate::display::{DisplayPage, screenshot};
use crate::machines::Vm;
use crate::preferences::Preferences;
use crate::vm_page::bind_pointer;

impl Window {
    /// The chosen machine's screen on the whole monitor, or no longer.
    pub(super) fn set_full_screen(&mut self, full: bool, root: &adw::ApplicationWindow) {
        if full == self.full_screen {
            return;
        }
        self.full_screen = full;
        self.layout.set_full_screen(full);
        root.set_fullscreened(full);
        if let (Some(page), Some(vm)) = (self.page(), &self.selected) {
            let display = page.screen().display();
            let bar = display.full_screen_bar();
            bar.set_title(vm.name());
            bar.set_active(full);
            bar.leave_button()
                .set_action_name(Some(&format!("vm.{}", VmAction::FullScreen.name())));
            if full {
                page.show("display");
                display.grab_focus();
                bar.greet();
            }
        }
    }

    /// Keeps a picture of the screen in a file that the person chooses.
    pub(super) fn save_screenshot(
        &self,
        root: &adw::ApplicationWindow,
        sender: &ComponentSender<Self>,
    ) {
        let (Some(page), Some(vm)) = (self.page(), &self.selected) else { return };
        let Some(picture) = page.screen().picture() else { return };
        let now = glib::DateTime::now_local().and_then(|now| now.format("%Y-%m-%d %H-%M-%S"));
        let name = match now {
            Ok(now) => format!("{} {now}.png", vm.name()),
            Err(_) => format!("{}.png", vm.name()),
        };
        let dialog = gtk::FileDialog::builder()
            .title(gettext("Save Screenshot"))
            .initial_name(name.replace('/', "-"))
            .build();
        if let Some(folder) = glib::user_special_dir(glib::UserDirectory::Pictures) {
            dialog.set_initial_folder(Some(&gio::File::for_path(folder)));
        }
        let (root, input) = (root.clone(), sender.input_sender().clone());
        glib::spawn_future_local(async move {
            // Cancelled: nothing to tell.
            let Ok(file) = dialog.save_future(Some(&root)).await else { return };
            match screenshot::save_png(picture, file).await {
                Ok(()) => input.emit(WindowInput::Tell(gettext("Screenshot saved"))),
                Err(error) => input.emit(WindowInput::Failed(
                    gettext("The Screenshot Was Not Saved"),
                    Failure::from_error(&error),
                )),
            }
        });
    }

    /// Puts a picture of the screen on the clipboard.
    pub(super) fn copy_screenshot(&self, root: &adw::ApplicationWindow) {
        if let Some(picture) = self.page().and_then(|page| page.screen().picture()) {
            screenshot::copy(&picture, &root.clipboard());
            self.layout.toast(&gettext("Screenshot copied"));
        }
    }
}

/// Shows the machine's screen in a window of its own, until one of both is closed.
pub(super) fn open_own_window(vm: &Vm, application: Option<&gtk::Application>) {
    let Some(running) = vm.running() else { return };
    let display = DisplayPage::new();
    Preferences::shared().bind_display(&display.view());
    display.view().attach(running.display(), running.commands());
    bind_pointer(vm, &display.view());
    let toolbar = adw::ToolbarView::builder().content(&display).build();
    toolbar.add_top_bar(&adw::HeaderBar::new());
    let window = adw::Window::builder()
        .title(vm.name())
        .default_width(1024)
        .default_height(800)
        .content(&toolbar)
        .build();
    window.set_application(application);
    let handler = vm.connect_ended(glib::clone!(
        #[weak]
        window,
        move |_| window.close()
    ));
    let (vm, handler) = (vm.clone(), std::cell::Cell::new(Some(handler)));
    window.connect_close_request(move |_| {
        display.view().detach();
        if let Some(handler) = handler.take() {
            vm.disconnect(handler);
        }
        glib::Propagation::Proceed
    });
    window.present();
}
