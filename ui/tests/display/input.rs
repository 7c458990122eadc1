//! Keys, clicks and the wheel, made by the X server as a user's would be.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use gtk::prelude::*;
use gtk::{gio, glib};
use ui::display::{DisplayView, PointerMode, ReleaseKey, SendKeys};
use vmm_core::machine::{Command, PointerEvent};

use super::Test;
use super::stage::{Stage, run_for, up, wait_for, xdotool};

pub(crate) const TESTS: &[Test] = &[
    ("keys_are_named_by_place", keys_are_named_by_place),
    ("a_held_key_is_not_repeated", a_held_key_is_not_repeated),
    ("losing_the_focus_lets_go_of_keys", losing_the_focus_lets_go_of_keys),
    ("another_window_lets_go_of_keys", another_window_lets_go_of_keys),
    ("detaching_lets_go_of_keys", detaching_lets_go_of_keys),
    ("a_click_grabs_and_the_release_key_releases", a_click_grabs_and_the_release_key_releases),
    ("the_release_key_can_be_chosen", the_release_key_can_be_chosen),
    ("the_guest_gets_shortcuts_first", the_guest_gets_shortcuts_first),
    ("movement_is_in_guest_pixels", movement_is_in_guest_pixels),
    ("edges_push_on", edges_push_on),
    ("buttons_and_wheel", buttons_and_wheel),
    ("absolute_needs_no_grab", absolute_needs_no_grab),
    ("combinations_are_typed", combinations_are_typed),
];

const SHIFT: u16 = 42;
const CTRL: u16 = 29;
const ALT: u16 = 56;
const A: u16 = 30;

/// A view that has the keyboard.
fn focused() -> Stage {
    let stage = Stage::new((640, 480), (640, 480));
    stage.view.grab_focus();
    wait_for("focus", || stage.view.has_focus());
    stage
}

fn keys_are_named_by_place() {
    let stage = focused();
    for (key, code) in
        [("a", A), ("Tab", 15), ("Escape", 1), ("105", 97), ("Print", 99), ("Up", 103)]
    {
        xdotool(&format!("key {key}"));
        assert_eq!(stage.key(), (code, true));
        assert_eq!(stage.key(), (code, false));
    }
    assert!(stage.view.has_focus(), "Tab and Escape are the guest's");
}

fn a_held_key_is_not_repeated() {
    let stage = focused();
    xdotool("keydown 38");
    assert_eq!(stage.key(), (A, true));
    run_for(Duration::from_millis(900));
    xdotool("keyup 38");
    assert_eq!(stage.key(), (A, false));
    stage.expect_silence();
}

fn losing_the_focus_lets_go_of_keys() {
    let view = DisplayView::new();
    view.set_vexpand(true);
    let entry = gtk::Entry::new();
    let column = gtk::Box::new(gtk::Orientation::Vertical, 0);
    column.append(&view);
    column.append(&entry);
    let stage = Stage::with(&view, &column, (640, 480), (640, 520));
    view.grab_focus();
    xdotool("keydown 50");
    assert_eq!(stage.key(), (SHIFT, true));
    entry.grab_focus();
    assert_eq!(stage.command(), Command::Keys(vec![up(SHIFT)]));
    xdotool("keyup 50 key 38");
    wait_for("text", || entry.text() == "a");
    stage.expect_silence();
}

fn another_window_lets_go_of_keys() {
    let stage = focused();
    stage.click_into();
    xdotool("keydown 37");
    assert_eq!(stage.key(), (CTRL, true));
    let other = gtk::Window::builder().title("other").decorated(false).build();
    other.present();
    xdotool("search --sync --name ^other$ windowfocus --sync");
    assert_eq!(stage.command(), Command::Keys(vec![up(CTRL)]));
    wait_for("ungrab", || !stage.view.grabbed());
    xdotool("keyup 37");
    other.destroy();
    run_for(Duration::from_millis(50));
}

fn detaching_lets_go_of_keys() {
    let stage = focused();
    stage.click_into();
    xdotool("keydown 50 keydown 38 mousedown 3");
    assert_eq!(stage.key(), (SHIFT, true));
    assert_eq!(stage.key(), (A, true));
    assert_eq!(stage.pointer().buttons, 2);
    stage.view.detach();
    assert!(!stage.view.grabbed());
    assert_eq!(stage.command(), Command::Keys(vec![up(A), up(SHIFT)]));
    assert_eq!(stage.pointer(), PointerEvent::default());
    xdotool("keyup 50 keyup 38 mouseup 3");
    assert!(stage.commands.is_empty());
}

fn a_click_grabs_and_the_release_key_releases() {
    let stage = Stage::new((640, 480), (640, 480));
    let released = Rc::new(Cell::new(0));
    stage.view.connect_released({
        let released = released.clone();
        move |_| released.set(released.get() + 1)
    });
    stage.click_into();
    assert!(stage.view.cursor().is_some_and(|cursor| cursor.name().as_deref() == Some("none")));
    // With another key it is the guest's.
    xdotool("key ctrl+alt+a");
    for key in [(CTRL, true), (ALT, true), (A, true)] {
        assert_eq!(stage.key(), key);
    }
    assert!((0..3).all(|_| !stage.key().1));
    assert!(stage.view.grabbed());
    xdotool("keydown 37 keydown 64 keyup 64 keyup 37");
    assert_eq!(stage.key(), (CTRL, true));
    assert_eq!(stage.key(), (ALT, true));
    assert_eq!(stage.command(), Command::Keys(vec![up(CTRL), up(ALT)]));
    assert_eq!(released.get(), 1);
    assert!(!stage.view.grabbed() && !stage.view.has_focus());
    assert!(stage.view.cursor().is_none());
    xdotool("key 38");
    stage.expect_silence();
}

