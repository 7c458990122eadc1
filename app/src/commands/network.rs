//! The notation of a network on the command line.

use vmm_core::machine::NetworkConfig;
use vmm_core::net::{PortForward, TapName};
use vmm_core::text;

/// How a network is written.
pub(crate) const NOTATION: &str = "user[,host][,forward=HOST:GUEST]…|tap=NAME|none";

/// What a machine is connected to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Net {
    /// Nothing: it has no network card.
    None,
    /// A TAP device of the host's.
    Tap(TapName),
    /// The host's network, through passt.
    User {
        /// Whether the guest reaches the host's loopback address.
        reach_host: bool,
        /// Ports of the host that lead into the guest.
        forwards: Vec<PortForward>,
    },
}

impl Net {
    /// Reads what [`NOTATION`] describes.
    pub(crate) fn parse(notation: &str) -> Result<Self, String> {
        if notation == "none" {
            return Ok(Self::None);
        }
        if let Some(name) = notation.strip_prefix("tap=") {
            return name.parse().map(Self::Tap).map_err(|error| format!("{error}"));
        }
        let mut words = notation.split(',');
        if words.next() != Some("user") {
            return Err(text!("write “user”, “tap=NAME” or “none”"));
        }
        let (mut reach_host, mut forwards) = (false, Vec::new());
        for word in words {
            match word.split_once('=') {
                None if word == "host" => reach_host = true,
                Some(("forward", forward)) => {
                    forwards.push(forward.parse().map_err(|error| format!("{error}"))?);
                }
                _ => {
                    return Err(text!("“{word}” is neither “host” nor “forward=HOST:GUEST”", word));
                }
            }
        }
        Ok(Self::User { reach_host, forwards })
    }

    /// The card, with an address for this run.
    pub(crate) fn config(self) -> Option<NetworkConfig> {
        match self {
            Self::None => None,
            Self::Tap(name) => Some(NetworkConfig { tap: Some(name), ..NetworkConfig::new() }),
            Self::User { reach_host, forwards } => {
                Some(NetworkConfig { reach_host, forwards, ..NetworkConfig::new() })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_read_word_by_word() {
        assert_eq!(Net::parse("none"), Ok(Net::None));
        let user = |reach_host, forwards| Ok(Net::User { reach_host, forwards });
        assert_eq!(Net::parse("user"), user(false, Vec::new()));
        assert_eq!(
            Net::parse("user,forward=2222:22,host,forward=tcp:127.0.0.1/80:8080"),
            user(true, vec![PortForward::tcp(2222, 22), PortForward::tcp(80, 8080)])
        );
        assert_eq!(Net::parse("tap=tap0"), Ok(Net::Tap("tap0".parse().unwrap())));
        for text in [
            "tap=",
            "tap=a/b",
            "",
            "tap",
            "none,host",
            "user,",
            "user,forward",
            "user,forward=22",
            "user,x=y",
        ] {
            assert!(Net::parse(text).is_err(), "{text}");
        }
    }
}
