//! What the pages of all steps have in common.

use adw::prelude::*;

/// The page of a step: a title, the way back, and groups below each other.
pub(super) fn page(tag: &str, title: &str, groups: &[&gtk::Widget]) -> adw::NavigationPage {
    let content = gtk::Box::builder()
        .orientation(gtk::Orientation::Vertical)
        .spacing(24)
        .margin_top(12)
        .margin_bottom(24)
        .margin_start(18)
        .margin_end(18)
        .build();
    for group in groups {
        content.append(*group);
    }
    let clamp = adw::Clamp::builder().maximum_size(560).child(&content).build();
    let scrolled = gtk::ScrolledWindow::builder()
        .hscrollbar_policy(gtk::PolicyType::Never)
        .propagate_natural_height(true)
        .vexpand(true)
        .child(&clamp)
        .build();
    // The buttons below leave the dialog; a cross beside them would be a second way to do so.
    let header = adw::HeaderBar::builder()
        .show_start_title_buttons(false)
        .show_end_title_buttons(false)
        .build();
    let toolbar = adw::ToolbarView::builder().content(&scrolled).build();
    toolbar.add_top_bar(&header);
    adw::NavigationPage::builder().tag(tag).title(title).child(&toolbar).build()
}

/// A row that is no button and holds `child`.
pub(super) fn plain_row(child: &impl IsA<gtk::Widget>) -> adw::PreferencesRow {
    adw::PreferencesRow::builder().activatable(false).focusable(false).child(child).build()
}

/// A row that states a fact.
pub(super) fn fact(title: &str) -> adw::ActionRow {
    let row =
        adw::ActionRow::builder().title(title).subtitle_selectable(true).use_markup(false).build();
    row.add_css_class("property");
    row
}
