//! What can be done, by which names and keys.
//!
//! Shortcuts work in the bubble phase: while the guest's screen has the keyboard, its keys are the
//! guest's. (Those of `gtk::Application` would be taken first.)

use gettextrs::{gettext, pgettext};
use gtk::prelude::*;
use gtk::{gio, glib};

use crate::machines::Status;

/// Something done with the chosen machine. The actions' names are `vm.` and [`VmAction::name`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VmAction {
    /// Start, pause or resume: whichever is next.
    Play,
    /// Press the power button.
    ShutDown,
    /// Shut down, then start again.
    Reboot,
    /// Press the reset button.
    Reset,
    /// Pull the plug.
    ForceOff,
    /// Show the screen on the whole monitor, or no longer.
    FullScreen,
    /// Show the screen in another window as well.
    OwnWindow,
    /// Keep a picture of the screen in a file.
    SaveScreenshot,
    /// Put a picture of the screen on the clipboard.
    CopyScreenshot,
    /// Give it another name.
    Rename,
    /// Copy it.
    Clone,
    /// Delete it.
    Delete,
    /// Delete all of it but its disks.
    DeleteKeepingDisks,
    /// Show what its firmware and Berth had to say.
    Log,
    /// Show the folder of its files.
    Folder,
}

impl VmAction {
    /// All of them.
    pub const ALL: [Self; 15] = [
        Self::Play,
        Self::ShutDown,
        Self::Reboot,
        Self::Reset,
        Self::ForceOff,
        Self::FullScreen,
        Self::OwnWindow,
        Self::SaveScreenshot,
        Self::CopyScreenshot,
        Self::Rename,
        Self::Clone,
        Self::Delete,
        Self::DeleteKeepingDisks,
        Self::Log,
        Self::Folder,
    ];

    /// Its name in the group `vm`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Play => "play",
            Self::ShutDown => "shut-down",
            Self::Reboot => "reboot",
            Self::Reset => "reset",
            Self::ForceOff => "force-off",
            Self::FullScreen => "full-screen",
            Self::OwnWindow => "own-window",
            Self::SaveScreenshot => "save-screenshot",
            Self::CopyScreenshot => "copy-screenshot",
            Self::Rename => "rename",
            Self::Clone => "clone",
            Self::Delete => "delete",
            Self::DeleteKeepingDisks => "delete-keeping-disks",
            Self::Log => "log",
            Self::Folder => "folder",
        }
    }

    /// The keys for it.
    pub fn accelerator(self) -> Option<&'static str> {
        Some(match self {
            Self::Play => "<Control>Return",
            Self::ShutDown => "<Control><Shift>d",
            Self::Reboot => "<Control><Shift>b",
            Self::Reset => "<Control><Shift>r",
            Self::ForceOff => "<Control><Shift>k",
            Self::FullScreen => "F11",
            Self::OwnWindow => "<Control><Shift>o",
            Self::SaveScreenshot => "<Control><Shift>s",
            Self::CopyScreenshot => "<Control><Shift>p",
            Self::Rename => "F2",
            Self::Clone => "<Control><Shift>n",
            Self::Delete => "<Control>Delete",
            Self::Log => "<Control>l",
            Self::DeleteKeepingDisks | Self::Folder => return None,
        })
    }

    /// Whether it makes sense for a machine in this state.
    pub fn is_possible(self, status: Status) -> bool {
        match self {
            Self::Play => {
                matches!(
                    status,
                    Status::Off | Status::Running | Status::ShuttingDown | Status::Paused
                )
            }
            Self::ShutDown => status.is_running(),
            Self::Reboot => status == Status::Running,
            Self::Reset | Self::ForceOff => status.is_live() && status != Status::Starting,
            Self::FullScreen | Self::OwnWindow | Self::SaveScreenshot | Self::CopyScreenshot => {
                status.is_live()
            }
            Self::Rename => !matches!(status, Status::Damaged),
            Self::Clone | Self::DeleteKeepingDisks => status == Status::Off,
            Self::Delete => matches!(status, Status::Off | Status::Damaged),
            Self::Log | Self::Folder => true,
        }
    }

    /// What a menu calls it, with a mnemonic.
    pub fn label(self) -> String {
        match self {
            Self::Play => gettext("_Start or Pause"),
            Self::ShutDown => gettext("S_hut Down"),
            Self::Reboot => gettext("Re_boot"),
            Self::Reset => pgettext("the reset button", "_Reset"),
            Self::ForceOff => gettext("Force _Off…"),
            Self::FullScreen => gettext("_Full Screen"),
            Self::OwnWindow => gettext("Open in Own _Window"),
            Self::SaveScreenshot => gettext("Save Scr_eenshot…"),
            Self::CopyScreenshot => gettext("_Copy Screenshot"),
            Self::Rename => gettext("Re_name…"),
            Self::Clone => gettext("C_lone…"),
            Self::Delete => gettext("_Delete"),
            Self::DeleteKeepingDisks => gettext("Delete but _Keep Disks…"),
            Self::Log => gettext("Show Lo_g"),
            Self::Folder => gettext("Show _Files"),
        }
    }
}

