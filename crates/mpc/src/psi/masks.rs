//! Masks on their way: sorted, so that their order tells nothing, and as Elias and Fano would write them down.
//!
//! Of each mask the top bits (about log2 n of them) go into one bit string, where mask i with top t sets bit `i + t`; the
//! other bits stand one after the other. A list of n masks of ℓ bits takes about `n·(ℓ − log2 n + 2)` bits, and always the
//! same number for the same n and ℓ.

use crate::fault::Fault;
use crate::step::Step;

/// Lengths of one list's code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Code {
    count: usize,
    /// Bits of a mask that stand by themselves.
    low_bits: u32,
    top_bits: u32,
}

impl Code {
    /// For `count` masks of `bits` bits, 1 to 128.
    pub(super) fn new(count: usize, bits: u32) -> Self {
        let top_bits = (count.max(1).ilog2()).min(bits - 1);
        Self { count, low_bits: bits - top_bits, top_bits }
    }

    /// Bits of the first string.
    fn string_bits(self) -> usize {
        if self.count == 0 { 0 } else { self.count + (1 << self.top_bits) }
    }

    /// Bytes of the list.
    pub(super) fn bytes(self) -> usize {
        self.string_bits().div_ceil(8) + (self.count * self.low_bits as usize).div_ceil(8)
    }

    /// Writes sorted masks, exactly [`Code::bytes`] of them.
    pub(super) fn write(self, sorted: &[u128]) -> Vec<u8> {
        self.write_each(sorted.iter().copied())
    }

    pub(super) fn write_each(self, sorted: impl Iterator<Item = u128> + Clone) -> Vec<u8> {
        let mut bytes = vec![0; self.string_bits().div_ceil(8)];
        bytes.reserve(self.bytes());
        for (index, mask) in sorted.clone().enumerate() {
            let bit = index + top(mask, self.low_bits);
            bytes[bit / 8] |= 1 << (bit % 8);
        }
        let (mut pending, mut filled) = (0u128, 0u32);
        for mask in sorted {
            for (word, bits) in low_words(mask & low_mask(self.low_bits), self.low_bits) {
                pending |= u128::from(word) << filled;
                filled += bits;
                if filled >= 64 {
                    bytes.extend_from_slice(&pending.to_le_bytes()[..8]);
                    pending >>= 64;
                    filled -= 64;
                }
            }
        }
        bytes.extend_from_slice(&pending.to_le_bytes()[..filled.div_ceil(8) as usize]);
        bytes
    }

    /// Reads a peer's list of exactly [`Code::bytes`] bytes: sorted as far as their top bits, or refused.
    pub(super) fn read(self, bytes: &[u8]) -> Result<Vec<u128>, Fault> {
        let wrong = |what| Err(Fault::misbehaved(Step::Masks, what));
        if bytes.len() != self.bytes() {
            return wrong("the list of masks is not as long as agreed");
        }
        let (string, lows) = bytes.split_at(self.string_bits().div_ceil(8));
        let mut masks = Vec::with_capacity(self.count);
        let mut reader = Bits { bytes: lows, pending: 0, filled: 0 };
        for (place, byte) in string.iter().enumerate() {
            let mut byte = *byte;
            while byte != 0 {
                let bit = place * 8 + byte.trailing_zeros() as usize;
                byte &= byte - 1;
                // Bit i of the string's ones is at i + top: neither too many of them nor one beyond the end.
                let top = bit.wrapping_sub(masks.len());
                if masks.len() == self.count || top >> self.top_bits != 0 {
                    return wrong("the list of masks has too many tops or one out of range");
                }
                masks.push(
                    (top as u128).checked_shl(self.low_bits).unwrap_or(0)
                        | reader.take(self.low_bits),
                );
            }
        }
        if masks.len() != self.count {
            return wrong("the list of masks has too few tops");
        }
        Ok(masks)
    }
}

