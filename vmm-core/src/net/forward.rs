//! Ports of the host that lead into the guest.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

use thiserror::Error;

use crate::text;

/// Most forwards of a machine.
pub const MAX_FORWARDS: usize = 64;

/// What is forwarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// TCP connections.
    Tcp,
    /// UDP packets.
    Udp,
}

/// A port of the host that leads into the guest. Written
/// `[tcp:|udp:][ADDRESS/]HOST:GUEST`; TCP and the host's own loopback address unless said
/// otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PortForward {
    /// What is forwarded.
    pub protocol: Protocol,
    /// The host's address that listens. Others than the loopback's let other computers in.
    pub address: IpAddr,
    /// The host's port, from 1.
    pub host: u16,
    /// The guest's port, from 1.
    pub guest: u16,
}

/// A text that describes no forward.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ForwardError {
    /// Not two ports.
    #[error("{}", text!("write the host's port and the guest's, such as 2222:22"))]
    Ports,
    /// Not an address before the slash.
    #[error("{}", text!(
        "write an address of this computer before the slash, such as 127.0.0.1/2222:22"
    ))]
    Address,
}

impl PortForward {
    /// The address where nothing is said: only programs of this computer get through.
    pub const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    /// A forward of TCP connections that programs of this computer make.
    pub fn tcp(host: u16, guest: u16) -> Self {
        Self { protocol: Protocol::Tcp, address: Self::LOOPBACK, host, guest }
    }

    /// Which of `forwards`, if any, cannot be there beside one before it.
    pub fn clash(forwards: &[Self]) -> Option<usize> {
        (0..forwards.len())
            .find(|at| forwards[..*at].iter().any(|other| other.clashes_with(&forwards[*at])))
    }

    /// Whether both cannot be there at once.
    pub fn clashes_with(&self, other: &Self) -> bool {
        let same_address = self.address == other.address
            || self.address.is_unspecified()
            || other.address.is_unspecified();
        (self.protocol, self.host) == (other.protocol, other.host) && same_address
    }
}

impl FromStr for PortForward {
    type Err = ForwardError;

    fn from_str(text: &str) -> Result<Self, ForwardError> {
        let (protocol, rest) = match text.split_once(':') {
            Some(("tcp", rest)) => (Protocol::Tcp, rest),
            Some(("udp", rest)) => (Protocol::Udp, rest),
            _ => (Protocol::Tcp, text),
        };
        let (address, ports) = match rest.split_once('/') {
            Some((address, ports)) => (address.parse().map_err(|_| ForwardError::Address)?, ports),
            None => (Self::LOOPBACK, rest),
        };
        let (host, guest) = ports.split_once(':').ok_or(ForwardError::Ports)?;
        Ok(Self { protocol, address, host: port(host)?, guest: port(guest)? })
    }
}

fn port(text: &str) -> Result<u16, ForwardError> {
    let digits = !text.is_empty() && text.bytes().all(|digit| digit.is_ascii_digit());
    let port = text.parse().ok().filter(|port| digits && *port != 0);
    port.ok_or(ForwardError::Ports)
}

impl fmt::Display for PortForward {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.protocol == Protocol::Udp {
            f.write_str("udp:")?;
        }
        if self.address != Self::LOOPBACK {
            write!(f, "{}/", self.address)?;
        }
        write!(f, "{}:{}", self.host, self.guest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forwards_are_read_as_they_are_written() {
        for text in ["2222:22", "udp:53:5353", "0.0.0.0/80:8080", "udp:::1/1:65535"] {
            let forward: PortForward = text.parse().unwrap();
            assert_eq!(forward.to_string(), text);
        }
        assert_eq!("tcp:127.0.0.1/2222:22".parse(), Ok(PortForward::tcp(2222, 22)));
        for text in
            ["", "22", "0:22", "22:0", "65536:1", ":", "a:b", "+1:2", "udp:", "1:2:3", "icmp:1:2"]
        {
            assert_eq!(text.parse::<PortForward>(), Err(ForwardError::Ports), "{text}");
        }
        for text in ["localhost/1:2", "/1:2", "1.2.3/1:2", "-t all/1:2"] {
            assert_eq!(text.parse::<PortForward>(), Err(ForwardError::Address), "{text}");
        }
    }

    #[test]
    fn the_same_port_cannot_be_had_twice() {
        let clash = |one: &str, other: &str| {
            one.parse::<PortForward>().unwrap().clashes_with(&other.parse().unwrap())
        };
        assert!(clash("80:80", "80:81"));
        assert!(clash("80:80", "0.0.0.0/80:81"));
        assert!(!clash("80:80", "udp:80:80"));
        assert!(!clash("80:80", "81:80"));
        assert!(!clash("80:80", "127.0.0.2/80:80"));
    }
}
