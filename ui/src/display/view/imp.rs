//! The widget as GTK knows it: its properties, its size, and drawing.

#![allow(missing_docs, reason = "the wrapper documents the properties")]

use std::cell::{Cell, RefCell};
use std::sync::{Arc, OnceLock};

use async_channel::Sender;
use gettextrs::gettext;
use gtk::glib::subclass::Signal;
use gtk::prelude::*;
use gtk::subclass::prelude::*;
use gtk::{gdk, glib, graphene, gsk};
use vmm_core::display::{Display, Mode, Rect};
use vmm_core::machine::Command;

use super::super::geometry::{Placement, Scaling, Space, actual_size};
use super::super::keyboard::{Keyboard, ReleaseKey};
use super::super::picture::{Cut, Picture};
use super::super::pointer::{Pointer, PointerMode};
use super::follow::Follow;
use super::grab::Grab;

/// The least space asked for, in logical pixels.
const MINIMUM: (i32, i32) = (160, 120);
/// How much of the last picture is seen when the machine is over.
const DIMMED: f64 = 0.35;

/// What is shown, and where input goes.
pub(super) struct Attachment {
    pub(super) display: Arc<dyn Display>,
    pub(super) commands: Sender<Command>,
}

#[derive(glib::Properties)]
#[properties(wrapper_type = super::DisplayView)]
pub struct DisplayView {
    #[property(get, set = Self::set_scaling, explicit_notify, builder(Scaling::default()))]
    scaling: Cell<Scaling>,
    #[property(get, set, builder(ReleaseKey::default()))]
    release_key: Cell<ReleaseKey>,
    #[property(get, set = Self::set_pointer_mode, explicit_notify,
        builder(PointerMode::default()))]
    pointer_mode: Cell<PointerMode>,
    #[property(get, set = Self::set_running, explicit_notify)]
    running: Cell<bool>,
    #[property(get, set = Self::set_placeholder, explicit_notify, nullable)]
    placeholder: RefCell<Option<gdk::Paintable>>,
    #[property(get)]
    pub(super) grabbed: Cell<bool>,
    #[property(name = "attached", get = Self::attached, type = bool)]
    pub(super) attachment: RefCell<Option<Attachment>>,
    #[property(get)]
    pub(super) guest_width: Cell<u32>,
    #[property(get)]
    pub(super) guest_height: Cell<u32>,
    pub(super) mode: Cell<Option<Mode>>,
    pub(super) picture: RefCell<Picture>,
    /// The picture has changed since it was drawn.
    pub(super) fresh: Cell<bool>,
    frames: Cell<u64>,
    pub(super) follow: Follow,
    pub(super) keyboard: RefCell<Keyboard>,
    pub(super) pointer: RefCell<Pointer>,
    /// Where the guest was told last that the pointer is.
    pub(super) pointed: Cell<Option<(u16, u16)>>,
    pub(super) grab: Grab,
    surface_scale: RefCell<Option<(gdk::Surface, glib::SignalHandlerId)>>,
}

impl Default for DisplayView {
    fn default() -> Self {
        Self {
            scaling: Cell::default(),
            release_key: Cell::default(),
            pointer_mode: Cell::default(),
            running: Cell::new(true),
            placeholder: RefCell::default(),
            grabbed: Cell::default(),
            attachment: RefCell::default(),
            guest_width: Cell::default(),
            guest_height: Cell::default(),
            mode: Cell::default(),
            picture: RefCell::default(),
            fresh: Cell::default(),
            frames: Cell::default(),
            follow: Follow::default(),
            keyboard: RefCell::default(),
            pointer: RefCell::default(),
            pointed: Cell::default(),
            grab: Grab::default(),
            surface_scale: RefCell::default(),
        }
    }
}

#[glib::object_subclass]
impl ObjectSubclass for DisplayView {
    const NAME: &'static str = "BerthDisplayView";
    type Type = super::DisplayView;
    type ParentType = gtk::Widget;

    fn class_init(class: &mut Self::Class) {
        class.set_css_name("display");
        class.set_accessible_role(gtk::AccessibleRole::Img);
    }
}

#[glib::derived_properties]
impl ObjectImpl for DisplayView {
    fn constructed(&self) {
        self.parent_constructed();
        let view = self.obj();
        view.set_focusable(true);
        view.set_overflow(gtk::Overflow::Hidden);
        view.update_property(&[gtk::accessible::Property::Label(&gettext("Guest display"))]);
        self.listen();
    }

