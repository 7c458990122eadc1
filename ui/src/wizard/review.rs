//! The last step: what it is called, how it starts, and all that was chosen once more.

use adw::prelude::*;
use gettextrs::{gettext, ngettext, pgettext};
use vmm_core::definition::Firmware;
use vmm_core::text;

use super::component::WizardInput;
use super::model::{Draft, Source};
use super::page::{fact, page, plain_row};
use super::remark::RemarkLabel;
use super::voice::Voice;
use super::{size, source};

/// The firmware kinds, as they are listed.
const FIRMWARE: [Firmware; 2] = [Firmware::Uefi, Firmware::Bios];

/// The page.
pub(super) struct ReviewPage {
    page: adw::NavigationPage,
    name: adw::EntryRow,
    name_remark: Said,
    firmware: adw::ComboRow,
    firmware_remark: Said,
    from: adw::ActionRow,
    processing: adw::ActionRow,
    disk: adw::ActionRow,
}

/// A sentence in a row of its own, which is there when there is something to say.
struct Said {
    row: adw::PreferencesRow,
    label: RemarkLabel,
}

impl Said {
    fn new() -> Self {
        let label = RemarkLabel::new();
        let frame = gtk::Box::builder()
            .margin_top(10)
            .margin_bottom(10)
            .margin_start(12)
            .margin_end(12)
            .build();
        frame.append(label.widget());
        Self { row: plain_row(&frame), label }
    }

    fn show(&self, remark: Option<super::model::Remark>) {
        self.row.set_visible(remark.is_some());
        self.label.show(remark.as_ref());
    }
}

impl ReviewPage {
    pub(super) fn new(draft: &Draft, input: &Voice) -> Self {
        let name = adw::EntryRow::builder()
            .title(gettext("_Name"))
            .use_underline(true)
            .activates_default(true)
            .build();
        let sender = input.clone();
        name.connect_changed(move |row| sender.emit(WizardInput::Name(row.text().into())));
        let labels = [gettext("UEFI"), gettext("BIOS")];
        let labels = labels.each_ref().map(String::as_str);
        let firmware = adw::ComboRow::builder()
            .title(gettext("_Firmware"))
            .use_underline(true)
            .model(&gtk::StringList::new(&labels))
            .build();
        let sender = input.clone();
        firmware.connect_selected_notify(move |row| {
            if let Some(firmware) = FIRMWARE.get(row.selected() as usize) {
                sender.emit(WizardInput::Firmware(*firmware));
            }
        });
        let start = adw::SwitchRow::builder()
            .title(gettext("_Start Now"))
            .use_underline(true)
            .active(draft.start)
            .build();
        let sender = input.clone();
        start.connect_active_notify(move |row| sender.emit(WizardInput::Start(row.is_active())));
        let network = adw::SwitchRow::builder()
            .title(gettext("Connected to the _Network"))
            .use_underline(true)
            .active(draft.network)
            .build();
        let sender = input.clone();
        network
            .connect_active_notify(move |row| sender.emit(WizardInput::Network(row.is_active())));
        let (name_remark, firmware_remark) = (Said::new(), Said::new());
        let first = adw::PreferencesGroup::new();
        first.add(&name);
        first.add(&name_remark.row);
        first.add(&firmware);
        first.add(&firmware_remark.row);
        first.add(&network);
        first.add(&start);
        let from = fact(&gettext("Install from"));
        let processing = fact(&gettext("Memory and processors"));
        let disk = fact(&gettext("Disk"));
        let summary = adw::PreferencesGroup::new();
        for row in [&from, &processing, &disk] {
            summary.add(row);
        }
        let page = page("review", &gettext("Review"), &[first.upcast_ref(), summary.upcast_ref()]);
        Self { page, name, name_remark, firmware, firmware_remark, from, processing, disk }
    }

    pub(super) fn widget(&self) -> &adw::NavigationPage {
        &self.page
    }

    pub(super) fn focus(&self) -> &adw::EntryRow {
        &self.name
    }

    /// Shows what was suggested anew.
    pub(super) fn refill(&self, draft: &Draft) {
        if self.name.text() != draft.name.value {
            self.name.set_text(&draft.name.value);
        }
        let index = FIRMWARE.iter().position(|firmware| *firmware == draft.firmware.value);
        if let Some(index) = index.and_then(|index| u32::try_from(index).ok()) {
            self.firmware.set_selected(index);
        }
    }

    pub(super) fn show(&self, draft: &Draft) {
        let name = draft.check_name();
        match name.value {
            Some(_) => self.name.remove_css_class("error"),
            None => self.name.add_css_class("error"),
        }
        self.name_remark.show(name.remark);
        self.firmware_remark.show(draft.firmware_remark());
        self.from.set_subtitle(&from(draft));
        self.processing.set_subtitle(&processing(draft));
        self.disk.set_subtitle(&disk(draft));
        // An existing disk is told as the source.
        self.disk.set_visible(draft.source != Source::Image);
    }
}

fn from(draft: &Draft) -> String {
    let Some(chosen) = draft.chosen() else { return gettext("Nothing yet") };
    let file = source::name(&chosen.path);
    match draft.system() {
        Some(system) => text!("{system} ({file})", system = system.name, file),
        None => file,
    }
}

fn processing(draft: &Draft) -> String {
    let memory = draft.check_memory().value.map(size::text).unwrap_or_default();
    let cpus = draft.check_cpus().value.unwrap_or_default();
    ngettext("{memory}, {n} processor", "{memory}, {n} processors", cpus)
        .replace("{memory}", &memory)
        .replace("{n}", &cpus.to_string())
}

fn disk(draft: &Draft) -> String {
    let Some(size) = draft.check_disk().value.filter(|_| draft.with_disk) else {
        return pgettext("disk", "None");
    };
    let text = if draft.preallocate {
        gettext("{size}, reserved now")
    } else {
        gettext("{size}, grows as it fills")
    };
    text.replace("{size}", &size::text(size))
}
