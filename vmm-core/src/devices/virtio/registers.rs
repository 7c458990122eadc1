//! The common configuration structure (VIRTIO 1.2 §4.1.4.3): what the driver sets up.

use std::sync::atomic::Ordering::SeqCst;

use serde::{Deserialize, Serialize};

use super::feature;
use super::signals::{NO_VECTOR, Signals};

/// Bits of the device status (§2.1).
pub(super) mod status {
    pub(in super::super) const DRIVER_OK: u8 = 4;
    pub(in super::super) const FEATURES_OK: u8 = 8;
    pub(in super::super) const NEEDS_RESET: u8 = 64;
    /// What the driver may set: ACKNOWLEDGE, DRIVER, the two above, FAILED.
    pub(in super::super) const DRIVERS: u8 = 0x8f;
}

/// Offsets in the structure.
mod at {
    pub(super) const DEVICE_FEATURE_SELECT: u64 = 0x00;
    pub(super) const DEVICE_FEATURE: u64 = 0x04;
    pub(super) const DRIVER_FEATURE_SELECT: u64 = 0x08;
    pub(super) const DRIVER_FEATURE: u64 = 0x0c;
    pub(super) const CONFIG_VECTOR: u64 = 0x10;
    pub(super) const NUM_QUEUES: u64 = 0x12;
    pub(super) const DEVICE_STATUS: u64 = 0x14;
    pub(super) const GENERATION: u64 = 0x15;
    pub(super) const QUEUE_SELECT: u64 = 0x16;
    pub(super) const QUEUE_SIZE: u64 = 0x18;
    pub(super) const QUEUE_VECTOR: u64 = 0x1a;
    pub(super) const QUEUE_ENABLE: u64 = 0x1c;
    pub(super) const QUEUE_NOTIFY_OFF: u64 = 0x1e;
    pub(super) const QUEUE_DESCRIPTORS: u64 = 0x20;
    pub(super) const QUEUE_DRIVER: u64 = 0x28;
    pub(super) const QUEUE_DEVICE: u64 = 0x30;
}

/// Length of the structure; its end (notification data, queue reset) is for features that are
/// not offered and reads zero.
pub(super) const LEN: usize = 0x40;

/// One queue as the driver sets it up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct QueueRegisters {
    pub(super) max_size: u16,
    pub(super) size: u16,
    pub(super) enabled: bool,
    /// Address of the descriptor table.
    pub(super) descriptors: u64,
    /// Address of the available ring, the driver's.
    pub(super) driver: u64,
    /// Address of the used ring, the device's.
    pub(super) device: u64,
}

impl QueueRegisters {
    fn new(max_size: u16) -> Self {
        Self { max_size, size: max_size, enabled: false, descriptors: 0, driver: 0, device: 0 }
    }
}

/// What writing a register leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    None,
    /// The driver resets the device.
    Reset,
    /// The driver is ready.
    DriverOk,
    /// The driver broke the rules.
    Broken(&'static str),
}

/// The structure's registers.
#[derive(Debug, Clone)]
pub(super) struct Registers {
    /// What is offered.
    device_features: u64,
    state: RegistersState,
}

/// What the driver has written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistersState {
    device_feature_select: u32,
    driver_feature_select: u32,
    driver_features: u64,
    config_vector: u16,
    status: u8,
    queue_select: u16,
    queues: Vec<QueueRegisters>,
    queue_vectors: Vec<u16>,
}

impl RegistersState {
    /// The size that each queue has.
    pub(super) fn queue_sizes(&self) -> Vec<u16> {
        self.queues.iter().map(|queue| queue.size).collect()
    }
}

impl Registers {
    pub(super) fn new(device_features: u64, queue_sizes: &[u16]) -> Self {
        let state = RegistersState {
            device_feature_select: 0,
            driver_feature_select: 0,
            driver_features: 0,
            config_vector: NO_VECTOR,
            status: 0,
            queue_select: 0,
            queues: queue_sizes.iter().map(|size| QueueRegisters::new(*size)).collect(),
            queue_vectors: vec![NO_VECTOR; queue_sizes.len()],
        };
        Self { device_features: device_features | feature::TRANSPORT, state }
    }

    /// Feature bits that the driver accepted.
    pub(super) fn features(&self) -> u64 {
        self.state.driver_features
    }

    pub(super) fn queues(&self) -> &[QueueRegisters] {
        &self.state.queues
    }

    pub(super) fn driver_ok(&self) -> bool {
        self.state.status & status::DRIVER_OK != 0
    }

