//! The second step: memory and processors.

use adw::prelude::*;
use gettextrs::{gettext, ngettext};
use vmm_core::definition::MIN_MEMORY;
use vmm_core::units::Bytes;

use super::amount::{Amount, Kind};
use super::component::WizardInput;
use super::model::Draft;
use super::page::page;
use super::size;
use super::voice::Voice;

/// The slider goes to the last whole one of these below what the host has.
const UNIT: Bytes = Bytes::mib(256);

/// The page.
pub(super) struct ProcessingPage {
    page: adw::NavigationPage,
    group: adw::PreferencesGroup,
    memory: Amount,
    cpus: Amount,
}

impl ProcessingPage {
    pub(super) fn new(draft: &Draft, input: &Voice) -> Self {
        let most = draft.around.host.memory.0 / UNIT.0 * UNIT.0;
        let sender = input.clone();
        let memory = Amount::new(
            &gettext("_Memory"),
            Kind::Size,
            (MIN_MEMORY.0, most.max(MIN_MEMORY.0 * 2)),
            move |text| sender.emit(WizardInput::Memory(text)),
        );
        let sender = input.clone();
        let cpus = Amount::new(
            &gettext("_Processors"),
            Kind::Count,
            (1, u64::from(draft.most_cpus().max(2))),
            move |text| sender.emit(WizardInput::Cpus(text)),
        );
        let group = adw::PreferencesGroup::new();
        group.add(memory.widget());
        group.add(cpus.widget());
        group.set_description(Some(&about_host(draft)));
        let page = page("processing", &gettext("Memory and Processors"), &[group.upcast_ref()]);
        Self { page, group, memory, cpus }
    }

    pub(super) fn widget(&self) -> &adw::NavigationPage {
        &self.page
    }

    pub(super) fn focus(&self) -> &gtk::Entry {
        self.memory.entry()
    }

    /// Shows what was suggested anew.
    pub(super) fn refill(&self, draft: &Draft) {
        self.memory.set_text(&draft.memory.value);
        self.cpus.set_text(&draft.cpus.value);
        let (minimum, recommended) = (draft.minimum(), draft.recommended());
        self.memory.set_marks(minimum.memory.map(|m| m.0), recommended.memory.map(|m| m.0));
        self.cpus.set_marks(minimum.cpus.map(u64::from), recommended.cpus.map(u64::from));
    }

    pub(super) fn show(&self, draft: &Draft) {
        self.group.set_description(Some(&about_host(draft)));
        self.memory.show(&draft.check_memory(), |memory| memory.0);
        self.cpus.show(&draft.check_cpus(), |cpus| u64::from(*cpus));
    }
}

/// What the host has, and how much of it is held.
fn about_host(draft: &Draft) -> String {
    let around = &draft.around;
    let has = ngettext(
        "This computer has {memory} of memory and {n} processor.",
        "This computer has {memory} of memory and {n} processors.",
        around.host.cpus,
    )
    .replace("{memory}", &size::text(around.host.memory))
    .replace("{n}", &around.host.cpus.to_string());
    if around.held_cpus == 0 {
        return has;
    }
    let held = ngettext(
        "Running machines hold {memory} and {n} processor.",
        "Running machines hold {memory} and {n} processors.",
        around.held_cpus,
    )
    .replace("{memory}", &size::text(around.held_memory))
    .replace("{n}", &around.held_cpus.to_string());
    format!("{has} {held}")
}
