//! Curve25519 by u-coordinates, for many points at a time.
//!
//! [`x25519_many`] is RFC 7748 §5 for a list: eight points side by side where the processor can, else one by one; either way
//! without branches or addresses that depend on the scalar or a coordinate.
//!
//! Never decides whether a point is to be accepted: X25519 takes any 32 bytes, and what a protocol must refuse stands with
//! the protocol.

use crate::kernel;

/// X25519 of one scalar and many u-coordinates, in place. The scalar is clamped and the highest bit of a coordinate
/// ignored, as RFC 7748 says; points of low order give zero.
pub fn x25519_many(scalar: &[u8; 32], us: &mut [[u8; 32]]) {
    let clamped = zeroize::Zeroizing::new(clamped(*scalar));
    kernel::ladders(&clamped, us);
}

/// A multiple of 8 between 2^254 and 2^255, as RFC 7748 makes one of any 32 bytes.
#[must_use]
pub fn clamped(mut scalar: [u8; 32]) -> [u8; 32] {
    scalar[0] &= 248;
    scalar[31] = (scalar[31] & 127) | 64;
    scalar
}

#[cfg(test)]
mod tests;
