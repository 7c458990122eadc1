//! All files of the database, and what they say together.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::document::{self, MediaEntry, System};
use super::{ARCHITECTURE, OperatingSystem, Resources};
use crate::media::Volume;
use crate::units::Bytes;

/// No file of the database comes near.
const MAX_FILE: u64 = 2 << 20;
/// There are about 1000.
const MAX_FILES: usize = 10_000;
/// Reading them all takes some 0.1 s. What a slow disk has not given by then is done without.
const TIME: Duration = Duration::from_secs(5);
/// How deep below `os` files lie: `os/VENDOR/SYSTEM.d/MORE.xml`.
const DEPTH: u32 = 3;
/// How far back a system's ancestors are asked. Some have 40; more is a loop.
const MAX_ANCESTORS: usize = 100;

/// The systems that are known. Takes a few MiB: to be kept while it is used, not for ever.
#[derive(Debug, Default)]
pub struct Database {
    systems: HashMap<String, System>,
}

impl Database {
    /// Reads the databases in `folders` (see [`super::folders`]), those that are there. Names come
    /// in the first of `languages` in which there is one; they are written as locales are, such as
    /// `de_AT.UTF-8`.
    ///
    /// What is missing or damaged is left out, with a trace.
    pub fn load(folders: &[PathBuf], languages: &[String]) -> Self {
        let languages = language_tags(languages);
        let deadline = Instant::now() + TIME;
        let mut database = Self::default();
        let mut files = Vec::new();
        for folder in folders {
            collect(&folder.join("os"), DEPTH, &mut files);
        }
        for file in files {
            if Instant::now() > deadline {
                tracing::warn!("reading osinfo-db takes too long; the rest is left out");
                break;
            }
            let systems = read(&file).and_then(|text| {
                document::read(&text, &languages).map_err(|error| error.to_string())
            });
            match systems {
                Ok(systems) => systems.into_iter().for_each(|(id, new)| database.add(id, new)),
                Err(error) => {
                    tracing::debug!(file = %file.display(), error, "left out of osinfo-db");
                }
            }
        }
        database
    }

    /// How many systems are known.
    pub fn len(&self) -> usize {
        self.systems.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.systems.is_empty()
    }

    /// The system on a medium that calls itself so; `None` when it is unknown.
    pub fn identify(&self, volume: &Volume) -> Option<OperatingSystem> {
        let matching = self.systems.iter().flat_map(|(id, system)| {
            let media = system.media.iter().filter(|entry| entry.rule.matches(volume));
            media.map(move |entry| (id, system, entry))
        });
        // Of several that fit: what was told best, what runs here, what is newest. The id makes
        // the choice the same every time.
        let (id, system, entry) = matching.max_by_key(|(id, system, entry)| {
            (
                entry.rule.strictness(),
                preference(&entry.architecture),
                system.release_date.as_str(),
                id.as_str(),
            )
        })?;
        Some(self.describe(id, system, entry))
    }

    fn add(&mut self, id: String, system: System) {
        self.systems.entry(id).or_default().extend(system);
    }

    fn describe(&self, id: &str, system: &System, entry: &MediaEntry) -> OperatingSystem {
        let variant = entry.variants.iter().find_map(|variant| system.variants.get(variant));
        let variant = variant.map(|name| &name.text).filter(|name| !name.is_empty());
        let name = variant.unwrap_or(&system.name.text);
        let line = self.line(id);
        let minimum = gather(&line, &entry.architecture, |needs| needs.minimum);
        let recommended = gather(&line, &entry.architecture, |needs| needs.recommended);
        OperatingSystem {
            id: id.to_owned(),
            name: if name.is_empty() { id.to_owned() } else { name.clone() },
            architecture: entry.architecture.clone(),
            live: entry.live,
            installer: entry.installer,
            minimum,
            recommended: at_least(recommended, minimum),
            bios: firmware(&line, &entry.architecture, "bios"),
            uefi: firmware(&line, &entry.architecture, "efi"),
            virtio: virtio(&line, &system.release_date),
        }
    }

    /// The system and those it is like, nearest first.
    fn line(&self, id: &str) -> Vec<&System> {
        let mut line = Vec::new();
        let mut seen = BTreeSet::new();
        let mut ahead = std::collections::VecDeque::from([id]);
        while let Some(id) = ahead.pop_front().filter(|_| line.len() < MAX_ANCESTORS) {
            if let Some(system) = self.systems.get(id).filter(|_| seen.insert(id)) {
                line.push(system);
                ahead.extend(system.ancestors.iter().map(String::as_str));
            }
        }
        line
    }
}

