//! The one way this crate starts threads.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::{Builder, JoinHandle};

/// Starts a thread called `name` (the first 15 bytes are what the kernel shows) that runs `body`.
/// A panic in it ends that thread alone; `on_panic` is then given the panic's message.
///
/// # Errors
/// When the system refuses another thread.
pub fn spawn(
    name: impl Into<String>,
    body: impl FnOnce() + Send + 'static,
    on_panic: impl FnOnce(String) + Send + 'static,
) -> std::io::Result<JoinHandle<()>> {
    Builder::new().name(name.into()).spawn(move || {
        if let Err(message) = catch(body) {
            on_panic(message);
        }
    })
}

/// Runs `body`.
///
/// # Errors
/// The message of its panic.
pub(crate) fn catch(body: impl FnOnce()) -> Result<(), String> {
    catch_unwind(AssertUnwindSafe(body)).map_err(|panic| {
        panic
            .downcast_ref::<&str>()
            .map(ToString::to_string)
            .or_else(|| panic.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "panic without a message".into())
    })
}