    pub(super) fn status(&self, signals: &Signals) -> u8 {
        self.state.status | if signals.broken() { status::NEEDS_RESET } else { 0 }
    }

    fn selected(&self) -> Option<&QueueRegisters> {
        self.state.queues.get(usize::from(self.state.queue_select))
    }

    /// What the driver reads at `offset`.
    pub(super) fn read(&self, signals: &Signals, offset: u64, data: &mut [u8]) {
        let mut image = [0; LEN];
        let mut put = |offset: u64, bytes: &[u8]| {
            image[offset as usize..][..bytes.len()].copy_from_slice(bytes);
        };
        let state = &self.state;
        put(at::DEVICE_FEATURE_SELECT, &state.device_feature_select.to_le_bytes());
        put(at::DEVICE_FEATURE, &half(self.device_features, state.device_feature_select));
        put(at::DRIVER_FEATURE_SELECT, &state.driver_feature_select.to_le_bytes());
        put(at::DRIVER_FEATURE, &half(state.driver_features, state.driver_feature_select));
        put(at::CONFIG_VECTOR, &signals.config_vector.load(SeqCst).to_le_bytes());
        put(at::NUM_QUEUES, &(state.queues.len() as u16).to_le_bytes());
        put(at::DEVICE_STATUS, &[self.status(signals)]);
        put(at::GENERATION, &[signals.generation()]);
        put(at::QUEUE_SELECT, &state.queue_select.to_le_bytes());
        let vector = signals.queue_vectors.get(usize::from(state.queue_select));
        let vector = vector.map_or(NO_VECTOR, |vector| vector.load(SeqCst));
        put(at::QUEUE_VECTOR, &vector.to_le_bytes());
        // A queue that does not exist has size zero (§4.1.4.3.1).
        if let Some(queue) = self.selected() {
            put(at::QUEUE_SIZE, &queue.size.to_le_bytes());
            put(at::QUEUE_ENABLE, &u16::from(queue.enabled).to_le_bytes());
            put(at::QUEUE_NOTIFY_OFF, &state.queue_select.to_le_bytes());
            put(at::QUEUE_DESCRIPTORS, &queue.descriptors.to_le_bytes());
            put(at::QUEUE_DRIVER, &queue.driver.to_le_bytes());
            put(at::QUEUE_DEVICE, &queue.device.to_le_bytes());
        }
        super::config_bytes(&image, offset, data);
    }

    /// What the driver writes at `offset`. Accesses of another width than the register's are
    /// ignored, but quad words may be written by halves (§4.1.3.1).
    pub(super) fn write(&mut self, signals: &Signals, offset: u64, data: &[u8]) -> Effect {
        let mut bytes = [0; 8];
        bytes[..data.len().min(8)].copy_from_slice(&data[..data.len().min(8)]);
        let value = u64::from_le_bytes(bytes);
        match (offset, data.len()) {
            (at::DEVICE_FEATURE_SELECT, 4) => self.state.device_feature_select = value as u32,
            (at::DRIVER_FEATURE_SELECT, 4) => self.state.driver_feature_select = value as u32,
            (at::DRIVER_FEATURE, 4) => self.accept_features(value as u32),
            (at::CONFIG_VECTOR, 2) => set_vector(signals, &signals.config_vector, value as u16),
            (at::DEVICE_STATUS, 1) => return self.set_status(value as u8),
            (at::QUEUE_SELECT, 2) => self.state.queue_select = value as u16,
            (at::QUEUE_VECTOR, 2) => {
                if let Some(vector) =
                    signals.queue_vectors.get(usize::from(self.state.queue_select))
                {
                    set_vector(signals, vector, value as u16);
                }
            }
            (at::QUEUE_SIZE.., _) => return self.write_queue(offset, data.len(), value),
            _ => {}
        }
        Effect::None
    }

    fn accept_features(&mut self, bits: u32) {
        if self.state.status & status::FEATURES_OK != 0 {
            return;
        }
        let shift = match self.state.driver_feature_select {
            0 => 0,
            1 => 32,
            _ => return,
        };
        let others = self.state.driver_features & !(0xffff_ffff << shift);
        self.state.driver_features = others | u64::from(bits) << shift;
    }

    fn set_status(&mut self, value: u8) -> Effect {
        if value == 0 {
            return Effect::Reset;
        }
        let before = self.state.status;
        // Only a reset clears bits (§2.1.1).
        let mut now = before | (value & status::DRIVERS);
        let acceptable = self.state.driver_features & !self.device_features == 0
            && self.state.driver_features & feature::VERSION_1 != 0;
        if !acceptable {
            now &= !status::FEATURES_OK;
        }
        if now & status::FEATURES_OK == 0 && now & status::DRIVER_OK != 0 {
            self.state.status = now & !status::DRIVER_OK;
            return Effect::Broken("the driver is ready without having agreed on features");
        }
        self.state.status = now;
        if now & !before & status::DRIVER_OK != 0 { Effect::DriverOk } else { Effect::None }
    }

