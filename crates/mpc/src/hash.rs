//! Hashing: domain strings, keys bound to a session, and a tweakable hash from AES under a public key.
//!
//! Never compares secrets, never holds one: the keys here are public, what is hashed may be secret.

use aes::Aes128;
use aes::cipher::{BlockCipherEncrypt as _, KeyInit as _};

/// Domain strings, all in one place. BLAKE3's `derive_key` mode separates what is hashed under each.
pub(crate) mod domain {
    pub(crate) const SESSION: &str = "tidm mpc 1 session binding";
    pub(crate) const ROWS: &str = "tidm mpc 1 okvs rows";
    pub(crate) const VALUES: &str = "tidm mpc 1 okvs values";
    pub(crate) const OUTPUTS: &str = "tidm mpc 1 oprf outputs";
    pub(crate) const PROVEN_OUTPUTS: &str = "tidm mpc 1 oprf outputs, malicious";
    pub(crate) const MATCHES: &str = "tidm mpc 1 proof of matches";
    pub(crate) const COIN: &str = "tidm mpc 1 coin of both";
    pub(crate) const TREES: &str = "tidm mpc 1 ggm children";
    pub(crate) const EXTENSION: &str = "tidm mpc 1 ot extension";
    pub(crate) const BASE_OT_POINT: &str = "tidm mpc 1 base ot point";
    pub(crate) const BASE_OT_KEY: &str = "tidm mpc 1 base ot key";
    pub(crate) const TRANSCRIPT: &str = "tidm mpc 1 challenge";
    pub(crate) const COMMITMENT: &str = "tidm mpc 1 commitment";
    pub(crate) const NOISE_CHECK: &str = "tidm mpc 2 check of noise values";
    pub(crate) const CODE: &str = "tidm mpc 1 expand-convolute code";
    pub(crate) const STREAM: &str = "tidm mpc 1 stream";
    pub(crate) const ITEM: &str = "tidm mpc 1 item";
    pub(crate) const PARTITION: &str = "tidm mpc 1 partition";
    pub(crate) const BITS: &str = "tidm mpc 1 transfers of bits";
    pub(crate) const CUCKOO: &str = "tidm mpc 1 cuckoo bins";
    pub(crate) const PROGRAMMED: &str = "tidm mpc 1 opprf outputs";
    pub(crate) const HINT: &str = "tidm mpc 1 opprf hint";
    pub(crate) const LABELS: &str = "tidm mpc 1 label keys";
    pub(crate) const ZERO_SHARES: &str = "tidm mpc 1 keys of zero shares";
    pub(crate) const ECDH_ITEM: &str = "tidm mpc 1 ecdh item";
    pub(crate) const ECDH_FIELD: &str = "tidm mpc 1 ecdh field element";
    pub(crate) const ECDH_MASK: &str = "tidm mpc 1 ecdh mask";
    pub(crate) const TABLE: &str = "tidm mpc 1 table";
    pub(crate) const TABLE_SEGMENT: &str = "tidm mpc 1 table segment";
    pub(crate) const TABLE_INDEX: &str = "tidm mpc 1 table index";
    pub(crate) const TABLE_MASK: &str = "tidm mpc 1 table mask";
    pub(crate) const RUNS: &str = "tidm mpc 1 runs of shared parts";
}

/// 32 bytes from a domain and parts, each part behind its length.
pub fn derive(domain: &'static str, parts: &[&[u8]]) -> [u8; 32] {
    let mut out = [0; 32];
    derive_into(domain, parts, &mut out);
    out
}

/// As many bytes as `out` holds from a domain and parts.
pub fn derive_into(domain: &'static str, parts: &[&[u8]], out: &mut [u8]) {
    let mut hasher = blake3::Hasher::new_derive_key(domain);
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    hasher.finalize_xof().fill(out);
}

/// The first 16 of 32 bytes, as a number.
pub(crate) fn half(bytes: &[u8; 32]) -> u128 {
    let [low, _] = halves(bytes);
    low
}

pub(crate) fn halves(bytes: &[u8; 32]) -> [u128; 2] {
    let mut low = [0; 16];
    let mut high = [0; 16];
    low.copy_from_slice(&bytes[..16]);
    high.copy_from_slice(&bytes[16..]);
    [u128::from_le_bytes(low), u128::from_le_bytes(high)]
}

/// Blocks that AES works on at a time: enough to fill the pipelines, few enough for the stack.
const BATCH: usize = 64;

