//! The chart: a quantity over time.
//!
//! What lives here: [`Timeline`], the part of the history that charts show together, and
//! [`Chart`], the widget, with `curve` (points to paths) and `paint` (how it looks). What does
//! not: titles and values beside the chart, which are the card's.

mod curve;
pub(super) mod paint;
mod timeline;
mod widget;

pub use self::timeline::Timeline;
pub use self::widget::Chart;

pub(super) use self::curve::{Frame, Segment, segments};
