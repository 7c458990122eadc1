//! Publishers' signatures (OpenPGP, RFC 9580) of their lists of checksums.
//!
//! Who may sign a list is settled by a certificate that is there already; nothing is asked of key
//! servers, and no other certificate is believed.

use std::time::SystemTime;

use pgp::composed::{Deserializable, DetachedSignature, SignedPublicKey, SignedPublicSubKey};
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{Signature, SignatureType};
use pgp::types::{Duration, KeyDetails, Tag, Timestamp};
use thiserror::Error;

use crate::text;

/// The longest signature that is read, in bytes.
pub(super) const MAX_SIGNATURE: u64 = 64 << 10;
/// The largest certificate that is read, in bytes.
pub(super) const MAX_CERTIFICATE: u64 = 256 << 10;
/// So many signatures of one list are tried: each costs a pass over the list for each key.
const MAX_SIGNATURES: usize = 16;
/// How a text with its signature begins, and where its signature does (RFC 9580 §7 and §6.2.1).
const BEGIN_MESSAGE: &str = "-----BEGIN PGP SIGNED MESSAGE-----";
const BEGIN_SIGNATURE: &str = "-----BEGIN PGP SIGNATURE-----";

/// Why a list counts as not signed. Where there are several reasons, the last of them tells most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Error)]
pub enum SignatureError {
    /// There is none.
    #[error("{}", text!("the list has no signature"))]
    Missing,
    /// There is something that is none.
    #[error("{}", text!("the list's signature is damaged"))]
    Malformed,
    /// By another key, or of another list.
    #[error("{}", text!("the list's signature is not by the publisher's key"))]
    Invalid,
    /// By a hash that can be forged, or past its own time.
    #[error("{}", text!("the list's signature is too weak or too old"))]
    Outdated,
    /// The key is for other things, such as encryption.
    #[error("{}", text!("the publisher's key is not one for signatures"))]
    Purpose,
    /// No certificate, or one that vouches for no key.
    #[error("{}", text!("the publisher's key cannot be used; a newer Berth may have another"))]
    Certificate,
    /// The key was no longer, or not yet, in use when it signed.
    #[error("{}", text!(
        "the publisher's key had expired by then; a newer Berth may have a newer key"
    ))]
    Expired,
    /// The publisher has withdrawn the key.
    #[error("{}", text!("the publisher's key is withdrawn; a newer Berth may have a newer key"))]
    Revoked,
}

/// What `certificate`, armored or binary, has signed of `list`.
///
/// The signature is `signature`, or else inside of `list`. Some publishers put a copy of the list with a
/// signature inside beside it, instead of a signature alone: that takes the place of the list then.
///
/// # Errors
/// See [`SignatureError`]; nothing of the list is to be believed then.
pub(super) fn verify(
    list: &[u8],
    signature: Option<&[u8]>,
    certificate: &[u8],
) -> Result<Vec<u8>, SignatureError> {
    let certificates = certificates(certificate)?;
    let message = signature.unwrap_or(list);
    if is_signed_inside(message) {
        let (text, signature) = split(message)?;
        check(text.as_bytes(), signature, &[SignatureType::Text], &certificates)?;
        return Ok(text.into_bytes());
    }
    let signature = signature.ok_or(SignatureError::Missing)?;
    check(list, signature, &[SignatureType::Binary, SignatureType::Text], &certificates)?;
    Ok(list.to_vec())
}

fn is_signed_inside(message: &[u8]) -> bool {
    message
        .split(|byte| *byte == b'\n')
        .any(|line| line.trim_ascii_end() == BEGIN_MESSAGE.as_bytes())
}

