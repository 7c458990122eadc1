//! The chart as a widget.

use std::cell::{Cell, RefCell};

use gettextrs::gettext;
use gtk::prelude::*;
use gtk::subclass::prelude::*;
use gtk::{gdk, glib, graphene, gsk, pango};

use super::paint::{self, Palette};
use super::{Frame, Timeline, segments};
use crate::resources::quantity::Quantity;
use crate::resources::units;

/// Parts that the grid divides each axis into.
const PARTS: u32 = 4;
/// Space between labels and plot, in pixels.
const GAP: f32 = 8.0;
/// Smallest and natural size of the widget, in pixels.
const LEAST: (i32, i32) = (200, 110);
const NATURAL: (i32, i32) = (380, 160);
/// What a step with the zoom keys or the wheel multiplies the visible span with.
const ZOOM: f64 = 1.25;

/// All that the grid and its labels depend on.
#[derive(Debug, Clone, PartialEq)]
struct Still {
    size: (i32, i32),
    values: Vec<String>,
    times: Vec<String>,
    palette: Palette,
    font: Option<String>,
}

mod imp {
    use super::*;

    #[derive(Default)]
    pub struct Chart {
        pub(super) quantity: Cell<Quantity>,
        pub(super) timeline: RefCell<Option<Timeline>>,
        pub(super) handler: RefCell<Option<glib::SignalHandlerId>>,
        /// The grid, kept while nothing of it changes, with the plot's place.
        pub(super) still: RefCell<Option<(Still, Option<gsk::RenderNode>, graphene::Rect)>>,
        pub(super) description: RefCell<String>,
        pub(super) drawn: Cell<u64>,
        /// Where the pointer was when a drag last moved the charts.
        pub(super) dragged: Cell<f64>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for Chart {
        const NAME: &'static str = "BerthChart";
        type Type = super::Chart;
        type ParentType = gtk::Widget;

        fn class_init(class: &mut Self::Class) {
            class.set_css_name("chart");
            class.set_accessible_role(gtk::AccessibleRole::Img);
        }
    }

    impl ObjectImpl for Chart {
        fn constructed(&self) {
            self.parent_constructed();
            let chart = self.obj();
            chart.set_focusable(true);
            chart.set_overflow(gtk::Overflow::Hidden);
            chart.add_css_class("caption");
            chart.add_css_class("numeric");
            paint::follow_style(&*chart);
            chart.add_pointer();
            chart.add_keys();
        }

        fn dispose(&self) {
            self.obj().forget_timeline();
        }
    }

    impl WidgetImpl for Chart {
        fn measure(&self, orientation: gtk::Orientation, _for_size: i32) -> (i32, i32, i32, i32) {
            match orientation {
                gtk::Orientation::Horizontal => (LEAST.0, NATURAL.0, -1, -1),
                _ => (LEAST.1, NATURAL.1, -1, -1),
            }
        }

        fn map(&self) {
            self.parent_map();
            if let Some(timeline) = &*self.timeline.borrow() {
                timeline.watch();
            }
            self.obj().describe();
        }

        fn unmap(&self) {
            self.parent_unmap();
            if let Some(timeline) = &*self.timeline.borrow() {
                timeline.unwatch();
            }
        }

        fn snapshot(&self, snapshot: &gtk::Snapshot) {
            self.drawn.set(self.drawn.get() + 1);
            self.obj().draw(snapshot);
        }
    }
}

glib::wrapper! {
    /// A quantity over time. The pointer and the arrow keys point at a moment and read its values;
    /// the wheel with Control, `+`, `-` and `0` change how much is seen; dragging, the horizontal
    /// wheel, Page Up and Page Down go back in time.
    pub struct Chart(ObjectSubclass<imp::Chart>)
        @extends gtk::Widget,
        @implements gtk::Accessible, gtk::Buildable, gtk::ConstraintTarget;
}

impl Chart {
    /// A chart of `quantity` in the history of `timeline`.
    pub fn new(quantity: Quantity, timeline: &Timeline) -> Self {
        let chart: Self = glib::Object::new();
        chart.update_property(&[gtk::accessible::Property::Label(&quantity.title())]);
        chart.imp().quantity.set(quantity);
        let handler = timeline.connect_moved({
            let chart = chart.downgrade();
            move |_| {
                if let Some(chart) = chart.upgrade()
                    && chart.is_mapped()
                {
                    chart.queue_draw();
                    chart.describe();
                }
            }
        });
        chart.imp().timeline.replace(Some(timeline.clone()));
        chart.imp().handler.replace(Some(handler));
        chart
    }

