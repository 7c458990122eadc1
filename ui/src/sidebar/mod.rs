//! The list of machines, running ones first, with search.
//!
//! What lives here: the list, its order and filter, and its rows. What does not: what is done with
//! the machine chosen; the window is told by [`SidebarOutput`].

mod row;
mod thumbnail;

use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use gettextrs::gettext;
use gtk::prelude::*;
use gtk::{gdk, gio, glib};
use relm4::prelude::*;

use self::row::VmRow;
use crate::machines::{Machines, Vm};

/// How many rows the list has at first: what a window of the usual size has room for. GTK makes a
/// row for each machine of a list that is not longer than 200, which takes longer than the whole
/// window.
const AT_FIRST: u32 = 16;
/// How many rows are added at once, …
const STEP: u32 = 8;
/// … and how long all else comes first: before the first of them, …
const FIRST: Duration = Duration::from_millis(100);
/// … and between them.
const BETWEEN: Duration = Duration::from_millis(10);

/// What the sidebar tells the window.
#[derive(Debug)]
pub enum SidebarOutput {
    /// This machine is chosen; `None` when the list is empty.
    Selected(Option<Vm>),
    /// The machine's own page is wanted: its row was activated.
    Activated(Vm),
}

/// What the window tells the sidebar.
#[derive(Debug)]
pub enum SidebarInput {
    /// Choose this machine.
    Select(Vm),
    /// Show or hide the search entry.
    Search(bool),
    /// A machine's name or state changed: put it in its place.
    Sort,
    /// The text searched for changed.
    Filter,
}

/// The list of machines.
pub struct Sidebar {
    sorter: gtk::CustomSorter,
    filter: gtk::CustomFilter,
    wanted: Rc<RefCell<String>>,
    /// What of the list has rows by now.
    shown: gtk::SliceListModel,
    selection: gtk::SingleSelection,
    search_bar: gtk::SearchBar,
    search_entry: gtk::SearchEntry,
}

/// What a machine's row offers: the menu, whose actions the window has.
pub struct SidebarInit {
    /// The machines.
    pub machines: Machines,
    /// The menu of a row; its actions are about the machine chosen.
    pub menu: gio::MenuModel,
}

impl SimpleComponent for Sidebar {
    type Init = SidebarInit;
    type Input = SidebarInput;
    type Output = SidebarOutput;
    type Root = gtk::Box;
    type Widgets = ();

    fn init_root() -> Self::Root {
        gtk::Box::new(gtk::Orientation::Vertical, 0)
    }

    fn init(
        init: Self::Init,
        root: Self::Root,
        sender: ComponentSender<Self>,
    ) -> ComponentParts<Self> {
        let wanted = Rc::new(RefCell::new(String::new()));
        let sorter = gtk::CustomSorter::new(|one, other| order(one).cmp(&order(other)).into());
        let filter = gtk::CustomFilter::new({
            let wanted = wanted.clone();
            move |item| {
                let wanted = wanted.borrow();
                wanted.is_empty() || vm_of(item).name().to_lowercase().contains(&*wanted)
            }
        });
        let filtered =
            gtk::FilterListModel::new(Some(init.machines.model().clone()), Some(filter.clone()));
        let sorted = gtk::SortListModel::new(Some(filtered), Some(sorter.clone()));
        let shown = gtk::SliceListModel::new(Some(sorted), 0, AT_FIRST);
        let selection = gtk::SingleSelection::new(Some(shown.clone()));
        unfold(&shown);

        let search_entry = gtk::SearchEntry::builder()
            .hexpand(true)
            .placeholder_text(gettext("Search machines"))
            .build();
        search_entry
            .update_property(&[gtk::accessible::Property::Label(&gettext("Search machines"))]);
        let search_bar = gtk::SearchBar::builder().child(&search_entry).build();
        search_bar.connect_entry(&search_entry);
        let list = gtk::ListView::builder()
            .model(&selection)
            .factory(&factory(&init.menu, &selection))
            .css_classes(["navigation-sidebar"])
            .build();
        list.update_property(&[gtk::accessible::Property::Label(&gettext("Machines"))]);
        list.add_controller(menu_key(&list));
        let scrolled = gtk::ScrolledWindow::builder()
            .hscrollbar_policy(gtk::PolicyType::Never)
            .vexpand(true)
            .child(&list)
            .build();
        // Where nothing is in the list, no key does anything.
        scrolled.set_can_focus(false);
        selection.connect_items_changed(glib::clone!(
            #[weak]
            scrolled,
            move |selection, _, _, _| scrolled.set_can_focus(selection.n_items() > 0)
        ));
        root.append(&search_bar);
        root.append(&scrolled);

        search_entry.connect_search_changed({
            let sender = sender.clone();
            move |_| sender.input(SidebarInput::Filter)
        });
        selection.connect_selected_item_notify({
            let sender = sender.clone();
            move |selection| {
                let vm = selection.selected_item().and_downcast();
                // Refused only when the window is gone.
                let _ = sender.output(SidebarOutput::Selected(vm));
            }
        });
        list.connect_activate({
            let (sender, selection) = (sender.clone(), selection.clone());
            move |_, position| {
                if let Some(vm) = selection.item(position).and_downcast() {
                    let _ = sender.output(SidebarOutput::Activated(vm));
                }
            }
        });
        watch_order(init.machines.model(), &sender);
        let model = Self { sorter, filter, wanted, shown, selection, search_bar, search_entry };
        ComponentParts { model, widgets: () }
    }

