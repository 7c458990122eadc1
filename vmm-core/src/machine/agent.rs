//! The channel to the guest's agent, and the socket at which programs of the host reach it.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::net::{self, AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use crate::devices::virtio::console::{Channel, Console};

/// What the guest's agent looks for (`qemu-guest-agent`, and others that speak like it).
const NAME: &str = "org.qemu.guest_agent.0";

/// A socket's file, removed when this is dropped.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    /// Tells the file from another that has taken its place.
    identity: Option<Identity>,
}

impl SocketFile {
    /// The file at `path`, which was just made.
    fn new(path: &Path) -> Self {
        Self { path: path.to_path_buf(), identity: Identity::of(path) }
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.identity.is_some() && self.identity == Identity::of(&self.path) {
            // Somebody else may have done so.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Device and inode of a socket's file.
#[derive(Debug, PartialEq, Eq)]
struct Identity(u64, u64);

impl Identity {
    /// `None` when there is no socket.
    fn of(path: &Path) -> Option<Self> {
        let meta = fs::symlink_metadata(path).ok()?;
        meta.file_type().is_socket().then(|| Self(meta.dev(), meta.ino()))
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
    let file = SocketFile::new(path);
    let console = Console::new(vec![Channel { name: NAME.into(), socket }])?;
    Ok((console, file))
}

fn is_abandoned(path: &Path) -> bool {
    Identity::of(path).is_some() && try_connect(path) == Err(Errno::CONNREFUSED)
}

/// Connects without waiting: a listener that is too busy to accept is one all the same.
fn try_connect(path: &Path) -> rustix::io::Result<()> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    net::connect(&socket, &SocketAddrUnix::new(path)?)
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

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

    #[test]
    fn what_has_taken_the_place_stays() {
        let folder = tempfile::tempdir().unwrap();
        let (path, other) = (folder.path().join("agent.sock"), folder.path().join("other"));
        let (_console, file) = console(&path).unwrap();
        // Beside each other for a moment, so that they are two.
        let listener = UnixListener::bind(&other).unwrap();
        fs::rename(&other, &path).unwrap();
        drop(file);
        assert!(path.exists(), "another's socket");
        drop(listener);

        let (_console, file) = console(&path).unwrap();
        fs::remove_file(&path).unwrap();
        fs::write(&path, "precious").unwrap();
        drop(file);
        assert_eq!(fs::read(&path).unwrap(), b"precious");
    }

    #[test]
    fn a_listener_that_accepts_nobody_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("busy.sock");
        let socket = net::socket(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
        net::bind(&socket, &SocketAddrUnix::new(&path).unwrap()).unwrap();
        net::listen(&socket, 0).unwrap();
        let _first = UnixStream::connect(&path).unwrap();
        assert_eq!(try_connect(&path), Err(Errno::AGAIN));
        assert!(!is_abandoned(&path));
        drop(socket);
        assert!(is_abandoned(&path));
    }
}
