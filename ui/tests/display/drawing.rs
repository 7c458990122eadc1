//! What is drawn, and when.

use std::cell::{Cell, RefCell};
use std::process::Command as Process;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use gtk::prelude::*;
use gtk::{gdk, glib, gsk};
use ui::display::{DisplayView, Scaling, Thumbnailer};
use ui::fake::FakeDisplay;
use vmm_core::display::{Display, Mode, Rect};

use super::Test;
use super::stage::{Image, Stage, run_for};

pub(crate) const TESTS: &[Test] = &[
    ("each_guest_pixel_is_one_pixel", each_guest_pixel_is_one_pixel),
    ("whole_scales_are_sharp", whole_scales_are_sharp),
    ("other_scales_keep_the_aspect", other_scales_keep_the_aspect),
    ("a_small_change_makes_small_textures", a_small_change_makes_small_textures),
    ("many_changes_leave_nothing_behind", many_changes_leave_nothing_behind),
    ("the_monitor_shows_what_is_drawn", the_monitor_shows_what_is_drawn),
    ("modes_are_followed", modes_are_followed),
    ("text_is_told_to_screen_readers", text_is_told_to_screen_readers),
    ("a_detached_picture_is_dimmed", a_detached_picture_is_dimmed),
    ("nothing_happens_while_hidden_or_idle", nothing_happens_while_hidden_or_idle),
    ("pictures_for_others", pictures_for_others),
];

/// Checks that the view shows what the guest does, a guest pixel being `scale` pixels, the
/// picture's corner at `corner`.
fn compare(stage: &Stage, scale: u32, corner: (u32, u32)) {
    let image = stage.image();
    let (width, height) = (stage.view.guest_width(), stage.view.guest_height());
    for y in 0..height * scale {
        for x in 0..width * scale {
            let (seen, meant) = (
                image.pixel(corner.0 + x, corner.1 + y),
                stage.display.pixel(x / scale, y / scale),
            );
            assert_eq!(seen, meant, "at {x},{y}");
        }
    }
    if corner != (0, 0) {
        assert_eq!(image.pixel(0, 0), [0, 0, 0, 255], "around the picture");
    }
}

fn each_guest_pixel_is_one_pixel() {
    let stage = Stage::new((300, 200), (300, 200));
    compare(&stage, 1, (0, 0));
}

fn whole_scales_are_sharp() {
    let stage = Stage::new((300, 200), (610, 406));
    compare(&stage, 2, (5, 3));
}

fn other_scales_keep_the_aspect() {
    let stage = Stage::new((300, 200), (450, 400));
    let (black, image) = ([0, 0, 0, 255], stage.image());
    assert_eq!(image.pixel(225, 49), black);
    assert_eq!(image.pixel(225, 350), black);
    stage.display.fill(Rect { x: 0, y: 0, width: 300, height: 200 }, [10, 20, 30]);
    stage.settle();
    let image = stage.image();
    for (x, y) in [(1, 51), (448, 51), (1, 348), (448, 348), (225, 200)] {
        assert_eq!(image.pixel(x, y), [10, 20, 30, 255], "no seam, no soft edge at {x},{y}");
    }
}

/// The textures of a node tree.
fn textures(node: &gsk::RenderNode) -> Vec<gdk::Texture> {
    if let Some(container) = node.downcast_ref::<gsk::ContainerNode>() {
        (0..container.n_children()).flat_map(|i| textures(&container.child(i))).collect()
    } else if let Some(clip) = node.downcast_ref::<gsk::ClipNode>() {
        textures(&clip.child())
    } else if let Some(transform) = node.downcast_ref::<gsk::TransformNode>() {
        textures(&transform.child())
    } else if let Some(scaled) = node.downcast_ref::<gsk::TextureScaleNode>() {
        vec![scaled.texture()]
    } else {
        Vec::new()
    }
}

fn a_small_change_makes_small_textures() {
    let stage = Stage::new((640, 480), (640, 480));
    let before = textures(&stage.node());
    stage.display.fill(Rect { x: 300, y: 200, width: 20, height: 20 }, [1, 2, 3]);
    stage.settle();
    let after = textures(&stage.node());
    assert_eq!(before.len(), after.len());
    let changed = before.iter().zip(&after).filter(|(old, new)| old != new);
    let pixels: i32 = changed.map(|(_, new)| new.width() * new.height()).sum();
    assert!(pixels > 0 && pixels <= 640 * 480 / 10, "{pixels} pixels for 400");
    compare(&stage, 1, (0, 0));
}

