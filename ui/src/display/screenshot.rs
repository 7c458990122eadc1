//! What becomes of a picture of the guest's screen: a file, or the clipboard.

use gtk::gdk::prelude::*;
use gtk::{gdk, gio, glib};

/// Why a screenshot was not saved.
#[derive(Debug, thiserror::Error)]
pub enum ScreenshotError {
    /// The file could not be written; the cause says why.
    #[error("{file} cannot be written")]
    Write {
        /// The file, as a person knows it.
        file: String,
        /// The cause.
        #[source]
        source: glib::Error,
    },
    /// The worker that was to write it failed.
    #[error("the picture could not be packed")]
    Worker,
}

/// Saves a picture as a PNG file, replacing what is there; a failure leaves that untouched. The
/// work is done off the GUI thread.
///
/// # Errors
/// When the file cannot be written.
pub async fn save_png(texture: gdk::Texture, file: gio::File) -> Result<(), ScreenshotError> {
    let work = move || {
        let png = texture.save_to_png_bytes();
        let flags = gio::FileCreateFlags::REPLACE_DESTINATION;
        file.replace_contents(&png, None, false, flags, gio::Cancellable::NONE)
            .map(|_| ())
            .map_err(|source| ScreenshotError::Write { file: file.parse_name().into(), source })
    };
    gio::spawn_blocking(work).await.unwrap_or(Err(ScreenshotError::Worker))
}

/// Puts a picture on a clipboard.
pub fn copy(texture: &gdk::Texture, clipboard: &gdk::Clipboard) {
    clipboard.set_texture(texture);
}
