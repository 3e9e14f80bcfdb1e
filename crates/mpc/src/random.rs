//! Streams of pseudo-random bytes from seeds: AES-128 in counter mode. Never draws randomness of its own.

use aes::Aes128;
use aes::cipher::{BlockCipherEncrypt as _, KeyInit as _};
use curve25519_dalek::scalar::Scalar;
use zeroize::Zeroize;

use crate::hash::{derive, domain, halves};

const BATCH: usize = 32;

/// What all random choices of one party in one session come from. Never use one twice: two sessions with the same
/// seed show the peer the same secret behind different masks.
#[derive(Clone, zeroize::ZeroizeOnDrop)]
pub struct Seed([u8; 32]);

impl Seed {
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// A seed for one purpose.
    pub(crate) fn child(&self, purpose: &[u8]) -> Self {
        Self(derive(domain::STREAM, &[&self.0, purpose]))
    }

    pub fn stream(&self) -> Stream {
        Stream::new(&self.0)
    }
}

impl std::fmt::Debug for Seed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seed(hidden)")
    }
}

/// A stream of blocks. Its key never leaves it.
#[derive(Clone)]
pub struct Stream {
    cipher: Aes128,
    counter: u128,
}

impl Stream {
    /// 128 bits of the seed are the key, 128 the place where counting begins.
    pub fn new(seed: &[u8; 32]) -> Self {
        let [mut key, counter] = halves(seed);
        let cipher = Aes128::new(&key.to_le_bytes().into());
        key.zeroize();
        Self { cipher, counter }
    }

    /// The stream of a key that is one block, as tree leaves and transfers give them.
    pub fn keyed(key: u128) -> Self {
        Self { cipher: Aes128::new(&key.to_le_bytes().into()), counter: 0 }
    }

    pub fn fill(&mut self, blocks: &mut [u128]) {
        for batch in blocks.chunks_mut(BATCH) {
            let mut bytes = [aes::Block::default(); BATCH];
            let bytes = &mut bytes[..batch.len()];
            for byte in bytes.iter_mut() {
                *byte = self.counter.to_le_bytes().into();
                self.counter = self.counter.wrapping_add(1);
            }
            self.cipher.encrypt_blocks(bytes);
            for (byte, block) in bytes.iter().zip(batch) {
                *block = u128::from_le_bytes((*byte).into());
            }
        }
    }

    pub fn block(&mut self) -> u128 {
        let mut blocks = [0];
        self.fill(&mut blocks);
        blocks[0]
    }

    pub fn blocks(&mut self, count: usize) -> Vec<u128> {
        let mut blocks = vec![0; count];
        self.fill(&mut blocks);
        blocks
    }

    pub fn bytes32(&mut self) -> [u8; 32] {
        let mut bytes = [0; 32];
        bytes[..16].copy_from_slice(&self.block().to_le_bytes());
        bytes[16..].copy_from_slice(&self.block().to_le_bytes());
        bytes
    }

    /// A number below `bound` (at least 1), with a bias below 2^-64.
    pub fn below(&mut self, bound: u32) -> u32 {
        crate::field::scaled(self.block(), bound)
    }

    /// A uniform scalar of the group, with a bias below 2^-250.
    pub fn scalar(&mut self) -> Scalar {
        let mut wide = [0; 64];
        wide[..32].copy_from_slice(&self.bytes32());
        wide[32..].copy_from_slice(&self.bytes32());
        Scalar::from_bytes_mod_order_wide(&wide)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_the_same_in_any_portions_and_differs_by_seed() {
        let mut whole = Stream::new(&[1; 32]);
        let mut parts = Stream::new(&[1; 32]);
        let expected = whole.blocks(100);
        let mut found = parts.blocks(33);
        found.extend(parts.blocks(1));
        found.extend(parts.blocks(66));
        assert_eq!(found, expected);
        assert_ne!(Stream::new(&[2; 32]).block(), expected[0]);
        let seed = Seed::new([3; 32]);
        assert_ne!(seed.child(b"a").stream().block(), seed.child(b"b").stream().block());
        assert_eq!(format!("{seed:?}"), "Seed(hidden)");
    }

    #[test]
    fn numbers_below_a_bound_reach_all_of_it() {
        let mut stream = Stream::new(&[5; 32]);
        let mut seen = [0; 7];
        for _ in 0..7000 {
            seen[stream.below(7) as usize] += 1;
        }
        assert!(seen.iter().all(|count| (800..1200).contains(count)), "{seen:?}");
    }
}
