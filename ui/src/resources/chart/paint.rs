//! How charts look: colours from the theme, lines and areas.

use std::cell::Cell;

use gtk::prelude::*;
use gtk::{gdk, graphene, gsk, pango};

use super::Segment;

/// The colours of a chart in the theme that is in force.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::resources) struct Palette {
    /// Texts.
    pub(in crate::resources) text: gdk::RGBA,
    /// Lines of the grid.
    pub(in crate::resources) grid: gdk::RGBA,
    /// First series.
    pub(in crate::resources) first: gdk::RGBA,
    /// Second series.
    pub(in crate::resources) second: gdk::RGBA,
    /// Whether lines are to be thick and nothing pale.
    pub(in crate::resources) strong: bool,
}

impl Palette {
    /// The palette for `widget`.
    pub(in crate::resources) fn of(widget: &impl IsA<gtk::Widget>) -> Self {
        let style = adw::StyleManager::default();
        let strong = style.is_high_contrast();
        let foreground = widget.color();
        let pale = |share: f32| foreground.with_alpha(foreground.alpha() * share);
        Self {
            text: pale(if strong { 1.0 } else { 0.65 }),
            grid: pale(if strong { 0.5 } else { 0.12 }),
            first: style.accent_color().to_standalone_rgba(style.is_dark()),
            second: pale(if strong { 1.0 } else { 0.8 }),
            strong,
        }
    }

    /// The line of series `series`: the first solid, the second dashed, so that they differ
    /// without colour.
    pub(in crate::resources) fn stroke(&self, series: usize) -> (gsk::Stroke, gdk::RGBA) {
        let stroke = gsk::Stroke::new(if self.strong { 2.5 } else { 1.75 });
        stroke.set_line_join(gsk::LineJoin::Round);
        if series == 0 {
            stroke.set_line_cap(gsk::LineCap::Round);
            return (stroke, self.first);
        }
        stroke.set_line_cap(gsk::LineCap::Butt);
        stroke.set_dash(&[5.0, 3.0]);
        (stroke, self.second)
    }

    /// Draws series `series` of a curve into `bounds`, whose upper left corner is the curve's
    /// origin.
    pub(in crate::resources) fn curve(
        &self,
        snapshot: &gtk::Snapshot,
        segments: &[Segment],
        series: usize,
        width: f32,
        height: f32,
    ) {
        let (stroke, colour) = self.stroke(series);
        let line = gsk::PathBuilder::new();
        for segment in segments {
            let Some((x, y)) = segment.first() else { continue };
            line.move_to(*x, y[series]);
            if segment.len() == 1 {
                line.line_to(*x + 0.1, y[series]);
            }
            for (x, y) in &segment[1..] {
                line.line_to(*x, y[series]);
            }
        }
        if series == 0 {
            let area = gsk::PathBuilder::new();
            for segment in segments {
                let (Some((first, _)), Some((last, _))) = (segment.first(), segment.last()) else {
                    continue;
                };
                area.move_to(*first, height);
                for (x, y) in segment {
                    area.line_to(*x, y[series]);
                }
                area.line_to(*last, height);
                area.close();
            }
            let (upper, lower) = if self.strong { (0.5, 0.35) } else { (0.38, 0.08) };
            let stops = [(0.0, upper), (1.0, lower)]
                .map(|(at, a)| gsk::ColorStop::new(at, colour.with_alpha(a)));
            let bounds = graphene::Rect::new(0.0, 0.0, width, height);
            snapshot.push_fill(&area.to_path(), gsk::FillRule::Winding);
            snapshot.append_linear_gradient(
                &bounds,
                &graphene::Point::new(0.0, 0.0),
                &graphene::Point::new(0.0, height),
                &stops,
            );
            snapshot.pop();
        }
        snapshot.append_stroke(&line.to_path(), &stroke, &colour);
    }
}

/// Draws `layout` with its upper left corner at `x`, `y`.
pub(in crate::resources) fn text(
    snapshot: &gtk::Snapshot,
    layout: &pango::Layout,
    x: f32,
    y: f32,
    colour: &gdk::RGBA,
) {
    snapshot.save();
    snapshot.translate(&graphene::Point::new(x.round(), y.round()));
    snapshot.append_layout(layout, colour);
    snapshot.restore();
}

/// Lets `widget` be drawn anew whenever the theme's colours change.
pub(in crate::resources) fn follow_style(widget: &impl IsA<gtk::Widget>) {
    let style = adw::StyleManager::default();
    for property in ["dark", "high-contrast", "accent-color"] {
        let weak = widget.as_ref().downgrade();
        let handler = style.connect_notify_local(Some(property), move |_, _| {
            if let Some(widget) = weak.upgrade() {
                widget.queue_draw();
            }
        });
        // The style manager outlives every widget.
        let handler = Cell::new(Some(handler));
        let style = style.clone();
        widget.connect_destroy(move |_| {
            if let Some(handler) = handler.take() {
                style.disconnect(handler);
            }
        });
    }
}
