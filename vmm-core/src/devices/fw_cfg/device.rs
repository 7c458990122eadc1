//! The registers, and reading the selected item.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::dma;
use super::item::{Content, Group, OnWrite};
use crate::bus::BusDevice;
use crate::memory::GuestRam;
use crate::state::{Persist, Reset, RestoreError};

/// Registers, as offsets from [`FwCfg::BASE`] (fw_cfg.rst, "Hardware Interface").
mod reg {
    /// 16 bits, write-only.
    pub(super) const SELECTOR: u64 = 0;
    /// 8 bits; the selector's upper byte shares its port.
    pub(super) const DATA: u64 = 1;
    /// 64 bits, big-endian; writing the lower half starts an access.
    pub(super) const DMA_HIGH: u64 = 4;
    pub(super) const DMA_LOW: u64 = 8;
}

/// Selector bit that older interfaces used for writing; ignored.
const WRITE_CHANNEL: u16 = 0x4000;

/// The device: ports 0x510 to 0x51B.
pub struct FwCfg {
    items: BTreeMap<u16, Content>,
    groups: Vec<Group>,
    pub(super) ram: GuestRam,
    inner: Mutex<Inner>,
}

/// Guest-visible state of a [`FwCfg`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FwCfgState {
    selected: u16,
    cursor: u64,
    dma_high: u32,
    /// The computed groups' contents, where they have been asked for.
    computed: Vec<Option<Vec<Vec<u8>>>>,
    /// Contents of the writable items by key.
    written: BTreeMap<u16, Vec<u8>>,
}

pub(super) struct Inner {
    selected: u16,
    /// Where in the selected item the next byte comes from; may lie past its end.
    pub(super) cursor: u64,
    /// Upper half of the DMA address.
    dma_high: u32,
    computed: Vec<Option<Vec<Vec<u8>>>>,
    written: BTreeMap<u16, Vec<u8>>,
}

impl FwCfg {
    /// First port.
    pub const BASE: u64 = 0x510;
    /// Number of ports.
    pub const LEN: u64 = 12;

    pub(super) fn new(items: BTreeMap<u16, Content>, groups: Vec<Group>, ram: GuestRam) -> Self {
        let inner = Mutex::new(Self::power_on(&items, &groups));
        Self { items, groups, ram, inner }
    }

    fn power_on(items: &BTreeMap<u16, Content>, groups: &[Group]) -> Inner {
        let written = items.iter().filter_map(|(key, content)| match content {
            Content::Writable { initial, .. } => Some((*key, initial.clone())),
            _ => None,
        });
        Inner {
            selected: 0,
            cursor: 0,
            dma_high: 0,
            computed: vec![None; groups.len()],
            written: written.collect(),
        }
    }

    /// Makes `key` the current item, from its start. A key without an item reads as zeroes.
    pub(super) fn select(&self, inner: &mut Inner, key: u16) {
        inner.selected = key & !WRITE_CHANNEL;
        inner.cursor = 0;
        if let Some(Content::Computed { group, .. }) = self.items.get(&inner.selected) {
            inner.computed[*group].get_or_insert_with(|| self.groups[*group].compute());
        }
    }

    /// Reads from the current item on; past its end, zeroes.
    pub(super) fn read_item(&self, inner: &mut Inner, data: &mut [u8]) {
        let contents: &[u8] = match self.items.get(&inner.selected) {
            Some(Content::Fixed(bytes)) => bytes,
            Some(Content::Computed { group, index, .. }) => {
                inner.computed[*group].as_ref().map_or(&[], |files| &files[*index])
            }
            Some(Content::Writable { .. }) => {
                inner.written.get(&inner.selected).map_or(&[], Vec::as_slice)
            }
            None => &[],
        };
        let start =
            usize::try_from(inner.cursor).map_or(contents.len(), |at| at.min(contents.len()));
        let available = &contents[start..];
        let len = available.len().min(data.len());
        data[..len].copy_from_slice(&available[..len]);
        data[len..].fill(0);
        inner.cursor = inner.cursor.saturating_add(data.len() as u64);
    }

    /// The current item's contents, when the guest may write it.
    pub(super) fn writable<'a>(
        &'a self,
        inner: &'a mut Inner,
    ) -> Option<(&'a mut Vec<u8>, Option<&'a OnWrite>)> {
        match self.items.get(&inner.selected)? {
            Content::Writable { on_write, .. } => {
                Some((inner.written.get_mut(&inner.selected)?, on_write.as_ref()))
            }
            _ => None,
        }
    }
}

impl BusDevice for FwCfg {
    fn read(&self, offset: u64, data: &mut [u8]) {
        match offset {
            reg::DATA if data.len() == 1 => self.read_item(&mut self.inner.lock(), data),
            reg::DMA_HIGH.. => {
                let signature = dma::SIGNATURE.to_be_bytes();
                let start = (offset - reg::DMA_HIGH) as usize;
                for (byte, value) in data.iter_mut().zip(signature.iter().skip(start)) {
                    *byte = *value;
                }
            }
            _ => {}
        }
    }

    fn write(&self, offset: u64, data: &[u8]) {
        match (offset, data) {
            (reg::SELECTOR, &[low, high]) => {
                self.select(&mut self.inner.lock(), u16::from_le_bytes([low, high]));
            }
            (reg::DMA_HIGH, &[a, b, c, d]) => {
                self.inner.lock().dma_high = u32::from_be_bytes([a, b, c, d]);
            }
            (reg::DMA_LOW, &[a, b, c, d]) => {
                let mut inner = self.inner.lock();
                let low = u32::from_be_bytes([a, b, c, d]);
                let at = u64::from(inner.dma_high) << 32 | u64::from(low);
                inner.dma_high = 0;
                self.dma(&mut inner, at);
            }
            _ => {}
        }
    }
}

impl Persist for FwCfg {
    type State = FwCfgState;

    fn save(&self) -> Self::State {
        let inner = self.inner.lock();
        FwCfgState {
            selected: inner.selected,
            cursor: inner.cursor,
            dma_high: inner.dma_high,
            computed: inner.computed.clone(),
            written: inner.written.clone(),
        }
    }

    fn restore(&self, state: Self::State) -> Result<(), RestoreError> {
        let error = |reason: &str| RestoreError { device: "fw_cfg", reason: reason.into() };
        if state.computed.len() != self.groups.len() {
            return Err(error("it has other computed files"));
        }
        for (files, group) in state.computed.iter().zip(&self.groups) {
            let sizes =
                |files: &Vec<Vec<u8>>| files.iter().map(Vec::len).eq(group.sizes.iter().copied());
            if !files.as_ref().is_none_or(sizes) {
                return Err(error("a computed file has another size"));
            }
        }
        let fresh = Self::power_on(&self.items, &self.groups);
        let shape = |written: &BTreeMap<u16, Vec<u8>>| -> Vec<(u16, usize)> {
            written.iter().map(|(key, bytes)| (*key, bytes.len())).collect()
        };
        if shape(&state.written) != shape(&fresh.written) {
            return Err(error("its writable files differ"));
        }
        let mut computed = state.computed;
        if let Some(Content::Computed { group, .. }) = self.items.get(&state.selected) {
            computed[*group].get_or_insert_with(|| self.groups[*group].compute());
        }
        *self.inner.lock() = Inner {
            selected: state.selected,
            cursor: state.cursor,
            dma_high: state.dma_high,
            computed,
            written: state.written,
        };
        Ok(())
    }
}

impl Reset for FwCfg {
    fn reset(&self) {
        *self.inner.lock() = Self::power_on(&self.items, &self.groups);
    }
}
