//! Signatures: Ed25519 (RFC 8032), ES256 (RFC 7518) and SM2 with SM3 (GB/T 32918.2).
//!
//! A key knows its kind, and a signature is only ever checked under that kind. Signing is
//! deterministic (RFC 8032, RFC 6979), so a bad random source cannot leak a key. Must never
//! verify Ed25519 leniently: [`VerifyingKey::verify`] uses the strict rule, under which all
//! verifiers agree.
//!
//! A signature is not an identifier: ECDSA lets anyone turn (r, s) into another valid (r, n-s).

use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ed25519_dalek::Signer as _;
use p256::{ecdsa::signature::Verifier as _, elliptic_curve::sec1::ToSec1Point as _};
use rand_core::CryptoRng;
use serde_json::{Value, json};
use zeroize::Zeroize;

use crate::{
    error::{BadKey, BadSignature},
    hash::{self, Digest},
    jcs,
    secret::Secret,
};

/// User id hashed into SM2 signatures when none was agreed (GB/T 35276, GM/T 0009 §10).
const SM2_DEFAULT_ID: &str = "1234567812345678";

/// Order of the SM2 curve minus one (GB/T 32918.5), which is no private key: 1 + d has no inverse.
const SM2_ORDER_MINUS_ONE: [u8; 32] = [
    0xff, 0xff, 0xff, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0x72, 0x03, 0xdf, 0x6b, 0x21, 0xc6, 0x05, 0x2b, 0x53, 0xbb, 0xf4, 0x09, 0x39, 0xd5, 0x41, 0x22,
];

/// The kind of a signature key, which fixes curve, hash and encodings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyKind {
    /// Ed25519; public keys are 32 bytes.
    Ed25519,
    /// ECDSA on P-256 with SHA-256; public keys are 65 bytes (`04 ‖ x ‖ y`).
    Es256,
    /// SM2 with SM3 and the default user id; public keys are 65 bytes (`04 ‖ x ‖ y`).
    Sm2,
}

impl KeyKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Ed25519, Self::Es256, Self::Sm2];

    /// The JWS `alg` we write. SM2 has no registered name; this one is used by Chinese vendors.
    pub const fn alg(self) -> &'static str {
        match self {
            Self::Ed25519 => "EdDSA",
            Self::Es256 => "ES256",
            Self::Sm2 => "SM2SM3",
        }
    }

    /// Whether a JWS header's `alg` means this kind. RFC 9864 renamed EdDSA to Ed25519.
    pub fn is_alg(self, alg: &str) -> bool {
        alg == self.alg() || (self == Self::Ed25519 && alg == "Ed25519")
    }

    /// Name in files and APIs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ed25519 => "ed25519",
            Self::Es256 => "es256",
            Self::Sm2 => "sm2",
        }
    }

    /// The kind of this [`name`](Self::name).
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    const fn curve(self) -> &'static str {
        match self {
            Self::Ed25519 => "Ed25519",
            Self::Es256 => "P-256",
            Self::Sm2 => "SM2",
        }
    }
}

/// A private signature key, erased when dropped.
#[derive(Clone)]
pub struct SigningKey(Private);

#[derive(Clone)]
enum Private {
    Ed25519(Box<ed25519_dalek::SigningKey>),
    Es256(p256::ecdsa::SigningKey),
    /// `sm2::dsa::SigningKey` does not erase itself, `SecretKey` does.
    Sm2(sm2::SecretKey),
}

impl SigningKey {
    /// A key from its 32 secret bytes: the Ed25519 seed, else the big-endian scalar.
    pub fn from_secret_bytes(kind: KeyKind, bytes: &[u8; 32]) -> Result<Self, BadKey> {
        Ok(Self(match kind {
            KeyKind::Ed25519 => {
                Private::Ed25519(Box::new(ed25519_dalek::SigningKey::from_bytes(bytes)))
            }
            KeyKind::Es256 => {
                Private::Es256(p256::ecdsa::SigningKey::from_slice(bytes).map_err(|_| BadKey)?)
            }
            KeyKind::Sm2 => {
                if crate::secret::ct_eq(bytes, &SM2_ORDER_MINUS_ONE) {
                    return Err(BadKey);
                }
                Private::Sm2(sm2::SecretKey::from_slice(bytes).map_err(|_| BadKey)?)
            }
        }))
    }

    /// A fresh key. Draws again in the rare case that 32 bytes are no scalar.
    pub fn generate(kind: KeyKind, rng: &mut dyn CryptoRng) -> Self {
        loop {
            let secret = Secret::random(rng);
            if let Ok(key) = Self::from_secret_bytes(kind, secret.expose()) {
                return key;
            }
        }
    }

