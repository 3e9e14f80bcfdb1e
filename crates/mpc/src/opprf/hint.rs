//! The hint: a key-value store that travels in the clear, so it must itself say nothing about its keys.
//!
//! Two things make it so. Values are masked by F at their keys. And places that are left free hold random elements: with
//! a random store R, what is encoded is the difference of each value to what R decodes to, and the sum of both leaves. The
//! encoder is linear in the values, so this is an even choice among all stores that fit.
//!
//! Sparse places only ever add up, so of each only as many bytes leave as a value has. Dense places are multiplied with and
//! leave whole; that is why a value's upper bytes are random here and not those of F: rows that are solved through the dense places
//! would otherwise let a receiver that has all of them see that they were programmed, whatever their values.

use crate::field::{GF_BYTES, Gf};
use crate::hash::{derive, domain};
use crate::okvs::{Binned, GapTooLarge, Hasher, Rows, Shape, Solver, decode};
use crate::random::Stream;

/// The store's sizes and hash functions, which are not those of the function underneath.
pub(super) struct Hint {
    shape: Shape,
    hasher: Hasher,
    value_bytes: usize,
}

impl Hint {
    pub(super) fn new(run: &[u8; 32], (programmed, parts): (u64, u32), value_bytes: u32) -> Self {
        let hasher = Hasher::new(&derive(domain::HINT, &[run]));
        let shape = Shape::of(programmed, parts);
        Self { shape, hasher, value_bytes: value_bytes as usize }
    }

    pub(super) fn bins(&self) -> u32 {
        self.shape.bins()
    }

    /// Bytes of each bin's message.
    pub(super) fn bin_bytes(&self) -> usize {
        self.shape.sparse() * self.value_bytes + self.shape.dense() * GF_BYTES
    }

    pub(super) fn sort(&self, keys: &[u128]) -> Binned {
        self.hasher.sort(&self.shape, keys)
    }

    /// The message of one bin.
    pub(super) fn encode(
        &self,
        keys: &[u128],
        values: &[u128],
        own: &mut Stream,
        rows: &mut Rows,
        solver: &mut Solver,
    ) -> Result<Vec<u8>, GapTooLarge> {
        let random: Vec<Gf> = own.blocks(self.shape.bin_places()).into_iter().map(Gf).collect();
        self.hasher.rows(&self.shape, keys, rows);
        let mut of_random = Vec::new();
        decode(&self.shape, &random, rows, &mut of_random);
        rows.values.clear();
        rows.values.extend(values.iter().zip(of_random).map(|(value, random)| Gf(*value) ^ random));
        let mut store = vec![Gf::ZERO; self.shape.bin_places()];
        solver.encode(&self.shape, rows, &mut store)?;
        for (place, random) in store.iter_mut().zip(random) {
            *place ^= random;
        }
        let (sparse, dense) = store.split_at(self.shape.sparse());
        let mut message = Vec::with_capacity(self.bin_bytes());
        for place in sparse {
            message.extend_from_slice(&place.to_bytes()[..self.value_bytes]);
        }
        message.extend_from_slice(&crate::field::to_wire(dense));
        Ok(message)
    }

    /// What a message of exactly [`Self::bin_bytes`] holds for keys of its bin. Bytes above a value's are noise.
    pub(super) fn decode(&self, message: &[u8], keys: &[u128], rows: &mut Rows, out: &mut Vec<Gf>) {
        let border = (self.shape.sparse() * self.value_bytes).min(message.len());
        let (sparse, dense) = message.split_at(border);
        let mut store: Vec<Gf> =
            sparse.chunks_exact(self.value_bytes).map(Gf::from_slice).collect();
        store.extend(crate::field::from_wire(dense));
        self.hasher.rows(&self.shape, keys, rows);
        decode(&self.shape, &store, rows, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(hint: &Hint, keys: &[u128], values: &[u128], seed: u8) -> Vec<u8> {
        let (mut rows, mut solver) = (Rows::default(), Solver::default());
        hint.encode(keys, values, &mut Stream::new(&[seed; 32]), &mut rows, &mut solver).unwrap()
    }

    #[test]
    fn every_key_comes_back_at_every_width() {
        let mut stream = Stream::new(&[1; 32]);
        for value_bytes in [1, 3, 8, 15, 16] {
            for count in [0, 1, 16, 500] {
                let hint = Hint::new(&[7; 32], (count as u64, 1), value_bytes);
                let (keys, values) = (stream.blocks(count), stream.blocks(count));
                let message = message(&hint, &keys, &values, 2);
                assert_eq!(message.len(), hint.bin_bytes());
                let (mut rows, mut found) = (Rows::default(), Vec::new());
                hint.decode(&message, &keys, &mut rows, &mut found);
                let keep = u128::MAX >> (128 - 8 * value_bytes);
                assert!(
                    found.iter().zip(&values).all(|(found, value)| (found.0 ^ value) & keep == 0)
                );
            }
        }
    }

    /// How often each bit of the messages is set, over many encodings: the largest distance from half, in standard deviations.
    fn worst(keys: usize, values: impl Fn(&mut Stream) -> u128) -> f64 {
        let (runs, mut stream) = (400u32, Stream::new(&[9; 32]));
        let hint = Hint::new(&[7; 32], (40, 1), 2);
        let fixed = Stream::new(&[3; 32]).blocks(keys);
        let mut counts = vec![0u32; hint.bin_bytes() * 8];
        let (mut rows, mut solver) = (Rows::default(), Solver::default());
        for _ in 0..runs {
            let wanted: Vec<u128> = (0..keys).map(|_| values(&mut stream)).collect();
            let message =
                hint.encode(&fixed, &wanted, &mut stream, &mut rows, &mut solver).unwrap();
            for (place, count) in counts.iter_mut().enumerate() {
                *count += u32::from(message[place / 8] >> (place % 8) & 1);
            }
        }
        let half = f64::from(runs) / 2.0;
        counts.iter().map(|count| (f64::from(*count) - half).abs()).fold(0.0, f64::max)
            / (half / 2.0).sqrt()
    }

    #[test]
    fn every_bit_is_even_whatever_the_keys_and_also_those_that_no_key_names() {
        // About 2,000 bits: six standard deviations are passed once in 2^-18 of such tests, and seeds are fixed.
        for keys in [0, 1, 20, 40] {
            let distance = worst(keys, Stream::block);
            assert!(distance < 6.0, "{keys}: {distance}");
        }
    }

    #[test]
    fn equal_keys_are_refused() {
        let hint = Hint::new(&[7; 32], (16, 1), 16);
        let (mut rows, mut solver) = (Rows::default(), Solver::default());
        let mut own = Stream::new(&[1; 32]);
        let encoded = hint.encode(&[5, 6, 5], &[1, 2, 3], &mut own, &mut rows, &mut solver);
        assert_eq!(encoded, Err(GapTooLarge));
    }
}
