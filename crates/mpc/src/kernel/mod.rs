//! The hot loops: multiplication in GF(2^128), the two halves of the code and hashes of short keys, each once portable and once for a processor.
//!
//! The only module with `unsafe`, and only to call what was compiled for a processor that was found to be there. A
//! portable twin stands beside each, and tests compare them. Never branches on secrets, never looks anything up by one.

pub mod band;
pub mod blocks;
pub mod portable;
#[cfg(target_arch = "x86_64")]
mod wide;
#[cfg(target_arch = "x86_64")]
mod x86;

use std::ops::BitXor;

use crate::field::Gf;
use crate::limits::{CODE_MEMORY, CODE_WEIGHT};

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
    let (out, a) = {
        let done = wide::scale_add(out, a, by);
        (&mut out[done..], &a[done..])
    };
    #[cfg(target_arch = "x86_64")]
    if x86::scale_add(out, a, by) {
        return;
    }
    portable::scale_add(out, a, by, portable::multiply);
}

/// `Σ a[i] · b[i]`.
pub fn inner(a: &[Gf], b: &[Gf]) -> Gf {
    #[cfg(target_arch = "x86_64")]
    let (begun, a, b) = {
        let (sum, done) = wide::inner(a, b);
        (sum, &a[done..], &b[done..])
    };
    #[cfg(not(target_arch = "x86_64"))]
    let begun = Gf::ZERO;
    #[cfg(target_arch = "x86_64")]
    if let Some(sum) = x86::inner(a, b) {
        return begun ^ sum;
    }
    begun ^ portable::inner(a, b, portable::multiply)
}

/// `out[i] += Σ_k coefficients[k] · points[i]^(k + 1)`.
pub fn polynomials(out: &mut [Gf], points: &[Gf], coefficients: &[Gf]) {
    #[cfg(target_arch = "x86_64")]
    let (out, points) = {
        let done = wide::polynomials(out, points, coefficients);
        (&mut out[done..], &points[done..])
    };
    #[cfg(target_arch = "x86_64")]
    if x86::polynomials(out, points, coefficients) {
        return;
    }
    portable::polynomials(out, points, coefficients, portable::multiply);
}

/// The convolution in place; `taps[i]` says which of the symbols before `i` are added to it, and `before` holds those
/// before the first, now and for a next portion.
pub fn convolve<L: Lane>(symbols: &mut [L], taps: &[u32], before: &mut [L; CODE_MEMORY]) {
    #[cfg(target_arch = "x86_64")]
    if x86::convolve(symbols, taps, before) {
        return;
    }
    portable::convolve(symbols, taps, before);
}

/// `outputs[i] += Σ_k symbols[places[i][k]]`; places outside count as zero. Places are public.
pub fn gather<L: Lane>(outputs: &mut [L], symbols: &[L], places: &[[u32; CODE_WEIGHT]]) {
    #[cfg(target_arch = "x86_64")]
    if x86::gather(outputs, symbols, places) {
        return;
    }
    portable::gather(outputs, symbols, places, |_| ());
}
