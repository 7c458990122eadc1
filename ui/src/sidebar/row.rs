//! One machine's row: a picture, the name, the state, and what its processors do.

use std::cell::{OnceCell, RefCell};

use gettextrs::gettext;
use gtk::glib;
use gtk::prelude::*;
use gtk::subclass::prelude::*;

use super::thumbnail::Thumbnail;
use crate::machines::{Status, Vm};
use crate::resources::{Quantity, Sparkline};

/// Opens a menu at a place in the row.
type OpenMenu = Box<dyn Fn(f64, f64)>;

mod imp {
    use super::*;

    #[derive(Default)]
    pub struct VmRow {
        pub(super) thumbnail: Thumbnail,
        // Inscriptions: how large they are does not depend on their text, so that nobody has to lay
        // it out to know.
        pub(super) name: gtk::Inscription,
        pub(super) state: gtk::Inscription,
        /// Made for the first machine that runs.
        pub(super) sparkline: OnceCell<Sparkline>,
        pub(super) vm: RefCell<Option<(Vm, Vec<glib::SignalHandlerId>)>>,
        pub(super) item: glib::WeakRef<gtk::ListItem>,
        pub(super) menu: OnceCell<OpenMenu>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for VmRow {
        const NAME: &'static str = "BerthVmRow";
        type Type = super::VmRow;
        type ParentType = gtk::Grid;
    }

    impl ObjectImpl for VmRow {
        fn constructed(&self) {
            self.parent_constructed();
            let right_to_left = self.obj().direction() == gtk::TextDirection::Rtl;
            for label in [&self.name, &self.state] {
                // Unlike a label's, this is the left side for all.
                label.set_xalign(if right_to_left { 1.0 } else { 0.0 });
                label.set_min_lines(1);
                label.set_text_overflow(gtk::InscriptionOverflow::EllipsizeEnd);
                label.set_hexpand(true);
            }
            // A grid, without boxes in boxes: there may be a hundred rows.
            self.name.set_vexpand(true);
            self.name.set_valign(gtk::Align::End);
            self.state.set_vexpand(true);
            self.state.set_valign(gtk::Align::Start);
            self.state.add_css_class("caption");
            self.thumbnail.set_margin_end(6);
            let grid = self.obj();
            grid.set_column_spacing(6);
            grid.set_row_spacing(2);
            grid.set_margin_top(6);
            grid.set_margin_bottom(6);
            grid.attach(&self.thumbnail, 0, 0, 1, 2);
            grid.attach(&self.name, 1, 0, 2, 1);
            grid.attach(&self.state, 1, 1, 1, 1);
        }

        fn dispose(&self) {
            self.obj().set_vm(None);
        }
    }

    impl WidgetImpl for VmRow {}
    impl GridImpl for VmRow {}
}

glib::wrapper! {
    /// One machine's row.
    pub struct VmRow(ObjectSubclass<imp::VmRow>)
        @extends gtk::Grid, gtk::Widget,
        @implements gtk::Accessible, gtk::Buildable, gtk::ConstraintTarget, gtk::Orientable;
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
        if let Some(sparkline) = imp.sparkline.get() {
            sparkline.set_history(vm.map(Vm::history));
        }
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
        let text = |label: &gtk::Inscription| label.text().unwrap_or_default();
        format!("{}, {}", text(&self.imp().name), text(&self.imp().state))
    }

    fn refresher(&self) -> impl Fn(&Vm) + 'static {
        let row = self.downgrade();
        move |vm| {
            if let Some(row) = row.upgrade() {
                row.refresh(vm);
            }
        }
    }

    /// Shows what the processors do, while they do anything.
    fn show_sparkline(&self, vm: &Vm) {
        let imp = self.imp();
        let live = vm.status().is_live();
        if live && imp.sparkline.get().is_none() {
            let sparkline = imp.sparkline.get_or_init(|| Sparkline::new(Quantity::Cpu));
            sparkline.set_history(Some(vm.history()));
            self.attach(sparkline, 2, 1, 1, 1);
        }
        if let Some(sparkline) = imp.sparkline.get() {
            sparkline.set_visible(live);
        }
    }

    fn refresh(&self, vm: &Vm) {
        let imp = self.imp();
        imp.name.set_text(Some(&vm.name()));
        let crashed = vm.status() == Status::Off && vm.notice().is_some();
        let state = if crashed { gettext("Stopped by an error") } else { vm.status().label() };
        imp.state.set_text(Some(&state));
        self.show_sparkline(vm);
        let bad = crashed || vm.status() == Status::Damaged;
        // Dim red is hard to read.
        let class = |name: &str, wanted: bool| match wanted {
            true => imp.state.add_css_class(name),
            false => imp.state.remove_css_class(name),
        };
        class("error", bad);
        class("dim-label", !bad);
        self.set_tooltip_text(vm.notice().as_deref());
        if let Some(item) = imp.item.upgrade() {
            item.set_accessible_label(&self.summary());
        }
    }
}