/// What runs here is preferred.
fn preference(architecture: &str) -> u8 {
    match architecture {
        ARCHITECTURE => 3,
        "all" => 2,
        "i686" | "i586" | "i486" | "i386" => 1,
        _ => 0,
    }
}

/// The first that says something, for each resource: the system itself, for the architecture, then
/// for all, then its ancestors.
fn gather(
    line: &[&System],
    architecture: &str,
    part: impl Fn(&document::Needs) -> Resources,
) -> Resources {
    let mut found = Resources::default();
    for system in line {
        for wanted in [architecture, "all"] {
            for needs in system.needs.iter().filter(|needs| needs.architecture == wanted) {
                let more = part(needs);
                found.memory = found.memory.or(more.memory);
                found.cpus = found.cpus.or(more.cpus);
                found.storage = found.storage.or(more.storage);
            }
        }
    }
    found
}

/// An ancestor may have recommended less than its descendant needs.
fn at_least(recommended: Resources, minimum: Resources) -> Resources {
    Resources {
        memory: recommended.memory.max(minimum.memory),
        cpus: recommended.cpus.max(minimum.cpus),
        storage: recommended.storage.max(minimum.storage),
    }
}

/// Whether firmware of this kind starts the system, when it or an ancestor says so.
fn firmware(line: &[&System], architecture: &str, kind: &str) -> Option<bool> {
    let mut statements = line.iter().flat_map(|system| &system.firmware);
    statements
        .find(|f| f.kind == kind && (f.architecture == architecture || f.architecture == "all"))
        .map(|f| f.supported)
}

/// Whether a system of that date has drivers for virtio 1. The database lists devices, but for few
/// systems and without the version.
fn virtio(line: &[&System], release_date: &str) -> bool {
    let family = line.iter().map(|system| &*system.family).find(|family| !family.is_empty());
    let since = match family {
        // Linux 4.0 of April 2015, in distributions by the next year.
        Some("linux") => "2016",
        // FreeBSD 13.0; OpenBSD and NetBSD had them by then or soon after.
        Some("freebsd" | "dragonflybsd") => "2021-04",
        Some("openbsd") => "2019-05",
        Some("netbsd") => "2024-03",
        _ => return false,
    };
    // Those that always change are of today.
    release_date.is_empty() || release_date >= since
}

/// `de_AT.UTF-8` as database and web say it, `de-AT`; and after it `de`.
fn language_tags(locales: &[String]) -> Vec<String> {
    let mut tags = Vec::new();
    for locale in locales {
        let tag = locale.split(['.', '@']).next().unwrap_or_default().replace('_', "-");
        let language = tag.split('-').next().unwrap_or_default().to_owned();
        for tag in [tag, language] {
            if !tag.is_empty() && !tags.contains(&tag) {
                tags.push(tag);
            }
        }
    }
    tags
}

/// The XML files in `folder`, in the order of their names.
fn collect(folder: &Path, depth: u32, files: &mut Vec<PathBuf>) {
    let Ok(listing) = fs::read_dir(folder) else { return };
    let mut entries: Vec<_> = listing.flatten().map(|entry| entry.path()).take(MAX_FILES).collect();
    entries.sort();
    for entry in entries {
        let is_xml = entry.extension().is_some_and(|extension| extension == "xml");
        if files.len() >= MAX_FILES {
            return;
        } else if is_xml {
            files.push(entry);
        } else if depth > 1 && entry.is_dir() {
            collect(&entry, depth - 1, files);
        }
    }
}

fn read(path: &Path) -> Result<String, String> {
    // Opening what is no file, a pipe for one, could last for ever.
    if !fs::metadata(path).map_err(|error| error.to_string())?.is_file() {
        return Err("not a file".into());
    }
    let mut text = String::new();
    let file = fs::File::open(path).map_err(|error| error.to_string())?;
    file.take(MAX_FILE + 1).read_to_string(&mut text).map_err(|error| error.to_string())?;
    if text.len() as u64 > MAX_FILE {
        return Err(format!("larger than {}", Bytes(MAX_FILE)));
    }
    Ok(text)
}
