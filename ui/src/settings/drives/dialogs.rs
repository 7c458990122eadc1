//! Questions about disks.

use std::rc::Rc;

use adw::prelude::*;
use gettextrs::gettext;
use gtk::glib;
use vmm_core::units::Bytes;

use crate::wizard::size;

/// The largest disk that is offered, far from what the format can.
const MAX: Bytes = Bytes::gib(16 << 10);
/// What is asked for is rounded to this.
const UNIT: Bytes = Bytes::mib(1);

/// How to ask for a size.
pub(super) struct SizeQuestion {
    pub(super) heading: String,
    pub(super) body: String,
    /// With a mnemonic.
    pub(super) accept: String,
    pub(super) suggestion: Bytes,
    /// The least that makes sense.
    pub(super) least: Bytes,
    /// What is free where the disk is, if that is known and the space can be reserved.
    pub(super) free: Option<Bytes>,
    /// Whether reserving the space is offered.
    pub(super) reserve: bool,
}

/// Asks for a size, and whether to reserve it; `None` when it was cancelled.
pub(super) async fn ask_size(
    parent: &impl IsA<gtk::Widget>,
    question: SizeQuestion,
) -> Option<(Bytes, bool)> {
    let dialog = adw::AlertDialog::new(Some(&question.heading), None);
    if !question.body.is_empty() {
        dialog.set_body(&question.body);
    }
    dialog.add_responses(&[("cancel", &gettext("_Cancel")), ("accept", &question.accept)]);
    dialog.set_response_appearance("accept", adw::ResponseAppearance::Suggested);
    dialog.set_default_response(Some("accept"));
    dialog.set_close_response("cancel");
    let entry = adw::EntryRow::builder()
        .title(gettext("Size"))
        .text(size::text(question.suggestion))
        .activates_default(true)
        .build();
    let reserve = adw::SwitchRow::builder()
        .title(gettext("_Reserve the Space Now"))
        .use_underline(true)
        .visible(question.reserve)
        .build();
    let list = gtk::ListBox::builder()
        .selection_mode(gtk::SelectionMode::None)
        .css_classes(["boxed-list"])
        .build();
    list.append(&entry);
    list.append(&reserve);
    let remark = gtk::Label::builder().wrap(true).xalign(0.0).css_classes(["caption"]).build();
    let content = gtk::Box::new(gtk::Orientation::Vertical, 6);
    content.append(&list);
    content.append(&remark);
    dialog.set_extra_child(Some(&content));
    let question = Rc::new(question);
    let update = {
        let (dialog, entry, reserve) = (dialog.downgrade(), entry.downgrade(), reserve.downgrade());
        let question = question.clone();
        move || {
            let (Some(dialog), Some(entry)) = (dialog.upgrade(), entry.upgrade()) else { return };
            let reserve = reserve.upgrade().is_some_and(|reserve| reserve.is_active());
            let result = check(&entry.text(), reserve, &question);
            dialog.set_response_enabled("accept", result.is_ok());
            let (text, bad) = match result {
                Ok((_, hint)) => (hint, false),
                Err(complaint) => (complaint, true),
            };
            remark.set_label(&text);
            remark.set_visible(!text.is_empty());
            for widget in [entry.upcast_ref::<gtk::Widget>(), remark.upcast_ref()] {
                if bad { widget.add_css_class("error") } else { widget.remove_css_class("error") }
            }
        }
    };
    update();
    entry.connect_changed(glib::clone!(
        #[strong]
        update,
        move |_| update()
    ));
    reserve.connect_active_notify(move |_| update());
    dialog.set_focus(Some(&entry));
    let accepted = dialog.choose_future(Some(parent)).await == "accept";
    let (size, reserve) = (entry.text(), reserve.is_active());
    accepted
        .then(|| check(&size, reserve, &question).ok())
        .flatten()
        .map(|(size, _)| (size, reserve))
}

/// The size that was written and what is good to know about it, or what is wrong.
fn check(text: &str, reserve: bool, question: &SizeQuestion) -> Result<(Bytes, String), String> {
    let wanted = size::parse(text, Bytes::gib(1))
        .map(|bytes| Bytes(bytes.0 / UNIT.0 * UNIT.0))
        .ok_or_else(|| gettext("Write a size, such as 32 GiB."))?;
    if wanted < question.least {
        let text = gettext("It needs at least {n}.");
        return Err(text.replace("{n}", &size::text(question.least)));
    }
    if wanted > MAX {
        return Err(gettext("It can have at most {n}.").replace("{n}", &size::text(MAX)));
    }
    let Some(free) = question.free.filter(|free| *free < wanted) else {
        return Ok((wanted, String::new()));
    };
    let free = size::text(Bytes(free.0 >> 20 << 20));
    if reserve {
        return Err(gettext("Only {n} are free.").replace("{n}", &free));
    }
    let hint = gettext("Only {n} are free. The machine pauses when they are used up.");
    Ok((wanted, hint.replace("{n}", &free)))
}

/// What becomes of the file of a disk that is removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileFate {
    Keep,
    Delete,
}

/// Asks what becomes of the file of a disk; `None` when it is not to be removed at all.
pub(super) async fn ask_fate(parent: &impl IsA<gtk::Widget>, file: &str) -> Option<FileFate> {
    let heading = gettext("Remove “{file}”?").replace("{file}", file);
    let body = gettext(
        "The file is in the machine's folder. It can stay there, or be deleted with all that is \
         on the disk, which cannot be undone.",
    );
    let dialog = adw::AlertDialog::new(Some(&heading), Some(&body));
    dialog.add_responses(&[
        ("cancel", &gettext("_Cancel")),
        ("delete", &gettext("_Delete File")),
        ("keep", &gettext("_Keep File")),
    ]);
    dialog.set_response_appearance("delete", adw::ResponseAppearance::Destructive);
    dialog.set_default_response(Some("keep"));
    dialog.set_close_response("cancel");
    match dialog.choose_future(Some(parent)).await.as_str() {
        "keep" => Some(FileFate::Keep),
        "delete" => Some(FileFate::Delete),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_checked_as_they_are_typed() {
        let question = SizeQuestion {
            heading: String::new(),
            body: String::new(),
            accept: String::new(),
            suggestion: Bytes::gib(20),
            least: Bytes::gib(10),
            free: Some(Bytes::gib(50)),
            reserve: true,
        };
        let check = |text, reserve| check(text, reserve, &question);
        assert_eq!(check("20 GiB", true), Ok((Bytes::gib(20), String::new())));
        assert!(check("", false).is_err() && check("x", false).is_err());
        assert_eq!(check("1 GiB", false), Err("It needs at least 10 GiB.".into()));
        assert_eq!(check("17 T", false), Err("It can have at most 16 TiB.".into()));
        assert_eq!(check("60", true), Err("Only 50 GiB are free.".into()));
        assert!(check("60", false).unwrap().1.starts_with("Only 50 GiB"));
    }
}
