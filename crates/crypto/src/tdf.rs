//! OpenTDF 4.3 container: a sealed file that opens only with a key released under a lease (D3).
//!
//! A ZIP with two stored entries: `0.payload`, AES-256-GCM segments `nonce ‖ ciphertext ‖ tag`,
//! and `0.manifest.json`. What binds the parts, all under the payload key:
//!
//! ```text
//!  policy ── HMAC (each key access object) ──┐
//!  segment tags ── HMAC (root signature) ────┼── payload key = share ⊕ share ⊕ …
//!  assertions ── HS256 JWS over tags + hash ─┘
//! ```
//!
//! Threat model: the file was under an attacker's control, who may own another container under
//! the same key. Size limits hold before any key is used; nothing of the payload is handed out
//! before the policy binding and the root signature hold, and each segment only after its own tag
//! does. A truncated, swapped, reordered, repeated or missing segment ends in an error, never in
//! a clean end of file. The holder of the key can of course forge everything.
//!
//! One thing the format does not bind: two containers under the same key may have their policies
//! exchanged. Whoever relies on the policy compares [`Container::manifest_sha256`] with the
//! digest on record, or evaluates its own copy of the agreement (as the gate does).
//!
//! Must never decide who gets a key, and never read an unproven assertion as a rule.
//!
//! A suite of our own ([`crate::suite::Suite::Guomi`]: SM4-GCM, HMAC-SM3) uses the same layout. It is outside of
//! the OpenTDF standard, and each such container says so in its schema version and algorithm names.
//!
//! Deviations from the specification: payloads outside the ZIP (`url` other than `0.payload`),
//! compressed or additional entries, and root signatures other than HS256 are refused; of
//! assertion bindings only HS256 under the payload key is proven.

mod cipher;
mod integrity;
mod manifest;
mod open;
pub mod rewrap;
mod seal;
mod zip;

use std::io;

use rand_core::CryptoRng;
use thiserror::Error;
use zeroize::Zeroize;

use crate::secret::Secret;

pub use integrity::{bound_under, policy_binding};
pub use manifest::{KeyAccess, Manifest};
pub use open::{Container, Reader};
pub use seal::{Access, SealParams, SealReport, seal};

/// Name of the manifest's entry.
pub const MANIFEST_NAME: &str = "0.manifest.json";
/// Name of the payload's entry.
pub const PAYLOAD_NAME: &str = "0.payload";
/// Bytes a segment is longer when encrypted: nonce and tag.
pub const SEGMENT_OVERHEAD: usize = crate::aead::NONCE_BYTES + crate::aead::TAG_BYTES;

/// Why a container cannot be made or opened.
#[derive(Debug, Error)]
pub enum TdfFault {
    #[error("reading or writing the sealed file failed: {0}")]
    Io(#[from] io::Error),
    #[error("not a TDF container: {0}")]
    NotContainer(&'static str),
    #[error("the TDF manifest is not usable: {0}")]
    Manifest(String),
    #[error("the TDF exceeds a limit: {0}")]
    TooLarge(&'static str),
    #[error("the TDF uses what this node does not support: {0}")]
    Unsupported(&'static str),
    #[error("the key is split: give exactly one share for each split id")]
    Shares,
    #[error("this key does not open the container, or the container was changed")]
    Opaque,
}

impl From<TdfFault> for io::Error {
    fn from(fault: TdfFault) -> Self {
        if let TdfFault::Io(error) = fault {
            error
        } else {
            Self::new(io::ErrorKind::InvalidData, fault)
        }
    }
}

/// Splits `key` into `count` shares; their XOR is the key, fewer say nothing about it.
///
/// # Errors
/// [`TdfFault::Shares`] if `count` is zero.
pub fn split_key(
    key: &Secret<[u8; 32]>,
    count: usize,
    rng: &mut dyn CryptoRng,
) -> Result<Vec<Secret<[u8; 32]>>, TdfFault> {
    let random = count.checked_sub(1).ok_or(TdfFault::Shares)?;
    let mut shares: Vec<_> = (0..random).map(|_| Secret::random(rng)).collect();
    let last = join_shares(shares.iter().chain([key]));
    shares.push(last);
    Ok(shares)
}

/// The XOR of `shares`.
pub fn join_shares<'a>(shares: impl IntoIterator<Item = &'a Secret<[u8; 32]>>) -> Secret<[u8; 32]> {
    let mut joined = [0_u8; 32];
    for share in shares {
        for (byte, other) in joined.iter_mut().zip(share.expose()) {
            *byte ^= other;
        }
    }
    let secret = Secret::new(joined);
    joined.zeroize();
    secret
}

#[cfg(test)]
mod tests;
