//! Curve25519 for eight points side by side, on x86-64 processors that multiply 52 bits in 512 (AVX-512 IFMA).
//!
//! Each function asks first whether the processor has what the code was compiled for, and says so in its answer.
#![allow(unsafe_code, reason = "intrinsics; each call follows the check for what it needs")]

use std::arch::is_x86_feature_detected;
use std::arch::x86_64::{
    __m512i, _mm512_add_epi64, _mm512_and_si512, _mm512_madd52hi_epu64, _mm512_madd52lo_epu64,
    _mm512_or_si512, _mm512_set1_epi64, _mm512_slli_epi64, _mm512_srli_epi64, _mm512_sub_epi64,
    _mm512_ternarylogic_epi64,
};

use super::limbs::Word;
use super::montgomery;

fn has_ifma() -> bool {
    is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512ifma")
}

pub(super) fn ladders(scalar: &[u8; 32], numbers: &mut [[u8; 32]]) -> bool {
    let possible = has_ifma();
    if possible {
        // SAFETY: the processor has both features the function was compiled for.
        unsafe { ladders_here(scalar, numbers) };
    }
    possible
}

pub(super) fn maps(numbers: &mut [[u8; 32]]) -> bool {
    let possible = has_ifma();
    if possible {
        // SAFETY: as above.
        unsafe { maps_here(numbers) };
    }
    possible
}

pub(super) fn on_curve(numbers: &[[u8; 32]], found: &mut [bool]) -> bool {
    let possible = has_ifma();
    if possible {
        // SAFETY: as above.
        unsafe { on_curve_here(numbers, found) };
    }
    possible
}

#[target_feature(enable = "avx512f,avx512ifma")]
fn ladders_here(scalar: &[u8; 32], numbers: &mut [[u8; 32]]) {
    montgomery::ladders::<Eight>(scalar, numbers);
}

#[target_feature(enable = "avx512f,avx512ifma")]
fn maps_here(numbers: &mut [[u8; 32]]) {
    montgomery::maps::<Eight>(numbers);
}

#[target_feature(enable = "avx512f,avx512ifma")]
fn on_curve_here(numbers: &[[u8; 32]], found: &mut [bool]) {
    montgomery::on_curve::<Eight>(numbers, found);
}

/// Eight numbers. Private to this file, whose only users are the three functions above.
#[derive(Clone, Copy)]
struct Eight(__m512i);

/// An intrinsic inlined into one of the functions above.
macro_rules! there {
    ($($call:tt)+) => {
        // SAFETY: `Eight` is named only inside functions that run after `has_ifma` said yes; the features of all
        // intrinsics here are those it asks for.
        unsafe { $($call)+ }
    };
}

impl Word for Eight {
    const LANES: usize = 8;

    #[inline(always)]
    fn of(number: u64) -> Self {
        Self(there!(_mm512_set1_epi64(number.cast_signed())))
    }

    #[inline(always)]
    fn of_lanes(lanes: [u64; 8]) -> Self {
        // SAFETY: both types are 64 bytes without padding and any bits are valid in both.
        Self(unsafe { std::mem::transmute::<[u64; 8], __m512i>(lanes) })
    }

    #[inline(always)]
    fn lanes(self) -> [u64; 8] {
        // SAFETY: as above.
        unsafe { std::mem::transmute::<__m512i, [u64; 8]>(self.0) }
    }

    #[inline(always)]
    fn plus(self, other: Self) -> Self {
        Self(there!(_mm512_add_epi64(self.0, other.0)))
    }

    #[inline(always)]
    fn minus(self, other: Self) -> Self {
        Self(there!(_mm512_sub_epi64(self.0, other.0)))
    }

    #[inline(always)]
    fn and(self, other: Self) -> Self {
        Self(there!(_mm512_and_si512(self.0, other.0)))
    }

    #[inline(always)]
    fn or(self, other: Self) -> Self {
        Self(there!(_mm512_or_si512(self.0, other.0)))
    }

    #[inline(always)]
    fn left<const BITS: u32>(self) -> Self {
        Self(there!(_mm512_slli_epi64::<BITS>(self.0)))
    }

    #[inline(always)]
    fn right<const BITS: u32>(self) -> Self {
        Self(there!(_mm512_srli_epi64::<BITS>(self.0)))
    }

    #[inline(always)]
    fn plus_low(self, a: Self, b: Self) -> Self {
        Self(there!(_mm512_madd52lo_epu64(self.0, a.0, b.0)))
    }

    #[inline(always)]
    fn plus_high(self, a: Self, b: Self) -> Self {
        Self(there!(_mm512_madd52hi_epu64(self.0, a.0, b.0)))
    }

    #[inline(always)]
    fn choose(mask: Self, a: Self, b: Self) -> Self {
        // 0xca is "first ? second : third", bit by bit.
        Self(there!(_mm512_ternarylogic_epi64::<0xca>(mask.0, a.0, b.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::one_by_one;
    use crate::random::Stream;

    #[test]
    fn twins_agree() {
        if !has_ifma() {
            println!("SKIPPED: this processor has no AVX-512 IFMA");
            return;
        }
        let mut stream = Stream::new(&[17; 32]);
        for length in [0, 1, 7, 8, 9, 40] {
            let scalar = stream.bytes32();
            let numbers: Vec<[u8; 32]> = (0..length).map(|_| stream.bytes32()).collect();
            let (mut one, mut other) = (numbers.clone(), numbers.clone());
            assert!(ladders(&scalar, &mut one));
            one_by_one::ladders(&scalar, &mut other);
            assert_eq!(one, other);
            let (mut one, mut other) = (numbers.clone(), numbers.clone());
            assert!(maps(&mut one));
            one_by_one::maps(&mut other);
            assert_eq!(one, other);
            let mut found = vec![false; length];
            assert!(on_curve(&numbers, &mut found));
            assert_eq!(found, one_by_one::on_curve(&numbers));
        }
    }
}
