//! The drives: their order, disks and media.
//!
//! What lives here: the group of the page and what its buttons come to, as actions of a group of
//! the name `drives`; each is given a drive's index. What does not: how a drive looks (`row`),
//! changing lists of drives (`edit`), media of running machines (`medium`).

mod deeds;
mod dialogs;
mod edit;
mod facts;
mod medium;
mod row;
mod start;

use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use adw::prelude::*;
use gettextrs::gettext;
use gtk::{gio, glib};
use vmm_core::definition::{Definition, Drive, MAX_DRIVES};

use self::facts::{Facts, Image};
use self::row::Shown;
use self::start::StartRow;
use super::context::Context;
use crate::machines::{Status, Vm};

/// The group with the drives.
pub(super) struct Drives {
    inner: Rc<Inner>,
}

struct Inner {
    context: Rc<Context>,
    group: adw::PreferencesGroup,
    rows: RefCell<Vec<(Shown, adw::ActionRow)>>,
    start: StartRow,
    add: gtk::MenuButton,
    facts: Rc<Facts>,
    wishes: medium::Wishes,
    /// Set while rows are exchanged: the keyboard leaving one makes others look again.
    rebuilding: Cell<bool>,
    /// The drive whose row is to have the keyboard once it is there.
    focus: Cell<Option<usize>>,
}

impl Drives {
    pub(super) fn new(context: &Rc<Context>) -> Self {
        let label = gettext("Add Drive");
        let add = gtk::MenuButton::builder()
            .icon_name("list-add-symbolic")
            .tooltip_text(&label)
            .css_classes(["flat"])
            .menu_model(&add_menu())
            .build();
        add.update_property(&[gtk::accessible::Property::Label(&label)]);
        let group = adw::PreferencesGroup::builder()
            .title(gettext("Drives"))
            .description(gettext("A system is looked for from top to bottom"))
            .header_suffix(&add)
            .build();
        let facts = Facts::new(context.machines.backend().clone());
        let start = StartRow::new(context);
        group.add(start.widget());
        let inner = Rc::new(Inner {
            context: context.clone(),
            group,
            rows: RefCell::default(),
            start,
            add,
            facts,
            wishes: medium::Wishes::default(),
            rebuilding: Cell::default(),
            focus: Cell::default(),
        });
        inner.group.insert_action_group("drives", Some(&deeds::actions(&inner)));
        let weak = Rc::downgrade(&inner);
        inner.facts.set_changed(Rc::new(move || {
            if let Some(inner) = weak.upgrade()
                && let Some(definition) = inner.context.vm.definition()
            {
                inner.show(&definition);
            }
        }));
        Self { inner }
    }

    pub(super) fn widget(&self) -> &adw::PreferencesGroup {
        &self.inner.group
    }

    pub(super) fn show(&self, definition: &Definition) {
        self.inner.show(definition);
    }

    /// Looks at the files again, as they may have changed.
    pub(super) fn look_again(&self) {
        self.inner.facts.forget();
    }

    /// Follows what happens to the drives of the running machine.
    pub(super) fn connect_running(&self, vm: &Vm) -> [glib::SignalHandlerId; 4] {
        let forced = {
            let (context, wishes) = (self.inner.context.clone(), self.inner.wishes.clone());
            vm.connect_medium_held(move |_, drive| {
                glib::spawn_future_local(medium::force(context.clone(), wishes.clone(), drive));
            })
        };
        let kept = {
            let (context, wishes) = (self.inner.context.clone(), self.inner.wishes.clone());
            vm.connect_media_changed(move |_| medium::keep(&context, &wishes))
        };
        let grown = {
            let inner = self.inner.clone();
            vm.connect_disk_grown(move |_| inner.look_and_refresh())
        };
        let wishes = self.inner.wishes.clone();
        [forced, kept, grown, vm.connect_ended(move |_| wishes.borrow_mut().clear())]
    }
}

