//! Masks on their way: sorted, so that their order tells nothing, and as Elias and Fano would write them down.
//!
//! Of each mask the top bits (about log2 n of them) go into one bit string, where mask i with top t sets bit `i + t`; the
//! other bits stand one after the other. A list of n masks of ℓ bits takes about `n·(ℓ − log2 n + 2)` bits, and always the
//! same number for the same n and ℓ.

use crate::fault::Fault;
use crate::step::Step;

/// Lengths of one list's code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Code {
    count: usize,
    /// Bits of a mask that stand by themselves.
    low_bits: u32,
    top_bits: u32,
}

impl Code {
    /// For `count` masks of `bits` bits, 1 to 128.
    pub(crate) fn new(count: usize, bits: u32) -> Self {
        let top_bits = (count.max(1).ilog2()).min(bits - 1);
        Self { count, low_bits: bits - top_bits, top_bits }
    }

    /// Bits of the first string.
    fn string_bits(self) -> usize {
        if self.count == 0 { 0 } else { self.count + (1 << self.top_bits) }
    }

    /// Bytes of the list.
    pub(crate) fn bytes(self) -> usize {
        self.string_bits().div_ceil(8) + (self.count * self.low_bits as usize).div_ceil(8)
    }

    /// Writes sorted masks, exactly [`Code::bytes`] of them.
    pub(crate) fn write(self, sorted: &[u128]) -> Vec<u8> {
        let mut bytes = vec![0; self.string_bits().div_ceil(8)];
        bytes.reserve(self.bytes());
        for (index, mask) in sorted.iter().enumerate() {
            let bit = index + top(*mask, self.low_bits);
            bytes[bit / 8] |= 1 << (bit % 8);
        }
        let (mut pending, mut filled) = (0u128, 0u32);
        for mask in sorted {
            let mut rest = mask & low_mask(self.low_bits);
            let mut bits = self.low_bits;
            while bits > 0 {
                // Never more than 56 at a time, so that they fit over at most seven pending bits, twice.
                let taken = bits.min(56);
                pending |= (rest & low_mask(taken)) << filled;
                filled += taken;
                rest = rest.checked_shr(taken).unwrap_or(0);
                bits -= taken;
                while filled >= 8 {
                    bytes.push(crate::field::word(pending, 0).to_le_bytes()[0]);
                    pending >>= 8;
                    filled -= 8;
                }
            }
        }
        if filled > 0 {
            bytes.push(crate::field::word(pending, 0).to_le_bytes()[0]);
        }
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

    /// Calls `found` with the number of each of the rising `wanted` masks that is in the list. Looks at the string of tops,
    /// and of the other bits only at those of masks whose tops are wanted. A list that is none has masks of its own, or none.
    pub(crate) fn find(self, bytes: &[u8], wanted: &[u128], mut found: impl FnMut(usize)) {
        let (string, lows) = bytes.split_at(self.string_bits().div_ceil(8).min(bytes.len()));
        let is_one =
            |bit: usize| string.get(bit / 8).is_some_and(|byte| byte >> (bit % 8) & 1 == 1);
        let (mut place, mut zeros) = (0, 0);
        for (number, wanted) in wanted.iter().enumerate() {
            // Masks with this top stand behind as many zeros.
            let top = top(*wanted, self.low_bits);
            while let Some(byte) = string.get(place) {
                let here = byte.count_zeros() as usize;
                if zeros + here >= top {
                    break;
                }
                zeros += here;
                place += 1;
            }
            let (mut bit, mut left) = (place * 8, top.saturating_sub(zeros));
            while left > 0 && bit < string.len() * 8 {
                left -= usize::from(!is_one(bit));
                bit += 1;
            }
            while is_one(bit) {
                let index = bit.saturating_sub(top);
                if self.low(lows, index) == Some(wanted & low_mask(self.low_bits)) {
                    found(number);
                    break;
                }
                bit += 1;
            }
        }
    }

    /// The bits that stand by themselves of one mask.
    fn low(self, lows: &[u8], index: usize) -> Option<u128> {
        let bit = index.checked_mul(self.low_bits as usize)?;
        let (begin, shift) = (bit / 8, u32::try_from(bit % 8).ok()?);
        let from = lows.get(begin..)?;
        let mut window = [0; 16];
        let length = from.len().min(16);
        window[..length].copy_from_slice(&from[..length]);
        let next = u128::from(from.get(16).copied().unwrap_or(0));
        let low = u128::from_le_bytes(window) >> shift | next.checked_shl(128 - shift).unwrap_or(0);
        (index < self.count).then_some(low & low_mask(self.low_bits))
    }
}

struct Bits<'a> {
    bytes: &'a [u8],
    pending: u128,
    filled: u32,
}

