//! The guide to Berth, in one dialog: a list of topics, and a page for each.
//!
//! What lives here: how `resources/guide/guide.md` is read and shown, in the user's language. The
//! manual page (`app`) has the same text.

use adw::prelude::*;
use gettextrs::gettext;
// `po/extract` takes the texts from the guide itself.
use gettextrs::gettext as translated;
use gtk::glib;

/// The guide: topics below `# ` headings, a paragraph a line, words to type between backticks.
const TEXT: &str = include_str!("../../../resources/guide/guide.md");

/// One topic.
struct Topic {
    title: &'static str,
    paragraphs: Vec<&'static str>,
}

/// Shows the guide over `parent`.
pub fn present(parent: &adw::ApplicationWindow) {
    dialog().present(Some(parent));
}

/// The dialog.
pub fn dialog() -> adw::Dialog {
    let navigation = adw::NavigationView::new();
    let list = gtk::ListBox::builder()
        .selection_mode(gtk::SelectionMode::None)
        .css_classes(["boxed-list"])
        .build();
    list.update_property(&[gtk::accessible::Property::Label(&gettext("Topics"))]);
    for topic in topics(TEXT) {
        let title = translated(topic.title);
        let row = adw::ActionRow::builder().title(&title).activatable(true).build();
        row.add_suffix(&gtk::Image::from_icon_name("go-next-symbolic"));
        let navigation = navigation.downgrade();
        row.connect_activated(move |_| {
            if let Some(navigation) = navigation.upgrade() {
                navigation.push(&page(&title, &text(&title, &topic.paragraphs)));
            }
        });
        list.append(&row);
    }
    navigation.add(&page(&gettext("Help"), &list));
    adw::Dialog::builder()
        .title(gettext("Help"))
        .content_width(480)
        .content_height(520)
        .child(&navigation)
        .build()
}

fn page(title: &str, content: &impl IsA<gtk::Widget>) -> adw::NavigationPage {
    let clamp = adw::Clamp::builder()
        .maximum_size(480)
        .margin_top(12)
        .margin_bottom(24)
        .margin_start(18)
        .margin_end(18)
        .valign(gtk::Align::Start)
        .child(content)
        .build();
    let scrolled = gtk::ScrolledWindow::builder()
        .hscrollbar_policy(gtk::PolicyType::Never)
        .child(&clamp)
        .build();
    let toolbar = adw::ToolbarView::builder().content(&scrolled).build();
    toolbar.add_top_bar(&adw::HeaderBar::new());
    adw::NavigationPage::builder().title(title).child(&toolbar).build()
}

/// The paragraphs of a topic as one text, which can be selected, copied and read by keyboard.
fn text(title: &str, paragraphs: &[&str]) -> gtk::Label {
    let paragraphs: Vec<_> =
        paragraphs.iter().map(|paragraph| markup(&translated(*paragraph))).collect();
    let label = gtk::Label::builder()
        .label(paragraphs.join("\n\n"))
        .use_markup(true)
        .wrap(true)
        .wrap_mode(gtk::pango::WrapMode::WordChar)
        .xalign(0.0)
        .selectable(true)
        .build();
    label.update_property(&[gtk::accessible::Property::Label(title)]);
    // All of it is marked when the keyboard comes to it, which is as soon as the page is shown.
    label.connect_has_focus_notify(|label| {
        let label = label.downgrade();
        glib::idle_add_local_once(move || {
            if let Some(label) = label.upgrade() {
                label.select_region(0, 0);
            }
        });
    });
    label
}

/// Words between backticks as such, everything else as it is.
fn markup(paragraph: &str) -> String {
    let parts = paragraph.split('`').enumerate();
    parts
        .map(|(index, part)| match (glib::markup_escape_text(part), index % 2) {
            (text, 1) => format!("<tt>{text}</tt>"),
            (text, _) => text.into(),
        })
        .collect()
}

fn topics(text: &'static str) -> Vec<Topic> {
    let mut topics: Vec<Topic> = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        match (line.strip_prefix("# "), topics.last_mut()) {
            (Some(title), _) => topics.push(Topic { title, paragraphs: Vec::new() }),
            (None, Some(topic)) => topic.paragraphs.push(line),
            (None, None) => {}
        }
    }
    topics
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guide_has_topics_with_paragraphs() {
        let topics = topics(TEXT);
        assert!(topics.len() >= 6);
        for topic in &topics {
            assert!(!topic.paragraphs.is_empty(), "{}", topic.title);
            for paragraph in &topic.paragraphs {
                assert_eq!(paragraph.matches('`').count() % 2, 0, "{paragraph}");
            }
        }
        let lines = TEXT.lines().filter(|line| !line.is_empty()).count();
        assert_eq!(topics.iter().map(|topic| 1 + topic.paragraphs.len()).sum::<usize>(), lines);
    }

    #[test]
    fn words_to_type_are_marked() {
        assert_eq!(markup("a < `b & c` d"), "a &lt; <tt>b &amp; c</tt> d");
    }
}
