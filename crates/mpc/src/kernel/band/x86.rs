//! The loops for x86-64 processors with AVX2: four bits of a row become a mask over four places at a time.
#![allow(unsafe_code, reason = "intrinsics; each call follows the check for what it needs")]

use std::arch::is_x86_feature_detected;
use std::arch::x86_64::{
    __m256i, _mm256_and_si256, _mm256_load_si256, _mm256_loadu_si256, _mm256_setzero_si256,
    _mm256_xor_si256,
};

use super::{Row, WORDS, decode_by, solve_by};
use crate::field::Gf;
use crate::limits::BAND_WIDTH;

/// For each four bits the words of four places, or of two elements and two more, that they keep.
#[repr(align(64))]
struct Masks<const PER_BIT: usize>([[[u64; PER_BIT]; 4]; 16]);

const fn masks<const PER_BIT: usize>() -> Masks<PER_BIT> {
    let mut masks = [[[0; PER_BIT]; 4]; 16];
    let mut bits = 0;
    while bits < 16 {
        let mut place = 0;
        while place < 4 {
            if bits >> place & 1 == 1 {
                masks[bits][place] = [u64::MAX; PER_BIT];
            }
            place += 1;
        }
        bits += 1;
    }
    Masks(masks)
}

static OF_WORDS: Masks<1> = masks();
static OF_ELEMENTS: Masks<2> = masks();

pub(super) fn decode(store: &[Gf], starts: &[u32], rows: &[Row], out: &mut Vec<Gf>) -> bool {
    let possible = is_x86_feature_detected!("avx2");
    if possible {
        // SAFETY: the processor has AVX2, which is all the function was compiled for.
        unsafe { decode_here(store, starts, rows, out) };
    }
    possible
}

pub(super) fn solve(rows: &[Row], store: &mut [u64]) -> bool {
    let possible = is_x86_feature_detected!("avx2");
    if possible {
        // SAFETY: as above.
        unsafe { solve_here(rows, store) };
    }
    possible
}

#[target_feature(enable = "avx2")]
fn decode_here(store: &[Gf], starts: &[u32], rows: &[Row], out: &mut Vec<Gf>) {
    decode_by(store, starts, rows, out, |window, bits| chosen_elements(window, bits));
}

#[target_feature(enable = "avx2")]
fn solve_here(rows: &[Row], store: &mut [u64]) {
    solve_by(rows, store, |window, bits| chosen_words(window, bits));
}

#[target_feature(enable = "avx2")]
#[inline]
fn chosen_elements(window: &[Gf; BAND_WIDTH], bits: &[u64; WORDS]) -> Gf {
    let mut sums = [_mm256_setzero_si256(); 2];
    for (window, word) in window.chunks_exact(64).zip(bits) {
        let mut word = *word;
        for four in window.as_chunks::<4>().0 {
            let masks = &OF_ELEMENTS.0[(word & 15) as usize];
            // SAFETY: `four` and `masks` are 64 bytes each, and the masks stand at multiples of 64.
            let kept = unsafe {
                let (values, masks) = (four.as_ptr().cast::<__m256i>(), masks.as_ptr().cast());
                let masks: *const __m256i = masks;
                [
                    _mm256_and_si256(_mm256_loadu_si256(values), _mm256_load_si256(masks)),
                    _mm256_and_si256(
                        _mm256_loadu_si256(values.add(1)),
                        _mm256_load_si256(masks.add(1)),
                    ),
                ]
            };
            sums = [_mm256_xor_si256(sums[0], kept[0]), _mm256_xor_si256(sums[1], kept[1])];
            word >>= 4;
        }
    }
    // SAFETY: both types are 32 bytes without padding and any bits are valid in both.
    let [low, high] =
        unsafe { std::mem::transmute::<__m256i, [u128; 2]>(_mm256_xor_si256(sums[0], sums[1])) };
    Gf(low ^ high)
}

#[target_feature(enable = "avx2")]
#[inline]
fn chosen_words(window: &[u64; BAND_WIDTH], bits: &[u64; WORDS]) -> u64 {
    let mut sums = [_mm256_setzero_si256(); 2];
    for (window, word) in window.chunks_exact(64).zip(bits) {
        let mut word = *word;
        for eight in window.as_chunks::<8>().0 {
            for (four, sum) in eight.as_chunks::<4>().0.iter().zip(&mut sums) {
                let masks = &OF_WORDS.0[(word & 15) as usize];
                // SAFETY: `four` and `masks` are 32 bytes each, and the masks stand at multiples of 32.
                let kept = unsafe {
                    _mm256_and_si256(
                        _mm256_loadu_si256(four.as_ptr().cast()),
                        _mm256_load_si256(masks.as_ptr().cast()),
                    )
                };
                *sum = _mm256_xor_si256(*sum, kept);
                word >>= 4;
            }
        }
    }
    // SAFETY: both types are 32 bytes without padding and any bits are valid in both.
    let words =
        unsafe { std::mem::transmute::<__m256i, [u64; 4]>(_mm256_xor_si256(sums[0], sums[1])) };
    words[0] ^ words[1] ^ words[2] ^ words[3]
}