/// Something done with the window. The actions' names are `win.` and [`WinAction::name`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WinAction {
    /// The New VM wizard.
    New,
    /// Search in the list.
    Search,
    /// All machines side by side, or the chosen one again.
    Overview,
    /// The preferences.
    Preferences,
    /// The shortcuts.
    Shortcuts,
    /// The guide.
    Help,
    /// About Berth.
    About,
    /// What stands in the way of running machines.
    Problems,
    /// Close the window.
    Close,
    /// End Berth.
    Quit,
}

impl WinAction {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::New,
        Self::Search,
        Self::Overview,
        Self::Preferences,
        Self::Shortcuts,
        Self::Help,
        Self::About,
        Self::Problems,
        Self::Close,
        Self::Quit,
    ];

    /// Its name in the group `win`.
    pub fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Search => "search",
            Self::Overview => "overview",
            Self::Preferences => "preferences",
            Self::Shortcuts => "shortcuts",
            Self::Help => "help",
            Self::About => "about",
            Self::Problems => "problems",
            Self::Close => "close",
            Self::Quit => "quit",
        }
    }

    /// The keys for it.
    pub fn accelerator(self) -> Option<&'static str> {
        Some(match self {
            Self::New => "<Control>n",
            Self::Search => "<Control>f",
            Self::Overview => "<Control>o",
            Self::Preferences => "<Control>comma",
            Self::Shortcuts => "<Control>question",
            Self::Help => "F1",
            Self::Close => "<Control>w",
            Self::Quit => "<Control>q",
            Self::About | Self::Problems => return None,
        })
    }
}

/// Shortcuts that reach the window only when nothing with the keyboard took the key.
pub(super) fn shortcuts() -> gtk::ShortcutController {
    let controller = gtk::ShortcutController::new();
    controller.set_propagation_phase(gtk::PropagationPhase::Bubble);
    let vm = VmAction::ALL.map(|action| (format!("vm.{}", action.name()), action.accelerator()));
    let win = WinAction::ALL.map(|action| (format!("win.{}", action.name()), action.accelerator()));
    for (name, accelerator) in vm.into_iter().chain(win) {
        let Some(accelerator) = accelerator else { continue };
        controller.add_shortcut(gtk::Shortcut::new(
            gtk::ShortcutTrigger::parse_string(accelerator),
            Some(gtk::NamedAction::new(&name)),
        ));
    }
    // The pages of a machine, as browsers switch tabs.
    for (number, page) in super::PAGES.iter().enumerate() {
        let action = gtk::NamedAction::new("win.page");
        let shortcut = gtk::Shortcut::new(
            gtk::ShortcutTrigger::parse_string(&format!("<Alt>{}", number + 1)),
            Some(action),
        );
        shortcut.set_arguments(Some(&page.to_variant()));
        controller.add_shortcut(shortcut);
    }
    controller
}

