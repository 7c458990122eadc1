//! From points in time to points on the screen.

use crate::resources::quantity::Quantity;
use crate::resources::record::Record;

/// What part of time is shown on how many pixels.
#[derive(Debug, Clone, Copy)]
pub(in crate::resources) struct Frame {
    /// The newest visible moment.
    pub(in crate::resources) end: f64,
    /// Visible seconds.
    pub(in crate::resources) span: f64,
    /// The value at the top.
    pub(in crate::resources) top: f64,
    /// Pixels.
    pub(in crate::resources) width: f32,
    /// Pixels.
    pub(in crate::resources) height: f32,
}

/// Points that a line joins: where from the left, and where from the top for each series.
pub(in crate::resources) type Segment = Vec<(f32, [f32; 2])>;

/// Pixels that one point of a curve takes at least.
const PIXELS: f64 = 1.5;

impl Frame {
    /// Where `time` is from the left.
    pub(in crate::resources) fn x(&self, time: f64) -> f32 {
        ((1.0 - (self.end - time) / self.span) * f64::from(self.width)) as f32
    }

    /// Where `value` is from the top.
    pub(in crate::resources) fn y(&self, value: f64) -> f32 {
        ((1.0 - (value / self.top).clamp(0.0, 1.0)) * f64::from(self.height)) as f32
    }
}

/// The curve of `quantity` in `frame`, in pieces where nothing is known between. Where points are
/// closer than pixels the highest of each pixel is taken: a peak is seen however far away.
pub(in crate::resources) fn segments(
    record: &Record,
    quantity: Quantity,
    frame: &Frame,
) -> Vec<Segment> {
    let start = frame.end - frame.span;
    // A bucket and a point more on both sides, so that the line goes through the edges.
    let bucket = PIXELS * frame.span / f64::from(frame.width.max(1.0));
    let mut range = record.between(start - bucket, frame.end + bucket);
    range = range.start.saturating_sub(1)..(range.end + 1).min(record.len());
    let mut pieces: Vec<Vec<(f64, i64, [f64; 2])>> = Vec::new();
    for index in range {
        let (Some(point), Some(values)) = (record.get(index), quantity.values(record, index))
        else {
            continue;
        };
        // Buckets lie still on the time axis, else the curve would shimmer while it moves.
        let number = (point.time / bucket).floor() as i64;
        match pieces.last_mut() {
            Some(piece) if point.joined => match piece.last_mut() {
                Some((time, last, high)) if *last == number => {
                    if values[0] + values[1] > high[0] + high[1] {
                        *time = point.time;
                    }
                    *high = [high[0].max(values[0]), high[1].max(values[1])];
                }
                _ => piece.push((point.time, number, values)),
            },
            _ => pieces.push(vec![(point.time, number, values)]),
        }
    }
    let place =
        |(time, _, values): (f64, i64, [f64; 2])| (frame.x(time), values.map(|v| frame.y(v)));
    pieces.into_iter().map(|piece| piece.into_iter().map(place).collect()).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;
    use vmm_core::units::Bytes;

    use super::*;
    use crate::resources::record::{Counters, Limits};

    fn record(busy: impl IntoIterator<Item = (f64, f64)>) -> Record {
        let mut record = Record::default();
        record.begin(Limits { cpus: 1, host_cpus: 1, memory: Bytes::gib(1) });
        let mut used = 0.0;
        for (time, share) in busy {
            used += share;
            let counters = Counters {
                uptime: Duration::from_secs_f64(time),
                cpu_time: Duration::from_secs_f64(used),
                ..Counters::default()
            };
            record.take(counters, time, 0);
        }
        record
    }

    const MINUTE: Frame = Frame { end: 60.0, span: 60.0, top: 1.0, width: 600.0, height: 100.0 };

    #[test]
    fn each_second_has_its_place() {
        let record = record((1..=60).map(|n| (f64::from(n), 0.25)));
        let curve = segments(&record, Quantity::Cpu, &MINUTE);
        assert_eq!(curve.len(), 1);
        assert_eq!(curve[0].len(), 60);
        assert_eq!(curve[0][0], (10.0, [75.0, 100.0]));
        assert_eq!(curve[0][59].0, 600.0);
    }

    #[test]
    fn a_gap_parts_the_curve() {
        let record = record((1..=20).chain(30..=60).map(|n| (f64::from(n), 0.5)));
        let curve = segments(&record, Quantity::Cpu, &MINUTE);
        assert_eq!(curve.len(), 2);
        assert_eq!((curve[0].last().unwrap().0, curve[1][0].0), (200.0, 310.0));
    }

    #[test]
    fn a_peak_is_seen_in_an_hour() {
        let record = record((1..=3600).map(|n| (f64::from(n), if n == 1801 { 1.0 } else { 0.0 })));
        let hour = Frame { end: 3600.0, span: 3600.0, width: 300.0, ..MINUTE };
        let curve = segments(&record, Quantity::Cpu, &hour);
        assert!(curve[0].len() <= 201, "{}", curve[0].len());
        assert_eq!(curve[0].iter().filter(|(_, y)| y[0] == 0.0).count(), 1);
    }

    proptest! {
        #[test]
        fn curves_stay_ordered_and_in_height(
            end in -100.0..5000.0f64,
            span in 15.0..3600.0f64,
            width in 0.0..4000.0f32,
            steps in prop::collection::vec((0.1..4.0f64, 0.0..2.0f64), 0..300),
        ) {
            let mut time = 0.0;
            let record = record(steps.into_iter().map(|(step, share)| {
                time += step;
                (time, share)
            }));
            let frame = Frame { end, span, width, ..MINUTE };
            for piece in segments(&record, Quantity::Cpu, &frame) {
                prop_assert!(piece.windows(2).all(|two| two[0].0 <= two[1].0));
                prop_assert!(piece.iter().all(|(x, y)| x.is_finite() && (0.0..=100.0).contains(&y[0])));
            }
        }
    }
}
