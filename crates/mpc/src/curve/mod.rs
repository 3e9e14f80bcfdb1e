//! The groups of Diffie and Hellman's protocols: hash items to points, and multiply many points by one secret.
//!
//! | suite | points on the wire | hash to the group | per multiplication |
//! |---|---|---|---|
//! | [`Suite::Curve25519`] | u-coordinates, 32 bytes | Elligator 2 (RFC 9380 §6.7.1), encoding | eight at a time |
//! | [`Suite::Ristretto255`] | RFC 9496, 32 bytes | element derivation (RFC 9496 §4.3.4) | one by one |
//! | [`Suite::Sm2`] | GB/T 32918, compressed, 33 bytes | simplified SWU with SM3 (as RFC 9380 §6.6.2), random oracle | one by one |
//!
//! Threats. A peer's encoding that is not canonical, lies on the twist or has low order is refused, so every point that a
//! secret meets is one of the curve, and every product one of the subgroup of prime order. Secrets and items decide no
//! branch and no address. Never keeps a secret beyond its use: they are erased when dropped.
//!
//! [`x25519_many`] is RFC 7748 §5 as it stands, for those who speak with other programs; it accepts any 32 bytes.

mod montgomery;
mod ristretto;
mod sm2;
mod swu;

use zeroize::{ZeroizeOnDrop, Zeroizing};

use crate::fault::Fault;
use crate::hash::{derive, domain, half};
use crate::kernel;
use crate::random::Stream;
use crate::step::Step;

/// X25519 of one scalar and many u-coordinates, in place. The scalar is clamped and the highest bit of a coordinate
/// ignored, as RFC 7748 says; points of low order give zero.
pub fn x25519_many(scalar: &[u8; 32], us: &mut [[u8; 32]]) {
    let clamped = Zeroizing::new(clamped(*scalar));
    kernel::ladders(&clamped, us);
}

/// A multiple of 8 between 2^254 and 2^255, as RFC 7748 makes one of any 32 bytes.
#[must_use]
pub fn clamped(mut scalar: [u8; 32]) -> [u8; 32] {
    scalar[0] &= 248;
    scalar[31] = (scalar[31] & 127) | 64;
    scalar
}

/// Which group, and how items get there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suite {
    /// A group of prime order without exceptions.
    Ristretto255,
    /// The fast one.
    Curve25519,
    /// For those who must use the commercial cryptography of China (国密). The profile is ours; no RFC names it.
    Sm2,
}

impl Suite {
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Ristretto255 => 0,
            Self::Curve25519 => 1,
            Self::Sm2 => 2,
        }
    }

    /// Bytes of a point on the wire.
    #[must_use]
    pub fn point_bytes(self) -> usize {
        match self {
            Self::Ristretto255 | Self::Curve25519 => 32,
            Self::Sm2 => sm2::POINT_BYTES,
        }
    }
}

/// The last hash of the function: 128 bits of a point, under a binding.
pub(crate) enum Masks {
    Ristretto255([u8; 32]),
    /// With a key that is derived once.
    Curve25519([u8; 32]),
    Sm2([u8; 32]),
}

impl Masks {
    pub(crate) fn new(suite: Suite, binding: &[u8; 32]) -> Self {
        match suite {
            Suite::Ristretto255 => Self::Ristretto255(*binding),
            Suite::Curve25519 => Self::Curve25519(derive(domain::ECDH_MASK, &[binding])),
            Suite::Sm2 => Self::Sm2(*binding),
        }
    }

    pub(crate) fn of(&self, point: &[u8]) -> u128 {
        match self {
            Self::Ristretto255(binding) => half(&derive(domain::ECDH_MASK, &[binding, point])),
            Self::Curve25519(key) => half(blake3::keyed_hash(key, point).as_bytes()),
            Self::Sm2(binding) => sm2::mask(binding, point),
        }
    }
}

/// A secret multiplier.
#[derive(ZeroizeOnDrop)]
pub(crate) enum Secret {
    Ristretto255(ristretto::Secret),
    Curve25519(montgomery::Secret),
    Sm2(sm2::Secret),
}

impl Secret {
    pub(crate) fn new(suite: Suite, stream: &mut Stream) -> Self {
        match suite {
            Suite::Ristretto255 => Self::Ristretto255(ristretto::Secret::new(stream)),
            Suite::Curve25519 => Self::Curve25519(montgomery::Secret::new(stream)),
            Suite::Sm2 => Self::Sm2(sm2::Secret::new(stream)),
        }
    }

    /// What undoes this one.
    pub(crate) fn inverse(&self) -> Self {
        match self {
            Self::Ristretto255(secret) => Self::Ristretto255(secret.inverse()),
            Self::Curve25519(secret) => Self::Curve25519(secret.inverse()),
            Self::Sm2(secret) => Self::Sm2(secret.inverse()),
        }
    }

    /// The points of items under a binding, multiplied: one encoding after the other.
    pub(crate) fn of_items(&self, binding: &[u8; 32], items: &[u128]) -> Result<Vec<u8>, Fault> {
        match self {
            Self::Ristretto255(secret) => Ok(secret.of_items(binding, items)),
            Self::Curve25519(secret) => Ok(secret.of_items(binding, items)),
            Self::Sm2(secret) => secret.of_items(binding, items),
        }
    }

    /// A peer's points, multiplied; a fault where one of them is none.
    pub(crate) fn of_points(&self, points: &[u8], step: Step) -> Result<Vec<u8>, Fault> {
        match self {
            Self::Ristretto255(secret) => secret.of_points(points, step),
            Self::Curve25519(secret) => secret.of_points(points, step),
            Self::Sm2(secret) => secret.of_points(points, step),
        }
    }
}

#[cfg(test)]
mod tests;
