//! Targets in `tidm-crypto`: tokens, keys, canonical forms, sealed files.

use std::io::Cursor;

use tidm_crypto::kem::{KemPublic, Wrapped};
use tidm_crypto::secret::Secret;
use tidm_crypto::sign::{KeyKind, VerifyingKey};
use tidm_crypto::tdf::rewrap::ClientKey;
use tidm_crypto::tdf::{Container, Manifest};
use tidm_crypto::{cbor, hash, jcs, jws};

use crate::{Parser, choose};

/// Only one way to write a value is accepted, so what is read is what would be written.
pub(crate) fn canonical_cbor(data: &[u8]) {
    if let Ok(value) = cbor::decode(data) {
        assert_eq!(cbor::encode(&value), data);
    }
}

/// RFC 8785: the canonical form of the canonical form is itself.
pub(crate) fn canonical_json(data: &[u8]) {
    let Ok(value) = jcs::parse(data) else { return };
    let Ok(bytes) = jcs::canonical(&value) else { return };
    let again = jcs::parse(&bytes).and_then(|value| jcs::canonical(&value));
    assert!(again.is_ok_and(|again| again == bytes));
}

/// Tokens, digests and keys.
pub(crate) fn tokens(data: &[u8]) {
    const PARSERS: [Parser; 9] = [
        token,
        digest,
        |data| key(KeyKind::Ed25519, data),
        |data| key(KeyKind::Es256, data),
        |data| key(KeyKind::Sm2, data),
        jwk,
        wrapped,
        recipient,
        client_key,
    ];
    choose(&PARSERS, data);
}

fn token(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(token) = jws::Unverified::parse(text) else { return };
    assert!(token.unproven_payload().len() <= text.len());
    // No signature of a key that never signed.
    for kind in KeyKind::ALL {
        if let Ok(mine) = tidm_crypto::sign::SigningKey::from_secret_bytes(kind, &[0x5A; 32]) {
            assert!(token.verify(&mine.verifying_key()).is_err());
        }
    }
}

fn digest(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(digest) = hash::Digest::parse(text) {
        assert_eq!(digest.to_string(), text);
    }
}

/// A key written in either form is the same key.
fn key(kind: KeyKind, data: &[u8]) {
    let Ok(key) = VerifyingKey::from_bytes(kind, data) else { return };
    same(&key);
    assert!(key.verify(data, &[0; 64]).is_err());
}

fn jwk(data: &[u8]) {
    let Ok(value) = jcs::parse(data) else { return };
    if let Ok(key) = VerifyingKey::from_jwk(&value) {
        same(&key);
    }
}

fn same(key: &VerifyingKey) {
    let print = key.thumbprint();
    let again = VerifyingKey::from_bytes(key.kind(), &key.to_bytes());
    assert!(again.is_ok_and(|again| again.thumbprint() == print));
    let again = VerifyingKey::from_jwk(&key.to_jwk());
    assert!(again.is_ok_and(|again| again.thumbprint() == print && again.kind() == key.kind()));
}

fn wrapped(data: &[u8]) {
    if let Ok(wrapped) = Wrapped::from_bytes(data) {
        assert_eq!(wrapped.to_bytes(), data);
    }
}

fn recipient(data: &[u8]) {
    if let Ok(public) = KemPublic::from_bytes(data) {
        assert_eq!(public.to_bytes(), data);
    }
}

/// The key of a client of the key access service.
fn client_key(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(key) = ClientKey::from_pem(text) {
        assert!(ClientKey::from_pem(text).is_ok_and(|again| again.digest() == key.digest()));
    }
}

/// The key of the sealed file among the seeds.
const KEY: [u8; 32] = [0x42; 32];

/// Sealed files and their manifests.
pub(crate) fn sealed(data: &[u8]) {
    const PARSERS: [Parser; 2] = [manifest, container];
    choose(&PARSERS, data);
}

fn manifest(data: &[u8]) {
    let Ok(it) = Manifest::parse(data) else { return };
    assert!(it.split_ids().len() <= it.key_access.len());
    let share = Secret::new(KEY);
    for access in &it.key_access {
        let _ = it.binding_holds(access, &share);
    }
}

/// Nothing is delivered that is longer than what it came from.
fn container(data: &[u8]) {
    let Ok(mut it) = Container::open(Cursor::new(data)) else { return };
    let mut out = Vec::new();
    if it.decrypt_to(&Secret::new(KEY), &mut out).is_ok() {
        assert!(out.len() <= data.len());
    }
}
