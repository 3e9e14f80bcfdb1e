//! The loops for any processor; also the bodies of what is compiled for a particular one.

use super::Lane;
use crate::field::Gf;
use crate::limits::{CODE_MEMORY, CODE_WEIGHT};

/// `a · b` in GF(2^128).
#[inline]
pub fn multiply(a: u128, b: u128) -> u128 {
    let (a0, a1) = split(a);
    let (b0, b1) = split(b);
    let low = carryless(a0, b0);
    let high = carryless(a1, b1);
    let middle = carryless(a0 ^ a1, b0 ^ b1) ^ low ^ high;
    reduce(low ^ (middle << 64), high ^ (middle >> 64))
}

/// A polynomial of 256 coefficients, brought below x^128: x^128 = x^7 + x^2 + x + 1.
#[inline(always)]
pub(super) fn reduce(low: u128, high: u128) -> u128 {
    let over = (high >> 127) ^ (high >> 126) ^ (high >> 121);
    let high = high ^ over;
    low ^ high ^ (high << 1) ^ (high << 2) ^ (high << 7)
}

#[expect(clippy::cast_possible_truncation, reason = "the two halves are the purpose")]
#[inline(always)]
pub(super) fn split(x: u128) -> (u64, u64) {
    (x as u64, (x >> 64) as u64)
}

/// Product of two polynomials of 64 coefficients, without branches or tables.
fn carryless(a: u64, b: u64) -> u128 {
    let low = carryless_low(a, b);
    let high = carryless_low(a.reverse_bits(), b.reverse_bits()).reverse_bits() >> 1;
    u128::from(low) | u128::from(high) << 64
}

/// The lower 64 coefficients. Every fourth bit is multiplied at a time: sums of at most 16 ones do not reach the next.
fn carryless_low(a: u64, b: u64) -> u64 {
    const EVERY_FOURTH: u64 = 0x1111_1111_1111_1111;
    let mut sum = 0;
    for i in 0..4 {
        let mut part = 0;
        for j in 0..4u32 {
            let x = a & (EVERY_FOURTH << j);
            let y = b & (EVERY_FOURTH << ((4 + i - j) % 4));
            part ^= x.wrapping_mul(y);
        }
        sum |= part & (EVERY_FOURTH << i);
    }
    sum
}

#[inline(always)]
pub fn scale_add(out: &mut [Gf], a: &[Gf], by: Gf, multiply: impl Fn(u128, u128) -> u128) {
    for (out, a) in out.iter_mut().zip(a) {
        out.0 ^= multiply(a.0, by.0);
    }
}

#[inline(always)]
pub fn inner(a: &[Gf], b: &[Gf], multiply: impl Fn(u128, u128) -> u128) -> Gf {
    let mut sum = 0;
    for (a, b) in a.iter().zip(b) {
        sum ^= multiply(a.0, b.0);
    }
    Gf(sum)
}

#[inline(always)]
pub fn polynomials(
    out: &mut [Gf],
    points: &[Gf],
    coefficients: &[Gf],
    multiply: impl Fn(u128, u128) -> u128,
) {
    for (out, point) in out.iter_mut().zip(points) {
        let mut sum = 0;
        for coefficient in coefficients.iter().rev() {
            sum = multiply(sum ^ coefficient.0, point.0);
        }
        out.0 ^= sum;
    }
}

/// Symbol i gets the symbol [`CODE_MEMORY`] before it, and of those in between the ones that bits 0, 1, … of `taps[i]`
/// name, the nearest first. `before` is what lies before the beginning, and afterwards what a next portion needs; all
/// portions but the last have a multiple of [`CODE_MEMORY`] symbols.
#[inline(always)]
pub fn convolve<L: Lane>(symbols: &mut [L], taps: &[u32], before: &mut [L; CODE_MEMORY]) {
    // Out of the array itself into a window: no bounds to check, and the beginning is no case of its own.
    let mut window = [L::default(); 2 * CODE_MEMORY];
    window[..CODE_MEMORY].copy_from_slice(before);
    for (symbols, taps) in symbols.chunks_mut(CODE_MEMORY).zip(taps.chunks(CODE_MEMORY)) {
        for (i, (symbol, tap)) in symbols.iter_mut().zip(taps).enumerate() {
            let before: &[L] = &window[i..i + CODE_MEMORY];
            let mut sum = *symbol ^ before[0];
            for k in 1..CODE_MEMORY {
                sum = sum ^ before[CODE_MEMORY - k].masked((*tap >> (k - 1)) & 1);
            }
            *symbol = sum;
            window[CODE_MEMORY + i] = sum;
        }
        window.copy_within(CODE_MEMORY.., 0);
    }
    before.copy_from_slice(&window[..CODE_MEMORY]);
}

/// How many outputs ahead the symbol of one is asked for: about as many as a core can wait for at a time.
const AHEAD: usize = 32;

/// Adds up symbols, section by section: all places of one index lie near each other, so one pass touches few pages of
/// memory. `soon` is told of each symbol that will be read after a few more outputs.
#[inline(always)]
pub fn gather<L: Lane>(
    outputs: &mut [L],
    symbols: &[L],
    places: &[[u32; CODE_WEIGHT]],
    soon: impl Fn(&L),
) {
    for k in 0..CODE_WEIGHT {
        for (i, (output, own)) in outputs.iter_mut().zip(places).enumerate() {
            if let Some(symbol) = places.get(i + AHEAD).and_then(|own| symbols.get(own[k] as usize))
            {
                soon(symbol);
            }
            *output = *output ^ symbols.get(own[k] as usize).copied().unwrap_or_default();
        }
    }
}
