//! What the tests share: a window with a view of a fake screen in it, time, and a user's hands.

use std::sync::Arc;
use std::time::Duration;

use async_channel::Receiver;
use gtk::prelude::*;
use gtk::{gdk, graphene};
use ui::display::DisplayView;
use ui::fake::FakeDisplay;
use vmm_core::machine::{Command, KeyEvent, PointerEvent};

pub(crate) use crate::program::{run_for, wait_for, xdotool};

/// A window on the display, gone with this.
pub(crate) struct Stage {
    pub(crate) window: gtk::Window,
    pub(crate) view: DisplayView,
    pub(crate) display: Arc<FakeDisplay>,
    pub(crate) commands: Receiver<Command>,
}

impl Stage {
    /// A view of `guest` pixels, attached, alone in a window of `size`.
    pub(crate) fn new(guest: (u32, u32), size: (i32, i32)) -> Self {
        let view = DisplayView::new();
        Self::with(&view, &view, guest, size)
    }

    /// A view somewhere in `child`, alone in a window of `size`.
    pub(crate) fn with(
        view: &DisplayView,
        child: &impl IsA<gtk::Widget>,
        guest: (u32, u32),
        size: (i32, i32),
    ) -> Self {
        let display = Arc::new(FakeDisplay::new(guest.0, guest.1));
        let (sender, commands) = async_channel::unbounded();
        view.attach(display.clone(), sender);
        let window = gtk::Window::builder()
            .title("stage")
            .decorated(false)
            .default_width(size.0)
            .default_height(size.1)
            .child(child)
            .build();
        window.present();
        let stage = Self { window, view: view.clone(), display, commands };
        wait_for("a first picture", || stage.view.frames() > 0);
        // Without a window manager nobody gives the window the keyboard.
        xdotool("search --sync --name ^stage$ windowfocus --sync");
        wait_for("an active window", || stage.window.is_active());
        stage
    }

    /// Draws until the view shows what the guest does.
    pub(crate) fn settle(&self) {
        let frames = self.view.frames();
        wait_for("a new picture", || self.view.frames() > frames);
    }

    /// The view's node tree drawn: pixels blue, green, red, alpha, row by row.
    pub(crate) fn image(&self) -> Image {
        let (width, height) = (self.view.width(), self.view.height());
        let node = self.node();
        let renderer = self.window.renderer().unwrap();
        let bounds = graphene::Rect::new(0.0, 0.0, width as f32, height as f32);
        let texture = renderer.render_texture(node, Some(&bounds));
        Image::new(&texture)
    }

    /// What the view draws.
    pub(crate) fn node(&self) -> gtk::gsk::RenderNode {
        let paintable = gtk::WidgetPaintable::new(Some(&self.view));
        let snapshot = gtk::Snapshot::new();
        let (width, height) = (f64::from(self.view.width()), f64::from(self.view.height()));
        paintable.snapshot(&snapshot, width, height);
        snapshot.to_node().unwrap()
    }

    /// The next command, which comes soon.
    pub(crate) fn command(&self) -> Command {
        wait_for("a command", || !self.commands.is_empty());
        self.commands.try_recv().unwrap()
    }

    /// The next command, which is of one key: its code and whether it went down.
    pub(crate) fn key(&self) -> (u16, bool) {
        match self.command() {
            Command::Keys(keys) if keys.len() == 1 => (keys[0].code, keys[0].pressed),
            other => panic!("{other:?}"),
        }
    }

    /// The next command, which is of the pointer.
    pub(crate) fn pointer(&self) -> PointerEvent {
        match self.command() {
            Command::Pointer(event) => event,
            other => panic!("{other:?}"),
        }
    }

    /// Checks that no command has come, nor comes for a while.
    pub(crate) fn expect_silence(&self) {
        run_for(Duration::from_millis(150));
        assert_eq!(self.commands.try_recv().ok(), None);
    }

    /// Captures keyboard and pointer by a click in the middle.
    pub(crate) fn click_into(&self) {
        let (x, y) = (self.view.width() / 2, self.view.height() / 2);
        xdotool(&format!("mousemove {x} {y} click 1"));
        wait_for("the grab", || self.view.grabbed());
        run_for(Duration::from_millis(50));
        assert_eq!(self.commands.try_recv().ok(), None, "the click was the user's");
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.window.destroy();
        run_for(Duration::from_millis(20));
    }
}

/// A release of a key.
pub(crate) fn up(code: u16) -> KeyEvent {
    KeyEvent { code, pressed: false }
}

/// Pixels.
pub(crate) struct Image {
    pub(crate) width: u32,
    pub(crate) height: u32,
    data: Vec<u8>,
}

impl Image {
    pub(crate) fn new(texture: &gdk::Texture) -> Self {
        let (width, height) = (texture.width() as u32, texture.height() as u32);
        let mut data = vec![0; (width * height * 4) as usize];
        // Cairo's ARGB32 is blue, green, red, alpha on this machine.
        texture.download(&mut data, width as usize * 4);
        Self { width, height, data }
    }

    pub(crate) fn pixel(&self, x: u32, y: u32) -> [u8; 4] {
        let at = ((y * self.width + x) * 4) as usize;
        self.data[at..at + 4].try_into().unwrap()
    }
}
