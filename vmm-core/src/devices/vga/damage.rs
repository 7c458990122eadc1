//! Collecting what changed on the screen into a few rectangles.

use crate::display::{Damage, Rect};

/// More rectangles than this are merged with their neighbours: past it, handling each costs a
/// front end more than the pixels saved.
const MAX_RECTS: usize = 32;

/// Rectangles from top to bottom. They never share a row, so they are disjoint.
#[derive(Default)]
pub(super) struct DamageList {
    rects: Vec<Rect>,
}

fn area(rect: &Rect) -> u64 {
    u64::from(rect.width) * u64::from(rect.height)
}

fn union(a: &Rect, b: &Rect) -> Rect {
    let (x, y) = (a.x.min(b.x), a.y.min(b.y));
    let right = (a.x + a.width).max(b.x + b.width);
    let bottom = (a.y + a.height).max(b.y + b.height);
    Rect { x, y, width: right - x, height: bottom - y }
}

impl DamageList {
    /// Adds a rectangle whose first row is not above that of the one added before.
    pub(super) fn add(&mut self, rect: Rect) {
        if rect.width == 0 || rect.height == 0 {
            return;
        }
        let Some(last) = self.rects.last_mut() else {
            self.rects.push(rect);
            return;
        };
        let both = union(last, &rect);
        let overlaps = rect.y < last.y + last.height;
        let waste = area(&both).saturating_sub(area(last) + area(&rect));
        // Worth one rectangle when at least three quarters of it did change.
        if overlaps || (rect.y == last.y + last.height && waste * 4 <= area(&both)) {
            *last = both;
        } else {
            self.rects.push(rect);
            if self.rects.len() > MAX_RECTS {
                self.merge_cheapest();
            }
        }
    }

    /// Joins the two neighbours whose union wastes least.
    fn merge_cheapest(&mut self) {
        let waste =
            |pair: &[Rect]| area(&union(&pair[0], &pair[1])) - area(&pair[0]) - area(&pair[1]);
        let best = (0..self.rects.len() - 1).min_by_key(|&i| waste(&self.rects[i..i + 2]));
        if let Some(at) = best {
            self.rects[at] = union(&self.rects[at], &self.rects[at + 1]);
            self.rects.remove(at + 1);
        }
    }

    /// What was collected.
    pub(super) fn finish(self) -> Damage {
        if self.rects.is_empty() { Damage::None } else { Damage::Rects(self.rects) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rect(x: u32, y: u32, width: u32, height: u32) -> Rect {
        Rect { x, y, width, height }
    }

    #[test]
    fn rows_alike_become_one() {
        let mut list = DamageList::default();
        for y in 10..20 {
            list.add(rect(5, y, 100, 1));
        }
        list.add(rect(500, 20, 1, 1));
        list.add(rect(5, 30, 100, 1));
        assert_eq!(
            list.finish(),
            Damage::Rects(vec![rect(5, 10, 100, 10), rect(500, 20, 1, 1), rect(5, 30, 100, 1)])
        );
    }

    #[test]
    fn one_row_stays_in_one_rectangle() {
        let mut list = DamageList::default();
        list.add(rect(0, 3, 10, 1));
        list.add(rect(90, 3, 10, 4));
        assert_eq!(list.finish(), Damage::Rects(vec![rect(0, 3, 100, 4)]));
        assert_eq!(DamageList::default().finish(), Damage::None);
    }

    proptest::proptest! {
        #[test]
        fn covers_all_disjoint_and_few(spans: Vec<(u16, u8, u8)>) {
            let mut spans: Vec<_> = spans
                .into_iter()
                .map(|(y, x, w)| rect(u32::from(x), u32::from(y), u32::from(w) + 1, 1))
                .collect();
            spans.sort_by_key(|r| r.y);
            let mut list = DamageList::default();
            spans.iter().for_each(|r| list.add(*r));
            let rects = match list.finish() {
                Damage::Rects(rects) => rects,
                _ => vec![],
            };
            assert!(rects.len() <= MAX_RECTS);
            assert!(rects.windows(2).all(|w| w[0].y + w[0].height <= w[1].y));
            for span in spans {
                assert!(rects.iter().any(|r| union(r, &span) == *r));
            }
        }
    }
}