    /// The kind.
    pub const fn kind(&self) -> KeyKind {
        match self.0 {
            Private::Ed25519(_) => KeyKind::Ed25519,
            Private::Es256(_) => KeyKind::Es256,
            Private::Sm2(_) => KeyKind::Sm2,
        }
    }

    /// The secret bytes, for the key directory.
    pub fn to_secret_bytes(&self) -> Secret<[u8; 32]> {
        let mut bytes: [u8; 32] = match &self.0 {
            Private::Ed25519(key) => key.to_bytes(),
            Private::Es256(key) => key.to_bytes().into(),
            Private::Sm2(key) => key.to_bytes().into(),
        };
        let secret = Secret::new(bytes);
        bytes.zeroize();
        secret
    }

    /// The public half.
    pub fn verifying_key(&self) -> VerifyingKey {
        VerifyingKey(match &self.0 {
            Private::Ed25519(key) => Public::Ed25519(key.verifying_key()),
            Private::Es256(key) => Public::Es256(*key.verifying_key()),
            Private::Sm2(key) => Public::Sm2(key.public_key()),
        })
    }

    /// A 64-byte signature of `message`: RFC 8032, or raw `r ‖ s` as RFC 7518 §3.4 wants.
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        match &self.0 {
            Private::Ed25519(key) => key.sign(message).to_bytes().to_vec(),
            Private::Es256(key) => {
                let signature: p256::ecdsa::Signature = key.sign(message);
                signature.to_bytes().to_vec()
            }
            Private::Sm2(key) => sm2_sign(key, message),
        }
    }
}

#[expect(
    clippy::expect_used,
    reason = "fails only if r, s or k hits one of a few values in 2^256, which nobody can aim at"
)]
fn sm2_sign(key: &sm2::SecretKey, message: &[u8]) -> Vec<u8> {
    let key = sm2::dsa::SigningKey::new(SM2_DEFAULT_ID, key).expect("the default id is short");
    let signature: sm2::dsa::Signature = key.sign(message);
    signature.to_bytes().to_vec()
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({}, …)", self.kind().name())
    }
}

/// A public signature key, checked to be a point that can be one.
#[derive(Clone)]
pub struct VerifyingKey(Public);

#[derive(Clone)]
enum Public {
    Ed25519(ed25519_dalek::VerifyingKey),
    Es256(p256::ecdsa::VerifyingKey),
    Sm2(sm2::PublicKey),
}

impl VerifyingKey {
    /// Reads [`to_bytes`](Self::to_bytes) back: one encoding per key.
    pub fn from_bytes(kind: KeyKind, bytes: &[u8]) -> Result<Self, BadKey> {
        if kind != KeyKind::Ed25519 && (bytes.len() != 65 || bytes.first() != Some(&4)) {
            return Err(BadKey);
        }
        Ok(Self(match kind {
            KeyKind::Ed25519 => {
                let bytes = bytes.try_into().map_err(|_| BadKey)?;
                let key = ed25519_dalek::VerifyingKey::from_bytes(bytes).map_err(|_| BadKey)?;
                // A key of small order verifies signatures nobody made; a second spelling of a
                // point would give one key two thumbprints.
                if key.is_weak() || key.to_edwards().compress().as_bytes() != bytes {
                    return Err(BadKey);
                }
                Public::Ed25519(key)
            }
            KeyKind::Es256 => Public::Es256(
                p256::ecdsa::VerifyingKey::from_sec1_bytes(bytes).map_err(|_| BadKey)?,
            ),
            KeyKind::Sm2 => {
                Public::Sm2(sm2::PublicKey::from_sec1_bytes(bytes).map_err(|_| BadKey)?)
            }
        }))
    }

    /// Reads what `did:key` writes: 32 bytes for Ed25519, else 33 bytes `02 or 03 ‖ x`.
    pub fn from_compressed(kind: KeyKind, bytes: &[u8]) -> Result<Self, BadKey> {
        let short = bytes.len() == 33 && matches!(bytes.first(), Some(2 | 3));
        match kind {
            KeyKind::Ed25519 => Self::from_bytes(kind, bytes),
            KeyKind::Es256 if short => {
                let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(bytes).map_err(|_| BadKey)?;
                Ok(Self(Public::Es256(key)))
            }
            KeyKind::Sm2 if short => {
                let key = sm2::PublicKey::from_sec1_bytes(bytes).map_err(|_| BadKey)?;
                Ok(Self(Public::Sm2(key)))
            }
            KeyKind::Es256 | KeyKind::Sm2 => Err(BadKey),
        }
    }

