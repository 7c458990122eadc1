//! The third step: the disk, unless there is one already.

use adw::prelude::*;
use gettextrs::gettext;
use vmm_core::units::Bytes;

use super::amount::{Amount, Kind};
use super::component::WizardInput;
use super::model::Draft;
use super::page::{fact, page};
use super::size;
use super::voice::Voice;

/// What the slider offers; more, and less, can be typed.
const RANGE: (u64, u64) = (Bytes::gib(1).0, Bytes::gib(2 << 10).0);

/// The page.
pub(super) struct DiskPage {
    page: adw::NavigationPage,
    with_disk: adw::SwitchRow,
    size: Amount,
    preallocate: adw::SwitchRow,
    details: adw::PreferencesGroup,
    place: adw::ActionRow,
    free: adw::ActionRow,
}

impl DiskPage {
    pub(super) fn new(draft: &Draft, input: &Voice) -> Self {
        let with_disk = adw::SwitchRow::builder()
            .title(gettext("_Add a Disk"))
            .use_underline(true)
            .subtitle(gettext("Live systems run without one, and forget everything"))
            .active(draft.with_disk)
            .build();
        let sender = input.clone();
        with_disk.connect_active_notify(move |row| {
            sender.emit(WizardInput::WithDisk(row.is_active()));
        });
        let first = adw::PreferencesGroup::new();
        first.add(&with_disk);
        let sender = input.clone();
        let size = Amount::new(&gettext("_Size"), Kind::Size, RANGE, move |text| {
            sender.emit(WizardInput::Disk(text));
        });
        let preallocate = adw::SwitchRow::builder()
            .title(gettext("_Reserve the Space Now"))
            .use_underline(true)
            .subtitle(gettext("Otherwise the file grows as the machine fills its disk"))
            .active(draft.preallocate)
            .build();
        let sender = input.clone();
        preallocate.connect_active_notify(move |row| {
            sender.emit(WizardInput::Preallocate(row.is_active()));
        });
        let place = fact(&gettext("Goes to"));
        let free = fact(&gettext("Free there"));
        let details = adw::PreferencesGroup::new();
        details.add(size.widget());
        details.add(&preallocate);
        details.add(&place);
        details.add(&free);
        let page = page("disk", &gettext("Disk"), &[first.upcast_ref(), details.upcast_ref()]);
        Self { page, with_disk, size, preallocate, details, place, free }
    }

    pub(super) fn widget(&self) -> &adw::NavigationPage {
        &self.page
    }

    pub(super) fn focus(&self) -> &gtk::Entry {
        self.size.entry()
    }

    /// Shows what was suggested anew.
    pub(super) fn refill(&self, draft: &Draft) {
        self.size.set_text(&draft.disk.value);
        let (minimum, recommended) = (draft.minimum().storage, draft.recommended().storage);
        self.size.set_marks(minimum.map(|s| s.0), recommended.map(|s| s.0));
    }

    pub(super) fn show(&self, draft: &Draft) {
        if self.with_disk.is_active() != draft.with_disk {
            self.with_disk.set_active(draft.with_disk);
        }
        if self.preallocate.is_active() != draft.preallocate {
            self.preallocate.set_active(draft.preallocate);
        }
        self.details.set_sensitive(draft.with_disk);
        self.size.show(&draft.check_disk(), |size| size.0);
        let storage = draft.around.storage.as_ref();
        let place = storage.map(|storage| storage.folder.display().to_string());
        let free = storage.and_then(|storage| storage.free).map(size::text);
        for (row, value) in [(&self.place, place), (&self.free, free)] {
            row.set_visible(value.is_some());
            row.set_subtitle(&value.unwrap_or_default());
        }
    }
}
