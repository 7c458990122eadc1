//! One machine's row: a picture, the name, the state, and what its processors do.

use std::cell::{OnceCell, RefCell};

use adw::prelude::*;
use adw::subclass::prelude::*;
use gettextrs::gettext;
use gtk::{glib, pango};

use super::thumbnail::Thumbnail;
use crate::machines::{Status, Vm};
use crate::resources::{Quantity, Sparkline};

/// Opens a menu at a place in the row.
type OpenMenu = Box<dyn Fn(f64, f64)>;

mod imp {
    use super::*;

    pub struct VmRow {
        pub(super) thumbnail: Thumbnail,
        pub(super) name: gtk::Label,
        pub(super) state: gtk::Label,
        pub(super) sparkline: Sparkline,
        pub(super) vm: RefCell<Option<(Vm, Vec<glib::SignalHandlerId>)>>,
        pub(super) item: glib::WeakRef<gtk::ListItem>,
        pub(super) menu: OnceCell<OpenMenu>,
    }

    impl Default for VmRow {
        fn default() -> Self {
            Self {
                thumbnail: Thumbnail::default(),
                name: gtk::Label::default(),
                state: gtk::Label::default(),
                sparkline: Sparkline::new(Quantity::Cpu),
                vm: RefCell::default(),
                item: glib::WeakRef::default(),
                menu: OnceCell::new(),
            }
        }
    }

    #[glib::object_subclass]
    impl ObjectSubclass for VmRow {
        const NAME: &'static str = "BerthVmRow";
        type Type = super::VmRow;
        type ParentType = adw::Bin;
    }

    impl ObjectImpl for VmRow {
        fn constructed(&self) {
            self.parent_constructed();
            for label in [&self.name, &self.state] {
                label.set_xalign(0.0);
                label.set_ellipsize(pango::EllipsizeMode::End);
            }
            self.state.set_hexpand(true);
            self.state.add_css_class("caption");
            self.state.add_css_class("dim-label");
            let below = gtk::Box::new(gtk::Orientation::Horizontal, 6);
            below.append(&self.state);
            below.append(&self.sparkline);
            let text = gtk::Box::new(gtk::Orientation::Vertical, 2);
            text.set_valign(gtk::Align::Center);
            text.set_hexpand(true);
            text.append(&self.name);
            text.append(&below);
            let row = gtk::Box::new(gtk::Orientation::Horizontal, 12);
            row.set_margin_top(6);
            row.set_margin_bottom(6);
            row.append(&self.thumbnail);
            row.append(&text);
            self.obj().set_child(Some(&row));
        }

        fn dispose(&self) {
            self.obj().set_vm(None);
        }
    }

    impl WidgetImpl for VmRow {}
    impl BinImpl for VmRow {}
}

glib::wrapper! {
    /// One machine's row.
    pub struct VmRow(ObjectSubclass<imp::VmRow>)
        @extends adw::Bin, gtk::Widget,
        @implements gtk::Accessible, gtk::Buildable, gtk::ConstraintTarget;
}

impl VmRow {
    /// The row of `item`, which is called by what the row says.
    pub(super) fn new(item: &gtk::ListItem) -> Self {
        let row: Self = glib::Object::new();
        row.imp().item.set(Some(item));
        row
    }

    /// Has `open` open the row's menu at a place in the row.
    pub(super) fn set_menu(&self, open: impl Fn(f64, f64) + 'static) {
        // A row is set up once.
        let _ = self.imp().menu.set(Box::new(open));
    }

    /// Opens the row's menu below it.
    pub(super) fn open_menu(&self) {
        if let Some(open) = self.imp().menu.get() {
            open(0.0, f64::from(self.height()));
        }
    }

    /// Shows `vm` from now on.
    pub(super) fn set_vm(&self, vm: Option<&Vm>) {
        let imp = self.imp();
        if let Some((vm, handlers)) = imp.vm.take() {
            handlers.into_iter().for_each(|handler| vm.disconnect(handler));
        }
        imp.thumbnail.set_vm(vm);
        imp.sparkline.set_history(vm.map(Vm::history));
        let Some(vm) = vm else { return };
        let handlers = [
            vm.connect_name_notify(self.refresher()),
            vm.connect_status_notify(self.refresher()),
            vm.connect_notice_notify(self.refresher()),
        ];
        imp.vm.replace(Some((vm.clone(), handlers.into())));
        self.refresh(vm);
    }

    /// Name and state, as a screen reader reads the row.
    fn summary(&self) -> String {
        format!("{}, {}", self.imp().name.text(), self.imp().state.text())
    }

    fn refresher(&self) -> impl Fn(&Vm) + 'static {
        let row = self.downgrade();
        move |vm| {
            if let Some(row) = row.upgrade() {
                row.refresh(vm);
            }
        }
    }

    fn refresh(&self, vm: &Vm) {
        let imp = self.imp();
        imp.name.set_label(&vm.name());
        let crashed = vm.status() == Status::Off && vm.notice().is_some();
        let state = if crashed { gettext("Stopped by an error") } else { vm.status().label() };
        imp.state.set_label(&state);
        imp.sparkline.set_visible(vm.status().is_live());
        let bad = crashed || vm.status() == Status::Damaged;
        match bad {
            true => imp.state.add_css_class("error"),
            false => imp.state.remove_css_class("error"),
        }
        self.set_tooltip_text(vm.notice().as_deref());
        if let Some(item) = imp.item.upgrade() {
            item.set_accessible_label(&self.summary());
        }
    }
}
