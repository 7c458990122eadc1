//! The network card, and the ports of this computer that lead into the machine.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use adw::prelude::*;
use gettextrs::gettext;
use gtk::glib;
use vmm_core::definition::{Definition, Network};
use vmm_core::net::PortForward;

use super::context::Context;
use super::way::WayRow;

/// The group with the network.
pub(super) struct NetworkGroup {
    context: Rc<Context>,
    group: adw::PreferencesGroup,
    card: adw::SwitchRow,
    way: WayRow,
    reach_host: adw::SwitchRow,
    new: adw::EntryRow,
    forwards: RefCell<Vec<adw::ActionRow>>,
    shown: RefCell<Vec<PortForward>>,
    showing: Rc<Cell<bool>>,
}

impl NetworkGroup {
    pub(super) fn new(context: &Rc<Context>) -> Self {
        let showing = Rc::new(Cell::new(false));
        let card = adw::SwitchRow::builder()
            .title(gettext("Connected to the _Network"))
            .use_underline(true)
            .build();
        on_toggle(&card, context, &showing, |definition, active| {
            definition.network.get_or_insert_default().enabled = active;
        });
        let way = WayRow::new(context);
        let reach_host = adw::SwitchRow::builder()
            .title(gettext("_Reaches This Computer's Own Services"))
            .subtitle(gettext("Those that listen on localhost, for nobody else"))
            .use_underline(true)
            .build();
        on_toggle(&reach_host, context, &showing, |definition, active| {
            definition.network.get_or_insert_default().reach_host = active;
        });
        let new = adw::EntryRow::builder()
            .title(gettext("Lead a _Port into the Machine, Such as 2222:22"))
            .use_underline(true)
            .show_apply_button(true)
            .build();
        new.connect_changed(|row| match is_wrong(&row.text()) {
            true => row.add_css_class("error"),
            false => row.remove_css_class("error"),
        });
        new.connect_apply(glib::clone!(
            #[strong]
            context,
            move |row| {
                let Ok(forward) = row.text().trim().parse::<PortForward>() else { return };
                row.set_text("");
                context.change(move |definition| {
                    definition.network.get_or_insert_default().forwards.push(forward);
                });
            }
        ));
        let group = adw::PreferencesGroup::builder().title(gettext("Network")).build();
        group.add(&card);
        group.add(way.widget());
        group.add(&reach_host);
        group.add(&new);
        Self {
            context: context.clone(),
            group,
            card,
            way,
            reach_host,
            new,
            forwards: RefCell::default(),
            shown: RefCell::default(),
            showing,
        }
    }

    pub(super) fn widget(&self) -> &adw::PreferencesGroup {
        &self.group
    }

    pub(super) fn show(&self, definition: &Definition) {
        let network = definition.network.as_ref();
        let enabled = network.is_some_and(|network| network.enabled);
        self.showing.set(true);
        self.card.set_active(enabled);
        let address = network.map(|network| network.mac.to_string()).unwrap_or_default();
        self.card.set_subtitle(&address);
        self.reach_host.set_active(network.is_some_and(|network| network.reach_host));
        self.showing.set(false);
        self.way.show(network);
        // A TAP device leads where whoever made it decided.
        let own = enabled && network.is_none_or(|network| network.tap.is_none());
        self.reach_host.set_visible(own);
        self.new.set_visible(own);
        let forwards = network.filter(|_| own).map(|Network { forwards, .. }| forwards.clone());
        self.show_forwards(forwards.unwrap_or_default());
    }

    fn show_forwards(&self, forwards: Vec<PortForward>) {
        if *self.shown.borrow() == forwards {
            return;
        }
        let (focused, position) = (has_focus(&self.new), self.new.position());
        for row in self.forwards.take() {
            self.group.remove(&row);
        }
        // Behind them comes the entry for one more.
        self.group.remove(&self.new);
        let rows: Vec<_> = forwards.iter().map(|forward| self.row(*forward)).collect();
        rows.iter().for_each(|row| self.group.add(row));
        self.group.add(&self.new);
        if focused {
            // Whoever types one may have another to type.
            self.new.grab_focus();
            self.new.set_position(position);
        }
        self.forwards.replace(rows);
        self.shown.replace(forwards);
    }

    fn row(&self, forward: PortForward) -> adw::ActionRow {
        let remove = gtk::Button::builder()
            .icon_name("user-trash-symbolic")
            .tooltip_text(gettext("Remove"))
            .valign(gtk::Align::Center)
            .css_classes(["flat"])
            .build();
        let label = gettext("Remove Port {host}").replace("{host}", &forward.host.to_string());
        remove.update_property(&[gtk::accessible::Property::Label(&label)]);
        remove.connect_clicked(glib::clone!(
            #[strong(rename_to = context)]
            self.context,
            move |_| context.change(move |definition| {
                if let Some(network) = &mut definition.network {
                    network.forwards.retain(|other| *other != forward);
                }
            })
        ));
        let title = gettext("Port {host} leads to the machine's port {guest}")
            .replace("{host}", &forward.host.to_string())
            .replace("{guest}", &forward.guest.to_string());
        let row = adw::ActionRow::builder().title(title).subtitle(forward.to_string()).build();
        row.add_suffix(&remove);
        row
    }
}

/// Whether the focus is in `widget`.
fn has_focus(widget: &impl IsA<gtk::Widget>) -> bool {
    widget.state_flags().contains(gtk::StateFlags::FOCUS_WITHIN)
}

/// Whether something is typed that is no forward.
fn is_wrong(text: &str) -> bool {
    !text.trim().is_empty() && text.trim().parse::<PortForward>().is_err()
}

/// Changes the definition when a person moves the switch.
fn on_toggle(
    row: &adw::SwitchRow,
    context: &Rc<Context>,
    showing: &Rc<Cell<bool>>,
    edit: fn(&mut Definition, bool),
) {
    row.connect_active_notify(glib::clone!(
        #[strong]
        context,
        #[strong]
        showing,
        move |row| {
            if !showing.get() {
                let active = row.is_active();
                context.change(move |definition| edit(definition, active));
            }
        }
    ));
}
