//! What the console consists of: the terminal, its bars, menus, actions and keys.

use adw::prelude::*;
use adw::subclass::prelude::*;
use gettextrs::gettext;
use gtk::{gdk, gio, glib};
use vte::prelude::*;

use super::super::find::FindBar;
use super::super::{links, look};
use super::ConsoleView;

/// Lines that can be scrolled back to.
const SCROLLBACK: i64 = 100_000;
/// What a step makes the text larger.
const SCALE_STEP: f64 = 1.1;
/// Takes back what a guest may have done to the terminal, as far as it would be in a new one's
/// way, and leaves the cursor where it is: an unfinished sequence, the alternate screen, mouse
/// reports, colours, modes, character sets (xterm, “Control Sequences”).
pub(super) const MEND: &str = "\x1b\\\x1b[?47l\x1b[?9;1000;1002;1003;1004;1006;2004l\
    \x1b]104\x1b\\\x1b]110\x1b\\\x1b]111\x1b\\\x1b]112\x1b\\\
    \x1b[!p\x1b[?25h\x1b[?7h\x1b(B\x0f\x1b[m";

/// What an action does.
type Act = fn(&ConsoleView);

impl ConsoleView {
    /// Puts the parts together.
    pub(super) fn build(&self) {
        let imp = self.imp();
        let terminal = &imp.terminal;
        terminal.set_scrollback_lines(SCROLLBACK);
        terminal.set_scroll_on_keystroke(true);
        terminal.set_scroll_on_output(false);
        terminal.set_mouse_autohide(true);
        terminal.set_audible_bell(false);
        terminal.set_enable_sixel(false);
        terminal.set_input_enabled(false);
        terminal.set_vexpand(true);
        terminal.update_property(&[gtk::accessible::Property::Label(&gettext("Serial console"))]);
        look::follow_style(terminal);
        links::allow(terminal);
        let view = self.downgrade();
        terminal.connect_commit(move |_, text, size| {
            let Some(view) = view.upgrade() else { return };
            // A text that ends early had the character that ends texts: Control and Space.
            let nothing = text.is_empty() && size > 0;
            view.queue(if nothing { &[0] } else { text.as_bytes() });
        });
        let view = self.downgrade();
        terminal.connect_selection_changed(move |terminal| {
            if let Some(view) = view.upgrade() {
                view.enable("copy", terminal.has_selection());
            }
        });

        self.add_actions();
        self.add_shortcuts();
        self.add_wheel();
        terminal.set_context_menu_model(Some(&context_menu()));
        let find = FindBar::new(terminal);
        let scrolled = gtk::ScrolledWindow::builder()
            .hscrollbar_policy(gtk::PolicyType::Never)
            .child(terminal)
            .build();
        imp.hint.set_text(&gettext(
            "Nothing has been written to the serial port yet.\nA Linux guest uses it when its command line has “console=ttyS0”.",
        ));
        imp.hint.set_justify(gtk::Justification::Center);
        imp.hint.set_wrap(true);
        imp.hint.add_css_class("dimmed");
        imp.hint.set_can_target(false);
        imp.hint.set_valign(gtk::Align::Center);
        imp.hint.set_visible(false);
        let overlay = gtk::Overlay::builder().child(&scrolled).build();
        overlay.add_overlay(&imp.hint);

        let content = gtk::Box::new(gtk::Orientation::Vertical, 0);
        content.append(&self.toolbar());
        content.append(find.widget());
        content.append(&overlay);
        content.append(&self.sending_bar());
        imp.toasts.set_child(Some(&content));
        let empty = adw::StatusPage::builder()
            .icon_name("utilities-terminal-symbolic")
            .title(gettext("No Output Yet"))
            .description(gettext("Start the machine to use its serial console."))
            .build();
        imp.stack.add_named(&empty, Some("empty"));
        imp.stack.add_named(&imp.toasts, Some("terminal"));
        self.set_child(Some(&imp.stack));
        // Set once, here.
        let _ = imp.find.set(find);
        self.refresh();
    }

    fn toolbar(&self) -> gtk::Box {
        let bar = gtk::Box::new(gtk::Orientation::Horizontal, 6);
        bar.add_css_class("toolbar");
        let state = &self.imp().state;
        state.set_xalign(0.0);
        state.set_hexpand(true);
        state.set_margin_start(6);
        state.set_ellipsize(gtk::pango::EllipsizeMode::End);
        state.add_css_class("dimmed");
        bar.append(state);
        for (icon, action, tooltip) in [
            ("edit-copy-symbolic", "console.copy", gettext("Copy")),
            ("edit-paste-symbolic", "console.paste", gettext("Paste")),
            ("edit-find-symbolic", "console.find", gettext("Find")),
            ("document-save-symbolic", "console.save", gettext("Save Output")),
        ] {
            let button = gtk::Button::builder()
                .icon_name(icon)
                .action_name(action)
                .tooltip_text(&tooltip)
                .build();
            button.update_property(&[gtk::accessible::Property::Label(&tooltip)]);
            bar.append(&button);
        }
        let more = gtk::MenuButton::builder()
            .icon_name("view-more-symbolic")
            .menu_model(&more_menu())
            .tooltip_text(gettext("More"))
            .build();
        more.update_property(&[gtk::accessible::Property::Label(&gettext("More for the Console"))]);
        bar.append(&more);
        bar
    }

