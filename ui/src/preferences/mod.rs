//! What a person prefers, for all machines.
//!
//! What lives here: [`Preferences`], kept in GSettings under the application's id, and the dialog
//! that changes them. What does not: what belongs to one machine (`settings`). The window, the
//! display and the wizard read and follow them.

mod choice;
mod dialog;
mod schema;

use std::path::{Path, PathBuf};

use gtk::prelude::*;
use gtk::{gio, glib};

pub use self::dialog::{dialog, present};
use crate::display::{DisplayView, ReleaseKey, Scaling};

/// How many ISO images are remembered.
const MAX_RECENT: usize = 10;

/// What becomes of running machines when the window is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnClose {
    /// Its owner is asked.
    Ask,
    /// They run on without a window.
    KeepRunning,
    /// They are shut down.
    ShutDown,
}

/// The preferences, and what the window remembers. Clones are the same.
#[derive(Debug, Clone)]
pub struct Preferences {
    settings: gio::Settings,
}

impl Preferences {
    /// Those of this user; the same for all of the GUI's thread.
    pub fn shared() -> Self {
        thread_local! {
            static SHARED: Preferences = Preferences {
                settings: gio::Settings::new_full(
                    &schema::schema(),
                    None::<&gio::SettingsBackend>,
                    None,
                ),
            };
        }
        SHARED.with(Self::clone)
    }

    /// The default ones, kept for as long as this lives.
    pub fn in_memory() -> Self {
        let backend = gio::memory_settings_backend_new();
        Self { settings: gio::Settings::new_full(&schema::schema(), Some(&backend), None) }
    }

    /// Where they are kept, for binding: `release-key` and `scaling` to properties of the display
    /// of the same name, for example.
    pub fn settings(&self) -> &gio::Settings {
        &self.settings
    }

    /// Gives the whole program the preferred style, now and whenever it changes.
    pub fn follow_style(&self) {
        let apply = |settings: &gio::Settings| {
            adw::StyleManager::default().set_color_scheme(
                match &*settings.string("color-scheme") {
                    "light" => adw::ColorScheme::ForceLight,
                    "dark" => adw::ColorScheme::ForceDark,
                    _ => adw::ColorScheme::Default,
                },
            );
        };
        apply(&self.settings);
        self.settings.connect_changed(Some("color-scheme"), move |settings, _| apply(settings));
    }

    /// Gives a display the preferred release key, now and whenever it changes, and the preferred
    /// scaling to begin with.
    pub fn bind_display(&self, view: &DisplayView) {
        self.settings.bind("release-key", view, "release-key").get().build();
        self.settings.bind("scaling", view, "scaling").get().build();
    }

    /// What frees pointer and keyboard from a guest.
    pub fn release_key(&self) -> ReleaseKey {
        ReleaseKey::from_nick(&self.settings.string("release-key")).unwrap_or_default()
    }

    /// How a guest's screen is shown at first.
    pub fn scaling(&self) -> Scaling {
        match &*self.settings.string("scaling") {
            "actual" => Scaling::Actual,
            _ => Scaling::Fit,
        }
    }

    /// What becomes of running machines when the window is closed.
    pub fn on_close(&self) -> OnClose {
        match &*self.settings.string("background") {
            "keep-running" => OnClose::KeepRunning,
            "shut-down" => OnClose::ShutDown,
            _ => OnClose::Ask,
        }
    }

    /// Where ISO images are looked for first.
    pub fn default_folder(&self) -> Option<PathBuf> {
        let chosen = PathBuf::from(self.settings.string("default-folder").as_str());
        if chosen.is_absolute() {
            return Some(chosen);
        }
        glib::user_special_dir(glib::UserDirectory::Downloads)
    }

    /// The ISO images used last, the latest first. They may be gone by now.
    pub fn recent_isos(&self) -> Vec<PathBuf> {
        self.settings.strv("recent-isos").iter().map(|path| PathBuf::from(path.as_str())).collect()
    }

    /// Remembers an ISO image as the one used last.
    pub fn add_recent_iso(&self, path: &Path) {
        // Settings are text: one that is none cannot be remembered.
        let Some(new) = path.to_str() else { return };
        let recent = self.settings.strv("recent-isos");
        let others = recent.iter().map(|path| path.as_str()).filter(|path| *path != new);
        let paths: Vec<_> = std::iter::once(new).chain(others).take(MAX_RECENT).collect();
        self.keep(self.settings.set_strv("recent-isos", paths));
    }

    /// Gives a window the size it had last, and remembers it from now on.
    pub fn bind_window(&self, window: &impl IsA<gtk::Window>) {
        for (key, property) in [
            ("window-width", "default-width"),
            ("window-height", "default-height"),
            ("window-maximized", "maximized"),
        ] {
            self.settings.bind(key, window.as_ref(), property).build();
        }
    }

    /// The folder of the machine shown last.
    pub fn selected_machine(&self) -> Option<String> {
        Some(self.settings.string("selected-machine").into())
            .filter(|name: &String| !name.is_empty())
    }

    /// Remembers the machine shown.
    pub fn set_selected_machine(&self, folder: Option<&str>) {
        self.keep(self.settings.set_string("selected-machine", folder.unwrap_or_default()));
    }

    /// An administrator can lock settings: then they stay as they are.
    fn keep(&self, result: Result<(), glib::BoolError>) {
        if let Err(error) = result {
            tracing::warn!(%error, "a setting was not kept");
        }
    }
}
