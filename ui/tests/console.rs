//! The serial console in a real window, on a real serial port with a pretended guest.

#![allow(clippy::unwrap_used)] // What fails here fails the test.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use gtk::gio;
use gtk::prelude::*;
use support::{Watchdog, again_in_high_contrast, pause, pictures, show, wait};
use ui::console::ConsoleView;
use ui::fake::FakeSerial;
use vmm_core::machine::SerialStart;
use vte::prelude::*;

const BOOT: &str =
    "\x1b[0m\x1b[32m  OK  \x1b[0m] Started \x1b[1mgetty@tty1.service\x1b[0m - Getty on tty1.\r\n";

fn text(view: &ConsoleView) -> String {
    let terminal = view.terminal();
    let (first, rows) =
        (terminal.vadjustment().unwrap().lower(), terminal.vadjustment().unwrap().upper());
    let (text, _) =
        terminal.text_range_format(vte::Format::Text, first as i64, 0, rows as i64 + 1, 0);
    text.map(Into::into).unwrap_or_default()
}

async fn attached() -> (ConsoleView, Arc<FakeSerial>, adw::Window) {
    adw::init().unwrap();
    let serial = Arc::new(FakeSerial::default());
    let view = ConsoleView::new();
    view.attach(serial.attach(SerialStart::Scrollback));
    let window = show(&view, 820, 560).await;
    (view, serial, window)
}

#[gtk::test]
async fn pictures_of_the_console() {
    let (view, serial, window) = attached().await;
    pictures(&window, "console-silent").await;
    serial.say_all(b"\x1b[1;34mLoading Linux 6.12.48+deb13-amd64 ...\x1b[0m\r\nLoading initial ramdisk ...\r\n");
    for _ in 0..8 {
        serial.say_all(b"[");
        serial.say_all(BOOT.as_bytes());
    }
    for colour in 0..8 {
        let line = format!(
            "\x1b[3{colour}mcolour {colour}\x1b[0m \x1b[9{colour}mbright {colour}\x1b[0m  "
        );
        serial.say_all(line.as_bytes());
    }
    serial.say_all(b"\r\n\r\nDebian GNU/Linux 13 debian ttyS0\r\n\r\n");
    pause(100).await;
    view.mark_reset();
    serial.say_all(
        "debian login: root\r\nSee https://www.debian.org/doc/ for more.\r\nroot@debian:~# "
            .as_bytes(),
    );
    pause(200).await;
    pictures(&window, "console").await;
    view.activate_action("console.find", None).unwrap();
    view.send_text(&"x".repeat(1 << 20));
    pause(300).await;
    pictures(&window, "console-find-sending").await;
    window.destroy();
    let empty = show(&ConsoleView::new(), 700, 480).await;
    pictures(&empty, "console-empty").await;
    empty.destroy();
    again_in_high_contrast("pictures_of_the_console");
}

#[gtk::test]
async fn what_was_said_before_is_shown_and_what_is_typed_is_heard() {
    adw::init().unwrap();
    let serial = Arc::new(FakeSerial::default());
    serial.say_all(b"said before\r\n");
    let view = ConsoleView::new();
    view.attach(serial.attach(SerialStart::Scrollback));
    let window = show(&view, 700, 400).await;
    serial.say_all(b"said after\r\n");
    wait(|| text(&view).contains("said before\nsaid after")).await;
    view.terminal().paste_text("ls\n");
    pause(50).await;
    assert_eq!(serial.hear(100), b"ls\r");
    window.destroy();
}