impl Bits<'_> {
    fn take(&mut self, bits: u32) -> u128 {
        let (mut result, mut done) = (0, 0);
        while done < bits {
            let wanted = (bits - done).min(56);
            while self.filled < wanted {
                let (byte, rest) =
                    self.bytes.split_first().map_or((0, [].as_slice()), |(b, r)| (*b, r));
                self.pending |= u128::from(byte) << self.filled;
                self.filled += 8;
                self.bytes = rest;
            }
            result |= (self.pending & low_mask(wanted)) << done;
            self.pending >>= wanted;
            self.filled -= wanted;
            done += wanted;
        }
        result
    }
}

fn low_mask(bits: u32) -> u128 {
    u128::MAX.checked_shr(128 - bits).unwrap_or(0)
}

fn top(mask: u128, low_bits: u32) -> usize {
    usize::try_from(mask.checked_shr(low_bits).unwrap_or(0)).unwrap_or(usize::MAX)
}

/// Masks of `bits` uniform bits in rising order, each with its number: spread by their top bits, then small sorts.
pub(super) fn sorted(masks: &[u128], bits: u32) -> Vec<(u128, u32)> {
    let spread_bits = masks.len().max(1).ilog2().saturating_sub(3).min(bits - 1);
    let shift = bits - spread_bits;
    let mut starts = vec![0usize; (1 << spread_bits) + 1];
    for mask in masks {
        starts[top(*mask, shift) + 1] += 1;
    }
    for index in 1..starts.len() {
        starts[index] += starts[index - 1];
    }
    let mut next = starts.clone();
    let mut out = vec![(0, 0); masks.len()];
    for (index, mask) in (0u32..).zip(masks) {
        let place = &mut next[top(*mask, shift)];
        out[*place] = (*mask, index);
        *place += 1;
    }
    for range in starts.windows(2) {
        out[range[0]..range[1]].sort_unstable();
    }
    out
}

/// Calls `found(own, theirs)` for each pair of equal masks, by their numbers in the two rising lists. Own masks differ
/// from each other but by chance; of a peer's equal ones each is a match.
pub(super) fn join(own: &[(u128, u32)], theirs: &[u128], mut found: impl FnMut(usize, usize)) {
    let mut begin = 0;
    for (own_index, (mask, _)) in own.iter().enumerate() {
        while theirs.get(begin).is_some_and(|theirs| theirs < mask) {
            begin += 1;
        }
        let equal = theirs.iter().enumerate().skip(begin).take_while(|(_, theirs)| *theirs == mask);
        for (their_index, _) in equal {
            found(own_index, their_index);
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
                let masks = sorted(&uniform(1, count, bits), bits);
                assert!(masks.windows(2).all(|pair| pair[0] < pair[1]));
                let masks: Vec<u128> = masks.into_iter().map(|(mask, _)| mask).collect();
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
            let masks: Vec<u128> = sorted(&uniform(seed, count, bits), bits).into_iter().map(|m| m.0).collect();
            let mut bytes = code.write(&masks);
            if let Some(byte) = bytes.get_mut(flip / 8) {
                *byte ^= 1 << (flip % 8);
            }
            code.find(&bytes, &[0, low_mask(bits) / 2, low_mask(bits)], |number| assert!(number < 3));
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
    fn what_is_looked_up_is_found_where_it_is_and_only_there() {
        for count in [0, 1, 2, 7, 64, 1000] {
            for bits in [1, 7, 14, 40, 64, 88, 127, 128] {
                let code = Code::new(count, bits);
                let masks: Vec<u128> =
                    sorted(&uniform(2, count, bits), bits).into_iter().map(|m| m.0).collect();
                let bytes = code.write(&masks);
                let mut wanted = [masks.clone(), uniform(3, 300, bits)].concat();
                wanted.extend(masks.iter().map(|mask| mask ^ 1));
                wanted.sort_unstable();
                let mut found = Vec::new();
                code.find(&bytes, &wanted, |number| found.push(wanted[number]));
                let held = |mask: &u128| masks.binary_search(mask).is_ok();
                let expected: Vec<u128> = wanted.iter().copied().filter(held).collect();
                assert_eq!(found, expected, "{count} of {bits}");
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
