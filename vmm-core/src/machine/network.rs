//! The network card and what it is connected to.

use std::sync::Arc;

use async_channel::Sender;

use super::config::NetworkConfig;
use super::error::MachineError;
use super::message::NetStatistics;
use super::supervisor::Order;
use crate::devices::virtio::net::NetCard;
use crate::net::{Cable, Passt, PasstOptions};

/// The card that `config` describes. passt starts when the guest has a driver for it.
pub(super) fn card(
    config: &NetworkConfig,
    orders: &Sender<Order>,
) -> Result<NetCard, MachineError> {
    let options = PasstOptions {
        forwards: config.forwards.clone(),
        reach_host: config.reach_host,
        ..PasstOptions::default()
    };
    let orders = orders.clone();
    let warn = move |text| {
        let _ = orders.try_send(Order::Warning(text));
    };
    let passt = Passt::new(options, warn).map_err(MachineError::System)?;
    NetCard::new(config.mac, Arc::new(passt)).map_err(MachineError::System)
}

/// What has gone over `cable`.
pub(super) fn statistics(cable: &Cable) -> NetStatistics {
    let traffic = cable.traffic();
    NetStatistics {
        received_bytes: traffic.received_bytes,
        received_packets: traffic.received_packets,
        sent_bytes: traffic.sent_bytes,
        sent_packets: traffic.sent_packets,
    }
}
