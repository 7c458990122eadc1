//! The network card and what it is connected to.

use std::sync::Arc;

use async_channel::Sender;

use super::config::NetworkConfig;
use super::error::MachineError;
use super::message::NetStatistics;
use super::supervisor::Order;
use crate::devices::virtio::net::NetCard;
use crate::net::{Cable, NetBackend, Passt, PasstOptions, Tap};

/// The card that `config` describes. What it is connected to is opened or started when the guest
/// has a driver for it.
pub(super) fn card(
    config: &NetworkConfig,
    orders: &Sender<Order>,
) -> Result<NetCard, MachineError> {
    let orders = orders.clone();
    let warn = move |text| {
        let _ = orders.try_send(Order::Warning(text));
    };
    let backend: Arc<dyn NetBackend> = if let Some(name) = &config.tap {
        Arc::new(Tap::new(name.clone(), warn))
    } else {
        let options = PasstOptions {
            forwards: config.forwards.clone(),
            reach_host: config.reach_host,
            ..PasstOptions::default()
        };
        Arc::new(Passt::new(options, warn).map_err(MachineError::System)?)
    };
    NetCard::new(config.mac, backend).map_err(MachineError::System)
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