    fn update(&mut self, message: Self::Input, _sender: ComponentSender<Self>) {
        match message {
            SidebarInput::Select(vm) => {
                let Some(list) = self.shown.model() else { return };
                let is_wanted = |at: &u32| list.item(*at).and_downcast().as_ref() == Some(&vm);
                if let Some(position) = (0..list.n_items()).find(is_wanted) {
                    // It may be further down than there are rows so far.
                    self.shown.set_size(self.shown.size().max(position.saturating_add(1)));
                    self.selection.set_selected(position);
                }
            }
            SidebarInput::Search(shown) => {
                self.search_bar.set_search_mode(shown);
                if shown {
                    self.search_entry.grab_focus();
                }
            }
            SidebarInput::Sort => self.sorter.changed(gtk::SorterChange::Different),
            SidebarInput::Filter => {
                self.wanted.replace(self.search_entry.text().to_lowercase());
                self.filter.changed(gtk::FilterChange::Different);
            }
        }
    }
}

impl Sidebar {
    /// The search bar, to bind its `search-mode-enabled` and to capture keys for it.
    pub fn search_bar(&self) -> &gtk::SearchBar {
        &self.search_bar
    }
}

fn vm_of(item: &glib::Object) -> &Vm {
    item.downcast_ref().expect("the list holds machines alone")
}

/// Once there are machines, makes `shown` longer, bit by bit, until it is as long as the list.
fn unfold(shown: &gtk::SliceListModel) {
    let Some(list) = shown.model() else { return };
    let weak = shown.downgrade();
    let handler: Rc<Cell<Option<glib::SignalHandlerId>>> = Rc::default();
    let connected = list.connect_items_changed({
        let handler = handler.clone();
        move |list, _, _, _| {
            if list.n_items() <= AT_FIRST {
                return;
            }
            if let Some(handler) = handler.take() {
                list.disconnect(handler);
            }
            let (weak, list) = (weak.clone(), list.downgrade());
            glib::spawn_future_local(async move {
                let mut pause = FIRST;
                loop {
                    glib::timeout_future_with_priority(glib::Priority::LOW, pause).await;
                    pause = BETWEEN;
                    let (Some(shown), Some(list)) = (weak.upgrade(), list.upgrade()) else {
                        return;
                    };
                    let size = shown.size().saturating_add(STEP);
                    if size >= list.n_items() {
                        shown.set_size(u32::MAX);
                        return;
                    }
                    shown.set_size(size);
                }
            });
        }
    });
    handler.set(Some(connected));
}

/// Live machines first, then by name.
fn order(item: &glib::Object) -> (bool, String) {
    let vm = vm_of(item);
    (!vm.status().is_live(), vm.name().to_lowercase())
}

