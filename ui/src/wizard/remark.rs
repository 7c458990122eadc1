//! A sentence below what it is about.

use gtk::prelude::*;

use super::model::{Remark, Weight};

/// A sentence that is there when there is something to say, and spoken when it appears.
#[derive(Debug, Clone)]
pub(super) struct RemarkLabel {
    content: gtk::Box,
    icon: gtk::Image,
    label: gtk::Label,
}

impl RemarkLabel {
    pub(super) fn new() -> Self {
        let icon = gtk::Image::builder().valign(gtk::Align::Start).build();
        let label = gtk::Label::builder().wrap(true).xalign(0.0).hexpand(true).build();
        label.add_css_class("caption");
        let content = gtk::Box::builder().spacing(6).visible(false).build();
        content.append(&icon);
        content.append(&label);
        Self { content, icon, label }
    }

    pub(super) fn widget(&self) -> &gtk::Box {
        &self.content
    }

    pub(super) fn show(&self, remark: Option<&Remark>) {
        self.content.set_visible(remark.is_some());
        let Some(remark) = remark else {
            self.label.set_label("");
            return;
        };
        let (icon, class) = match remark.weight {
            Weight::Hint => (None, "dim-label"),
            Weight::Warning => (Some("dialog-warning-symbolic"), "warning"),
            Weight::Error => (Some("dialog-error-symbolic"), "error"),
        };
        self.icon.set_visible(icon.is_some());
        self.icon.set_icon_name(icon);
        self.content.set_css_classes(&[class]);
        if self.label.label() != remark.text {
            self.label.set_label(&remark.text);
            if remark.weight > Weight::Hint {
                self.label.announce(&remark.text, gtk::AccessibleAnnouncementPriority::Medium);
            }
        }
    }
}
