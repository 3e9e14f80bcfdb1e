//! Multiplication in GF(2^128), four products at a time, for processors with AVX-512 and its carry-less multiplication.
//!
//! Each function says how many elements from the front it has done, a multiple of four, none where the processor cannot;
//! the caller does the rest by the loops that are there for any processor.
#![allow(unsafe_code, reason = "intrinsics; each call follows the check for what it needs")]

use std::arch::is_x86_feature_detected;
use std::arch::x86_64::{
    __m512i, _mm512_bslli_epi128, _mm512_bsrli_epi128, _mm512_clmulepi64_epi128,
    _mm512_loadu_si512, _mm512_set1_epi64, _mm512_setzero_si512, _mm512_storeu_si512,
    _mm512_xor_si512,
};

use crate::field::Gf;

const LANES: usize = 4;
/// x^7 + x^2 + x + 1, which is x^128.
const POLYNOMIAL: i64 = 0x87;

fn possible() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("vpclmulqdq")
}

pub(super) fn scale_add(out: &mut [Gf], a: &[Gf], by: Gf) -> usize {
    if !possible() {
        return 0;
    }
    // SAFETY: the processor has all features the function was compiled for.
    unsafe { scale_add_here(out, a, by) }
}

pub(super) fn inner(a: &[Gf], b: &[Gf]) -> (Gf, usize) {
    if !possible() {
        return (Gf::ZERO, 0);
    }
    // SAFETY: as above.
    unsafe { inner_here(a, b) }
}

pub(super) fn polynomials(out: &mut [Gf], points: &[Gf], coefficients: &[Gf]) -> usize {
    if !possible() {
        return 0;
    }
    // SAFETY: as above.
    unsafe { polynomials_here(out, points, coefficients) }
}

#[target_feature(enable = "avx512f,avx512bw,vpclmulqdq")]
fn scale_add_here(out: &mut [Gf], a: &[Gf], by: Gf) -> usize {
    let by = load(&[by; LANES]);
    let mut done = 0;
    for (out, a) in out.as_chunks_mut().0.iter_mut().zip(a.as_chunks().0) {
        store(out, _mm512_xor_si512(load(out), product(load(a), by)));
        done += LANES;
    }
    done
}

#[target_feature(enable = "avx512f,avx512bw,vpclmulqdq")]
fn inner_here(a: &[Gf], b: &[Gf]) -> (Gf, usize) {
    let (mut sums, mut done) = (_mm512_setzero_si512(), 0);
    for (a, b) in a.as_chunks().0.iter().zip(b.as_chunks().0) {
        sums = _mm512_xor_si512(sums, product(load(a), load(b)));
        done += LANES;
    }
    let mut parts = [Gf::ZERO; LANES];
    store(&mut parts, sums);
    (parts.iter().fold(Gf::ZERO, |sum, part| sum ^ *part), done)
}

#[target_feature(enable = "avx512f,avx512bw,vpclmulqdq")]
fn polynomials_here(out: &mut [Gf], points: &[Gf], coefficients: &[Gf]) -> usize {
    let mut done = 0;
    for (out, points) in out.as_chunks_mut().0.iter_mut().zip(points.as_chunks().0) {
        let points = load(points);
        let mut sum = _mm512_setzero_si512();
        for coefficient in coefficients.iter().rev() {
            sum = product(_mm512_xor_si512(sum, load(&[*coefficient; LANES])), points);
        }
        store(out, _mm512_xor_si512(load(out), sum));
        done += LANES;
    }
    done
}

/// Four products. What is above x^128 comes down in two steps: its upper half times the polynomial, then its lower half
/// with what that left over.
#[target_feature(enable = "avx512f,avx512bw,vpclmulqdq")]
#[inline]
fn product(a: __m512i, b: __m512i) -> __m512i {
    let polynomial = _mm512_set1_epi64(POLYNOMIAL);
    let low = _mm512_clmulepi64_epi128::<0x00>(a, b);
    let high = _mm512_clmulepi64_epi128::<0x11>(a, b);
    let one = _mm512_clmulepi64_epi128::<0x01>(a, b);
    let other = _mm512_clmulepi64_epi128::<0x10>(a, b);
    let middle = _mm512_xor_si512(one, other);
    let low = _mm512_xor_si512(low, _mm512_bslli_epi128::<8>(middle));
    let high = _mm512_xor_si512(high, _mm512_bsrli_epi128::<8>(middle));
    let first = _mm512_clmulepi64_epi128::<0x01>(high, polynomial);
    let high = _mm512_xor_si512(high, _mm512_bsrli_epi128::<8>(first));
    let second = _mm512_clmulepi64_epi128::<0x00>(high, polynomial);
    let low = _mm512_xor_si512(low, _mm512_bslli_epi128::<8>(first));
    _mm512_xor_si512(low, second)
}

#[target_feature(enable = "avx512f")]
#[inline]
fn load(elements: &[Gf; LANES]) -> __m512i {
    // SAFETY: the four elements are 64 bytes, and any address will do.
    unsafe { _mm512_loadu_si512(elements.as_ptr().cast()) }
}

#[target_feature(enable = "avx512f")]
#[inline]
fn store(elements: &mut [Gf; LANES], values: __m512i) {
    // SAFETY: as above; any bits are elements.
    unsafe { _mm512_storeu_si512(elements.as_mut_ptr().cast(), values) };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::portable;
    use crate::random::Stream;

    #[test]
    fn twins_agree() {
        if !possible() {
            println!("SKIPPED: this processor has no AVX-512 with carry-less multiplication");
            return;
        }
        let mut stream = Stream::new(&[13; 32]);
        for length in [0, 1, 3, 4, 5, 8, 63, 1000] {
            let mut elements = || stream.blocks(length).into_iter().map(Gf).collect::<Vec<Gf>>();
            let (mut a, b, points) = (elements(), elements(), elements());
            // Both ends of the range too.
            if let [first, second, ..] = a.as_mut_slice() {
                (*first, *second) = (Gf(u128::MAX), Gf(1 << 127));
            }
            let by = Gf(u128::MAX - 7);
            let whole = length / LANES * LANES;
            let (mut one, mut two) = (b.clone(), b.clone());
            assert_eq!(scale_add(&mut one, &a, by), whole);
            portable::scale_add(&mut two[..whole], &a, by, portable::multiply);
            assert_eq!(one, two);
            let sum = portable::inner(&a[..whole], &b, portable::multiply);
            assert_eq!(inner(&a, &b), (sum, whole));
            for coefficients in [&a[..length.min(1)], &a[..length.min(3)]] {
                assert_eq!(polynomials(&mut one, &points, coefficients), whole);
                portable::polynomials(&mut two[..whole], &points, coefficients, portable::multiply);
                assert_eq!(one, two);
            }
        }
    }
}