struct Bits<'a> {
    bytes: &'a [u8],
    pending: u128,
    filled: u32,
}

impl Bits<'_> {
    fn take(&mut self, bits: u32) -> u128 {
        let low = u128::from(self.word(bits.min(64)));
        low | u128::from(self.word(bits.saturating_sub(64))) << 64
    }

    /// The next bits, at most 64 of them; behind the end are zeros.
    fn word(&mut self, bits: u32) -> u64 {
        if self.filled < bits {
            let (chunk, rest) = self.bytes.split_at(self.bytes.len().min(8));
            let mut next = [0; 8];
            next[..chunk.len()].copy_from_slice(chunk);
            self.pending |= u128::from(u64::from_le_bytes(next)) << self.filled;
            self.filled += 64;
            self.bytes = rest;
        }
        let word = self.pending & low_mask(bits);
        self.pending >>= bits;
        self.filled -= bits;
        lowest(word)
    }
}

/// The lower and the upper word of so many bits.
fn low_words(value: u128, bits: u32) -> [(u64, u32); 2] {
    [(lowest(value), bits.min(64)), (lowest(value >> 64), bits.saturating_sub(64))]
}

#[expect(clippy::cast_possible_truncation, reason = "taking the lower half is the purpose")]
fn lowest(value: u128) -> u64 {
    value as u64
}

fn low_mask(bits: u32) -> u128 {
    u128::MAX.checked_shr(128 - bits).unwrap_or(0)
}

fn top(mask: u128, low_bits: u32) -> usize {
    usize::try_from(mask.checked_shr(low_bits).unwrap_or(0)).unwrap_or(usize::MAX)
}

/// Masks in rising order, each with its number. A mask of up to 96 bits stands in one block with its number; of a
/// longer one the top 96 bits do, so that two which agree in them (2^-57 for a million) may change places.
pub(super) struct Sorted<'a> {
    blocks: Vec<u128>,
    masks: &'a [u128],
    bits: u32,
}

const NUMBER_BITS: u32 = 32;

impl<'a> Sorted<'a> {
    /// Of fewer than 2^32 masks of `bits` uniform bits: spread by their top bits, then small sorts.
    pub(super) fn new(masks: &'a [u128], bits: u32) -> Self {
        let spread_bits = masks.len().max(1).ilog2().saturating_sub(3).min(bits - 1);
        let shift = bits - spread_bits;
        let mut starts = vec![0u32; (1 << spread_bits) + 1];
        for mask in masks {
            starts[top(*mask, shift) + 1] += 1;
        }
        for index in 1..starts.len() {
            starts[index] += starts[index - 1];
        }
        let over = bits.saturating_sub(128 - NUMBER_BITS);
        let mut blocks = vec![0; masks.len()];
        // Each start moves on to the next one's beginning.
        for (number, mask) in (0u32..).zip(masks) {
            let place = &mut starts[top(*mask, shift)];
            blocks[*place as usize] = mask >> over << NUMBER_BITS | u128::from(number);
            *place += 1;
        }
        let mut begin = 0;
        for end in starts {
            blocks[begin..end as usize].sort_unstable();
            begin = end as usize;
        }
        Self { blocks, masks, bits }
    }

    pub(super) fn len(&self) -> usize {
        self.blocks.len()
    }

    /// The masks with their numbers.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u128, u32)> + Clone {
        let whole = self.bits <= 128 - NUMBER_BITS;
        self.blocks.iter().map(move |block| {
            let number = crate::field::word(*block, 0);
            let mask = if whole { block >> NUMBER_BITS } else { self.masks[number as usize] };
            (mask, number)
        })
    }
}

/// Masks in rising order with their numbers, as a list.
pub(super) fn sorted(masks: &[u128], bits: u32) -> Vec<(u128, u32)> {
    Sorted::new(masks, bits).iter().collect()
}