/// Changes small and large parts of the screen, many times.
fn change(stage: &Stage) {
    let mut random = 1_u32;
    let mut next = |end: u32| {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (random >> 8) % end
    };
    for _ in 0..60 {
        for _ in 0..next(4) + 1 {
            let (width, height) = (next(200) + 1, next(150) + 1);
            let rect = Rect { x: next(300), y: next(200), width, height };
            let colour = [0; 3].map(|_: u8| next(256) as u8);
            stage.display.fill(rect, colour);
        }
        stage.settle();
    }
}

fn many_changes_leave_nothing_behind() {
    let stage = Stage::new((300, 200), (300, 200));
    change(&stage);
    compare(&stage, 1, (0, 0));
    drop(stage);
    // Smaller than half: one texture holds it all.
    let stage = Stage::new((640, 480), (200, 150));
    change(&stage);
    let shown = textures(&stage.node());
    assert_eq!(shown.len(), 1);
    let image = Image::new(&shown[0]);
    for (x, y) in (0..480).flat_map(|y| (0..640).map(move |x| (x, y))) {
        assert_eq!(image.pixel(x, y), stage.display.pixel(x, y), "at {x},{y}");
    }
}

/// Only what changed is redrawn: an edge that filters blur must be redrawn as well.
fn the_monitor_shows_what_is_drawn() {
    let cases = [
        ((300, 200), (300, 200)),
        ((300, 200), (411, 274)),
        ((300, 200), (511, 340)),
        ((300, 200), (223, 150)),
        ((640, 480), (200, 150)),
    ];
    for (guest, size) in cases {
        let stage = Stage::new(guest, size);
        change(&stage);
        run_for(Duration::from_millis(50));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("monitor.png");
        let crop = format!("{}x{}+0+0", size.0, size.1);
        let status = Process::new("import")
            .args(["-window", "root", "-crop", &crop, "-define", "png:color-type=6"])
            .arg(&path)
            .status();
        assert!(status.unwrap().success());
        let monitor = Image::new(&gdk::Texture::from_filename(&path).unwrap());
        let drawn = stage.image();
        let mut wrong = 0;
        for (x, y) in (0..drawn.height).flat_map(|y| (0..drawn.width).map(move |x| (x, y))) {
            let (seen, meant) = (monitor.pixel(x, y), drawn.pixel(x, y));
            // Rounding may differ where a part of a picture is scaled.
            wrong += u32::from((0..3).any(|c| seen[c].abs_diff(meant[c]) > 2));
        }
        assert_eq!(wrong, 0, "pixels at {size:?}");
    }
}

fn modes_are_followed() {
    let stage = Stage::new((640, 480), (800, 600));
    let modes = Rc::new(RefCell::new(Vec::new()));
    stage.view.connect_mode_changed({
        let modes = modes.clone();
        move |view| modes.borrow_mut().push(view.mode())
    });
    let sizes = Rc::new(Cell::new(0));
    stage.view.connect_guest_height_notify({
        let sizes = sizes.clone();
        move |view| {
            assert_eq!(view.guest_width(), if sizes.get() == 0 { 720 } else { 800 });
            sizes.set(sizes.get() + 1);
        }
    });
    stage.display.show_text(80, 25, "GNU GRUB");
    stage.settle();
    assert_eq!((stage.view.guest_width(), stage.view.guest_height()), (720, 400));
    compare_text(&stage);
    stage.display.blank();
    stage.settle();
    stage.display.set_mode(800, 600);
    stage.settle();
    compare(&stage, 1, (0, 0));
    let text = Mode::Text { columns: 80, rows: 25 };
    let graphics = Mode::Graphics { width: 800, height: 600 };
    assert_eq!(*modes.borrow(), [Some(text), Some(Mode::Blank), Some(graphics)]);
    assert_eq!(sizes.get(), 2);
}

