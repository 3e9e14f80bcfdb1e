//! The hot loops of the band store: sums of what a row's bits choose out of a window, and back substitution over all rows.
//!
//! Rows say where memory is read, here as in `okvs`: encoding and decoding are not constant time in the items. Never sees Δ.

#[cfg(target_arch = "x86_64")]
mod wide;
#[cfg(target_arch = "x86_64")]
mod x86;

use std::ops::BitXor;

use crate::field::Gf;
use crate::limits::BAND_WIDTH;

/// Words of a row's bits.
pub const WORDS: usize = BAND_WIDTH / 64;

/// One equation: the places that `bits` choose from where the row begins add up to `value`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C, align(32))]
pub struct Row {
    pub bits: [u64; WORDS],
    pub value: u64,
}

/// `out[i]` becomes the sum of the places of `store` that `rows[i]` chooses, beginning at `starts[i]`. A row that reaches
/// over the end gives zero.
pub fn decode(store: &[Gf], starts: &[u32], rows: &[Row], out: &mut Vec<Gf>) {
    #[cfg(target_arch = "x86_64")]
    if wide::decode(store, starts, rows, out) || x86::decode(store, starts, rows, out) {
        return;
    }
    decode_by(store, starts, rows, out, chosen);
}

/// Fills `store` from its end: each place whose row's first bit is one so that the row adds up to its value, others zero.
/// The store has [`BAND_WIDTH`] places more than there are rows.
pub fn solve(rows: &[Row], store: &mut [u64]) {
    #[cfg(target_arch = "x86_64")]
    if wide::solve(rows, store) || x86::solve(rows, store) {
        return;
    }
    solve_by(rows, store, chosen);
}

#[inline(always)]
fn decode_by(
    store: &[Gf],
    starts: &[u32],
    rows: &[Row],
    out: &mut Vec<Gf>,
    chosen: impl Fn(&[Gf; BAND_WIDTH], &[u64; WORDS]) -> Gf,
) {
    out.clear();
    out.extend(starts.iter().zip(rows).map(|(start, row)| {
        let window = store.get(*start as usize..).and_then(<[Gf]>::first_chunk);
        window.map_or(Gf::ZERO, |window| chosen(window, &row.bits))
    }));
}

#[inline(always)]
fn solve_by(
    rows: &[Row],
    store: &mut [u64],
    chosen: impl Fn(&[u64; BAND_WIDTH], &[u64; WORDS]) -> u64,
) {
    store.fill(0);
    for (place, row) in rows.iter().enumerate().rev().filter(|(_, row)| row.bits[0] & 1 == 1) {
        if let Some(window) = store.get_mut(place..).and_then(<[u64]>::first_chunk_mut) {
            // The place itself is still zero.
            window[0] = row.value ^ chosen(window, &row.bits);
        }
    }
}

fn chosen<T: Copy + Default + BitXor<Output = T>>(
    window: &[T; BAND_WIDTH],
    bits: &[u64; WORDS],
) -> T {
    let mut sum = T::default();
    for (window, word) in window.chunks_exact(64).zip(bits) {
        let mut word = *word;
        while word != 0 {
            sum = sum ^ window[word.trailing_zeros() as usize % 64];
            word &= word - 1;
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::word;
    use crate::random::Stream;

    #[expect(clippy::cast_possible_truncation, reason = "half of a random block")]
    fn random_rows(stream: &mut Stream, count: usize) -> Vec<Row> {
        let mut half = || stream.block() as u64;
        (0..count).map(|_| Row { bits: [half(), half(), half()], value: half() }).collect()
    }

    type Solve = fn(&[Row], &mut [u64]) -> bool;
    type Decode = fn(&[Gf], &[u32], &[Row], &mut Vec<Gf>) -> bool;
    /// What it needs, whether this processor has that, and both of its loops, which say whether they could.
    type Twin = (&'static str, bool, Solve, Decode);

    #[cfg(target_arch = "x86_64")]
    fn twins() -> Vec<Twin> {
        use std::arch::is_x86_feature_detected;
        let has_wide = is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("bmi2");
        let has_half = is_x86_feature_detected!("avx2");
        vec![
            ("AVX-512 with BMI2", has_wide, wide::solve, wide::decode),
            ("AVX2", has_half, x86::solve, x86::decode),
        ]
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn twins() -> Vec<Twin> {
        vec![]
    }

    #[test]
    fn twins_agree_and_are_their_definition() {
        let mut stream = Stream::new(&[4; 32]);
        for count in [0, 1, 2, 191, 192, 193, 1000] {
            let rows = random_rows(&mut stream, count);
            let mut solved = vec![1u64; count + BAND_WIDTH];
            solve_by(&rows, &mut solved, chosen);
            for (place, row) in rows.iter().enumerate() {
                let bit = |i: usize| row.bits[i / 64] >> (i % 64) & 1 == 1;
                let sum = (0..BAND_WIDTH).filter(|i| bit(*i)).fold(0, |s, i| s ^ solved[place + i]);
                let free = row.bits[0] & 1 == 0;
                assert!(if free { solved[place] == 0 } else { sum == row.value });
            }
            let store: Vec<Gf> = stream.blocks(count + 200).into_iter().map(Gf).collect();
            let starts: Vec<u32> = (0..count).map(|_| word(stream.block(), 0) % 300).collect();
            let mut decoded = Vec::new();
            decode_by(&store, &starts, &rows, &mut decoded, chosen);
            for (_, has, solve, decode) in twins() {
                let (before, nothing) = (vec![2; count + BAND_WIDTH], vec![Gf::ONE]);
                let (mut one, mut other) = (before.clone(), nothing.clone());
                // Where the processor can, it is done; where it cannot, nothing is.
                assert_eq!(solve(&rows, &mut one), has);
                assert_eq!(decode(&store, &starts, &rows, &mut other), has);
                assert_eq!(one, if has { solved.clone() } else { before });
                assert_eq!(other, if has { decoded.clone() } else { nothing });
            }
        }
        for (needs, ..) in twins().into_iter().filter(|(_, has, ..)| !has) {
            println!("SKIPPED: this processor has no {needs}");
        }
    }

    #[test]
    fn rows_over_the_end_give_zero() {
        let row = Row { bits: [u64::MAX; WORDS], value: 1 };
        let store = vec![Gf::ONE; BAND_WIDTH + 1];
        let mut out = Vec::new();
        decode(&store, &[0, 1, 2, u32::MAX], &[row; 4], &mut out);
        // 192 ones cancel each other.
        assert_eq!(out, [Gf::ZERO; 4]);
        let one = Row { bits: [1, 0, 0], value: 1 };
        decode(&store, &[0, 1, 2, u32::MAX], &[one; 4], &mut out);
        assert_eq!(out, [Gf::ONE, Gf::ONE, Gf::ZERO, Gf::ZERO]);
    }
}
