//! A long text to read.

use adw::prelude::*;
use gettextrs::gettext;

/// As many lines as there is room for at least. GTK would scroll the margin above them away.
const FITS: i32 = 20;

/// Shows `text`, from its end, in lines as they are.
pub fn show_text(parent: &impl IsA<gtk::Widget>, heading: &str, text: &str) {
    let view = gtk::TextView::builder()
        .editable(false)
        .monospace(true)
        .left_margin(12)
        .right_margin(12)
        .top_margin(12)
        .bottom_margin(12)
        .build();
    view.buffer().set_text(text);
    view.update_property(&[gtk::accessible::Property::Label(heading)]);
    let scrolled = gtk::ScrolledWindow::builder().child(&view).vexpand(true).build();
    let copy = gtk::Button::builder()
        .icon_name("edit-copy-symbolic")
        .tooltip_text(gettext("Copy All"))
        .build();
    let all = text.to_owned();
    copy.connect_clicked(move |copy| copy.clipboard().set_text(&all));
    let header = adw::HeaderBar::new();
    header.pack_start(&copy);
    let toolbar = adw::ToolbarView::builder().content(&scrolled).build();
    toolbar.add_top_bar(&header);
    let dialog = adw::Dialog::builder()
        .title(heading)
        .content_width(800)
        .content_height(560)
        .child(&toolbar)
        .build();
    dialog.present(Some(parent));
    let buffer = view.buffer();
    if buffer.line_count() > FITS {
        let end = buffer.create_mark(None, &buffer.end_iter(), false);
        view.scroll_to_mark(&end, 0.0, false, 0.0, 0.0);
    }
}
