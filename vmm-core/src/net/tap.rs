//! A TAP device of the host's: a network interface whose packets this program has (Linux,
//! `Documentation/networking/tuntap.rst`).
//!
//! Whoever administers the host makes the device, for a user, and connects it to what the machine
//! is to be in, a bridge as a rule. The kernel at its other end takes partial checksums and long
//! TCP segments, so the guest need not make them whole.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use parking_lot::Mutex;
use thiserror::Error;
use vmm_sys_util::ioctl::{ioctl_with_mut_ref, ioctl_with_ref, ioctl_with_val};

use super::{Cable, MTU, NetBackend, Offloads, VIRTIO_HEADER, Wire};
use crate::text;

/// The interface's greatest name (`IFNAMSIZ`, less the NUL).
const MAX_NAME: usize = 15;
/// What packets have at most when the interface does not say.
const USUAL_MTU: u16 = 1500;

/// Requests and flags of `linux/if_tun.h`.
mod tun {
    use std::ffi::{c_int, c_uint};

    use vmm_sys_util::ioctl_iow_nr;

    pub(super) const TAP: i16 = 0x0002;
    pub(super) const NO_PACKET_INFORMATION: i16 = 0x1000;
    pub(super) const VIRTIO_HEADER: i16 = 0x4000;

    pub(super) const CHECKSUM: u64 = 0x01;
    pub(super) const TCP4: u64 = 0x02;
    pub(super) const TCP6: u64 = 0x04;

    ioctl_iow_nr!(SET_INTERFACE, b'T' as c_uint, 202, c_int);
    ioctl_iow_nr!(SET_OFFLOADS, b'T' as c_uint, 208, c_uint);
    ioctl_iow_nr!(SET_HEADER_LENGTH, b'T' as c_uint, 216, c_int);
}

/// The name of a TAP device.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TapName(String);

/// A text that cannot be a TAP device's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{}", text!(
    "write the name of a TAP device, such as tap0: up to {max} characters, without blanks, “/”, \
     “:” and “%”",
    max = MAX_NAME
))]
pub struct TapNameError;

impl FromStr for TapName {
    type Err = TapNameError;

    /// Takes what the kernel takes (`dev_valid_name` in `net/core/dev.c`), of ASCII.
    fn from_str(text: &str) -> Result<Self, TapNameError> {
        let fits = (1..=MAX_NAME).contains(&text.len()) && text != "." && text != "..";
        let known = text.bytes().all(|byte| byte.is_ascii_graphic() && !b"/:%".contains(&byte));
        if fits && known { Ok(Self(text.into())) } else { Err(TapNameError) }
    }
}

impl fmt::Display for TapName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TapName {
    /// The TAP devices of this host, sorted by their names. Any of them may be another user's.
    pub fn available() -> Vec<Self> {
        let names = fs::read_dir("/sys/class/net").into_iter().flatten().flatten();
        let mut found: Vec<_> = names
            .filter_map(|entry| entry.file_name().to_str()?.parse::<Self>().ok())
            .filter(Self::is_there)
            .collect();
        found.sort();
        found
    }

    /// What the kernel says about the interface, a number in decimal or hexadecimal digits.
    fn attribute(&self, name: &str) -> Option<u32> {
        let path: PathBuf = ["/sys/class/net", &self.0, name].iter().collect();
        let text = fs::read_to_string(path).ok()?;
        let text = text.trim();
        match text.strip_prefix("0x") {
            Some(digits) => u32::from_str_radix(digits, 16).ok(),
            None => text.parse().ok(),
        }
    }

    /// Whether there is such a TAP device.
    fn is_there(&self) -> bool {
        self.attribute("tun_flags").is_some_and(|flags| flags & tun::TAP as u32 != 0)
    }
}

/// A TAP device at the other end of a cable.
pub struct Tap {
    name: TapName,
    /// Hears, in a sentence, of what the user should know.
    warn: Box<dyn Fn(String) + Send + Sync>,
    /// What is plugged in, if it still works.
    device: Mutex<Option<File>>,
}

impl Tap {
    /// A device that is opened when it is needed. `warn` is called on any thread.
    pub fn new(name: TapName, warn: impl Fn(String) + Send + Sync + 'static) -> Self {
        Self { name, warn: Box::new(warn), device: Mutex::default() }
    }

