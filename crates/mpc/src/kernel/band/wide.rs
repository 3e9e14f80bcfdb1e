//! The loops for x86-64 processors with AVX-512: a row's bits are the masks, eight words or four elements at a time.
#![allow(unsafe_code, reason = "intrinsics; each call follows the check for what it needs")]

use std::arch::is_x86_feature_detected;
use std::arch::x86_64::{
    __m512i, _mm512_loadu_si512, _mm512_mask_xor_epi64, _mm512_setzero_si512, _mm512_xor_si512,
    _pdep_u64,
};

use super::{Row, WORDS, decode_by, solve_by};
use crate::field::Gf;
use crate::limits::BAND_WIDTH;

fn possible() -> bool {
    is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("bmi2")
}

pub(super) fn decode(store: &[Gf], starts: &[u32], rows: &[Row], out: &mut Vec<Gf>) -> bool {
    let possible = possible();
    if possible {
        // SAFETY: the processor has both features the function was compiled for.
        unsafe { decode_here(store, starts, rows, out) };
    }
    possible
}

pub(super) fn solve(rows: &[Row], store: &mut [u64]) -> bool {
    let possible = possible();
    if possible {
        // SAFETY: as above.
        unsafe { solve_here(rows, store) };
    }
    possible
}

#[target_feature(enable = "avx512f,bmi2")]
fn decode_here(store: &[Gf], starts: &[u32], rows: &[Row], out: &mut Vec<Gf>) {
    decode_by(store, starts, rows, out, |window, bits| chosen_elements(window, bits));
}

#[target_feature(enable = "avx512f,bmi2")]
fn solve_here(rows: &[Row], store: &mut [u64]) {
    solve_by(rows, store, |window, bits| chosen_words(window, bits));
}

#[target_feature(enable = "avx512f,bmi2")]
#[inline]
fn chosen_elements(window: &[Gf; BAND_WIDTH], bits: &[u64; WORDS]) -> Gf {
    const EVERY_SECOND: u64 = 0x5555_5555_5555_5555;
    let mut sums = [_mm512_setzero_si512(); 2];
    for (window, word) in window.as_chunks::<64>().0.iter().zip(bits) {
        for (window, half) in window.as_chunks::<32>().0.iter().zip([*word, *word >> 32]) {
            // Each bit twice, for an element has two words.
            let masks = (_pdep_u64(half, EVERY_SECOND) * 3).to_le_bytes();
            for (k, (four, mask)) in window.as_chunks::<4>().0.iter().zip(masks).enumerate() {
                // SAFETY: the four elements are 64 bytes, and any address will do.
                let values = unsafe { _mm512_loadu_si512(four.as_ptr().cast()) };
                let sum = &mut sums[k % 2];
                *sum = _mm512_mask_xor_epi64(*sum, mask, *sum, values);
            }
        }
    }
    // SAFETY: both types are 64 bytes without padding and any bits are valid in both.
    let parts =
        unsafe { std::mem::transmute::<__m512i, [u128; 4]>(_mm512_xor_si512(sums[0], sums[1])) };
    Gf(parts[0] ^ parts[1] ^ parts[2] ^ parts[3])
}

#[target_feature(enable = "avx512f,bmi2")]
#[inline]
fn chosen_words(window: &[u64; BAND_WIDTH], bits: &[u64; WORDS]) -> u64 {
    let mut sums = [_mm512_setzero_si512(); 2];
    for (window, word) in window.as_chunks::<64>().0.iter().zip(bits) {
        let masks = word.to_le_bytes();
        for (k, (eight, mask)) in window.as_chunks::<8>().0.iter().zip(masks).enumerate() {
            // SAFETY: the eight words are 64 bytes, and any address will do.
            let values = unsafe { _mm512_loadu_si512(eight.as_ptr().cast()) };
            let sum = &mut sums[k % 2];
            *sum = _mm512_mask_xor_epi64(*sum, mask, *sum, values);
        }
    }
    // SAFETY: both types are 64 bytes without padding and any bits are valid in both.
    let parts =
        unsafe { std::mem::transmute::<__m512i, [u64; 8]>(_mm512_xor_si512(sums[0], sums[1])) };
    parts.iter().fold(0, |sum, part| sum ^ part)
}