    /// Shows another quantity of the same history.
    pub fn set_quantity(&self, quantity: Quantity) {
        self.imp().quantity.set(quantity);
        self.queue_draw();
        self.describe();
    }

    /// How often it has been drawn.
    pub fn times_drawn(&self) -> u64 {
        self.imp().drawn.get()
    }

    /// The text alternative: what it shows, as a sentence.
    pub fn description(&self) -> String {
        self.imp().description.borrow().clone()
    }

    fn forget_timeline(&self) {
        let timeline = self.imp().timeline.take();
        if let (Some(timeline), Some(handler)) = (timeline, self.imp().handler.take()) {
            timeline.disconnect(handler);
            if self.is_mapped() {
                timeline.unwatch();
            }
        }
    }

    fn timeline(&self) -> Option<Timeline> {
        self.imp().timeline.borrow().clone()
    }

    /// Says in words what is seen.
    fn describe(&self) {
        let Some(timeline) = self.timeline() else { return };
        let Some(history) = timeline.history() else { return };
        let quantity = self.imp().quantity.get();
        let text = {
            let record = history.borrow();
            match timeline.cursor().filter(|_| self.has_focus()) {
                Some(index) => {
                    format!("{}: {}", clock(&record, index), quantity.detail(&record, index))
                }
                None => quantity.summary(&record, timeline.span()),
            }
        };
        if *self.imp().description.borrow() != text {
            self.update_property(&[gtk::accessible::Property::Description(&text)]);
            self.imp().description.replace(text);
        }
    }

    fn draw(&self, snapshot: &gtk::Snapshot) {
        let (Some(timeline), size) = (self.timeline(), (self.width(), self.height())) else {
            return;
        };
        let quantity = self.imp().quantity.get();
        let palette = Palette::of(self);
        let history = timeline.history();
        let empty = Default::default();
        let record = history.as_ref().map(|history| history.borrow());
        let record = record.as_deref().unwrap_or(&empty);
        let (end, span) = (timeline.end(), timeline.span());
        let high = quantity.highest(record, record.between(end - span, end));
        let top = quantity.top(record, high[0].max(high[1]));

        let still = Still {
            size,
            values: [1.0, 0.5, 0.0].map(|share| quantity.text(top * share)).to_vec(),
            times: times(record, &timeline),
            font: self.pango_context().font_description().map(|font| font.to_string()),
            palette,
        };
        let plot = self.draw_still(snapshot, still);
        let (width, height) = (plot.width(), plot.height());
        if width < 1.0 || height < 1.0 {
            return;
        }
        let frame = Frame { end, span, top, width, height };
        let curve = segments(record, quantity, &frame);
        // A line along the edge keeps its whole thickness.
        snapshot.push_clip(&graphene::Rect::new(plot.x(), plot.y() - 2.0, width, height + 3.0));
        snapshot.save();
        snapshot.translate(&graphene::Point::new(plot.x(), plot.y()));
        for series in 0..quantity.series() {
            palette.curve(snapshot, &curve, series, width, height);
        }
        snapshot.restore();
        snapshot.pop();
        if let Some(index) = timeline.cursor() {
            let text = format!("{}   {}", clock(record, index), quantity.detail(record, index));
            self.draw_cursor(snapshot, &plot, &frame, record, index, &text, &palette);
        }
        if self.state_flags().contains(gtk::StateFlags::FOCUS_VISIBLE) && self.has_focus() {
            let bounds = graphene::Rect::new(0.0, 0.0, size.0 as f32, size.1 as f32);
            let ring = gsk::RoundedRect::from_rect(bounds, 6.0);
            let colour = palette.first.with_alpha(if palette.strong { 1.0 } else { 0.5 });
            snapshot.append_border(&ring, &[2.0; 4], &[colour; 4]);
        }
    }