/// Calls `found(own, theirs)` for each pair of equal masks, by their places in the two rising lists. Own masks differ
/// from each other but by chance; of a peer's equal ones each is a match.
pub(super) fn join(own: &[(u128, u32)], theirs: &[u128], found: impl FnMut(usize, usize)) {
    let places = own.iter().enumerate().map(|(place, (mask, _))| (*mask, place));
    join_each(places, theirs, found);
}

/// The same for masks that are not a list, with whatever number each has.
pub(super) fn join_each<T: Copy>(
    own: impl Iterator<Item = (u128, T)>,
    theirs: &[u128],
    mut found: impl FnMut(T, usize),
) {
    let mut begin = 0;
    for (mask, number) in own {
        while theirs.get(begin).is_some_and(|theirs| *theirs < mask) {
            begin += 1;
        }
        let equal =
            theirs.iter().enumerate().skip(begin).take_while(|(_, theirs)| **theirs == mask);
        for (their_place, _) in equal {
            found(number, their_place);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::random::Stream;

    fn uniform(seed: u8, count: usize, bits: u32) -> Vec<u128> {
        Stream::new(&[seed; 32]).blocks(count).into_iter().map(|x| x & low_mask(bits)).collect()
    }

    #[test]
    fn lists_of_any_length_and_width_come_back_and_have_the_length_of_their_sizes() {
        for count in [0, 1, 2, 3, 7, 8, 1000, 1025] {
            for bits in [1, 7, 40, 63, 64, 65, 80, 127, 128] {
                let code = Code::new(count, bits);
                let unsorted = uniform(1, count, bits);
                let sorted: Vec<_> = Sorted::new(&unsorted, bits).iter().collect();
                assert!(sorted.windows(2).all(|pair| pair[0] < pair[1]));
                assert!(sorted.iter().all(|(mask, number)| unsorted[*number as usize] == *mask));
                let masks: Vec<u128> = sorted.into_iter().map(|(mask, _)| mask).collect();
                assert_eq!(masks.len(), count);
                let bytes = code.write(&masks);
                assert_eq!(bytes.len(), code.bytes());
                assert_eq!(code.read(&bytes).unwrap(), masks, "{count} of {bits}");
            }
        }
    }

    #[test]
    fn a_million_masks_of_80_bits_take_less_than_8_bytes_each() {
        assert!(Code::new(1 << 20, 80).bytes() <= (1 << 20) * 31 / 4 + 1);
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_list_or_refused(count in 0usize..40, bits in 1u32..=128, seed: u8, flip in 0usize..400) {
            let code = Code::new(count, bits);
            let masks: Vec<u128> = Sorted::new(&uniform(seed, count, bits), bits).iter().map(|m| m.0).collect();
            let mut bytes = code.write(&masks);
            if let Some(byte) = bytes.get_mut(flip / 8) {
                *byte ^= 1 << (flip % 8);
            }
            if let Ok(read) = code.read(&bytes) {
                prop_assert_eq!(read.len(), count);
                prop_assert!(read.iter().all(|mask| mask & !low_mask(bits) == 0));
            }
            prop_assert!(code.read(&[bytes, vec![0]].concat()).is_err());
        }

        #[test]
        fn noise_is_a_list_or_refused(count in 0usize..20, bits in 1u32..=128, noise in proptest::collection::vec(any::<u8>(), 0..400)) {
            let code = Code::new(count, bits);
            let mut noise = noise;
            noise.resize(code.bytes(), 0xff);
            if let Ok(read) = code.read(&noise) {
                prop_assert_eq!(read.len(), count);
            }
        }
    }

    #[test]
    fn joins_find_every_pair() {
        let own = [(1, 0), (3, 1), (5, 2), (9, 3)];
        let mut pairs = Vec::new();
        join(&own, &[0, 1, 4, 5, 5, 8], |own, theirs| pairs.push((own, theirs)));
        assert_eq!(pairs, [(0, 1), (2, 3), (2, 4)]);
    }
}