#[gtk::test]
async fn ten_thousand_lines_a_second_do_not_hold_up_the_window() {
    let (view, serial, window) = attached().await;
    pause(300).await;
    let watchdog = Watchdog::start();
    let guest = std::thread::spawn({
        let serial = serial.clone();
        move || {
            for n in 0..300 {
                let lines: String = (0..100)
                    .map(|m| {
                        format!(
                            "[{:>10}] \x1b[33mline {}\x1b[0m {}\r\n",
                            n,
                            n * 100 + m,
                            "-".repeat(50)
                        )
                    })
                    .collect();
                serial.say_all(lines.as_bytes());
                std::thread::sleep(Duration::from_millis(9));
            }
            serial.say_all(b"the end\r\n");
        }
    });
    let mut seconds = 0;
    while !text_of_screen(&view).contains("the end") {
        pause(100).await;
        seconds += 1;
        assert!(seconds < 300, "the end never came");
    }
    guest.join().unwrap();
    watchdog.check();
    let rows = view.terminal().vadjustment().unwrap().upper();
    assert!(rows >= 30_000.0, "{rows} lines");
    window.destroy();
}

fn text_of_screen(view: &ConsoleView) -> String {
    view.terminal().text_format(vte::Format::Text).map(Into::into).unwrap_or_default()
}

