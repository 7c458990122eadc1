//! Questions and answers that several features need.
//!
//! What lives here: what went wrong, how far something is, yes or no, a name. What does not: the
//! dialogs of one feature, which live with it.

mod confirm;
mod failure;
mod name;
mod progress;
mod text;

pub use self::confirm::{Confirmation, confirm};
pub use self::failure::show_failure;
pub use self::name::ask_name;
pub use self::progress::with_progress;
pub use self::text::show_text;
