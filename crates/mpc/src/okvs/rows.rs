//! What a key stands for: a bin, three sparse places, a point for the dense ones, and the value that belongs to it.
//!
//! All from AES under keys of the session; never from the key's own bits, which somebody may have chosen.

use super::Shape;
use crate::field::{Gf, narrowed, word};
use crate::hash::{Permutation, derive, domain, half};

/// The hash functions of one run.
pub struct Hasher {
    pub(super) places: Permutation,
    pub(super) points: Permutation,
    pub(super) values: Permutation,
}

/// The rows of some keys of one bin, in the order of the keys.
#[derive(Debug, Default)]
pub struct Rows {
    /// Three different sparse places.
    pub columns: Vec<[u32; 3]>,
    /// What the dense places are multiplied with, in rising powers.
    pub points: Vec<Gf>,
    /// The value each key is encoded with: a hash of the key.
    pub values: Vec<Gf>,
}

/// Keys in the order of their bins.
#[derive(Debug)]
pub struct Binned {
    items: Vec<u128>,
    /// Where each of `items` stood before.
    origin: Vec<u32>,
    /// Where each bin begins, and the end.
    starts: Vec<usize>,
}

impl Hasher {
    pub fn new(binding: &[u8; 32]) -> Self {
        let places = derive(domain::ROWS, &[binding, b"places"]);
        let points = derive(domain::ROWS, &[binding, b"points"]);
        Self {
            places: Permutation::new(half(&places).to_le_bytes()),
            points: Permutation::new(half(&points).to_le_bytes()),
            values: Permutation::bound(domain::VALUES, binding),
        }
    }

    /// Sorts keys into bins. The caller has made sure that there are fewer than 2^32.
    pub fn sort(&self, shape: &Shape, items: &[u128]) -> Binned {
        self.sort_into(shape.bins(), items)
    }

    pub(super) fn sort_into(&self, bins: u32, items: &[u128]) -> Binned {
        const BATCH: usize = 4096;
        let mut bin_of = Vec::with_capacity(items.len());
        for items in items.chunks(BATCH) {
            let mut hashes = items.to_vec();
            self.places.fold(&mut hashes);
            bin_of.extend(hashes.iter().map(|hash| narrowed(word(*hash, 3), bins)));
        }
        let mut starts = vec![0; bins as usize + 1];
        for bin in &bin_of {
            starts[*bin as usize + 1] += 1;
        }
        for bin in 0..bins as usize {
            starts[bin + 1] += starts[bin];
        }
        let mut next = starts.clone();
        let mut sorted = vec![0; items.len()];
        let mut origin = vec![0; items.len()];
        for ((index, item), bin) in (0u32..).zip(items).zip(&bin_of) {
            let place = &mut next[*bin as usize];
            sorted[*place] = *item;
            origin[*place] = index;
            *place += 1;
        }
        Binned { items: sorted, origin, starts }
    }

    /// The rows of keys of one bin.
    pub fn rows(&self, shape: &Shape, items: &[u128], rows: &mut Rows) {
        let sparse = u32::try_from(shape.sparse()).unwrap_or(u32::MAX);
        let mut draws = items.to_vec();
        self.places.fold(&mut draws);
        rows.columns.clear();
        rows.columns.extend(draws.iter().map(|draw| different(*draw, sparse)));
        draws.copy_from_slice(items);
        self.points.fold(&mut draws);
        rows.points.clear();
        rows.points.extend(draws.iter().map(|draw| Gf(*draw)));
        draws.copy_from_slice(items);
        self.values.fold(&mut draws);
        rows.values.clear();
        rows.values.extend(draws.iter().map(|draw| Gf(*draw)));
    }
}

/// Three different numbers below `bound`, which is at least 3, each triple with the same probability but for 2^-16.
pub(crate) fn different(draw: u128, bound: u32) -> [u32; 3] {
    let first = narrowed(word(draw, 0), bound);
    let mut second = narrowed(word(draw, 1), bound - 1);
    second += u32::from(second >= first);
    let mut third = narrowed(word(draw, 2), bound - 2);
    third += u32::from(third >= first.min(second));
    third += u32::from(third >= first.max(second));
    [first, second, third]
}

impl Binned {
    /// The keys of one bin.
    pub fn bin(&self, bin: u32) -> &[u128] {
        let bin = bin as usize;
        &self.items[self.starts[bin]..self.starts[bin + 1]]
    }

    /// Where each key of one bin stood before.
    pub fn origins(&self, bin: u32) -> &[u32] {
        let bin = bin as usize;
        &self.origin[self.starts[bin]..self.starts[bin + 1]]
    }

    /// All keys, bin after bin.
    pub fn items(&self) -> &[u128] {
        &self.items
    }

    /// Where each of [`Self::items`] stood before.
    pub fn origin(&self) -> &[u32] {
        &self.origin
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Stream;

    #[test]
    fn columns_differ_and_spread_evenly() {
        let mut stream = Stream::new(&[2; 32]);
        let mut seen = [0usize; 5];
        for _ in 0..10_000 {
            let [a, b, c] = different(stream.block(), 5);
            assert!(a != b && b != c && a != c && a.max(b).max(c) < 5);
            for column in [a, b, c] {
                seen[column as usize] += 1;
            }
        }
        // Three of five, 10,000 times: 6,000 each, six standard deviations are 300.
        assert!(seen.iter().all(|count| count.abs_diff(6000) < 300), "{seen:?}");
    }

    #[test]
    fn sorting_keeps_every_key_and_where_it_came_from() {
        let shape = Shape::of(100_000, 1);
        let items = Stream::new(&[3; 32]).blocks(100_000);
        let binned = Hasher::new(&[1; 32]).sort(&shape, &items);
        for (item, origin) in binned.items().iter().zip(binned.origin()) {
            assert_eq!(items[*origin as usize], *item);
        }
        let mut origins = binned.origin().to_vec();
        origins.sort_unstable();
        assert!(origins.iter().enumerate().all(|(index, origin)| index == *origin as usize));
        let whole: usize = (0..shape.bins()).map(|bin| binned.bin(bin).len()).sum();
        assert_eq!(whole, items.len());
    }
}
