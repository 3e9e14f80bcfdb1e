//! The two families of algorithms a data space may demand: international and 国密.
//!
//! A suite is chosen once per space or contract and named in what is signed. Must never be
//! negotiated down: a message in another suite than agreed is refused by its reader.

use hkdf::Hkdf;

use crate::{
    aead::{self, NONCE_BYTES},
    domain,
    error::Opaque,
    hash::{self, Digest},
    secret::Secret,
    sign::KeyKind,
};

/// A family of algorithms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Suite {
    /// SHA-256, Ed25519 or ES256, AES-256-GCM.
    #[default]
    International,
    /// SM3, SM2, SM4-GCM (GB/T 32905, 32918, 32907).
    Guomi,
}

impl Suite {
    /// Both.
    pub const ALL: [Self; 2] = [Self::International, Self::Guomi];

    /// Name in files and messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::International => "international",
            Self::Guomi => "guomi",
        }
    }

    /// The suite of this [`name`](Self::name).
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|suite| suite.name() == name)
    }

    /// The digest's name, as the IANA registry and GB/T 32905 write it.
    pub const fn digest_name(self) -> &'static str {
        match self {
            Self::International => "sha-256",
            Self::Guomi => "sm3",
        }
    }

    /// The suite's digest of `bytes`.
    pub fn digest(self, bytes: &[u8]) -> Digest {
        match self {
            Self::International => hash::sha256(bytes),
            Self::Guomi => hash::sm3(bytes),
        }
    }

    /// Kinds of signature keys of this suite, the default first.
    pub const fn key_kinds(self) -> &'static [KeyKind] {
        match self {
            Self::International => &[KeyKind::Ed25519, KeyKind::Es256],
            Self::Guomi => &[KeyKind::Sm2],
        }
    }

    /// Encrypts with the suite's cipher under a 32-byte data key: ciphertext ‖ tag.
    pub fn seal(
        self,
        key: &Secret<[u8; 32]>,
        nonce: [u8; NONCE_BYTES],
        aad: &[u8],
        plaintext: &[u8],
    ) -> Result<Vec<u8>, Opaque> {
        match self {
            Self::International => aead::seal(key, nonce, aad, plaintext),
            Self::Guomi => aead::seal_sm4(&sm4_key(key)?, nonce, aad, plaintext),
        }
    }

    /// Opens what [`seal`](Self::seal) made.
    pub fn open(
        self,
        key: &Secret<[u8; 32]>,
        nonce: [u8; NONCE_BYTES],
        aad: &[u8],
        ciphertext: &[u8],
    ) -> Result<Secret<Vec<u8>>, Opaque> {
        match self {
            Self::International => aead::open(key, nonce, aad, ciphertext),
            Self::Guomi => aead::open_sm4(&sm4_key(key)?, nonce, aad, ciphertext),
        }
    }
}

/// SM4 keys are 128 bits: HKDF-SM3 of the data key, so that one key never serves two ciphers.
pub(crate) fn sm4_key(key: &Secret<[u8; 32]>) -> Result<Secret<[u8; 16]>, Opaque> {
    let mut bytes = zeroize::Zeroizing::new([0; 16]);
    Hkdf::<sm3::Sm3>::new(None, key.expose())
        .expand(domain::SM4_KEY.as_bytes(), bytes.as_mut_slice())
        .map_err(|_| Opaque)?;
    Ok(Secret::new(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_suite_opens_its_own_only() {
        let key = Secret::new([7; 32]);
        for suite in Suite::ALL {
            let sealed = suite.seal(&key, [1; 12], b"what", b"data").unwrap();
            assert_eq!(suite.open(&key, [1; 12], b"what", &sealed).unwrap().expose(), b"data");
            for other in Suite::ALL.into_iter().filter(|it| *it != suite) {
                assert_eq!(other.open(&key, [1; 12], b"what", &sealed).err(), Some(Opaque));
            }
            assert_eq!(Suite::from_name(suite.name()), Some(suite));
        }
        assert_eq!(Suite::from_name("none"), None);
        assert_eq!(Suite::Guomi.digest(b"abc"), hash::sm3(b"abc"));
        assert_eq!(Suite::International.digest(b"abc"), hash::sha256(b"abc"));
    }
}
