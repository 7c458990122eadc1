//! `berth completions` and `berth manual`: what packages install beside the program, made from the
//! command line itself.

use std::io::Write;

use clap::Args;
use clap_complete::Shell;
use vmm_core::gettext_noop;
use vmm_core::text::translated;

use super::Result;
use crate::cli;
use crate::report::Outcome;

/// Print the completions for a shell
#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// Which one
    shell: Shell,
}

impl Completions {
    pub(crate) fn run(self) -> Result<Outcome> {
        let mut text = Vec::new();
        clap_complete::generate(self.shell, &mut cli::command(), "berth", &mut text);
        std::io::stdout().write_all(&text)?;
        Ok(Outcome::Done)
    }
}

/// The guide that the window shows, too: topics below `# ` headings, a paragraph a line, words to
/// type between backticks. `po/extract` finds its lines.
const GUIDE: &str = include_str!("../../../resources/guide/guide.md");

/// What stands above the guide in the manual page.
const GUIDE_HEADING: &str = gettext_noop!("GUIDE");

/// What clap_mangen writes above its sections, in English. man-db finds the first in all languages
/// that it has translations for, such as ours.
const HEADINGS: [&str; 4] = [
    gettext_noop!("NAME"),
    gettext_noop!("SYNOPSIS"),
    gettext_noop!("DESCRIPTION"),
    gettext_noop!("VERSION"),
];

/// Print the manual page, with all subcommands
#[derive(Debug, Args)]
pub(crate) struct Manual;

impl Manual {
    pub(crate) fn run(self) -> Result<Outcome> {
        let mut command = cli::command();
        command.build();
        let mut text = Vec::new();
        clap_mangen::Man::new(command.clone()).render(&mut text)?;
        for subcommand in command.get_subcommands().filter(|command| !command.is_hide_set()) {
            let name = format!("berth {}", subcommand.get_name()).to_uppercase();
            writeln!(text, ".SH \"{name}\"")?;
            let manual = clap_mangen::Man::new(subcommand.clone());
            manual.render_description_section(&mut text)?;
            manual.render_options_section(&mut text)?;
        }
        let text = with_headings(&String::from_utf8(text)?) + &guide(GUIDE);
        std::io::stdout().write_all(text.as_bytes())?;
        Ok(Outcome::Done)
    }
}

/// A manual page with its headings translated.
fn with_headings(text: &str) -> String {
    let lines = text.lines().map(|line| match line.strip_prefix(".SH ") {
        Some(heading) if HEADINGS.contains(&heading) => format!(".SH {}\n", translated(heading)),
        _ => format!("{line}\n"),
    });
    lines.collect()
}

/// The guide as a section of a manual page (man(7)).
fn guide(text: &str) -> String {
    let mut section = format!(".SH \"{}\"\n", translated(GUIDE_HEADING));
    for line in text.lines().filter(|line| !line.is_empty()) {
        match line.strip_prefix("# ") {
            Some(title) => section.push_str(&format!(".SS \"{}\"\n", translated(title))),
            None => section.push_str(&format!(".PP\n{}\n", roff(&translated(line)))),
        }
    }
    section
}

/// A paragraph with what is between backticks in bold.
fn roff(paragraph: &str) -> String {
    let escaped = paragraph.replace('\\', "\\e").replace('-', "\\-");
    let parts = escaped.split('`').enumerate();
    let parts = parts.map(|(index, part)| match index % 2 {
        1 => format!("\\fB{part}\\fR"),
        _ => part.to_owned(),
    });
    // A dot at a line's start would be a request.
    format!("\\&{}", parts.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guide_becomes_a_section() {
        let section = guide("# One\n\nPress `Ctrl+N` - now.\n\n.x\n");
        assert_eq!(
            section,
            ".SH \"GUIDE\"\n.SS \"One\"\n.PP\n\\&Press \\fBCtrl+N\\fR \\- now.\n.PP\n\\&.x\n"
        );
    }
}