/// Sorts anew whenever a machine's name or state changes.
fn watch_order(model: &gio::ListStore, sender: &ComponentSender<Sidebar>) {
    let watch = {
        let sender = sender.clone();
        move |vm: &Vm| {
            let input = sender.input_sender().clone();
            vm.connect_status_notify(move |_| input.emit(SidebarInput::Sort));
            let input = sender.input_sender().clone();
            vm.connect_name_notify(move |_| input.emit(SidebarInput::Sort));
        }
    };
    model.iter::<Vm>().flatten().for_each(|vm| watch(&vm));
    model.connect_items_changed(move |model, position, _, added| {
        (position..position + added)
            .filter_map(|index| model.item(index).and_downcast::<Vm>())
            .for_each(|vm| watch(&vm));
    });
}

fn factory(menu: &gio::MenuModel, selection: &gtk::SingleSelection) -> gtk::SignalListItemFactory {
    let factory = gtk::SignalListItemFactory::new();
    let (menu, selection) = (menu.clone(), selection.clone());
    factory.connect_setup(move |_, item| {
        let item = list_item(item);
        let row = VmRow::new(item);
        offer_menu(&row, item, &menu, &selection);
        item.set_child(Some(&row));
    });
    factory.connect_bind(|_, item| {
        let item = list_item(item);
        if let (Some(row), Some(vm)) = (row_of(item), item.item().and_downcast::<Vm>()) {
            row.set_vm(Some(&vm));
        }
    });
    factory.connect_unbind(|_, item| {
        if let Some(row) = row_of(list_item(item)) {
            row.set_vm(None);
        }
    });
    factory
}

fn list_item(item: &glib::Object) -> &gtk::ListItem {
    item.downcast_ref().expect("list views make list items")
}

fn row_of(item: &gtk::ListItem) -> Option<VmRow> {
    item.child().and_downcast()
}

/// The menu key opens the menu of the row that has the keyboard: not the row itself gets the key,
/// but the list's widget around it.
fn menu_key(list: &gtk::ListView) -> gtk::ShortcutController {
    let list = list.downgrade();
    let keys = gtk::ShortcutController::new();
    keys.add_shortcut(gtk::Shortcut::new(
        gtk::ShortcutTrigger::parse_string("Menu|<Shift>F10"),
        Some(gtk::CallbackAction::new(move |_, _| {
            let focused = list.upgrade().and_then(|list| list.focus_child());
            match focused.and_then(|item| item.first_child()).and_downcast::<VmRow>() {
                Some(row) => {
                    row.open_menu();
                    glib::Propagation::Stop
                }
                None => glib::Propagation::Proceed,
            }
        })),
    ));
    keys
}

/// A right click and a long press choose the machine and open its menu.
fn offer_menu(
    row: &VmRow,
    item: &gtk::ListItem,
    menu: &gio::MenuModel,
    selection: &gtk::SingleSelection,
) {
    // Made when it is first wanted: it is far more widgets than the row.
    let made: Rc<OnceCell<gtk::PopoverMenu>> = Rc::default();
    row.connect_destroy({
        let made = made.clone();
        move |_| {
            if let Some(popover) = made.get() {
                popover.unparent();
            }
        }
    });
    let open = glib::clone!(
        #[weak]
        row,
        #[weak]
        item,
        #[weak]
        selection,
        #[strong]
        menu,
        move |x: f64, y: f64| {
            let popover = made.get_or_init(|| {
                let popover = gtk::PopoverMenu::from_model(Some(&menu));
                popover.set_parent(&row);
                popover.set_has_arrow(false);
                popover.set_halign(gtk::Align::Start);
                popover
            });
            selection.set_selected(item.position());
            popover.set_pointing_to(Some(&gdk::Rectangle::new(x as i32, y as i32, 1, 1)));
            popover.popup();
        }
    );
    let click = gtk::GestureClick::builder().button(gdk::BUTTON_SECONDARY).build();
    click.connect_pressed({
        let open = open.clone();
        move |_, _, x, y| open(x, y)
    });
    row.add_controller(click);
    let press = gtk::GestureLongPress::builder().touch_only(true).build();
    press.connect_pressed({
        let open = open.clone();
        move |_, x, y| open(x, y)
    });
    row.add_controller(press);
    row.set_menu(open);
}
