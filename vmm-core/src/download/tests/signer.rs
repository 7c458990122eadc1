//! A publisher's key, made for one test.

use std::io::Cursor;

use pgp::composed::{
    ArmorOptions, CleartextSignedMessage, DetachedSignature, KeyType, SecretKeyParamsBuilder,
    SignedPublicKey, SignedSecretKey, SubkeyParamsBuilder, SubpacketConfig,
};
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{
    KeyFlags, SignatureConfig, SignatureType, Subpacket, SubpacketData, SubpacketData::*,
};
use pgp::ser::Serialize;
use pgp::types::{Duration, KeyDetails, Password, SigningKey, Tag, Timestamp};
use rand::rngs::OsRng;

/// When the keys were made: in September 2020.
pub(super) const MADE: u32 = 1_600_000_000;
pub(super) const YEAR: u32 = 365 * 86400;

/// With what a key signs.
#[derive(Debug, Clone, Copy)]
pub(super) enum With {
    /// The certificate's own key.
    Primary,
    /// The subkey for signatures.
    Subkey,
    /// The subkey for encryption.
    OtherSubkey,
}

/// Whoever has a key.
#[derive(Debug, Clone)]
pub(super) struct Signer {
    secret: SignedSecretKey,
    certificate: SignedPublicKey,
}

impl Signer {
    /// With a key that lasts for ever, a subkey for signatures and one that is for none.
    pub(super) fn new() -> Self {
        Self::with(KeyType::Ed25519Legacy)
    }

    /// With a key of the kind that most publishers have.
    pub(super) fn rsa() -> Self {
        Self::with(KeyType::Rsa(2048))
    }

    fn with(kind: KeyType) -> Self {
        let made = Timestamp::from_secs(MADE);
        let subkey = |sign| {
            let mut subkey = SubkeyParamsBuilder::default();
            subkey.key_type(KeyType::Ed25519Legacy).can_sign(sign).can_authenticate(!sign);
            subkey.created_at(made).build().unwrap()
        };
        let mut key = SecretKeyParamsBuilder::default();
        key.key_type(kind).can_certify(true).can_sign(true).created_at(made);
        key.primary_user_id("Somebody <somebody@example.org>".into());
        key.subkeys(vec![subkey(true), subkey(false)]);
        let secret = key.build().unwrap().generate(OsRng).unwrap();
        let certificate = secret.to_public_key();
        Self { secret, certificate }
    }

    /// As it is known after its owner has said that it ends a year after it was made.
    pub(super) fn expiring(mut self) -> Self {
        let statement = self.statement(
            SignatureType::CertPositive,
            vec![
                KeyFlags({
                    let mut flags = KeyFlags::default();
                    flags.set_sign(true);
                    flags
                }),
                KeyExpirationTime(Duration::from_secs(YEAR)),
            ],
        );
        let user = &mut self.certificate.details.users[0];
        let key = &self.certificate.primary_key;
        let password = Password::empty();
        let signature = statement.sign_certification(
            &self.secret.primary_key,
            key,
            &password,
            Tag::UserId,
            &user.id,
        );
        user.signatures = vec![signature.unwrap()];
        self
    }

    /// As it is known after its owner has withdrawn it.
    pub(super) fn revoked(mut self) -> Self {
        let statement = self.statement(SignatureType::KeyRevocation, Vec::new());
        let key = &self.certificate.primary_key;
        let revocation = statement.sign_key(&self.secret.primary_key, &Password::empty(), key);
        self.certificate.details.revocation_signatures.push(revocation.unwrap());
        self
    }

    /// As it is known after its owner has withdrawn the subkey for signatures.
    pub(super) fn subkey_revoked(mut self) -> Self {
        let statement = self.statement(SignatureType::SubkeyRevocation, Vec::new());
        let key = &self.certificate.primary_key;
        let subkey = &mut self.certificate.public_subkeys[0];
        let secret = &self.secret.primary_key;
        let revocation =
            statement.sign_subkey_binding(secret, key, &Password::empty(), &subkey.key);
        subkey.signatures.push(revocation.unwrap());
        self
    }

    /// With the subkeys of another, to which that has not agreed.
    pub(super) fn adopting(mut self, other: &Self) -> Self {
        self.certificate.public_subkeys.clone_from(&other.certificate.public_subkeys);
        self
    }

    fn statement(&self, kind: SignatureType, about: Vec<SubpacketData>) -> SignatureConfig {
        let key = &self.secret.primary_key;
        let mut config = SignatureConfig::v4(kind, key.algorithm(), HashAlgorithm::Sha256);
        let mut packets =
            vec![SignatureCreationTime(Timestamp::now()), IssuerFingerprint(key.fingerprint())];
        packets.extend(about);
        let packets = packets.into_iter().map(|data| Subpacket::regular(data).unwrap());
        config.hashed_subpackets = packets.collect();
        config
    }

    /// The certificate, armored.
    pub(super) fn certificate(&self) -> Vec<u8> {
        self.certificate.to_armored_bytes(ArmorOptions::default()).unwrap()
    }

    /// A signature of `data`, armored, of now.
    pub(super) fn sign(&self, data: &[u8]) -> Vec<u8> {
        let signature =
            self.sign_with(With::Primary, Timestamp::now(), HashAlgorithm::Sha512, data);
        signature.to_armored_bytes(ArmorOptions::default()).unwrap()
    }

    /// A signature of `data`, binary, with one of the keys, of the time `at`.
    pub(super) fn sign_as(&self, with: With, at: u32, hash: HashAlgorithm, data: &[u8]) -> Vec<u8> {
        self.sign_with(with, Timestamp::from_secs(at), hash, data).to_bytes().unwrap()
    }

    fn sign_with(
        &self,
        with: With,
        at: Timestamp,
        hash: HashAlgorithm,
        data: &[u8],
    ) -> DetachedSignature {
        match with {
            With::Primary => detached(&self.secret.primary_key, at, hash, data),
            With::Subkey => detached(&self.secret.secret_subkeys[0].key, at, hash, data),
            With::OtherSubkey => detached(&self.secret.secret_subkeys[1].key, at, hash, data),
        }
    }

    /// `text` with a signature inside.
    pub(super) fn sign_inside(&self, text: &str) -> String {
        let key = &self.secret.primary_key;
        let message = CleartextSignedMessage::sign(OsRng, text, key, &Password::empty()).unwrap();
        message.to_armored_string(ArmorOptions::default()).unwrap()
    }
}

fn detached(
    key: &impl SigningKey,
    at: Timestamp,
    hash: HashAlgorithm,
    data: &[u8],
) -> DetachedSignature {
    let packets = [SignatureCreationTime(at), IssuerFingerprint(key.fingerprint())];
    let subpackets = SubpacketConfig::UserDefined {
        hashed: packets.map(|data| Subpacket::regular(data).unwrap()).into(),
        unhashed: Vec::new(),
    };
    let (password, data) = (Password::empty(), Cursor::new(data));
    DetachedSignature::sign_binary_data_with_subpackets(
        OsRng, key, &password, hash, data, subpackets,
    )
    .unwrap()
}
