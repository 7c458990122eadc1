//! The guide.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use adw::prelude::*;
use support::{pause, pictures, show, wait};

/// All of a kind below `widget`.
fn all<T: IsA<gtk::Widget>>(widget: &impl IsA<gtk::Widget>) -> Vec<T> {
    let mut found = Vec::new();
    let mut child = widget.first_child();
    while let Some(widget) = child {
        found.extend(all::<T>(&widget));
        child = widget.next_sibling();
        found.extend(widget.downcast::<T>());
    }
    found
}

#[gtk::test]
async fn every_topic_has_its_page() {
    adw::init().unwrap();
    let window = show(&gtk::Box::default(), 800, 640).await;
    let dialog = ui::guide::dialog();
    dialog.present(Some(&window));
    wait(|| dialog.is_mapped()).await;
    pause(300).await;
    pictures(&window, "guide").await;
    let navigation = dialog.child().and_downcast::<adw::NavigationView>().unwrap();
    let rows: Vec<adw::ActionRow> = all(&navigation);
    assert!(rows.len() >= 6, "{}", rows.len());
    for (number, row) in rows.iter().enumerate() {
        row.emit_by_name::<()>("activated", &[]);
        let shown = || navigation.visible_page().is_some_and(|page| page.title() == row.title());
        wait(shown).await;
        let page = navigation.visible_page().unwrap();
        let texts: Vec<gtk::Label> = all(&page);
        assert!(texts.iter().any(|label| label.label().len() > 200), "{} has a text", row.title());
        if number == 3 {
            pause(500).await;
            pictures(&window, "guide-topic").await;
        }
        navigation.pop();
        pause(100).await;
    }
    dialog.force_close();
    window.destroy();
}
