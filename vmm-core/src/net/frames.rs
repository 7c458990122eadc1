//! Frames on their way over a [`Wire`]. What waits is kept as streams have it: each frame is
//! preceded by its length, four bytes, the highest first. Both ends are other processes', so every
//! length is checked.

use std::io::{self, ErrorKind, Read, Write};
use std::ops::RangeInclusive;
use std::os::fd::{AsFd, BorrowedFd};

use thiserror::Error;

use super::wire::{MAX_PACKET, Wire};
use super::{ETHERNET_HEADER, MAX_FRAME, VIRTIO_HEADER};

/// Length of the length.
const PREFIX: usize = 4;
/// Bytes read at a time at most; a frame of any length fits.
const INCOMING: usize = 2 * (PREFIX + MAX_PACKET);
/// More frames are taken as long as fewer bytes than this wait to be written.
const OUTGOING: usize = 1 << 16;

/// Why a connection is of no use any more.
#[derive(Debug, Error)]
pub(crate) enum FrameError {
    /// The other end closed it.
    #[error("the other end has closed the connection")]
    Closed,
    /// No frame is that long: from here on the stream makes no sense.
    #[error("a frame of {0} bytes")]
    Length(u32),
    /// The system's reason.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// What became of an attempt to read or write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// There may be more to do at once.
    More,
    /// Nothing more can be done before the socket is ready again.
    Wait,
}

/// A wire with the frames that are on their way. With a virtio header, where the wire carries
/// those, a frame here is both together.
#[derive(Debug)]
pub(crate) struct Connection {
    wire: Wire,
    incoming: Box<[u8]>,
    /// Of `incoming`, where the next frame's length starts and where what was read ends.
    start: usize,
    end: usize,
    outgoing: Vec<u8>,
    /// Bytes of `outgoing` that are written.
    written: usize,
}

impl Connection {
    pub(crate) fn new(wire: Wire) -> Self {
        let incoming = vec![0; INCOMING].into_boxed_slice();
        Self { wire, incoming, start: 0, end: 0, outgoing: Vec::new(), written: 0 }
    }

    /// Whether each frame begins with a virtio header.
    pub(crate) fn has_headers(&self) -> bool {
        matches!(self.wire, Wire::Packets(_))
    }

    /// How long a frame can be.
    fn lengths(&self) -> RangeInclusive<usize> {
        match self.wire {
            Wire::Stream(_) => ETHERNET_HEADER..=MAX_FRAME,
            Wire::Packets(_) => VIRTIO_HEADER + ETHERNET_HEADER..=MAX_PACKET,
        }
    }

