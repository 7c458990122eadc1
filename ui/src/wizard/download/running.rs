//! A download that is under way.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use adw::prelude::*;
use gettextrs::{gettext, ngettext};
use gtk::glib;
use vmm_core::units::Bytes;

use super::super::size;
use super::pace::Pace;
use crate::backend::{Offer, Progress};
use crate::resources::units;

/// How often the numbers change: more often nobody could read them.
const PERIOD: Duration = Duration::from_millis(500);

/// The system's name, a bar, numbers, and a button that stops it.
pub(super) struct RunningView {
    content: gtk::Box,
    title: gtk::Label,
    bar: gtk::ProgressBar,
    numbers: gtk::Label,
    stop: gtk::Button,
    showing: RefCell<Option<glib::JoinHandle<()>>>,
}

impl RunningView {
    pub(super) fn new(stopped: impl Fn() + 'static) -> Self {
        let title = gtk::Label::builder().wrap(true).css_classes(["title-2"]).build();
        let bar = gtk::ProgressBar::builder().pulse_step(0.2).build();
        let numbers =
            gtk::Label::builder().wrap(true).css_classes(["dim-label", "numeric"]).build();
        let stop = gtk::Button::builder()
            .label(gettext("_Stop"))
            .use_underline(true)
            .halign(gtk::Align::Center)
            .css_classes(["pill"])
            .build();
        stop.connect_clicked(move |_| stopped());
        let content = gtk::Box::builder()
            .orientation(gtk::Orientation::Vertical)
            .spacing(18)
            .margin_top(48)
            .margin_bottom(24)
            .build();
        let icon = gtk::Image::builder()
            .icon_name("folder-download-symbolic")
            .pixel_size(64)
            .css_classes(["dim-label"])
            .build();
        let parts: [&gtk::Widget; 5] = [
            icon.upcast_ref(),
            title.upcast_ref(),
            bar.upcast_ref(),
            numbers.upcast_ref(),
            stop.upcast_ref(),
        ];
        parts.into_iter().for_each(|part| content.append(part));
        Self { content, title, bar, numbers, stop, showing: RefCell::default() }
    }

    pub(super) fn widget(&self) -> &gtk::Box {
        &self.content
    }

    pub(super) fn focus(&self) {
        self.stop.grab_focus();
    }

    /// Shows how far `progress` is until the end is told.
    pub(super) fn begin(&self, offer: &Offer, progress: Progress) {
        let title = gettext("Downloading {name}").replace("{name}", &offer.name);
        self.title.set_label(&title);
        self.bar.update_property(&[gtk::accessible::Property::Label(&title)]);
        self.bar.set_fraction(0.0);
        self.numbers.set_label(&gettext("Connecting…"));
        let (bar, numbers) = (self.bar.clone(), self.numbers.clone());
        let showing = glib::spawn_future_local(async move {
            let mut pace = Pace::default();
            loop {
                glib::timeout_future(PERIOD).await;
                match progress.fraction() {
                    Some(fraction) => {
                        let (done, total) = progress.steps();
                        pace.see(Instant::now(), done);
                        bar.set_fraction(fraction);
                        numbers.set_label(&text(done, total, &pace));
                    }
                    None => bar.pulse(),
                }
            }
        });
        self.showing.replace(Some(showing));
    }

    /// It is over.
    pub(super) fn end(&self) {
        if let Some(showing) = self.showing.take() {
            showing.abort();
        }
    }
}

impl Drop for RunningView {
    fn drop(&mut self) {
        self.end();
    }
}

/// “350 MiB of 784 MiB · 5 MB/s · 2 minutes left”, as far as it is known.
fn text(done: u64, total: u64, pace: &Pace) -> String {
    if done >= total {
        return gettext("Checking that it arrived whole…");
    }
    let amount = gettext("{done} of {size}")
        .replace("{done}", &size::text(Bytes(done)))
        .replace("{size}", &size::text(Bytes(total)));
    let mut parts = vec![amount];
    parts.extend(pace.rate().map(units::rate));
    parts.extend(pace.remaining(total - done).map(left));
    parts.join(" · ")
}

fn left(time: Duration) -> String {
    let minutes = time.as_secs().div_ceil(60);
    match minutes {
        0 | 1 => gettext("less than a minute left"),
        2..120 => ngettext("{n} minute left", "{n} minutes left", minutes as u32)
            .replace("{n}", &minutes.to_string()),
        _ => {
            let hours = minutes.div_ceil(60);
            ngettext("{n} hour left", "{n} hours left", u32::try_from(hours).unwrap_or(u32::MAX))
                .replace("{n}", &hours.to_string())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_told_as_far_as_they_are_known() {
        let (mib, start, mut pace) = (1 << 20, Instant::now(), Pace::default());
        assert_eq!(text(0, 1024 * mib, &pace), "0 KiB of 1 GiB");
        pace.see(start, 0);
        pace.see(start + Duration::from_secs(1), 5_000_000);
        assert_eq!(text(24 * mib, 1024 * mib, &pace), "24 MiB of 1 GiB · 5 MB/s · 4 minutes left");
        assert_eq!(text(mib, mib, &pace), "Checking that it arrived whole…");
        assert_eq!(left(Duration::from_secs(60)), "less than a minute left");
        assert_eq!(left(Duration::from_secs(61)), "2 minutes left");
        assert_eq!(left(Duration::from_secs(7201)), "3 hours left");
        assert!(left(Duration::MAX).ends_with("hours left"));
    }
}
