//! Hybrid public-key encryption: RFC 9180 base mode, DHKEM(X25519, HKDF-SHA256), HKDF-SHA256,
//! AES-256-GCM. Carries data keys and small answers to one recipient.
//!
//! Base mode proves nothing about the sender: what was sealed must be inside something signed.
//! Must never be used without `info` (a [`crate::domain`] string) and `aad` (what it answers).

use std::fmt;

use hpke::{
    Deserializable, Kem, OpModeR, OpModeS, Serializable, aead::AesGcm256, kdf::HkdfSha256,
    kem::X25519HkdfSha256,
};
use rand_core::CryptoRng;
use zeroize::Zeroize;

use crate::{
    error::{BadKey, Opaque},
    limits::KEM_MAX_PLAINTEXT,
    secret::Secret,
};

/// Bytes of a public key and of an encapsulation.
pub const PUBLIC_BYTES: usize = 32;
/// Bytes that [`seal`] adds: encapsulation and tag.
pub const OVERHEAD_BYTES: usize = PUBLIC_BYTES + crate::aead::TAG_BYTES;

/// A recipient's private key, erased when dropped.
pub struct KemSecret(<X25519HkdfSha256 as Kem>::PrivateKey);

/// A recipient's public key.
#[derive(Clone, PartialEq, Eq)]
pub struct KemPublic(<X25519HkdfSha256 as Kem>::PublicKey);

/// What [`seal`] made: encapsulation (32 bytes) ‖ ciphertext ‖ tag.
#[derive(Clone, PartialEq, Eq)]
pub struct Wrapped(Vec<u8>);

/// Encrypts `plaintext` to `recipient`.
///
/// # Errors
/// [`Opaque`] if `recipient` is a point of small order (nobody's key), or the plaintext exceeds
/// [`KEM_MAX_PLAINTEXT`].
pub fn seal(
    recipient: &KemPublic,
    info: &[u8],
    aad: &[u8],
    plaintext: &[u8],
    mut rng: &mut dyn CryptoRng,
) -> Result<Wrapped, Opaque> {
    if plaintext.len() > KEM_MAX_PLAINTEXT {
        return Err(Opaque);
    }
    let (encapsulated, ciphertext) = hpke::single_shot_seal_with_rng::<
        AesGcm256,
        HkdfSha256,
        X25519HkdfSha256,
    >(
        &OpModeS::Base, &recipient.0, info, plaintext, aad, &mut rng
    )
    .map_err(|_| Opaque)?;
    let mut bytes = encapsulated.to_bytes().to_vec();
    bytes.extend(ciphertext);
    Ok(Wrapped(bytes))
}

impl KemSecret {
    /// A fresh key.
    pub fn generate(mut rng: &mut dyn CryptoRng) -> Self {
        Self(X25519HkdfSha256::gen_keypair_with_rng(&mut rng).0)
    }

    /// Reads [`to_secret_bytes`](Self::to_secret_bytes) back.
    pub fn from_secret_bytes(bytes: &[u8; 32]) -> Result<Self, BadKey> {
        Deserializable::from_bytes(bytes).map(Self).map_err(|_| BadKey)
    }

    /// The secret bytes, for the key directory.
    pub fn to_secret_bytes(&self) -> Secret<[u8; 32]> {
        let mut bytes: [u8; 32] = self.0.to_bytes().into();
        let secret = Secret::new(bytes);
        bytes.zeroize();
        secret
    }

    /// The public half.
    pub fn public(&self) -> KemPublic {
        KemPublic(X25519HkdfSha256::sk_to_pk(&self.0))
    }

    /// Opens what was sealed to this key under the same `info` and `aad`.
    pub fn open(
        &self,
        wrapped: &Wrapped,
        info: &[u8],
        aad: &[u8],
    ) -> Result<Secret<Vec<u8>>, Opaque> {
        let (encapsulated, ciphertext) = wrapped.0.split_at_checked(PUBLIC_BYTES).ok_or(Opaque)?;
        let encapsulated = Deserializable::from_bytes(encapsulated).map_err(|_| Opaque)?;
        hpke::single_shot_open::<AesGcm256, HkdfSha256, X25519HkdfSha256>(
            &OpModeR::Base,
            &self.0,
            &encapsulated,
            info,
            ciphertext,
            aad,
        )
        .map(Secret::new)
        .map_err(|_| Opaque)
    }
}

impl fmt::Debug for KemSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KemSecret(…)")
    }
}

impl KemPublic {
    /// The 32 bytes.
    pub fn to_bytes(&self) -> [u8; PUBLIC_BYTES] {
        self.0.to_bytes().into()
    }

    /// A key from 32 bytes. Points of small order are refused by [`seal`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BadKey> {
        Deserializable::from_bytes(bytes).map(Self).map_err(|_| BadKey)
    }
}

impl fmt::Debug for KemPublic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KemPublic({})", crate::hash::Digest(self.to_bytes()))
    }
}

impl Wrapped {
    /// Encapsulation ‖ ciphertext ‖ tag.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.clone()
    }

    /// Takes bytes of a possible length; only opening tells whether they are good.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Opaque> {
        let plaintext = bytes.len().checked_sub(OVERHEAD_BYTES).ok_or(Opaque)?;
        if plaintext > KEM_MAX_PLAINTEXT { Err(Opaque) } else { Ok(Self(bytes.to_vec())) }
    }
}

impl fmt::Debug for Wrapped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Wrapped({} bytes)", self.0.len())
    }
}

#[cfg(test)]
mod tests;
