//! What the guest is still to be told of a pointer: poses, one after the other.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::Model;
use super::config::{EVENT_LEN, bitmap, code, event, select};
use crate::devices::virtio::device::Kind;

/// Where both axes end; they begin at 0.
pub const AXIS_END: u16 = 0x7fff;
/// Poses that wait at most. Of what comes then, clicks get lost, but not what is held in the end.
const MAX_STEPS: usize = 64;
/// Clicks of the wheel that wait at most.
const MAX_WHEEL: i32 = 1000;

/// Where the pointer is and which buttons are held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
struct Pose {
    x: u16,
    y: u16,
    buttons: u8,
}

impl Pose {
    fn is_possible(self) -> bool {
        self.x <= AXIS_END && self.y <= AXIS_END && self.buttons >> code::BUTTONS.len() == 0
    }
}

/// The way to a pose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Step {
    to: Pose,
    /// Clicks of the wheel away from the user, as the guest counts them.
    wheel: i32,
}

/// What the guest knows of a tablet, and what it does not yet.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Track {
    told: Pose,
    /// Each is a report that ends with `SYN_REPORT`. The first may be told in part.
    steps: VecDeque<Step>,
}

impl Track {
    fn latest(&self) -> Pose {
        self.steps.back().map_or(self.told, |step| step.to)
    }

    /// The pointer is at a place.
    pub(super) fn point(&mut self, x: u16, y: u16) {
        let to = Pose { x, y, ..self.latest() };
        self.add(Step { to, wheel: 0 });
    }

    /// The wheel turns by so many clicks towards the user, and these buttons are held.
    pub(super) fn press(&mut self, wheel: i32, buttons: u8) {
        let buttons = buttons & ((1 << code::BUTTONS.len()) - 1);
        let to = Pose { buttons, ..self.latest() };
        self.add(Step { to, wheel: wheel.saturating_neg().clamp(-MAX_WHEEL, MAX_WHEEL) });
    }

    fn add(&mut self, step: Step) {
        if step.to == self.latest() && step.wheel == 0 {
            return;
        }
        let full = self.steps.len() >= MAX_STEPS;
        let before = match self.steps.len() {
            0 | 1 => self.told,
            len => self.steps[len - 2].to,
        };
        match self.steps.back_mut() {
            // A click stays where it was made: only movements join.
            Some(last)
                if full
                    || (last.to.buttons == before.buttons
                        && step.to.buttons == last.to.buttons) =>
            {
                last.to = step.to;
                last.wheel = (last.wheel + step.wheel).clamp(-MAX_WHEEL, MAX_WHEEL);
            }
            _ => self.steps.push_back(step),
        }
    }
}

impl Model for Track {
    const KIND: Kind = Kind::TABLET;
    const NAME: &'static str = "Berth tablet";
    const PRODUCT: u16 = 1;

    fn ability(select: u8, subsel: u16) -> Vec<u8> {
        match (select, subsel) {
            (select::EV_BITS, code::EV_KEY) => bitmap(&code::BUTTONS),
            (select::EV_BITS, code::EV_REL) => bitmap(&[code::REL_WHEEL]),
            (select::EV_BITS, code::EV_ABS) => bitmap(&[code::ABS_X, code::ABS_Y]),
            (select::ABS_INFO, code::ABS_X | code::ABS_Y) => {
                // Least and greatest value, noise, dead zone, units per millimetre.
                let values: [u32; 5] = [0, AXIS_END.into(), 0, 0, 0];
                values.iter().flat_map(|value| value.to_le_bytes()).collect()
            }
            _ => Vec::new(),
        }
    }

    fn has_more(&self) -> bool {
        !self.steps.is_empty()
    }

    fn next(&mut self) -> Option<[u8; EVENT_LEN]> {
        let told = &mut self.told;
        let step = self.steps.front_mut()?;
        if told.x != step.to.x {
            told.x = step.to.x;
            return Some(event(code::EV_ABS, code::ABS_X, told.x.into()));
        }
        if told.y != step.to.y {
            told.y = step.to.y;
            return Some(event(code::EV_ABS, code::ABS_Y, told.y.into()));
        }
        let changed = told.buttons ^ step.to.buttons;
        if changed != 0 {
            let bit = changed.trailing_zeros();
            told.buttons ^= 1 << bit;
            let held = told.buttons >> bit & 1;
            return Some(event(code::EV_KEY, code::BUTTONS[bit as usize], held.into()));
        }
        let wheel = std::mem::take(&mut step.wheel);
        if wheel != 0 {
            return Some(event(code::EV_REL, code::REL_WHEEL, wheel));
        }
        self.steps.pop_front();
        Some(event(code::EV_SYN, code::SYN_REPORT, 0))
    }

    fn problem(&self) -> Option<&'static str> {
        let possible =
            |step: &Step| step.to.is_possible() && (-MAX_WHEEL..=MAX_WHEEL).contains(&step.wheel);
        if !self.told.is_possible() || !self.steps.iter().all(possible) {
            return Some("a pose that cannot be");
        }
        (self.steps.len() > MAX_STEPS).then_some("too much to tell")
    }
}
