//! Downloads from a server on this computer that behaves, and from such that do not.

mod server;
mod signature;
mod signed;
mod signer;

use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use self::server::{Request, Server, head, ranged, whole};
use super::catalogue::{Kind, System};
use super::checksum::{Checksum, Sum};
use super::client::Patience;
use super::fetch::{Limits, fetch_within};
use super::{Begun, DownloadError, begun, forget};
use crate::units::Bytes;

const LISTED: &str = "/iso/image-1.iso";

/// Some image's bytes, more than fit into the buffers on the way.
fn image() -> Vec<u8> {
    (0..3_000_000u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect()
}

fn sum(bytes: &[u8]) -> Checksum {
    let mut sum = Sum::like(&Checksum::Sha256([0; 32]));
    sum.update(bytes);
    sum.finish()
}

/// A server with a list of checksums that names the image's, which `answer` gives.
fn publisher(
    image: &[u8],
    answer: impl Fn(&Request, &mut TcpStream) + Send + Sync + 'static,
) -> (Server, System) {
    let list = format!("{}  image-1.iso\n", sum(image));
    let server = Server::new(move |request, connection| match request.path.as_str() {
        "/iso/SUMS" => whole(connection, "list", list.as_bytes()),
        _ => answer(request, connection),
    });
    let system = system(server.address("/iso/SUMS"), "image-*.iso");
    (server, system)
}

fn system(checksums: String, image: &str) -> System {
    System {
        name: "Some System".into(),
        publisher: "Somebody".into(),
        kind: Kind::Live,
        size: Bytes::mib(12),
        checksums: Some(checksums),
        image: image.into(),
        checksum: None,
        key: None,
        signature: None,
    }
}

fn impatient() -> Limits {
    let patience = Patience { connect: Duration::from_secs(5), stall: Duration::from_millis(300) };
    Limits { image: Bytes::gib(1), patience }
}

fn get(system: &System, folder: &TempDir) -> Result<PathBuf, DownloadError> {
    fetch_within(impatient(), system, folder.path(), &|_, _| true)
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<_> = entries.map(|name| name.into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn an_image_arrives_whole_and_is_not_fetched_twice() {
    let (body, folder) = (image(), tempfile::tempdir().unwrap());
    let (server, system) = publisher(&body, {
        let body = body.clone();
        move |request, connection| ranged(request, connection, "1", &body)
    });
    for _ in 0..2 {
        let path = get(&system, &folder).unwrap();
        assert_eq!(path, folder.path().join("image-1.iso"));
        assert!(fs::read(&path).unwrap() == body);
        assert_eq!(names(folder.path()), ["image-1.iso"]);
    }
    assert_eq!(server.requests(LISTED).len(), 1);
    // What has its name but is another is replaced.
    fs::write(folder.path().join("image-1.iso"), "old").unwrap();
    assert!(fs::read(get(&system, &folder).unwrap()).unwrap() == body);
}

#[test]
fn an_address_may_lead_to_another() {
    let (body, folder) = (image(), tempfile::tempdir().unwrap());
    let (_server, system) = publisher(&body, {
        let body = body.clone();
        move |request, connection| match request.path.as_str() {
            LISTED => head(connection, "302 Found", "Location: /mirror/a\r\nContent-Length: 0\r\n"),
            _ => whole(connection, "1", &body),
        }
    });
    assert!(fs::read(get(&system, &folder).unwrap()).unwrap() == body);
}

/// A publisher that loses the first connection after 4 MB; what it gives later is up to `later`.
fn unsteady(
    body: &[u8],
    later: impl Fn(&Request, &mut TcpStream) + Send + Sync + 'static,
) -> (Server, System) {
    let (first, whole_body) = (AtomicBool::new(true), body.to_vec());
    publisher(body, move |request, connection| {
        if first.swap(false, Ordering::Relaxed) {
            let fields = format!("ETag: \"1\"\r\nContent-Length: {}\r\n", whole_body.len());
            head(connection, "200 OK", &fields);
            let _ = connection.write_all(&whole_body[..4_000_000]);
        } else {
            later(request, connection);
        }
    })
}

fn break_off(system: &System, folder: &TempDir) {
    let error = get(system, folder).unwrap_err();
    assert!(matches!(error, DownloadError::Interrupted { .. }), "{error:?}");
    assert_eq!(names(folder.path()), ["image-1.iso.part", "image-1.iso.part.json"]);
    let found = begun(folder.path());
    assert_eq!(found, [Begun { system: "Some System".into(), done: Bytes(4_000_000) }]);
}

#[test]
fn what_broke_off_is_gone_on_with() {
    let (body, folder) = (image(), tempfile::tempdir().unwrap());
    let served = body.clone();
    let (server, system) =
        unsteady(&body, move |request, connection| ranged(request, connection, "1", &served));
    break_off(&system, &folder);
    assert!(fs::read(get(&system, &folder).unwrap()).unwrap() == body);
    assert_eq!(server.requests(LISTED)[1].from(), Some(4_000_000));
    assert_eq!(names(folder.path()), ["image-1.iso"]);
}

#[test]
fn what_has_changed_meanwhile_is_fetched_anew() {
    let (body, folder) = (image(), tempfile::tempdir().unwrap());
    let served = body.clone();
    let (_server, system) =
        unsteady(&body, move |request, connection| ranged(request, connection, "2", &served));
    break_off(&system, &folder);
    assert!(fs::read(get(&system, &folder).unwrap()).unwrap() == body);
}

#[test]
fn a_rest_that_cannot_be_had_is_replaced_by_the_whole() {
    for refusal in ["416 Range Not Satisfiable", "206 Partial Content"] {
        let (body, folder) = (image(), tempfile::tempdir().unwrap());
        let served = body.clone();
        let (server, system) = unsteady(&body, move |request, connection| match request.from() {
            Some(_) => head(connection, refusal, "Content-Length: 0\r\n"),
            None => whole(connection, "1", &served),
        });
        break_off(&system, &folder);
        assert!(fs::read(get(&system, &folder).unwrap()).unwrap() == body);
        assert_eq!(server.requests(LISTED).len(), 3);
    }
}

#[test]
fn a_beginning_of_another_image_is_not_gone_on_with() {
    let (body, folder) = (image(), tempfile::tempdir().unwrap());
    let served = body.clone();
    let (server, system) = publisher(&body, move |_, connection| whole(connection, "1", &served));
    for note in ["{}".to_owned(), "nonsense".to_owned(), {
        let address = server.address(LISTED);
        let other = sum(b"other");
        format!(
            r#"{{"system":"S","address":"{address}","validator":"\"1\"","length":9,"checksum":"{other}"}}"#
        )
    }] {
        let _ = fs::remove_file(folder.path().join("image-1.iso"));
        fs::write(folder.path().join("image-1.iso.part"), "beginning").unwrap();
        fs::write(folder.path().join("image-1.iso.part.json"), note).unwrap();
        assert!(fs::read(get(&system, &folder).unwrap()).unwrap() == body);
    }
    assert!(server.requests(LISTED).iter().all(|request| request.from().is_none()));
}

#[test]
fn what_was_killed_before_the_last_check_is_checked() {
    let (body, folder) = (image(), tempfile::tempdir().unwrap());
    let (server, system) = publisher(&body, |_, connection| head(connection, "404 Not Found", ""));
    let (part, note) =
        (folder.path().join("image-1.iso.part"), folder.path().join("image-1.iso.part.json"));
    let text = format!(
        r#"{{"system":"S","address":"{}","validator":"\"1\"","length":{},"checksum":"{}"}}"#,
        server.address(LISTED),
        body.len(),
        sum(&body)
    );
    let mut damaged = body.clone();
    damaged[5] ^= 1;
    fs::write(&part, damaged).unwrap();
    fs::write(&note, &text).unwrap();
    assert!(matches!(get(&system, &folder), Err(DownloadError::Checksum(_))));
    assert!(names(folder.path()).is_empty());
    fs::write(&part, &body).unwrap();
    fs::write(&note, &text).unwrap();
    assert!(fs::read(get(&system, &folder).unwrap()).unwrap() == body);
}

#[test]
fn a_wrong_checksum_leaves_nothing() {
    let (body, folder) = (image(), tempfile::tempdir().unwrap());
    let mut damaged = body.clone();
    damaged[7_000_000] ^= 1;
    let (_server, system) = publisher(&body, move |_, connection| whole(connection, "1", &damaged));
    let error = get(&system, &folder).unwrap_err();
    assert!(matches!(&error, DownloadError::Checksum(name) if name == "image-1.iso"), "{error:?}");
    assert!(names(folder.path()).is_empty());
}

#[test]
fn a_download_ends_at_once_when_cancelled_and_goes_on_later() {
    let (body, folder) = (image(), tempfile::tempdir().unwrap());
    let (served, first) = (body.clone(), AtomicBool::new(true));
    let (_server, system) = publisher(&body, move |request, connection| {
        if first.swap(false, Ordering::Relaxed) {
            head(
                connection,
                "200 OK",
                &format!("ETag: \"1\"\r\nContent-Length: {}\r\n", served.len()),
            );
            let _ = connection.write_all(&served[..2_000_000]);
            // The rest never comes.
            std::thread::sleep(Duration::from_secs(60));
        } else {
            ranged(request, connection, "1", &served);
        }
    });
    let limits = Limits {
        patience: Patience { stall: Duration::from_secs(60), ..Patience::default() },
        ..impatient()
    };
    let (most, began) = (AtomicU64::new(0), Instant::now());
    let cancelled = fetch_within(limits, &system, folder.path(), &|done, total| {
        assert!(total == Bytes(0) || total == Bytes(12_000_000));
        most.store(done.0, Ordering::Relaxed);
        done.0 < 2_000_000
    });
    assert!(matches!(cancelled, Err(DownloadError::Cancelled)), "{cancelled:?}");
    assert!(began.elapsed() < Duration::from_secs(20));
    assert_eq!(most.into_inner(), 2_000_000);
    assert_eq!(names(folder.path()), ["image-1.iso.part", "image-1.iso.part.json"]);
    assert!(fs::read(get(&system, &folder).unwrap()).unwrap() == body);
}

#[test]
fn what_was_begun_can_be_forgotten() {
    let (body, folder) = (image(), tempfile::tempdir().unwrap());
    let (_server, system) = unsteady(&body, |_, _| {});
    break_off(&system, &folder);
    forget(folder.path(), "Another").unwrap();
    assert_eq!(names(folder.path()).len(), 2);
    forget(folder.path(), "Some System").unwrap();
    assert!(names(folder.path()).is_empty());
}

#[test]
fn two_do_not_write_one_file() {
    let (body, folder) = (image(), tempfile::tempdir().unwrap());
    let served = body.clone();
    let (_server, system) = publisher(&body, move |_, connection| {
        head(connection, "200 OK", &format!("Content-Length: {}\r\n", served.len()));
        let (begin, rest) = served.split_at(1_000_000);
        let _ = connection.write_all(begin);
        std::thread::sleep(Duration::from_millis(200));
        let _ = connection.write_all(rest);
    });
    let (seconds, reports) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let (system, folder) = (Arc::new(system), Arc::new(folder));
    fetch_within(impatient(), &system, folder.path(), &|done, _| {
        // While the first is at it.
        if done.0 == 1_000_000 && reports.fetch_add(1, Ordering::Relaxed) == 0 {
            match get(&system, &folder) {
                Err(DownloadError::Busy(_)) => _ = seconds.fetch_add(1, Ordering::Relaxed),
                other => panic!("{other:?}"),
            }
            assert!(matches!(forget(folder.path(), "Some System"), Err(DownloadError::Busy(_))));
        }
        true
    })
    .unwrap();
    assert_eq!(seconds.into_inner(), 1);
    assert!(fs::read(folder.path().join("image-1.iso")).unwrap() == body);
}

/// Fails, and leaves nothing.
fn fails(
    limits: Limits,
    answer: impl Fn(&Request, &mut TcpStream) + Send + Sync + 'static,
) -> DownloadError {
    let folder = tempfile::tempdir().unwrap();
    let (_server, system) = publisher(b"image", answer);
    let error = fetch_within(limits, &system, folder.path(), &|_, _| true).unwrap_err();
    assert!(names(folder.path()).is_empty(), "{error:?}");
    error
}

#[test]
fn servers_that_misbehave_are_told_apart() {
    let limits = impatient();
    let error =
        fails(limits, |_, connection| head(connection, "404 Not Found", "Content-Length: 0\r\n"));
    assert!(matches!(error, DownloadError::Status { status: 404, .. }), "{error:?}");
    let error = fails(limits, |request, connection| {
        let next = format!("Location: {}\r\nContent-Length: 0\r\n", request.path);
        head(connection, "301 Moved", &next);
    });
    assert!(matches!(error, DownloadError::Redirects(_)), "{error:?}");
    let error = fails(limits, |_, _| {});
    assert!(matches!(error, DownloadError::Unreachable { .. }), "{error:?}");
    let error = fails(limits, |_, connection| drop(connection.write_all(b"nonsense\r\n\r\n")));
    assert!(matches!(error, DownloadError::Unreachable { .. }), "{error:?}");
    let error = fails(limits, |_, _| std::thread::sleep(Duration::from_secs(3)));
    assert!(matches!(error, DownloadError::Stalled(_)), "{error:?}");
    let error = fails(limits, |_, connection| {
        head(connection, "200 OK", "Content-Length: 5\r\n");
        std::thread::sleep(Duration::from_secs(3));
    });
    assert!(matches!(error, DownloadError::Stalled(_)), "{error:?}");
    let huge = |_: &Request, connection: &mut TcpStream| {
        head(connection, "200 OK", "Content-Length: 1125899906842624\r\n");
    };
    let error = fails(limits, huge);
    assert!(matches!(error, DownloadError::TooLarge { .. }), "{error:?}");
    let error = fails(Limits { image: Bytes(u64::MAX), ..limits }, huge);
    assert!(
        matches!(error, DownloadError::NoSpace { needed, .. } if needed == Bytes(1 << 50)),
        "{error:?}"
    );
}

#[test]
fn an_answer_without_an_end_is_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    let (_server, system) = publisher(b"image", |_, connection| {
        head(connection, "200 OK", "");
        while connection.write_all(&[0; 65536]).is_ok() {}
    });
    let limits = Limits { image: Bytes::mib(4), ..impatient() };
    let error = fetch_within(limits, &system, folder.path(), &|_, _| true).unwrap_err();
    assert!(matches!(error, DownloadError::TooLarge { .. }), "{error:?}");
    let kept: u64 = begun(folder.path()).iter().map(|begun| begun.done.0).sum();
    assert!(kept <= Bytes::mib(4).0);
}

#[test]
fn lists_that_are_none_are_refused() {
    for (list, image) in [
        (format!("{}  other.iso\n", sum(b"")), "image-*.iso"),
        ("<html></html>".to_owned(), "image-*.iso"),
        (format!("{}  ../image-1.iso\n", sum(b"")), "*"),
        ("x".repeat(2 << 20), "image-*.iso"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let server = Server::new(move |_, connection| whole(connection, "1", list.as_bytes()));
        let error = get(&system(server.address("/SUMS"), image), &folder).unwrap_err();
        assert!(
            matches!(error, DownloadError::NotListed { .. } | DownloadError::Interrupted { .. }),
            "{error:?}"
        );
        assert!(names(folder.path()).is_empty());
    }
}

#[test]
fn nobody_there_is_said() {
    let folder = tempfile::tempdir().unwrap();
    // Nobody listens where somebody has just been.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let error =
        get(&system(format!("http://127.0.0.1:{port}/SUMS"), "a.iso"), &folder).unwrap_err();
    assert!(matches!(error, DownloadError::Unreachable { .. }), "{error:?}");
    assert!(crate::sentence::sentence(&error).starts_with("“127.0.0.1” cannot be reached"));
}

#[test]
fn a_full_disk_is_told_from_other_faults() {
    let path = Path::new("/folder/image.iso.part");
    let full = DownloadError::file(path)(std::io::ErrorKind::StorageFull.into());
    assert!(matches!(full, DownloadError::Full(folder) if folder == Path::new("/folder")));
    let other = DownloadError::file(path)(std::io::ErrorKind::PermissionDenied.into());
    assert!(matches!(other, DownloadError::File { .. }));
}
