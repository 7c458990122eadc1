//! Signatures, and what is put in their place.

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use pgp::composed::{Deserializable, SignedPublicKey};
use pgp::crypto::hash::HashAlgorithm::{Sha1, Sha256};
use pgp::types::KeyDetails;
use proptest::prelude::*;

use super::super::signature::{SignatureError, verify};
use super::signer::{MADE, Signer, With, YEAR};

const LIST: &str = "aa  image-1.iso\n- bb  image-2.iso\n";
static SIGNER: LazyLock<Signer> = LazyLock::new(Signer::new);

fn check(signature: &[u8], signer: &Signer) -> Result<(), SignatureError> {
    let certificate = signer.certificate();
    let text = verify(LIST.as_bytes(), Some(signature), &certificate)?;
    assert_eq!(text, LIST.as_bytes());
    Ok(())
}

#[test]
fn a_signature_beside_the_list_is_of_this_list_and_by_this_key() {
    let signature = SIGNER.sign(LIST.as_bytes());
    assert_eq!(check(&signature, &SIGNER), Ok(()));
    assert_eq!(check(&signature, &Signer::new()), Err(SignatureError::Invalid));
    let other = SIGNER.sign(b"another list");
    assert_eq!(check(&other, &SIGNER), Err(SignatureError::Invalid));
    // One of several is enough.
    let now = MADE + YEAR;
    let several = [
        Signer::new().sign_as(With::Primary, now, Sha256, LIST.as_bytes()),
        SIGNER.sign_as(With::Primary, now, Sha256, LIST.as_bytes()),
    ];
    assert_eq!(check(&several.concat(), &SIGNER), Ok(()));
    for (none, reason) in [
        ("", SignatureError::Missing),
        ("<html></html>", SignatureError::Malformed),
        (
            "-----BEGIN PGP SIGNATURE-----\n\n-----END PGP SIGNATURE-----\n",
            SignatureError::Malformed,
        ),
    ] {
        assert_eq!(check(none.as_bytes(), &SIGNER), Err(reason), "{none}");
    }
    let huge = vec![b'\n'; 100 << 10];
    assert_eq!(check(&huge, &SIGNER), Err(SignatureError::Malformed));
}

#[test]
fn a_signature_inside_covers_what_is_read() {
    let certificate = SIGNER.certificate();
    let message = SIGNER.sign_inside(LIST);
    assert!(message.contains("\n- - bb"), "{message}");
    let read = |message: &str| verify(message.as_bytes(), None, &certificate);
    let text = read(&message).unwrap();
    assert_eq!(text, LIST.as_bytes());
    // Line ends, blanks at them, and what stands around it are not signed, and not read.
    let around = format!("cc  image-3.iso\n{message}\ndd  image-4.iso\n");
    for same in [message.replace('\n', "\r\n"), message.replace("iso\n", "iso \t\n"), around] {
        assert_eq!(read(&same).unwrap(), text);
    }
    for (tampered, reason) in [
        (message.replace("aa", "ab"), SignatureError::Invalid),
        (message.replace("\n- - bb", "\n- bb"), SignatureError::Invalid),
        (message.replace("\n- - bb", "\n-- bb"), SignatureError::Malformed),
        (message.replace("Hash: ", "cc  image-3.iso\nHash: "), SignatureError::Malformed),
        (message.replace("-----BEGIN PGP SIGNED MESSAGE-----", ""), SignatureError::Missing),
        (
            message.split("-----BEGIN PGP SIGNATURE").next().unwrap().into(),
            SignatureError::Malformed,
        ),
        (LIST.into(), SignatureError::Missing),
    ] {
        assert_eq!(read(&tampered), Err(reason), "{tampered}");
    }
    // A copy beside the list counts instead of it.
    let copied = verify(b"ee  image-5.iso", Some(message.as_bytes()), &certificate);
    assert_eq!(copied.unwrap(), text);
    // A signature of something else, put inside.
    let foreign = String::from_utf8(SIGNER.sign(LIST.as_bytes())).unwrap();
    let at = message.find("-----BEGIN PGP SIGNATURE").unwrap();
    assert_eq!(read(&(message[..at].to_owned() + &foreign)), Err(SignatureError::Invalid));
}

#[test]
fn a_key_signs_while_it_is_in_use() {
    let with = |with, at| SIGNER.sign_as(with, at, Sha256, LIST.as_bytes());
    let expiring = SIGNER.clone().expiring();
    let before = with(With::Primary, MADE + YEAR - 1);
    let after = with(With::Primary, MADE + YEAR);
    assert_eq!(check(&before, &expiring), Ok(()));
    assert_eq!(check(&after, &expiring), Err(SignatureError::Expired));
    assert_eq!(check(&after, &SIGNER), Ok(()));
    assert_eq!(check(&with(With::Primary, MADE - 1), &SIGNER), Err(SignatureError::Expired));
    assert_eq!(check(&before, &SIGNER.clone().revoked()), Err(SignatureError::Revoked));
}

