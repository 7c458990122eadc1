//! How the window is laid out, from wide to narrow.

use adw::prelude::*;
use gettextrs::gettext;
use gtk::{gio, glib};

use super::{actions, play};
use crate::backend::Problem;
use crate::machines::{Machines, Vm};
use crate::resources::{OverviewPage, Overviewed};
use crate::vm_page::VmPage;
use crate::welcome::Welcome;

/// Below this width, in scaled pixels, the tabs are at the bottom.
const MEDIUM: f64 = 900.0;
/// Below this width, in scaled pixels, list and page are seen one at a time.
const NARROW: i32 = 560;

/// The window's widgets that change.
pub(super) struct Layout {
    window: adw::ApplicationWindow,
    toasts: adw::ToastOverlay,
    split: adw::NavigationSplitView,
    content_page: adw::NavigationPage,
    toolbar: adw::ToolbarView,
    content: gtk::Stack,
    pages: gtk::Stack,
    switcher: adw::ViewSwitcher,
    title: adw::WindowTitle,
    titles: gtk::Stack,
    switcher_bar: adw::ViewSwitcherBar,
    header: adw::HeaderBar,
    play: gtk::Button,
    menu: gtk::MenuButton,
    banner: adw::Banner,
    pub(super) welcome: Welcome,
    pub(super) overview: OverviewPage,
}

impl Layout {
    pub(super) fn new(
        window: &adw::ApplicationWindow,
        sidebar: &gtk::Box,
        machines: &Machines,
    ) -> Self {
        let welcome = Welcome::new("win.new");
        let pages = gtk::Stack::new();
        let content = gtk::Stack::builder().vhomogeneous(false).hhomogeneous(false).build();
        content.add_named(welcome.widget(), Some("welcome"));
        content.add_named(&pages, Some("pages"));
        let overview = OverviewPage::new();
        overview.set_model(machines.model(), describe);
        content.add_named(&overview, Some("overview"));

        let switcher = adw::ViewSwitcher::builder().policy(adw::ViewSwitcherPolicy::Wide).build();
        let switcher_bar = adw::ViewSwitcherBar::new();
        let play = gtk::Button::builder().action_name("vm.play").build();
        let menu = gtk::MenuButton::builder()
            .icon_name("view-more-symbolic")
            .tooltip_text(gettext("Machine Menu"))
            .build();
        menu_when_wanted(&menu, || {
            actions::machine_menu(&crate::vm_page::send_keys_menu("vm.send-keys"))
        });
        let title = adw::WindowTitle::new("", "");
        let titles = gtk::Stack::new();
        titles.add_named(&switcher, Some("tabs"));
        titles.add_named(&title, Some("title"));
        let header = adw::HeaderBar::builder().title_widget(&titles).build();
        header.pack_end(&menu);
        header.pack_end(&play);
        let banner = adw::Banner::builder()
            .button_label(gettext("_Details"))
            .action_name("win.problems")
            .build();
        let toolbar = adw::ToolbarView::builder().content(&content).build();
        toolbar.add_top_bar(&header);
        toolbar.add_top_bar(&banner);
        toolbar.add_bottom_bar(&switcher_bar);
        let content_page =
            adw::NavigationPage::builder().title("Berth").tag("content").child(&toolbar).build();

        let split = adw::NavigationSplitView::builder()
            .sidebar(&sidebar_page(sidebar))
            .content(&content_page)
            .min_sidebar_width(220.0)
            .max_sidebar_width(320.0)
            .sidebar_width_fraction(0.25)
            .build();
        let toasts = adw::ToastOverlay::new();
        toasts.set_child(Some(&split));
        window.set_content(Some(&toasts));
        let layout = Self {
            window: window.clone(),
            toasts,
            split,
            content_page,
            toolbar,
            content,
            pages,
            switcher,
            title,
            titles,
            switcher_bar,
            header,
            play,
            menu,
            banner,
            welcome,
            overview,
        };
        layout.add_breakpoints();
        layout
    }

    /// Narrower windows have the pages' tabs at the bottom, then list and page one at a time.
    fn add_breakpoints(&self) {
        let medium = adw::Breakpoint::new(adw::BreakpointCondition::new_length(
            adw::BreakpointConditionLengthType::MaxWidth,
            MEDIUM,
            adw::LengthUnit::Sp,
        ));
        medium.add_setter(&self.switcher_bar, "reveal", Some(&true.to_value()));
        medium.add_setter(&self.header, "title-widget", Some(&None::<gtk::Widget>.to_value()));
        self.window.add_breakpoint(medium);
        let narrow = adw::Breakpoint::new(adw::BreakpointCondition::new_length(
            adw::BreakpointConditionLengthType::MaxWidth,
            f64::from(NARROW),
            adw::LengthUnit::Sp,
        ));
        narrow.add_setter(&self.split, "collapsed", Some(&true.to_value()));
        narrow.add_setter(&self.switcher_bar, "reveal", Some(&true.to_value()));
        narrow.add_setter(&self.header, "title-widget", Some(&None::<gtk::Widget>.to_value()));
        self.window.add_breakpoint(narrow);
    }