/// The text that is signed in a text with its signature, and the signature (RFC 9580 §7).
fn split(message: &[u8]) -> Result<(String, &[u8]), SignatureError> {
    let message = str::from_utf8(message).map_err(|_| SignatureError::Malformed)?;
    let mut lines = message.split_inclusive('\n');
    let mut at = 0;
    let mut next = || {
        let line = lines.next().ok_or(SignatureError::Malformed)?;
        at += line.len();
        Ok((line.trim_end_matches([' ', '\t', '\r', '\n']), at - line.len()))
    };
    while next()?.0 != BEGIN_MESSAGE {}
    // What else stands there looks like a part of the text, and is not signed.
    while let (header, _) = next()?
        && !header.is_empty()
    {
        if !header.starts_with("Hash: ") {
            return Err(SignatureError::Malformed);
        }
    }
    let mut text = Vec::new();
    loop {
        let (line, begin) = next()?;
        match line.strip_prefix('-') {
            _ if line == BEGIN_SIGNATURE => {
                return Ok((text.join("\n"), &message.as_bytes()[begin..]));
            }
            Some(escaped) => text.push(escaped.strip_prefix(' ').ok_or(SignatureError::Malformed)?),
            None => text.push(line),
        }
    }
}

fn certificates(bytes: &[u8]) -> Result<Vec<SignedPublicKey>, SignatureError> {
    if bytes.len() as u64 > MAX_CERTIFICATE {
        return Err(SignatureError::Certificate);
    }
    let read = SignedPublicKey::from_reader_many(bytes).and_then(|(found, _)| found.collect());
    let found: Vec<_> = read.map_err(|_| SignatureError::Certificate)?;
    if found.is_empty() { Err(SignatureError::Certificate) } else { Ok(found) }
}

/// Whether one of the signatures in `signature`, armored or binary, is of `data`, of one of the `kinds`,
/// and by a key of one of the `certificates`.
fn check(
    data: &[u8],
    signature: &[u8],
    kinds: &[SignatureType],
    certificates: &[SignedPublicKey],
) -> Result<(), SignatureError> {
    if signature.is_empty() {
        return Err(SignatureError::Missing);
    }
    if signature.len() as u64 > MAX_SIGNATURE {
        return Err(SignatureError::Malformed);
    }
    let found = DetachedSignature::from_reader_many(signature);
    let (found, _) = found.map_err(|_| SignatureError::Malformed)?;
    let mut reason = SignatureError::Malformed;
    for signature in found.take(MAX_SIGNATURES).map_while(Result::ok) {
        let signature = &signature.signature;
        reason = reason.max(SignatureError::Invalid);
        if !signature.typ().is_some_and(|kind| kinds.contains(&kind)) {
            continue;
        }
        for certificate in certificates {
            match by(signature, data, certificate) {
                Ok(()) => return Ok(()),
                Err(other) => reason = reason.max(other),
            }
        }
    }
    Err(reason)
}

/// Whether `signature` is one of `data` by a key of `certificate` that may give it.
fn by(
    signature: &Signature,
    data: &[u8],
    certificate: &SignedPublicKey,
) -> Result<(), SignatureError> {
    let subkey = if signature.verify(&certificate.primary_key, data).is_ok() {
        None
    } else {
        let mut subkeys = certificate.public_subkeys.iter();
        let subkey = subkeys.find(|subkey| signature.verify(&subkey.key, data).is_ok());
        Some(subkey.ok_or(SignatureError::Invalid)?)
    };
    let signed = signature.created().ok_or(SignatureError::Invalid)?;
    if !is_strong(signature) || is_over(signature, signed) {
        return Err(SignatureError::Outdated);
    }
    may_sign(certificate, subkey, signed)
}

/// Whether nobody can make another text with the same hash.
fn is_strong(signature: &Signature) -> bool {
    use HashAlgorithm::{Sha3_256, Sha3_512, Sha256, Sha384, Sha512};
    matches!(signature.hash_alg(), Some(Sha256 | Sha384 | Sha512 | Sha3_256 | Sha3_512))
}

/// Whether a signature has said how long it holds, and that time is over.
fn is_over(signature: &Signature, signed: Timestamp) -> bool {
    let now = Timestamp::try_from(SystemTime::now()).unwrap_or_default();
    !is_within(now, signed, signature.signature_expiration_time())
}

