//! The hot loops: multiplication in GF(2^128), the two halves of the code, and Curve25519 for many points at a time, each
//! once portable and once for a processor.
//!
//! The only module with `unsafe`, and only to call what was compiled for a processor that was found to be there. A
//! portable twin stands beside each, and tests compare them. Never branches on secrets, never looks anything up by one.

#[cfg(target_arch = "x86_64")]
mod ifma;
mod limbs;
mod montgomery;
pub mod portable;
#[cfg(target_arch = "x86_64")]
mod x86;

use std::ops::BitXor;

use curve25519_dalek::montgomery::MontgomeryPoint;

use crate::field::Gf;
use crate::limits::CODE_WEIGHT;

/// What the code's loops run over: an element, or two elements side by side.
pub trait Lane: Copy + Default + BitXor<Output = Self> {
    /// All of it where `keep` is one, nothing where it is zero.
    #[must_use]
    fn masked(self, keep: u32) -> Self;
}

impl Lane for Gf {
    #[inline(always)]
    fn masked(self, keep: u32) -> Self {
        Self(self.0 & 0u128.wrapping_sub(u128::from(keep)))
    }
}

/// Both values of a vector's receiver, side by side so that both are moved in one go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C, align(32))]
pub struct Pair {
    pub a: Gf,
    pub c: Gf,
}

impl BitXor for Pair {
    type Output = Self;

    #[inline(always)]
    fn bitxor(self, other: Self) -> Self {
        Self { a: self.a ^ other.a, c: self.c ^ other.c }
    }
}

impl Lane for Pair {
    #[inline(always)]
    fn masked(self, keep: u32) -> Self {
        Self { a: self.a.masked(keep), c: self.c.masked(keep) }
    }
}

/// `a · b`.
#[inline]
pub fn multiply(a: u128, b: u128) -> u128 {
    #[cfg(target_arch = "x86_64")]
    if let Some(product) = x86::multiply(a, b) {
        return product;
    }
    portable::multiply(a, b)
}

/// `out[i] += a[i] · by`.
pub fn scale_add(out: &mut [Gf], a: &[Gf], by: Gf) {
    #[cfg(target_arch = "x86_64")]
    if x86::scale_add(out, a, by) {
        return;
    }
    portable::scale_add(out, a, by, portable::multiply);
}

/// `Σ a[i] · b[i]`.
pub fn inner(a: &[Gf], b: &[Gf]) -> Gf {
    #[cfg(target_arch = "x86_64")]
    if let Some(sum) = x86::inner(a, b) {
        return sum;
    }
    portable::inner(a, b, portable::multiply)
}

/// `out[i] += Σ_k coefficients[k] · points[i]^(k + 1)`.
pub fn polynomials(out: &mut [Gf], points: &[Gf], coefficients: &[Gf]) {
    #[cfg(target_arch = "x86_64")]
    if x86::polynomials(out, points, coefficients) {
        return;
    }
    portable::polynomials(out, points, coefficients, portable::multiply);
}

/// The convolution in place; `taps[i]` says which of the symbols before `i` are added to it.
pub fn convolve<L: Lane>(symbols: &mut [L], taps: &[u32]) {
    #[cfg(target_arch = "x86_64")]
    if x86::convolve(symbols, taps) {
        return;
    }
    portable::convolve(symbols, taps);
}

/// `outputs[i] += Σ_k symbols[places[i][k]]`; places outside count as zero. Places are public.
pub fn gather<L: Lane>(outputs: &mut [L], symbols: &[L], places: &[[u32; CODE_WEIGHT]]) {
    #[cfg(target_arch = "x86_64")]
    if x86::gather(outputs, symbols, places) {
        return;
    }
    portable::gather(outputs, symbols, places, |_| ());
}

/// Each number becomes the u-coordinate on Curve25519 (or its twist) of `scalar` times the point that has it. Takes the
/// scalar as it is; [`crate::curve`] clamps.
pub fn ladders(scalar: &[u8; 32], numbers: &mut [[u8; 32]]) {
    #[cfg(target_arch = "x86_64")]
    if ifma::ladders(scalar, numbers) {
        return;
    }
    // Five limbs of 51 bits suit a multiplier of 64 bits better than ours.
    let bits = (0..255).rev().map(|place| (scalar[place / 8] >> (place % 8)) & 1 == 1);
    for number in numbers {
        *number = MontgomeryPoint(*number).mul_bits_be(bits.clone()).to_bytes();
    }
}

/// Each number becomes the u-coordinate of a point of Curve25519, by Elligator 2.
pub fn maps(numbers: &mut [[u8; 32]]) {
    #[cfg(target_arch = "x86_64")]
    if ifma::maps(numbers) {
        return;
    }
    montgomery::maps::<u64>(numbers);
}

/// Whether each number is the u-coordinate of a point of Curve25519, not of its twist.
pub fn on_curve(numbers: &[[u8; 32]]) -> Vec<bool> {
    let mut found = vec![false; numbers.len()];
    #[cfg(target_arch = "x86_64")]
    if ifma::on_curve(numbers, &mut found) {
        return found;
    }
    montgomery::on_curve::<u64>(numbers, &mut found);
    found
}

/// The lines of the eightfold versions for one number at a time: what tests compare with on every machine.
pub mod one_by_one {
    use super::montgomery;

    pub fn ladders(scalar: &[u8; 32], numbers: &mut [[u8; 32]]) {
        montgomery::ladders::<u64>(scalar, numbers);
    }

    pub fn maps(numbers: &mut [[u8; 32]]) {
        montgomery::maps::<u64>(numbers);
    }

    pub fn on_curve(numbers: &[[u8; 32]]) -> Vec<bool> {
        let mut found = vec![false; numbers.len()];
        montgomery::on_curve::<u64>(numbers, &mut found);
        found
    }
}
