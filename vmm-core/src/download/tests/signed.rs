//! Downloads from publishers that sign their lists, and from somebody in their place.

use std::fs;

use super::super::keys::Key;
use super::server::{Server, head, whole};
use super::signer::{MADE, Signer, With, YEAR};
use super::{LISTED, get, names, sum, system};
use crate::download::{DownloadError, SignatureError, System};

const IMAGE: &[u8] = b"an image";

/// What a server has: the list, and perhaps a signature.
fn publisher(list: Vec<u8>, signature: Option<Vec<u8>>) -> Server {
    Server::new(move |request, connection| match (request.path.as_str(), &signature) {
        ("/iso/SUMS", _) => whole(connection, "list", &list),
        ("/iso/SUMS.sign", Some(signature)) => whole(connection, "signature", signature),
        (LISTED, _) => whole(connection, "image", IMAGE),
        _ => head(connection, "404 Not Found", "Content-Length: 0\r\n"),
    })
}

fn list() -> String {
    format!("{}  image-1.iso\n", sum(IMAGE))
}

/// The system on `server`, to be signed by `signer` inside of the list or `beside` it.
fn signed(server: &Server, signer: &Signer, beside: bool) -> System {
    System {
        key: Some(Key::of(&signer.certificate())),
        signature: beside.then(|| server.address("/iso/SUMS.sign")),
        ..system(server.address("/iso/SUMS"), "image-*.iso")
    }
}

fn arrives(server: &Server, system: &System) {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(fs::read(get(system, &folder).unwrap()).unwrap(), IMAGE);
    assert_eq!(server.requests(LISTED).len(), 1);
}

/// Nothing is asked for but the list and the signature, and nothing is kept.
fn is_refused(server: &Server, system: &System, reason: SignatureError) {
    let folder = tempfile::tempdir().unwrap();
    let error = get(system, &folder).unwrap_err();
    let sentence = crate::sentence::sentence(&error);
    assert!(sentence.contains("“Some System” is not signed by its publisher"), "{sentence}");
    match error {
        DownloadError::Unsigned { source, .. } => assert_eq!(source, reason),
        other => panic!("{other:?}"),
    }
    assert!(server.requests(LISTED).is_empty());
    assert!(names(folder.path()).is_empty());
}

#[test]
fn a_signed_list_is_believed() {
    let signer = Signer::new();
    let server = publisher(list().into(), Some(signer.sign(list().as_bytes())));
    arrives(&server, &signed(&server, &signer, true));
    let server = publisher(signer.sign_inside(&list()).into(), None);
    arrives(&server, &signed(&server, &signer, false));
    // A copy with a signature inside, beside a list that says something else.
    let copy = signer.sign_inside(&list());
    let server = publisher(b"nothing".into(), Some(copy.into()));
    arrives(&server, &signed(&server, &signer, true));
}

#[test]
fn a_list_that_is_not_signed_by_its_publisher_is_refused() {
    let signer = Signer::new();
    let other = Signer::new().sign(list().as_bytes());
    let now = MADE + 2 * YEAR;
    let hash = pgp::crypto::hash::HashAlgorithm::Sha256;
    let late = signer.sign_as(With::Primary, now, hash, list().as_bytes());
    for (list, signature, signer, reason) in [
        (list() + "\n", Some(signer.sign(list().as_bytes())), &signer, SignatureError::Invalid),
        (list(), Some(other), &signer, SignatureError::Invalid),
        (list(), None, &signer, SignatureError::Missing),
        (list(), Some(Vec::new()), &signer, SignatureError::Missing),
        (list(), Some(late.clone()), &signer.clone().expiring(), SignatureError::Expired),
        (list(), Some(late), &signer.clone().revoked(), SignatureError::Revoked),
    ] {
        let server = publisher(list.into(), signature);
        is_refused(&server, &signed(&server, signer, true), reason);
    }
    for (message, reason) in [
        (signer.sign_inside(&list()).replace("image-1", "image-2"), SignatureError::Invalid),
        (Signer::new().sign_inside(&list()), SignatureError::Invalid),
        (list(), SignatureError::Missing),
    ] {
        let server = publisher(message.into(), None);
        is_refused(&server, &signed(&server, &signer, false), reason);
    }
}

#[test]
fn only_what_is_signed_is_read() {
    let signer = Signer::new();
    let foreign = format!("{}  image-1.iso\n", sum(b"another image"));
    let message = signer.sign_inside("nothing\n") + &foreign;
    let server = publisher(message.into(), None);
    let folder = tempfile::tempdir().unwrap();
    let error = get(&signed(&server, &signer, false), &folder).unwrap_err();
    assert!(matches!(error, DownloadError::NotListed { .. }), "{error:?}");
}

#[test]
fn a_signature_without_an_end_is_cut_off() {
    let signer = Signer::new();
    let server = publisher(list().into(), Some(vec![b'\n'; 100 << 10]));
    let folder = tempfile::tempdir().unwrap();
    let error = get(&signed(&server, &signer, true), &folder).unwrap_err();
    assert!(matches!(error, DownloadError::Interrupted { .. }), "{error:?}");
    assert!(server.requests(LISTED).is_empty());
}