    /// Reads what is there into what room there is.
    pub(crate) fn fill(&mut self) -> Result<Outcome, FrameError> {
        if self.start > 0 {
            self.incoming.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        if self.end == self.incoming.len() {
            // There is a whole frame to be taken first.
            return Ok(Outcome::More);
        }
        let stream = match &mut self.wire {
            Wire::Stream(stream) => stream,
            Wire::Packets(_) => return self.fill_with_packets(),
        };
        match stream.read(&mut self.incoming[self.end..]) {
            Ok(0) => Err(FrameError::Closed),
            Ok(len) => {
                self.end += len;
                // A short read has emptied the socket, as a rule: asking again costs a call.
                let full = self.end == self.incoming.len();
                Ok(if full { Outcome::More } else { Outcome::Wait })
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(Outcome::Wait),
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(Outcome::More),
            Err(error) => Err(error.into()),
        }
    }

    /// Reads packets for as long as the longest has room.
    fn fill_with_packets(&mut self) -> Result<Outcome, FrameError> {
        let Wire::Packets(packets) = &mut self.wire else { return Ok(Outcome::Wait) };
        while self.incoming.len() - self.end >= PREFIX + MAX_PACKET {
            let (prefix, room) = self.incoming[self.end..].split_at_mut(PREFIX);
            match packets.read(&mut room[..MAX_PACKET]) {
                Ok(0) => return Err(FrameError::Closed),
                Ok(len) => {
                    prefix.copy_from_slice(&(len as u32).to_be_bytes());
                    self.end += PREFIX + len;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Outcome::Wait),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Outcome::More)
    }

    /// The next frame that was read. It stays the next until [`Self::drop_frame`].
    pub(crate) fn frame(&mut self) -> Result<Option<&[u8]>, FrameError> {
        let lengths = self.lengths();
        loop {
            let rest = &self.incoming[self.start..self.end];
            let Some((prefix, rest)) = rest.split_first_chunk::<PREFIX>() else { return Ok(None) };
            let len = u32::from_be_bytes(*prefix);
            if len as usize > *lengths.end() {
                return Err(FrameError::Length(len));
            }
            if rest.len() < len as usize {
                return Ok(None);
            }
            if len as usize >= *lengths.start() {
                break;
            }
            // No frame for anybody.
            self.start += PREFIX + len as usize;
        }
        let start = self.start + PREFIX;
        Ok(self.frame_len().map(|len| &self.incoming[start..start + len]))
    }

    fn frame_len(&self) -> Option<usize> {
        let prefix = self.incoming[self.start..self.end].first_chunk::<PREFIX>()?;
        Some(u32::from_be_bytes(*prefix) as usize)
    }

    /// The frame that [`Self::frame`] gave is done with.
    pub(crate) fn drop_frame(&mut self) {
        if let Some(len) = self.frame_len() {
            self.start = (self.start + PREFIX + len).min(self.end);
        }
    }

    /// Whether frames should be added before the waiting ones are written.
    pub(crate) fn has_room(&self) -> bool {
        self.outgoing.len() - self.written < OUTGOING
    }

    /// Whether something waits to be written.
    pub(crate) fn is_writing(&self) -> bool {
        self.written < self.outgoing.len()
    }

    /// Adds a frame of `len` bytes, which `fill` fills in; it is left out when that gives `false`.
    /// Frames too short or too long, which would end the connection, are left out as well. `true`
    /// when it was added.
    pub(crate) fn add(&mut self, len: usize, fill: impl FnOnce(&mut [u8]) -> bool) -> bool {
        if !self.lengths().contains(&len) {
            return false;
        }
        let start = self.outgoing.len();
        self.outgoing.extend((len as u32).to_be_bytes());
        self.outgoing.resize(start + PREFIX + len, 0);
        let filled = fill(&mut self.outgoing[start + PREFIX..]);
        if !filled {
            self.outgoing.truncate(start);
        }
        filled
    }

    /// Writes what waits, as far as there is room. [`Outcome::Wait`] when there is not enough.
    pub(crate) fn flush(&mut self) -> Result<Outcome, FrameError> {
        while self.is_writing() {
            match self.write() {
                Ok(0) => return Err(FrameError::Closed),
                Ok(len) => self.written += len,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.outgoing.drain(..self.written);
                    self.written = 0;
                    return Ok(Outcome::Wait);
                }
                Err(error) => return Err(error.into()),
            }
        }
        self.outgoing.clear();
        self.written = 0;
        Ok(Outcome::More)
    }
}

impl Connection {
    /// Writes as much as the wire takes at a time; how much that was.
    fn write(&mut self) -> io::Result<usize> {
        let waiting = &self.outgoing[self.written..];
        let packets = match &mut self.wire {
            Wire::Stream(stream) => return stream.write(waiting),
            Wire::Packets(packets) => packets,
        };
        // All that waits was added whole.
        let Some((prefix, rest)) = waiting.split_first_chunk::<PREFIX>() else { return Ok(0) };
        let len = u32::from_be_bytes(*prefix) as usize;
        match packets.write(&rest[..len]) {
            Err(error) if !is_lost(&error) => Err(error),
            _ => Ok(PREFIX + len),
        }
    }
}

/// Whether a packet is lost as on any network, and those after it need not be: the guest's header
/// makes no sense, the interface is down, or the host has no room.
fn is_lost(error: &io::Error) -> bool {
    let lost = [libc::EINVAL, libc::EIO, libc::EMSGSIZE, libc::ENOBUFS, libc::ENOMEM];
    error.raw_os_error().is_some_and(|number| lost.contains(&number))
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.wire.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::{UnixDatagram, UnixStream};

    use proptest::prelude::*;

    use super::*;

    fn pair() -> (Connection, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        (Connection::new(ours.into()), theirs)
    }

    /// Packets as of a TAP device, from a socket that keeps them apart as well.
    fn packets() -> (Connection, UnixDatagram) {
        let (ours, theirs) = UnixDatagram::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        (Connection::new(Wire::Packets(std::os::fd::OwnedFd::from(ours).into())), theirs)
    }

    #[test]
    fn packets_stay_apart_and_keep_their_headers() {
        let (mut connection, peer) = packets();
        assert!(connection.has_headers());
        let long = 60_000;
        for len in [25, 26, 1526, long] {
            peer.send(&vec![len as u8; len]).unwrap();
            connection.fill().unwrap();
        }
        let frames = taken(&mut connection);
        // The first has no room for an Ethernet header.
        assert_eq!(frames.iter().map(Vec::len).collect::<Vec<_>>(), [26, 1526, long]);
        assert!(!connection.add(25, |_| true) && !connection.add(MAX_PACKET + 1, |_| true));
        for len in [26, 1526] {
            assert!(connection.add(len, |to| {
                to.fill(len as u8);
                true
            }));
        }
        assert_eq!(connection.flush().unwrap(), Outcome::More);
        let mut buffer = [0; 4096];
        for len in [26, 1526] {
            assert_eq!(peer.recv(&mut buffer).unwrap(), len);
            assert!(buffer[..len].iter().all(|byte| *byte == len as u8));
        }
    }

    fn taken(connection: &mut Connection) -> Vec<Vec<u8>> {
        let mut frames = Vec::new();
        while let Some(frame) = connection.frame().unwrap() {
            frames.push(frame.to_vec());
            connection.drop_frame();
        }
        frames
    }

    fn framed(frame: &[u8]) -> Vec<u8> {
        [&(frame.len() as u32).to_be_bytes()[..], frame].concat()
    }

    #[test]
    fn frames_go_both_ways_however_they_are_cut() {
        let (mut connection, mut peer) = pair();
        let frames: Vec<Vec<u8>> =
            [14, 60, 1514, MAX_FRAME, 20].iter().map(|len| vec![*len as u8; *len]).collect();
        let stream: Vec<u8> = frames.iter().flat_map(|frame| framed(frame)).collect();
        let mut arrived = Vec::new();
        for part in stream.chunks(777) {
            peer.write_all(part).unwrap();
            connection.fill().unwrap();
            arrived.extend(taken(&mut connection));
        }
        assert_eq!(arrived, frames);

        let mut read = Vec::new();
        peer.set_nonblocking(true).unwrap();
        for frame in &frames {
            assert!(connection.add(frame.len(), |to| {
                to.copy_from_slice(frame);
                true
            }));
            connection.flush().unwrap();
            let _ = peer.read_to_end(&mut read);
        }
        while connection.is_writing() {
            connection.flush().unwrap();
            let _ = peer.read_to_end(&mut read);
        }
        assert!(read == stream);
    }

    #[test]
    fn a_peer_that_does_not_read_is_waited_for() {
        let (mut connection, mut peer) = pair();
        let mut added = 0;
        while connection.has_room() {
            assert!(connection.add(1000, |to| {
                to.fill(added as u8);
                true
            }));
            added += 1;
            connection.flush().unwrap();
            assert!(added < 10_000, "the socket takes everything");
        }
        assert_eq!(connection.flush().unwrap(), Outcome::Wait);
        peer.set_nonblocking(true).unwrap();
        let mut read = Vec::new();
        while connection.is_writing() {
            let _ = peer.read_to_end(&mut read);
            connection.flush().unwrap();
        }
        let _ = peer.read_to_end(&mut read);
        assert_eq!(read.len(), added * 1004);
        for (number, frame) in read.chunks(1004).enumerate() {
            assert_eq!(frame[..4], [0, 0, 3, 232]);
            assert!(frame[4..].iter().all(|byte| *byte == number as u8));
        }
    }

    #[test]
    fn senseless_lengths_are_refused() {
        for len in [MAX_FRAME as u32 + 1, u32::MAX] {
            let (mut connection, mut peer) = pair();
            peer.write_all(&len.to_be_bytes()).unwrap();
            connection.fill().unwrap();
            assert!(matches!(connection.frame(), Err(FrameError::Length(found)) if found == len));
        }
        let (mut connection, mut peer) = pair();
        // Too short for an Ethernet header: left out.
        peer.write_all(&[framed(&[]), framed(&[1; 13]), framed(&[2; 14])].concat()).unwrap();
        connection.fill().unwrap();
        assert_eq!(taken(&mut connection), [[2; 14]]);
        assert!(!connection.add(13, |_| true) && !connection.add(MAX_FRAME + 1, |_| true));
        assert!(!connection.add(14, |_| false) && !connection.is_writing());
        drop(peer);
        assert!(matches!(connection.fill(), Err(FrameError::Closed)));
    }

    proptest! {
        #[test]
        fn any_stream_is_read_in_bounds(parts in prop::collection::vec(
            prop::collection::vec(prop_oneof![8 => Just(0u8), 1 => any::<u8>()], 0..200), 0..40)
        ) {
            let (mut connection, mut peer) = pair();
            'all: for part in parts {
                peer.write_all(&part).unwrap();
                connection.fill().unwrap();
                loop {
                    match connection.frame() {
                        Ok(Some(frame)) => prop_assert!((14..=MAX_FRAME).contains(&frame.len())),
                        Ok(None) => break,
                        Err(_) => break 'all,
                    }
                    connection.drop_frame();
                }
            }
        }
    }
}
