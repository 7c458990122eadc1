//! What is in the files of drives, as far as it has been looked at.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use gettextrs::gettext;
use gtk::glib;
use vmm_core::block::Format;
use vmm_core::media::Found;
use vmm_core::units::Bytes;

use crate::backend::{Backend, DiskFacts, Failure, Inspected};
use crate::wizard::size;

/// A file to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Image {
    Disk(PathBuf, Format),
    Medium(PathBuf),
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fact {
    Disk(DiskFacts),
    /// What is on a medium; `None` when it says nothing of itself.
    Medium(Option<String>),
    /// Why it cannot be used.
    Bad(String),
}

/// What is known of files; looking takes its time, and `changed` is called when there is more.
pub(super) struct Facts {
    backend: Rc<dyn Backend>,
    /// Of a few files: those of one machine.
    known: RefCell<Vec<(Image, Option<Fact>)>>,
    changed: RefCell<Option<Rc<dyn Fn()>>>,
}

impl Facts {
    pub(super) fn new(backend: Rc<dyn Backend>) -> Rc<Self> {
        Rc::new(Self { backend, known: RefCell::default(), changed: RefCell::default() })
    }

    pub(super) fn set_changed(&self, changed: Rc<dyn Fn()>) {
        self.changed.replace(Some(changed));
    }

    /// Forgets everything: it may be different now.
    pub(super) fn forget(&self) {
        self.known.borrow_mut().clear();
    }

    /// What is known of `image`; the first to ask has it looked at.
    pub(super) fn get(self: &Rc<Self>, image: Image) -> Option<Fact> {
        if let Some((_, known)) = self.known.borrow().iter().find(|(other, _)| *other == image) {
            return known.clone();
        }
        self.known.borrow_mut().push((image.clone(), None));
        let this = self.clone();
        glib::spawn_future_local(async move {
            let fact = this.look(&image).await;
            let mut known = this.known.borrow_mut();
            known.retain(|(other, _)| *other != image);
            known.push((image, Some(fact)));
            drop(known);
            let changed = this.changed.borrow().clone();
            if let Some(changed) = changed {
                changed();
            }
        });
        None
    }

    async fn look(&self, image: &Image) -> Fact {
        match image {
            Image::Disk(file, format) => match self.backend.disk(file.clone(), *format).await {
                Ok(facts) => Fact::Disk(facts),
                Err(failure) => Fact::Bad(failure.message),
            },
            Image::Medium(file) => match medium(&*self.backend, file).await {
                Ok(contents) => Fact::Medium(contents),
                Err(failure) => Fact::Bad(failure.message),
            },
        }
    }
}

/// What is on the medium in `file`: a system's name, or the medium's own; `None` when it says
/// nothing of itself.
pub(super) async fn medium(backend: &dyn Backend, file: &Path) -> Result<Option<String>, Failure> {
    let Inspected { found, system } = backend.inspect(file.to_owned()).await?;
    match found {
        Found::Medium(medium) => {
            let label = Some(medium.volume.label).filter(|label| !label.is_empty());
            Ok(system.map(|system| system.name).or(label))
        }
        Found::Disk(_) => Err(Failure::new(
            gettext("“{file}” is a disk image, not an ISO image; add it as a disk.")
                .replace("{file}", &file.display().to_string()),
        )),
    }
}

/// A disk's size and what it takes up, in a few words.
pub(super) fn disk_text(facts: &DiskFacts) -> String {
    gettext("{size}, {used} on disk")
        .replace("{size}", &size::text(facts.size))
        .replace("{used}", &size::text(rounded(facts.used)))
}

/// As many digits as anybody wants to read: of large sizes, one behind the point.
fn rounded(bytes: Bytes) -> Bytes {
    const GIB: u64 = 1 << 30;
    let nearest = |unit: u64| Bytes((bytes.0 + unit / 2) / unit * unit);
    match bytes.0 {
        0..0x10_0000 => nearest(1 << 10),
        0x10_0000..GIB => nearest(1 << 20),
        // A tenth is no whole number of bytes: the next one reads the same.
        _ => Bytes(((u128::from(bytes.0) * 10 / u128::from(GIB)) as u64 * GIB).div_ceil(10)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_told_in_few_digits() {
        for (used, text) in [
            (Bytes(300), "20 GiB, 0 KiB on disk"),
            (Bytes::kib(196), "20 GiB, 196 KiB on disk"),
            (Bytes(3 << 20 | 4711), "20 GiB, 3 MiB on disk"),
            (Bytes::mib(3300), "20 GiB, 3.2 GiB on disk"),
            (Bytes::gib(20), "20 GiB, 20 GiB on disk"),
        ] {
            assert_eq!(disk_text(&DiskFacts { size: Bytes::gib(20), used }), text);
        }
    }
}
