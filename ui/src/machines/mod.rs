//! The machines as the window sees them.
//!
//! What lives here: [`Vm`], one machine with its state and its life, as an object that widgets
//! watch, and [`Machines`], the list of all. What does not: widgets; and doing the work, which is
//! the [`Backend`](crate::backend::Backend)'s.

mod collection;
mod farewell;
mod status;
mod vm;

pub use self::collection::Machines;
pub use self::status::Status;
pub use self::vm::Vm;