    fn signals() -> &'static [Signal] {
        static SIGNALS: OnceLock<Vec<Signal>> = OnceLock::new();
        SIGNALS.get_or_init(|| {
            vec![Signal::builder("released").build(), Signal::builder("mode-changed").build()]
        })
    }

    fn dispose(&self) {
        self.detach();
    }
}

impl WidgetImpl for DisplayView {
    fn request_mode(&self) -> gtk::SizeRequestMode {
        gtk::SizeRequestMode::ConstantSize
    }

    fn measure(&self, orientation: gtk::Orientation, _for_size: i32) -> (i32, i32, i32, i32) {
        let (width, height) = actual_size(self.guest_size(), self.device_scale());
        let (minimum, natural) = match orientation {
            gtk::Orientation::Horizontal => (MINIMUM.0, width),
            _ => (MINIMUM.1, height),
        };
        (minimum, natural.max(minimum), -1, -1)
    }

    fn realize(&self) {
        self.parent_realize();
        let Some(surface) = self.obj().native().and_then(|native| native.surface()) else { return };
        let weak = self.obj().downgrade();
        let handler = surface.connect_scale_notify(move |_| {
            if let Some(view) = weak.upgrade() {
                view.queue_resize();
                view.queue_draw();
            }
        });
        self.surface_scale.replace(Some((surface, handler)));
    }

    fn unrealize(&self) {
        if let Some((surface, handler)) = self.surface_scale.take() {
            surface.disconnect(handler);
        }
        self.parent_unrealize();
    }

    fn map(&self) {
        self.parent_map();
        self.resume_following();
    }

    fn unmap(&self) {
        self.stop_following();
        self.ungrab();
        self.parent_unmap();
        self.picture.borrow_mut().forget_tiles();
    }

    fn unroot(&self) {
        self.lost_focus();
        self.parent_unroot();
    }

    fn snapshot(&self, snapshot: &gtk::Snapshot) {
        let view = self.obj();
        let (width, height) = (f64::from(view.width()), f64::from(view.height()));
        let attached = self.attached();
        if let (false, Some(placeholder)) = (attached, &*self.placeholder.borrow()) {
            placeholder.snapshot(snapshot, width, height);
            return;
        }
        let Some(placement) = self.placement() else {
            append_black(snapshot, [0.0, 0.0, width, height]);
            return;
        };
        if attached {
            append_border(snapshot, &placement, width, height);
        } else {
            append_black(snapshot, [0.0, 0.0, width, height]);
            snapshot.push_opacity(DIMMED);
        }
        self.append_picture(snapshot, &placement);
        if !attached {
            snapshot.pop();
        }
        if self.fresh.take() {
            self.frames.set(self.frames.get() + 1);
        }
    }
}

impl DisplayView {
    fn append_picture(&self, snapshot: &gtk::Snapshot, placement: &Placement) {
        let (cut, filter) = if placement.is_integer() {
            (Cut::Tiles, gsk::ScalingFilter::Nearest)
        } else if placement.scale >= 0.5 {
            (Cut::Overlapping, gsk::ScalingFilter::Linear)
        } else {
            // This one looks at any number of neighbours.
            (Cut::Whole, gsk::ScalingFilter::Trilinear)
        };
        for tile in self.picture.borrow_mut().tiles(cut) {
            let bounds = rect(placement.exact(edges(&tile.area)));
            // A scaled texture is one whatever the scale: renderers without a GPU skip those
            // that lie outside of what is redrawn, which they do not for plain textures.
            if cut == Cut::Overlapping {
                snapshot.push_clip(&rect(placement.aligned(edges(&tile.part))));
                snapshot.append_scaled_texture(&tile.texture, filter, &bounds);
                snapshot.pop();
            } else {
                snapshot.append_scaled_texture(&tile.texture, filter, &bounds);
            }
        }
    }

    /// Where the picture is at the moment.
    pub(super) fn placement(&self) -> Option<Placement> {
        let view = self.obj();
        let space = Space {
            width: f64::from(view.width()),
            height: f64::from(view.height()),
            origin: self.origin(),
            device_scale: self.device_scale(),
        };
        Placement::new(self.scaling.get(), self.guest_size(), &space)
    }

