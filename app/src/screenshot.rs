//! Pictures of the guest's screen as PNG files.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use thiserror::Error;
use vmm_core::display::{Display, Frame};
use vmm_core::text;

/// Why there is no picture.
#[derive(Debug, Error)]
pub(crate) enum ScreenshotError {
    #[error("{}", text!("cannot take {path}: the screen shows nothing yet", path = .0.display()))]
    NoPicture(PathBuf),
    #[error("{}", text!("cannot write {path}", path = .path.display()))]
    Write {
        path: PathBuf,
        #[source]
        source: png::EncodingError,
    },
    #[error("{}", text!("cannot write {path}: there is no such folder", path = .0.display()))]
    NoFolder(PathBuf),
}

/// Refuses what [`take`] could not write to, before a machine has run for minutes.
pub(crate) fn check(path: &Path) -> Result<(), ScreenshotError> {
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    if folder.is_none_or(Path::is_dir) && !path.is_dir() {
        Ok(())
    } else {
        Err(ScreenshotError::NoFolder(path.into()))
    }
}

/// Writes what `display` shows to `path`.
pub(crate) fn take(display: &dyn Display, path: &Path) -> Result<(), ScreenshotError> {
    let mut frame = Frame::new();
    display.refresh(&mut frame);
    if frame.pixels.is_empty() {
        return Err(ScreenshotError::NoPicture(path.into()));
    }
    write(&frame, path).map_err(|source| ScreenshotError::Write { path: path.into(), source })
}

fn write(frame: &Frame, path: &Path) -> Result<(), png::EncodingError> {
    let rgb: Vec<u8> = frame.pixels.chunks_exact(4).flat_map(|p| [p[2], p[1], p[0]]).collect();
    let file = BufWriter::new(File::create(path)?);
    let mut encoder = png::Encoder::new(file, frame.width, frame.height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::Fast);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&rgb)?;
    writer.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blue_green_red_becomes_red_green_blue() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("shot.png");
        let mut frame = Frame::new();
        (frame.width, frame.height) = (2, 1);
        frame.pixels = vec![1, 2, 3, 255, 4, 5, 6, 255];
        write(&frame, &path).unwrap();
        let decoder = png::Decoder::new(std::io::BufReader::new(File::open(&path).unwrap()));
        let mut reader = decoder.read_info().unwrap();
        let mut rgb = vec![0; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut rgb).unwrap();
        assert_eq!(rgb, [3, 2, 1, 6, 5, 4]);
    }

    #[test]
    fn a_missing_folder_is_noticed_at_once() {
        let folder = tempfile::tempdir().unwrap();
        assert!(check(Path::new("shot.png")).is_ok());
        assert!(check(&folder.path().join("shot.png")).is_ok());
        assert!(check(&folder.path().join("none/shot.png")).is_err());
        assert!(check(folder.path()).is_err());
    }
}