/// An action without a parameter that calls `f`.
pub(super) fn plain(name: &str, f: impl Fn() + 'static) -> gio::SimpleAction {
    let action = gio::SimpleAction::new(name, None);
    action.connect_activate(move |_, _| f());
    action
}

/// An action whose parameter is a text, which `f` is given.
pub(super) fn with_text(name: &str, f: impl Fn(&str) + 'static) -> gio::SimpleAction {
    let action = gio::SimpleAction::new(name, Some(glib::VariantTy::STRING));
    action.connect_activate(move |_, parameter| {
        if let Some(text) = parameter.and_then(glib::Variant::str) {
            f(text);
        }
    });
    action
}

/// Lets an action of the group be activated, or not.
pub(super) fn set_enabled(group: &gio::SimpleActionGroup, name: &str, enabled: bool) {
    let action = group.lookup_action(name);
    if let Some(action) = action.and_downcast_ref::<gio::SimpleAction>() {
        action.set_enabled(enabled);
    }
}

/// A menu entry for a machine's action, showing its keys.
fn entry(action: VmAction) -> gio::MenuItem {
    let item = gio::MenuItem::new(Some(&action.label()), Some(&format!("vm.{}", action.name())));
    item.set_attribute_value("accel", action.accelerator().map(ToVariant::to_variant).as_ref());
    item
}

fn section(menu: &gio::Menu, label: Option<&str>, actions: &[VmAction]) {
    let section = gio::Menu::new();
    actions.iter().for_each(|action| section.append_item(&entry(*action)));
    menu.append_section(label, &section);
}

/// The menu of a row in the list.
pub(super) fn row_menu() -> gio::Menu {
    use VmAction::*;
    let menu = gio::Menu::new();
    section(&menu, None, &[Play, ShutDown, Reboot, Reset, ForceOff]);
    section(&menu, None, &[OwnWindow, Rename, Clone]);
    section(&menu, None, &[Log, Folder]);
    section(&menu, None, &[Delete, DeleteKeepingDisks]);
    menu
}

/// The menu beside the Start button. `keys` are the entries of what can be sent to the guest.
pub(super) fn machine_menu(keys: &gio::MenuModel) -> gio::Menu {
    use VmAction::*;
    let menu = gio::Menu::new();
    section(&menu, None, &[ShutDown, Reboot, Reset, ForceOff]);
    let screen = gio::Menu::new();
    screen.append_submenu(Some(&gettext("Send _Keys")), keys);
    [FullScreen, OwnWindow, SaveScreenshot, CopyScreenshot]
        .iter()
        .for_each(|action| screen.append_item(&entry(*action)));
    menu.append_section(None, &screen);
    section(&menu, None, &[Rename, Clone, Log, Folder]);
    section(&menu, None, &[Delete, DeleteKeepingDisks]);
    menu
}

/// The main menu.
pub(super) fn main_menu() -> gio::Menu {
    let menu = gio::Menu::new();
    let entry = |action: WinAction, label: String| {
        let item = gio::MenuItem::new(Some(&label), Some(&format!("win.{}", action.name())));
        let accelerator = action.accelerator().map(ToVariant::to_variant);
        item.set_attribute_value("accel", accelerator.as_ref());
        item
    };
    let view = gio::Menu::new();
    view.append_item(&entry(WinAction::Overview, gettext("_Overview")));
    view.append_item(&entry(WinAction::Search, gettext("_Search")));
    menu.append_section(None, &view);
    let rest = gio::Menu::new();
    rest.append_item(&entry(WinAction::Preferences, gettext("_Preferences")));
    rest.append_item(&entry(WinAction::Shortcuts, gettext("_Keyboard Shortcuts")));
    rest.append_item(&entry(WinAction::Help, gettext("_Help")));
    rest.append_item(&entry(WinAction::About, gettext("_About Berth")));
    menu.append_section(None, &rest);
    let end = gio::Menu::new();
    end.append_item(&entry(WinAction::Quit, gettext("_Quit")));
    menu.append_section(None, &end);
    menu
}
