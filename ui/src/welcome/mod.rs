//! What the window shows when there is no machine to show.
//!
//! What lives here: the greeting with its one button, and what stands in the way of running
//! machines with the way out. What does not: finding that out, which is the backend's.

use std::rc::Rc;

use adw::prelude::*;
use gettextrs::gettext;

use crate::backend::Problem;

/// The greeting.
#[derive(Clone)]
pub struct Welcome {
    root: adw::StatusPage,
    problems: gtk::Box,
}

impl Welcome {
    /// A greeting whose button activates `action`.
    pub fn new(action: &str) -> Self {
        let button = gtk::Button::builder()
            .label(gettext("_New Virtual Machine…"))
            .use_underline(true)
            .halign(gtk::Align::Center)
            .action_name(action)
            .css_classes(["suggested-action", "pill"])
            .build();
        let problems = gtk::Box::new(gtk::Orientation::Vertical, 12);
        let content = gtk::Box::new(gtk::Orientation::Vertical, 24);
        content.append(&button);
        content.append(&problems);
        let root = adw::StatusPage::builder()
            .icon_name(crate::application::APP_ID)
            .title(gettext("No Virtual Machines Yet"))
            .description(gettext(
                "Install a system from an ISO image, or bring a disk that has one.\nYou can also \
                 drop such a file on this window.",
            ))
            .child(&content)
            .build();
        Self { root, problems }
    }

    /// The widget.
    pub fn widget(&self) -> &adw::StatusPage {
        &self.root
    }

    /// Shows what stands in the way, instead of what did before.
    pub fn set_problems(&self, problems: &[Problem]) {
        while let Some(child) = self.problems.first_child() {
            self.problems.remove(&child);
        }
        if !problems.is_empty() {
            self.problems.append(&problem_list(problems));
        }
    }
}

/// The problems as a list, each with the command that mends it and a button that copies it.
pub fn problem_list(problems: &[Problem]) -> adw::Clamp {
    let list = gtk::Box::new(gtk::Orientation::Vertical, 24);
    for problem in problems {
        let group =
            adw::PreferencesGroup::builder().title(&problem.title).description(&problem.advice);
        let group = group.build();
        if let Some(command) = &problem.command {
            group.add(&command_row(command));
        }
        list.append(&group);
    }
    adw::Clamp::builder().maximum_size(520).child(&list).build()
}

fn command_row(command: &str) -> adw::ActionRow {
    let copy = gtk::Button::builder()
        .icon_name("edit-copy-symbolic")
        .tooltip_text(gettext("Copy Command"))
        .valign(gtk::Align::Center)
        .css_classes(["flat"])
        .build();
    let row = adw::ActionRow::builder()
        .title(gtk::glib::markup_escape_text(command))
        .title_selectable(true)
        .css_classes(["monospace"])
        .build();
    row.add_suffix(&copy);
    let command: Rc<str> = command.into();
    copy.connect_clicked(move |copy| copy.clipboard().set_text(&command));
    row
}