    fn sending_bar(&self) -> gtk::Revealer {
        let imp = self.imp();
        let bar = gtk::Box::new(gtk::Orientation::Horizontal, 12);
        bar.add_css_class("toolbar");
        let label = gtk::Label::new(Some(&gettext("Sending to the machine…")));
        label.set_margin_start(6);
        imp.progress.set_hexpand(true);
        imp.progress.set_valign(gtk::Align::Center);
        imp.progress
            .update_relation(&[gtk::accessible::Relation::LabelledBy(&[label.upcast_ref()])]);
        let cancel = gtk::Button::with_mnemonic(&gettext("_Cancel"));
        let view = self.downgrade();
        cancel.connect_clicked(move |_| {
            if let Some(view) = view.upgrade() {
                view.cancel_sending();
                view.imp().terminal.grab_focus();
            }
        });
        bar.append(&label);
        bar.append(&imp.progress);
        bar.append(&cancel);
        imp.sending.set_child(Some(&bar));
        imp.sending.set_visible(false);
        imp.sending.clone()
    }

    fn add_actions(&self) {
        let imp = self.imp();
        let actions: [(&str, Act); 11] = [
            ("copy", |view| view.imp().terminal.copy_clipboard_format(vte::Format::Text)),
            ("paste", |view| view.imp().terminal.paste_clipboard()),
            ("select-all", |view| view.imp().terminal.select_all()),
            ("find", |view| {
                if let Some(find) = view.imp().find.get() {
                    find.open();
                }
            }),
            ("save", Self::save_as),
            ("zoom-in", |view| view.zoom(SCALE_STEP)),
            ("zoom-out", |view| view.zoom(1.0 / SCALE_STEP)),
            ("zoom-normal", |view| view.imp().terminal.set_font_scale(1.0)),
            ("reset-terminal", |view| view.imp().terminal.feed(MEND.as_bytes())),
            ("send-break", |view| {
                if let Some(input) = &*view.imp().input.borrow() {
                    // Refused only by a machine that is over.
                    let _ = input.send_break();
                }
            }),
            ("cancel-sending", Self::cancel_sending),
        ];
        for (name, act) in actions {
            let action = gio::SimpleAction::new(name, None);
            let view = self.downgrade();
            action.connect_activate(move |_, _| {
                if let Some(view) = view.upgrade() {
                    act(&view);
                }
            });
            imp.actions.add_action(&action);
        }
        self.insert_action_group("console", Some(&imp.actions));
    }

    fn add_shortcuts(&self) {
        let shortcuts = gtk::ShortcutController::new();
        shortcuts.set_scope(gtk::ShortcutScope::Local);
        // Before the terminal, which would send them to the guest.
        shortcuts.set_propagation_phase(gtk::PropagationPhase::Capture);
        for (keys, action) in [
            ("<Control><Shift>c", "copy"),
            ("<Control><Shift>v", "paste"),
            ("<Control><Shift>a", "select-all"),
            ("<Control><Shift>f", "find"),
            ("<Control><Shift>s", "save"),
            ("<Control>plus|<Control>equal|<Control>KP_Add", "zoom-in"),
            ("<Control>minus|<Control>KP_Subtract", "zoom-out"),
            ("<Control>0|<Control>KP_0", "zoom-normal"),
        ] {
            let trigger = gtk::ShortcutTrigger::parse_string(keys);
            let action = gtk::NamedAction::new(&format!("console.{action}"));
            shortcuts.add_shortcut(gtk::Shortcut::new(trigger, Some(action)));
        }
        self.add_controller(shortcuts);
    }

    fn add_wheel(&self) {
        let wheel = gtk::EventControllerScroll::new(gtk::EventControllerScrollFlags::VERTICAL);
        wheel.set_propagation_phase(gtk::PropagationPhase::Capture);
        let view = self.downgrade();
        wheel.connect_scroll(move |wheel, _, dy| {
            let control = gdk::ModifierType::CONTROL_MASK;
            match view.upgrade().filter(|_| wheel.current_event_state().contains(control)) {
                Some(view) => {
                    view.zoom(SCALE_STEP.powf(-dy));
                    glib::Propagation::Stop
                }
                None => glib::Propagation::Proceed,
            }
        });
        self.imp().terminal.add_controller(wheel);
    }
}

fn context_menu() -> gio::Menu {
    let edit = gio::Menu::new();
    edit.append(Some(&gettext("_Copy")), Some("console.copy"));
    edit.append(Some(&gettext("_Paste")), Some("console.paste"));
    edit.append(Some(&gettext("Select _All")), Some("console.select-all"));
    let text = gio::Menu::new();
    text.append(Some(&gettext("_Find…")), Some("console.find"));
    text.append(Some(&gettext("_Save Output…")), Some("console.save"));
    let menu = gio::Menu::new();
    menu.append_section(None, &edit);
    menu.append_section(None, &text);
    menu
}

fn more_menu() -> gio::Menu {
    let zoom = gio::Menu::new();
    zoom.append(Some(&gettext("Zoom _In")), Some("console.zoom-in"));
    zoom.append(Some(&gettext("Zoom _Out")), Some("console.zoom-out"));
    zoom.append(Some(&gettext("_Normal Size")), Some("console.zoom-normal"));
    let edit = gio::Menu::new();
    edit.append(Some(&gettext("Select _All")), Some("console.select-all"));
    let line = gio::Menu::new();
    line.append(Some(&gettext("Send _Break")), Some("console.send-break"));
    line.append(Some(&gettext("_Reset Terminal")), Some("console.reset-terminal"));
    let menu = gio::Menu::new();
    menu.append_section(None, &zoom);
    menu.append_section(None, &edit);
    menu.append_section(None, &line);
    menu
}