    /// The widget's corner on its surface, in logical pixels.
    fn origin(&self) -> (f64, f64) {
        let view = self.obj();
        let Some(native) = view.native() else { return (0.0, 0.0) };
        let (x, y) = native.surface_transform();
        let corner = view.compute_point(&native, &graphene::Point::zero());
        let corner = corner.unwrap_or_else(graphene::Point::zero);
        (x + f64::from(corner.x()), y + f64::from(corner.y()))
    }

    fn device_scale(&self) -> f64 {
        let surface = self.obj().native().and_then(|native| native.surface());
        surface.map_or(1.0, |surface| surface.scale())
    }

    fn guest_size(&self) -> (u32, u32) {
        (self.guest_width.get(), self.guest_height.get())
    }

    fn set_scaling(&self, scaling: Scaling) {
        if self.scaling.replace(scaling) != scaling {
            self.obj().notify_scaling();
            self.obj().queue_resize();
            self.obj().queue_draw();
        }
    }

    fn set_pointer_mode(&self, mode: PointerMode) {
        if self.pointer_mode.get() != mode {
            self.ungrab();
            self.pointer_mode.set(mode);
            self.choose_cursor();
            self.obj().notify_pointer_mode();
        }
    }

    fn set_running(&self, running: bool) {
        if self.running.replace(running) != running {
            self.obj().notify_running();
            self.choose_cursor();
            self.resume_following();
        }
    }

    fn set_placeholder(&self, placeholder: Option<gdk::Paintable>) {
        self.placeholder.replace(placeholder);
        self.obj().notify_placeholder();
        self.obj().queue_draw();
    }

    fn attached(&self) -> bool {
        self.attachment.borrow().is_some()
    }

    pub(super) fn commands(&self) -> Option<Sender<Command>> {
        self.attachment.borrow().as_ref().map(|attachment| attachment.commands.clone())
    }

    pub(super) fn mode(&self) -> Option<Mode> {
        self.mode.get()
    }

    pub(super) fn frames(&self) -> u64 {
        self.frames.get()
    }

    pub(super) fn attach(&self, display: Arc<dyn Display>, commands: Sender<Command>) {
        self.detach();
        self.attachment.replace(Some(Attachment { display, commands }));
        self.obj().notify_attached();
        self.choose_cursor();
        // What the frame holds came from another display.
        self.picture.take();
        self.resume_following();
        self.obj().queue_draw();
    }

    pub(super) fn detach(&self) {
        self.ungrab();
        self.stop_following();
        if self.attachment.take().is_some() {
            self.forget_mode();
            self.obj().notify_attached();
            self.choose_cursor();
            self.obj().queue_draw();
        }
    }

    pub(super) fn texture(&self) -> Option<gdk::Texture> {
        self.look();
        self.picture.borrow().texture()
    }

    pub(super) fn thumbnail(&self, max_width: u32, max_height: u32) -> Option<gdk::Texture> {
        self.look();
        self.picture.borrow().thumbnail(max_width, max_height)
    }
}

/// Left, upper, right and lower edge.
fn edges(rect: &Rect) -> [u32; 4] {
    [rect.x, rect.y, rect.x + rect.width, rect.y + rect.height]
}

/// The rectangle between a left, upper, right and lower edge.
fn rect([left, top, right, bottom]: [f64; 4]) -> graphene::Rect {
    let (width, height) = ((right - left) as f32, (bottom - top) as f32);
    graphene::Rect::new(left as f32, top as f32, width, height)
}

fn append_black(snapshot: &gtk::Snapshot, edges: [f64; 4]) {
    let [left, top, right, bottom] = edges;
    if right > left && bottom > top {
        snapshot.append_color(&gdk::RGBA::BLACK, &rect(edges));
    }
}

/// What of the widget the picture leaves. Nothing is drawn beneath the picture, which would cost
/// with every change of it.
fn append_border(snapshot: &gtk::Snapshot, at: &Placement, width: f64, height: f64) {
    let (right, bottom) = (at.x + at.width, at.y + at.height);
    append_black(snapshot, [0.0, 0.0, width, at.y]);
    append_black(snapshot, [0.0, bottom, width, height]);
    append_black(snapshot, [0.0, at.y, at.x, bottom]);
    append_black(snapshot, [right, at.y, width, bottom]);
}
