//! A system from the list, downloaded from a server on this computer that a person has added to it.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;

use berth_tests::desktop::{App, Desktop, Wizard, store};
use berth_tests::image;
use rustix::process::Signal;

/// How much of an image the first connection brings before it falls silent.
const BEGINNING: usize = 1 << 20;

/// A publisher with one image and its checksum. The first who asks for the image gets its beginning
/// and then waits for ever; others get what they ask for.
struct Publisher {
    port: u16,
    /// The first byte that each asked for.
    asked: Arc<Mutex<Vec<usize>>>,
}

impl Publisher {
    fn start(sums: String, image: Vec<u8>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("a port").port();
        let asked: Arc<Mutex<Vec<usize>>> = Arc::default();
        let (seen, image) = (asked.clone(), Arc::new(image));
        thread::spawn(move || {
            for connection in listener.incoming().map_while(Result::ok) {
                let (sums, image, seen) = (sums.clone(), image.clone(), seen.clone());
                thread::spawn(move || serve(connection, &sums, &image, &seen));
            }
        });
        Self { port, asked }
    }

    fn asked(&self) -> Vec<usize> {
        self.asked.lock().expect("no thread failed").clone()
    }
}

/// Answers one request. Who asked may be killed meanwhile.
fn serve(mut connection: TcpStream, sums: &str, image: &[u8], asked: &Mutex<Vec<usize>>) {
    let lines = BufReader::new(connection.try_clone().expect("a socket")).lines();
    let header: Vec<String> =
        lines.map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
    let mut answer = |status: &str, range: &str, body: &[u8], length: usize| {
        let head = format!(
            "HTTP/1.1 {status}\r\nConnection: close\r\nETag: \"one\"\r\nContent-Length: {length}\r\n{range}\r\n"
        );
        let _ = connection.write_all(head.as_bytes()).and_then(|()| connection.write_all(body));
    };
    if header[0].contains("/SUMS ") {
        return answer("200 OK", "", sums.as_bytes(), sums.len());
    }
    let range = header.iter().find_map(|line| {
        line.to_ascii_lowercase().strip_prefix("range: bytes=").map(str::to_owned)
    });
    let from = range.and_then(|range| range.trim_end_matches('-').parse().ok()).unwrap_or(0);
    let first = {
        let mut asked = asked.lock().expect("no thread failed");
        asked.push(from);
        asked.len() == 1
    };
    let length = image.len();
    if first {
        answer("200 OK", "", &image[..BEGINNING], length);
        thread::park();
    } else if from == 0 {
        answer("200 OK", "", image, length);
    } else {
        let range = format!("Content-Range: bytes {from}-{}/{length}\r\n", length - 1);
        answer("206 Partial Content", &range, &image[from..], length - from);
    }
}

/// Adds a system to the list that comes from there.
fn add_to_list(desktop: &Desktop, publisher: &Publisher) {
    let list = format!(
        "[[system]]\nname = \"A Menu\"\npublisher = \"This Computer\"\nkind = \"live\"\nsize = \"5M\"\n\
         checksums = \"http://127.0.0.1:{}/SUMS\"\nimage = \"grub*.iso\"\n",
        publisher.port
    );
    fs::create_dir_all(store(desktop)).expect("a data folder");
    fs::write(store(desktop).join("operating-systems.toml"), list).expect("a list");
}

fn downloads(desktop: &Desktop) -> Vec<String> {
    let entries = fs::read_dir(store(desktop).join(".downloads")).into_iter().flatten();
    let names = entries.map(|entry| entry.expect("an entry").file_name());
    let mut names: Vec<_> = names.map(|name| name.to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// At the list of systems.
fn at_the_list<'a>(app: &'a App<'a>) -> Wizard<'a> {
    app.key("ctrl+n");
    let wizard = Wizard::shown(app);
    app.press("list item", "Download an Operating System…");
    app.find("list item", "A Menu");
    wizard
}

#[test]
fn a_download_survives_a_kill_and_becomes_a_machine() {
    let image = image("grub.iso");
    let sums = Command::new("sha256sum").arg(&image).output().expect("sha256sum").stdout;
    let sum = String::from_utf8_lossy(&sums).split(' ').next().unwrap_or_default().to_owned();
    let body = fs::read(&image).expect("the image");
    let publisher = Publisher::start(format!("{sum}  grub-2.iso\n"), body.clone());
    let desktop = Desktop::start("download");
    add_to_list(&desktop, &publisher);

    let mut app = App::start(&desktop, [""; 0]);
    at_the_list(&app);
    app.milestone("list");
    app.press("list item", "A Menu");
    app.find("label", "1 MiB of .*");
    app.milestone("running");
    app.was_responsive();
    app.signal(Signal::KILL);
    app.ended();
    assert_eq!(downloads(&desktop), ["grub-2.iso.part", "grub-2.iso.part.json"]);

    let mut app = App::start(&desktop, [""; 0]);
    let wizard = at_the_list(&app);
    app.find("label", ".* 1 MiB of about 5 MiB arrived");
    app.milestone("begun");
    app.press("list item", "A Menu");
    app.find("label", "grub-2.iso");
    app.milestone("chosen");
    assert_eq!(publisher.asked(), [0, BEGINNING]);
    assert_eq!(downloads(&desktop), ["grub-2.iso"]);
    let file = store(&desktop).join(".downloads/grub-2.iso");
    assert!(fs::read(&file).expect("the file") == body);
    for page in ["Memory and Processors", "Disk", "Review"] {
        wizard.next(page);
    }
    app.press("switch", "Start Now");
    wizard.create();
    app.find("list item", "[^,]*, Off");
    app.was_responsive();
    app.quit();
}

#[test]
fn a_damaged_download_is_told_and_leaves_nothing() {
    let body = fs::read(image("grub.iso")).expect("the image");
    let publisher = Publisher::start(format!("{}  grub-2.iso\n", "0".repeat(64)), body);
    // The first has been here.
    publisher.asked.lock().expect("no thread failed").push(0);
    let desktop = Desktop::start("download-damaged");
    add_to_list(&desktop, &publisher);
    let mut app = App::start(&desktop, [""; 0]);
    at_the_list(&app);
    app.press("list item", "A Menu");
    app.find("label", "“grub-2.iso” arrived damaged.*");
    app.milestone("told");
    assert!(downloads(&desktop).is_empty());
    app.was_responsive();
    app.press("button", "Cancel");
    app.gone("dialog", Wizard::TITLE);
    app.quit();
}
