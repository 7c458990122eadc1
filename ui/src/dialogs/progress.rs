//! How far something is, with a way to stop it.

use std::future::Future;
use std::time::Duration;

use adw::prelude::*;
use gettextrs::gettext;
use gtk::glib;

use crate::backend::Progress;

/// What is done within this time needs no dialog.
const PATIENCE: Duration = Duration::from_millis(300);
/// How often the bar moves.
const PERIOD: Duration = Duration::from_millis(100);

/// Awaits `work`, showing how far it is, with a button that cancels it, if it takes its time.
pub async fn with_progress<T>(
    parent: &impl IsA<gtk::Widget>,
    heading: &str,
    progress: Progress,
    work: impl Future<Output = T>,
) -> T {
    let bar = gtk::ProgressBar::new();
    bar.update_property(&[gtk::accessible::Property::Label(heading)]);
    let dialog = adw::AlertDialog::new(Some(heading), None);
    dialog.add_response("cancel", &gettext("_Cancel"));
    dialog.set_close_response("cancel");
    dialog.set_extra_child(Some(&bar));
    dialog.connect_response(Some("cancel"), {
        let progress = progress.clone();
        move |_, _| progress.cancel()
    });
    let showing = glib::spawn_future_local({
        let (dialog, parent) = (dialog.clone(), parent.clone().upcast::<gtk::Widget>());
        async move {
            glib::timeout_future(PATIENCE).await;
            dialog.present(Some(&parent));
            loop {
                match progress.fraction() {
                    Some(fraction) => bar.set_fraction(fraction),
                    None => bar.pulse(),
                }
                glib::timeout_future(PERIOD).await;
            }
        }
    });
    let result = work.await;
    showing.abort();
    dialog.force_close();
    result
}
