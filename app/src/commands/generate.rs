//! `berth completions` and `berth manual`: what packages install beside the program, made from the
//! command line itself.

use std::io::Write;

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::Result;
use crate::cli::Cli;
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
        clap_complete::generate(self.shell, &mut Cli::command(), "berth", &mut text);
        std::io::stdout().write_all(&text)?;
        Ok(Outcome::Done)
    }
}

/// The guide that the window shows, too: topics below `# ` headings, a paragraph a line, words to
/// type between backticks.
const GUIDE: &str = include_str!("../../../resources/guide/guide.md");

/// Print the manual page, with all subcommands
#[derive(Debug, Args)]
pub(crate) struct Manual;

impl Manual {
    pub(crate) fn run(self) -> Result<Outcome> {
        let mut command = Cli::command();
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
        text.extend(guide(GUIDE).into_bytes());
        std::io::stdout().write_all(&text)?;
        Ok(Outcome::Done)
    }
}

/// The guide as a section of a manual page (man(7)).
fn guide(text: &str) -> String {
    let mut section = String::from(".SH GUIDE\n");
    for line in text.lines().filter(|line| !line.is_empty()) {
        match line.strip_prefix("# ") {
            Some(title) => section.push_str(&format!(".SS \"{title}\"\n")),
            None => section.push_str(&format!(".PP\n{}\n", roff(line))),
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
            ".SH GUIDE\n.SS \"One\"\n.PP\n\\&Press \\fBCtrl+N\\fR \\- now.\n.PP\n\\&.x\n"
        );
    }
}