    fn write_queue(&mut self, offset: u64, len: usize, value: u64) -> Effect {
        let active = self.driver_ok();
        let index = usize::from(self.state.queue_select);
        let Some(queue) = self.state.queues.get_mut(index) else { return Effect::None };
        if active || queue.enabled {
            // Nothing of a queue may change while it is in use (§4.1.4.3.2).
            return Effect::None;
        }
        match (offset, len) {
            (at::QUEUE_SIZE, 2) => queue.size = value as u16,
            (at::QUEUE_ENABLE, 2) if value == 1 => {
                if !queue.size.is_power_of_two() || queue.size > queue.max_size {
                    return Effect::Broken("a queue has an impossible size");
                }
                queue.enabled = true;
            }
            _ => {
                for (base, register) in [
                    (at::QUEUE_DESCRIPTORS, &mut queue.descriptors),
                    (at::QUEUE_DRIVER, &mut queue.driver),
                    (at::QUEUE_DEVICE, &mut queue.device),
                ] {
                    match (offset.wrapping_sub(base), len) {
                        (0, 8) => *register = value,
                        (0, 4) => *register = *register >> 32 << 32 | value,
                        (4, 4) => *register = *register & 0xffff_ffff | value << 32,
                        _ => {}
                    }
                }
            }
        }
        Effect::None
    }

    pub(super) fn reset(&mut self) {
        let sizes: Vec<u16> = self.state.queues.iter().map(|queue| queue.max_size).collect();
        *self = Self::new(self.device_features, &sizes);
    }

    pub(super) fn save(&self, signals: &Signals) -> RegistersState {
        RegistersState {
            config_vector: signals.config_vector.load(SeqCst),
            queue_vectors: signals.queue_vectors.iter().map(|v| v.load(SeqCst)).collect(),
            ..self.state.clone()
        }
    }

    /// Says what is wrong with `state`, if anything.
    pub(super) fn problem(
        &self,
        signals: &Signals,
        state: &RegistersState,
    ) -> Option<&'static str> {
        let known = |vector: &u16| is_vector(signals, *vector);
        let max_sizes = |state: &RegistersState| -> Vec<u16> {
            state.queues.iter().map(|queue| queue.max_size).collect()
        };
        if max_sizes(state) != max_sizes(&self.state)
            || state.queue_vectors.len() != state.queues.len()
        {
            return Some("other queues");
        }
        if !state.queue_vectors.iter().chain([&state.config_vector]).all(known) {
            return Some("vectors that do not exist");
        }
        if state.status & !status::DRIVERS != 0 {
            return Some("status bits that do not exist");
        }
        if state.status & status::FEATURES_OK == 0 {
            return (state.status & status::DRIVER_OK != 0).then_some("a driver without features");
        }
        if state.driver_features & !self.device_features != 0
            || state.driver_features & feature::VERSION_1 == 0
        {
            return Some("features that are not offered");
        }
        let bad_size = |queue: &QueueRegisters| {
            queue.enabled && (!queue.size.is_power_of_two() || queue.size > queue.max_size)
        };
        state.queues.iter().any(bad_size).then_some("a queue of an impossible size")
    }

    /// Puts in a state without a [`Self::problem`].
    pub(super) fn restore(&mut self, signals: &Signals, state: RegistersState) {
        signals.config_vector.store(state.config_vector, SeqCst);
        for (vector, value) in signals.queue_vectors.iter().zip(&state.queue_vectors) {
            vector.store(*value, SeqCst);
        }
        self.state = state;
    }
}

/// Half of a set of feature bits; bits beyond the first 64 are zero.
fn half(features: u64, select: u32) -> [u8; 4] {
    let bits = match select {
        0 => features as u32,
        1 => (features >> 32) as u32,
        _ => 0,
    };
    bits.to_le_bytes()
}

fn is_vector(signals: &Signals, vector: u16) -> bool {
    vector == NO_VECTOR || usize::from(vector) < signals.msix.len()
}

/// A vector that does not exist reads back as none (§4.1.5.1.2).
fn set_vector(signals: &Signals, register: &std::sync::atomic::AtomicU16, value: u16) {
    let value = if is_vector(signals, value) { value } else { NO_VECTOR };
    register.store(value, SeqCst);
}
