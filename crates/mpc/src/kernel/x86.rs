//! The loops compiled for x86-64 processors with carry-less multiplication and AVX2.
//!
//! Each function asks first whether the processor has what the code was compiled for, and says so in its answer.
#![allow(unsafe_code, reason = "intrinsics; each call follows the check for what it needs")]

use std::arch::is_x86_feature_detected;
use std::arch::x86_64::{
    __m128i, _MM_HINT_T0, _mm_clmulepi64_si128, _mm_prefetch, _mm_set_epi64x, _mm_xor_si128,
};

use super::{Lane, portable};
use crate::field::Gf;
use crate::limits::{CODE_MEMORY, CODE_WEIGHT};

fn has_multiplication() -> bool {
    is_x86_feature_detected!("pclmulqdq") && is_x86_feature_detected!("avx2")
}

pub(super) fn multiply(a: u128, b: u128) -> Option<u128> {
    if !has_multiplication() {
        return None;
    }
    // SAFETY: the processor has both features the function was compiled for.
    Some(unsafe { product(a, b) })
}

pub(super) fn scale_add(out: &mut [Gf], a: &[Gf], by: Gf) -> bool {
    let possible = has_multiplication();
    if possible {
        // SAFETY: as above.
        unsafe { scale_add_here(out, a, by) };
    }
    possible
}

pub(super) fn inner(a: &[Gf], b: &[Gf]) -> Option<Gf> {
    if !has_multiplication() {
        return None;
    }
    // SAFETY: as above.
    Some(unsafe { inner_here(a, b) })
}

pub(super) fn polynomials(out: &mut [Gf], points: &[Gf], coefficients: &[Gf]) -> bool {
    let possible = has_multiplication();
    if possible {
        // SAFETY: as above.
        unsafe { polynomials_here(out, points, coefficients) };
    }
    possible
}

pub(super) fn convolve<L: Lane>(
    symbols: &mut [L],
    taps: &[u32],
    before: &mut [L; CODE_MEMORY],
) -> bool {
    let possible = is_x86_feature_detected!("avx2");
    if possible {
        // SAFETY: the processor has AVX2, which is all the function was compiled for.
        unsafe { convolve_here(symbols, taps, before) };
    }
    possible
}

pub(super) fn gather<L: Lane>(
    outputs: &mut [L],
    symbols: &[L],
    places: &[[u32; CODE_WEIGHT]],
) -> bool {
    let possible = is_x86_feature_detected!("avx2");
    if possible {
        // SAFETY: the processor has AVX2, which is all the function was compiled for.
        unsafe { gather_here(outputs, symbols, places) };
    }
    possible
}

#[target_feature(enable = "avx2")]
fn gather_here<L: Lane>(outputs: &mut [L], symbols: &[L], places: &[[u32; CODE_WEIGHT]]) {
    portable::gather(outputs, symbols, places, |symbol| {
        _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(symbol).cast());
    });
}

#[target_feature(enable = "avx2")]
fn convolve_here<L: Lane>(symbols: &mut [L], taps: &[u32], before: &mut [L; CODE_MEMORY]) {
    portable::convolve(symbols, taps, before);
}

#[target_feature(enable = "pclmulqdq,avx2")]
fn scale_add_here(out: &mut [Gf], a: &[Gf], by: Gf) {
    for (out, a) in out.iter_mut().zip(a) {
        out.0 ^= product(a.0, by.0);
    }
}

#[target_feature(enable = "pclmulqdq,avx2")]
fn inner_here(a: &[Gf], b: &[Gf]) -> Gf {
    let mut sum = 0;
    for (a, b) in a.iter().zip(b) {
        sum ^= product(a.0, b.0);
    }
    Gf(sum)
}

#[target_feature(enable = "pclmulqdq,avx2")]
fn polynomials_here(out: &mut [Gf], points: &[Gf], coefficients: &[Gf]) {
    for (out, point) in out.iter_mut().zip(points) {
        let mut sum = 0;
        for coefficient in coefficients.iter().rev() {
            sum = product(sum ^ coefficient.0, point.0);
        }
        out.0 ^= sum;
    }
}

