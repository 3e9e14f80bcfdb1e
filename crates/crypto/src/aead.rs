//! Authenticated encryption in one call: AES-256-GCM (NIST SP 800-38D) and SM4-GCM (RFC 8998).
//!
//! A nonce must never be used twice under one key: the caller counts, or draws it for a key used
//! few times. Associated data is not optional by habit: it says what the ciphertext *is*.

use aes_gcm::{
    Aes256Gcm, AesGcm,
    aead::{Aead, KeyInit, Payload, consts::U12},
};
use rand_core::CryptoRng;
use zeroize::Zeroize;

use crate::{cbor, domain, error::Opaque, secret::Secret};

/// SM4 in Galois/counter mode, 96-bit nonce, 128-bit tag.
type Sm4Gcm = AesGcm<sm4::Sm4, U12>;

/// Bytes of a nonce.
pub const NONCE_BYTES: usize = 12;
/// Bytes a ciphertext is longer than its plaintext.
pub const TAG_BYTES: usize = 16;
/// Bytes of a wrapped 32-byte key: nonce, key, tag.
pub const WRAPPED_KEY_BYTES: usize = NONCE_BYTES + 32 + TAG_BYTES;

/// AES-256-GCM: ciphertext ‖ tag.
///
/// # Errors
/// [`Opaque`] above 64 GiB of plaintext, GCM's own bound.
pub fn seal(
    key: &Secret<[u8; 32]>,
    nonce: [u8; NONCE_BYTES],
    aad: &[u8],
    plaintext: &[u8],
) -> Result<Vec<u8>, Opaque> {
    encrypt(&Aes256Gcm::new(key.expose().into()), nonce, aad, plaintext)
}

/// Opens what [`seal`] made.
pub fn open(
    key: &Secret<[u8; 32]>,
    nonce: [u8; NONCE_BYTES],
    aad: &[u8],
    ciphertext: &[u8],
) -> Result<Secret<Vec<u8>>, Opaque> {
    decrypt(&Aes256Gcm::new(key.expose().into()), nonce, aad, ciphertext)
}

/// SM4-GCM: ciphertext ‖ tag.
pub fn seal_sm4(
    key: &Secret<[u8; 16]>,
    nonce: [u8; NONCE_BYTES],
    aad: &[u8],
    plaintext: &[u8],
) -> Result<Vec<u8>, Opaque> {
    encrypt(&Sm4Gcm::new(key.expose().into()), nonce, aad, plaintext)
}

/// Opens what [`seal_sm4`] made.
pub fn open_sm4(
    key: &Secret<[u8; 16]>,
    nonce: [u8; NONCE_BYTES],
    aad: &[u8],
    ciphertext: &[u8],
) -> Result<Secret<Vec<u8>>, Opaque> {
    decrypt(&Sm4Gcm::new(key.expose().into()), nonce, aad, ciphertext)
}

/// Wraps a data key under `wrapping` (a contract's key): `nonce ‖ ciphertext ‖ tag`.
///
/// `context` names what the key is for (product version, contract); unwrapping under another
/// context fails. Random nonces: at most 2^32 keys under one wrapping key (SP 800-38D §8.3).
pub fn wrap_key(
    wrapping: &Secret<[u8; 32]>,
    key: &Secret<[u8; 32]>,
    context: &[u8],
    rng: &mut dyn CryptoRng,
) -> Result<Vec<u8>, Opaque> {
    let mut nonce = [0; NONCE_BYTES];
    rng.fill_bytes(&mut nonce);
    let mut wrapped = nonce.to_vec();
    wrapped.extend(seal(wrapping, nonce, &wrap_aad(context), key.expose())?);
    Ok(wrapped)
}

/// Unwraps what [`wrap_key`] made under the same `wrapping` and `context`.
pub fn unwrap_key(
    wrapping: &Secret<[u8; 32]>,
    wrapped: &[u8],
    context: &[u8],
) -> Result<Secret<[u8; 32]>, Opaque> {
    if wrapped.len() != WRAPPED_KEY_BYTES {
        return Err(Opaque);
    }
    let (nonce, ciphertext) = wrapped.split_first_chunk().ok_or(Opaque)?;
    let plain = open(wrapping, *nonce, &wrap_aad(context), ciphertext)?;
    let mut key: [u8; 32] = plain.expose().as_slice().try_into().map_err(|_| Opaque)?;
    let secret = Secret::new(key);
    key.zeroize();
    Ok(secret)
}

fn wrap_aad(context: &[u8]) -> Vec<u8> {
    cbor::tuple(domain::WRAP_KEY, vec![context.into()])
}

fn encrypt(
    cipher: &impl Aead<NonceSize = U12>,
    nonce: [u8; NONCE_BYTES],
    aad: &[u8],
    plaintext: &[u8],
) -> Result<Vec<u8>, Opaque> {
    cipher.encrypt(&nonce.into(), Payload { msg: plaintext, aad }).map_err(|_| Opaque)
}

fn decrypt(
    cipher: &impl Aead<NonceSize = U12>,
    nonce: [u8; NONCE_BYTES],
    aad: &[u8],
    ciphertext: &[u8],
) -> Result<Secret<Vec<u8>>, Opaque> {
    let plain = cipher.decrypt(&nonce.into(), Payload { msg: ciphertext, aad });
    plain.map(Secret::new).map_err(|_| Opaque)
}

#[cfg(test)]
mod tests;