/// 720x400 in 800x600 is no whole scale: the picture itself is compared.
fn compare_text(stage: &Stage) {
    let image = Image::new(&stage.view.texture().unwrap());
    assert_eq!((image.width, image.height), (720, 400));
    for (x, y) in (0..400).flat_map(|y| (0..720).map(move |x| (x, y))) {
        assert_eq!(image.pixel(x, y), stage.display.pixel(x, y));
    }
}

fn text_is_told_to_screen_readers() {
    let stage = Stage::new((640, 480), (640, 480));
    let has = |property| gtk::test_accessible_has_property(&stage.view, property);
    assert!(has(gtk::AccessibleProperty::Label));
    assert!(!has(gtk::AccessibleProperty::Description));
    stage.display.show_text(80, 25, "debian login:\0");
    stage.settle();
    assert!(!has(gtk::AccessibleProperty::Description), "told once a second, not at every change");
    run_for(Duration::from_millis(1200));
    assert!(has(gtk::AccessibleProperty::Description));
    stage.display.set_mode(640, 480);
    stage.settle();
    assert!(!has(gtk::AccessibleProperty::Description), "there is no text any more");
}

fn a_detached_picture_is_dimmed() {
    let stage = Stage::new((300, 200), (300, 200));
    stage.display.fill(Rect { x: 0, y: 0, width: 300, height: 200 }, [200, 200, 200]);
    stage.settle();
    stage.view.detach();
    assert_eq!(stage.view.mode(), None);
    assert!(!stage.view.attached());
    run_for(Duration::from_millis(50));
    let [blue, .., alpha] = stage.image().pixel(150, 100);
    assert!((60..90).contains(&blue) && alpha == 255, "{blue} {alpha}");
    let looks = stage.display.looks();
    run_for(Duration::from_millis(300));
    assert_eq!(stage.display.looks(), looks);
    // A machine started again is followed again.
    let again = Arc::new(FakeDisplay::new(300, 200));
    stage.view.attach(again.clone(), async_channel::unbounded().0);
    stage.settle();
    assert_eq!(stage.image().pixel(7, 9), again.pixel(7, 9));
}

fn nothing_happens_while_hidden_or_idle() {
    let stage = Stage::new((300, 200), (300, 200));
    run_for(Duration::from_millis(3300));
    let (looks, frames) = (stage.display.looks(), stage.view.frames());
    run_for(Duration::from_secs(1));
    let looked = stage.display.looks() - looks;
    assert!((5..=12).contains(&looked), "{looked} looks a second at a screen that stands still");
    assert_eq!(stage.view.frames(), frames, "nothing changed, so nothing was drawn");

    stage.window.set_child(None::<&gtk::Widget>);
    let looks = stage.display.looks();
    stage.display.fill(Rect { x: 0, y: 0, width: 9, height: 9 }, [5, 5, 5]);
    run_for(Duration::from_millis(300));
    assert_eq!(stage.display.looks(), looks, "nobody sees it");
    assert_eq!(Image::new(&stage.view.texture().unwrap()).pixel(1, 1), [5, 5, 5, 255]);
    stage.window.set_child(Some(&stage.view));
    stage.settle();
    compare(&stage, 1, (0, 0));
}

fn pictures_for_others() {
    let display = Arc::new(FakeDisplay::new(640, 480));
    let whole = Rect { x: 0, y: 0, width: 640, height: 480 };
    display.fill(whole, [50, 60, 70]);
    let shown: Arc<dyn Display> = display.clone();
    let thumbnails = Thumbnailer::new(shown.clone(), 64, 64);
    let look = || glib::MainContext::default().block_on(thumbnails.look());
    let small = look().unwrap();
    assert_eq!((small.width(), small.height()), (64, 48));
    assert_eq!(Image::new(&small).pixel(32, 24), [50, 60, 70, 255]);
    assert!(look().is_none(), "nothing has changed");
    display.fill(whole, [5, 6, 7]);
    assert_eq!(Image::new(&look().unwrap()).pixel(0, 0), [5, 6, 7, 255]);
    let view = DisplayView::new();
    assert!(view.texture().is_none() && view.thumbnail(64, 64).is_none());
    view.attach(shown, async_channel::unbounded().0);
    view.set_scaling(Scaling::Actual);
    assert_eq!(view.texture().unwrap().width(), 640);
    assert_eq!(view.thumbnail(320, 100).unwrap().width(), 133);
}