    /// 32 bytes for Ed25519, else 65 bytes `04 ‖ x ‖ y`.
    pub fn to_bytes(&self) -> Vec<u8> {
        match &self.0 {
            Public::Ed25519(key) => key.to_bytes().to_vec(),
            Public::Es256(key) => key.to_sec1_point(false).as_bytes().to_vec(),
            Public::Sm2(key) => key.to_sec1_point(false).as_bytes().to_vec(),
        }
    }

    /// The kind.
    pub const fn kind(&self) -> KeyKind {
        match self.0 {
            Public::Ed25519(_) => KeyKind::Ed25519,
            Public::Es256(_) => KeyKind::Es256,
            Public::Sm2(_) => KeyKind::Sm2,
        }
    }

    /// Checks a 64-byte signature, Ed25519 by the strict rule.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), BadSignature> {
        match &self.0 {
            Public::Ed25519(key) => {
                let signature = ed25519_dalek::Signature::from_slice(signature);
                key.verify_strict(message, &signature.map_err(|_| BadSignature)?)
            }
            Public::Es256(key) => {
                let signature = p256::ecdsa::Signature::from_slice(signature);
                key.verify(message, &signature.map_err(|_| BadSignature)?)
            }
            Public::Sm2(key) => sm2::dsa::VerifyingKey::new(SM2_DEFAULT_ID, *key)
                .and_then(|key| key.verify(message, &sm2::dsa::Signature::from_slice(signature)?)),
        }
        .map_err(|_| BadSignature)
    }

    /// The key as a JWK (RFC 7517, RFC 8037), with `alg`, without `kid`.
    pub fn to_jwk(&self) -> Value {
        let mut jwk = self.required_members();
        if let Some(members) = jwk.as_object_mut() {
            members.insert("alg".to_owned(), self.kind().alg().into());
        }
        jwk
    }

    /// Reads a public JWK. Refuses one that carries a private part, another use or another alg.
    pub fn from_jwk(jwk: &Value) -> Result<Self, BadKey> {
        let text = |name: &str| jwk.get(name).and_then(Value::as_str);
        let coordinate = |name: &str| -> Result<[u8; 32], BadKey> {
            let bytes = URL_SAFE_NO_PAD.decode(text(name).ok_or(BadKey)?).map_err(|_| BadKey)?;
            bytes.try_into().map_err(|_| BadKey)
        };
        let kind = match (text("kty"), text("crv")) {
            (Some("OKP"), Some("Ed25519")) => KeyKind::Ed25519,
            (Some("EC"), Some("P-256")) => KeyKind::Es256,
            (Some("EC"), Some("SM2")) => KeyKind::Sm2,
            (_, _) => return Err(BadKey),
        };
        let says_otherwise = |name: &str, fits: &dyn Fn(&str) -> bool| {
            jwk.get(name).is_some_and(|value| !value.as_str().is_some_and(fits))
        };
        if jwk.get("d").is_some()
            || says_otherwise("use", &|it| it == "sig")
            || says_otherwise("alg", &|it| kind.is_alg(it))
        {
            return Err(BadKey);
        }
        if kind == KeyKind::Ed25519 {
            return Self::from_bytes(kind, &coordinate("x")?);
        }
        Self::from_bytes(kind, &[&[4][..], &coordinate("x")?, &coordinate("y")?].concat())
    }

    /// RFC 7638: SHA-256 over the canonical required members.
    pub fn thumbprint(&self) -> Digest {
        // The members are ASCII texts, which canonicalization never refuses.
        hash::sha256(&jcs::canonical(&self.required_members()).unwrap_or_default())
    }

    fn required_members(&self) -> Value {
        let bytes = self.to_bytes();
        let curve = self.kind().curve();
        match bytes.split_at_checked(33) {
            Some(([_, x @ ..], y)) => json!({
                "kty": "EC", "crv": curve,
                "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y),
            }),
            Some(_) | None => {
                json!({ "kty": "OKP", "crv": curve, "x": URL_SAFE_NO_PAD.encode(&bytes) })
            }
        }
    }
}

impl PartialEq for VerifyingKey {
    fn eq(&self, other: &Self) -> bool {
        self.kind() == other.kind() && self.to_bytes() == other.to_bytes()
    }
}

impl Eq for VerifyingKey {}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifyingKey({}, {})", self.kind().name(), self.thumbprint())
    }
}

#[cfg(test)]
mod tests;
