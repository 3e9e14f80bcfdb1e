//! Items and sets of them. A [`Set`] has no item twice: duplicates are refused with their number, or the first of equals is
//! taken, as the caller says. Neither happens silently, and no protocol ever meets one.

use crate::fault::Fault;
use crate::hash::domain;
use crate::kernel::blocks::{BLOCK_BYTES, keyed_blocks};
use crate::limits::MAX_PLACES;

/// One item as both parties see it: 128 bits of a hash of a normalised key. Two of 2^40 different keys collide with
/// probability 2^-49.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Item(pub u128);

impl Item {
    /// The item of a key, under a context both parties agreed on (their contract, their key column and its normal form).
    pub fn of(context: &[u8; 32], key: &[u8]) -> Self {
        let mut out = [0; 16];
        blake3::Hasher::new_keyed(context).update(key).finalize_xof().fill(&mut out);
        Self(u128::from_le_bytes(out))
    }

    /// [`Self::of`] for many keys of one block each, several at a time; `out` gets as many.
    pub fn of_blocks(context: &[u8; 32], keys: &[[u8; BLOCK_BYTES]], out: &mut Vec<Self>) {
        let mut hashes = vec![0; keys.len()];
        keyed_blocks(context, keys, &mut hashes);
        out.extend(hashes.into_iter().map(Self));
    }

    /// The context for [`Self::of`] from a description.
    pub fn context(description: &[u8]) -> [u8; 32] {
        crate::hash::derive(domain::ITEM, &[description])
    }
}

/// Different items, each with the place it had in the caller's list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Set {
    items: Vec<u128>,
    /// Absent where places are 0, 1, 2, …
    places: Option<Vec<u32>>,
}

impl Set {
    /// All of `items`; if any is there more than once, a fault that says how many are too many.
    pub fn new(items: &[Item]) -> Result<Self, Fault> {
        check_count(items.len())?;
        let items: Vec<u128> = items.iter().map(|item| item.0).collect();
        let mut sorted = items.clone();
        sorted.sort_unstable();
        let equal = sorted.windows(2).filter(|pair| pair[0] == pair[1]).count();
        if equal > 0 {
            return Err(Fault::Duplicates { count: equal as u64 });
        }
        Ok(Self { items, places: None })
    }

    /// Of equal items the first; and how many others were left out.
    pub fn first_of_equals(items: &[Item]) -> Result<(Self, u64), Fault> {
        check_count(items.len())?;
        let mut sorted: Vec<(u128, u32)> =
            (0u32..).zip(items).map(|(place, item)| (item.0, place)).collect();
        sorted.sort_unstable();
        sorted.dedup_by_key(|(item, _)| *item);
        let left_out = items.len() - sorted.len();
        sorted.sort_unstable_by_key(|(_, place)| *place);
        let (items, places) = sorted.into_iter().unzip();
        Ok((Self { items, places: Some(places) }, left_out as u64))
    }

    /// Items that are known to be different, with their places.
    pub(crate) fn of_parts(items: Vec<u128>, places: Vec<u32>) -> Self {
        Self { items, places: Some(places) }
    }

    pub fn items(&self) -> &[u128] {
        &self.items
    }

    pub fn len(&self) -> usize {
        self.items.len()
    }

    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Where the item of this number stood in the caller's list.
    pub fn place(&self, index: usize) -> u32 {
        match &self.places {
            Some(places) => places.get(index).copied().unwrap_or(u32::MAX),
            None => u32::try_from(index).unwrap_or(u32::MAX),
        }
    }

    /// Fails where the set is larger than what was agreed.
    pub(crate) fn fits(&self, agreed: u64) -> Result<(), Fault> {
        let count = self.len() as u64;
        if count > agreed {
            return Err(Fault::TooMany { what: "items of the set", count, most: agreed });
        }
        Ok(())
    }
}

fn check_count(count: usize) -> Result<(), Fault> {
    let most = MAX_PLACES;
    if count as u64 > most {
        return Err(Fault::TooMany { what: "items of one party", count: count as u64, most });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(numbers: &[u128]) -> Vec<Item> {
        numbers.iter().map(|number| Item(*number)).collect()
    }

    #[test]
    fn duplicates_are_refused_with_their_number_or_left_out_by_rule() {
        let cases: [(&[u128], u64, &[u32]); 4] = [
            (&[], 0, &[]),
            (&[3, 1, 2], 0, &[0, 1, 2]),
            (&[3, 1, 3, 3, 1], 3, &[0, 1]),
            (&[7, 7], 1, &[0]),
        ];
        for (numbers, extra, places) in cases {
            let items = items(numbers);
            match Set::new(&items) {
                Ok(set) => assert_eq!((extra, set.len()), (0, numbers.len())),
                Err(fault) => assert_eq!(fault, Fault::Duplicates { count: extra }),
            }
            let (set, left_out) = Set::first_of_equals(&items).unwrap();
            assert_eq!(left_out, extra);
            let found: Vec<u32> = (0..set.len()).map(|index| set.place(index)).collect();
            assert_eq!(found, places);
        }
    }

    #[test]
    fn items_depend_on_context_and_key() {
        let (one, other) = (Item::context(b"contract 1"), Item::context(b"contract 2"));
        assert_eq!(Item::of(&one, b"key"), Item::of(&one, b"key"));
        assert_ne!(Item::of(&one, b"key"), Item::of(&other, b"key"));
        assert_ne!(Item::of(&one, b"key"), Item::of(&one, b"kez"));
        let blocks: Vec<[u8; BLOCK_BYTES]> = (0..37).map(|byte| [byte; BLOCK_BYTES]).collect();
        let mut many = Vec::new();
        Item::of_blocks(&one, &blocks, &mut many);
        let single: Vec<Item> = blocks.iter().map(|block| Item::of(&one, block)).collect();
        assert_eq!(many, single);
    }
}
