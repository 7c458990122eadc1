//! One file of the database.

use std::collections::BTreeMap;

use roxmltree::{Document, Node, ParsingOptions};

use super::Resources;
use super::rule::Rule;
use crate::units::Bytes;

/// A document with more nodes is refused; the database's largest has a tenth.
const MAX_NODES: u32 = 200_000;
/// The attribute `xml:lang`.
const LANGUAGE: (&str, &str) = ("http://www.w3.org/XML/1998/namespace", "lang");

/// A name in the language that fits best so far, and how well: lower is better.
#[derive(Debug, Clone, Default)]
pub(super) struct LocalName {
    pub(super) text: String,
    rank: Option<usize>,
}

/// Resources for one architecture, or for all.
#[derive(Debug, Clone)]
pub(super) struct Needs {
    pub(super) architecture: String,
    pub(super) minimum: Resources,
    pub(super) recommended: Resources,
}

/// Whether a firmware starts the system on an architecture.
#[derive(Debug, Clone)]
pub(super) struct FirmwareSupport {
    pub(super) architecture: String,
    pub(super) kind: String,
    pub(super) supported: bool,
}

/// A medium the system comes on.
#[derive(Debug, Clone)]
pub(super) struct MediaEntry {
    pub(super) architecture: String,
    pub(super) live: bool,
    pub(super) installer: bool,
    pub(super) variants: Vec<String>,
    pub(super) rule: Rule,
}

/// A system, or what a file adds to one.
#[derive(Debug, Clone, Default)]
pub(super) struct System {
    pub(super) name: LocalName,
    pub(super) variants: BTreeMap<String, LocalName>,
    /// Ids of the systems it is like: those it is a clone of, then those it derives from.
    pub(super) ancestors: Vec<String>,
    pub(super) release_date: String,
    /// What kind of system it is, such as `linux` or `winnt`.
    pub(super) family: String,
    pub(super) needs: Vec<Needs>,
    pub(super) firmware: Vec<FirmwareSupport>,
    pub(super) media: Vec<MediaEntry>,
}

/// Reads the systems in a document, with names in the first of `languages` that they have.
pub(super) fn read(
    text: &str,
    languages: &[String],
) -> Result<Vec<(String, System)>, roxmltree::Error> {
    let options = ParsingOptions { nodes_limit: MAX_NODES, ..ParsingOptions::default() };
    let document = Document::parse_with_options(text, options)?;
    Ok(elements(document.root_element(), "os")
        .filter_map(|os| Some((os.attribute("id")?.to_owned(), system(os, languages))))
        .collect())
}

impl System {
    /// Takes in what another file says of the same system.
    pub(super) fn extend(&mut self, other: Self) {
        self.name.prefer(other.name);
        for (id, name) in other.variants {
            self.variants.entry(id).or_default().prefer(name);
        }
        self.ancestors.extend(other.ancestors);
        if self.release_date.is_empty() {
            self.release_date = other.release_date;
        }
        if self.family.is_empty() {
            self.family = other.family;
        }
        // What was added is looked at first.
        self.needs.splice(0..0, other.needs);
        self.firmware.splice(0..0, other.firmware);
        self.media.extend(other.media);
    }
}

impl LocalName {
    fn prefer(&mut self, other: Self) {
        let better = match (other.rank, self.rank) {
            (Some(new), Some(old)) => new <= old,
            (new, old) => new.is_some() || old.is_none(),
        };
        if better && !other.text.is_empty() {
            *self = other;
        }
    }

    /// The name among an element's children that fits `languages` best.
    fn read(node: Node<'_, '_>, languages: &[String]) -> Self {
        let mut found = Self::default();
        for name in elements(node, "name") {
            let language = name.attribute(LANGUAGE);
            let rank = match language {
                // As good as any that is not asked for, and better than those.
                None => Some(languages.len()),
                Some(language) => languages.iter().position(|l| l.eq_ignore_ascii_case(language)),
            };
            if rank.is_some() {
                found.prefer(Self { text: content(name).to_owned(), rank });
            }
        }
        found
    }
}

fn system(os: Node<'_, '_>, languages: &[String]) -> System {
    let references =
        |tag| elements(os, tag).filter_map(|node| node.attribute("id")).map(str::to_owned);
    System {
        name: LocalName::read(os, languages),
        variants: elements(os, "variant")
            .filter_map(|variant| {
                let id = variant.attribute("id")?;
                Some((id.to_owned(), LocalName::read(variant, languages)))
            })
            .collect(),
        ancestors: references("clones").chain(references("derives-from")).collect(),
        release_date: child_text(os, "release-date").unwrap_or_default().to_owned(),
        family: child_text(os, "family").unwrap_or_default().to_owned(),
        needs: elements(os, "resources").map(needs).collect(),
        firmware: elements(os, "firmware")
            .map(|firmware| FirmwareSupport {
                architecture: architecture(firmware),
                kind: firmware.attribute("type").unwrap_or_default().to_owned(),
                supported: flag(firmware, "supported", true),
            })
            .collect(),
        media: elements(os, "media").filter_map(media).collect(),
    }
}

fn needs(node: Node<'_, '_>) -> Needs {
    let resources = |tag| elements(node, tag).next().map(resources).unwrap_or_default();
    Needs {
        architecture: architecture(node),
        minimum: resources("minimum"),
        recommended: resources("recommended"),
    }
}

fn resources(node: Node<'_, '_>) -> Resources {
    // Nought, like what is no number, says nothing.
    let number = |tag| child_text(node, tag)?.parse::<u64>().ok().filter(|number| *number > 0);
    Resources {
        memory: number("ram").map(Bytes),
        cpus: number("n-cpus").and_then(|cpus| u32::try_from(cpus).ok()),
        storage: number("storage").map(Bytes),
    }
}

fn media(node: Node<'_, '_>) -> Option<MediaEntry> {
    let iso = elements(node, "iso").next()?;
    let pattern = |tag| child_text(iso, tag).map(str::to_owned);
    let size = child_text(iso, "volume-size").and_then(|size| size.parse().ok());
    let rule = Rule {
        volume_id: pattern("volume-id"),
        system_id: pattern("system-id"),
        publisher_id: pattern("publisher-id"),
        application_id: pattern("application-id"),
        volume_size: size.filter(|size| *size > 0).map(Bytes),
    };
    (!rule.is_empty()).then(|| MediaEntry {
        architecture: architecture(node),
        live: flag(node, "live", false),
        installer: flag(node, "installer", true),
        variants: elements(node, "variant")
            .filter_map(|variant| variant.attribute("id"))
            .map(str::to_owned)
            .collect(),
        rule,
    })
}

fn elements<'a, 'input: 'a>(
    node: Node<'a, 'input>,
    tag: &'static str,
) -> impl Iterator<Item = Node<'a, 'input>> {
    node.children().filter(move |child| child.has_tag_name(tag))
}

fn child_text<'a>(node: Node<'a, '_>, tag: &'static str) -> Option<&'a str> {
    elements(node, tag).next().map(content).filter(|text| !text.is_empty())
}

fn content<'a>(node: Node<'a, '_>) -> &'a str {
    node.text().unwrap_or_default().trim()
}

fn architecture(node: Node<'_, '_>) -> String {
    node.attribute("arch").unwrap_or("all").to_owned()
}

fn flag(node: Node<'_, '_>, name: &str, absent: bool) -> bool {
    match node.attribute(name) {
        Some("true" | "1") => true,
        Some("false" | "0") => false,
        _ => absent,
    }
}
