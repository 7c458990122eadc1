//! Which files a machine has for itself, and what goes along when they are copied elsewhere.

use std::path::{Component, Path, PathBuf};

use super::error::DefinitionError;
use crate::block::{Format, info};

/// `file`, of a machine in `folder`, as a path below the folder; `None` when it is elsewhere.
pub(super) fn own<'a>(folder: &Path, file: &'a Path) -> Option<&'a Path> {
    let below = file.strip_prefix(folder).unwrap_or(file);
    let inside = |component| matches!(component, Component::Normal(_) | Component::CurDir);
    below.components().all(inside).then_some(below)
}

/// The files below `folder` that the own disk `file` is made of: itself, and images beneath it
/// that it names relative to itself. Others, with whole paths, serve a copy as they are: an image
/// beneath another never changes.
///
/// # Errors
/// When an image cannot be used, or a copy of all these in another folder would still need this
/// one.
pub(super) fn parts(
    folder: &Path,
    file: &Path,
    format: Format,
) -> Result<Vec<PathBuf>, DefinitionError> {
    let top = info::info(&folder.join(file), Some(format))?;
    let mut parts = vec![file.to_path_buf()];
    for image in std::iter::once(&top).chain(&top.backing) {
        let Some(backing) = &image.backing_name else { break };
        let beside = parts.last().and_then(|part| part.parent()).unwrap_or(Path::new(""));
        let part = match (backing.is_absolute(), own(folder, &beside.join(backing))) {
            (true, None) => break,
            (false, Some(part)) => part.to_path_buf(),
            _ => {
                let (image, backing) = (image.path.clone(), backing.clone());
                return Err(DefinitionError::Backing { image, backing });
            }
        };
        parts.push(part);
    }
    Ok(parts)
}

/// Checks that a copy of the image at `path` alone finds what is beneath it.
///
/// # Errors
/// When it would not, or the image cannot be used.
pub(super) fn check_alone(path: &Path, format: Format) -> Result<(), DefinitionError> {
    match info::info(path, Some(format))?.backing_name {
        Some(backing) if backing.is_relative() => {
            Err(DefinitionError::Backing { image: path.into(), backing })
        }
        _ => Ok(()),
    }
}