impl Inner {
    fn show(&self, definition: &Definition) {
        self.start.show(definition);
        self.add.set_sensitive(definition.drives.len() < MAX_DRIVES);
        let shown = self.shown(definition);
        let same = self.rows.borrow().iter().map(|(shown, _)| shown).eq(&shown);
        if same || self.rebuilding.replace(true) {
            return;
        }
        let old = self.rows.take();
        let focused = old.iter().position(|(_, row)| super::name::has_focus(row));
        let focus = self.focus.take().or(focused);
        for (_, row) in old {
            self.group.remove(&row);
        }
        // Last in the group: in front of it there is no place.
        self.group.remove(self.start.widget());
        let rows: Vec<_> =
            shown.into_iter().map(|shown| (shown.clone(), row::row(&shown))).collect();
        for (_, row) in &rows {
            self.group.add(row);
        }
        self.group.add(self.start.widget());
        if let Some((_, row)) = focus.and_then(|index| rows.get(index.min(rows.len() - 1))) {
            row.child_focus(gtk::DirectionType::TabForward);
        }
        self.rows.replace(rows);
        self.rebuilding.set(false);
    }

    fn shown(&self, definition: &Definition) -> Vec<Shown> {
        let vm = &self.context.vm;
        let is_live = vm.status().is_live();
        let titles = titles(&definition.drives);
        let last = definition.drives.len().saturating_sub(1);
        let describe = |(index, (drive, title)): (usize, (&Drive, String))| {
            let running = is_live.then(|| medium::running(&self.context, index));
            let medium = match (drive, running) {
                (Drive::Optical { .. }, Some(Some(at))) => vm.medium(at),
                (Drive::Optical { file }, _) => file.clone(),
                (Drive::Disk { .. }, _) => None,
            };
            let image = match drive {
                Drive::Disk { file, format, .. } => Some(Image::Disk(self.whole(file), *format)),
                Drive::Optical { .. } => {
                    medium.as_deref().map(|file| Image::Medium(self.whole(file)))
                }
            };
            Shown {
                index,
                title,
                drive: drive.clone(),
                medium,
                // Nobody looks at files for a page that nobody sees.
                fact: image
                    .filter(|_| self.group.is_mapped())
                    .and_then(|image| self.facts.get(image)),
                is_first: index == 0,
                is_last: index == last,
                can_grow: match vm.status() {
                    Status::Off => matches!(drive, Drive::Disk { read_only: false, .. }),
                    _ => deeds::growing_disk(&self.context, index).is_some(),
                },
                is_there: !matches!((drive, running), (Drive::Optical { .. }, Some(None))),
            }
        };
        definition.drives.iter().zip(titles).enumerate().map(describe).collect()
    }

    /// The whole path of a drive's file.
    fn whole(&self, file: &Path) -> PathBuf {
        self.context.vm.folder().join(file)
    }

    fn drive(&self, index: usize) -> Option<Drive> {
        self.context.vm.definition()?.drives.get(index).cloned()
    }
}

/// What drives are called: numbered where there are several of a kind.
fn titles(drives: &[Drive]) -> Vec<String> {
    let is_disk = |drive: &Drive| matches!(drive, Drive::Disk { .. });
    let title = |(index, drive): (usize, &Drive)| {
        let alike = |other: &&Drive| is_disk(other) == is_disk(drive);
        let number = drives[..=index].iter().filter(alike).count();
        let only = drives.iter().filter(alike).count() == 1;
        let text = match (is_disk(drive), only) {
            (true, true) => gettext("Disk"),
            (true, false) => gettext("Disk {n}"),
            (false, true) => gettext("Optical Drive"),
            (false, false) => gettext("Optical Drive {n}"),
        };
        text.replace("{n}", &number.to_string())
    };
    drives.iter().enumerate().map(title).collect()
}

fn add_menu() -> gio::Menu {
    let menu = gio::Menu::new();
    menu.append(Some(&gettext("_New Disk…")), Some("drives.add-disk"));
    menu.append(Some(&gettext("_Existing Disk…")), Some("drives.add-existing"));
    menu.append(Some(&gettext("_Optical Drive")), Some("drives.add-optical"));
    menu
}

#[cfg(test)]
mod tests {
    use vmm_core::block::Format;

    use super::*;

    #[test]
    fn drives_are_numbered_only_where_there_are_several() {
        let (format, bus) = (Format::Raw, vmm_core::definition::DiskBus::Sata);
        let disk = Drive::Disk { file: "a".into(), format, read_only: false, bus };
        let optical = Drive::Optical { file: None };
        assert_eq!(
            titles(&[disk.clone(), optical.clone(), disk.clone()]),
            ["Disk 1", "Optical Drive", "Disk 2"]
        );
        assert_eq!(titles(&[optical.clone(), optical]), ["Optical Drive 1", "Optical Drive 2"]);
    }
}