#[target_feature(enable = "pclmulqdq,avx2")]
#[inline]
fn product(a: u128, b: u128) -> u128 {
    let (a, b) = (vector(a), vector(b));
    let low = number(_mm_clmulepi64_si128::<0x00>(a, b));
    let high = number(_mm_clmulepi64_si128::<0x11>(a, b));
    let one = _mm_clmulepi64_si128::<0x01>(a, b);
    let other = _mm_clmulepi64_si128::<0x10>(a, b);
    let middle = number(_mm_xor_si128(one, other));
    portable::reduce(low ^ (middle << 64), high ^ (middle >> 64))
}

#[target_feature(enable = "avx2")]
#[inline]
fn vector(x: u128) -> __m128i {
    let (low, high) = portable::split(x);
    _mm_set_epi64x(high.cast_signed(), low.cast_signed())
}

#[target_feature(enable = "avx2")]
#[inline]
fn number(x: __m128i) -> u128 {
    // SAFETY: both types are 16 bytes without padding and any bits are valid in both.
    unsafe { std::mem::transmute::<__m128i, u128>(x) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::Pair;
    use crate::random::Stream;

    fn elements(stream: &mut Stream, count: usize) -> Vec<Gf> {
        stream.blocks(count).into_iter().map(Gf).collect()
    }

    #[test]
    fn twins_agree() {
        if !has_multiplication() {
            println!("SKIPPED: this processor has no carry-less multiplication with AVX2");
            return;
        }
        let mut stream = Stream::new(&[9; 32]);
        for length in [0, 1, 2, 23, 24, 25, 48, 100, 1000] {
            let a = elements(&mut stream, length);
            let b = elements(&mut stream, length);
            let by = Gf(stream.block());
            for (a, b) in a.iter().zip(&b) {
                assert_eq!(multiply(a.0, b.0), Some(portable::multiply(a.0, b.0)));
            }
            assert_eq!(inner(&a, &b), Some(portable::inner(&a, &b, portable::multiply)));
            let (mut one, mut two) = (b.clone(), b.clone());
            assert!(scale_add(&mut one, &a, by));
            portable::scale_add(&mut two, &a, by, portable::multiply);
            assert_eq!(one, two);
            let coefficients = elements(&mut stream, 3);
            assert!(polynomials(&mut one, &a, &coefficients));
            portable::polynomials(&mut two, &a, &coefficients, portable::multiply);
            assert_eq!(one, two);
            let taps: Vec<u32> = (0..length).map(|_| stream.below(1 << 23)).collect();
            let before: [Gf; CODE_MEMORY] = std::array::from_fn(|_| Gf(stream.block()));
            let (mut before_one, mut before_two) = (before, before);
            assert!(convolve(&mut one, &taps, &mut before_one));
            portable::convolve(&mut two, &taps, &mut before_two);
            assert_eq!((&one, before_one), (&two, before_two));
            let mut pairs: Vec<Pair> = a.iter().zip(&b).map(|(&a, &c)| Pair { a, c }).collect();
            let mut twins = pairs.clone();
            let mut before = [[Pair::default(); CODE_MEMORY]; 2];
            assert!(convolve(&mut pairs, &taps, &mut before[0]));
            portable::convolve(&mut twins, &taps, &mut before[1]);
            assert_eq!(pairs, twins);
            let bound = u32::try_from(length + 1).unwrap();
            let places: Vec<[u32; CODE_WEIGHT]> =
                (0..length).map(|_| std::array::from_fn(|_| stream.below(bound))).collect();
            let symbols = pairs.clone();
            assert!(gather(&mut pairs, &symbols, &places));
            portable::gather(&mut twins, &symbols, &places, |_| ());
            assert_eq!(pairs, twins);
        }
    }
}
