//! The systems to choose from.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use adw::prelude::*;
use gettextrs::gettext;
use vmm_core::download::Kind;

use super::super::model::{Remark, Weight};
use super::super::page::plain_row;
use super::super::remark::RemarkLabel;
use super::super::size;
use crate::backend::{Failure, Offer};

type Chosen = Rc<dyn Fn(&Offer)>;

/// A row for each system, and above them what went wrong.
pub(super) struct List {
    content: gtk::Box,
    trouble: adw::PreferencesGroup,
    remark: RemarkLabel,
    group: adw::PreferencesGroup,
    rows: RefCell<Vec<adw::ActionRow>>,
    offers: RefCell<Vec<Offer>>,
    /// Whether typing was to go to a row when there was none.
    wants_focus: Cell<bool>,
    start: Chosen,
    forget: Chosen,
}

impl List {
    /// `start` is told which system is wanted, `forget` of which one nothing is wanted any more.
    pub(super) fn new(start: impl Fn(&Offer) + 'static, forget: impl Fn(&Offer) + 'static) -> Self {
        let remark = RemarkLabel::new();
        for set in [gtk::Widget::set_margin_top, gtk::Widget::set_margin_bottom] {
            set(remark.widget().upcast_ref(), 10);
        }
        for set in [gtk::Widget::set_margin_start, gtk::Widget::set_margin_end] {
            set(remark.widget().upcast_ref(), 12);
        }
        let trouble = adw::PreferencesGroup::builder().visible(false).build();
        trouble.add(&plain_row(remark.widget()));
        let group = adw::PreferencesGroup::builder()
            .description(gettext("Straight from its publisher, and checked when it has arrived."))
            .build();
        let content =
            gtk::Box::builder().orientation(gtk::Orientation::Vertical).spacing(24).build();
        content.append(&trouble);
        content.append(&group);
        Self {
            content,
            trouble,
            remark,
            group,
            rows: RefCell::default(),
            offers: RefCell::default(),
            wants_focus: Cell::default(),
            start: Rc::new(start),
            forget: Rc::new(forget),
        }
    }

    pub(super) fn widget(&self) -> &gtk::Box {
        &self.content
    }

    pub(super) fn focus(&self) {
        let focused = self.rows.borrow().first().is_some_and(WidgetExt::grab_focus);
        self.wants_focus.set(!focused);
    }

    /// Tells what went wrong, or no longer does.
    pub(super) fn tell(&self, failure: Option<&Failure>) {
        let failure = failure.filter(|failure| !failure.cancelled);
        let remark =
            failure.map(|failure| Remark { weight: Weight::Error, text: failure.message.clone() });
        self.trouble.set_visible(remark.is_some());
        self.remark.show(remark.as_ref());
    }

    pub(super) fn set_offers(&self, offers: Vec<Offer>) {
        if *self.offers.borrow() == offers {
            return;
        }
        // What has the keyboard takes it along when it goes.
        let had_focus = self.group.focus_child().is_some();
        for row in self.rows.take() {
            self.group.remove(&row);
        }
        let rows: Vec<_> = offers.iter().map(|offer| self.row(offer)).collect();
        rows.iter().for_each(|row| self.group.add(row));
        self.rows.replace(rows);
        self.offers.replace(offers);
        if had_focus || self.wants_focus.get() {
            self.focus();
        }
    }

    fn row(&self, offer: &Offer) -> adw::ActionRow {
        let row = adw::ActionRow::builder()
            .use_markup(false)
            .title(&offer.name)
            .subtitle(about(offer))
            .activatable(true)
            .build();
        row.add_prefix(&gtk::Image::from_icon_name("media-optical-symbolic"));
        if offer.begun.is_some() {
            let forget = gtk::Button::builder()
                .icon_name("user-trash-symbolic")
                .tooltip_text(gettext("Delete What Has Arrived"))
                .valign(gtk::Align::Center)
                .css_classes(["flat"])
                .build();
            let (told, offer) = (self.forget.clone(), offer.clone());
            forget.connect_clicked(move |_| told(&offer));
            row.add_suffix(&forget);
        }
        row.add_suffix(&gtk::Image::from_icon_name("folder-download-symbolic"));
        let (told, offer) = (self.start.clone(), offer.clone());
        row.connect_activated(move |_| told(&offer));
        row
    }
}

/// Who makes it, what it is, and how much of it has to come.
fn about(offer: &Offer) -> String {
    let kind = match offer.kind {
        Kind::Installer => gettext("installer"),
        Kind::NetworkInstaller => gettext("installer from the network"),
        Kind::Live => gettext("live system"),
    };
    let size = match offer.begun {
        Some(begun) => {
            gettext("{done} of about {size} arrived").replace("{done}", &size::text(begun))
        }
        None => gettext("about {size}"),
    };
    let size = size.replace("{size}", &size::text(offer.size));
    format!("{} · {kind} · {size}", offer.publisher)
}