/// AES under a public key: modelled as an ideal permutation (GKWY20).
#[derive(Clone)]
pub struct Permutation {
    cipher: Aes128,
}

impl Permutation {
    pub fn new(key: [u8; 16]) -> Self {
        Self { cipher: Aes128::new(&key.into()) }
    }

    /// The permutation of this name in this session.
    pub fn bound(domain: &'static str, binding: &[u8; 32]) -> Self {
        Self::new(half(&derive(domain, &[binding])).to_le_bytes())
    }

    /// π in place.
    pub fn apply(&self, blocks: &mut [u128]) {
        for batch in blocks.chunks_mut(BATCH) {
            let mut bytes = [aes::Block::default(); BATCH];
            let bytes = &mut bytes[..batch.len()];
            for (byte, block) in bytes.iter_mut().zip(&*batch) {
                *byte = block.to_le_bytes().into();
            }
            self.cipher.encrypt_blocks(bytes);
            for (byte, block) in bytes.iter().zip(batch) {
                *block = u128::from_le_bytes((*byte).into());
            }
        }
    }

    /// `π(x) ⊕ x` in place: correlation robust (MMO, GKWY20).
    pub fn fold(&self, blocks: &mut [u128]) {
        for batch in blocks.chunks_mut(BATCH) {
            let mut copy = [0; BATCH];
            let copy = &mut copy[..batch.len()];
            copy.copy_from_slice(batch);
            self.apply(copy);
            for (block, image) in batch.iter_mut().zip(copy) {
                *block ^= *image;
            }
        }
    }

    /// `π(π(x) ⊕ tweak) ⊕ π(x)` in place: tweakable, correlation robust (TMMO, GKWY20).
    pub fn tweaked(&self, blocks: &mut [u128], tweak: impl Fn(usize) -> u128) {
        for (batch_index, batch) in blocks.chunks_mut(BATCH).enumerate() {
            self.apply(batch);
            let mut copy = [0; BATCH];
            let copy = &mut copy[..batch.len()];
            for (offset, (inner, image)) in copy.iter_mut().zip(&*batch).enumerate() {
                *inner = image ^ tweak(batch_index * BATCH + offset);
            }
            self.apply(copy);
            for (block, outer) in batch.iter_mut().zip(copy) {
                *block ^= *outer;
            }
        }
    }
}

/// A hiding commitment to `value`: `nonce` is 32 random bytes that open it.
pub(crate) fn commitment(binding: &[u8; 32], value: &[u8], nonce: &[u8; 32]) -> [u8; 32] {
    derive(domain::COMMITMENT, &[binding, value, nonce])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_permutation_is_aes() {
        // FIPS 197, appendix C.1.
        let key = 0x000102030405060708090a0b0c0d0e0f_u128.to_be_bytes();
        let plain = 0x00112233445566778899aabbccddeeff_u128.to_be_bytes();
        let mut blocks = [u128::from_le_bytes(plain)];
        Permutation::new(key).apply(&mut blocks);
        let expected = 0x69c4e0d86a7b0430d8cdb78070b4c55a_u128;
        assert_eq!(u128::from_le_bytes(blocks[0].to_le_bytes()), expected.swap_bytes());
    }

    #[test]
    fn the_hashes_are_their_formulas_in_batches_of_any_length() {
        let permutation = Permutation::bound(domain::TREES, &[7; 32]);
        let one = |x: u128| {
            let mut block = [x];
            permutation.apply(&mut block);
            block[0]
        };
        for length in [0, 1, 63, 64, 65, 200] {
            let inputs: Vec<u128> = (0..length).map(|i| i * 0x1234_5678_9abc_def1).collect();
            let mut folded = inputs.clone();
            permutation.fold(&mut folded);
            let mut tweaked = inputs.clone();
            permutation.tweaked(&mut tweaked, |i| i as u128 + 9);
            for (i, x) in inputs.iter().enumerate() {
                assert_eq!(folded[i], one(*x) ^ x);
                assert_eq!(tweaked[i], one(one(*x) ^ (i as u128 + 9)) ^ one(*x));
            }
        }
    }

    #[test]
    fn domains_and_borders_of_parts_separate() {
        let all = [
            derive(domain::SESSION, &[b"ab", b"c"]),
            derive(domain::SESSION, &[b"a", b"bc"]),
            derive(domain::SESSION, &[b"abc"]),
            derive(domain::ROWS, &[b"ab", b"c"]),
        ];
        for (index, one) in all.iter().enumerate() {
            assert!(all[..index].iter().all(|other| other != one));
        }
    }
}
