//! Keyed BLAKE3 of many inputs of one block each, eight or sixteen at a time: how lists of short keys become items.
//!
//! The first 128 bits of the same hash that the crate `blake3` gives for an input of 64 bytes; that crate is the portable twin.
#![allow(
    unsafe_code,
    reason = "vectors and arrays of the same bytes; calls follow the check for what they need"
)]

/// Bytes of one block of BLAKE3.
pub const BLOCK_BYTES: usize = 64;

/// `out[i]` is the keyed hash of `blocks[i]`, as many as both have.
pub fn keyed_blocks(key: &[u8; 32], blocks: &[[u8; BLOCK_BYTES]], out: &mut [u128]) {
    let count = blocks.len().min(out.len());
    let (blocks, out) = (&blocks[..count], &mut out[..count]);
    #[cfg(target_arch = "x86_64")]
    let done = x86::keyed_blocks(key, blocks, out);
    #[cfg(not(target_arch = "x86_64"))]
    let done = 0;
    portable(key, &blocks[done..], &mut out[done..]);
}

fn portable(key: &[u8; 32], blocks: &[[u8; BLOCK_BYTES]], out: &mut [u128]) {
    for (block, out) in blocks.iter().zip(out) {
        *out = crate::hash::half(blake3::keyed_hash(key, block).as_bytes());
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::is_x86_feature_detected;
    use std::arch::x86_64::{
        __m256i, __m512i, _mm256_add_epi32, _mm256_or_si256, _mm256_set1_epi32, _mm256_slli_epi32,
        _mm256_srli_epi32, _mm256_xor_si256, _mm512_add_epi32, _mm512_ror_epi32, _mm512_set1_epi32,
        _mm512_xor_si512,
    };

    use super::BLOCK_BYTES;

    /// The first words of SHA-256's state, from which BLAKE3 begins.
    const BEGIN: [u32; 4] = [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a];
    /// The block is the first and the last of its chunk, the chunk is the root, the hash has a key.
    const FLAGS: u32 = 1 | 2 | 8 | 16;
    const ORDER: [usize; 16] = [2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8];
    /// Which word of the message goes in where, round by round.
    const SCHEDULE: [[usize; 16]; 7] = schedule();

    const fn schedule() -> [[usize; 16]; 7] {
        let mut rounds = [[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]; 7];
        let mut round = 1;
        while round < 7 {
            let mut place = 0;
            while place < 16 {
                rounds[round][place] = rounds[round - 1][ORDER[place]];
                place += 1;
            }
            round += 1;
        }
        rounds
    }

    /// Hashes from the front; says how many.
    pub(super) fn keyed_blocks(
        key: &[u8; 32],
        blocks: &[[u8; BLOCK_BYTES]],
        out: &mut [u128],
    ) -> usize {
        let mut words = [0; 8];
        for (word, bytes) in words.iter_mut().zip(key.as_chunks().0) {
            *word = u32::from_le_bytes(*bytes);
        }
        let mut done = 0;
        if is_x86_feature_detected!("avx512f") {
            for (blocks, out) in blocks.as_chunks().0.iter().zip(out.as_chunks_mut().0) {
                // SAFETY: the processor has what the function was compiled for.
                unsafe { sixteen(&words, blocks, out) };
                done += 16;
            }
        }
        if is_x86_feature_detected!("avx2") {
            let (blocks, out) = (&blocks[done..], &mut out[done..]);
            for (blocks, out) in blocks.as_chunks().0.iter().zip(out.as_chunks_mut().0) {
                // SAFETY: as above.
                unsafe { eight(&words, blocks, out) };
                done += 8;
            }
        }
        done
    }

    /// One mixing of four words of the state with two of the message.
    macro_rules! mix {
        ($add:ident $xor:ident $turn:ident, $v:ident, $a:literal $b:literal $c:literal $d:literal, $x:expr, $y:expr) => {
            $v[$a] = $add($add($v[$a], $v[$b]), $x);
            $v[$d] = $turn::<16, 16>($xor($v[$d], $v[$a]));
            $v[$c] = $add($v[$c], $v[$d]);
            $v[$b] = $turn::<12, 20>($xor($v[$b], $v[$c]));
            $v[$a] = $add($add($v[$a], $v[$b]), $y);
            $v[$d] = $turn::<8, 24>($xor($v[$d], $v[$a]));
            $v[$c] = $add($v[$c], $v[$d]);
            $v[$b] = $turn::<7, 25>($xor($v[$b], $v[$c]));
        };
    }

    /// The compression of `$lanes` blocks side by side: a vector holds the same word of each.
    macro_rules! compression {
        ($name:ident, $feature:literal, $lanes:literal, $vector:ty, $all:ident, $add:ident $xor:ident $turn:ident) => {
            #[target_feature(enable = $feature)]
            fn $name(
                key: &[u32; 8],
                blocks: &[[u8; BLOCK_BYTES]; $lanes],
                out: &mut [u128; $lanes],
            ) {
                let mut words = [[0u32; $lanes]; 16];
                for (lane, block) in blocks.iter().enumerate() {
                    for (word, bytes) in words.iter_mut().zip(block.as_chunks().0) {
                        word[lane] = u32::from_le_bytes(*bytes);
                    }
                }
                // SAFETY: as many bytes on both sides, and any bytes make a vector.
                let m: [$vector; 16] = unsafe { std::mem::transmute(words) };
                let all = |word: u32| $all(word.cast_signed());
                let [k0, k1, k2, k3, k4, k5, k6, k7] = key.map(all);
                let [b0, b1, b2, b3] = BEGIN.map(all);
                let length = all(u32::try_from(BLOCK_BYTES).unwrap_or(0));
                let (zero, flags) = (all(0), all(FLAGS));
                let mut v = [
                    k0, k1, k2, k3, k4, k5, k6, k7, b0, b1, b2, b3, zero, zero, length, flags,
                ];
                for s in &SCHEDULE {
                    mix!($add $xor $turn, v, 0 4 8 12, m[s[0]], m[s[1]]);
                    mix!($add $xor $turn, v, 1 5 9 13, m[s[2]], m[s[3]]);
                    mix!($add $xor $turn, v, 2 6 10 14, m[s[4]], m[s[5]]);
                    mix!($add $xor $turn, v, 3 7 11 15, m[s[6]], m[s[7]]);
                    mix!($add $xor $turn, v, 0 5 10 15, m[s[8]], m[s[9]]);
                    mix!($add $xor $turn, v, 1 6 11 12, m[s[10]], m[s[11]]);
                    mix!($add $xor $turn, v, 2 7 8 13, m[s[12]], m[s[13]]);
                    mix!($add $xor $turn, v, 3 4 9 14, m[s[14]], m[s[15]]);
                }
                let words =
                    [$xor(v[0], v[8]), $xor(v[1], v[9]), $xor(v[2], v[10]), $xor(v[3], v[11])];
                // SAFETY: as many bytes on both sides, and any bytes make an array of words.
                let words: [[u32; $lanes]; 4] = unsafe { std::mem::transmute(words) };
                for (lane, out) in out.iter_mut().enumerate() {
                    *out = words.iter().rev().fold(0, |sum, w| sum << 32 | u128::from(w[lane]));
                }
            }
        };
    }

    #[target_feature(enable = "avx512f")]
    fn turn_sixteen<const RIGHT: i32, const LEFT: i32>(x: __m512i) -> __m512i {
        _mm512_ror_epi32::<RIGHT>(x)
    }

    #[target_feature(enable = "avx2")]
    fn turn_eight<const RIGHT: i32, const LEFT: i32>(x: __m256i) -> __m256i {
        _mm256_or_si256(_mm256_srli_epi32::<RIGHT>(x), _mm256_slli_epi32::<LEFT>(x))
    }

    compression!(sixteen, "avx512f", 16, __m512i, _mm512_set1_epi32, _mm512_add_epi32 _mm512_xor_si512 turn_sixteen);
    compression!(eight, "avx2", 8, __m256i, _mm256_set1_epi32, _mm256_add_epi32 _mm256_xor_si256 turn_eight);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_at_a_time_are_what_one_at_a_time_are() {
        let mut stream = blake3::Hasher::new().update(b"blocks").finalize_xof();
        for count in [0, 1, 7, 8, 9, 15, 16, 17, 24, 31, 32, 47, 100] {
            let mut key = [0; 32];
            stream.fill(&mut key);
            let mut blocks = vec![[0; BLOCK_BYTES]; count];
            stream.fill(blocks.as_flattened_mut());
            let (mut fast, mut slow) = (vec![0; count], vec![0; count]);
            keyed_blocks(&key, &blocks, &mut fast);
            portable(&key, &blocks, &mut slow);
            assert_eq!(fast, slow, "{count} blocks");
        }
        #[cfg(target_arch = "x86_64")]
        for (has, needs) in [
            (std::arch::is_x86_feature_detected!("avx512f"), "AVX-512"),
            (std::arch::is_x86_feature_detected!("avx2"), "AVX2"),
        ] {
            if !has {
                println!("SKIPPED: this processor has no {needs}");
            }
        }
    }
}
