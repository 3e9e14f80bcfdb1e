//! The two ciphers of a container's segments: AES-256-GCM, and SM4-GCM (GB/T 32907, RFC 8998), which is ours alone.
//!
//! OpenTDF knows AES-256-GCM only: a container under SM4 says so in `method.algorithm` and in its schema version,
//! and no outside reader opens it. Must never fall back from one to the other.

use aes_gcm::{
    Aes256Gcm, AesGcm,
    aead::{AeadInOut, KeyInit, consts::U12},
};

use super::TdfFault;
use crate::{
    aead::{NONCE_BYTES, TAG_BYTES},
    secret::Secret,
    suite::{Suite, sm4_key},
};

/// Schema version of containers under SM4: semantic versioning's build metadata marks what is not the standard's.
const SM4_SCHEMA: &str = "4.3.0+tidm.sm4";

/// The name of a suite's cipher in a manifest.
pub(super) const fn name(suite: Suite) -> &'static str {
    match suite {
        Suite::International => "AES-256-GCM",
        Suite::Guomi => "SM4-GCM",
    }
}

/// The suite whose cipher has this [`name`].
pub(super) fn suite(name: &str) -> Option<Suite> {
    Suite::ALL.into_iter().find(|it| self::name(*it) == name)
}

/// The schema version that is written.
pub(super) const fn schema(suite: Suite) -> &'static str {
    match suite {
        Suite::International => super::manifest::SCHEMA_VERSION,
        Suite::Guomi => SM4_SCHEMA,
    }
}

/// Keyed. SM4's key is derived from the payload key, so that one key never serves two ciphers.
pub(super) enum Cipher {
    Aes(Box<Aes256Gcm>),
    Sm4(Box<AesGcm<sm4::Sm4, U12>>),
}

impl Cipher {
    pub(super) fn new(suite: Suite, key: &Secret<[u8; 32]>) -> Result<Self, TdfFault> {
        Ok(match suite {
            Suite::International => Self::Aes(Box::new(Aes256Gcm::new(key.expose().into()))),
            Suite::Guomi => {
                let key = sm4_key(key).map_err(|_| TdfFault::Opaque)?;
                Self::Sm4(Box::new(AesGcm::new(key.expose().into())))
            }
        })
    }

    /// Encrypts in place; the tag.
    pub(super) fn encrypt(
        &self,
        nonce: [u8; NONCE_BYTES],
        segment: &mut [u8],
    ) -> Result<[u8; TAG_BYTES], TdfFault> {
        let tag = match self {
            Self::Aes(it) => it.encrypt_inout_detached(&nonce.into(), b"", segment.into()),
            Self::Sm4(it) => it.encrypt_inout_detached(&nonce.into(), b"", segment.into()),
        };
        Ok(tag.map_err(|_| TdfFault::Opaque)?.into())
    }

    /// Decrypts in place, if the tag is right.
    pub(super) fn decrypt(
        &self,
        nonce: [u8; NONCE_BYTES],
        segment: &mut [u8],
        tag: [u8; TAG_BYTES],
    ) -> Result<(), TdfFault> {
        let (nonce, tag) = (&nonce.into(), &tag.into());
        let done = match self {
            Self::Aes(it) => it.decrypt_inout_detached(nonce, b"", segment.into(), tag),
            Self::Sm4(it) => it.decrypt_inout_detached(nonce, b"", segment.into(), tag),
        };
        done.map_err(|_| TdfFault::Opaque)
    }
}
