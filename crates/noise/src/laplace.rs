//! The discrete Laplace distribution, drawn exactly: Canonne, Kamath, Steinke, "The Discrete Gaussian for Differential
//! Privacy" (2020), algorithms 1 and 2.
//!
//! `P(y) ∝ exp(-|y| / scale)` over all whole numbers, for a rational scale. Whole numbers only: each chance below is
//! a quotient of two, decided by rejection, and none is rounded. Never takes constant time: how many numbers it draws
//! depends on what it draws.

use rand_core::Rng;

/// A scale above zero, as a quotient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scale {
    num: u128,
    den: u128,
}

impl Scale {
    /// `None` where either is zero.
    pub fn new(num: u128, den: u128) -> Option<Self> {
        (num > 0 && den > 0).then_some(Self { num, den })
    }
}

/// One number of that scale.
pub fn draw<R: Rng + ?Sized>(scale: Scale, rng: &mut R) -> i128 {
    loop {
        let low = below(scale.num, rng);
        if !exp(low, scale.num, rng) {
            continue;
        }
        let mut high: u128 = 0;
        while exp(1, 1, rng) {
            high = high.saturating_add(1);
        }
        // Would saturate for a `high` above 2^40, whose chance is exp(-2^40); a cut after the noise tells nothing.
        let size = low.saturating_add(scale.num.saturating_mul(high)) / scale.den;
        let negative = rng.next_u64() & 1 == 1;
        // Zero has one sign.
        if negative && size == 0 {
            continue;
        }
        let size = i128::try_from(size).unwrap_or(i128::MAX);
        return if negative { -size } else { size };
    }
}

/// `true` with the chance `exp(-num/den)`, for `num` at most `den`.
fn exp<R: Rng + ?Sized>(num: u128, den: u128, rng: &mut R) -> bool {
    let mut k: u128 = 1;
    // `num / (den · k)`, as two draws, so that nothing overflows.
    while below(den, rng) < num && below(k, rng) == 0 {
        k = k.saturating_add(1);
    }
    k % 2 == 1
}

/// Any number below `end`, which is not zero, each with the same chance.
fn below<R: Rng + ?Sized>(end: u128, rng: &mut R) -> u128 {
    let bits = u128::BITS - end.saturating_sub(1).leading_zeros();
    let mask = if bits == 0 { 0 } else { u128::MAX >> (u128::BITS - bits) };
    loop {
        let mut drawn = if bits == 0 { 0 } else { u128::from(rng.next_u64()) };
        if bits > u64::BITS {
            drawn |= u128::from(rng.next_u64()) << u64::BITS;
        }
        let drawn = drawn & mask;
        if drawn < end {
            return drawn;
        }
    }
}

#[cfg(test)]
mod tests;
