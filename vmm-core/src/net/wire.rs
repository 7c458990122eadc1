//! What frames go over.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

use super::{MAX_FRAME, VIRTIO_HEADER};

/// The longest packet, its header included: segments that are yet to be cut are as long as an IP
/// packet can be, behind an Ethernet header with a VLAN's tag.
pub(super) const MAX_PACKET: usize = VIRTIO_HEADER + MAX_FRAME + 18;

/// What frames go over.
#[derive(Debug)]
pub enum Wire {
    /// A stream of frames, each preceded by its length in four bytes, the highest first.
    Stream(UnixStream),
    /// Whole packets, one in each read and write: a virtio header (VIRTIO 1.2 §5.1.6, 12 bytes,
    /// little-endian), then the frame.
    Packets(File),
}

impl Wire {
    /// Has it never keep anybody waiting.
    pub(super) fn set_nonblocking(&self) -> io::Result<()> {
        fcntl_setfl(self, fcntl_getfl(self)? | OFlags::NONBLOCK)?;
        Ok(())
    }
}

impl From<UnixStream> for Wire {
    fn from(stream: UnixStream) -> Self {
        Self::Stream(stream)
    }
}

impl AsFd for Wire {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Stream(stream) => stream.as_fd(),
            Self::Packets(packets) => packets.as_fd(),
        }
    }
}
