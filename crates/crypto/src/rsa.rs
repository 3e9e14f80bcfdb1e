//! RSA with public keys of outside programs (RFC 8017): OAEP encryption with SHA-1, as OpenTDF's
//! clients want it, and verification of RS256. There is no private-key operation here, and no key of ours.
//!
//! SHA-1 inside OAEP is not a weakness (RFC 8017 §7.1 needs no collision resistance of it); it is
//! what the published clients decrypt. Arithmetic is `crypto-bigint`'s, in constant time.
//!
//! Threat model: key, message and signature are a stranger's. Only moduli of exactly 2048, 3072 or 4096
//! bits and the exponent 65537 are taken, so that the work is bounded. Must never be used for keys of
//! our own: suites are in [`crate::suite`].

use std::fmt;

use crypto_bigint::{
    Odd, Uint,
    modular::{FixedMontyForm, FixedMontyParams},
};
use rand_core::CryptoRng;
use sha1::Sha1;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::{
    error::{BadKey, Opaque},
    secret::ct_eq,
    spki::{self, Spki},
};

/// The exponent that every program in use has (0x010001).
const EXPONENT: [u8; 3] = [1, 0, 1];
const SHA1_BYTES: usize = 20;
/// `DigestInfo` of SHA-256 in front of the digest (RFC 8017 §9.2, note 1).
const SHA256_INFO: [u8; 19] =
    [0x30, 0x31, 0x30, 13, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1, 5, 0, 4, 0x20];

/// Somebody's RSA public key with exponent 65537.
#[derive(Clone, PartialEq, Eq)]
pub struct RsaPublic(Vec<u8>);

impl RsaPublic {
    /// From `PUBLIC KEY` in PEM.
    pub fn from_pem(pem: &str) -> Result<Self, BadKey> {
        match spki::read(pem)? {
            Spki::Rsa { modulus, exponent } => Self::new(modulus, &exponent),
            Spki::P256(_) | Spki::Sm2(_) => Err(BadKey),
        }
    }

    pub(crate) fn new(modulus: Vec<u8>, exponent: &[u8]) -> Result<Self, BadKey> {
        let full = modulus.first().is_some_and(|it| *it >= 128);
        let odd = modulus.last().is_some_and(|it| it & 1 == 1);
        let size = matches!(modulus.len(), 256 | 384 | 512);
        if full && odd && size && exponent == EXPONENT { Ok(Self(modulus)) } else { Err(BadKey) }
    }

    /// The modulus, big-endian.
    pub fn modulus(&self) -> &[u8] {
        &self.0
    }

    /// RSAES-OAEP with SHA-1, MGF1 with SHA-1 and an empty label (RFC 8017 §7.1.1).
    ///
    /// # Errors
    /// [`Opaque`] for a message that does not fit.
    pub fn encrypt_oaep(&self, message: &[u8], rng: &mut dyn CryptoRng) -> Result<Vec<u8>, Opaque> {
        let size = self.0.len();
        let block = size.checked_sub(SHA1_BYTES.saturating_add(1)).ok_or(Opaque)?;
        let padding = block
            .checked_sub(message.len().saturating_add(SHA1_BYTES).saturating_add(1))
            .ok_or(Opaque)?;
        let mut seed = Zeroizing::new([0; SHA1_BYTES]);
        rng.fill_bytes(seed.as_mut_slice());
        let mut data = Zeroizing::new(Vec::with_capacity(block));
        data.extend_from_slice(&Sha1::digest(b""));
        data.resize(SHA1_BYTES.saturating_add(padding), 0);
        data.push(1);
        data.extend_from_slice(message);
        mask(&mut data, seed.as_slice());
        mask(seed.as_mut_slice(), &data);
        let mut encoded = Zeroizing::new(Vec::with_capacity(size));
        encoded.push(0);
        encoded.extend_from_slice(seed.as_slice());
        encoded.extend_from_slice(&data);
        self.power(&encoded)
    }

    /// RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017 §8.2.2).
    ///
    /// # Errors
    /// [`Opaque`] for anything but this key's signature over `message`.
    pub fn verify_rs256(&self, message: &[u8], signature: &[u8]) -> Result<(), Opaque> {
        let size = self.0.len();
        if signature.len() != size {
            return Err(Opaque);
        }
        // What was encoded is compared whole, never parsed (RFC 8017 §8.2.2, note).
        let tail = [SHA256_INFO.as_slice(), &Sha256::digest(message)].concat();
        let padding = size.checked_sub(tail.len().saturating_add(3)).ok_or(Opaque)?;
        let expected = [&[0, 1], vec![0xff; padding].as_slice(), &[0], &tail].concat();
        let found = self.power(signature)?;
        if ct_eq(&found, &expected) { Ok(()) } else { Err(Opaque) }
    }

    /// `base^65537 mod n`; [`Opaque`] for a base that is not below `n`.
    fn power(&self, base: &[u8]) -> Result<Vec<u8>, Opaque> {
        match self.0.len() {
            256 => power::<{ 256 / LIMB }>(&self.0, base),
            384 => power::<{ 384 / LIMB }>(&self.0, base),
            512 => power::<{ 512 / LIMB }>(&self.0, base),
            _ => Err(Opaque),
        }
    }
}

impl fmt::Debug for RsaPublic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RsaPublic({} bytes)", self.0.len())
    }
}

const LIMB: usize = crypto_bigint::Limb::BYTES;

fn power<const LIMBS: usize>(modulus: &[u8], base: &[u8]) -> Result<Vec<u8>, Opaque> {
    let number = |bytes: &[u8]| Uint::<LIMBS>::from_be_slice(bytes);
    if base.len() != modulus.len() {
        return Err(Opaque);
    }
    let (modulus, base) = (number(modulus), Zeroizing::new(number(base)));
    if *base >= modulus {
        return Err(Opaque);
    }
    let modulus = Option::<Odd<Uint<LIMBS>>>::from(modulus.to_odd()).ok_or(Opaque)?;
    let params = FixedMontyParams::new_vartime(modulus);
    let form = FixedMontyForm::new(&base, &params);
    // 65537 = 2^16 + 1: the exponent is public.
    let mut power = form;
    for _ in 0..16 {
        power = power.square();
    }
    Ok(power.mul(&form).retrieve().to_be_bytes().as_ref().to_vec())
}

/// XORs MGF1-SHA-1 of `seed` onto `data` (RFC 8017 §B.2.1).
fn mask(data: &mut [u8], seed: &[u8]) {
    for (counter, chunk) in (0_u32..).zip(data.chunks_mut(SHA1_BYTES)) {
        let digest = Sha1::new().chain_update(seed).chain_update(counter.to_be_bytes()).finalize();
        for (byte, other) in chunk.iter_mut().zip(digest) {
            *byte ^= other;
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