    fn connect_device(&self, cable: &Cable, offloads: Offloads) -> io::Result<()> {
        let mut device = self.device.lock();
        if let Some(device) = &*device
            && cable.is_connected()
        {
            return set_offloads(device, offloads);
        }
        // Closed first: it can be opened once at a time.
        *device = None;
        if !self.name.is_there() {
            // With the right to, opening would make one that leads nowhere.
            return Err(io::ErrorKind::NotFound.into());
        }
        let opened = open(&self.name)?;
        set_offloads(&opened, offloads)?;
        let plugged = opened.try_clone()?;
        *device = Some(opened);
        cable.plug(Wire::Packets(plugged))
    }

    /// Why there is no network, and what to do about it.
    fn explain(&self, error: &io::Error) -> String {
        let name = &self.name;
        match error.raw_os_error() {
            None if error.kind() == io::ErrorKind::NotFound => text!(
                "The machine has no network, as this computer has no TAP device “{name}”. Have \
                 one made (“ip tuntap add {name} mode tap user NAME”), then restart the machine.",
                name
            ),
            Some(libc::EBUSY) => text!(
                "The machine has no network, as another program uses the TAP device “{name}”. End \
                 that, then restart the machine.",
                name
            ),
            Some(libc::EPERM | libc::EACCES) => text!(
                "The machine has no network, as the TAP device “{name}” is another user's. Have \
                 one made for you, then restart the machine.",
                name
            ),
            _ => text!(
                "The machine has no network, as the TAP device “{name}” cannot be used: {reason}.",
                name,
                reason = error
            ),
        }
    }
}

impl NetBackend for Tap {
    fn connect(&self, cable: &Arc<Cable>, offloads: Offloads) {
        if let Err(error) = self.connect_device(cable, offloads) {
            cable.unplug();
            (self.warn)(self.explain(&error));
        }
    }

    fn has_offloads(&self) -> bool {
        true
    }

    fn mtu(&self) -> u16 {
        let mtu = self.name.attribute("mtu").and_then(|mtu| u16::try_from(mtu).ok());
        mtu.unwrap_or(USUAL_MTU).min(MTU)
    }
}

/// Opens the device of this name; each packet comes with a header.
fn open(name: &TapName) -> io::Result<File> {
    let file = OpenOptions::new().read(true).write(true).open("/dev/net/tun")?;
    // SAFETY: all of it may be zero.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(name.0.bytes()) {
        *to = from.cast_signed();
    }
    request.ifr_ifru.ifru_flags = tun::TAP | tun::NO_PACKET_INFORMATION | tun::VIRTIO_HEADER;
    // SAFETY: the request is a whole `ifreq`, which the kernel reads and writes.
    check(unsafe { ioctl_with_mut_ref(&file, tun::SET_INTERFACE(), &mut request) })?;
    let len = VIRTIO_HEADER as i32;
    // SAFETY: the kernel reads the number.
    check(unsafe { ioctl_with_ref(&file, tun::SET_HEADER_LENGTH(), &len) })?;
    Ok(file)
}

fn set_offloads(device: &File, offloads: Offloads) -> io::Result<()> {
    let mut flags = 0;
    if offloads.contains(Offloads::CHECKSUM) {
        flags |= tun::CHECKSUM;
        let segments = [(Offloads::TCP4, tun::TCP4), (Offloads::TCP6, tun::TCP6)];
        let wanted = segments.iter().filter(|(offload, _)| offloads.contains(*offload));
        flags |= wanted.fold(0, |flags, (_, flag)| flags | flag);
    }
    // SAFETY: the argument is a number.
    check(unsafe { ioctl_with_val(device, tun::SET_OFFLOADS(), flags) })
}

fn check(result: i32) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

impl fmt::Debug for Tap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tap").field("name", &self.name).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_the_kernel_takes() {
        for name in ["tap0", "a", "vm-net_1.5", "123456789012345"] {
            assert_eq!(name.parse::<TapName>().unwrap().to_string(), name);
        }
        for name in ["", ".", "..", "a b", "a/b", "tap%d", "a:b", "1234567890123456", "tép"] {
            assert_eq!(name.parse::<TapName>(), Err(TapNameError), "{name}");
        }
    }

    #[test]
    fn the_loopback_interface_is_no_tap_device() {
        let lo: TapName = "lo".parse().unwrap();
        assert!(!lo.is_there() && !TapName::available().contains(&lo));
    }

    #[test]
    fn a_device_that_is_not_there_is_told_of() {
        let (told, warnings) = std::sync::mpsc::channel();
        let tap = Tap::new("no-such-tap".parse().unwrap(), move |text| told.send(text).unwrap());
        let cable = Cable::new().unwrap();
        tap.connect(&cable, Offloads::all());
        assert!(warnings.try_recv().unwrap().contains("no TAP device “no-such-tap”"));
        assert!(!cable.is_connected());
        assert_eq!(tap.mtu(), USUAL_MTU);
    }
}
