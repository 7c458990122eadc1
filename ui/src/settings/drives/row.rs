//! A drive's row.

use std::path::{Path, PathBuf};

use adw::prelude::*;
use gettextrs::gettext;
use gtk::{gdk, gio, glib};
use vmm_core::definition::{DiskBus, Drive};

use super::facts::{Fact, disk_text};

/// Everything that a row shows: the same twice looks the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shown {
    pub(super) index: usize,
    pub(super) title: String,
    pub(super) drive: Drive,
    /// What is in an optical drive now.
    pub(super) medium: Option<PathBuf>,
    pub(super) fact: Option<Fact>,
    pub(super) is_first: bool,
    pub(super) is_last: bool,
    /// Whether a disk can be made larger now.
    pub(super) can_grow: bool,
    /// Whether the drive is in the running machine, or the machine is off.
    pub(super) is_there: bool,
}

impl Shown {
    /// What is told about the drive in a line, and whether it is bad.
    fn text(&self) -> (String, bool) {
        let mut parts = Vec::new();
        let bad = match (&self.fact, &self.drive) {
            (Some(Fact::Bad(why)), _) => {
                parts.push(why.clone());
                true
            }
            (fact, Drive::Disk { file, read_only, bus, .. }) => {
                if let Some(Fact::Disk(facts)) = fact {
                    parts.push(disk_text(facts));
                }
                parts.push(file.display().to_string());
                parts.push(bus_name(*bus).to_owned());
                if *read_only {
                    parts.push(gettext("read-only"));
                }
                false
            }
            (fact, Drive::Optical { .. }) => {
                match (&self.medium, fact) {
                    (None, _) => parts.push(gettext("Empty")),
                    (Some(file), Some(Fact::Medium(Some(contents)))) => {
                        parts.extend([contents.clone(), file_name(file)]);
                    }
                    (Some(file), _) => parts.push(file_name(file)),
                }
                if !self.is_there {
                    parts.push(gettext("from the next start on"));
                }
                false
            }
        };
        (parts.join(" · "), bad)
    }
}

/// These are names, the same in all languages.
fn bus_name(bus: DiskBus) -> &'static str {
    match bus {
        DiskBus::Sata => "SATA",
        DiskBus::Virtio => "VirtIO",
    }
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

/// The row for `shown`. Its buttons are actions of the group `drives`, given the drive's index.
pub(super) fn row(shown: &Shown) -> adw::ActionRow {
    let (text, bad) = shown.text();
    let row = adw::ActionRow::builder()
        .title(&shown.title)
        .subtitle(&text)
        .use_markup(false)
        .subtitle_lines(3)
        .build();
    let (icon, optical) = match &shown.drive {
        Drive::Disk { .. } => ("drive-harddisk-symbolic", false),
        Drive::Optical { .. } => ("media-optical-symbolic", true),
    };
    let icon = gtk::Image::from_icon_name(if bad { "dialog-warning-symbolic" } else { icon });
    icon.set_accessible_role(gtk::AccessibleRole::Presentation);
    if bad {
        icon.add_css_class("warning");
    }
    row.add_prefix(&icon);
    if optical {
        row.add_suffix(&button(
            shown,
            "document-open-symbolic",
            &gettext("Insert Medium into {drive}"),
            "choose",
        ));
        let eject =
            button(shown, "media-eject-symbolic", &gettext("Eject Medium from {drive}"), "eject");
        eject.set_sensitive(shown.medium.is_some());
        row.add_suffix(&eject);
        row.add_controller(drop_target(shown.index));
    }
    let label = gettext("Options for {drive}").replace("{drive}", &shown.title);
    let menu = gtk::MenuButton::builder()
        .icon_name("view-more-symbolic")
        .tooltip_text(&label)
        .valign(gtk::Align::Center)
        .css_classes(["flat"])
        .menu_model(&menu(shown))
        .name("options")
        .build();
    menu.update_property(&[gtk::accessible::Property::Label(&label)]);
    row.add_suffix(&menu);
    row
}

fn button(shown: &Shown, icon: &str, label: &str, action: &str) -> gtk::Button {
    let label = label.replace("{drive}", &shown.title);
    let button = gtk::Button::builder()
        .icon_name(icon)
        .tooltip_text(&label)
        .valign(gtk::Align::Center)
        .css_classes(["flat"])
        .build();
    button.update_property(&[gtk::accessible::Property::Label(&label)]);
    button.set_action_name(Some(&format!("drives.{action}")));
    button.set_action_target_value(Some(&target(shown)));
    button
}

fn target(shown: &Shown) -> glib::Variant {
    (shown.index as u32).to_variant()
}

fn menu(shown: &Shown) -> gio::Menu {
    let menu = gio::Menu::new();
    let entry = |section: &gio::Menu, label: String, action: &str| {
        let item = gio::MenuItem::new(Some(&label), None);
        item.set_action_and_target_value(Some(&format!("drives.{action}")), Some(&target(shown)));
        section.append_item(&item);
    };
    let order = gio::Menu::new();
    if !shown.is_first {
        entry(&order, gettext("Move _Up"), "move-up");
    }
    if !shown.is_last {
        entry(&order, gettext("Move _Down"), "move-down");
    }
    let disk = gio::Menu::new();
    if let Drive::Disk { read_only, bus, .. } = shown.drive {
        if shown.can_grow {
            entry(&disk, gettext("Make _Larger…"), "grow");
        }
        let label = if read_only { gettext("Allow _Writing") } else { gettext("Make Read-_Only") };
        entry(&disk, label, "toggle-read-only");
        let other = match bus {
            DiskBus::Sata => DiskBus::Virtio,
            DiskBus::Virtio => DiskBus::Sata,
        };
        let label = gettext("_Connect by {bus}").replace("{bus}", bus_name(other));
        entry(&disk, label, "toggle-bus");
    }
    let last = gio::Menu::new();
    entry(&last, gettext("_Remove"), "remove");
    for section in [order, disk, last] {
        menu.append_section(None, &section);
    }
    menu
}

/// An ISO image dropped on a drive is put into it.
fn drop_target(index: usize) -> gtk::DropTarget {
    let target = gtk::DropTarget::new(gio::File::static_type(), gdk::DragAction::COPY);
    target.connect_drop(move |target, value, _, _| {
        let path = value.get::<gio::File>().ok().and_then(|file| file.path());
        let Some(path) = path.as_deref().and_then(Path::to_str) else { return false };
        let parameter = (index as u32, path).to_variant();
        target
            .widget()
            .is_some_and(|row| row.activate_action("drives.insert-file", Some(&parameter)).is_ok())
    });
    target
}
