//! The display's page, and screenshots.

use std::time::Duration;

use gtk::prelude::*;
use gtk::{gdk, gio, glib};
use ui::display::{DisplayPage, PointerMode, Scaling, screenshot};
use vmm_core::machine::Command;

use super::Test;
use super::program::{again_in_high_contrast, keep_pictures};
use super::stage::{Image, Stage, run_for, wait_for, xdotool};

pub(crate) const TESTS: &[Test] = &[
    ("actual_size_scrolls", actual_size_scrolls),
    ("edges_scroll", edges_scroll),
    ("the_hint_says_how_to_release", the_hint_says_how_to_release),
    ("the_full_screen_bar_comes_to_the_edge", the_full_screen_bar_comes_to_the_edge),
    ("looks_right_in_every_style", looks_right_in_every_style),
    ("screenshots_are_saved", screenshots_are_saved),
    ("screenshots_are_copied", screenshots_are_copied),
];

fn stage() -> (DisplayPage, Stage) {
    let page = DisplayPage::new();
    let stage = Stage::with(&page.view(), &page, (1024, 768), (640, 480));
    (page, stage)
}

fn scrolled(view: &impl IsA<gtk::Widget>) -> gtk::ScrolledWindow {
    let ancestor = view.ancestor(gtk::ScrolledWindow::static_type());
    ancestor.and_downcast::<gtk::ScrolledWindow>().unwrap()
}

fn actual_size_scrolls() {
    let (_page, stage) = stage();
    assert_eq!((stage.view.width(), stage.view.height()), (640, 480));
    stage.view.set_scaling(Scaling::Actual);
    wait_for("full size", || (stage.view.width(), stage.view.height()) == (1024, 768));
    let across = scrolled(&stage.view).hadjustment();
    assert_eq!((across.upper(), across.page_size()), (1024.0, 640.0));
    let image = stage.image();
    assert_eq!(image.pixel(1023, 767), stage.display.pixel(1023, 767));
    stage.display.set_mode(320, 200);
    wait_for("the smaller mode", || stage.view.width() == 640);
    stage.view.set_scaling(Scaling::Fit);
    stage.display.set_mode(1024, 768);
    wait_for("fit", || (stage.view.width(), stage.view.guest_width()) == (640, 1024));
}

/// At actual size the guest's pointer leads to parts of the screen that are not seen.
fn edges_scroll() {
    let (_page, stage) = stage();
    stage.view.set_scaling(Scaling::Actual);
    wait_for("full size", || stage.view.width() == 1024);
    xdotool("mousemove 320 240 click 1");
    wait_for("the grab", || stage.view.grabbed());
    let across = scrolled(&stage.view).hadjustment();
    xdotool("mousemove 639 240");
    wait_for("the end", || across.value() == 1024.0 - 640.0);
    xdotool("mousemove 320 240");
    run_for(Duration::from_millis(100));
    let mut moved = 0;
    while let Ok(Command::Pointer(event)) = stage.commands.try_recv() {
        assert_eq!((event.dy, event.buttons), (0, 0));
        moved += event.dx;
    }
    assert!(moved >= 384, "the guest's pointer went along: {moved}");
    stage.view.ungrab();
}

fn the_hint_says_how_to_release() {
    let (page, stage) = stage();
    assert!(!page.shows_hint());
    stage.click_into();
    assert!(page.shows_hint());
    stage.view.ungrab();
    assert!(!page.shows_hint());
    stage.view.grab();
    wait_for("its end", || !page.shows_hint());
    assert!(stage.view.grabbed());
    // Where no pointer is captured, the keyboard is.
    stage.view.set_pointer_mode(PointerMode::Absolute);
    assert!(!page.shows_hint());
    xdotool("mousemove 300 200 click 1");
    wait_for("the hint", || page.shows_hint());
    assert!(!stage.view.grabbed());
}

fn the_full_screen_bar_comes_to_the_edge() {
    let (page, _stage) = stage();
    let bar = page.full_screen_bar();
    bar.set_title("Debian");
    xdotool("mousemove 320 200 mousemove 320 0");
    run_for(Duration::from_millis(100));
    assert!(!bar.is_revealed(), "not in full screen");
    bar.set_active(true);
    xdotool("mousemove 320 200 mousemove 320 0");
    wait_for("the bar", || bar.is_revealed() && bar.height() > 20);
    xdotool("mousemove 320 300");
    wait_for("its end", || !bar.is_revealed());
}

/// Keeps pictures of the page for people to look at, and checks that the hint and the bar can be
/// read over any screen: they are dark in every style, as on-screen displays are.
fn looks_right_in_every_style() {
    let schemes = [("light", adw::ColorScheme::ForceLight), ("dark", adw::ColorScheme::ForceDark)];
    for (style, scheme) in schemes {
        adw::StyleManager::default().set_color_scheme(scheme);
        let (page, stage) = stage();
        stage.display.set_mode(800, 600);
        let bar = page.full_screen_bar();
        bar.set_title("Debian 13");
        bar.set_active(true);
        bar.reveal();
        stage.view.grab();
        run_for(Duration::from_millis(600));
        keep_pictures(&page, &format!("display-{style}"));
        assert!(page.shows_hint() && bar.is_revealed());
    }
    adw::StyleManager::default().set_color_scheme(adw::ColorScheme::Default);
    again_in_high_contrast("looks_right_in_every_style");
}

fn screenshots_are_saved() {
    let (_page, stage) = stage();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("screen.png");
    std::fs::write(&path, "old").unwrap();
    let context = glib::MainContext::default();
    let texture = stage.view.texture().unwrap();
    let saved = screenshot::save_png(texture.clone(), gio::File::for_path(&path));
    context.block_on(saved).unwrap();
    let image = Image::new(&gdk::Texture::from_filename(&path).unwrap());
    assert_eq!((image.width, image.height), (1024, 768));
    for (x, y) in [(0, 0), (77, 501), (1023, 767)] {
        assert_eq!(image.pixel(x, y), stage.display.pixel(x, y));
    }
    let nowhere = gio::File::for_path(folder.path().join("none/screen.png"));
    let error = context.block_on(screenshot::save_png(texture, nowhere)).unwrap_err();
    assert!(error.to_string().contains("none/screen.png cannot be written"), "{error}");
}

fn screenshots_are_copied() {
    let (_page, stage) = stage();
    let clipboard = stage.view.clipboard();
    screenshot::copy(&stage.view.texture().unwrap(), &clipboard);
    let context = glib::MainContext::default();
    let pasted = context.block_on(clipboard.read_texture_future()).unwrap().unwrap();
    assert_eq!(Image::new(&pasted).pixel(77, 501), stage.display.pixel(77, 501));
}
