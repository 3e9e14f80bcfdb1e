//! A key share, wrapped for a client of OpenTDF's key access service: to its RSA key (OAEP), or to its
//! P-256 key (ECDH with a one-time key, HKDF-SHA-256, AES-256-GCM). Outside of the OpenTDF standard: to its SM2 key
//! (GB/T 32918.4, C1C3C2), for files under SM4.
//!
//! Must never decide who gets a share: the gate did.

use std::fmt;

use hkdf::Hkdf;
use p256::{
    ProjectivePoint, PublicKey, SecretKey,
    elliptic_curve::{point::AffineCoordinates, sec1::ToSec1Point},
};
use rand_core::CryptoRng;
use sm2::pke::EncryptingKey;
use zeroize::Zeroizing;

use crate::{
    aead::{self, NONCE_BYTES},
    domain,
    error::{BadKey, Opaque},
    hash::{Digest, sha256},
    rsa::RsaPublic,
    secret::Secret,
    spki::{self, Spki},
    suite::Suite,
};

/// What a client asked to have its share wrapped to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientKey {
    Rsa(RsaPublic),
    P256(PublicKey),
    Sm2(sm2::PublicKey),
}

/// One answer's wrapping: all shares of an answer go under the same one-time key, as the protocol has it.
pub struct Session {
    how: How,
    pub session_key: Option<String>,
}

enum How {
    Rsa(RsaPublic),
    Sm2(sm2::PublicKey),
    Shared(Secret<[u8; 32]>),
}

impl ClientKey {
    /// From `PUBLIC KEY` in PEM: RSA of 2048, 3072 or 4096 bits, or P-256.
    pub fn from_pem(pem: &str) -> Result<Self, BadKey> {
        match spki::read(pem)? {
            Spki::Rsa { modulus, exponent } => RsaPublic::new(modulus, &exponent).map(Self::Rsa),
            Spki::P256(point) => {
                PublicKey::from_sec1_bytes(&point).map(Self::P256).map_err(|_| BadKey)
            }
            Spki::Sm2(point) => {
                sm2::PublicKey::from_sec1_bytes(&point).map(Self::Sm2).map_err(|_| BadKey)
            }
        }
    }

    /// Names this key.
    pub fn digest(&self) -> Digest {
        match self {
            Self::Rsa(key) => sha256(key.modulus()),
            Self::P256(key) => sha256(key.to_sec1_point(false).as_bytes()),
            Self::Sm2(key) => sha256(&key.to_sec1_bytes()),
        }
    }

    /// The suite whose files' shares may be wrapped to this key: never one suite's key under the other.
    pub fn suite(&self) -> Suite {
        match self {
            Self::Rsa(_) | Self::P256(_) => Suite::International,
            Self::Sm2(_) => Suite::Guomi,
        }
    }

    /// Prepares to wrap to this key.
    pub fn session(&self, rng: &mut dyn CryptoRng) -> Result<Session, Opaque> {
        match self {
            Self::Rsa(key) => Ok(Session { how: How::Rsa(key.clone()), session_key: None }),
            Self::Sm2(key) => Ok(Session { how: How::Sm2(*key), session_key: None }),
            Self::P256(key) => {
                let secret = one_time(rng)?;
                let point = secret.public_key().to_sec1_point(false);
                let pem = spki::write_p256(point.as_bytes()).map_err(|_| Opaque)?;
                Ok(Session { how: How::Shared(agree(&secret, key)?), session_key: Some(pem) })
            }
        }
    }
}

impl Session {
    /// Wraps one share.
    pub fn wrap(
        &self,
        share: &Secret<[u8; 32]>,
        rng: &mut dyn CryptoRng,
    ) -> Result<Vec<u8>, Opaque> {
        match &self.how {
            How::Rsa(key) => key.encrypt_oaep(share.expose(), rng),
            How::Sm2(key) => {
                let mut rng = rng;
                EncryptingKey::new(*key).encrypt(&mut rng, share.expose()).map_err(|_| Opaque)
            }
            How::Shared(key) => {
                let mut nonce = [0; NONCE_BYTES];
                rng.fill_bytes(&mut nonce);
                let sealed = aead::seal(key, nonce, b"", share.expose())?;
                Ok([nonce.as_slice(), &sealed].concat())
            }
        }
    }
}

/// The key of a key service, to which anybody may wrap a share (`ec-wrapped`).
pub struct KasKey(SecretKey);

impl KasKey {
    /// The service's key, always the same one for a seed.
    pub fn from_seed(seed: &Secret<[u8; 32]>) -> Result<Self, Opaque> {
        let derived = Hkdf::<sha2::Sha256>::new(None, seed.expose());
        for counter in 0..=u8::MAX {
            let mut bytes = Zeroizing::new([0; 32]);
            let info = [domain::KAS_KEY.as_bytes(), &[counter]].concat();
            derived.expand(&info, bytes.as_mut_slice()).map_err(|_| Opaque)?;
            if let Ok(key) = SecretKey::from_slice(bytes.as_slice()) {
                return Ok(Self(key));
            }
        }
        Err(Opaque)
    }

    /// PEM of the public half.
    pub fn public_pem(&self) -> Result<String, BadKey> {
        spki::write_p256(self.0.public_key().to_sec1_point(false).as_bytes())
    }

    /// Opens a share that somebody wrapped with [`Session::wrap`] under the one-time key `ephemeral` (PEM).
    pub fn unwrap(&self, ephemeral: &str, wrapped: &[u8]) -> Result<Secret<[u8; 32]>, Opaque> {
        let Ok(ClientKey::P256(theirs)) = ClientKey::from_pem(ephemeral) else {
            return Err(Opaque);
        };
        let (nonce, sealed) = wrapped.split_first_chunk::<NONCE_BYTES>().ok_or(Opaque)?;
        let plain = aead::open(&agree(&self.0, &theirs)?, *nonce, b"", sealed)?;
        let share: [u8; 32] = plain.expose().as_slice().try_into().map_err(|_| Opaque)?;
        Ok(Secret::new(share))
    }
}

impl fmt::Debug for KasKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KasKey(…)")
    }
}

/// Draws again in the rare case that 32 bytes are no scalar.
fn one_time(rng: &mut dyn CryptoRng) -> Result<SecretKey, Opaque> {
    for _ in 0..64 {
        let mut bytes = Zeroizing::new([0; 32]);
        rng.fill_bytes(bytes.as_mut_slice());
        if let Ok(key) = SecretKey::from_slice(bytes.as_slice()) {
            return Ok(key);
        }
    }
    Err(Opaque)
}

/// ECDH, then HKDF-SHA-256 with the salt that OpenTDF's clients use: SHA-256 of `TDF`.
fn agree(secret: &SecretKey, public: &PublicKey) -> Result<Secret<[u8; 32]>, Opaque> {
    #[expect(clippy::arithmetic_side_effects, reason = "of a group: it has no overflow")]
    let point = ProjectivePoint::from(*public.as_affine()) * *secret.to_nonzero_scalar();
    let x = Zeroizing::new(<[u8; 32]>::from(point.to_affine().x()));
    let mut key = Zeroizing::new([0; 32]);
    Hkdf::<sha2::Sha256>::new(Some(sha256(b"TDF").as_bytes()), x.as_slice())
        .expand(b"", key.as_mut_slice())
        .map_err(|_| Opaque)?;
    Ok(Secret::new(*key))
}

#[cfg(test)]
mod tests;
