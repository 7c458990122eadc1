//! A small live picture of a machine's screen.

use std::cell::{Cell, OnceCell, RefCell};
use std::sync::Arc;
use std::time::Duration;

use adw::prelude::*;
use adw::subclass::prelude::*;
use gtk::{gdk, glib};
use vmm_core::display::Display;

use crate::display::Thumbnailer;
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
        pub(super) icon: gtk::Image,
        /// The picture, over the icon: made when there is one to show.
        pub(super) picture: OnceCell<gtk::Picture>,
        pub(super) display: RefCell<Option<Arc<dyn Display>>>,
        pub(super) vm: RefCell<Option<(Vm, Vec<glib::SignalHandlerId>)>>,
        pub(super) watching: Cell<Option<glib::JoinHandle<()>>>,
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
            let obj = self.obj();
            self.icon.set_size_request(WIDTH, HEIGHT);
            obj.set_overflow(gtk::Overflow::Hidden);
            obj.add_css_class("thumbnail");
            obj.set_child(Some(&self.icon));
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
            self.obj().rest();
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
        if let Some(picture) = imp.picture.get() {
            picture.set_paintable(gdk::Paintable::NONE);
            picture.set_visible(false);
        }
        self.rest();
        if self.is_mapped() {
            self.watch();
        }
    }

    /// What shows the picture.
    fn picture(&self) -> &gtk::Picture {
        let imp = self.imp();
        imp.picture.get_or_init(|| {
            let picture = gtk::Picture::new();
            picture.set_content_fit(gtk::ContentFit::Contain);
            picture.set_can_shrink(true);
            let overlay = gtk::Overlay::new();
            self.set_child(Some(&overlay));
            overlay.set_child(Some(&imp.icon));
            // Not measured: the picture takes what room there is.
            overlay.add_overlay(&picture);
            picture
        })
    }

    fn rest(&self) {
        if let Some(watching) = self.imp().watching.take() {
            watching.abort();
        }
    }

    fn watch(&self) {
        let Some(display) = self.imp().display.borrow().clone() else { return };
        let pictures = Thumbnailer::new(display, WIDTH as u32 * SCALE, HEIGHT as u32 * SCALE);
        let this = self.downgrade();
        let watching = glib::spawn_future_local(async move {
            loop {
                let picture = pictures.look().await;
                let Some(this) = this.upgrade() else { return };
                if let Some(picture) = picture {
                    let shown = this.picture();
                    shown.set_paintable(Some(&picture));
                    shown.set_visible(true);
                }
                drop(this);
                glib::timeout_future(PERIOD).await;
            }
        });
        if let Some(before) = self.imp().watching.replace(Some(watching)) {
            before.abort();
        }
    }
}