/// Whether `time` is not after what begins at `from` and lasts `length`, for ever if that is 0.
fn is_within(time: Timestamp, from: Timestamp, length: Option<Duration>) -> bool {
    let length = length.map(Duration::as_secs).filter(|length| *length > 0);
    let end = length.map(|length| u64::from(from.as_secs()) + u64::from(length));
    end.is_none_or(|end| u64::from(time.as_secs()) < end)
}

/// Whether a key was one for signatures at `time`: the certificate's own, or one of its subkeys.
fn may_sign(
    certificate: &SignedPublicKey,
    subkey: Option<&SignedPublicSubKey>,
    time: Timestamp,
) -> Result<(), SignatureError> {
    let primary = &certificate.primary_key;
    let revocations = &certificate.details.revocation_signatures;
    if revocations.iter().any(|revocation| revocation.verify_key(primary).is_ok()) {
        return Err(SignatureError::Revoked);
    }
    let statement = own_statement(certificate).ok_or(SignatureError::Certificate)?;
    in_use(primary.created_at(), statement, time)?;
    match subkey {
        Some(subkey) => subkey_may_sign(certificate, subkey, time),
        // What says nothing of its purpose is from a time when keys were for everything.
        None if statement.key_flags().sign() || !has_flags(statement) => Ok(()),
        None => Err(SignatureError::Purpose),
    }
}

fn subkey_may_sign(
    certificate: &SignedPublicKey,
    subkey: &SignedPublicSubKey,
    time: Timestamp,
) -> Result<(), SignatureError> {
    let primary = &certificate.primary_key;
    let statements = |kind| {
        let of_kind = move |signature: &&Signature| signature.typ() == Some(kind);
        let signatures = subkey.signatures.iter().filter(of_kind);
        signatures.filter(|signature| signature.verify_subkey_binding(primary, &subkey.key).is_ok())
    };
    if statements(SignatureType::SubkeyRevocation).next().is_some() {
        return Err(SignatureError::Revoked);
    }
    let binding = statements(SignatureType::SubkeyBinding).max_by_key(|binding| binding.created());
    let binding = binding.ok_or(SignatureError::Certificate)?;
    in_use(subkey.key.created_at(), binding, time)?;
    // The subkey has to agree, or anybody could adopt another's.
    let agreement = binding.embedded_signature();
    let agrees = agreement.is_some_and(|signature| {
        signature.verify_primary_key_binding(&subkey.key, primary).is_ok()
    });
    if agrees && binding.key_flags().sign() { Ok(()) } else { Err(SignatureError::Purpose) }
}

/// Whether a key of that age was in use at `time`, as its owner's `statement` has it.
fn in_use(
    created: Timestamp,
    statement: &Signature,
    time: Timestamp,
) -> Result<(), SignatureError> {
    if created <= time && is_within(time, created, statement.key_expiration_time()) {
        Ok(())
    } else {
        Err(SignatureError::Expired)
    }
}

/// The newest that a certificate says of its own key, of itself or by one of its names.
fn own_statement(certificate: &SignedPublicKey) -> Option<&Signature> {
    let key = &certificate.primary_key;
    let details = &certificate.details;
    let direct = details.direct_signatures.iter();
    let direct = direct
        .filter(|signature| signature.typ() == Some(SignatureType::Key))
        .filter(|signature| signature.verify_key(key).is_ok());
    let named = details.users.iter().flat_map(|user| {
        let signatures = user.signatures.iter();
        signatures
            .filter(|signature| signature.typ() != Some(SignatureType::CertRevocation))
            .filter(|signature| signature.verify_certification(key, Tag::UserId, &user.id).is_ok())
    });
    direct.chain(named).max_by_key(|signature| signature.created())
}

fn has_flags(signature: &Signature) -> bool {
    use pgp::packet::SubpacketData::KeyFlags;
    let mut packets = signature.config().into_iter().flat_map(|config| config.hashed_subpackets());
    packets.any(|packet| matches!(packet.data, KeyFlags(_)))
}
