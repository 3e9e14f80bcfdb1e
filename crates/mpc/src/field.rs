//! GF(2^128) as polynomials over GF(2) modulo x^128 + x^7 + x^2 + x + 1, and numbers out of its bits.
//!
//! Bit i of the number is the coefficient of x^i; on the wire an element is its 16 bytes, little endian. Addition is `^`.

use std::ops::{BitXor, BitXorAssign};

use crate::kernel;

/// One element.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(transparent)]
pub struct Gf(pub u128);

/// Bytes of an element on the wire.
pub const GF_BYTES: usize = 16;

impl Gf {
    pub const ZERO: Self = Self(0);
    pub const ONE: Self = Self(1);

    #[must_use]
    pub fn times(self, other: Self) -> Self {
        Self(kernel::multiply(self.0, other.0))
    }

    /// Times x.
    #[must_use]
    pub fn doubled(self) -> Self {
        let carry = 0u128.wrapping_sub(self.0 >> 127) & 0x87;
        Self((self.0 << 1) ^ carry)
    }

    /// The inverse, or zero of zero: x^(2^128 − 2).
    #[must_use]
    pub fn inverse(self) -> Self {
        let mut power = self;
        let mut result = Self::ONE;
        for _ in 1..128 {
            power = power.times(power);
            result = result.times(power);
        }
        result
    }

    /// The element whose 16 bytes these are; shorter slices are filled with zeros, longer ones cut.
    pub fn from_slice(bytes: &[u8]) -> Self {
        let mut buffer = [0; GF_BYTES];
        let length = bytes.len().min(GF_BYTES);
        buffer[..length].copy_from_slice(&bytes[..length]);
        Self(u128::from_le_bytes(buffer))
    }

    pub fn to_bytes(self) -> [u8; GF_BYTES] {
        self.0.to_le_bytes()
    }
}

impl BitXor for Gf {
    type Output = Self;

    fn bitxor(self, other: Self) -> Self {
        Self(self.0 ^ other.0)
    }
}

impl BitXorAssign for Gf {
    fn bitxor_assign(&mut self, other: Self) {
        self.0 ^= other.0;
    }
}

/// Elements one after the other, as they travel.
pub fn to_wire(elements: &[Gf]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(elements.len() * GF_BYTES);
    for element in elements {
        bytes.extend_from_slice(&element.to_bytes());
    }
    bytes
}

/// The elements of a message whose length was checked before.
pub fn from_wire(bytes: &[u8]) -> Vec<Gf> {
    bytes.chunks_exact(GF_BYTES).map(Gf::from_slice).collect()
}

/// A number below `bound` from the top 96 bits of a uniform block (the lowest 32 are not looked at).
pub fn scaled(block: u128, bound: u32) -> u32 {
    let top = word(block, 3);
    let wide = (u64::from(top) << 32 | u64::from(word(block, 2))) as u128;
    word((wide * u128::from(bound)) >> 64, 0)
}

/// The 32-bit word of this index, the lowest first.
#[expect(clippy::cast_possible_truncation, reason = "taking one word is the purpose")]
pub fn word(block: u128, index: u32) -> u32 {
    (block >> (32 * index)) as u32
}

/// `value · bound / 2^32`: a uniform word brought below `bound`, with a bias below bound/2^32.
pub fn narrowed(value: u32, bound: u32) -> u32 {
    word((u128::from(value) * u128::from(bound)) >> 32, 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The definition, bit by bit.
    fn schoolbook(a: u128, b: u128) -> u128 {
        let mut sum = Gf::ZERO;
        let mut power = Gf(a);
        for bit in 0..128 {
            if b >> bit & 1 == 1 {
                sum ^= power;
            }
            power = power.doubled();
        }
        sum.0
    }

    proptest! {
        #[test]
        fn multiplication_is_its_definition(a: u128, b: u128) {
            prop_assert_eq!(Gf(a).times(Gf(b)).0, schoolbook(a, b));
        }

        #[test]
        fn an_inverse_inverts(a: u128) {
            prop_assume!(a != 0);
            prop_assert_eq!(Gf(a).times(Gf(a).inverse()), Gf::ONE);
        }

        #[test]
        fn what_travels_comes_back(a: u128, b: u128) {
            let elements = vec![Gf(a), Gf(b)];
            prop_assert_eq!(from_wire(&to_wire(&elements)), elements);
        }

        #[test]
        fn numbers_stay_below_their_bound(block: u128, bound in 1u32..) {
            prop_assert!(scaled(block, bound) < bound);
            prop_assert!(narrowed(word(block, 1), bound) < bound);
        }
    }

    #[test]
    fn the_polynomial_is_the_one_of_gcm() {
        // x^127 · x = x^7 + x^2 + x + 1, and x^127 · x^127 by hand.
        assert_eq!(Gf(1 << 127).times(Gf(2)), Gf(0x87));
        assert_eq!(Gf(1 << 127).times(Gf(1 << 127)).0, schoolbook(1 << 127, 1 << 127));
        assert_eq!(Gf::ZERO.inverse(), Gf::ZERO);
    }
}