    /// Draws the grid and its labels and says where the plot is.
    fn draw_still(&self, snapshot: &gtk::Snapshot, still: Still) -> graphene::Rect {
        let mut kept = self.imp().still.borrow_mut();
        if kept.as_ref().is_none_or(|(known, ..)| *known != still) {
            let inner = gtk::Snapshot::new();
            let plot = self.draw_grid(&inner, &still);
            *kept = Some((still, inner.to_node(), plot));
        }
        let Some((_, node, plot)) = &*kept else { return graphene::Rect::zero() };
        if let Some(node) = node {
            snapshot.append_node(node);
        }
        *plot
    }

    fn draw_grid(&self, snapshot: &gtk::Snapshot, still: &Still) -> graphene::Rect {
        let layouts = |texts: &[String]| -> Vec<pango::Layout> {
            texts.iter().map(|text| self.create_pango_layout(Some(text))).collect()
        };
        let (values, times) = (layouts(&still.values), layouts(&still.times));
        let width = |layout: &pango::Layout| layout.pixel_size().0 as f32;
        let line = values.first().map_or(0.0, |layout| layout.pixel_size().1 as f32);
        let left = values.iter().map(width).fold(0.0, f32::max).ceil() + GAP;
        let (above, below) = ((line / 2.0).ceil(), line + GAP / 2.0);
        let plot = graphene::Rect::new(
            left,
            above,
            (still.size.0 as f32 - left - 1.0).max(0.0),
            (still.size.1 as f32 - above - below).max(0.0),
        );
        let palette = &still.palette;
        for part in 0..=PARTS {
            let share = part as f32 / PARTS as f32;
            let y = (plot.y() + share * plot.height()).round();
            let x = (plot.x() + share * plot.width()).round();
            // The ground line stands out.
            let colour = if part == PARTS {
                palette.text.with_alpha(palette.grid.alpha() * 2.0)
            } else {
                palette.grid
            };
            snapshot.append_color(&colour, &graphene::Rect::new(plot.x(), y, plot.width(), 1.0));
            if part > 0 && part < PARTS {
                let upright = graphene::Rect::new(x, plot.y(), 1.0, plot.height());
                snapshot.append_color(&palette.grid, &upright);
            }
        }
        for (n, layout) in values.iter().enumerate() {
            let y = plot.y() + n as f32 / (values.len() - 1).max(1) as f32 * plot.height();
            let x = plot.x() - GAP - width(layout);
            paint::text(snapshot, layout, x, y - line / 2.0, &palette.text);
        }
        for (n, layout) in times.iter().enumerate() {
            let middle = plot.x() + n as f32 / (times.len() - 1).max(1) as f32 * plot.width();
            let x = (middle - width(layout) / 2.0)
                .min(plot.x() + plot.width() - width(layout))
                .max(plot.x() - if n == 0 { GAP } else { 0.0 });
            paint::text(snapshot, layout, x, plot.y() + plot.height() + GAP / 2.0, &palette.text);
        }
        plot
    }