    pub(super) fn toast(&self, text: &str) {
        let toast = adw::Toast::builder().title(glib::markup_escape_text(text)).timeout(6);
        self.toasts.add_toast(toast.build());
    }

    pub(super) fn toasts(&self) -> adw::ToastOverlay {
        self.toasts.clone()
    }

    pub(super) fn show_content(&self) {
        self.split.set_show_content(true);
    }

    pub(super) fn add_page(&self, page: &impl IsA<gtk::Widget>) {
        self.pages.add_child(page);
    }

    pub(super) fn remove_page(&self, page: &impl IsA<gtk::Widget>) {
        self.pages.remove(page);
    }

    pub(super) fn show_page(&self, page: &VmPage) {
        self.pages.set_visible_child(page.widget());
        self.switcher.set_stack(Some(page.stack()));
        self.switcher_bar.set_stack(Some(page.stack()));
    }

    pub(super) fn is_overview(&self) -> bool {
        self.content.visible_child_name().is_some_and(|name| name == "overview")
    }

    pub(super) fn set_overview(&self, shown: bool) {
        self.content.set_visible_child_name(if shown { "overview" } else { "pages" });
    }

    /// Nothing but the machine's screen, or everything again.
    pub(super) fn set_full_screen(&self, full: bool) {
        self.toolbar.set_reveal_top_bars(!full);
        self.toolbar.set_reveal_bottom_bars(!full);
        self.toolbar.set_extend_content_to_top_edge(full);
        let narrow = self.window.width() < NARROW;
        self.split.set_collapsed(full || narrow);
        self.split.set_show_content(true);
    }

    /// Brings everything up to date with the chosen machine and the list.
    pub(super) fn refresh(&self, vm: Option<&Vm>, empty: bool, problems: &[Problem]) {
        let overview = self.is_overview() && !empty;
        if !overview {
            let name = if vm.is_none() { "welcome" } else { "pages" };
            self.content.set_visible_child_name(name);
        }
        let shown = vm.filter(|_| !overview);
        let title = match (overview, shown) {
            (true, _) => gettext("Overview"),
            (false, Some(vm)) => vm.name(),
            (false, None) => "Berth".into(),
        };
        self.content_page.set_title(&title);
        self.window.set_title(Some(&match vm {
            Some(vm) => format!("{} — Berth", vm.name()),
            None => "Berth".into(),
        }));
        self.play.set_visible(shown.is_some());
        self.menu.set_visible(shown.is_some());
        self.title.set_title(&title);
        self.titles.set_visible_child_name(if shown.is_some() { "tabs" } else { "title" });
        self.switcher_bar.set_visible(shown.is_some());
        if let Some(vm) = shown {
            let (icon, label) = play(vm.status());
            self.play.set_icon_name(icon);
            self.play.set_tooltip_text(Some(&label));
            self.play.update_property(&[gtk::accessible::Property::Label(&label)]);
        }
        // The greeting tells of problems itself.
        self.banner.set_revealed(shown.is_some() && !problems.is_empty());
        if let Some(problem) = problems.first() {
            self.banner.set_title(&problem.title);
        }
    }
}

/// Gives a button a menu when it is first pressed: a menu is some hundred widgets.
fn menu_when_wanted(button: &gtk::MenuButton, menu: impl Fn() -> gio::Menu + 'static) {
    button.set_create_popup_func(move |button| {
        if button.menu_model().is_none() {
            button.set_menu_model(Some(&menu()));
        }
    });
}

/// What the overview shows of a machine.
fn describe(machine: &glib::Object) -> Overviewed {
    let vm: &Vm = machine.downcast_ref().expect("the list holds machines alone");
    Overviewed { name: vm.name(), state: vm.status().label(), history: vm.history().clone() }
}

fn sidebar_page(sidebar: &gtk::Box) -> adw::NavigationPage {
    let new = gtk::Button::builder()
        .icon_name("list-add-symbolic")
        .tooltip_text(gettext("New Virtual Machine"))
        .action_name("win.new")
        .build();
    let search = gtk::Button::builder()
        .icon_name("edit-find-symbolic")
        .tooltip_text(gettext("Search"))
        .action_name("win.search")
        .build();
    let menu = gtk::MenuButton::builder()
        .icon_name("open-menu-symbolic")
        .tooltip_text(gettext("Main Menu"))
        .primary(true)
        .build();
    menu_when_wanted(&menu, actions::main_menu);
    let header = adw::HeaderBar::new();
    header.pack_start(&new);
    header.pack_end(&menu);
    header.pack_end(&search);
    let toolbar = adw::ToolbarView::builder().content(sidebar).build();
    toolbar.add_top_bar(&header);
    adw::NavigationPage::builder().title("Berth").tag("sidebar").child(&toolbar).build()
}
