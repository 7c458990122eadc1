//! The first step: what the machine is made from.

use std::cell::Cell;
use std::path::{Path, PathBuf};

use adw::prelude::*;
use gettextrs::gettext;
use vmm_core::block::Format;
use vmm_core::media::{BootKinds, Found, Medium};

use super::component::WizardInput;
use super::model::{Chosen, Draft, Source};
use super::page::{page, plain_row};
use super::remark::RemarkLabel;
use super::size;
use super::voice::Voice;
use crate::backend::Inspected;

/// The page.
pub(super) struct SourcePage {
    page: adw::NavigationPage,
    kinds: [(Source, gtk::CheckButton); 3],
    file: adw::PreferencesGroup,
    download: adw::ActionRow,
    chosen: adw::ActionRow,
    choose: gtk::Button,
    holds: adw::ActionRow,
    icon: gtk::Image,
    spinner: adw::Spinner,
    remark: RemarkLabel,
    remark_row: adw::PreferencesRow,
    recent: adw::PreferencesGroup,
    has_recent: Cell<bool>,
    input: Voice,
}

impl SourcePage {
    pub(super) fn new(input: &Voice) -> Self {
        let (kind_group, kinds) = kinds(input);
        let choose = gtk::Button::builder()
            .label(gettext("C_hoose…"))
            .use_underline(true)
            .valign(gtk::Align::Center)
            .build();
        let sender = input.clone();
        choose.connect_clicked(move |_| sender.emit(WizardInput::Choose));
        let chosen = adw::ActionRow::builder()
            .use_markup(false)
            .title_lines(2)
            .subtitle_lines(1)
            .activatable_widget(&choose)
            .build();
        chosen.add_suffix(&choose);
        let holds = adw::ActionRow::builder().use_markup(false).title_lines(2).build();
        let icon = gtk::Image::new();
        let spinner = adw::Spinner::new();
        holds.add_prefix(&icon);
        holds.add_prefix(&spinner);
        let remark = RemarkLabel::new();
        for set in [gtk::Widget::set_margin_top, gtk::Widget::set_margin_bottom] {
            set(remark.widget().upcast_ref(), 10);
        }
        for set in [gtk::Widget::set_margin_start, gtk::Widget::set_margin_end] {
            set(remark.widget().upcast_ref(), 12);
        }
        let remark_row = plain_row(remark.widget());
        let download = download(input);
        let file = adw::PreferencesGroup::new();
        file.add(&chosen);
        file.add(&holds);
        file.add(&remark_row);
        file.add(&download);
        let recent =
            adw::PreferencesGroup::builder().title(gettext("Used Lately")).visible(false).build();
        let page = page(
            "source",
            &gettext("Install From"),
            &[kind_group.upcast_ref(), file.upcast_ref(), recent.upcast_ref()],
        );
        let input = input.clone();
        Self {
            page,
            kinds,
            file,
            download,
            chosen,
            choose,
            holds,
            icon,
            spinner,
            remark,
            remark_row,
            recent,
            has_recent: Cell::default(),
            input,
        }
    }

    pub(super) fn widget(&self) -> &adw::NavigationPage {
        &self.page
    }

    /// Where typing goes when the page comes up and a file is wanted.
    pub(super) fn focus(&self) -> &gtk::Button {
        &self.choose
    }

    /// Offers these ISO images.
    pub(super) fn set_recent(&self, media: &[PathBuf]) {
        for path in media {
            let row = adw::ActionRow::builder()
                .use_markup(false)
                .title(name(path))
                .subtitle(folder(path))
                .subtitle_lines(1)
                .activatable(true)
                .build();
            row.add_prefix(&gtk::Image::from_icon_name("media-optical-symbolic"));
            let (input, path) = (self.input.clone(), path.clone());
            row.connect_activated(move |_| input.emit(WizardInput::Chosen(path.clone())));
            self.recent.add(&row);
        }
        self.has_recent.set(!media.is_empty());
    }

    pub(super) fn show(&self, draft: &Draft) {
        for (source, button) in &self.kinds {
            if *source == draft.source && !button.is_active() {
                button.set_active(true);
            }
        }
        self.file.set_visible(draft.source != Source::Nothing);
        self.download.set_visible(draft.source == Source::Medium);
        self.recent.set_visible(draft.source == Source::Medium && self.has_recent.get());
        let remark = draft.source_remark();
        self.remark.show(remark.as_ref());
        self.remark_row.set_visible(remark.is_some());
        let Some(chosen) = draft.chosen() else {
            self.chosen.set_title(&gettext("No file chosen"));
            self.chosen.set_subtitle(&gettext("Choose one, or drop it here"));
            self.holds.set_visible(false);
            return;
        };
        self.chosen.set_title(&name(&chosen.path));
        self.chosen.set_subtitle(&folder(&chosen.path));
        self.show_contents(chosen);
    }

