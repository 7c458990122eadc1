//! Where a machine is in its life, as a person would say it.

use gettextrs::{gettext, pgettext};
use gtk::glib;

/// Where a machine is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, glib::Enum)]
#[enum_type(name = "BerthStatus")]
pub enum Status {
    /// It can be started.
    #[default]
    Off,
    /// It is being built; nothing runs yet.
    Starting,
    /// The guest runs.
    Running,
    /// The guest was asked to shut down and still runs.
    ShuttingDown,
    /// The guest stands still.
    Paused,
    /// Another process runs it.
    Elsewhere,
    /// Its definition cannot be read.
    Damaged,
}

impl Status {
    /// Whether there is a machine with a guest in it.
    pub fn is_live(self) -> bool {
        matches!(self, Self::Starting | Self::Running | Self::ShuttingDown | Self::Paused)
    }

    /// Whether its vCPUs run.
    pub fn is_running(self) -> bool {
        matches!(self, Self::Running | Self::ShuttingDown)
    }

    /// The state in a word or two.
    pub fn label(self) -> String {
        match self {
            Self::Off => pgettext("machine state", "Off"),
            Self::Starting => pgettext("machine state", "Starting…"),
            Self::Running => pgettext("machine state", "Running"),
            Self::ShuttingDown => pgettext("machine state", "Shutting down…"),
            Self::Paused => pgettext("machine state", "Paused"),
            Self::Elsewhere => gettext("Running in another Berth"),
            Self::Damaged => pgettext("machine state", "Cannot be read"),
        }
    }
}