fn the_release_key_can_be_chosen() {
    let stage = focused();
    stage.view.set_release_key(ReleaseKey::RightCtrl);
    stage.click_into();
    xdotool("keydown 37 keydown 64 keyup 64 keyup 37");
    assert_eq!([stage.key(), stage.key()], [(CTRL, true), (ALT, true)]);
    assert_eq!([stage.key(), stage.key()], [(ALT, false), (CTRL, false)]);
    assert!(stage.view.grabbed());
    xdotool("key 105");
    wait_for("release", || !stage.view.grabbed());
}

fn the_guest_gets_shortcuts_first() {
    let app = gtk::Application::builder()
        .application_id("io.github.berth_vm.Test")
        .flags(gio::ApplicationFlags::NON_UNIQUE)
        .build();
    app.register(gio::Cancellable::NONE).unwrap();
    let pressed = Rc::new(RefCell::new(Vec::new()));
    let action = gio::SimpleAction::new("quit", None);
    action.connect_activate({
        let pressed = pressed.clone();
        move |action, _| pressed.borrow_mut().push(action.name())
    });
    app.add_action(&action);
    app.set_accels_for_action("app.quit", &["<Control>q"]);
    let stage = focused();
    stage.window.set_application(Some(&app));
    xdotool("key ctrl+q");
    assert_eq!([stage.key(), stage.key()], [(CTRL, true), (16, true)]);
    wait_for("releases", || stage.commands.len() == 2);
    assert!(pressed.borrow().is_empty());
    xdotool("keydown 37 keydown 64 keyup 64 keyup 37");
    wait_for("release", || !stage.view.has_focus());
    xdotool("key ctrl+q");
    wait_for("the shortcut", || *pressed.borrow() == [glib::GString::from("quit")]);
}

fn movement_is_in_guest_pixels() {
    let stage = Stage::new((320, 240), (640, 480));
    xdotool("mousemove 300 200 mousemove 310 210");
    stage.expect_silence();
    stage.click_into();
    xdotool("mousemove_relative --sync 40 20");
    xdotool("mousemove_relative --sync -- -10 -30");
    let mut sum = (0, 0);
    wait_for("movement", || stage.commands.len() >= 2);
    run_for(Duration::from_millis(50));
    while let Ok(Command::Pointer(event)) = stage.commands.try_recv() {
        sum = (sum.0 + event.dx, sum.1 + event.dy);
    }
    assert_eq!(sum, (15, -5), "half of what the user's pointer moved");
}

fn edges_push_on() {
    let stage = Stage::new((640, 480), (640, 480));
    stage.click_into();
    xdotool("mousemove 639 240");
    run_for(Duration::from_millis(700));
    let mut right = 0;
    while let Ok(Command::Pointer(event)) = stage.commands.try_recv() {
        assert_eq!(event.dy, 0);
        right += event.dx;
    }
    assert!(right > 640, "the guest's pointer reaches its edge from anywhere: {right}");
    xdotool("mousemove 320 240");
    while stage.pointer().dx > 0 {}
    run_for(Duration::from_millis(50));
    while stage.commands.try_recv().is_ok() {}
    stage.expect_silence();
}

fn buttons_and_wheel() {
    let stage = Stage::new((640, 480), (640, 480));
    xdotool("mousemove 320 240 click 5");
    stage.expect_silence();
    stage.click_into();
    xdotool("mousedown 1 mousedown 3 mouseup 1 mouseup 3 click 2 click 8 click 9");
    let buttons: Vec<u8> = (0..10).map(|_| stage.pointer().buttons).collect();
    assert_eq!(buttons, [1, 3, 2, 0, 4, 0, 8, 0, 16, 0]);
    xdotool("click 5");
    assert_eq!(stage.pointer().wheel, 1);
    xdotool("click 4");
    assert_eq!(stage.pointer().wheel, -1);
    stage.expect_silence();
}

fn absolute_needs_no_grab() {
    let stage = Stage::new((640, 480), (640, 480));
    stage.view.set_pointer_mode(PointerMode::Absolute);
    xdotool("mousemove 10 10 mousemove 320 240");
    while stage.command() != (Command::PointAt { x: 16409, y: 16418 }) {}
    xdotool("click 3");
    assert_eq!([stage.pointer().buttons, stage.pointer().buttons], [2, 0]);
    assert!(!stage.view.grabbed() && stage.view.has_focus());
    xdotool("click 5");
    assert_eq!(stage.pointer().wheel, 1);
    // The keyboard is taken as with any click, and given back the same way.
    assert!(stage.view.keyboard_taken());
    xdotool("keydown 37 keydown 64 keyup 64 keyup 37");
    wait_for("release", || !stage.view.keyboard_taken());
    assert!(!stage.view.has_focus());
}

fn combinations_are_typed() {
    let stage = Stage::new((640, 480), (640, 480));
    let keys = SendKeys::new();
    let combo = keys.get("ctrl-alt-delete").unwrap();
    stage.view.send_combo(combo);
    assert_eq!(stage.command(), Command::TypeKeys(combo.events()));
    stage.view.detach();
    stage.view.send_combo(combo);
    assert!(stage.commands.is_empty());
}