    fn show_contents(&self, chosen: &Chosen) {
        let reading = chosen.holds.is_none();
        self.spinner.set_visible(reading);
        self.icon.set_visible(!reading);
        let (title, subtitle) = match &chosen.holds {
            None => (gettext("Looking at it…"), String::new()),
            Some(Ok(inspected)) => {
                let medium = matches!(inspected.found, Found::Medium(_));
                let icon =
                    if medium { "media-optical-symbolic" } else { "drive-harddisk-symbolic" };
                self.icon.set_icon_name(Some(icon));
                contents(inspected)
            }
            // The remark says what is wrong.
            Some(Err(_)) => (String::new(), String::new()),
        };
        self.holds.set_visible(!title.is_empty());
        self.holds.set_title(&title);
        self.holds.set_subtitle(&subtitle);
    }
}

/// The way to a medium for those who have none.
fn download(input: &Voice) -> adw::ActionRow {
    let row = adw::ActionRow::builder()
        .title(gettext("_Download an Operating System…"))
        .use_underline(true)
        .activatable(true)
        .build();
    row.add_prefix(&gtk::Image::from_icon_name("folder-download-symbolic"));
    row.add_suffix(&gtk::Image::from_icon_name("go-next-symbolic"));
    let input = input.clone();
    row.connect_activated(move |_| input.emit(WizardInput::Download));
    row
}

/// The three sources, of which one is chosen.
fn kinds(input: &Voice) -> (adw::PreferencesGroup, [(Source, gtk::CheckButton); 3]) {
    let group = adw::PreferencesGroup::new();
    let first = gtk::CheckButton::new();
    let row = |source, button: gtk::CheckButton, title: String, subtitle: String| {
        button.set_valign(gtk::Align::Center);
        let row = adw::ActionRow::builder()
            .title(&title)
            .subtitle(subtitle)
            .activatable_widget(&button)
            .build();
        button.update_property(&[gtk::accessible::Property::Label(&title)]);
        row.add_prefix(&button);
        group.add(&row);
        let input = input.clone();
        button.connect_toggled(move |button| {
            if button.is_active() {
                input.emit(WizardInput::Source(source));
            }
        });
        (source, button)
    };
    let grouped = || gtk::CheckButton::builder().group(&first).build();
    let kinds = [
        row(
            Source::Medium,
            first.clone(),
            gettext("ISO Image"),
            gettext("An installer or a live system"),
        ),
        row(
            Source::Image,
            grouped(),
            gettext("Existing Disk Image"),
            gettext("A system that is installed already; the machine writes to this file"),
        ),
        row(
            Source::Nothing,
            grouped(),
            gettext("Nothing Yet"),
            gettext("An empty machine; a medium can be put in later"),
        ),
    ];
    (group, kinds)
}

/// What a file holds: the system or what it calls itself, and facts.
fn contents(inspected: &Inspected) -> (String, String) {
    let mut facts = Vec::new();
    let title = match &inspected.found {
        Found::Medium(medium) => {
            let system = inspected.system.as_ref().map(|system| system.name.clone());
            let title = system.unwrap_or_else(|| unknown(medium));
            let label = medium.volume.label.as_str();
            if !label.is_empty() && label != title {
                facts.push(label.to_owned());
            }
            facts.push(size::text(medium.size));
            facts.extend(starts_with(medium.boot));
            title
        }
        Found::Disk(disk) => {
            let format = match disk.format {
                Format::Qcow2 => gettext("Disk image (qcow2)"),
                Format::Raw => gettext("Disk image (raw)"),
            };
            facts.push(gettext("{size} disk").replace("{size}", &size::text(disk.virtual_size)));
            let used = gettext("{size} on this computer");
            facts.push(used.replace("{size}", &size::text(disk.actual_size)));
            format
        }
    };
    (title, facts.join(" · "))
}

fn unknown(medium: &Medium) -> String {
    if medium.boot.any() {
        gettext("A system that is not known here")
    } else {
        gettext("An ISO image")
    }
}

fn starts_with(boot: BootKinds) -> Option<String> {
    match (boot.bios, boot.uefi) {
        (true, true) => Some(gettext("starts with BIOS or UEFI")),
        (true, false) => Some(gettext("starts with BIOS")),
        (false, true) => Some(gettext("starts with UEFI")),
        (false, false) => None,
    }
}

pub(super) fn name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

fn folder(path: &Path) -> String {
    path.parent().unwrap_or(path).display().to_string()
}
