//! A small live picture of a machine's screen.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::Duration;

use adw::prelude::*;
use adw::subclass::prelude::*;
use gtk::{gdk, glib};
use vmm_core::display::{Damage, Display, Frame};

use crate::machines::Vm;

/// Its size, in application pixels.
const WIDTH: i32 = 64;
const HEIGHT: i32 = 40;
/// The picture is made this many times larger, for screens with a scale.
const SCALE: u32 = 2;
/// How often it is brought up to date while it is seen.
const PERIOD: Duration = Duration::from_secs(1);

mod imp {
    use super::*;

    #[derive(Default)]
    pub struct Thumbnail {
        pub(super) stack: gtk::Stack,
        pub(super) picture: gtk::Picture,
        pub(super) icon: gtk::Image,
        pub(super) display: RefCell<Option<Arc<dyn Display>>>,
        pub(super) frame: RefCell<Frame>,
        pub(super) vm: RefCell<Option<(Vm, Vec<glib::SignalHandlerId>)>>,
        pub(super) timer: Cell<Option<glib::SourceId>>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for Thumbnail {
        const NAME: &'static str = "BerthThumbnail";
        type Type = super::Thumbnail;
        type ParentType = adw::Bin;
    }

    impl ObjectImpl for Thumbnail {
        fn constructed(&self) {
            self.parent_constructed();
            self.icon.set_icon_name(Some("computer-symbolic"));
            self.icon.set_pixel_size(24);
            self.icon.add_css_class("dim-label");
            self.picture.set_content_fit(gtk::ContentFit::Contain);
            self.picture.set_can_shrink(true);
            self.stack.add_named(&self.icon, Some("icon"));
            self.stack.add_named(&self.picture, Some("picture"));
            let obj = self.obj();
            obj.set_size_request(WIDTH, HEIGHT);
            obj.set_overflow(gtk::Overflow::Hidden);
            obj.add_css_class("thumbnail");
            obj.set_child(Some(&self.stack));
        }

        fn dispose(&self) {
            self.obj().set_vm(None);
        }
    }

    impl WidgetImpl for Thumbnail {
        fn map(&self) {
            self.parent_map();
            self.obj().watch();
        }

        fn unmap(&self) {
            if let Some(timer) = self.timer.take() {
                timer.remove();
            }
            self.parent_unmap();
        }
    }

    impl BinImpl for Thumbnail {}
}

glib::wrapper! {
    /// A small live picture of a machine's screen; an icon while it is off. Looks only while it is
    /// seen itself.
    pub struct Thumbnail(ObjectSubclass<imp::Thumbnail>)
        @extends adw::Bin, gtk::Widget,
        @implements gtk::Accessible, gtk::Buildable, gtk::ConstraintTarget;
}

impl Default for Thumbnail {
    fn default() -> Self {
        glib::Object::new()
    }
}

impl Thumbnail {
    /// Shows `vm` from now on.
    pub(super) fn set_vm(&self, vm: Option<&Vm>) {
        let imp = self.imp();
        if let Some((vm, handlers)) = imp.vm.take() {
            handlers.into_iter().for_each(|handler| vm.disconnect(handler));
        }
        if let Some(vm) = vm {
            let follow = || {
                let this = self.downgrade();
                move |vm: &Vm| {
                    if let Some(this) = this.upgrade() {
                        this.follow(Some(vm));
                    }
                }
            };
            let handlers = vec![vm.connect_launched(follow()), vm.connect_ended(follow())];
            imp.vm.replace(Some((vm.clone(), handlers)));
        }
        self.follow(vm);
    }

    fn follow(&self, vm: Option<&Vm>) {
        let imp = self.imp();
        imp.display.replace(vm.and_then(Vm::running).map(|running| running.display()));
        imp.frame.take();
        imp.picture.set_paintable(gdk::Paintable::NONE);
        imp.stack.set_visible_child_name("icon");
        if let Some(timer) = imp.timer.take() {
            timer.remove();
        }
        if self.is_mapped() {
            self.watch();
        }
    }

    fn watch(&self) {
        if self.imp().display.borrow().is_none() {
            return;
        }
        self.look();
        let this = self.downgrade();
        let timer = glib::timeout_add_local(PERIOD, move || match this.upgrade() {
            Some(this) => {
                this.look();
                glib::ControlFlow::Continue
            }
            None => glib::ControlFlow::Break,
        });
        if let Some(old) = self.imp().timer.replace(Some(timer)) {
            old.remove();
        }
    }

    fn look(&self) {
        let imp = self.imp();
        let display = imp.display.borrow();
        let Some(display) = display.as_ref() else { return };
        let mut frame = imp.frame.borrow_mut();
        if display.refresh(&mut frame) == Damage::None || frame.pixels.is_empty() {
            return;
        }
        imp.picture.set_paintable(Some(&shrunk(&frame)));
        imp.stack.set_visible_child_name("picture");
    }
}

/// The frame at thumbnail size, each pixel the mean of the square it stands for.
fn shrunk(frame: &Frame) -> gdk::MemoryTexture {
    let (max_width, max_height) = (WIDTH as u32 * SCALE, HEIGHT as u32 * SCALE);
    let step = frame.width.div_ceil(max_width).max(frame.height.div_ceil(max_height)).max(1);
    let (width, height) = ((frame.width / step).max(1), (frame.height / step).max(1));
    let stride = frame.width as usize * 4;
    let mut pixels = Vec::with_capacity((width * height * 4) as usize);
    for y in 0..height {
        for x in 0..width {
            let mut sums = [0u32; 4];
            // A cross through the square: text stays text, at a fraction of the cost of all of it.
            let middle = step / 2;
            let cross = (0..step).flat_map(|n| [(n, middle), (middle, n)]);
            let mut count = 0;
            for (dx, dy) in cross {
                let (px, py) = (x * step + dx, y * step + dy);
                let at = py as usize * stride + px as usize * 4;
                let Some(pixel) = frame.pixels.get(at..at + 4) else { continue };
                sums.iter_mut().zip(pixel).for_each(|(sum, byte)| *sum += u32::from(*byte));
                count += 1;
            }
            pixels.extend(sums.map(|sum| (sum / count.max(1)) as u8));
        }
    }
    gdk::MemoryTexture::new(
        width as i32,
        height as i32,
        gdk::MemoryFormat::B8g8r8a8Premultiplied,
        &glib::Bytes::from_owned(pixels),
        width as usize * 4,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_shrinks_to_a_mean() {
        // Needs no display: textures in memory are plain objects.
        let pixels = [[0, 0, 200, 255], [0, 0, 100, 255]].concat().repeat(640 * 400 / 2);
        let frame_of = |width, height, pixels| {
            let mut frame = Frame::new();
            (frame.width, frame.height, frame.pixels) = (width, height, pixels);
            frame
        };
        let texture = shrunk(&frame_of(640, 400, pixels));
        assert_eq!((texture.width(), texture.height()), (128, 80));
        let tiny = shrunk(&frame_of(1, 1, vec![1, 2, 3, 255]));
        assert_eq!((tiny.width(), tiny.height()), (1, 1));
    }
}