#[gtk::test]
async fn a_guest_that_never_stops_is_slowed_and_can_be_left() {
    let (view, serial, window) = attached().await;
    let stop = Arc::new(AtomicBool::new(false));
    let guest = std::thread::spawn({
        let (serial, stop) = (serial.clone(), stop.clone());
        move || {
            while !stop.load(Ordering::Relaxed) {
                if serial.say(&[b'y'; 4096]) < 4096 {
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
        }
    });
    pause(300).await;
    let watchdog = Watchdog::start();
    pause(3000).await;
    watchdog.check();
    view.detach();
    assert!(!view.is_attached());
    stop.store(true, Ordering::Relaxed);
    guest.join().unwrap();
    window.destroy();
}

#[gtk::test]
async fn hostile_output_does_no_harm() {
    let (view, serial, window) = attached().await;
    let clipboard = view.clipboard();
    clipboard.set_text("untouched");
    let size = (window.width(), window.height());
    let mut hostile: Vec<Vec<u8>> = [
        // The clipboard, windows, titles, fonts, colours, notifications, links, device control.
        "\x1b]52;c;aGFja2Vk\x07\x1b]52;p;aGFja2Vk\x1b\\",
        "\x1b[8;500;500t\x1b[3;0;0t\x1b[2t\x1b[1t\x1b[5t\x1b[9;1t\x1b[21t\x1b[20t\x1b[18t",
        "\x1b]0;title\x07\x1b]2;title\x07\x1b]50;Sans 80\x07\x1b]4;0;#fff\x07\x1b]10;#000\x07\x1b]11;#000\x07",
        "\x1b]777;notify;a;b\x07\x1b]9;b\x07\x1b]99;;b\x07",
        "\x1b]8;;file:///etc/passwd\x07click\x1b]8;;\x07",
        "\x1bPq#0;2;0;0;0~~@@vv\x1b\\\x1bP+q544e\x1b\\\x1bP$qm\x1b\\",
        // Much work for few bytes.
        "a\x1b[2147483647b\x1b[2147483647X\x1b[2147483647L\x1b[2147483647M\x1b[2147483647S\x1b[2147483647T",
        "\x1b[999999999;999999999H\x1b#8\x1b[2J\x1b[3J\x1b[?1049h\x1b[?5h\x1b[20h",
        // Never ends.
        "\x1b]0;",
    ]
    .map(|sequence| sequence.as_bytes().repeat(200))
    .into();
    hostile.push("e\u{301}".repeat(20_000).into_bytes());
    hostile.push("\u{202e}\u{200d}".repeat(5000).into_bytes());
    let mut state = 12345u64;
    hostile.push(
        (0..200_000)
            .map(|_| {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                match state >> 60 {
                    0 => 0x1b,
                    1 => b'[',
                    _ => (state >> 33) as u8,
                }
            })
            .collect(),
    );
    let watchdog = Watchdog::start();
    for bytes in hostile {
        let guest = serial.clone();
        gio::spawn_blocking(move || guest.say_all(&bytes)).await.unwrap();
        pause(300).await;
        // It goes on to speak and listen.
        serial_hears(&serial);
        view.mark_reset();
    }
    watchdog.check();
    assert_eq!((window.width(), window.height()), size);
    assert_eq!(clipboard.read_text_future().await.unwrap().as_deref(), Some("untouched"));
    serial.say_all(b"\r\nstill here\r\n");
    wait(|| text_of_screen(&view).contains("still here")).await;
    window.destroy();
}

fn serial_hears(serial: &FakeSerial) {
    while !serial.hear(4096).is_empty() {}
}

#[gtk::test]
async fn megabytes_pasted_arrive_whole_without_holding_up_the_window() {
    let (view, serial, window) = attached().await;
    let text: String = (0..400_000).map(|n| format!("{n}\n")).collect();
    let length = text.len();
    assert!(length > 2 << 20);
    pause(300).await;
    view.clipboard().set_text(&text);
    let watchdog = Watchdog::start();
    view.activate_action("console.paste", None).unwrap();
    let guest = std::thread::spawn({
        let serial = serial.clone();
        move || {
            let mut heard = Vec::new();
            let start = std::time::Instant::now();
            while heard.len() < length && start.elapsed() < Duration::from_secs(60) {
                heard.extend(serial.hear(256));
            }
            heard
        }
    });
    while !guest.is_finished() {
        pause(50).await;
    }
    let heard = guest.join().unwrap();
    assert!(heard == text.replace('\n', "\r").into_bytes(), "{} of {length} bytes", heard.len());
    watchdog.check();
    window.destroy();
}

#[gtk::test]
async fn what_waits_can_be_cancelled_and_too_much_is_refused() {
    let (view, serial, window) = attached().await;
    view.send_text(&"a".repeat(1 << 20));
    pause(100).await;
    assert!(view.unsent() > 900_000);
    view.cancel_sending();
    assert_eq!(view.unsent(), 0);
    while !serial.hear(4096).is_empty() {
        pause(5).await;
    }
    view.send_text("b");
    pause(50).await;
    assert_eq!(serial.hear(10), b"b");
    view.send_text(&"c".repeat((16 << 20) + 1));
    assert_eq!(view.unsent(), 0);
    window.destroy();
}

#[gtk::test]
async fn resets_are_marked_and_mend_the_terminal() {
    let (view, serial, window) = attached().await;
    serial.say_all(b"first system\x1b[?1049h\x1b[?25l\x1b[31malternate");
    pause(100).await;
    view.mark_reset();
    serial.say_all(b"second system");
    wait(|| text(&view).contains("second system")).await;
    let text = text(&view);
    let place = |needle: &str| text.find(needle).unwrap_or_else(|| panic!("{needle} in {text}"));
    assert!(place("first system") < place("— machine was reset —"));
    assert!(place("— machine was reset —\nsecond system") > 0);
    window.destroy();
}

#[gtk::test]
async fn the_end_of_the_machine_is_told_and_the_text_kept() {
    let (view, serial, window) = attached().await;
    serial.say_all(b"last words\r\n");
    let serial = Arc::into_inner(serial).unwrap();
    drop(serial);
    wait(|| !view.is_attached()).await;
    wait(|| text(&view).contains("last words\n— machine is off —")).await;
    view.send_text("nobody hears this");
    assert_eq!(view.unsent(), 0);
    let next = FakeSerial::default();
    view.attach(next.attach(SerialStart::Scrollback));
    next.say_all(b"hello again");
    wait(|| text(&view).contains("— machine was started —\nhello again")).await;
    assert!(text(&view).contains("last words"));
    window.destroy();
}

#[gtk::test]
async fn all_of_the_output_is_saved() {
    let (view, serial, window) = attached().await;
    // Long lines wrap on the screen and not in the file.
    let line = |n: u32| {
        format!("{n:05} {}", "abc ".repeat(if n.is_multiple_of(10) { 60 } else { 3 }).trim_end())
    };
    let lines: Vec<String> = (0..3000).map(line).collect();
    let bytes = lines.join("\r\n").into_bytes();
    gio::spawn_blocking({
        let serial = serial.clone();
        move || serial.say_all(&bytes)
    })
    .await
    .unwrap();
    wait(|| text_of_screen(&view).contains("02999")).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("console.txt");
    let watchdog = Watchdog::start();
    view.save_to(&gio::File::for_path(&path)).await.unwrap();
    watchdog.check();
    let saved = std::fs::read_to_string(&path).unwrap();
    assert_eq!(saved.lines().map(str::trim_end).collect::<Vec<_>>(), lines);
    let error = view.save_to(&gio::File::for_path("/nowhere/console.txt")).await.unwrap_err();
    assert!(error.matches(gio::IOErrorEnum::NotFound), "{error}");
    window.destroy();
}

#[gtk::test]
async fn text_is_found_in_a_full_scrollback() {
    let (view, serial, window) = attached().await;
    gio::spawn_blocking(move || {
        for n in 0..1000 {
            if n == 10 {
                serial.say_all(b"a needle (here)\r\n");
            }
            let lines: String =
                (0..100).map(|m| format!("{n} {m} some hay that fills the line\r\n")).collect();
            serial.say_all(lines.as_bytes());
        }
        serial.say_all(b"the end");
    })
    .await
    .unwrap();
    wait(|| text_of_screen(&view).contains("the end")).await;
    view.activate_action("console.find", None).unwrap();
    let entry = descendants::<gtk::SearchEntry>(view.upcast_ref()).remove(0);
    let selected = || {
        let text = view.terminal().text_selected(vte::Format::Text).unwrap_or_default();
        text.trim().to_owned()
    };
    let watchdog = Watchdog::start();
    entry.set_text("NEEDLE (");
    wait(|| selected() == "needle (").await;
    entry.set_text("nothing like it");
    let start = std::time::Instant::now();
    wait(|| entry.has_css_class("error")).await;
    println!("looked through 100,000 lines in {:?}", start.elapsed());
    assert_eq!(selected(), "");

    // From one to the next, and around.
    let toggles: Vec<gtk::ToggleButton> = descendants(view.upcast_ref());
    toggles.iter().find(|toggle| toggle.label().as_deref() == Some(".*")).unwrap().set_active(true);
    entry.set_text("^(123 4[56]|999 99) some");
    for expected in ["999 99", "123 46", "123 45", "999 99"] {
        wait(|| selected().starts_with(expected)).await;
        entry.emit_by_name::<()>("previous-match", &[]);
    }
    wait(|| selected().starts_with("123 46")).await;
    entry.emit_by_name::<()>("next-match", &[]);
    wait(|| selected().starts_with("999 99")).await;
    entry.set_text("(unfinished");
    wait(|| entry.has_css_class("error")).await;
    // Tries everything, and finds nothing.
    entry.set_text("(h|a|y|[a-z ])+(h|a|y|[a-z ])+(h|a|y|[a-z ])+!");
    pause(1000).await;
    watchdog.check();
    window.destroy();
}

fn descendants<T: IsA<gtk::Widget>>(widget: &gtk::Widget) -> Vec<T> {
    let mut found: Vec<T> = widget.downcast_ref().cloned().into_iter().collect();
    let mut child = widget.first_child();
    while let Some(widget) = child {
        found.extend(descendants(&widget));
        child = widget.next_sibling();
    }
    found
}

#[gtk::test]
async fn the_view_is_freed_while_the_guest_speaks() {
    let (view, serial, window) = attached().await;
    serial.say_all(b"hello\r\n");
    pause(50).await;
    let weak = view.downgrade();
    window.destroy();
    drop((view, window));
    pause(300).await;
    assert!(weak.upgrade().is_none());
    // Nobody holds the guest up any more.
    assert_eq!(serial.say(&vec![b'x'; 1 << 20]), 1 << 20);
}

#[gtk::test]
async fn the_text_is_made_larger_and_smaller() {
    let (view, _serial, window) = attached().await;
    let scale = || view.terminal().font_scale();
    view.activate_action("console.zoom-in", None).unwrap();
    assert!(scale() > 1.05);
    (0..50).for_each(|_| view.activate_action("console.zoom-out", None).unwrap());
    assert_eq!(scale(), 0.5);
    view.activate_action("console.zoom-normal", None).unwrap();
    assert_eq!(scale(), 1.0);
    window.destroy();
}