    #[allow(clippy::too_many_arguments)]
    fn draw_cursor(
        &self,
        snapshot: &gtk::Snapshot,
        plot: &graphene::Rect,
        frame: &Frame,
        record: &crate::resources::Record,
        index: usize,
        text: &str,
        palette: &Palette,
    ) {
        let quantity = self.imp().quantity.get();
        let (Some(point), values) = (record.get(index), quantity.values(record, index)) else {
            return;
        };
        let x = plot.x() + frame.x(point.time).clamp(0.0, plot.width());
        let line = graphene::Rect::new(x.round(), plot.y(), 1.0, plot.height());
        snapshot.append_color(&palette.text, &line);
        for series in (0..quantity.series()).rev() {
            let Some(values) = values else { break };
            let y = plot.y() + frame.y(values[series]);
            let dot = |radius: f32| {
                let path = gsk::PathBuilder::new();
                path.add_circle(&graphene::Point::new(x.round() + 0.5, y), radius);
                path.to_path()
            };
            let colour = palette.stroke(series).1;
            snapshot.append_fill(&dot(5.0), gsk::FillRule::Winding, &label_ground());
            snapshot.append_fill(&dot(3.5), gsk::FillRule::Winding, &colour.with_alpha(1.0));
        }
        let layout = self.create_pango_layout(Some(text));
        layout.set_ellipsize(pango::EllipsizeMode::End);
        let room = (plot.width() - 4.0 * GAP).max(1.0);
        if layout.pixel_size().0 as f32 > room {
            layout.set_width(room as i32 * pango::SCALE);
        }
        let (width, height) = layout.pixel_size();
        let (width, height) = (width as f32 + 2.0 * GAP, height as f32 + GAP);
        // Beside the line, on the side that has room.
        let right = x + GAP + width <= self.width() as f32;
        let left = if right { x + GAP } else { (x - GAP - width).max(plot.x()) };
        let bounds = graphene::Rect::new(left.round(), plot.y() + 4.0, width, height);
        let bubble = gsk::RoundedRect::from_rect(bounds, 6.0);
        snapshot.push_rounded_clip(&bubble);
        snapshot.append_color(&label_ground(), &bounds);
        snapshot.pop();
        if palette.strong {
            snapshot.append_border(&bubble, &[1.0; 4], &[palette.text; 4]);
        }
        let white = gdk::RGBA::WHITE;
        paint::text(snapshot, &layout, bounds.x() + GAP, bounds.y() + GAP / 2.0, &white);
    }

    /// The share of the visible span at `x` pixels from the left.
    fn share(&self, x: f64) -> Option<f64> {
        let kept = self.imp().still.borrow();
        let (_, _, plot) = kept.as_ref()?;
        let share = (x - f64::from(plot.x())) / f64::from(plot.width().max(1.0));
        (-0.05..=1.05).contains(&share).then_some(share.clamp(0.0, 1.0))
    }

    /// Seconds that a pixel stands for.
    fn seconds_per_pixel(&self) -> f64 {
        let kept = self.imp().still.borrow();
        let width = kept.as_ref().map_or(1.0, |(_, _, plot)| f64::from(plot.width().max(1.0)));
        self.timeline().map_or(0.0, |timeline| timeline.span() / width)
    }

    fn zoom(&self, factor: f64) {
        if let Some(timeline) = self.timeline() {
            timeline.set_span(timeline.span() * factor);
        }
    }

    fn add_pointer(&self) {
        let motion = gtk::EventControllerMotion::new();
        let chart = self.downgrade();
        motion.connect_motion(move |_, x, _| {
            if let Some(chart) = chart.upgrade()
                && let Some(timeline) = chart.timeline()
            {
                timeline.point_at(chart.share(x));
            }
        });
        let chart = self.downgrade();
        motion.connect_leave(move |_| {
            if let Some(timeline) = chart.upgrade().and_then(|chart| chart.timeline()) {
                timeline.point_at(None);
            }
        });
        self.add_controller(motion);

        let wheel = gtk::EventControllerScroll::new(gtk::EventControllerScrollFlags::BOTH_AXES);
        let chart = self.downgrade();
        wheel.connect_scroll(move |wheel, dx, dy| {
            let Some(chart) = chart.upgrade() else { return glib::Propagation::Proceed };
            let Some(timeline) = chart.timeline() else { return glib::Propagation::Proceed };
            let keys = wheel.current_event_state();
            if keys.contains(gdk::ModifierType::CONTROL_MASK) {
                chart.zoom(ZOOM.powf(dy));
            } else if dx != 0.0 || keys.contains(gdk::ModifierType::SHIFT_MASK) {
                let steps = if dx != 0.0 { dx } else { dy };
                timeline.pan(-steps * timeline.span() / 10.0);
            } else {
                // Up and down scroll the page.
                return glib::Propagation::Proceed;
            }
            glib::Propagation::Stop
        });
        self.add_controller(wheel);

        let drag = gtk::GestureDrag::new();
        let chart = self.downgrade();
        drag.connect_drag_begin(move |_, _, _| {
            if let Some(chart) = chart.upgrade() {
                chart.grab_focus();
                chart.imp().dragged.set(0.0);
            }
        });
        let chart = self.downgrade();
        drag.connect_drag_update(move |_, x, _| {
            let Some(chart) = chart.upgrade() else { return };
            let before = chart.imp().dragged.replace(x);
            if let Some(timeline) = chart.timeline() {
                timeline.pan((x - before) * chart.seconds_per_pixel());
            }
        });
        self.add_controller(drag);
    }

