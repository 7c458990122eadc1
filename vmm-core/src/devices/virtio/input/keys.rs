//! What the guest is still to be told of a keyboard: keys that go down and up.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::Model;
use super::config::{EVENT_LEN, bitmap, code, event, select};
use crate::devices::virtio::device::Kind;

/// The highest key there is: what Linux has as keys of keyboards ends here (`KEY_MICMUTE`).
const LAST: u16 = 248;
/// Changes that wait at most; keys that go down then are lost. Those that go up never are.
const MAX_CHANGES: usize = 128;

/// What the guest knows of a keyboard, and what it does not yet.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Keys {
    /// Keys that are down once all is told.
    pub(super) down: Vec<u16>,
    /// A key and whether it goes down.
    changes: VecDeque<(u16, bool)>,
    /// A change is told and its report not ended.
    open: bool,
}

impl Keys {
    /// A key goes down. One that is down does nothing: the guest repeats by itself.
    pub(super) fn press(&mut self, key: u16) {
        let known = (1..=LAST).contains(&key);
        if known && !self.down.contains(&key) && self.changes.len() < MAX_CHANGES {
            self.down.push(key);
            self.changes.push_back((key, true));
        }
    }

    /// A key goes up.
    pub(super) fn release(&mut self, key: u16) {
        if let Some(at) = self.down.iter().position(|down| *down == key) {
            self.down.swap_remove(at);
            self.changes.push_back((key, false));
        }
    }
}

impl Model for Keys {
    const KIND: Kind = Kind::KEYBOARD;
    const NAME: &'static str = "Berth keyboard";
    const PRODUCT: u16 = 2;

    fn ability(select: u8, subsel: u16) -> Vec<u8> {
        match (select, subsel) {
            (select::EV_BITS, code::EV_KEY) => bitmap(&Vec::from_iter(1..=LAST)),
            // The guest is to repeat keys that are held; that has no codes.
            (select::EV_BITS, code::EV_REP) => vec![0],
            _ => Vec::new(),
        }
    }

    fn has_more(&self) -> bool {
        self.open || !self.changes.is_empty()
    }

    fn next(&mut self) -> Option<[u8; EVENT_LEN]> {
        if std::mem::take(&mut self.open) {
            return Some(event(code::EV_SYN, code::SYN_REPORT, 0));
        }
        let (key, down) = self.changes.pop_front()?;
        self.open = true;
        Some(event(code::EV_KEY, key, down.into()))
    }

    fn problem(&self) -> Option<&'static str> {
        let known = |key: &u16| (1..=LAST).contains(key);
        let keys = self.changes.iter().map(|(key, _)| key).chain(&self.down);
        if !keys.clone().all(known) {
            return Some("a key that cannot be");
        }
        let most = usize::from(LAST);
        // Each key that is down can go up once.
        (self.down.len() > most || self.changes.len() > MAX_CHANGES + most)
            .then_some("too much to tell")
    }
}
