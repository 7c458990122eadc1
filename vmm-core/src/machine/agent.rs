//! The channel to the guest's agent, and the socket at which programs of the host reach it.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use crate::devices::virtio::console::{Channel, Console};

/// What the guest's agent looks for (`qemu-guest-agent`, and others that speak like it).
const NAME: &str = "org.qemu.guest_agent.0";

/// A socket's file, removed when this is dropped.
#[derive(Debug)]
pub(super) struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Somebody else may have done so.
        let _ = fs::remove_file(&self.0);
    }
}

/// The device with the channel, which is reached at `path`. Makes the folder, for this user alone,
/// and takes the place of a socket that nobody listens to any more.
///
/// # Errors
/// When the socket cannot be made.
pub(super) fn console(path: &Path) -> io::Result<(Console, SocketFile)> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    if is_abandoned(path) {
        fs::remove_file(path)?;
    }
    let socket = UnixListener::bind(path)?;
    let file = SocketFile(path.to_path_buf());
    let console = Console::new(vec![Channel { name: NAME.into(), socket }])?;
    Ok((console, file))
}

fn is_abandoned(path: &Path) -> bool {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|meta| meta.file_type().is_socket());
    let refused = |error: io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
    is_socket && UnixStream::connect(path).is_err_and(refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_abandoned_socket_makes_place_and_nothing_else_does() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/agent.sock");
        let (_console, file) = console(&path).unwrap();
        assert!(UnixStream::connect(&path).is_ok());
        assert!(console(&path).is_err(), "somebody listens there");
        drop(file);
        assert!(!path.exists());
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        drop(console(&path).unwrap());
        fs::write(&path, "precious").unwrap();
        assert!(console(&path).is_err());
        assert_eq!(fs::read(&path).unwrap(), b"precious");
        assert!(console(&folder.path().join("x".repeat(200))).is_err());
    }
}