#[test]
fn a_hash_that_can_be_forged_is_not_believed() {
    let signer = Signer::rsa();
    let signature = |hash| signer.sign_as(With::Primary, MADE + YEAR, hash, LIST.as_bytes());
    assert_eq!(check(&signature(Sha256), &signer), Ok(()));
    assert_eq!(check(&signature(Sha1), &signer), Err(SignatureError::Outdated));
}

#[test]
fn a_subkey_signs_if_it_is_for_that_and_both_keys_say_so() {
    let by = |with| SIGNER.sign_as(with, MADE + YEAR, Sha256, LIST.as_bytes());
    let subkey = by(With::Subkey);
    assert_eq!(check(&subkey, &SIGNER), Ok(()));
    assert_eq!(check(&by(With::OtherSubkey), &SIGNER), Err(SignatureError::Purpose));
    assert_eq!(check(&subkey, &SIGNER.clone().expiring()), Err(SignatureError::Expired));
    assert_eq!(check(&subkey, &SIGNER.clone().revoked()), Err(SignatureError::Revoked));
    assert_eq!(check(&subkey, &SIGNER.clone().subkey_revoked()), Err(SignatureError::Revoked));
    let thief = Signer::new().adopting(&SIGNER);
    assert_eq!(check(&subkey, &thief), Err(SignatureError::Certificate));
}

#[test]
fn what_is_no_certificate_vouches_for_nothing() {
    let signature = SIGNER.sign(LIST.as_bytes());
    for none in [&b""[..], b"nonsense", &signature, &vec![b'\n'; 300 << 10]] {
        let found = verify(LIST.as_bytes(), Some(&signature), none);
        assert_eq!(found, Err(SignatureError::Certificate));
    }
}

#[test]
fn berths_keys_are_those_that_are_written_down() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../resources/keys");
    let readme = fs::read_to_string(folder.join("README")).unwrap();
    let mut found = 0;
    for file in fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path()) {
        let Some(name) = file.to_str().filter(|name| name.ends_with(".asc")) else { continue };
        let (key, _) = SignedPublicKey::from_reader_single(fs::File::open(&file).unwrap()).unwrap();
        key.verify_bindings().unwrap();
        let name = name.rsplit('/').next().unwrap();
        let line = readme.lines().find(|line| line.starts_with(name)).unwrap();
        let written = line.split_whitespace().nth(1).unwrap();
        assert_eq!(key.fingerprint().to_string().to_uppercase(), written, "{name}");
        let mut loaded = super::super::keys::Key::from(name.to_owned());
        assert!(loaded.load(&[]), "{name}");
        found += 1;
    }
    assert_eq!(found, readme.lines().filter(|line| line.contains(".asc  ")).count());
}

/// `bytes` with some of them replaced, and cut off somewhere.
fn damaged(mut bytes: Vec<u8>, changes: &[(prop::sample::Index, u8)], keep: f64) -> Vec<u8> {
    for (at, byte) in changes {
        let at = at.index(bytes.len());
        bytes[at] = *byte;
    }
    bytes.truncate((bytes.len() as f64 * keep) as usize);
    bytes
}

fn damage() -> impl Strategy<Value = (Vec<(prop::sample::Index, u8)>, f64)> {
    (
        prop::collection::vec(any::<(prop::sample::Index, u8)>(), 0..4),
        prop_oneof![Just(1.0), 0.0..1.0],
    )
}

proptest! {
    #[test]
    fn any_bytes_are_answered(
        list: Vec<u8>,
        signature: Option<Vec<u8>>,
        certificate: Vec<u8>,
        real: bool,
    ) {
        let certificate = if real { SIGNER.certificate() } else { certificate };
        prop_assert!(verify(&list, signature.as_deref(), &certificate).is_err());
    }

    #[test]
    fn what_is_damaged_is_refused_or_says_the_same((changes, keep) in damage(), which in 0..5) {
        let certificate = SIGNER.certificate();
        let list = LIST.as_bytes().to_vec();
        let binary = SIGNER.sign_as(With::Subkey, MADE + YEAR, Sha256, &list);
        let damaged = |bytes| damaged(bytes, &changes, keep);
        let answer = match which {
            0 => verify(&damaged(list), Some(&binary), &certificate),
            1 => verify(&list, Some(&damaged(binary)), &certificate),
            2 => verify(&list, Some(&damaged(SIGNER.sign(&list))), &certificate),
            3 => verify(&list, Some(&binary), &damaged(certificate)),
            _ => verify(&damaged(SIGNER.sign_inside(LIST).into_bytes()), None, &certificate),
        };
        if let Ok(text) = answer {
            prop_assert_eq!(text, LIST.as_bytes());
        }
    }
}