    fn add_keys(&self) {
        let keys = gtk::EventControllerKey::new();
        let chart = self.downgrade();
        keys.connect_key_pressed(move |_, key, _, _| match chart.upgrade() {
            Some(chart) if chart.press(key) => glib::Propagation::Stop,
            _ => glib::Propagation::Proceed,
        });
        self.add_controller(keys);
        self.connect_has_focus_notify(|chart| {
            // A cursor of the keyboard leaves with it.
            if let Some(timeline) = chart.timeline().filter(|_| !chart.has_focus()) {
                timeline.point_at(None);
            }
            chart.queue_draw();
        });
    }

    /// Does what `key` means here; says whether it means anything.
    fn press(&self, key: gdk::Key) -> bool {
        let Some(timeline) = self.timeline() else { return false };
        match key {
            gdk::Key::Left | gdk::Key::KP_Left => timeline.step_cursor(-1),
            gdk::Key::Right | gdk::Key::KP_Right => timeline.step_cursor(1),
            gdk::Key::Home => timeline.step_cursor(i64::from(i32::MIN)),
            gdk::Key::End => timeline.step_cursor(i64::from(i32::MAX)),
            gdk::Key::Page_Up => timeline.pan(timeline.span() / 2.0),
            gdk::Key::Page_Down => timeline.pan(-timeline.span() / 2.0),
            gdk::Key::plus | gdk::Key::equal | gdk::Key::KP_Add => self.zoom(1.0 / ZOOM),
            gdk::Key::minus | gdk::Key::KP_Subtract => self.zoom(ZOOM),
            gdk::Key::_0 | gdk::Key::KP_0 => timeline.reset(),
            gdk::Key::Escape if timeline.cursor().is_some() => timeline.point_at(None),
            _ => return false,
        }
        let moves = matches!(
            key,
            gdk::Key::Left
                | gdk::Key::KP_Left
                | gdk::Key::Right
                | gdk::Key::KP_Right
                | gdk::Key::Home
                | gdk::Key::End
        );
        if moves {
            self.announce(&self.description(), gtk::AccessibleAnnouncementPriority::Medium);
        }
        true
    }
}

/// Behind texts that lie on the chart.
fn label_ground() -> gdk::RGBA {
    gdk::RGBA::new(0.1, 0.1, 0.12, 0.9)
}

/// The time of day of a point.
fn clock(record: &crate::resources::Record, index: usize) -> String {
    record.get(index).and_then(|point| time_of_day(point.clock, "%X")).unwrap_or_default()
}

fn time_of_day(clock: i64, format: &str) -> Option<String> {
    let time = glib::DateTime::from_unix_local(clock).ok()?;
    Some(time.format(format).ok()?.into())
}

/// The labels of the time axis: how long ago, or the time of day of what is longer past.
fn times(record: &crate::resources::Record, timeline: &Timeline) -> Vec<String> {
    let (end, span) = (timeline.end(), timeline.span());
    let latest = record.latest();
    let live = timeline.history().is_some_and(|history| history.is_live());
    let shares = (0..=PARTS).map(|part| f64::from(PARTS - part) / f64::from(PARTS));
    match latest {
        Some(latest) if !(timeline.is_at_end() && live) => shares
            .filter_map(|share| {
                let ago = latest.time - (end - share * span);
                time_of_day(latest.clock - ago as i64, "%X")
            })
            .collect(),
        _ => shares
            .map(|share| if share > 0.0 { units::span(share * span) } else { gettext("now") })
            .collect(),
    }
}
