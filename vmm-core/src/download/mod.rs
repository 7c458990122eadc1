//! Operating systems to download.
//!
//! What lives here: the list of systems that are offered ([`systems`]), and fetching the image of
//! one of them ([`fetch`]) over HTTPS: whole and with the checksum that its publisher gives, or, when
//! that is cancelled or fails, as a beginning that the next attempt goes on with. What does not:
//! what is on the image ([`crate::media`] tells). Everything here blocks; callers have a thread for it.
//!
//! The trust is in the publisher's own web server, which names the checksum over HTTPS, and, where
//! Berth has the publisher's key, in the signature of what names it; the image may come from any
//! mirror the server leads to.

mod catalogue;
mod checksum;
mod client;
mod data;
mod error;
mod fetch;
mod keys;
mod part;
mod signature;
#[cfg(test)]
mod tests;

pub use self::catalogue::{Kind, System, systems};
pub use self::checksum::Checksum;
pub use self::error::DownloadError;
pub use self::fetch::fetch;
pub use self::part::{Begun, begun, forget};
pub use self::signature::SignatureError;

/// In the store's folder: what was downloaded. No machine's folder begins with a dot.
pub const FOLDER: &str = ".downloads";
