//! The items of one part with their places, on their way into a [`Set`].

use crate::fault::Fault;
use crate::psi::Set;

/// What there are too many of, where a part has more items than one of a list of the agreed size.
pub const TOO_FULL: &str = "different keys of one part";

/// What to do about items that are there more than once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Equals {
    /// End with [`Fault::Duplicates`]: of a part, with their number there; a job looks at all parts before one runs.
    Refuse,
    /// The first counts; how many were left out is reported.
    First,
    /// The item counts once; the places of all equal ones are in the result if it matches.
    Multiply,
}

/// The different items of a part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Distinct {
    pub set: Set,
    /// Items that count no more because an equal one came before.
    pub left_out: u64,
    /// With [`Equals::Multiply`], places of later equals behind the place of the first; rising.
    pub also: Vec<(u32, u32)>,
    /// With [`Equals::Multiply`]: later equals were left out before all were here, so `also` has none of them, and whoever left
    /// them out adds their places to the result.
    pub elsewhere: bool,
}

impl Distinct {
    /// The places of all rows that matched, from those of the set that did; rising.
    pub fn all(&self, mut places: Vec<u32>) -> Vec<u32> {
        if !self.also.is_empty() {
            let mut more: Vec<u32> = Vec::new();
            for place in &places {
                let begin = self.also.partition_point(|(first, _)| first < place);
                let equal = self.also[begin..].iter().take_while(|(first, _)| first == place);
                more.extend(equal.map(|(_, also)| also));
            }
            places.extend(more);
            places.sort_unstable();
        }
        places
    }
}

/// Bytes of an item and its place where a part is written down.
pub const RECORD_BYTES: usize = 16 + 4;

/// One part as it was gathered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Part {
    pub items: Vec<u128>,
    pub places: Vec<u32>,
    /// Items that were left out already because an equal one came before.
    pub left_out: u64,
}

impl Part {
    /// Room for `count` items.
    pub fn with_capacity(count: usize) -> Self {
        Self { items: Vec::with_capacity(count), places: Vec::with_capacity(count), left_out: 0 }
    }

    pub fn len(&self) -> usize {
        self.items.len()
    }

    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Of equal items only the first stays: what [`Self::distinct`] would do anyway, while more items are still to come.
    pub fn compact(&mut self) {
        let before = std::mem::take(self);
        let (left_out, count) = (before.left_out, before.len());
        let mut all = before.spread();
        all.dedup_by_key(|(item, _)| *item);
        let left_out = left_out + (count - all.len()) as u64;
        let (items, places) = all.into_iter().unzip();
        *self = Self { items, places, left_out };
    }

    pub fn push(&mut self, item: u128, place: u32) {
        self.items.push(item);
        self.places.push(place);
    }

    /// A record, as [`Self::of_records`] reads it.
    pub fn record(item: u128, place: u32) -> [u8; RECORD_BYTES] {
        let mut record = [0; RECORD_BYTES];
        record[..16].copy_from_slice(&item.to_le_bytes());
        record[16..].copy_from_slice(&place.to_le_bytes());
        record
    }

    pub fn of_records(bytes: &[u8]) -> Self {
        let mut part = Self::with_capacity(bytes.len() / RECORD_BYTES);
        part.push_records(bytes);
        part
    }

    /// What [`Self::record`] made, one behind the other.
    pub fn push_records(&mut self, bytes: &[u8]) {
        let (records, _) = bytes.as_chunks::<RECORD_BYTES>();
        for record in records {
            let (item, place) = record.split_at(16);
            let place = crate::field::Gf::from_slice(place).0;
            self.push(crate::field::Gf::from_slice(item).0, crate::field::word(place, 0));
        }
    }

    /// The different items of the part; more than `most` are a fault.
    pub fn distinct(self, equals: Equals, most: u64) -> Result<Distinct, Fault> {
        let (before, left_out) = (self.items.len(), self.left_out);
        let mut all = self.spread();
        let mut also = Vec::new();
        let multiplies = equals == Equals::Multiply;
        let elsewhere = multiplies && left_out > 0;
        all.dedup_by(|(item, place), (kept, first)| {
            let equal = item == kept;
            if equal && multiplies && !elsewhere {
                also.push((*first, *place));
            }
            equal
        });
        also.sort_unstable();
        let equal = left_out + (before - all.len()) as u64;
        if equal > 0 && equals == Equals::Refuse {
            return Err(Fault::Duplicates { count: equal });
        }
        let count = all.len() as u64;
        if count > most {
            // Of a list that is no longer than agreed no part is so full, but for chance below 2^-41, and it is cut alike every time.
            return Err(Fault::TooMany { what: TOO_FULL, count, most });
        }
        let left_out = if multiplies { 0 } else { equal };
        let (items, places) = all.into_iter().unzip();
        Ok(Distinct { set: Set::of_parts(items, places), left_out, also, elsewhere })
    }

    /// In rising order: spread by the top bits, as hashes are even there, then small sorts.
    fn spread(self) -> Vec<(u128, u32)> {
        let bits = self.items.len().max(1).ilog2().saturating_sub(3).max(1);
        let top = |item: u128| usize::try_from(item >> (128 - bits)).unwrap_or(0);
        let mut next = vec![0usize; (1 << bits) + 1];
        for item in &self.items {
            next[top(*item) + 1] += 1;
        }
        for index in 1..next.len() {
            next[index] += next[index - 1];
        }
        let ends = next[1..].to_vec();
        let mut all = vec![(0, 0); self.items.len()];
        for (item, place) in self.items.into_iter().zip(self.places) {
            let slot = &mut next[top(item)];
            all[*slot] = (item, place);
            *slot += 1;
        }
        let mut begin = 0;
        for end in ends {
            all[begin..end].sort_unstable();
            begin = end;
        }
        all
    }
}
